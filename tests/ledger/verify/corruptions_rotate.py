"""Named corruptions of rotations and revocations: keys that go on after their end, or come unsigned."""

from __future__ import annotations

from typing import Any

from keys.signing import PrivateKey, generate_key
from tests.ledger.verify.first_part import OVERSEER, REGISTRAR
from tests.ledger.verify.forge import ORIGIN, Story
from tests.ledger.verify.people import NOTARY, REGULATOR, Citizen
from tests.ledger.verify.spoilers import Corruption, Spoiler, again, body, insert
from tests.ledger.verify.third_rotate import (
    NEXT_CHECKPOINT,
    NEXT_RECEIPT,
    NEXT_REGISTRAR,
    RECEIPT,
    STRANGER,
    revoked,
    rotated,
)

REGISTRAR_LOST = revoked("registrar", NOTARY, NEXT_REGISTRAR.kid, "lost")
REGULATOR_LOST = revoked("regulator", REGULATOR, OVERSEER.kid, "compromised")


def _receipts(old: PrivateKey, new: PrivateKey, log: str = ORIGIN, **changes: Any) -> dict[str, Any]:
    return rotated(log, "receipt", ORIGIN, old, new) | changes


def _by_the_new_key_alone(story: Story) -> None:
    signed = story["receipt-rotated"].body["signatures"]
    signed["old"] = signed["new"]


def _old_checkpoint_key_goes_on(story: Story) -> None:
    story.rotated.clear()


def _forged_successor(story: Story) -> None:
    """A thief of the disk, without the old key, has the log go on under a key of their own."""
    made = rotated(ORIGIN, "checkpoint", ORIGIN, STRANGER, NEXT_CHECKPOINT)
    story["checkpoint-rotated"].body["signatures"] = made["signatures"]


def _successor_after_the_end(story: Story) -> None:
    """A thief of the old key rotates it once more, and signs with what it is rotated to."""
    made = rotated(ORIGIN, "checkpoint", ORIGIN, story.key, STRANGER)
    story.insert("checkpoint-revoked", "again", "key.rotated", made)
    story.rotated.append(("again", STRANGER))


def _lent(use: str, holder: str) -> Spoiler:
    """A key of this use beside the one in force."""
    published = {"use": use, "kid": STRANGER.kid, "public": STRANGER.jwk, "holder": holder}
    return insert("dora-enrolled", "beside", "key.published", published)


def _sealing_key_stays(story: Story) -> None:
    story.insert("sealing-dora", "regulator-lost", "key.revoked", REGULATOR_LOST)


def _es256(story: Story) -> None:
    new = generate_key("ES256", story.source.bytes)
    story["receipt-rotated"].body = _receipts(RECEIPT, new)


ROTATIONS = (
    Corruption("second_registrar_key_beside_the_first", "key-one", "beside", _lent("registrar", NOTARY)),
    Corruption("second_checkpoint_key_beside_the_first", "key-one", "beside", _lent("checkpoint", ORIGIN)),
    Corruption("receipt_key_in_the_registrars_name", "key-holder", "beside", _lent("receipt", NOTARY)),
    Corruption(
        "checkpoint_by_the_key_that_ended",
        "key-checkpoint",
        "checkpoint-rotated",
        _old_checkpoint_key_goes_on,
    ),
    Corruption("checkpoint_key_by_a_stranger", "rotation-signed", "checkpoint-rotated", _forged_successor),
    Corruption("checkpoint_key_rotated_after_its_end", "rotated-from", "again", _successor_after_the_end),
    Corruption(
        "receipt_key_rotated_after_its_end",
        "rotated-from",
        "again",
        insert("receipt-revoked", "again", "key.rotated", _receipts(RECEIPT, STRANGER)),
    ),
    Corruption(
        "rotation_of_anothers_key", "rotated-from", "receipt-rotated", body("receipt-rotated", holder=NOTARY)
    ),
    Corruption(
        "rotation_back_to_the_old_key",
        "rotated-to",
        "back",
        insert("receipt-revoked", "back", "key.rotated", _receipts(NEXT_RECEIPT, RECEIPT)),
    ),
    Corruption("receipts_rotated_to_es256", "rotated-to", "receipt-rotated", _es256),
    Corruption("rotation_by_the_new_key_alone", "rotation-signed", "receipt-rotated", _by_the_new_key_alone),
    Corruption(
        "rotation_signed_for_another_log",
        "rotation-signed",
        "receipt-rotated",
        body("receipt-rotated", **_receipts(RECEIPT, NEXT_RECEIPT, "other.example.cn/log0")),
    ),
    Corruption(
        "revoked_a_key_that_never_was",
        "revoked-known",
        "receipt-revoked",
        body("receipt-revoked", kid=STRANGER.kid),
    ),
    Corruption(
        "revoked_in_anothers_name", "revoked-known", "receipt-revoked", body("receipt-revoked", holder=NOTARY)
    ),
    Corruption("key_revoked_twice", "revoked-once", "twice", again("receipt-revoked", "twice")),
    Corruption(
        "rotated_and_said_to_be_lost",
        "revoked-cause",
        "receipt-revoked",
        body("receipt-revoked", cause="lost"),
    ),
    Corruption(
        "said_to_be_rotated_and_was_not",
        "revoked-cause",
        "encryption-revoked",
        body("encryption-revoked", cause="rotated"),
    ),
    Corruption(
        "enrolled_by_a_registrar_without_a_key",
        "registrar-published",
        "dora-enrolled",
        insert("sealing-dora", "registrar-lost", "key.revoked", REGISTRAR_LOST),
    ),
    Corruption(
        "sealed_to_a_revoked_regulator",
        "sealing-regulators",
        "sealing-dora",
        insert("encryption-revoked", "regulator-lost", "key.revoked", REGULATOR_LOST),
    ),
    Corruption(
        "sealed_on_under_a_key_that_a_thief_can_open", "sealing-current", "dora-enrolled", _sealing_key_stays
    ),
)
"""Found by replay alone."""


def _certified(by: Any) -> Spoiler:
    """Dora's certificate by this registrar."""

    def spoil(story: Story) -> None:
        dora = Citizen("dora", "Ed25519", by)
        story["dora-enrolled"].body, story["dora-enrolled"].details = dora.enrolled()

    return spoil


def _rotated_later(story: Story) -> None:
    """The new key certifies before it is in force."""
    for name in ("registrar-rotated", "registrar-revoked"):
        story.move_after(name, story.drafts[-2].name)


ROTATIONS_OPENED = (
    Corruption(
        "certified_under_the_registrars_old_key", "certificate", "dora-enrolled", _certified(REGISTRAR)
    ),
    Corruption("certified_under_the_registrars_key_to_be", "certificate", "dora-enrolled", _rotated_later),
)
"""Found with the registrar's first key pinned and the details opened."""
