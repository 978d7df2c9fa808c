"""Consents that ran out: whoever holds one is told once, by itself.

Invariant: nothing is decided here. A consent is over at its `not_after` whether or not anybody was told
(`consent.decision` reads the document); `expiries` is only the alarm clock, and is forgotten when it rang.
One that was withdrawn before was told of then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from msgspec.structs import replace

from gateway.events.telling import EXPIRED
from gateway.tables import expiries, grants
from gateway.transaction import Transaction

if TYPE_CHECKING:
    from gateway.house import House

CHUNK: Final = 200
_STANDING: Final = ("granted", "suspended")


def tell_expired(house: House) -> int:
    """Tell of the consents that ran out since, a chunk at once; how many. For housekeeping."""
    told = 0
    while due := _due(house):
        told += house.transact(partial(_tell, due=due), seals=False)
    return told


def _due(house: House) -> Sequence[str]:
    over = sa.select(expiries.c.consent).where(expiries.c.not_after <= house.clock())
    with house.read() as conn:
        return conn.scalars(over.order_by(expiries.c.not_after, expiries.c.consent).limit(CHUNK)).all()


def _tell(tx: Transaction, due: Sequence[str]) -> int:
    """Under the lock, so that each is told once however many keep house."""
    rung = sa.and_(expiries.c.consent.in_(due), expiries.c.not_after <= tx.at)
    over = (
        sa.select(expiries, grants.c.state)
        .join(grants, grants.c.consent == expiries.c.consent)
        .where(rung)
        .order_by(expiries.c.not_after, expiries.c.consent)
    )
    told = [row for row in tx.conn.execute(over) if row.state in _STANDING]
    for row in told:
        # It has no leaf of its own: it is told with the index of the grant, at the time it is told.
        grant = replace(tx.entry(row.idx), at=tx.at)
        tx.telling.tell(row.institution, EXPIRED, row.consent, grant)
    tx.conn.execute(sa.delete(expiries).where(rung))
    return len(told)
