"""The insider: somebody with every file and secret of the gateway edits copies of its state, and is caught.

Invariant: only copies are edited, each in a directory of its own; what is reported is what the verifier or
the gateway itself then really said. An edit that nobody notices is raised as an error, never told as caught.

    rewrite     a leaf says another purpose                     the verifier
    recount     a consent's use count is lowered                the gateway's next query
    unwithdraw  the withdrawal is deleted, the grant revived    the gateway's next query
    move        a record's ciphertext is put in another's file  the gateway's next query
    restore     the database of before the withdrawal           the gateway's start
    forge       an answer after the withdrawal, signed anew     the verifier
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gateway.client import Answer, Refused
from gateway.demo.copies import Caught, Copy, Target, copied
from gateway.demo.failure import DemoFailed
from gateway.people.subjects import find_by_tag
from gateway.publishing import publisher_of
from gateway.query.record_leaf import request_hash
from gateway.tables import grants, records
from gateway.transaction import Transaction
from keys.canonical import b64u, sha256_hex
from ledger.errors import HeadBehind
from ledger.log import Entry
from ledger.merkle import leaf_hash
from ledger.tables import ledger_leaves


def rewrite(copy: Copy) -> Caught:
    """The leaf of an answer names another purpose; its stored hash is made to fit."""
    index = copy.target.answered_at
    with copy.writing() as connection:
        place = ledger_leaves.c.idx == index
        leaf: bytes = connection.execute(sa.select(ledger_leaves.c.leaf).where(place)).scalar_one()
        said, says = (f'"purpose":"{code}"'.encode() for code in (copy.target.purpose, "03"))
        edited = leaf.replace(said, says)
        change = sa.update(ledger_leaves).where(place)
        connection.execute(change.values(leaf=edited, leaf_hash=leaf_hash(edited)))
    with copy.opened() as house:
        return copy.verified(house)


def recount(copy: Copy) -> Caught:
    """A consent is used, and its count put back."""
    _expect_answer(copy.query(copy.target.live))
    with copy.writing() as connection:
        connection.execute(sa.update(grants).where(grants.c.consent == copy.target.live).values(uses=0))
    return _refusal(copy.query(copy.target.live))


def unwithdraw(copy: Copy) -> Caught:
    """The withdrawal's leaf is deleted and the consent's row says granted."""
    with copy.writing() as connection:
        connection.execute(sa.delete(ledger_leaves).where(ledger_leaves.c.idx == copy.target.withdrawn_at))
        revived = sa.update(grants).where(grants.c.consent == copy.target.withdrawn)
        connection.execute(revived.values(state="granted"))
    return _refusal(copy.query(copy.target.withdrawn))


def move(copy: Copy) -> Caught:
    """The ciphertext of somebody else's record takes the place of this person's."""
    with copy.opened() as house, house.read() as conn:
        tag, _ = _grant(conn, copy.target.live)
        subject = find_by_tag(house, conn, tag).subject
    with copy.writing() as connection:
        of_category = records.c.category == copy.target.category
        others = sa.select(records.c.body, records.c.revision_hash).where(
            of_category, records.c.subject != subject
        )
        stolen = connection.execute(others.order_by(records.c.idx).limit(1)).one()
        place = sa.update(records).where(of_category, records.c.subject == subject)
        connection.execute(place.values(body=stolen.body, revision_hash=stolen.revision_hash))
    return _refusal(copy.query(copy.target.live))


def restore(copy: Copy) -> Caught:
    """Yesterday's database, today's everything else."""
    older = copy.target.before_withdrawal
    if older is None:
        raise DemoFailed("nobody kept a database of before the withdrawal")
    copy.restore(older)
    try:
        with copy.opened():
            pass
    except HeadBehind as behind:
        return Caught("start", finding=str(behind))
    raise DemoFailed("the gateway started on an older database")


def forge(copy: Copy) -> Caught:
    """An answer under the withdrawn consent, appended by the gateway's own writer and signed by its key."""
    with copy.opened() as house:
        with house.read() as conn:
            tag, grant = _grant(conn, copy.target.withdrawn)
        house.transact(lambda tx: _forged(tx, copy.target, tag, grant))
        publisher_of(house).publish()
        return copy.verified(house)


def _forged(tx: Transaction, target: Target, tag: bytes, grant: int) -> Entry:
    query, salt, other_salt = str(uuid.uuid4()), tx.house.random(16), tx.house.random(16)
    asked: dict[str, Any] = {
        "query_id": query,
        "consent_id": target.withdrawn,
        "purpose": target.purpose,
        "categories": [target.category],
        "answer": "report",
    }
    body = {
        "query": query,
        "grant": grant,
        "purpose": target.purpose,
        "categories": [target.category],
        "use": 2,
        "commitment": sha256_hex(other_salt),
        "request": request_hash(salt, asked),
    }
    details = {
        "request": asked,
        "request_salt": b64u(salt),
        "revisions": [],
        "revisions_salt": b64u(other_salt),
    }
    return tx.append("query.disclosed", body, tag=tag, by=dict(target.by), details=details)


EDITS: Final[Mapping[str, Callable[[Copy], Caught]]] = {
    edit.__name__: edit for edit in (rewrite, recount, unwithdraw, move, restore, forge)
}


def attempt(name: str, target: Target, folder: Path) -> Caught:
    """One edit on a fresh copy; who caught it. What the verifier saw stays in `folder`, under that name.

    Raises DemoFailed when nobody noticed.
    """
    with copied(target, folder, name) as copy:
        return EDITS[name](copy)


def _grant(connection: sa.Connection, consent: str) -> tuple[bytes, int]:
    """A grant's tag and the index of its leaf."""
    wanted = sa.select(grants.c.tag, grants.c.grant_index).where(grants.c.consent == consent)
    row = connection.execute(wanted).one()
    return row.tag, row.grant_index


def _expect_answer(outcome: Answer | Refused) -> None:
    if isinstance(outcome, Refused):
        raise DemoFailed(f"a query before the edit was refused: {outcome.problem.name}")


def _refusal(outcome: Answer | Refused) -> Caught:
    if not isinstance(outcome, Refused):
        raise DemoFailed("the gateway answered a query on an edited copy")
    receipt = outcome.receipt
    return Caught("gateway", None if receipt is None else receipt.index, problem=outcome)
