"""What is past its display term (展示期限届满) is erased, not only hidden (CIR art. 16: five years).

Invariant: one person at a time, each in a transaction of its own, so that the lock is held no longer than for
one; what is done is done, and running it again after a kill goes on where it stopped. A person whom a case
holds is passed over and named by the case alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from consent.policy import TERM_EXPIRED
from gateway.erasure.forget import forget_erased
from gateway.erasure.holds import open_cases
from gateway.erasure.order import Erased, erase_records, subject_of_row
from gateway.tables import records

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

PAGE = 256
Progress = Callable[[int], None]
"""(persons done)"""


@dataclass(frozen=True, slots=True)
class Due:
    """What one run did: the erasures it made, and the cases on account of which persons were passed over."""

    erased: tuple[Erased, ...]
    held_by: tuple[str, ...]


def count_due(house: House) -> int:
    """How many persons have records that are past their term."""
    with house.read() as conn:
        counted = sa.select(sa.func.count(sa.distinct(records.c.subject)))
        return conn.scalar(counted.where(records.c.shown_until <= house.clock())) or 0


def erase_due(house: House, progress: Progress) -> Due:
    """Erase every record that is past its term."""
    forget_erased(house)
    erased: list[Erased] = []
    held: set[str] = set()
    for done, subject in enumerate(_subjects(house), start=1):
        found, cases = house.transact(partial(_erase, subject=subject), seals=False)
        if found is not None:
            erased.append(found)
        held.update(cases)
        if done % PAGE == 0:
            forget_erased(house)
        progress(done)
    forget_erased(house)
    return Due(tuple(erased), tuple(sorted(held)))


def _erase(tx: Transaction, subject: bytes) -> tuple[Erased | None, list[str]]:
    now = tx.at
    expired = records.c.subject == subject, records.c.shown_until <= now
    if not tx.conn.scalar(sa.select(sa.func.count()).select_from(records).where(*expired)):
        return None, []  # another run was here
    person = subject_of_row(tx, subject)
    if cases := open_cases(tx, person.tag):
        return None, cases
    erased = erase_records(
        tx, person, lambda row: row.shown_until is not None and row.shown_until <= now, TERM_EXPIRED
    )
    return erased, []


def _subjects(house: House) -> Iterator[bytes]:
    """The subjects with something past its term, a page at a time, each after the last of the one before."""
    last, now = b"", house.clock()
    while True:
        wanted = sa.select(records.c.subject).where(records.c.shown_until <= now, records.c.subject > last)
        page = wanted.group_by(records.c.subject).order_by(records.c.subject).limit(PAGE)
        with house.read() as conn:
            found = conn.scalars(page).all()
        if not found:
            return
        yield from found
        last = found[-1]
