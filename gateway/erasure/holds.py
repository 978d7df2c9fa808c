"""Legal holds (封存): while a case is open, nothing of its person is erased, whoever asks for it.

Invariant: whether a case is open is read from its leaves under the head's lock, which every erasure takes; so
nothing is erased after a hold was placed, whoever changes rows. A leaf says no more than a salted hash of
whom it is about; tag and salt are sealed for the regulator.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.erasure.refused import ErasureRefused
from gateway.errors import EvidenceBroken
from gateway.people.subjects import find_by_number
from gateway.tables import holds
from keys.canonical import b64u, sha256_hex
from ledger.bodies import CaseClosed, CaseOpened
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

OPEN, CLOSED = "open", "closed"
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Hold:
    """A case and where it stands; `index` is the leaf that last spoke of it."""

    case: str
    reason: str
    state: str
    index: int


def place_hold(house: House, case: str, citizen_number: str, reason: str) -> Entry:
    """Open a case about the person with this canonical number. `ErasureRefused` for nobody, or twice."""
    return house.transact(partial(_place, case=case, number=citizen_number, reason=reason))


def _place(tx: Transaction, case: str, number: str, reason: str) -> Entry:
    house = tx.house
    subject = find_by_number(house, tx.conn, number)
    if not subject.known:
        raise ErasureRefused("nothing is held of this person, so there is nothing to keep")
    if _row(tx, case) is not None:
        raise ErasureRefused(f"there is a case {case} already: open another, `--case new` makes its id")
    salt = house.random(SALT_BYTES)
    entry = tx.append(
        "case.opened",
        {"case": case, "scope": sha256_hex(salt + subject.tag), "reason": reason},
        details={"tag": b64u(subject.tag), "salt": b64u(salt)},
        about=about_cases(subject.tag),
    )
    row = {"case": case, "shard": house.shard, "tag": subject.tag, "reason": reason, "state": OPEN}
    tx.conn.execute(holds.insert(), tx.protect(holds, row, entry))
    return entry


def carry_hold(tx: Transaction, row: dict[str, Any]) -> Entry:
    """Open an open case of the log before this one again, in this one."""
    salt = tx.house.random(SALT_BYTES)
    entry = tx.append(
        "case.opened",
        {"case": row["case"], "scope": sha256_hex(salt + row["tag"]), "reason": row["reason"]},
        details={"tag": b64u(row["tag"]), "salt": b64u(salt)},
        about=about_cases(row["tag"]),
    )
    carried = {**rows.columns_of(holds, row), "shard": tx.house.shard}
    tx.conn.execute(
        sa.update(holds).where(holds.c.case == row["case"]).values(tx.protect(holds, carried, entry))
    )
    return entry


def lift_hold(house: House, case: str, outcome: str) -> Entry:
    """Close a case. `ErasureRefused` unless it is open."""
    return house.transact(partial(_lift, case=case, outcome=outcome), seals=False)


def _lift(tx: Transaction, case: str, outcome: str) -> Entry:
    row = _row(tx, case)
    if row is None:
        raise ErasureRefused(f"there is no case {case}: see `chengxin hold list`")
    if case not in open_cases(tx, row["tag"]):
        raise ErasureRefused(f"the case {case} is closed already")
    entry = tx.append("case.closed", {"case": case, "outcome": outcome}, about=about_cases(row["tag"]))
    closed = {**rows.columns_of(holds, row), "state": CLOSED}
    tx.conn.execute(sa.update(holds).where(holds.c.case == case).values(tx.protect(holds, closed, entry)))
    return entry


def close_again(tx: Transaction, case: str, index: int, leaf_hash: bytes) -> None:
    """Close the row of a case whose `case.closed` came back as this leaf (gateway.recovery)."""
    row = _row(tx, case)
    if row is not None:
        closed = {**rows.columns_of(holds, row), "state": CLOSED, "changed_index": index}
        values = rows.protect(tx.house.custody, holds, closed, leaf_hash)
        tx.conn.execute(sa.update(holds).where(holds.c.case == case).values(values))


def about_cases(tag: bytes) -> str:
    """The name under which the leaves of all cases about one person are found; it stands in no leaf."""
    return rows.about(holds, tag.hex())


def open_cases(tx: Transaction, tag: bytes) -> list[str]:
    """The open cases about a tag, under the lock, by the leaves themselves.

    By leaves and not by rows: whoever deletes the row of a hold has not lifted it.
    """
    leaves, cases = ledger_leaves.c, set()
    said = sa.select(leaves.leaf).where(leaves.shard == tx.house.shard, leaves.about == about_cases(tag))
    for leaf in tx.conn.scalars(said.order_by(leaves.idx)):
        body = parse_leaf(bytes(leaf)).body
        if isinstance(body, CaseOpened):
            cases.add(body.case)
        elif isinstance(body, CaseClosed):
            cases.discard(body.case)
        else:
            raise EvidenceBroken("another leaf poses as one of a case")
    return sorted(cases)


def all_holds(conn: sa.Connection) -> list[Hold]:
    """Every case there was, in the order of what last happened to it."""
    found = conn.execute(sa.select(holds).order_by(holds.c.changed_index))
    return [Hold(row.case, row.reason, row.state, row.changed_index) for row in found]


def _row(tx: Transaction, case: str) -> dict[str, Any] | None:
    """The row of a case, as its leaf left it. `EvidenceBroken` when it was changed."""
    row = tx.conn.execute(sa.select(holds).where(holds.c.case == case)).mappings().one_or_none()
    if row is None:
        return None
    expected = rows.protect(tx.house.custody, holds, dict(row), tx.entry(row["changed_index"]).leaf_hash)[
        "mac"
    ]
    if not hmac.compare_digest(expected, row["mac"]):
        raise EvidenceBroken("a row of holds is not what the ledger says of it")
    return dict(row)
