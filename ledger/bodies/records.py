"""Bodies of what befalls records: ingested, stated anew, corrected, erased; and of the cases that stop it.

Invariant: records are counted and hashed, never described: what they said is in no leaf.
"""

from __future__ import annotations

from typing import Literal

from ledger.bodies.base import Body
from ledger.members import Category, Code, Count, Hex32, Klass, Positive, Uscc, Uuid, check_sorted


class RecordIngested(Body, frozen=True):
    """`record.ingested`: `root` is the RFC 6962 root of the revision hashes of one person and chunk."""

    batch: Uuid
    source: Uscc
    count: Positive
    root: Hex32


class RecordRestated(Body, frozen=True):
    """`record.restated`: all that is held of this person from here on, in place of what was said before.

    `count` revisions, `root` as of `record.ingested` (the empty root for none). `erasure` follows the
    `record.erased`, `correction` the `record.corrected` that it answers to; `rotation` encrypts the same
    records anew; `recovery` states what is left after a `log.recovered`.
    """

    count: Count
    root: Hex32
    cause: Literal["correction", "erasure", "recovery", "rotation"]


class RecordCorrected(Body, frozen=True):
    """`record.corrected`: a source replaced one record; `record` = SHA-256(16-byte salt || its raw id)."""

    record: Hex32
    source: Uscc
    category: Category
    authority: Code


class RecordErased(Body, frozen=True):
    """`record.erased`: `count` records of these retention classes and their keys were destroyed.

    `authority` is the ground (an expired term, the person's demand, an order); `epoch` the last epoch under
    whose key they could be read: they are gone from old backups once that key is destroyed.
    """

    erasure: Uuid
    classes: tuple[Klass, ...]
    count: Count
    authority: Code
    epoch: Positive

    def __post_init__(self) -> None:
        """Classes are a set, and there is one."""
        if not self.classes:
            raise ValueError("nothing was erased")
        check_sorted(self.classes)


class CaseOpened(Body, frozen=True):
    """`case.opened`: a legal hold (封存): what the case is about is not erased while it is open.

    `scope` = SHA-256(16-byte salt || raw tag of its person); tag and salt are in the sealed details.
    """

    case: Uuid
    scope: Hex32
    reason: Code


class CaseClosed(Body, frozen=True):
    """`case.closed`."""

    case: Uuid
    outcome: Code
