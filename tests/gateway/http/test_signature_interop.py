"""An independent implementation (http-message-signatures) signs what we accept and accepts what we sign."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import http_message_signatures as hms
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.http.signature import (
    TAG_CITIZEN,
    sign_request,
)
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, PrivateKey
from tests.gateway.http.signed import (
    BODY,
    CREATED,
    JSON,
    KEY,
    NONCE,
    P256,
    TARGET,
    Request,
    verify,
)


@dataclass
class Message:
    method: str
    url: str
    headers: dict[str, str]


def _library_key(key: PrivateKey) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    if isinstance(key, Ed25519PrivateKey):
        return ed25519.Ed25519PrivateKey.from_private_bytes(key.seed)
    assert isinstance(key, Es256PrivateKey)
    return ec.derive_private_key(int.from_bytes(key.secret, "big"), ec.SECP256R1())


def _resolver(key: PrivateKey) -> hms.MappingKeyResolver:
    private = _library_key(key)
    return hms.MappingKeyResolver(
        private_keys={key.kid: private}, public_keys={key.kid: private.public_key()}
    )


_LIBRARY_ALG = {"Ed25519": hms.algorithms.ED25519, "ES256": hms.algorithms.ECDSA_P256_SHA256}


@pytest.mark.parametrize("key", [KEY, P256], ids=lambda key: key.alg)
@pytest.mark.parametrize("body", [BODY, None])
def test_http_message_signatures_signs_what_we_accept(key: PrivateKey, body: bytes | None) -> None:
    message = Message("POST", TARGET, {"Content-Type": JSON} if body else {})
    hms.HTTPMessageSigner(signature_algorithm=_LIBRARY_ALG[key.alg], key_resolver=_resolver(key)).sign(
        message,
        key_id=key.kid,
        created=dt.datetime.fromtimestamp(CREATED, dt.UTC),
        nonce=NONCE,
        tag=TAG_CITIZEN,
        covered_component_ids=("content-type", "@target-uri", "@method")
        if body
        else ("@target-uri", "@method"),
        body=body,
    )
    headers = {name.lower(): value for name, value in message.headers.items()}
    verify(Request("POST", TARGET, body, headers), key, TAG_CITIZEN)


@pytest.mark.parametrize("key", [KEY, P256], ids=lambda key: key.alg)
@pytest.mark.parametrize("body", [BODY, None])
def test_http_message_signatures_verifies_what_we_sign(key: PrivateKey, body: bytes | None) -> None:
    now = int(dt.datetime.now(dt.UTC).timestamp())
    headers = sign_request("POST", TARGET, body, JSON, key, now, NONCE, TAG_CITIZEN)
    verifier = hms.HTTPMessageVerifier(signature_algorithm=_LIBRARY_ALG[key.alg], key_resolver=_resolver(key))
    results = (
        verifier.verify(Message("POST", TARGET, dict(headers)), body=body)
        if body
        else verifier.verify(Message("POST", TARGET, dict(headers)))
    )
    [result] = results
    assert result.parameters["tag"] == TAG_CITIZEN
    assert result.nonce == NONCE
