"""Signed requests that a test can bend: one by the profile, one over whatever the test writes."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest

from gateway.http.signature import (
    TAG_INSTITUTION,
    SignatureRefused,
    Why,
    parse_signature,
    sign_request,
    verify_request,
)
from keys.canonical import b64u
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, PrivateKey, PublicKey, parse_public_jwk

NOW_MS = 1_795_248_000_000
CREATED = NOW_MS // 1000
ORIGIN = "https://credit.example.cn:8443"
TARGET = f"{ORIGIN}/v1/queries"
BODY = b'{"query_id":"1"}'
JSON = "application/json"
NONCE = b64u(bytes(range(16)))
KEY = Ed25519PrivateKey(bytes(32))
OTHER = Ed25519PrivateKey(bytes(31) + b"\x01")
P256 = Es256PrivateKey(bytes(31) + b"\x02")


@dataclass
class Request:
    """What arrives: an attacker may change any of it."""

    method: str = "POST"
    target: str = TARGET
    body: bytes | None = BODY
    headers: dict[str, str] = field(default_factory=dict)


def signed(
    key: PrivateKey = KEY,
    method: str = "POST",
    target: str = TARGET,
    body: bytes | None = BODY,
    content_type: str | None = JSON,
    created: int = CREATED,
    nonce: str = NONCE,
    tag: str = TAG_INSTITUTION,
) -> Request:
    headers = sign_request(method, target, body, content_type, key, created, nonce, tag)
    return Request(method, target, body, {name.lower(): value for name, value in headers.items()})


def verify(request: Request, key: PrivateKey = KEY, tag: str = TAG_INSTITUTION, now_ms: int = NOW_MS) -> None:
    verify_request(
        parse_signature(request.method, request.headers),
        request.method,
        request.target,
        request.body,
        request.headers.get("content-type"),
        request.headers.get("content-digest"),
        public(key),
        tag,
        now_ms,
    )


def public(key: PrivateKey) -> PublicKey:
    return parse_public_jwk(dict(key.jwk))


def refusal(request: Request, **options: object) -> Why:
    with pytest.raises(SignatureRefused) as refused:
        verify(request, **options)  # type: ignore[arg-type]  # options are those of verify
    return refused.value.why


def resigned(components: str, parameters: str, key: PrivateKey = KEY, label: str = "sig1") -> Request:
    """A request whose signature is right, over whatever components and parameters the test writes."""
    request = signed()
    names = tuple(name.strip('"') for name in components.split())
    values = {
        "@method": request.method,
        "@target-uri": request.target,
        "@authority": "credit.example.cn:8443",
        "content-digest": request.headers["content-digest"],
        "content-type": request.headers["content-type"],
        "date": "Sat, 21 Nov 2026 08:00:00 GMT",
    }
    lines = [f'"{name}": {values[name]}' for name in names]
    params = f"({' '.join(f'{chr(34)}{name}{chr(34)}' for name in names)}){parameters}"
    base = "\n".join([*lines, f'"@signature-params": {params}']).encode()
    signature = base64.b64encode(key.sign(base)).decode()
    request.headers["signature-input"] = f"{label}={params}"
    request.headers["signature"] = f"{label}=:{signature}:"
    return request


FOUR = '"@method" "@target-uri" "content-digest" "content-type"'
PARAMS = {
    "created": f";created={CREATED}",
    "keyid": f';keyid="{KEY.kid}"',
    "nonce": f';nonce="{NONCE}"',
    "alg": ';alg="ed25519"',
    "tag": ';tag="chengxin"',
}
ALL = "".join(PARAMS.values())
