"""The writer, on a real database: one chain, one chain a person, nothing changed afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from keys.canonical import b64u, canonical, sha256_hex
from ledger import merkle, rows
from ledger.bodies import LEAF_TYPES
from ledger.entries import parse_leaf
from ledger.errors import LogBusy, MalformedLeaf
from ledger.log import Appender, Draft, Head, lock_head, open_shard, read_head
from ledger.members import ZERO_HASH
from ledger.tables import ledger_head, ledger_leaves, ledger_sealed, ledger_subjects
from tests.ledger.kit import BANK, NOON, OPENED, ORIGIN, POLICY, SHARD, UUID, Log, new_log, refused
from tests.ledger.one_of_each import one_of_each

ANNA, BERT = b"anna tag 16 byte", b"bert tag 16 byte"
ONE_CHANGED = "ledger_leaves (shard, idx, leaf, leaf_hash, type) VALUES (0, 1, x'00', x'00', 'x')"


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return new_log(tmp_path)


def test_every_leaf_names_the_leaf_before_it(log: Log) -> None:
    for size in (1, 3, 2):
        log.grow(size)
    leaves = log.leaves()
    parsed = [parse_leaf(leaf) for leaf in leaves]
    assert [leaf.index for leaf in parsed] == list(range(6))
    assert parsed[0].type == "log.opened"
    assert parsed[0].prev == ZERO_HASH
    for before, after in pairwise(range(6)):
        assert parsed[after].prev == merkle.leaf_hash(leaves[before]).hex()
        assert parsed[after].at >= parsed[before].at
    assert log.head() == Head(6, merkle.leaf_hash(leaves[-1]), parsed[-1].instant)
    assert {leaf.log for leaf in parsed} == {ORIGIN}
    assert {leaf.policy for leaf in parsed} == {POLICY}
    assert len({leaf.salt for leaf in parsed}) == 6


def test_every_person_has_a_chain_of_their_own(log: Log) -> None:
    log.append(OPENED, refused(ANNA), refused(BERT), refused(ANNA))
    log.append(refused(BERT), refused(ANNA))
    for tag, expected in ((ANNA, [1, 3, 5]), (BERT, [2, 4])):
        of_person = [
            (i, parse_leaf(leaf), leaf) for i, leaf in enumerate(log.leaves()) if b64u(tag).encode() in leaf
        ]
        assert [index for index, _, _ in of_person] == expected
        previous = ZERO_HASH
        for number, (_, leaf, data) in enumerate(of_person, 1):
            assert leaf.subject is not None
            assert (leaf.subject.n, leaf.subject.prev) == (number, previous)
            previous = merkle.leaf_hash(data).hex()


def test_entry_is_what_was_written(log: Log) -> None:
    _, entry = log.append(OPENED, refused(ANNA, about="consent-1"))
    with log.begin() as conn:
        row = conn.execute(sa.select(ledger_leaves).where(ledger_leaves.c.idx == entry.index)).one()
        assert rows.read_leaf(conn, SHARD, entry.index) == entry.leaf
        assert rows.read_leaf(conn, SHARD, entry.index + 1) is None
    assert (row.leaf, row.leaf_hash, row.type) == (entry.leaf, entry.leaf_hash, entry.type)
    assert (row.tag, row.n, row.about) == (ANNA, 1, "consent-1")
    assert entry.leaf_hash == merkle.leaf_hash(entry.leaf)
    assert parse_leaf(entry.leaf).instant == entry.at > NOON
    assert b64u(entry.salt) == parse_leaf(entry.leaf).salt


def test_rewind_leaves_no_trace(log: Log) -> None:
    log.append(OPENED, refused(ANNA))
    with log.appending() as one:
        kept = one.append(refused(ANNA))
        mark = one.mark()
        one.append(refused(ANNA, details={"secret": "x"}))
        one.append(Draft("policy.changed", {"policy": "6b" * 32, "replaces": POLICY}))
        one.append(refused(BERT))
        one.rewind(mark)
        assert one.head == Head(3, kept.leaf_hash, kept.at)
        one.append(refused(BERT))
        one.append(refused(ANNA))
    leaves = [parse_leaf(leaf) for leaf in log.leaves()]
    assert [leaf.subject.n for leaf in leaves[1:] if leaf.subject] == [1, 2, 1, 3]
    assert {leaf.policy for leaf in leaves} == {POLICY}
    for before, after in pairwise(log.leaves()):
        assert parse_leaf(after).prev == merkle.leaf_hash(before).hex()
    with log.begin() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(ledger_sealed)).scalar() == 0


def test_what_was_flushed_is_not_taken_back(log: Log) -> None:
    with log.appending() as one:
        mark = one.mark()
        one.append(OPENED)
        one.flush()
        with pytest.raises(LogBusy):
            one.rewind(mark)
        with pytest.raises(LogBusy):
            one.rewind(one.mark() + 1)
        one.append(refused(ANNA))
    assert log.head().size == 2


def test_new_policy_is_in_force_from_its_own_leaf(log: Log) -> None:
    new = "6b" * 32
    log.append(OPENED, Draft("policy.changed", {"policy": new, "replaces": POLICY}), refused(ANNA))
    assert [parse_leaf(leaf).policy for leaf in log.leaves()] == [POLICY, new, new]


def test_details_are_sealed_bound_to_the_leaf_and_wrapped(log: Log) -> None:
    details = {"request": {"purpose": "02"}, "request_salt": "AAAA"}
    _, entry = log.append(OPENED, refused(ANNA, details=details))
    sealed = entry.salt + canonical(details)[::-1]
    leaf = parse_leaf(entry.leaf)
    assert leaf.sealed is not None
    assert (leaf.sealed.key, leaf.sealed.sha256) == (UUID, sha256_hex(sealed))
    with log.begin() as conn:
        row = conn.execute(sa.select(ledger_sealed)).one()
    assert (row.sha256.hex(), row.idx, row.epoch) == (leaf.sealed.sha256, entry.index, 1)
    assert row.blob == b"wrapped:" + row.sha256 + sealed
    assert b"request_salt" not in entry.leaf


def test_draft_that_is_no_leaf_appends_nothing(log: Log) -> None:
    log.append(OPENED)
    bad: list[Draft] = [
        Draft("query.refused", {"query": UUID}, tag=ANNA, by=BANK),
        Draft("query.unknown", {}, tag=ANNA, by=BANK),
        refused(ANNA[:-1]),
        Draft("query.refused", refused(ANNA).body, tag=None, by=BANK),
        Draft("log.closed", {"reason": "suite"}, tag=ANNA),
        OPENED,
    ]
    with log.appending() as one:
        for draft in bad:
            with pytest.raises(MalformedLeaf):
                one.append(draft)
        assert one.head.size == 1
        one.append(refused(ANNA))
    assert log.head().size == 2
    last = parse_leaf(log.leaves()[-1])
    assert last.subject is not None
    assert last.subject.n == 1


def test_leaf_longer_than_a_bundle_can_say_is_not_appended(log: Log) -> None:
    copies = [{"kid": f"{number:042d}A", "sealed": "A" * 1024} for number in range(64)]
    body = {"id": UUID, "sha256": "5a" * 32, "sealed": copies}
    log.append(OPENED)
    with log.appending() as one:
        one.append(Draft("key.sealing", {**body, "sealed": copies[:-10]}))
        with pytest.raises(MalformedLeaf, match="65,535"):
            one.append(Draft("key.sealing", body))
        assert one.head.size == 2


@pytest.mark.parametrize(
    "head", [Head(1, bytes(31), 0), Head(-1, bytes(32), 0), Head(2**53, bytes(32), 0)], ids=str
)
def test_head_that_no_leaf_can_follow_is_refused(log: Log, head: Head) -> None:
    with log.begin() as conn, pytest.raises(MalformedLeaf):
        Appender(conn, SHARD, ORIGIN, head, NOON, POLICY, log.random)


@pytest.mark.parametrize(
    ("n", "last"), [(2**53 - 1, bytes(32)), (0, bytes(32)), (1, bytes(31)), ("x", bytes(32))]
)
def test_person_whose_chain_has_no_proper_head_is_not_written_about(log: Log, n: Any, last: bytes) -> None:
    log.append(OPENED, refused(ANNA))
    with log.begin() as conn:
        conn.execute(sa.text("UPDATE ledger_subjects SET n = :n, leaf_hash = :last"), {"n": n, "last": last})
    with log.appending() as one:
        one.load_subjects([ANNA, BERT])
        assert (one.continues(ANNA), one.continues(BERT)) == (False, True)


def test_log_begins_with_its_opening(log: Log) -> None:
    with log.appending() as one, pytest.raises(MalformedLeaf):
        one.append(refused(ANNA))


def test_details_without_a_sealing_key_are_not_dropped(log: Log) -> None:
    log.append(OPENED)
    with log.begin() as conn:
        head = lock_head(conn, SHARD)
        one = Appender(conn, SHARD, ORIGIN, head, head.at, POLICY, log.random)
        with pytest.raises(MalformedLeaf):
            one.append(refused(ANNA, details={"request": {}}))


def test_time_does_not_run_backwards(log: Log) -> None:
    log.append(OPENED)
    with log.begin() as conn:
        head = lock_head(conn, SHARD)
        with pytest.raises(LogBusy):
            Appender(conn, SHARD, ORIGIN, head, head.at - 1, POLICY, log.random)


def test_batch_needs_the_same_round_trips_whatever_its_size(log: Log) -> None:
    log.append(OPENED)
    statements: list[str] = []
    sa.event.listen(log.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    counts = []
    for size in (1, 60):
        tags = [b"%016d" % number for number in range(size)]
        statements.clear()
        with log.appending() as one:
            one.load_subjects(tags)
            for tag in tags:
                one.append(refused(tag, details={"request": {}}))
        counts.append(len(statements))
    assert counts[0] == counts[1] == 7  # begin, lock, subjects; then leaves, sealed, subjects, head


def test_tag_nobody_announced_is_read_all_the_same(log: Log) -> None:
    log.append(OPENED, refused(ANNA))
    with log.appending() as one:
        one.load_subjects([])
        entry = one.append(refused(ANNA))
    subject = parse_leaf(entry.leaf).subject
    assert subject is not None
    assert subject.n == 2


def test_nothing_is_committed_here(log: Log) -> None:
    log.append(OPENED)
    with log.engine.connect() as conn, conn.begin() as transaction:
        head = lock_head(conn, SHARD)
        one = Appender(conn, SHARD, ORIGIN, head, head.at, POLICY, log.random)
        one.append(refused(ANNA))
        one.flush()
        assert read_head(conn, SHARD).size == 2
        transaction.rollback()
    assert log.head().size == 1
    assert len(log.leaves()) == 1


def test_head_that_moved_under_the_lock_stops_the_writer(log: Log) -> None:
    log.append(OPENED)
    with log.begin() as conn:
        head = lock_head(conn, SHARD)
        one = Appender(conn, SHARD, ORIGIN, head, head.at, POLICY, log.random)
        one.append(refused(ANNA))
        conn.execute(sa.update(ledger_head).values(leaf_hash=bytes(32)))
        with pytest.raises(LogBusy):
            one.flush()
        conn.rollback()
    assert len(log.leaves()) == 1


def test_writers_at_once_make_one_chain(log: Log) -> None:
    log.append(OPENED)
    others = [new_log(log.path) for _ in range(4)]

    def write(number: int) -> None:
        for _ in range(10):
            others[number].append(refused(ANNA), refused(b"%016d" % number))

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(write, range(4)))
    leaves = log.leaves()
    assert len(leaves) == 81
    for before, after in pairwise(leaves):
        assert parse_leaf(after).prev == merkle.leaf_hash(before).hex()
    of_anna = [
        leaf.subject.n for leaf in map(parse_leaf, leaves) if leaf.subject and leaf.subject.tag == b64u(ANNA)
    ]
    assert of_anna == list(range(1, 41))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_leaves SET leaf = x'00' WHERE idx = 1",
        "UPDATE ledger_leaves SET about = 'x'",
        "DELETE FROM ledger_leaves WHERE idx = 1",
        f"INSERT OR REPLACE INTO {ONE_CHANGED}",
        "REPLACE INTO ledger_leaves SELECT shard, 9, leaf, leaf_hash, type, tag, n, about FROM ledger_leaves",
        f"INSERT INTO {ONE_CHANGED} ON CONFLICT DO UPDATE SET leaf = x'00'",
    ],
)
def test_leaves_are_never_changed_in_place(log: Log, statement: str) -> None:
    log.append(OPENED, refused(ANNA))
    before = log.leaves()
    with (
        log.begin() as conn,
        pytest.raises(IntegrityError, match=r"a leaf of the ledger (is )?never"),
    ):
        conn.exec_driver_sql(statement)
    assert log.leaves() == before


def test_log_is_opened_once(log: Log) -> None:
    with log.begin() as conn, pytest.raises(IntegrityError):
        open_shard(conn, SHARD)
    with log.begin() as conn, pytest.raises(LogBusy):
        lock_head(conn, SHARD + 1)


def test_logs_beside_each_other_do_not_mix(log: Log) -> None:
    log.append(OPENED, refused(ANNA))
    with log.begin() as conn:
        head = open_shard(conn, 1)
        one = Appender(conn, 1, "credit.example.cn/log1", head, NOON, POLICY, log.random)
        one.append(Draft("log.opened", {"origin": "credit.example.cn/log1"}))
        entry = one.append(refused(ANNA))
        assert one.flush().size == 2
        assert list(rows.read_leaves(conn, 1, 1, 2)) == [entry.leaf]
        assert conn.execute(sa.select(sa.func.count()).select_from(ledger_subjects)).scalar() == 2
    assert entry.index == 1
    assert b'"n":1' in entry.leaf
    assert log.head().size == 2


def test_missing_leaf_is_not_read_over(log: Log) -> None:
    log.grow(5)
    with log.begin() as conn, pytest.raises(LogBusy):
        list(rows.read_leaves(conn, SHARD, 3, 6))


def test_every_type_of_leaf_is_written_and_read_back(log: Log) -> None:
    drafts = {draft.type: draft for draft in one_of_each()}
    assert set(drafts) == set(LEAF_TYPES)
    entries = log.append(*drafts.values())
    assert (
        [parse_leaf(leaf).type for leaf in log.leaves()] == [entry.type for entry in entries] == list(drafts)
    )


def test_postgresql_locks_the_head_row_and_knows_the_upserts() -> None:
    class Postgres:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped

    conn: Any = Postgres()
    upsert = rows.upsert(conn, ledger_subjects, ("shard", "tag"), ("n", "leaf_hash"))
    text = str(upsert.compile(dialect=conn.dialect))
    assert "ON CONFLICT (shard, tag) DO UPDATE SET n = excluded.n, leaf_hash = excluded.leaf_hash" in text
    lock = sa.select(ledger_head.c.size).where(ledger_head.c.shard == 0).with_for_update()
    assert str(lock.compile(dialect=conn.dialect)).endswith("FOR UPDATE")
