"""Encrypted answers, opened and made by jwcrypto, which shares no code with what the gateway uses."""

from __future__ import annotations

import json
import os

from jwcrypto import jwe, jwk

from keys.canonical import canonical
from keys.jwe import open_answer, seal_answer
from keys.sealing import generate_x25519

PRIVATE, PUBLIC = generate_x25519(os.urandom)
ANSWER = canonical({"records": {"loan": [{"amount": 2096, "purpose": "教育"}]}})
ALGORITHMS = ["ECDH-ES", "A256GCM"]


def test_jwcrypto_opens_what_the_gateway_sealed() -> None:
    token = jwe.JWE(algs=ALGORITHMS)
    token.deserialize(seal_answer(ANSWER, PUBLIC), key=jwk.JWK(**PRIVATE))
    assert token.payload == ANSWER


def test_the_client_opens_what_jwcrypto_sealed() -> None:
    key = jwk.JWK(**PUBLIC)
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.thumbprint()}
    token = jwe.JWE(ANSWER, json.dumps(header), algs=ALGORITHMS, recipient=key)
    assert open_answer(token.serialize(compact=True), PRIVATE) == ANSWER
