"""What a citizen sees of themselves (CIR art. 17): what is held, and who looked, why and when, proved.

Invariant: reading is an entry too (`subject.read`), committed before anything leaves; what is
shown is everything that stands under the citizen's tag, refusals included, so that nothing
that happened is hidden from them. A query whose notice a statute defers (延期告知) stands under a tag of its
own until `query.unsealed` names it; from then on all its leaves are shown with that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.consents.view import describe_grant
from gateway.errors import EvidenceBroken
from gateway.institutions.standing import named
from gateway.keyring import wrapped_of
from gateway.people.citizens import Citizen, keys_of, require_acting
from gateway.people.counter import describe_key
from gateway.people.subjects import identity_of
from gateway.publishing import PublishingThread, proof_of
from gateway.records.holdings import batches_of, is_whole
from gateway.records.store import open_revisions, revisions_of
from gateway.tables import grants
from gateway.transaction import Nonce, Transaction
from keys.canonical import b64u
from keys.instant import format_instant
from ledger.bodies import QueryUnsealed
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

PAGE = 100


def record_reading(house: House, citizen: Citizen, what: str, nonce: Nonce) -> Entry:
    """Record that a citizen reads their own `report`, `accesses` or `keys`; spends the request's nonce."""

    def act(tx: Transaction) -> Entry:
        require_acting(tx, citizen)
        return tx.append("subject.read", {"what": what}, tag=citizen.subject.tag)

    return house.transact(act, seals=False, nonce=nonce)


def own_keys(house: House, citizen: Citizen, entry: Entry) -> dict[str, Any]:
    """Every key that a citizen has or had, and from when each acts."""
    with house.read() as conn:
        held = keys_of(house, conn, citizen.subject)
    return {
        "type": "chengxin/keys/v1",
        "as_of": format_instant(entry.at),
        "index": entry.index,
        "keys": [describe_key(citizen.subject, row) for row in held],
    }


def report(house: House, citizen: Citizen, entry: Entry) -> dict[str, Any]:
    """Everything held about a citizen: identity, records of every category, consents and their states."""
    subject = citizen.subject.subject
    with house.read() as conn:
        number, name = identity_of(house, conn, subject)
        stored, wrapped = revisions_of(conn, subject), wrapped_of(conn, subject)
        said = batches_of(house, conn, [citizen.subject.tag])[citizen.subject.tag]
        held = rows.read_evident(conn, grants, "tag", [citizen.subject.tag], house.shard)
        consents = [describe_grant(house, conn, row, entry.at) for row in held]
    if not is_whole(house, said, stored):
        raise EvidenceBroken("the records held are not those that the ledger speaks of")
    records: dict[str, list[Any]] = {}
    for record in open_revisions(house, stored, wrapped):
        shown = dict(record.body)
        if record.shown_until is not None:
            shown["shown_until"] = format_instant(record.shown_until)
        records.setdefault(record.category, []).append(shown)
    person = {"citizen_number": number} | ({} if name is None else {"name": name})
    return {
        "type": "chengxin/report/v1",
        "as_of": format_instant(entry.at),
        "index": entry.index,
        "person": person,
        "records": records,
        "consents": consents,
    }


def accesses(house: House, publishing: PublishingThread, citizen: Citizen, after: int) -> dict[str, Any]:
    """A page of the leaves under a citizen's tag, numbered above `after`, each with its inclusion proof.

    `next` is the number to go on after, absent on the last page. The citizen recomputes each leaf's hash,
    checks the proof under the pinned key, and sees by the numbers and previous hashes that no entry between
    is left out.
    """
    published = publishing.publish_now()
    if published is None:
        raise LookupError("the log is published when it is opened")
    leaves = ledger_leaves.c
    with house.read() as conn:
        found = conn.execute(
            sa.select(leaves.idx, leaves.leaf)
            .where(
                leaves.shard == house.shard,
                leaves.tag == citizen.subject.tag,
                leaves.n > after,
                leaves.idx < published.checkpoint.size,
            )
            .order_by(leaves.n)
            .limit(PAGE + 1)
        ).all()
        names = named(conn)
        joined = _joined(house, conn, [row.leaf for row in found[:PAGE]], published.checkpoint.size)

    def proved(index: int, leaf: bytes) -> dict[str, Any]:
        return {**_told(leaf, names), "proof": proof_of(house, published, index).decode()}

    shown = []
    for row in found[:PAGE]:
        with_it = [proved(*one) for one in joined.get(row.idx, ())]
        shown.append(proved(row.idx, row.leaf) | ({"joined": with_it} if with_it else {}))
    page: dict[str, Any] = {"type": "chengxin/accesses/v1", "accesses": shown}
    return page | ({"next": after + PAGE} if len(found) > PAGE else {})


def _joined(
    house: House, conn: sa.Connection, shown: list[bytes], size: int
) -> dict[int, list[tuple[int, bytes]]]:
    """By index of a `query.unsealed` among `shown`: the leaves of the query it names, in order, with indexes.

    Statements are the same whether there are any, so that nothing is told before it is time.
    """
    leaves = ledger_leaves.c
    named = {
        leaf.body.of: leaf.index for leaf in map(parse_leaf, shown) if isinstance(leaf.body, QueryUnsealed)
    }
    tags = {
        row.tag: named[row.idx]
        for row in conn.execute(
            sa.select(leaves.idx, leaves.tag).where(leaves.shard == house.shard, leaves.idx.in_(list(named)))
        )
    }
    if len(tags) != len(named):
        raise EvidenceBroken("a leaf unseals a query that is not there")
    found: dict[int, list[tuple[int, bytes]]] = {index: [] for index in tags.values()}
    for row in conn.execute(
        sa.select(leaves.idx, leaves.tag, leaves.leaf)
        .where(leaves.shard == house.shard, leaves.tag.in_(list(tags)), leaves.idx < size)
        .order_by(leaves.n)
    ):
        found[tags[row.tag]].append((row.idx, row.leaf))
    return found


def _told(leaf_bytes: bytes, names: dict[str, str]) -> dict[str, Any]:
    """One leaf in plain members, and its bytes."""
    leaf = parse_leaf(leaf_bytes)
    body = leaf.body
    told: dict[str, Any] = {
        "index": leaf.index,
        "n": leaf.subject.n if leaf.subject is not None else 0,
        "at": leaf.at,
        "type": leaf.type,
        "leaf": b64u(leaf_bytes),
    }
    parties = (
        getattr(leaf.by, "institution", None),
        getattr(body, "recipient", None),
        getattr(body, "source", None),
    )
    institution = next((party for party in parties if party is not None), None)
    if institution is not None:
        told |= {"institution": institution, "institution_name": names.get(institution, "")}
    registrar = getattr(leaf.by, "registrar", None)
    if registrar is not None:
        told["registrar"] = registrar
    for name in ("purpose", "reason", "query", "request", "what", "cause"):
        value = getattr(body, name, None)
        hashed = name == "request" and leaf.type.startswith("query.")  # there it is a salted hash, no id
        if isinstance(value, str) and not hashed:
            told[name] = value
    statute = getattr(body, "statute", None)
    if statute is not None:
        told["statute"] = statute.code
    categories = getattr(body, "categories", None)
    return told | ({} if categories is None else {"categories": list(categories)})
