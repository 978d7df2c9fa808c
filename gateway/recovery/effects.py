"""What leaves that come back do to the rows of a restored database: which row each is about, and what it
ended.

Invariant: a leaf changes only rows that the backup holds. What it ended (a consent withdrawn, a key revoked,
an institution suspended) stays ended, and every use that it counted stays counted; what it began cannot come
back, for its documents are in no leaf, and is void from the `log.recovered` on. The one exception are
published keys: they stand in their leaves in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway import rows
from gateway.consents.stored import lost_consent
from gateway.erasure.holds import about_cases
from gateway.institutions.published import ENCRYPTION
from gateway.query.statutory.stored import LAPSED, about_query
from gateway.records.holdings import about_records
from gateway.tables import (
    citizen_keys,
    consent_requests,
    custody_copies,
    grants,
    holds,
    institutions,
    operators,
    pending_queries,
    published_keys,
)
from keys.canonical import canonical, unb64u
from keys.instant import parse_instant
from ledger.bodies import Answered, QueryRefused
from ledger.entries import Leaf
from ledger.tables import ledger_leaves

TABLES: Final = {
    table.name: table
    for table in (
        citizen_keys,
        consent_requests,
        custody_copies,
        grants,
        institutions,
        operators,
        pending_queries,
        published_keys,
    )
}
"""Protected tables whose rows leaves speak of by name."""

_CASES = sa.select(holds.c.case, holds.c.tag)
_ABOUTS = sa.select(ledger_leaves.c.idx, ledger_leaves.c.about).where(
    ledger_leaves.c.shard == sa.bindparam("of_shard"),
    ledger_leaves.c.idx.in_(sa.bindparam("indexes", expanding=True)),
)

_OWN_NAME: Final[dict[str, Callable[[Any], str]]] = {
    "institution": lambda body: rows.about(institutions, body.institution),
    "operator": lambda body: rows.about(operators, body.operator),
}
_NAMES: Final[dict[str, Callable[[Any], str]]] = {
    "subject.key_revoked": lambda body: rows.about(citizen_keys, body.commitment),
    "consent.granted": lambda body: lost_consent(body.consent_hash),
    "consent.requested": lambda body: rows.about(consent_requests, body.request),
    "consent.declined": lambda body: rows.about(consent_requests, body.request),
    "consent.lapsed": lambda body: rows.about(consent_requests, body.request),
    "key.published": lambda body: _key_name(body.use, body.kid, body.holder),
    "key.rotated": lambda body: _key_name(body.use, body.to, body.holder),
    "key.revoked": lambda body: _key_name(body.use, body.kid, body.holder),
    "key.backup": lambda body: rows.about(custody_copies, body.copy),
}


def _key_name(use: str, kid: str, holder: str) -> str:
    return rows.about(published_keys, f"{use}:{holder}" if use == ENCRYPTION else f"{use}:{kid}")


class Names:
    """Which row each of these leaves is about, as was noted beside it when it was appended."""

    def __init__(self, conn: sa.Connection, shard: int, leaves: Iterable[Leaf]) -> None:
        """Reads the names of older leaves in one statement; those of the leaves given are worked out."""
        self._given: dict[int, str | None] = {}
        waiting = list(leaves)
        referred = {index for leaf in waiting if (index := _refers(leaf)) is not None}
        for row in conn.execute(_ABOUTS, {"of_shard": shard, "indexes": sorted(referred)}):
            self._given[row.idx] = row.about
        self._cases = {row.case: about_cases(row.tag) for row in conn.execute(_CASES)}
        for leaf in waiting:
            self._given[leaf.index] = self._name(leaf)

    def __call__(self, leaf: Leaf) -> str | None:
        """The name, or None for a leaf about no row, or one whose name stood in its lost row only."""
        return self._given[leaf.index]

    def all(self) -> set[str]:
        """Every name."""
        return {name for name in self._given.values() if name is not None}

    def _name(self, leaf: Leaf) -> str | None:
        index = _refers(leaf)
        if index is not None:
            return self._given.get(index)
        noun, body = leaf.type.partition(".")[0], leaf.body
        if leaf.type == "query.pending" and leaf.by is not None:
            return about_query(leaf.by.institution or "", getattr(body, "query", ""))
        if leaf.type in ("record.ingested", "record.restated") and leaf.subject is not None:
            return about_records(unb64u(leaf.subject.tag))
        if noun == "case":  # of one that was opened in the lost part nothing tells whom it is about
            return self._cases.get(getattr(body, "case", ""))
        named = _NAMES.get(leaf.type) or _OWN_NAME.get(noun)
        return None if named is None else named(body)


def _refers(leaf: Leaf) -> int | None:
    """The index of the leaf whose row this one is about as well: a grant's, a waiting query's."""
    body: Any = leaf.body
    if isinstance(body, Answered):
        return body.grant if body.statute is None else body.statute.pending
    if isinstance(body, QueryRefused):
        return body.pending
    if leaf.type == "query.unsealed":
        return int(body.of)
    if leaf.type in ("consent.withdrawn", "consent.suspended", "consent.resumed"):
        return int(body.grant)
    return None


def change_of(leaf: Leaf) -> dict[str, Any]:
    """What a leaf changes in the row that it is about, beside the row's tie to that leaf."""
    body: Any = leaf.body
    match leaf.type:
        case "institution.suspended" | "operator.suspended":
            return {
                "state": "suspended",
                "until": None if body.until is None else parse_instant(body.until),
            }
        case "institution.reinstated" | "operator.reinstated":
            return {"state": "active", "until": None}
        case "consent.declined" | "consent.lapsed" | "consent.withdrawn" | "consent.suspended":
            return {"state": leaf.type.removeprefix("consent.")}
        case "consent.resumed":
            return {"state": "granted"}
        case "subject.key_revoked":
            return {"state": body.cause}
        case "query.disclosed" | "query.predicate":
            # Of a statutory answer the list of what was given is lost: it cannot be collected again.
            return {"uses": body.use} if body.statute is None else {"state": LAPSED}
        case "query.refused":
            return {"state": LAPSED}
        case "query.unsealed":
            return {"unsealed_index": leaf.index}
        case "key.backup" if body.event == "destroyed":
            return {"state": "destroyed"}
        case _:
            return {}


def ended_key(leaf: Leaf, row: Mapping[str, Any]) -> dict[str, Any]:
    """What `key.revoked` changes in the row of a published key: its range of leaves."""
    body: Any = leaf.body
    since = row.get("since_index")
    # A rotation is two leaves: the new key counts from the first, so the old one ends there.
    ended = leaf.index - 1 if body.cause == "rotated" else leaf.index
    return {"since_index": row["changed_index"] if since is None else since, "ended_index": ended}


def began(leaf: Leaf) -> tuple[sa.Table, dict[str, Any]] | None:
    """The row that a leaf made and that can be made again from it alone: a published key."""
    body: Any = leaf.body
    if leaf.type not in ("key.published", "key.rotated"):
        return None
    row: Mapping[str, Any] = {
        "use": body.use,
        "kid": body.kid if leaf.type == "key.published" else body.to,
        "public": canonical(dict(body.public)).decode(),
        "holder": body.holder,
    }
    return published_keys, dict(row)
