"""Quotas (配额): how much an operator and its institution may ask, counted under the head's lock.

Invariant: what is counted here is what an auditor counts from the leaves: one for each leaf of an
institution's operator that asks about a person (`README.md` says which), refusals included, in the window of
the leaf's own time. An ask beyond a quota leaves no leaf but one more in `throttled`, from which
`flush_throttled` makes one leaf an operator and minute. A counter that its MAC does not cover counts as full.

A counter is bound to no leaf: an older row put back with its older MAC passes here. An auditor, who counts
the leaves themselves, sees it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import sqlalchemy as sa
import structlog

from consent.policy import PolicyBundle
from consent.quotas import Quota, window, window_end
from gateway import metrics, rows
from gateway.query.ruled import Throttled
from gateway.tables import quota_counts, throttled
from gateway.transaction import Transaction
from keys.instant import MINUTE, format_instant
from ledger.exchange import Reading, alone, run
from ledger.fixed import Call, Row
from ledger.sets import both, pairs, to_add, to_upsert

if TYPE_CHECKING:
    from gateway.house import House

CHUNK = 256
_NO_LEAF = bytes(32)

# Built once: building a statement costs more than running it.
COUNTS = both(
    lambda among: sa.select(quota_counts).where(
        among((quota_counts.c.scope, quota_counts.c.name, quota_counts.c.purpose, quota_counts.c.per), "keys")
    )
)
DUE = (
    sa.select(throttled)
    .where(throttled.c.minute < sa.bindparam("now"))
    .order_by(throttled.c.minute, throttled.c.operator)
    .limit(CHUNK)
)
FLUSHED = sa.delete(throttled).where(
    throttled.c.operator == sa.bindparam("of"), throttled.c.minute == sa.bindparam("in_minute")
)

log = structlog.get_logger(__name__)


class Charge(NamedTuple):
    """Whom one ask is charged to, and for what purpose: all that a quota looks at."""

    institution: str
    operator: str
    purpose: str


class Key(NamedTuple):
    """One counter: `name` is an operator's id or an institution's, `purpose` "" but for that scope."""

    scope: str
    name: str
    purpose: str
    per: str


class Count(msgspec.Struct, frozen=True):
    """How many in which window. One that is not `sound` leaves no room in any."""

    window: int
    count: int
    sound: bool = True


Counters: TypeAlias = dict[Key, Row | None]
"""Rows as they were read; None where there is none yet."""

Quotas = Sequence[tuple[Quota, str]]
_NONE = Count(0, 0)


def wait(counts: Mapping[Key, Count], quotas: Quotas, at: int) -> int | None:
    """Whole seconds until every one of these quotas has room, None when they have it at `at` (ms). Pure."""
    full = [quota for quota, name in quotas if not _has_room(counts.get(_key(quota, name), _NONE), quota, at)]
    return max((-(-(window_end(quota.per, at) - at) // 1000) for quota in full), default=None)


def take(counts: MutableMapping[Key, Count], quotas: Quotas, at: int) -> int | None:
    """Count one ask in `counts` against all of these quotas, or against none and say how long to `wait`."""
    seconds = wait(counts, quotas, at)
    if seconds is None:
        for quota, name in quotas:
            key, now = _key(quota, name), window(quota.per, at)
            before = counts.get(key, _NONE)
            counts[key] = Count(now, before.count + 1 if before.window == now else 1)
    return seconds


def _key(quota: Quota, name: str) -> Key:
    return Key(quota.scope, name, quota.purpose or "", quota.per)


def _has_room(found: Count, quota: Quota, at: int) -> bool:
    now = window(quota.per, at)
    if not found.sound or found.window > now:  # the leaves' time never goes back: such a row is none of ours
        return False
    return found.window < now or 0 <= found.count < quota.limit


def reading_ahead(conn: sa.Connection, policy: PolicyBundle, asks: Iterable[Charge]) -> Reading[Counters]:
    """The counters of these under a policy that may not be in force any more once they are read."""
    wanted = sorted({_key(quota, name) for one in set(asks) for quota, name in policy.quotas_for(*one)})
    return (yield from _reading(conn, wanted))


def _reading(conn: sa.Connection, wanted: Sequence[Key]) -> Reading[Counters]:
    found: Counters = dict.fromkeys(wanted)
    if wanted:
        for row in (yield Call(COUNTS, pairs(conn, "keys", wanted))):
            found[Key(row.scope, row.name, row.purpose, row.per)] = row
    return found


class Meter:
    """The counters of one batch: read once, taken from in memory, written once."""

    def __init__(self, tx: Transaction, ahead: Counters | None = None) -> None:
        """Without a count yet: `read` before anything is taken. `ahead` was read under the same lock."""
        self._tx = tx
        self._ahead: Counters = ahead or {}
        self._read: dict[Key, Count] = {}
        self._turned_away: dict[str, int] = {}
        self._now: dict[Key, Count] = {}
        self._against: dict[tuple[Charge, bool], Quotas] = {}

    def read(self, asks: Iterable[Charge]) -> Reading[None]:
        """What was counted so far against the quotas of these."""
        wanted = {_key(quota, name) for one in set(asks) for quota, name in self._quotas(one)}
        further = yield from _reading(self._tx.conn, sorted(wanted - self._ahead.keys()))
        for key, row in (self._ahead | further).items():
            if row is not None and key in wanted:
                self._read[key] = _count(self._tx, row.as_dict())
        self._now = dict(self._read)

    def turn_away(self, asked: Charge) -> Throttled | None:
        """`Throttled` when there is no room whatever becomes of the ask. Counts nothing else."""
        return self._throttled(asked, wait(self._now, self._quotas(asked, again=True), self._tx.at))

    def take(self, asked: Charge, *, again: bool = False) -> Throttled | None:
        """Count one leaf, or `Throttled`. `again` for an answer given again, which counts for no purpose."""
        return self._throttled(asked, take(self._now, self._quotas(asked, again=again), self._tx.at))

    def give_back(self, asked: Charge) -> None:
        """Take back what `take` has counted: the ask leaves no leaf after all."""
        for quota, name in self._quotas(asked):
            key = _key(quota, name)
            self._now[key] = Count(self._now[key].window, self._now[key].count - 1)

    def count(self, asked: Charge, at: int) -> None:
        """Count one leaf of a time (ms) that is over, whatever room there was."""
        for quota, name in self._quotas(asked, again=not asked.purpose):
            key, then = _key(quota, name), window(quota.per, at)
            before = self._now.get(key, _NONE)
            if before.sound and before.window <= then:
                self._now[key] = Count(then, before.count + 1 if before.window == then else 1)

    def to_write(self) -> list[Call]:
        """What writes what was counted: a statement for the counters, one for those turned away."""
        conn, custody, calls = self._tx.conn, self._tx.house.custody, list[Call]()
        changed = [(key, count) for key, count in self._now.items() if self._read.get(key) != count]
        if changed:
            made = [
                key._asdict() | {"window": one.window, "count": one.count} for key, one in sorted(changed)
            ]
            protected = [rows.protect(custody, quota_counts, row, _NO_LEAF) for row in made]
            calls += to_upsert(conn, quota_counts, Key._fields, ("window", "count", "mac"), protected)
        if self._turned_away:
            minute = self._tx.at // MINUTE
            counted = [
                {"operator": operator, "minute": minute, "count": count}
                for operator, count in sorted(self._turned_away.items())
            ]
            calls += to_add(conn, throttled, ("operator", "minute"), "count", counted)
        return calls

    def _quotas(self, asked: Charge, *, again: bool = False) -> Quotas:
        against = self._against.get((asked, again))
        if against is None:  # a batch is asked by few: what they count against is found once for all
            found = self._tx.policy.quotas_for(asked.institution, asked.operator, asked.purpose)
            against = tuple(one for one in found if not (again and one[0].scope == "purpose"))
            self._against[asked, again] = against
        return against

    def _throttled(self, asked: Charge, seconds: int | None) -> Throttled | None:
        if seconds is None:
            return None
        self._turned_away[asked.operator] = self._turned_away.get(asked.operator, 0) + 1
        metrics.decisions("query", "throttled", "").inc()
        return Throttled(seconds)


def take_one(tx: Transaction, asked: Charge, *, again: bool = False) -> Throttled | None:
    """Count one leaf that an act of its own is about to append, or say that there is no room for it."""
    meter = Meter(tx)
    alone(tx.conn, meter.read([asked]))
    turned_away = meter.take(asked, again=again)
    run(tx.conn, meter.to_write())
    return turned_away


def recount(tx: Transaction, asks: Iterable[tuple[Charge, int]]) -> None:
    """Count leaves that came back, each at its own time (ms), so that quotas hold for what follows them."""
    counted = list(asks)
    meter = Meter(tx)
    alone(tx.conn, meter.read(asked for asked, _ in counted))
    for asked, at in counted:
        meter.count(asked, at)
    run(tx.conn, meter.to_write())


def flush_throttled(house: House) -> int:
    """One `query.throttled` for each operator and finished minute that turned some away; how many leaves.

    For housekeeping, as often as it likes; a minute that is still running waits for the next time.
    """
    done = 0
    while flushed := house.transact(_flush, seals=False):
        done += flushed
    return done


def _flush(tx: Transaction) -> int:
    due = tx.conn.execute(DUE, {"now": tx.at // MINUTE}).all()
    for row in due:
        minute = format_instant(row.minute * MINUTE)
        tx.append("query.throttled", {"operator": row.operator, "minute": minute, "count": row.count})
    if due:
        tx.conn.execute(FLUSHED, [{"of": row.operator, "in_minute": row.minute} for row in due])
    return len(due)


def _count(tx: Transaction, row: dict[str, Any]) -> Count:
    expected = rows.protect(tx.house.custody, quota_counts, row, _NO_LEAF)["mac"]
    if isinstance(row["mac"], bytes) and hmac.compare_digest(row["mac"], expected):
        return Count(row["window"], row["count"])
    metrics.EVIDENCE_BROKEN.labels("quota_counts").inc()
    log.error("evidence.broken", table="quota_counts", key=row["name"])
    return Count(0, 0, sound=False)
