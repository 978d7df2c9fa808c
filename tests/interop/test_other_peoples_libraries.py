"""A bank and a citizen who use other people's libraries, against a running gateway.

`http-message-signatures` signs the bank's requests, `joserfc` the citizen's consent and withdrawal; none of
our own signing code takes part.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import http_message_signatures as hms
import httpx
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ed25519
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from gateway.client.keyfile import Jwk
from keys.instant import format_instant
from keys.signing import Ed25519PrivateKey, private_jwk
from tests.gateway.world import DAY_MS, Citizen, World, new_world

NUMBER = "110101199003070134"


@dataclass
class Message:
    """A request in the shape that http-message-signatures signs."""

    method: str
    url: str
    headers: dict[str, str]


@pytest.fixture
def world(tmp_path: Path) -> Any:
    with new_world(tmp_path / "home") as made:
        yield made


def bank_posts(world: World, path: str, body: dict[str, Any]) -> httpx.Response:
    """One request of the bank, signed by http-message-signatures over a body that rfc8785 wrote."""
    key = world.bank_key
    assert isinstance(key, Ed25519PrivateKey)
    private = ed25519.Ed25519PrivateKey.from_private_bytes(key.seed)
    message = Message("POST", world.url + path, {"Content-Type": "application/json"})
    data = rfc8785.dumps(body)
    resolver = hms.MappingKeyResolver(
        private_keys={key.kid: private}, public_keys={key.kid: private.public_key()}
    )
    hms.HTTPMessageSigner(signature_algorithm=hms.algorithms.ED25519, key_resolver=resolver).sign(
        message,
        key_id=key.kid,
        created=dt.datetime.now(dt.UTC),
        nonce=uuid.uuid4().hex,
        tag="chengxin",
        covered_component_ids=("content-type", "@target-uri", "@method"),
        body=data,
    )
    return httpx.post(message.url, content=data, headers=message.headers, trust_env=False)


def jose_key(jwk: Jwk) -> OKPKey | ECKey:
    return OKPKey.import_key(jwk) if jwk["kty"] == "OKP" else ECKey.import_key(jwk)


def citizen_signs(citizen: Citizen, document: dict[str, Any], typ: str) -> str:
    """A compact JWS by joserfc over the document's RFC 8785 bytes."""
    header = {"alg": citizen.key.alg, "kid": citizen.key.kid, "typ": typ}
    key = jose_key(private_jwk(citizen.key))
    return jws.serialize_compact(header, rfc8785.dumps(document), key, algorithms=[citizen.key.alg])


def request_body(world: World, citizen: Citizen) -> dict[str, Any]:
    at = world.clock()
    return {
        "request_id": str(uuid.uuid4()),
        "person": {"citizen_number": citizen.number},
        "purpose": "02",
        "categories": ["loan"],
        "answer": "report",
        "not_before": format_instant(at),
        "not_after": format_instant(at + DAY_MS),
        "max_uses": 1,
        "retention_days": 1,
        "language": "en",
    }


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_a_consent_and_a_query_signed_by_other_peoples_libraries_are_accepted(world: World, alg: str) -> None:
    citizen = world.citizen(NUMBER, alg=alg)
    asked = bank_posts(world, "/v1/consent-requests", request_body(world, citizen))
    assert asked.status_code == 201, asked.text
    document = asked.json()["document"] | {"subject": citizen.key.kid}
    proof = citizen_signs(citizen, document, "consent+jwt")
    granted = httpx.post(
        f"{world.url}/v1/consents", json={"document": document, "proof": proof}, trust_env=False
    )
    assert granted.status_code == 201, granted.text
    consent = granted.json()["consent_id"]
    query = {
        "query_id": str(uuid.uuid4()),
        "consent_id": consent,
        "purpose": "02",
        "categories": ["loan"],
        "answer": "report",
    }
    answered = bank_posts(world, "/v1/queries", query)
    assert answered.status_code == 200, answered.text
    receipt = world.pins()["receipt_key"]
    read = jws.deserialize_compact(answered.json()["receipt"], jose_key(receipt.jwk), algorithms=["Ed25519"])
    assert read.protected["typ"] == "receipt+jwt"
    assert json.loads(read.payload)["decision"] == "disclosed"
    withdrawal = {
        "type": "chengxin/withdrawal/v1",
        "consent_id": consent,
        "gateway": world.house.origin,
        "subject": citizen.key.kid,
        "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
    }
    body = {"document": withdrawal, "proof": citizen_signs(citizen, withdrawal, "withdrawal+jwt")}
    assert httpx.post(f"{world.url}/v1/withdrawals", json=body, trust_env=False).status_code == 201
    after = bank_posts(world, "/v1/queries", query | {"query_id": str(uuid.uuid4())})
    assert (after.status_code, after.json()["type"]) == (403, "urn:chengxin:problem:withdrawn")
