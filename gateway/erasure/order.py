"""Erasing a person's records, by class or altogether (删除, PIPL art. 47).

Invariant: keys, rows and the entries that say so go in one transaction, under the lock that holds are read
under; nothing is erased of whom an open case is about. Where a class is erased in part, the rest of it is
sealed under a new key, for the old one opens the erased part in every backup. What stands outside the
database is forgotten after the commit, from a list that survives a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.erasure.forget import forget_later
from gateway.erasure.holds import open_cases
from gateway.erasure.leaving import Left, require_settled, take_leave
from gateway.erasure.refused import ErasureRefused
from gateway.errors import EvidenceBroken
from gateway.ids import new_uuid
from gateway.keyring import ALL_OF, IDENTITY, LINK
from gateway.people.subjects import Subject, find_by_id, find_by_number
from gateway.records.classes import retention_class
from gateway.records.holdings import batches_of, is_whole
from gateway.records.reseal import reseal
from gateway.records.restate import restate
from gateway.records.store import revisions_of
from gateway.rotation.keybag import data_name
from gateway.tables import data_keys, erasures, records
from ledger.bodies import RecordErased
from ledger.exchange import run
from ledger.fixed import Call, Row

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

Goes = Callable[[Row], bool]
"""Whether a stored record is to be erased."""


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure that is durable: its id, the retention classes and how many records of them went."""

    erasure: str
    index: int
    classes: tuple[str, ...]
    count: int
    epoch: int


def erase_classes(house: House, citizen_number: str, classes: Collection[str], ground: str) -> Erased:
    """Erase the records of these retention classes of the person with this canonical number.

    `ErasureRefused` when there are none, a case holds the person, or the policy has no such ground.
    """
    wanted = frozenset(classes)
    if wanted & {LINK, IDENTITY}:
        raise ErasureRefused("link and identity go with everything else: order the erasure of all")

    def act(tx: Transaction) -> Erased:
        subject = _known(tx, citizen_number)
        return erase_records(tx, subject, lambda row: retention_class(row.klass) in wanted, ground)

    return house.transact(act, seals=False)


def erase_all(house: House, citizen_number: str, ground: str) -> Erased:
    """Erase everything of the person with this canonical number; their consents end. Refused as above."""
    return house.transact(partial(_erase_all, number=citizen_number, ground=ground), seals=False)


def _erase_all(tx: Transaction, number: str, ground: str) -> Erased:
    subject = _known(tx, number)
    _require_allowed(tx, subject, ground)
    require_settled(tx, subject.tag)
    held = whole_revisions(tx, subject)
    classes = tuple(sorted({row.klass for row in _keys_of(tx, subject)}))
    erased = _say(tx, subject, classes, len(held), ground)
    _keep(tx, subject, erased, ground, _destroy_all(tx, subject))
    return erased


def erase_records(tx: Transaction, subject: Subject, goes: Goes, ground: str) -> Erased:
    """Erase those of a person's records that are to go, with their keys."""
    _require_allowed(tx, subject, ground)
    held = whole_revisions(tx, subject)
    going = [row for row in held if goes(row)]
    if not going:
        raise ErasureRefused("nothing of that kind is held of this person: nothing was erased")
    erased = _say(tx, subject, tuple(sorted({row.klass for row in going})), len(going), ground)
    anew, left = _destroy(tx, subject, held, going)
    restate(tx, subject.subject, subject.tag, anew, "erasure")
    _keep(tx, subject, erased, ground, left)
    return erased


def erase_again(
    tx: Transaction, subject: Subject, said: Sequence[tuple[int, RecordErased]], at: int
) -> list[dict[str, Any]] | None:
    """Do again, to rows of an older day, what these `record.erased` (index, body) had done
    (gateway.recovery).

    What is left of the person's records, to be stated anew by the caller; None when nothing of the person is.
    `at` (ms) decides where a class was erased in part: what is past its term by then goes.
    """
    held = revisions_of(tx.conn, subject.subject)
    everything = [one for one in said if LINK in one[1].classes]
    classes = {klass for _, body in said for klass in body.classes}
    going = [row for row in held if row.klass in classes]
    if len(going) > sum(body.count for _, body in said):
        going = [row for row in going if row.shown_until is not None and row.shown_until <= at]
    if everything:
        anew, left = None, _destroy_all(tx, subject)
    else:
        anew, left = _destroy(tx, subject, held, going)
    for index, body in said:
        erased = Erased(body.erasure, index, tuple(body.classes), body.count, body.epoch)
        _keep(tx, subject, erased, body.authority, left)
    return anew


def _destroy_all(tx: Transaction, subject: Subject) -> Left:
    """Delete all that there is of a person, and say what is to be forgotten elsewhere."""
    keys = _keys_of(tx, subject)
    left = take_leave(tx, subject)
    for table in (records, data_keys):
        tx.conn.execute(sa.delete(table).where(table.c.subject == subject.subject))
    return Left(left.tags, (*left.names, *_named(keys)))


def _destroy(
    tx: Transaction, subject: Subject, held: Sequence[Row], going: Sequence[Row]
) -> tuple[list[dict[str, Any]], Left]:
    """Destroy the keys of what goes; the rows of what stays, under new keys where a class was parted."""
    classes = {row.klass for row in going}
    keys = {row.klass: row for row in _keys_of(tx, subject) if row.klass in classes}
    gone = {row.record for row in going}
    staying = [row for row in held if row.record not in gone]
    parted = {row.klass for row in staying} & classes
    anew = reseal(tx, subject.subject, staying, {klass: keys[klass] for klass in parted})
    for klass, key in keys.items():
        _drop_key(tx, subject.subject, klass, key.version)
    return anew, Left((), tuple(_named(keys.values())))


def whole_revisions(tx: Transaction, subject: Subject) -> list[Row]:
    """All that is held of a person. `EvidenceBroken` when it is not what the ledger speaks of."""
    held = revisions_of(tx.conn, subject.subject)
    said = batches_of(tx.house, tx.conn, [subject.tag])
    if not is_whole(tx.house, said.get(subject.tag, {}), held):
        raise EvidenceBroken("the records held are not those that the ledger speaks of")
    return held


def subject_of_row(tx: Transaction, subject: bytes) -> Subject:
    """The subject of a stored record. `EvidenceBroken` when it is nobody's."""
    found = find_by_id(tx.house, tx.conn, subject)
    if not found.known:
        raise EvidenceBroken("a stored record is nobody's")
    return found


def _known(tx: Transaction, number: str) -> Subject:
    subject = find_by_number(tx.house, tx.conn, number)
    if not subject.known:
        raise ErasureRefused("nothing is held of this person: nothing was erased")
    return subject


def _require_allowed(tx: Transaction, subject: Subject, ground: str) -> None:
    grounds = tx.policy.retention.erasure_grounds
    if ground not in grounds:
        raise ErasureRefused(f"the policy in force knows no such ground: one of {', '.join(grounds)}")
    if cases := open_cases(tx, subject.tag):
        raise ErasureRefused(f"held by case {', '.join(cases)}: nothing is erased until it is closed")


def _say(tx: Transaction, subject: Subject, classes: Sequence[str], count: int, ground: str) -> Erased:
    """The entry `record.erased`."""
    erasure, epoch = new_uuid(tx.house.random), tx.house.keyring.epoch
    entry = tx.append(
        "record.erased",
        {
            "erasure": erasure,
            "classes": list(classes),
            "count": count,
            "authority": ground,
            "epoch": epoch,
        },
        tag=subject.tag,
        about=rows.about(erasures, erasure),
    )
    return Erased(erasure, entry.index, tuple(classes), count, epoch)


def _keep(tx: Transaction, subject: Subject, erased: Erased, ground: str, left: Left) -> None:
    """The row that the certificate is made from, and that says what is to be forgotten yet."""
    row = {
        "erasure": erased.erasure,
        "shard": tx.house.shard,
        "tag": subject.tag,
        "classes": " ".join(erased.classes),
        "authority": ground,
        "epoch": erased.epoch,
        "idx": erased.index,
        "todo": forget_later(tx.house, erased.erasure, left),
    }
    tx.conn.execute(erasures.insert(), row)


def _keys_of(tx: Transaction, subject: Subject) -> list[Row]:
    [rows] = run(tx.conn, [Call(ALL_OF, {"of": subject.subject})])
    return rows


def _drop_key(tx: Transaction, subject: bytes, klass: str, version: int) -> None:
    mine = data_keys.c.subject == subject, data_keys.c.klass == klass, data_keys.c.version == version
    tx.conn.execute(sa.delete(data_keys).where(*mine))


def _named(keys: Iterable[Row]) -> list[str]:
    return [data_name(row.subject, row.klass, row.version) for row in keys]
