"""The third part of the story: signing keys of the log and of the registrar are rotated, another is revoked.

An enrolment before the registrar's rotation is under its old key, Dora's under the new one.
"""

from __future__ import annotations

from typing import Any

from keys.rotation import rotate
from keys.signing import Ed25519PrivateKey, PrivateKey
from tests.ledger.verify.first_part import OVERSEER, REGISTRAR
from tests.ledger.verify.forge import Source, Story
from tests.ledger.verify.people import NOTARY, Citizen, Registrar, registrar
from tests.ledger.verify.second_part import ENCRYPTION

_SOURCE = Source("rotation")
NEXT_CHECKPOINT, NEXT_RECEIPT, NEXT_REGISTRAR, STRANGER = (
    Ed25519PrivateKey(_SOURCE.bytes(32)) for _ in range(4)
)
RECEIPT = registrar("receipts").key
NEW_REGISTRAR = Registrar(NOTARY, NEXT_REGISTRAR, REGISTRAR.officers)
"""The same officers, certified anew under the key that came after."""
DORA = Citizen("dora", "Ed25519", NEW_REGISTRAR)

__all__ = ["DORA", "NEW_REGISTRAR", "NEXT_CHECKPOINT", "NEXT_RECEIPT", "NEXT_REGISTRAR", "RECEIPT"]


def rotated(log: str, use: str, holder: str, old: PrivateKey, new: PrivateKey) -> dict[str, Any]:
    """Body of `key.rotated`, signed by both."""
    made = rotate(log, use, holder, old, new)
    return {
        "use": use,
        "holder": holder,
        "from": old.kid,
        "to": new.kid,
        "public": new.jwk,
        "signatures": {"old": made.old, "new": made.new},
    }


def revoked(use: str, holder: str, kid: str, cause: str) -> dict[str, Any]:
    """Body of `key.revoked`."""
    return {"use": use, "kid": kid, "holder": holder, "cause": cause}


def tell_of_rotations(story: Story) -> None:
    """Go on with a log that was not closed."""
    for name, use, holder, old, new in (
        ("receipt", "receipt", story.origin, RECEIPT, NEXT_RECEIPT),
        ("checkpoint", "checkpoint", story.origin, story.key, NEXT_CHECKPOINT),
        ("registrar", "registrar", NOTARY, REGISTRAR.key, NEXT_REGISTRAR),
    ):
        story.add(f"{name}-rotated", "key.rotated", rotated(story.origin, use, holder, old, new))
        story.add(f"{name}-revoked", "key.revoked", revoked(use, holder, old.kid, "rotated"))
    story.rotated.append(("checkpoint-rotated", NEXT_CHECKPOINT))
    holder = story["encryption-key"].body["holder"]
    story.add("encryption-revoked", "key.revoked", revoked("encryption", holder, ENCRYPTION.kid, "retired"))
    sealing = story.sealing_body("sealing-dora", [(OVERSEER.kid, OVERSEER.public)])
    story.add("sealing-dora", "key.sealing", sealing)
    body, details = DORA.enrolled()
    story.add(
        "dora-enrolled",
        "subject.enrolled",
        body,
        who="dora",
        by={"registrar": NOTARY},
        details=details,
        sealing="sealing-dora",
    )
