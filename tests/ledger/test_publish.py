"""Publication: never two histories, whatever crashes and whoever restores a backup."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from keys.notes import Vkey, make_vkey
from ledger import files, merkle
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import BrokenCheckpoint, Forked, HeadBehind, LogBusy, RolledBack
from ledger.logkeys import LogKey, LogKeys
from ledger.publish import Publisher, Write, check_not_behind, read_published
from ledger.rows import read_head
from ledger.tables import ledger_published
from ledger.tiles import TileDirectory
from tests.ledger.kit import KEYS, ORIGIN, PUBLIC, SHARD, VKEY, Log, new_log, sign


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return new_log(tmp_path)


def in_database(log: Log) -> Checkpoint | None:
    with log.begin() as conn:
        published = read_published(conn, SHARD, KEYS)
    return None if published is None else published.checkpoint


def root_of(log: Log, size: int) -> bytes:
    return merkle.root([merkle.leaf_hash(leaf) for leaf in log.leaves()[:size]])


def assert_published(log: Log, size: int) -> None:
    """Database, copy and file agree, the root is that of the leaves, and the tiles serve all of it."""
    expected = Checkpoint(ORIGIN, size, root_of(log, size))
    publisher = log.publisher
    assert in_database(log) == expected
    assert publisher.outside.read_bytes() == publisher.file.read_bytes()
    assert open_checkpoint(publisher.file.read_bytes(), VKEY) == expected
    assert publisher.tiles.root_at(size) == expected.root
    assert [publisher.tiles.leaf(index, size) for index in range(size)] == log.leaves()[:size]


def test_what_is_committed_is_published(log: Log) -> None:
    for size in (1, 4, 300):
        log.grow(size)
        published = log.publisher.publish()
        assert published is not None
        assert_published(log, log.head().size)


def test_nothing_new_signs_nothing(log: Log) -> None:
    def never(_vkey: Vkey, message: bytes) -> bytes:
        raise AssertionError("signed")

    idle = dataclasses.replace(log.publisher, sign=never)
    assert idle.publish() is None
    log.grow(3)
    log.publisher.publish()
    assert idle.publish() is None
    idle.check()
    assert_published(log, 3)


# Every durable step in turn is broken twice: the crash comes before it, and right after.


class Crash(Exception):
    """The machine stops."""


class Steps:
    """Counts durable steps and stops at one of them."""

    def __init__(self, stop: int, persisted: bool) -> None:
        self.stop, self.persisted, self.count = stop, persisted, 0

    def step(self, do: Callable[[], None]) -> None:
        self.count += 1
        if self.count != self.stop:
            do()
            return
        if self.persisted:
            do()
        raise Crash

    def write(self, path: Path, data: bytes) -> None:
        self.step(lambda: files.write_atomic(path, data))

    def begin(self, log: Log) -> Write:
        @contextmanager
        def begun() -> Iterator[sa.Connection]:
            with log.engine.connect() as conn, conn.begin() as transaction:
                yield conn
                self.step(transaction.commit)

        return begun


def publish_with(
    log: Log, steps: Steps, monkeypatch: pytest.MonkeyPatch, publisher: Publisher | None = None
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("ledger.tiles.write_atomic", steps.write)
        patched.setattr("ledger.publish.write_atomic", steps.write)
        begin = steps.begin(log)
        dataclasses.replace(publisher or log.publisher, read=begin, write=begin).publish()


STEPS_OF_ONE_PUBLICATION = 10  # a reading, the leaves, five tiles, the swap, the copy, the file


def test_crash_table_leaves_out_no_step(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.grow(200)
    log.publisher.publish()
    log.grow(100)
    steps = Steps(0, persisted=False)
    publish_with(log, steps, monkeypatch)
    assert steps.count == STEPS_OF_ONE_PUBLICATION


@pytest.mark.parametrize("persisted", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stop", range(1, STEPS_OF_ONE_PUBLICATION + 1))
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_crash_at_any_step_leaves_a_log_that_goes_on_without_a_fork(
    log: Log, monkeypatch: pytest.MonkeyPatch, stop: int, persisted: bool, first: bool
) -> None:
    log.grow(200)
    if not first:
        log.publisher.publish()
    log.grow(100)
    with pytest.raises(Crash):
        publish_with(log, Steps(stop, persisted), monkeypatch)
    seen = [
        open_checkpoint(path.read_bytes(), VKEY)
        for path in (log.publisher.outside, log.publisher.file)
        if path.exists()
    ]
    seen += [checkpoint for checkpoint in [in_database(log)] if checkpoint is not None]
    for checkpoint in seen:
        assert checkpoint.root == root_of(log, checkpoint.size)
    log.publisher.check()
    log.publisher.publish()
    assert_published(log, 300)
    log.grow(7)
    log.publisher.publish()
    assert_published(log, 307)


# The same table with a rotation of the log's key among the leaves that are published.

NEXT = SigningKey(b"the seed of the key that follows")
NEXT_VKEY = make_vkey(ORIGIN, bytes(NEXT.verify_key))
ROTATED_AT = 250


def rotating(log: Log, *, told: bool = True) -> Publisher:
    """The publisher of a log whose key ended at a leaf; before that leaf is there, nobody knows."""
    keys = LogKeys((LogKey(VKEY, 0, ROTATED_AT), LogKey(NEXT_VKEY, ROTATED_AT)))
    signers = {VKEY: sign, NEXT_VKEY: lambda message: bytes(NEXT.sign(message).signature)}
    return dataclasses.replace(
        log.publisher,
        keys=lambda conn: keys if told and read_head(conn, SHARD).size > ROTATED_AT else KEYS,
        sign=lambda vkey, message: signers[vkey](message),
    )


@pytest.mark.parametrize("persisted", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stop", range(1, STEPS_OF_ONE_PUBLICATION + 1))
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_crash_while_the_key_is_rotated_leaves_a_log_that_goes_on(
    log: Log, monkeypatch: pytest.MonkeyPatch, stop: int, persisted: bool, first: bool
) -> None:
    log.grow(200)
    if not first:
        rotating(log).publish()
        assert open_checkpoint(log.publisher.file.read_bytes(), VKEY).size == 200
    log.grow(100)
    with pytest.raises(Crash):
        publish_with(log, Steps(stop, persisted), monkeypatch, rotating(log))
    for size in (300, 307):
        rotating(log).check()
        rotating(log).publish()
        assert open_checkpoint(log.publisher.file.read_bytes(), NEXT_VKEY).size == size
        assert log.publisher.outside.read_bytes() == log.publisher.file.read_bytes()
        log.grow(7)


def test_a_checkpoint_beyond_its_end_by_the_old_key_is_refused(log: Log) -> None:
    """A publisher that does not know of the rotation, or a thief of the old key."""
    log.grow(300)
    rotating(log, told=False).publish()
    refuses(log, BrokenCheckpoint, rotating(log))


def test_a_database_put_back_to_before_the_rotation_is_refused(log: Log) -> None:
    log.grow(200)
    rotating(log).publish()
    saved = backup(log)
    log.grow(100)
    rotating(log).publish()
    restore(log, saved)
    refuses(log, RolledBack, rotating(log))


def test_leaves_committed_between_a_crash_and_the_next_start_are_published_with_the_rest(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.grow(250)
    log.publisher.publish()
    log.grow(3)
    with pytest.raises(Crash):
        publish_with(log, Steps(4, persisted=True), monkeypatch)
    log.grow(10)
    log.publisher.publish()
    assert_published(log, 263)


# Backups restored, histories rewritten.


def backup(log: Log) -> Path:
    to = log.path / "backup.db"
    with closing(sqlite3.connect(log.path / "ledger.db")) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return to


def restore(log: Log, saved: Path) -> None:
    with (
        closing(sqlite3.connect(saved)) as source,
        closing(sqlite3.connect(log.path / "ledger.db")) as target,
    ):
        source.backup(target)


def restored(log: Log) -> None:
    """A log of 10 published leaves put back to 5, of which 5 were published."""
    log.grow(5)
    log.publisher.publish()
    saved = backup(log)
    log.grow(5)
    log.publisher.publish()
    restore(log, saved)


def refuses(log: Log, why: type[Exception], publisher: Publisher | None = None) -> None:
    """Neither starts nor signs, and leaves what was published as it was."""

    def never(_vkey: Vkey, message: bytes) -> bytes:
        raise AssertionError("signed")

    publisher = publisher or log.publisher
    before = [path.read_bytes() for path in (publisher.outside, publisher.file) if path.exists()]
    for act in (publisher.check, dataclasses.replace(publisher, sign=never).publish):
        with pytest.raises(why):
            act()
    assert before == [path.read_bytes() for path in (publisher.outside, publisher.file) if path.exists()]


def test_restored_backup_is_refused(log: Log) -> None:
    restored(log)
    refuses(log, RolledBack)


def test_restored_backup_that_has_grown_past_the_copy_is_refused(log: Log) -> None:
    restored(log)
    log.grow(20)
    refuses(log, RolledBack)


def test_history_rewritten_with_its_checkpoints_is_refused_by_the_copy_outside(log: Log) -> None:
    restored(log)
    copy = log.publisher.outside.read_bytes()
    log.grow(20)
    shutil.rmtree(log.path / "public")  # the insider has the database and the public files, and the key
    forged = dataclasses.replace(log.publisher, outside=log.path / "elsewhere" / "checkpoint")
    assert forged.publish() is not None
    assert log.publisher.outside.read_bytes() == copy
    refuses(log, Forked)


def test_tiles_ahead_of_the_log_are_refused(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.grow(5)
    log.publisher.publish()
    saved = backup(log)
    log.grow(5)
    with pytest.raises(Crash):
        publish_with(log, Steps(4, persisted=True), monkeypatch)
    restore(log, saved)
    refuses(log, RolledBack)


def rewrite(log: Log, index: int, old: str, new: str) -> None:
    """An insider with write access to the database."""
    with log.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER IF EXISTS ledger_leaves_refuse_update")
        change = "UPDATE ledger_leaves SET leaf = CAST(replace(leaf, ?, ?) AS BLOB) WHERE idx = ?"
        assert conn.exec_driver_sql(change, (old, new, index)).rowcount == 1


@pytest.mark.parametrize(
    ("published", "later"),
    [(5, -2), (5, 0), (5, 2), (5, 4), (256, 0), (256, 4)],
    ids=["published", "first-new", "between", "last", "first-of-a-bundle", "last-of-a-new-bundle"],
)
def test_leaf_changed_is_never_signed(log: Log, published: int, later: int) -> None:
    """Neither one that was published, in a bundle that is still open, nor one that was not yet."""
    log.grow(published)
    log.publisher.publish()
    log.grow(5)
    before = {file: file.read_bytes() for file in log.path.rglob("tile/**/*") if file.is_file()}
    rewrite(log, published + later, "no-consent", "no-concent")

    def never(_vkey: Vkey, message: bytes) -> bytes:
        raise AssertionError("signed")

    with pytest.raises(Forked):
        dataclasses.replace(log.publisher, sign=never).publish()
    assert before == {file: file.read_bytes() for file in log.path.rglob("tile/**/*") if file.is_file()}
    rewrite(log, published + later, "no-concent", "no-consent")
    log.publisher.publish()
    assert_published(log, published + 5)


def test_leaf_changed_while_the_tiles_were_lost_is_never_signed(log: Log) -> None:
    log.grow(5)
    log.publisher.publish()
    log.grow(5)
    rewrite(log, 3, "no-consent", "no-concent")
    shutil.rmtree(log.path / "public" / "tile")
    with pytest.raises(Forked):
        log.publisher.publish()
    assert open_checkpoint(log.publisher.file.read_bytes(), VKEY).size == 5


def test_copy_outside_that_went_missing_is_refused(log: Log) -> None:
    log.grow(5)
    log.publisher.publish()
    log.publisher.outside.unlink()
    refuses(log, HeadBehind)


def test_copy_outside_of_another_log_is_refused(log: Log) -> None:
    log.grow(5)
    log.publisher.publish()
    other = sign_checkpoint(Checkpoint("another.example/log", 5, root_of(log, 5)), sign, PUBLIC)
    log.publisher.outside.write_bytes(other)
    refuses(log, BrokenCheckpoint)


def test_copy_outside_with_another_root_is_refused(log: Log) -> None:
    log.grow(5)
    log.publisher.publish()
    log.publisher.outside.write_bytes(sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), sign, PUBLIC))
    refuses(log, Forked)


def test_lost_tiles_are_made_again_the_same(log: Log) -> None:
    log.grow(300)
    log.publisher.publish()
    tiles = log.path / "public" / "tile"
    before = {file: file.read_bytes() for file in tiles.rglob("*") if file.is_file()}
    shutil.rmtree(tiles)
    log.publisher.publish()
    assert {file: file.read_bytes() for file in tiles.rglob("*") if file.is_file()} == before
    log.grow(1)
    shutil.rmtree(tiles)
    log.publisher.publish()
    assert_published(log, 301)


def test_second_publisher_does_not_overtake(log: Log) -> None:
    log.grow(5)
    first, second = log.publisher, log.publisher

    def slow(_vkey: Vkey, message: bytes) -> bytes:
        log.grow(1)
        assert second.publish() is not None
        return sign(message)

    with pytest.raises(LogBusy):
        dataclasses.replace(first, sign=slow).publish()
    assert_published(log, 6)
    log.grow(5)
    with pytest.raises(LogBusy):
        dataclasses.replace(first, sign=slow).publish()
    assert_published(log, 12)


def test_publisher_at_work_is_no_rollback(log: Log) -> None:
    log.grow(5)
    log.publisher.publish()
    log.grow(5)
    checked: list[bool] = []

    def watched(_vkey: Vkey, message: bytes) -> bytes:
        log.publisher.check()
        checked.append(True)
        return sign(message)

    dataclasses.replace(log.publisher, sign=watched).publish()
    assert checked == [True]


def test_check_not_behind_says_which(tmp_path: Path) -> None:
    tiles = TileDirectory(tmp_path)
    root = tiles.extend(0, [b"leaf %d" % number for number in range(5)])
    check_not_behind(5, None, tiles)
    check_not_behind(5, Checkpoint(ORIGIN, 5, root), tiles)
    check_not_behind(9, Checkpoint(ORIGIN, 9, bytes(32)), tiles)  # the tiles do not reach so far yet
    with pytest.raises(RolledBack):
        check_not_behind(4, Checkpoint(ORIGIN, 5, root), tiles)
    with pytest.raises(Forked):
        check_not_behind(5, Checkpoint(ORIGIN, 5, bytes(32)), tiles)


def test_row_of_the_published_checkpoint_is_one(log: Log) -> None:
    for _ in range(3):
        log.grow(2)
        log.publisher.publish()
    with log.begin() as conn:
        sizes = conn.execute(sa.select(ledger_published.c.shard, ledger_published.c.size)).all()
    assert [tuple(row) for row in sizes] == [(SHARD, 6)]
