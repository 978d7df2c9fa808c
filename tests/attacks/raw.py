"""What stands on the wire: a signed request sent as it is, and the whole response, headers in their order."""

from __future__ import annotations

import os
from dataclasses import dataclass

import httpx

from gateway.http.signature import TAG_INSTITUTION, sign_request
from keys.canonical import b64u, canonical
from keys.signing import PrivateKey
from tests.gateway.world import World


@dataclass(frozen=True)
class Got:
    """One HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def send(
    world: World,
    method: str,
    path: str,
    body: dict[str, object] | None,
    key: PrivateKey,
    tag: str = TAG_INSTITUTION,
) -> Got:
    """Send one request, signed by `key` now."""
    data = None if body is None else canonical(body)
    kind = None if body is None else "application/json"
    created, nonce = world.clock() // 1000, b64u(os.urandom(16))
    headers = sign_request(method, world.url + path, data, kind, key, created, nonce, tag)
    return send_raw(world, method, path, data, headers)


def send_raw(world: World, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Got:
    """Send bytes and headers as they are, on a connection of their own."""
    with httpx.Client(trust_env=False, timeout=30) as http:
        reply = http.request(method, world.url + path, content=data, headers=headers)
    named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers.raw]
    return Got(reply.status_code, named, reply.content)
