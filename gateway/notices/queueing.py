"""Which leaf is news to whom: the ledger is read on from where it was read last, and notices are queued.

Invariant: nothing of this happens while a bank is answered. A leaf is durable, so the notice that follows
from it can wait a moment and cannot be forgotten: `noticed` says how far the log was read, and moves on in
the transaction that queues what was found. Hence the path of a query, or of a request for consent, has no
statement and no byte by which somebody with a contact could be told from somebody without, or from nobody.

A notice is known by person, channel, template and leaf (`accessed` by the day instead: one a day), so that
reading a leaf twice queues nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from gateway.notices.senders import channels_on
from gateway.people.subjects import tag_lookups
from gateway.records.rows import china_day
from gateway.rows import ROW_KEY
from gateway.tables import contacts, noticed, outbox, subjects
from gateway.transaction import Transaction
from keys.fields import length_prefixed
from keys.instant import parse_instant
from ledger.bodies import ConsentWithdrawn
from ledger.entries import Leaf, parse_leaf
from ledger.log import read_head
from ledger.rows import insert_or_nothing
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

CHUNK: Final = 1_000
"""Leaves that are read at once."""
NOTICE_SIZE: Final = 16
WAITING: Final = "waiting"
ACCESSED: Final = "accessed"
SECOND_KEY: Final = "second-key"


def _withdrawn(leaf: Leaf) -> str:
    counter = isinstance(leaf.body, ConsentWithdrawn) and leaf.body.by == "counter"
    return "withdrawn-at-counter" if counter else "consent-withdrawn"


NEWS: Final[Mapping[str, Callable[[Leaf], str]]] = MappingProxyType(
    {
        "consent.requested": lambda _: "consent-requested",
        "consent.granted": lambda _: "consent-granted",
        "consent.withdrawn": _withdrawn,
        "query.disclosed": lambda _: ACCESSED,
        "query.predicate": lambda _: ACCESSED,
        "query.unsealed": lambda _: ACCESSED,
        "subject.enrolled": lambda _: SECOND_KEY,
        "subject.key_revoked": lambda _: "key-revoked",
        "record.corrected": lambda _: "record-corrected",
    }
)
"""Type of leaf -> the template of its notice. Of a person's first key nobody is told: it is how they joined.
"""

_LEAVES: Final = sa.select(ledger_leaves.c.idx, ledger_leaves.c.tag, ledger_leaves.c.leaf).where(
    ledger_leaves.c.shard == sa.bindparam("of_shard"),
    ledger_leaves.c.idx >= sa.bindparam("first"),
    ledger_leaves.c.idx < sa.bindparam("end"),
    ledger_leaves.c.type.in_(tuple(NEWS)),
)
_FIRST_KEYS: Final = (
    sa.select(ledger_leaves.c.tag, sa.func.min(ledger_leaves.c.idx).label("idx"))
    .where(
        ledger_leaves.c.shard == sa.bindparam("of_shard"),
        ledger_leaves.c.tag.in_(sa.bindparam("tags", expanding=True)),
        ledger_leaves.c.type == "subject.enrolled",
    )
    .group_by(ledger_leaves.c.tag)
)
_REACHED: Final = (
    sa.select(subjects.c.tag_lookup, contacts.c.subject, contacts.c.channel)
    .join(contacts, contacts.c.subject == subjects.c.subject)
    .where(subjects.c.tag_lookup.in_(sa.bindparam("lookups", expanding=True)))
)


@dataclass(frozen=True, slots=True)
class _News:
    """One leaf that is news to the person of this tag."""

    index: int
    tag: bytes
    template: str
    at: int


def queue_news(house: House) -> int:
    """Queue the notices that follow from the leaves since the last time; how many. For errands.

    The first time nothing is queued: what happened before there was somebody to tell is no news.
    """
    queued, done = 0, False
    while not done:
        added, done = _queue_chunk(house)
        queued += added
    return queued


def _queue_chunk(house: House) -> tuple[int, bool]:
    """The next chunk: how many notices it gave, and whether it was the last."""
    with house.read() as conn:
        head = read_head(conn, house.shard).size
        seen = conn.scalar(sa.select(noticed.c.size).where(noticed.c.shard == house.shard))
        if seen is None or seen > head:  # the first time; or another log, or an older state of it
            return house.transact(lambda tx: _move(tx, seen, head, ()), seals=False), True
        end = min(head, seen + CHUNK)
        if seen == end:
            return 0, True
        channels = channels_on(house.settings)
        # Nobody is told where no channel is on: no leaf need be read.
        rows = _rows(house, conn, _news(house, conn, seen, end), channels) if channels else []
    return house.transact(lambda tx: _move(tx, seen, end, rows), seals=False), end == head


def _news(house: House, conn: sa.Connection, first: int, end: int) -> list[_News]:
    """What of these leaves is news, in order."""
    found = conn.execute(_LEAVES, {"of_shard": house.shard, "first": first, "end": end})
    leaves = [(row.idx, row.tag, parse_leaf(row.leaf)) for row in found if row.tag is not None]
    news = [
        _News(index, tag, NEWS[leaf.type](leaf), parse_instant(leaf.at))
        for index, tag, leaf in sorted(leaves, key=lambda one: one[0])
        if leaf.type in NEWS
    ]
    keyed = sorted({one.tag for one in news if one.template == SECOND_KEY})
    if not keyed:
        return news
    firsts = {row.tag: row.idx for row in conn.execute(_FIRST_KEYS, {"of_shard": house.shard, "tags": keyed})}
    return [one for one in news if one.template != SECOND_KEY or one.index > firsts[one.tag]]


def _rows(
    house: House, conn: sa.Connection, news: Sequence[_News], channels: Collection[str]
) -> list[dict[str, Any]]:
    """Rows of `outbox` for those among them who can be reached, on the channels that are on."""
    if not news:
        return []
    by_lookup: dict[bytes, list[tuple[bytes, str]]] = {}
    tags = {
        lookup: tag
        for tag in {one.tag for one in news}
        for lookup in tag_lookups(house.custody, tag).values()
    }
    for row in conn.execute(_REACHED, {"lookups": sorted(tags)}):
        if row.channel in channels:
            by_lookup.setdefault(tags[row.tag_lookup], []).append((row.subject, row.channel))
    return [
        _row(house, one, subject, channel) for one in news for subject, channel in by_lookup.get(one.tag, ())
    ]


def _row(house: House, news: _News, subject: bytes, channel: str) -> dict[str, Any]:
    day = news.template == ACCESSED
    occasion = china_day(news.at).isoformat().encode() if day else news.index.to_bytes(8, "big")
    parts = length_prefixed(b"notice", subject, channel.encode(), news.template.encode(), occasion)
    return {
        "notice": house.custody.mac(ROW_KEY, parts)[:NOTICE_SIZE],
        "subject": subject,
        "channel": channel,
        "template": news.template,
        "idx": news.index,
        "state": WAITING,
        "attempts": 0,
        "next_at": 0,
    }


def _move(tx: Transaction, seen: int | None, end: int, rows: Sequence[Mapping[str, Any]]) -> int:
    """Queue and move on, unless another process was faster; how many notices are new."""
    now = tx.conn.scalar(sa.select(noticed.c.size).where(noticed.c.shard == tx.house.shard))
    if now != seen:
        return 0
    if seen is None:
        tx.conn.execute(noticed.insert(), {"shard": tx.house.shard, "size": end})
    else:
        tx.conn.execute(sa.update(noticed).where(noticed.c.shard == tx.house.shard).values(size=end))
    if not rows:
        return 0
    statement = insert_or_nothing(tx.conn, outbox, ("notice",))
    return tx.conn.execute(statement, list(rows)).rowcount
