"""Events: what an institution is told of the consents it holds and of the answers it was given.

Invariant: an event commits with the leaf that it tells of, and an institution's events are numbered without a
gap in the order in which they were recorded, under the head's lock: so `seq` follows the order of the ledger.
No producer can forget one, because the leaf itself is what tells (`KINDS`). An event names a consent or the
institution's own query by its opaque id, and nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
import structlog

from gateway import metrics
from gateway.tables import consent_requests, events, expiries, grants, institutions
from keys.instant import parse_instant
from ledger.log import Entry
from ledger.rows import upsert

CORRECTED: Final = "corrected"
EXPIRED: Final = "expired"
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "consent.granted": "granted",
        "consent.declined": "declined",
        "consent.withdrawn": "withdrawn",
        "consent.suspended": "suspended",
        "consent.carried": "suspended",
        "consent.resumed": "resumed",
    }
)
"""Type of leaf -> kind of event. `corrected` and `expired` are told by name: no single leaf is theirs."""
BEGINS: Final = frozenset({"consent.granted", "consent.carried"})
"""Types of leaf from which on a consent may run out."""

# Built once: building a statement costs more than running it.
_HOLDERS: Final = sa.select(grants.c.consent.label("name"), grants.c.recipient.label("institution")).where(
    grants.c.consent.in_(sa.bindparam("names", expanding=True))
)
_ASKERS: Final = sa.select(
    consent_requests.c.request, consent_requests.c.consent.label("name"), consent_requests.c.institution
).where(consent_requests.c.request.in_(sa.bindparam("names", expanding=True)))
# For each institution its own greatest number: one step into the index, however many events there are.
_LAST: Final = sa.select(
    institutions.c.institution,
    sa.select(sa.func.max(events.c.seq))
    .where(events.c.institution == institutions.c.institution)
    .scalar_subquery()
    .label("seq"),
).where(institutions.c.institution.in_(sa.bindparam("names", expanding=True)))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """One event on its way; a row of the table `about` says whom to tell where `institution` does not."""

    kind: str
    name: str
    entry: Entry
    about: str = ""
    institution: str | None = None
    not_after: int | None = None


class Telling:
    """The events of one transaction: collected as leaves are appended, written at its end."""

    def __init__(self) -> None:
        self._told: list[_Told] = []

    def hear(self, entry: Entry, body: Mapping[str, Any], about: str | None) -> None:
        """A leaf was appended; those of `KINDS` tell whoever holds, or asked for, the consent."""
        kind = KINDS.get(entry.type)
        if kind is None or about is None:
            return
        table, _, name = about.partition(":")
        ends = parse_instant(body["not_after"]) if entry.type in BEGINS else None
        self._told.append(_Told(kind, name, entry, about=table, not_after=ends))

    def tell(self, institution: str, kind: str, name: str, entry: Entry) -> None:
        """Tell an institution by name; `entry` is the leaf that it is told of."""
        self._told.append(_Told(kind, name, entry, institution=institution))

    def mark(self) -> int:
        """Where the telling stands now, for `rewind`."""
        return len(self._told)

    def rewind(self, mark: int) -> None:
        """Forget what was told after `mark`: the act that told it is undone."""
        del self._told[mark:]

    def write(self, conn: sa.Connection) -> None:
        """Write what was told: at most one statement for each thing to find out, and one for the rows."""
        if not self._told:
            return
        found = self._institutions(conn)
        numbers: dict[str, int] = {row.institution: row.seq or 0 for row in _last(conn, found)}
        rows, watched = [], []
        for told, (institution, name) in zip(self._told, found, strict=True):
            if institution not in numbers:
                log.error("event.nobody", kind=told.kind, index=told.entry.index)
                continue
            numbers[institution] += 1
            rows.append(_row(told, institution, name, numbers[institution]))
            if told.not_after is not None:
                watched.append(_watch(told, institution, name))
            metrics.EVENTS.labels(told.kind).inc()
        self._told.clear()
        if rows:
            conn.execute(events.insert(), rows)
        if watched:
            conn.execute(upsert(conn, expiries, ("consent",), ("institution", "idx", "not_after")), watched)

    def _institutions(self, conn: sa.Connection) -> list[tuple[str, str]]:
        """For each event the institution, empty where there is none, and the name that it knows it by."""
        held = [told.name for told in self._told if told.about == grants.name]
        asked = [told.name for told in self._told if told.about == consent_requests.name]
        by_row: dict[tuple[str, str], tuple[str, str]] = {}
        if held:
            for row in conn.execute(_HOLDERS, {"names": held}):
                by_row[grants.name, row.name] = (row.institution, row.name)
        if asked:
            for request in conn.execute(_ASKERS, {"names": asked}):
                by_row[consent_requests.name, request.request] = (request.institution, request.name)
        return [
            by_row.get((told.about, told.name), ("", told.name))
            if told.institution is None
            else (told.institution, told.name)
            for told in self._told
        ]


def _last(conn: sa.Connection, found: list[tuple[str, str]]) -> list[sa.Row[Any]]:
    return list(conn.execute(_LAST, {"names": sorted({institution for institution, _ in found})}))


def _row(told: _Told, institution: str, name: str, seq: int) -> dict[str, Any]:
    return {
        "institution": institution,
        "seq": seq,
        "kind": told.kind,
        "name": name,
        "idx": told.entry.index,
        "at": told.entry.at,
    }


def _watch(told: _Told, institution: str, name: str) -> dict[str, Any]:
    return {
        "consent": name,
        "institution": institution,
        "idx": told.entry.index,
        "not_after": told.not_after,
    }
