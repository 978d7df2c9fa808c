"""Signed requests that are wrong in one thing, sent to the byte: what a client library would not let out.

Everything is signed that is said to be: a request is refused for what it is, never for a signature that only
fails along with it. A reply is read by the standard library and handed on as a client would have it.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from typing import Any

import httpx

from gateway.http.signature import content_digest
from keys.canonical import b64u, canonical
from keys.signing import PrivateKey
from tests.gateway import kit
from tests.gateway.world import World

PATH = "/v1/queries"
JSON = "application/json"
FOUR = ("@method", "@target-uri", "content-digest", "content-type")
TWO = FOUR[:2]
Header = tuple[str, str]


@dataclass(frozen=True)
class Raw:
    """A request as it goes over the wire; headers in order, the same name as often as one likes.

    `kept` leaves the connection open, as banks do: what arrives whole on it is the server's front's.
    """

    port: int
    method: str
    target: str
    headers: tuple[Header, ...]
    content: bytes = b""
    kept: bool = False

    def send(self) -> httpx.Response:
        """Send it over a connection of its own."""
        framing = () if self.has("Content-Length") else (("Content-Length", str(len(self.content))),)
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost"]
        lines += [] if self.kept else ["Connection: close"]
        lines += [f"{name}: {value}" for name, value in (*framing, *self.headers)]
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as conn:
            conn.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + self.content)
            with HTTPResponse(conn) as reply:
                reply.begin()
                return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())

    def has(self, name: str) -> bool:
        return any(one.lower() == name.lower() for one, _ in self.headers)

    def header(self, name: str) -> str:
        """The one value of a header."""
        [value] = [value for one, value in self.headers if one == name]
        return value

    def put(self, name: str, *values: str) -> Raw:
        """The same with these values of a header in its place, none of them for none."""
        kept = tuple(one for one in self.headers if one[0] != name)
        return replace(self, headers=kept + tuple((name, value) for value in values))

    def and_before(self, name: str, value: str) -> Raw:
        """The same with one more header in front of all."""
        return replace(self, headers=((name, value), *self.headers))


@dataclass(frozen=True)
class Asking:
    """A query that would be answered, and whatever is signed in its stead."""

    world: World
    consent: str
    kept: bool = False

    def body(self, **changes: Any) -> bytes:
        """The query's body, with a fresh id."""
        return canonical(kit.query_body(self.consent, **changes))

    def signed(
        self,
        key: PrivateKey | None = None,
        *,
        method: str = "POST",
        target: str = PATH,
        content: bytes | None = None,
        components: Sequence[str] = FOUR,
        values: Mapping[str, str] | None = None,
        extra: str = "",
        label: str = "sig1",
        **params: object,
    ) -> Raw:
        """A request whose signature holds over what it covers.

        `values` replaces what a component is (and the header of its name), `params` the five parameters (None
        leaves one out); `extra` follows them as it is.
        """
        signer, sent = key or self.world.bank_key, self.body() if content is None else content
        headers = {"Content-Digest": content_digest(sent), "Content-Type": JSON} if sent else {}
        headers |= {name.title(): value for name, value in (values or {}).items() if name[0] != "@"}
        known = {
            "@method": method,
            "@target-uri": self.world.url + target,
            **{name.lower(): value for name, value in headers.items()},
            **(values or {}),
        }
        said = self._params(components, signer, params) + extra
        base = "\n".join(
            [*(f'"{name}": {known[name]}' for name in components), f'"@signature-params": {said}']
        )
        signature = base64.b64encode(signer.sign(base.encode())).decode()
        headers |= {"Signature-Input": f"{label}={said}", "Signature": f"{label}=:{signature}:"}
        port = self.world.house.settings.port
        return Raw(port, method, target, tuple(headers.items()), sent, self.kept)

    def _params(self, components: Sequence[str], signer: PrivateKey, changes: Mapping[str, object]) -> str:
        """`@signature-params`: the components and the parameters of the profile."""
        usual: dict[str, object] = {
            "created": self.world.clock() // 1000,
            "keyid": signer.kid,
            "nonce": b64u(os.urandom(16)),
            "alg": "ed25519",
            "tag": "chengxin",
        }
        told = {name: value for name, value in (usual | changes).items() if value is not None}
        named = " ".join(f'"{name}"' for name in components)
        return f"({named})" + "".join(
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in told.items()
        )
