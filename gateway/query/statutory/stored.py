"""Pending queries as they are stored: read only when evident, opened only under their own key.

Invariant: a row says nothing of its person in clear. The request, with the citizen number and the document's
number, rests under a data key of the row's own, bound to the row's tag; so does the list of revisions once
they are given. A row counts only while its latest leaf is the one that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken
from gateway.http.pending import request_sha256
from gateway.keyring import LINK, VERSION, DataKey
from gateway.query.request import Query, Statute
from gateway.tables import pending_queries
from keys.blind import canonical_citizen_number
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex, unb64u
from keys.errors import BadIdentifier, KeysError
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

PENDING, APPROVED, DENIED, LAPSED, REFUSED = "pending", "approved", "denied", "lapsed", "refused"


@dataclass(frozen=True, slots=True)
class Matter:
    """What a statutory query is about, as it was asked: the request as sent and parsed, the canonical citizen
    number in it, and the salts (16 bytes) of the hashes that its leaves carry. `given` are the hashes of the
    revisions that its answer commits to, ascending, once there is an answer.
    """

    query: Query
    request: Mapping[str, Any] = field(repr=False)
    number: str = field(repr=False)
    request_salt: bytes = field(repr=False)
    document_salt: bytes = field(repr=False)
    given: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def statute(self) -> Statute:
        if self.query.statute is None:
            raise EvidenceBroken("a pending query without a statute")
        return self.query.statute

    @property
    def request_sha256(self) -> str:
        """What the approver signs for."""
        return request_sha256(self.request)

    @property
    def request_hash(self) -> str:
        """SHA-256(salt || JCS(request)), hex, as the leaves have it."""
        return sha256_hex(self.request_salt + canonical(dict(self.request)))

    @property
    def document_hash(self) -> str:
        """SHA-256(salt || number of the document, UTF-8), hex, as the leaves have it."""
        return sha256_hex(self.document_salt + self.statute.document.encode())

    @property
    def sealed_request(self) -> dict[str, Any]:
        """The members that say it to the regulator."""
        return {"request": dict(self.request), "request_salt": b64u(self.request_salt)}


@dataclass(frozen=True, slots=True)
class Held:
    """An evident row of `pending_queries`, opened."""

    row: Mapping[str, Any]
    matter: Matter

    @property
    def tag(self) -> bytes:
        """The tag of all its leaves: the person's, or a one-time one."""
        return bytes(self.row["tag"])

    @property
    def state(self) -> str:
        return str(self.row["state"])


def about_query(institution: str, query: str) -> str:
    """The name under which leaves speak of one pending query."""
    return rows.about(pending_queries, f"{institution}:{query}")


def held_query(tx: Transaction, institution: str, query: str) -> Held | None:
    """The institution's own pending query of that id, or None. `EvidenceBroken` when it is not evident."""
    found = rows.read_evident(tx.conn, pending_queries, "query", [query], tx.house.shard)
    row = next((one for one in found if one["institution"] == institution), None)
    if row is None:
        return None
    rows.require_evident(tx.house.custody, pending_queries, row)
    return Held(row, _open(tx.house, row))


def store(tx: Transaction, entry: Entry, matter: Matter, columns: Mapping[str, Any]) -> str:
    """Make the row of a query that `entry` recorded, and say its state; `columns` are not sealed."""
    key, wrapped = tx.house.keyring.fresh(columns["tag"], LINK)
    row = {
        "shard": tx.house.shard,
        "data_key": wrapped,
        "epoch": tx.house.keyring.epoch,
        "pending_index": entry.index,
        "answer_index": None,
        "unsealed_index": None,
        "state": PENDING,
        **columns,
    }
    row["body"] = key.seal("pending_queries", "body", _name(row), _format(matter))
    tx.conn.execute(pending_queries.insert(), tx.protect(pending_queries, row, entry))
    return PENDING


def change(tx: Transaction, held: Held, entry: Entry, matter: Matter | None = None, **changes: Any) -> None:
    """Write what `entry` changed of the row: columns, and the matter when one is given."""
    row = rows.columns_of(pending_queries, held.row) | changes
    if matter is not None:
        key = _key(tx.house, held.row)
        row["body"] = key.seal("pending_queries", "body", _name(held.row), _format(matter))
    where = (
        pending_queries.c.institution == row["institution"],
        pending_queries.c.query == row["query"],
    )
    tx.conn.execute(
        sa.update(pending_queries).where(*where).values(**tx.protect(pending_queries, row, entry))
    )


def _open(house: House, row: Mapping[str, Any]) -> Matter:
    body = _key(house, row).open("pending_queries", "body", _name(row), row["body"])
    try:
        members = parse_canonical(body)
        query = msgspec.convert(members["request"], Query)
        if query.person_check is None:
            raise EvidenceBroken("a pending query names nobody")
        return Matter(
            query,
            members["request"],
            canonical_citizen_number(query.person_check.citizen_number),
            unb64u(members["request_salt"], 16),
            unb64u(members["document_salt"], 16),
            tuple(bytes.fromhex(one) for one in members["given"]),
        )
    except (KeysError, BadIdentifier, msgspec.ValidationError) as error:
        raise EvidenceBroken("a pending query is not what was stored") from error


def _format(matter: Matter) -> bytes:
    return canonical(
        {
            "request": dict(matter.request),
            "request_salt": b64u(matter.request_salt),
            "document_salt": b64u(matter.document_salt),
            "given": [one.hex() for one in matter.given],
        }
    )


def _key(house: House, row: Mapping[str, Any]) -> DataKey:
    return house.keyring.unwrap(row["tag"], LINK, VERSION, row["epoch"], row["data_key"])


def _name(row: Mapping[str, Any]) -> bytes:
    return f"{row['institution']}:{row['query']}".encode()
