"""The first way back: a database that was put back behind its log gets the missing leaves from the log's
tiles.

Invariant: everything happens in one transaction under the head's lock, so that a kill leaves the database as
it was and the command is simply run again. Afterwards the log stands as it was published, followed by
`log.recovered`; every row is tied to its latest leaf, every person's records are stated anew as they are
held, and quotas count what was asked in between. What came back void is listed for those who have to send it
again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.policy import parse_policy
from gateway import policies, rows
from gateway.errors import EvidenceBroken, NotReady
from gateway.heads import head_mac, require_own
from gateway.institutions.published import public_key
from gateway.publishing import POLICY, publisher_of
from gateway.recovery.effects import TABLES, Names, began, change_of, ended_key
from gateway.recovery.onward import go_on
from gateway.tables import policies as policy_rows
from gateway.tables import published_keys, queries
from keys.canonical import sha256_hex
from keys.errors import BadSignature, KeysError
from keys.rotation import Rotation, Statement, verify_rotation
from ledger.bodies import (
    Answered,
    KeyRevoked,
    KeyRotated,
    PolicyChanged,
    QueryPending,
)
from ledger.entries import Leaf
from ledger.errors import RolledBack
from ledger.files import read_if_there
from ledger.log import Head, lock_head
from ledger.logkeys import claimed
from ledger.merkle import leaf_hash
from ledger.putback import missing_leaves, put_back, recoverable
from ledger.rows import insert_or_nothing
from ledger.tables import ledger_published
from ledger.tiles import TileDirectory

if TYPE_CHECKING:
    from gateway.house import House

HARMLESS = (
    "query.",
    "consent.requested",
    "consent.declined",
    "consent.lapsed",
    "consent.granted",
    "consent.withdrawn",
    "consent.suspended",
    "subject.",
    "record.ingested",
    "record.restated",
    "institution.suspended",
    "operator.suspended",
    "key.sealing",
    "key.data",
)
"""Types, or nouns, of leaves that end, count or void something, and open nothing."""

VOID = {
    "subject.enrolled": "enrolments",
    "consent.requested": "requests for consent",
    "consent.granted": "consents",
    "query.pending": "statutory queries",
    "record.ingested": "chunks of records",
    "record.corrected": "corrections",
    "institution.registered": "institutions",
    "operator.registered": "operators",
    "case.opened": "legal holds",
}
"""What a lost part of the log began and cannot bring back, in words."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """`since` leaves were there, `size` are again; `void` counts, by `VOID`'s words, what has to be sent
    anew.
    """

    since: int
    size: int
    index: int
    void: Mapping[str, int]


def recover(house: House, progress: Callable[[int], None] | None = None) -> Recovered:
    """Bring back what the database lacks. The house was opened `behind`; `NotReady` if nothing is missing."""
    publisher = publisher_of(house)
    note = read_if_there(publisher.outside)
    if note is None:
        raise NotReady(f"{publisher.outside} is not there: nothing tells how far the log had come")
    with house.putting_back() as conn:
        head = lock_head(conn, house.shard)
        require_own(house.custody, house.shard, head, None)
        tiles = TileDirectory(house.settings.log_dir)
        try:
            size = recoverable(tiles, claimed(note), head)
        except RolledBack as error:
            raise NotReady(f"{error}: find the newest tiles, or run `chengxin ledger reopen`") from error
        if size == head.size:
            raise NotReady("the database has every leaf of the log: nothing is missing")
        missing = [leaf for leaf, _ in missing_leaves(tiles, head, size)]
        after = _put_leaves(house, conn, head, missing, progress)
        # Only now is every key known that may have signed it.
        newest = publisher.keys(conn).open(note)
        conn.execute(
            sa.update(ledger_published)
            .where(ledger_published.c.shard == house.shard, ledger_published.c.size < newest.size)
            .values(size=newest.size, note=note)
        )
        _require_harmless(missing, newest.size)
        index = go_on(house, conn, after, missing, head.size)
    void = Counter(VOID[leaf.type] for leaf in missing if leaf.type in VOID)
    return Recovered(head.size, size, index, void)


def _require_harmless(missing: list[Leaf], signed: int) -> None:
    """`NotReady` when what lies beyond the newest checkpoint, by nobody's signature, would loosen anything.

    A crash leaves a second's worth of entries there, which count; whoever can write to the tiles could add
    more, and must not have a party reinstated, a key installed or a record destroyed by them.
    """
    for leaf in missing:
        if leaf.index >= signed and not leaf.type.startswith(HARMLESS):
            raise NotReady(
                f"entry {leaf.index} of the tiles ({leaf.type}) is under no signed checkpoint: if nobody "
                f"knows of it, remove from the log's tile directory what lies beyond {signed} entries"
            )


def _put_leaves(
    house: House, conn: sa.Connection, head: Head, missing: list[Leaf], progress: Callable[[int], None] | None
) -> Head:
    """The leaves and all that they change in rows that are there."""
    names = Names(conn, house.shard, missing)
    held = _evident_rows(house, conn, names.all())
    tiles = TileDirectory(house.settings.log_dir)
    hashes: dict[int, bytes] = {}

    def one_by_one() -> Iterable[tuple[Leaf, bytes]]:
        for leaf, data in missing_leaves(tiles, head, head.size + len(missing)):
            hashes[leaf.index] = leaf_hash(data)
            yield leaf, data
            if progress is not None:
                progress(1)

    after = put_back(
        conn, house.shard, head, iter(one_by_one()), names, partial(head_mac, house.custody, house.shard)
    )
    for leaf in missing:
        if isinstance(leaf.body, PolicyChanged):
            _put_policy(house, conn, leaf.body.policy, leaf.index)
        _change(house, conn, leaf, names(leaf), held, hashes[leaf.index])
    _write(house, conn, held, hashes)
    _put_queries(conn, missing)
    return after


def _evident_rows(house: House, conn: sa.Connection, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rows with these names that are what the ledger last said of them, as of the backup."""
    keys: dict[str, set[str]] = defaultdict(set)
    for full in names:
        of, _, key = full.partition(":")
        keys[of].add(key)
    held: dict[str, dict[str, Any]] = {}
    for name, table in TABLES.items():
        if keys[name]:
            for row in rows.read_named(conn, table, keys[name], house.shard):
                if rows.is_evident(house.custody, table, row):
                    held[rows.name_of(table, row)] = rows.columns_of(table, row)
    return held


def _change(
    house: House,
    conn: sa.Connection,
    leaf: Leaf,
    name: str | None,
    held: dict[str, dict[str, Any]],
    digest: bytes,
) -> None:
    made = began(leaf)
    if made is not None and name is not None and name not in held:
        table, row = made
        row = rows.protect(house.custody, table, {**row, "changed_index": leaf.index}, digest)
        conn.execute(insert_or_nothing(conn, table, ("use", "kid")).values(row))
        held[name] = {key: value for key, value in row.items() if key != "mac"}
        if isinstance(leaf.body, KeyRotated):
            _require_signed(house, leaf.body, held)
    elif name in held:
        change = ended_key(leaf, held[name]) if isinstance(leaf.body, KeyRevoked) else change_of(leaf)
        held[name] |= change | {"changed_index": leaf.index}


def _require_signed(house: House, body: KeyRotated, held: Mapping[str, Mapping[str, Any]]) -> None:
    """`EvidenceBroken` unless the key that is replaced signed for the one that follows it."""
    old = held.get(rows.about(published_keys, f"{body.use}:{body.from_}"))
    statement = Statement(house.origin, body.use, body.holder, body.from_, body.to, dict(body.public))
    try:
        if old is None:
            raise BadSignature("it replaces a key that was never published")
        verify_rotation(Rotation(statement, body.signatures.old, body.signatures.new), public_key(old))
    except KeysError as error:
        raise EvidenceBroken("a rotation in the tiles is not signed by the key that it replaces") from error


def _write(
    house: House, conn: sa.Connection, held: Mapping[str, dict[str, Any]], hashes: Mapping[int, bytes]
) -> None:
    """Write every row that a leaf changed, tied to that leaf."""
    for name, row in held.items():
        if row["changed_index"] in hashes:
            table = TABLES[name.partition(":")[0]]
            changed = rows.protect(house.custody, table, row, hashes[row["changed_index"]])
            key = [column == row[column.name] for column in table.primary_key.columns]
            conn.execute(sa.update(table).where(*key).values(**changed))


def _put_policy(house: House, conn: sa.Connection, named: str, index: int) -> None:
    """The bundle that a leaf put in force, out of the log's own directory."""
    if policies.stored(conn, named) is not None:
        return
    file: Path = house.settings.log_dir / POLICY / f"{named}.json"
    body = file.read_bytes() if file.is_file() else b""
    if sha256_hex(body) != named:
        raise NotReady(f"the policy {named} was put in force after this backup: put its JSON at {file}")
    parse_policy(body)
    conn.execute(policy_rows.insert(), {"hash": named, "body": body, "idx": index})


def _put_queries(conn: sa.Connection, missing: Iterable[Leaf]) -> None:
    """Ids that were used up stay used up."""
    spent = [
        {"institution": leaf.by.institution, "query": leaf.body.query, "idx": leaf.index}
        for leaf in missing
        if isinstance(leaf.body, Answered | QueryPending) and leaf.by is not None
    ]
    if spent:
        conn.execute(insert_or_nothing(conn, queries, ("institution", "query")), spent)
