"""A citizen who has a passkey and nothing else: no key in a file, no signed requests."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

from gateway.client.bank import Person
from gateway.client.citizen import Recorded
from gateway.client.passkey import PasskeyClient
from gateway.client.reply import Refused
from keys.canonical import parse_canonical
from tests.gateway import kit
from tests.gateway.world import World, fresh_key
from tests.passkeys import SoftPasskey


@dataclass(frozen=True)
class Holder:
    """A person and their passkey."""

    world: World
    number: str
    passkey: SoftPasskey
    certificate: bytes
    client: PasskeyClient

    @property
    def kid(self) -> str:
        return self.passkey.key.kid

    def consent_document(self, **changes: Any) -> bytes:
        """JCS of a consent that the bank asked of this person, ready to be signed."""
        asked = self.world.bank().request_consent(
            str(uuid.uuid4()), Person(self.number), self.world.terms(**changes)
        )
        assert not isinstance(asked, Refused), asked
        return self.world.wallet.consent_document(asked.template, self.kid)

    def withdrawal_document(self, consent: str) -> bytes:
        """JCS of a withdrawal by this person."""
        return self.world.wallet.withdrawal_document(consent, self.world.house.origin, self.kid)

    def body(self, document: bytes, **lies: Any) -> dict[str, Any]:
        """A body whose assertion is by this person's passkey, but for `lies` about how it was made."""
        made = self.client.body(document, replace(self.passkey, **lies), self.certificate)
        assert not isinstance(made, Refused), made
        return made

    def grant(self, **changes: Any) -> str:
        """A consent that was granted with the passkey; its id."""
        document = self.consent_document(**changes)
        granted = self.client.grant(document, self.passkey, self.certificate)
        assert isinstance(granted, Recorded), granted
        return granted.consent_id


def holder(world: World, number: str = kit.NUMBER, alg: str = "ES256") -> Holder:
    """Somebody with a certified passkey, who is enrolled by their first grant."""
    key = fresh_key(alg)
    certificate = world.registrar.certify(world.house.origin, number, key, world.clock())
    client = PasskeyClient.of(world.url, world.bank().pins)
    return Holder(world, number, SoftPasskey(key, world.url), certificate, client)


def consent_id(document: bytes) -> str:
    """The consent that a document is about."""
    return str(parse_canonical(document)["consent_id"])
