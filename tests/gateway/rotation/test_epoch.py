"""Epochs are rotated and destroyed; what was erased under one opens nowhere, and everything else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import provision, rows
from gateway.copies import announce_copy, attest_destroyed
from gateway.errors import EvidenceBroken, KeysMovedOn, NotReady
from gateway.ids import new_uuid
from gateway.keyring import Keyring
from gateway.opening import open_house
from gateway.records import ingest as ingesting
from gateway.records.holdings import batches_of
from gateway.records.restate import restate
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import LOCK, rotate_epoch
from gateway.rotation.epochs import NOBODYS
from gateway.rotation.keybag import DIRECTORY, Keybag, forget_rewrapped
from gateway.rotation.restored import apply_rewrapped
from gateway.rotation.waiting import before
from gateway.tables import consent_requests, custody_copies, data_keys, erasures, pending_queries
from keys.errors import UnknownKeyName
from keys.fields import field_key_id
from ledger.tables import ledger_sealed
from tests import databases
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COVERT, Office
from tests.gateway.rotation.kit import epochs_of, loans, nothing, people, told
from tests.gateway.world import World


def test_everything_reads_the_same_under_the_new_epoch(world: World) -> None:
    some = people(world, 3)
    world.ask(some[0].citizen)
    office = Office(world)
    office.submit(office.request(COVERT))
    seen = [(told(world, one), loans(world, one)) for one in some]
    done = rotate_epoch(world.house, nothing)
    assert (done.epoch, done.broken) == (2, 0)
    assert epochs_of(world.house) == {2}
    with world.house.read() as conn:
        assert before(conn, 2) == 0
        for table, column in ((consent_requests, "request"), (pending_queries, "query")):
            names = list(conn.scalars(sa.select(table.c[column])))
            found = rows.read_evident(conn, table, column, names, world.house.shard)
            assert len(found) == len(names) > 0
            for row in found:
                rows.require_evident(world.house.custody, table, row)
    assert destroy_epoch(world.house, 1)
    assert [(leaf.body.epoch, leaf.body.event) for leaf in kit.of_type(world.house, "key.epoch")] == [
        (1, "opened"),
        (2, "opened"),
        (2, "rewrapped"),
        (1, "destroyed"),
    ]
    now = [(told(world, one), loans(world, one)) for one in some]
    for (report, answer), (report_now, answer_now) in zip(seen, now, strict=True):
        assert (report["person"], report["records"]) == (report_now["person"], report_now["records"])
        assert answer == answer_now
    world.consent(some[1].citizen)  # what is made from now on is made under the new epoch
    assert epochs_of(world.house) == {2}


def test_another_process_follows_and_forgets(world: World) -> None:
    """A worker that was running all along wraps under the new epoch, and drops the destroyed key."""
    some = people(world, 1)
    other = world.reopen()
    try:
        kit.ask_house(world, some[0].consent, other)
        rotate_epoch(world.house, nothing)
        kit.ask_house(world, some[0].consent, other)
        assert other.keyring.epoch == 2
        assert other.custody.has("epoch-1")
        other.custody.wrap("epoch-1", b"x", b"")  # in its memory now
        destroy_epoch(world.house, 1)
        other.custody.wrap("epoch-1", b"x", b"")  # it has not heard yet
        other.listen()
        with pytest.raises(UnknownKeyName):
            other.custody.wrap("epoch-1", b"x", b"")
        assert kit.ask_house(world, some[0].consent, other)
    finally:
        other.engine.dispose()
        other.custody.close()


def test_keys_made_before_the_lock_under_an_old_epoch_are_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import looks up and encrypts before the lock; an epoch is opened, and completed, in between."""
    people(world, 1)
    write, rotated = ingesting._write, []

    def late(tx: object, **rest: object) -> None:
        if not rotated:
            rotated.append(True)
            raise KeysMovedOn("an epoch was opened meanwhile")
        write(tx, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ingesting, "_write", late)
    assert world.import_records([kit.loan(kit.person(700), "late")]).accepted == 1
    keyring = Keyring(world.house.custody, 1, world.house.random)
    _, row = keyring.fresh_row(b"s" * 16, "link")
    rotate_epoch(world.house, nothing)
    with pytest.raises(KeysMovedOn):
        world.house.keyring.require_current([row])


def test_only_one_rotation_at_a_time(world: World) -> None:
    from gateway import locks

    with locks.turn(world.house.settings.home / LOCK, wait=False) as mine:
        assert mine
        with pytest.raises(NotReady, match="another rotation"):
            rotate_epoch(world.house, nothing)


def test_a_key_that_never_opened_holds_up_nobody(world: World) -> None:
    some = people(world, 2)
    kit.insider(
        world.house,
        "UPDATE data_keys SET wrapped = zeroblob(80) WHERE klass = 'current' AND subject = ?",
        [some[0].subject],
    )
    assert rotate_epoch(world.house, nothing).broken == 1
    assert epochs_of(world.house) == {2}
    assert loans(world, some[1])


@pytest.mark.parametrize(
    ("epoch", "why"), [(1, "in force"), (2, "no epoch 2"), (7, "no epoch 7")], ids=["newest", "next", "later"]
)
def test_an_epoch_in_force_or_unknown_is_not_destroyed(world: World, epoch: int, why: str) -> None:
    with pytest.raises(NotReady, match=why):
        destroy_epoch(world.house, epoch)
    assert world.house.custody.has("epoch-1")


def test_an_epoch_is_not_destroyed_twice_or_while_a_copy_holds_it(world: World) -> None:
    house = world.house
    copy = new_uuid(house.random)
    announce_copy(house, copy, "a safe", [1], 3, 2)
    rotate_epoch(house, nothing)
    with pytest.raises(NotReady, match=copy):
        destroy_epoch(house, 1)
    assert house.custody.has("epoch-1")
    attest_destroyed(house, copy)
    destroy_epoch(house, 1)
    assert not house.custody.has("epoch-1")
    with pytest.raises(NotReady, match="destroyed already"):
        destroy_epoch(house, 1)


def test_a_copy_that_was_deleted_from_the_table_is_missed(world: World) -> None:
    announce_copy(world.house, new_uuid(world.house.random), "a safe", [1], 3, 2)
    rotate_epoch(world.house, nothing)
    kit.insider(world.house, "DELETE FROM custody_copies")
    with pytest.raises(EvidenceBroken, match="missing"):
        destroy_epoch(world.house, 1)
    with world.house.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(custody_copies)) == 0
    assert world.house.custody.has("epoch-1")


def test_a_destruction_cut_short_before_its_leaf_is_finished_by_the_next(world: World) -> None:
    rotate_epoch(world.house, nothing)
    world.house.custody.destroy("epoch-1")  # and then the power went
    assert len(kit.of_type(world.house, "key.epoch")) == 3
    destroy_epoch(world.house, 1)
    assert kit.of_type(world.house, "key.epoch")[-1].body.event == "destroyed"


def _erase_by_hand(world: World, subject: bytes, tag: bytes) -> None:
    """All of one person's keys and records go, and the ledger says that nothing is held."""
    house = world.house

    def act(tx: object) -> None:
        from gateway.transaction import Transaction

        assert isinstance(tx, Transaction)
        assert batches_of(house, tx.conn, [tag])[tag]
        restate(tx, subject, tag, [], "erasure")
        tx.conn.execute(sa.delete(data_keys).where(data_keys.c.subject == subject))
        erased = {
            "erasure": new_uuid(house.random),
            "shard": house.shard,
            "tag": tag,
            "classes": "current identity link",
            "authority": "term-over",
            "epoch": house.keyring.epoch,
            "idx": 0,
        }
        tx.conn.execute(erasures.insert(), erased)

    house.transact(act, seals=False)
    forget_rewrapped(house.settings.home, {subject: ("current", "identity", "link")})


def _blobs(world: World, tag: bytes) -> list[bytes]:
    said = "SELECT s.blob FROM ledger_sealed s JOIN ledger_leaves l USING (shard, idx) WHERE l.tag = ?"
    return [bytes(blob) for (blob,) in kit.insider(world.house, said, [tag])]


def test_last_months_database_gives_back_survivors_and_nobody_who_was_erased(
    world: World, tmp_path: Path
) -> None:
    house, (erased, survivor) = world.house, people(world, 2)
    seen = told(world, survivor)
    wanted = {one.subject: _wrapped(world, one.subject) for one in (erased, survivor)}
    sealed = _blobs(world, survivor.tag)
    assert sealed
    assert _blobs(world, erased.tag)
    with databases.snapshot(house, tmp_path / "backup.db") as restore:
        _erase_by_hand(world, erased.subject, erased.tag)
        rotate_epoch(house, nothing)
        destroy_epoch(house, 1)
        assert set(_blobs(world, erased.tag)) == {b""}
        restore_from(world, restore)
    for wrapped in wanted.values():  # the backup's own keys open for nobody
        for subject, klass, version, epoch, blob in wrapped:
            with pytest.raises(EvidenceBroken):
                house.keyring.unwrap(subject, klass, version, epoch, blob)
    with provision.as_owner(house.settings) as engine:
        done = apply_rewrapped(engine, house.custody, house.settings.home)
        assert apply_rewrapped(engine, house.custody, house.settings.home) == done  # again changes nothing
    assert done.epoch == 2
    assert done.unreadable == len(wanted[erased.subject]) == 3
    for subject, klass, version, epoch, blob in _wrapped(world, survivor.subject):
        house.keyring.unwrap(subject, klass, version, epoch, blob)
    for subject, klass, version, epoch, blob in _wrapped(world, erased.subject):
        with pytest.raises(EvidenceBroken):
            house.keyring.unwrap(subject, klass, version, epoch, blob)
    now = _blobs(world, survivor.tag)
    assert len(now) == len(sealed)
    digests = dict(kit.insider(house, "SELECT blob, sha256 FROM ledger_sealed"))
    for blob in now:
        house.unwrap_sealed(blob, bytes(digests[blob]).hex())
    for blob in _blobs(world, erased.tag):  # under the key of before, which neither database nor keybag hold
        assert field_key_id(blob) == 1
    assert kit.insider(house, "SELECT version FROM data_keys WHERE subject = ?", [NOBODYS]) == [(2,)]
    assert house.sealed_keys.keys() == {2}
    assert seen["records"]


def restore_from(world: World, restore: object) -> None:
    world.publishing.stop()
    world.house.engine.dispose()
    restore()  # type: ignore[operator]


def _wrapped(world: World, subject: bytes) -> list[tuple[bytes, str, int, int, bytes]]:
    said = "SELECT subject, klass, version, epoch, wrapped FROM data_keys WHERE subject = ? ORDER BY klass"
    return [
        (bytes(of), klass, version, epoch, bytes(blob))
        for of, klass, version, epoch, blob in kit.insider(world.house, said, [subject])
    ]


def test_what_is_erased_later_leaves_the_keybag_too(world: World) -> None:
    first, second = people(world, 2)
    rotate_epoch(world.house, nothing)
    home = world.house.settings.home
    file = home / DIRECTORY / "epoch-2"
    assert first.subject.hex() in file.read_text()
    with file.open("rb") as old:
        assert forget_rewrapped(home, {first.subject: ("current", "identity", "link")}) == 3
        assert first.subject.hex().encode() not in old.read()  # nor in the blocks it had
    assert first.subject.hex() not in file.read_text()
    assert second.subject.hex() in file.read_text()
    assert forget_rewrapped(home, {first.subject: ("current", "identity", "link")}) == 0
    assert len(list(Keybag(world.house.custody, home, 2).lines())) > 3


def test_a_keybag_that_was_changed_is_refused_and_a_torn_line_is_none(world: World) -> None:
    people(world, 1)
    rotate_epoch(world.house, nothing)
    bag = Keybag(world.house.custody, world.house.settings.home, 2)
    whole = bag.keys.read_bytes()
    bag.keys.write_bytes(whole + b'{"kind":"data"')
    assert len(list(bag.lines())) == whole.count(b"\n")
    line = next(bag.lines())
    bag.add([line])
    assert bag.keys.read_bytes().startswith(whole)
    assert bag.keys.read_bytes().count(b"\n") == whole.count(b"\n") + 1
    bag.keys.write_bytes(whole.replace(b'"kind":"data"', b'"kind":"request"', 1))
    with pytest.raises(EvidenceBroken, match="not written by this gateway"):
        list(bag.lines())


def test_an_old_database_without_its_keybag_is_refused_in_words(world: World, tmp_path: Path) -> None:
    people(world, 1)
    house = world.house
    with databases.snapshot(house, tmp_path / "backup.db") as restore:
        rotate_epoch(house, nothing)
        destroy_epoch(house, 1)
        shutil.rmtree(house.settings.home / DIRECTORY)
        restore_from(world, restore)
    with provision.as_owner(house.settings) as engine, pytest.raises(NotReady, match="rewrapped"):
        apply_rewrapped(engine, house.custody, house.settings.home)


def test_a_house_opens_after_any_number_of_rotations(world: World) -> None:
    some = people(world, 1)
    rotate_epoch(world.house, nothing)
    destroy_epoch(world.house, 1)
    other = open_house(world.house.settings, world.clock)
    try:
        assert other.epochs == world.house.epochs
        assert kit.ask_house(world, some[0].consent, other)
        with other.read() as conn:
            assert list(conn.scalars(sa.select(data_keys.c.epoch).where(data_keys.c.subject == NOBODYS))) == [
                2
            ]
            assert set(conn.scalars(sa.select(ledger_sealed.c.epoch))) == {2}
    finally:
        other.engine.dispose()
        other.custody.close()
