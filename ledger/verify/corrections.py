"""Rules of correction (更正): a source replaced what it said, and what is held was stated anew at once.

Invariant: after a `record.corrected` nothing else happens to that person until a `record.restated` for a
correction has said what is held now; several corrections may share one. Nothing is corrected of a person of
whom nothing is held, and nothing is stated for a correction that there was not.
"""

from __future__ import annotations

from typing import Final

from keys.canonical import sha256_hex, unb64u
from ledger.bodies import Body, RecordCorrected, RecordRestated
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify import erasures
from ledger.verify.consents import subject_of
from ledger.verify.details import Corrected
from ledger.verify.rules import Rule
from ledger.verify.state import World

_UNSTATED: Final = "a record was corrected, and what is held was not stated anew"


def _correction_restated(leaf: Leaf, body: Body, world: World) -> str | None:
    if leaf.subject is None or not subject_of(leaf, world).corrects or isinstance(body, RecordCorrected):
        return None
    stated = isinstance(body, RecordRestated) and body.cause == "correction"
    return None if stated else _UNSTATED


def _correction_made(leaf: Leaf, body: RecordRestated, world: World) -> str | None:
    if body.cause != "correction" or subject_of(leaf, world).corrects:
        return None
    return "records are stated anew for a correction that there was not"


def _corrected_held(leaf: Leaf, _: RecordCorrected, world: World) -> str | None:
    return None if subject_of(leaf, world).held else "a record is corrected of a person of whom none is held"


def _corrected_record(_: Leaf, about: tuple[RecordCorrected, Corrected], __: World) -> str | None:
    body, said = about
    if sha256_hex(unb64u(said.record_salt, 16) + unb64u(said.record, 16)) == body.record:
        return None
    return "another record was corrected than the leaf commits to"


CORRECTION_RESTATED = Rule("correction-restated", _correction_restated)
CORRECTION_MADE = Rule("correction-made", _correction_made)
CORRECTED_HELD = Rule("corrected-held", _corrected_held)
CORRECTED_RECORD = Rule("corrected-record", _corrected_record)

OF_EVERY_LEAF: Final = (CORRECTION_RESTATED,)
"""Held before the rules of a leaf's own type."""


def apply_corrected(leaf: Leaf, _: RecordCorrected, world: World) -> None:
    """`record.corrected`."""
    subject_of(leaf, world).corrects = True


def apply_restated(leaf: Leaf, body: RecordRestated, world: World) -> None:
    """`record.restated`, whatever it is for."""
    subject_of(leaf, world).corrects = False
    erasures.apply_restated(leaf, body, world)


def check_end(world: World) -> None:
    """Raise a Finding for a correction at the end of the log that nothing was stated after."""
    if world.subjects.corrects:
        raise Finding(None, "correction-restated", _UNSTATED)
