"""A bank's request to a person, and everything that could be sent to the gateway as that person's consent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.client.bank import ConsentRequested
from gateway.client.channel import new_http
from keys.canonical import b64u, canonical, parse_canonical
from keys.signing import PrivateKey
from tests.attacks.siege import leaves_since
from tests.gateway import kit
from tests.gateway.world import Citizen, World

TYP = "consent+jwt"


@dataclass
class Lure:
    """One open request of the bank's to `citizen`, which nobody has answered."""

    world: World
    citizen: Citizen
    changes: dict[str, Any] = field(default_factory=dict)
    asked: ConsentRequested = field(init=False)

    def __post_init__(self) -> None:
        self.asked = self.world.ask(self.citizen, **self.changes)

    @property
    def consent(self) -> str:
        return str(self.asked.consent_id)

    def document(self, **changes: Any) -> dict[str, Any]:
        """The document that the citizen would sign, but for `changes`."""
        return {**parse_canonical(self.asked.template), "subject": self.citizen.key.kid, **changes}

    def body(
        self,
        document: Mapping[str, Any] | None = None,
        key: PrivateKey | None = None,
        header: Mapping[str, Any] | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        """The body of a grant: the document signed by the citizen, unless it is another's key that signs."""
        said, signer = document or self.document(), key or self.citizen.key
        named = {"alg": signer.alg, "kid": signer.kid, "typ": TYP} if header is None else header
        return {"document": dict(said), "proof": token(canonical(said), signer, canonical(named)), **members}

    def send(self, body: Mapping[str, Any] | bytes) -> httpx.Response:
        """Hand it in as a grant, to the byte."""
        return post_grant(self.world, body)

    def check_honest_serves(self) -> None:
        """The same person's honest consent to the same request is granted, once, and discloses the record."""
        size = kit.size(self.world.house)
        assert self.send(self.body()).status_code == 201
        assert [leaf.type for leaf in leaves_since(self.world, size)] == ["consent.granted"]
        check_discloses(self.world, self.consent, **self.changes)


def post_grant(world: World, body: Mapping[str, Any] | bytes) -> httpx.Response:
    """`POST /v1/consents` with a JSON object, or with bytes as they are."""
    content = body if isinstance(body, bytes) else canonical(body)
    with new_http() as http:
        return http.post(
            world.url + "/v1/consents", content=content, headers={"Content-Type": "application/json"}
        )


def check_discloses(world: World, consent: str, **changes: Any) -> None:
    """An honest query under this consent brings the person's record."""
    usual = {name: changes[name] for name in ("purpose", "categories") if name in changes}
    reply = kit.post_query(world, kit.query_body(consent, **usual))
    assert reply.status_code == 200, reply.text
    assert '"education"' in reply.text


def token(payload: bytes, key: PrivateKey, header: bytes) -> str:
    """A compact JWS whose header says whatever it says, signed by `key` all the same."""
    signing_input = f"{b64u(header)}.{b64u(payload)}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode('ascii')))}"


def chance() -> str:
    """What looks like a signature."""
    return b64u(os.urandom(64))
