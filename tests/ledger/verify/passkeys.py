"""Passkeys made of nothing but keys: assertions as an authenticator and a browser would make them, or not."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keys.canonical import b64u, canonical, sha256, tagged_hash
from keys.signing import PrivateKey

RP_ID = "credit.example.cn"
ORIGINS = ["https://credit.example.cn", "https://my.credit.example.cn:8443"]
CONSENT, WITHDRAWAL = "chengxin/consent/v1", "chengxin/withdrawal/v1"
PRESENT_VERIFIED = 0x05


def assertion(
    document: dict[str, Any],
    key: PrivateKey,
    nonce: bytes,
    *,
    about: str = CONSENT,
    tag: str = "",
    flags: int = PRESENT_VERIFIED,
    rp_id: str = RP_ID,
    more: bytes = b"",
    der: bool = True,
    client: dict[str, Any] | None = None,
    **kept: Any,
) -> dict[str, Any]:
    """The kept set of an assertion over a document; every keyword is a way to make a wrong one.

    `client` changes members of clientDataJSON (None leaves one out), `kept` members of the kept set.
    """
    challenge = tagged_hash(tag or f"{about}/webauthn", nonce + tagged_hash(about, canonical(document)))
    said = {"type": "webauthn.get", "challenge": b64u(challenge), "origin": ORIGINS[0], "crossOrigin": False}
    said |= client or {}
    client_data = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    authenticator = sha256(rp_id.encode()) + bytes([flags]) + bytes(4) + more
    signature = key.sign(authenticator + sha256(client_data))
    if key.alg == "ES256" and der:
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        signature = encode_dss_signature(r, s)
    return {
        "type": "chengxin/webauthn-proof/v1",
        "server_nonce": b64u(nonce),
        "rp_id": RP_ID,
        "origins": ORIGINS,
        "authenticator_data": b64u(authenticator),
        "client_data_json": b64u(client_data),
        "signature": b64u(signature),
        "jwk": key.jwk,
    } | kept
