"""A passkey in software: what an authenticator and a browser do together, each step open to lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.client.passkey import Signed
from keys.canonical import b64u, sha256
from keys.signing import ES256, PrivateKey

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


@dataclass(frozen=True)
class SoftPasskey:
    """Signs as a user who was present and verified would, on a page at `origin`.

    Everything that differs from that is said by name: `client_data` replaces members (None leaves one out).
    """

    key: PrivateKey
    origin: str = "http://localhost"
    flags: int = UP | UV
    count: int = 0
    tail: bytes = b""
    rp_id: str | None = None
    client_data: Mapping[str, Any] = field(default_factory=dict)
    raw_client_data: bytes | None = None

    def __call__(self, challenge: bytes, rp_id: str) -> Signed:
        members: dict[str, Any] = {
            "type": "webauthn.get",
            "challenge": b64u(challenge),
            "origin": self.origin,
            "crossOrigin": False,
        } | self.client_data
        written = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        client_data = written if self.raw_client_data is None else self.raw_client_data
        hashed = sha256((rp_id if self.rp_id is None else self.rp_id).encode())
        data = hashed + bytes([self.flags]) + self.count.to_bytes(4, "big") + self.tail
        return Signed(data, client_data, wrapped(self.key, data + sha256(client_data)))


def wrapped(key: PrivateKey, message: bytes) -> bytes:
    """A signature as WebAuthn carries it: DER for ES256, raw for Ed25519."""
    raw = key.sign(message)
    if key.alg != ES256:
        return raw
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
