"""Last month's database and last month's root shares, after a shred and an epoch's end.

What was shredded does not decrypt, with every secret there is now; every survivor does.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import db, provision
from gateway.copies import announce_copy, attest_destroyed
from gateway.erasure.due import erase_due
from gateway.erasure.order import erase_all
from gateway.ids import new_uuid
from gateway.keyring import wrapped_of
from gateway.people.subjects import find_by_number, identity_of
from gateway.records.rows import CHINA
from gateway.records.store import open_revisions, revisions_of
from gateway.rotation.restored import apply_rewrapped
from gateway.tables import records
from keys.custody.copies import copy_custody, epochs_in
from keys.custody.file import open_file_custody, read_passphrase
from keys.custody.roots import open_roots, restore_custody, rotate_root
from keys.custody.sealed_file import LEAST
from keys.custody.shares import join_shares, split_root
from keys.errors import BadShare
from tests import databases
from tests.gateway import kit
from tests.gateway.erasure.kit import end_epoch, late
from tests.gateway.erasure.thief import fields_of, keys_of, opened
from tests.gateway.rotation.kit import loans, people
from tests.gateway.world import DAY_MS, World

WORD = b"the thief's own passphrase"
OLD, NEW = "late-2021", "late-2026"


def test_what_was_shredded_stays_so_with_last_months_database_and_shares(
    world: World, tmp_path: Path
) -> None:
    house = world.house
    gone, part, staying = people(world, 3)
    for one in (gone, part, staying):
        loans(world, one)
    today = datetime.fromtimestamp(world.clock() / 1000, tz=CHINA).date()
    old = today.replace(year=today.year - 5, day=min(today.day, 28))
    number = part.citizen.number
    fresh = late(number, NEW, today.replace(day=1))
    assert world.import_records([late(number, OLD, old), fresh]).accepted == 2
    # last month: the root in shares, a copy of custody, a backup of the database
    passphrase = read_passphrase(house.settings.passphrase_file)
    root = open_roots(house.settings.custody_dir, passphrase).current
    copy = new_uuid(os.urandom)
    shares = split_root(root, house.origin, copy, 3, 2)
    held = copy_custody(house.settings.custody_dir, root, house.origin, copy)
    announce_copy(house, copy, "safe", epochs_in(held.keys), 3, 2)
    with house.read() as conn:
        theirs = fields_of(conn, gone.subject, gone.tag)
        keys = keys_of(house, conn, house.custody)
        doomed = conn.execute(
            sa.select(records).where(records.c.subject == part.subject, records.c.category == "repayment")
        ).all()
        shred = {row.record for row in doomed if row.shown_until <= world.clock() + 40 * DAY_MS}
        survivors = {one.subject: fields_of(conn, one.subject, one.tag) for one in (part, staying)}
    assert len(shred) == 1
    assert sorted(opened(theirs, keys)) == sorted(f"{p.table}.{p.column}" for p, _ in theirs)
    assert len({f"{p.table}.{p.column}" for p, _ in theirs}) == 13  # the thief tries what there is
    with databases.snapshot(house, tmp_path / "backup.db") as restore:
        # this month: one leaves, one record's term is over, the epoch ends
        erase_all(house, gone.citizen.number, "demanded")
        world.clock.offset += 40 * DAY_MS
        done = erase_due(house, lambda _done: None)
        assert [one.count for one in done.erased] == [1]
        attest_destroyed(house, copy)
        end_epoch(world)
        world.publishing.stop()
        house.engine.dispose()
        restore()
    # the old shares open the custody of today, for its root is still theirs
    restore_custody(
        house.settings.custody_dir,
        join_shares(shares[:2]),
        b"the thief's own passphrase",
        None,
        os.urandom,
        LEAST,
    )
    custody = open_file_custody(house.settings.custody_dir, WORD)
    with provision.as_owner(house.settings) as engine:
        apply_rewrapped(engine, custody, house.settings.home)
    with db.read(house.engine) as conn:
        again = fields_of(conn, gone.subject, gone.tag)
        assert len(again) == len(theirs)
        keys = keys_of(house, conn, custody)
        assert keys
        assert opened(again, keys) == []
        for one in (part, staying):
            found = fields_of(conn, one.subject, one.tag)
            assert len(found) == len(survivors[one.subject])
            lost = {p.row for p, blob in found if not opened([(p, blob)], keys)}
            assert lost == (shred if one is part else set())
            person = find_by_number(house, conn, one.citizen.number)
            assert identity_of(house, conn, person.subject)[0] == one.citizen.number
            rows = [row for row in revisions_of(conn, one.subject) if row.category == "loan"]
            assert open_revisions(house, rows, wrapped_of(conn, one.subject))
    custody.close()


def test_old_shares_open_nothing_that_was_copied_after_the_root_was_replaced(
    world: World, tmp_path: Path
) -> None:
    house = world.house
    place, passphrase = house.settings.custody_dir, read_passphrase(house.settings.passphrase_file)
    old = open_roots(place, passphrase).current
    shares = split_root(old, house.origin, new_uuid(os.urandom), 3, 2)
    before = copy_custody(place, old, house.origin, shares[0].copy)
    rotate_root(place, passphrase, os.urandom, lambda _done, _total: None)
    now = open_roots(place, passphrase).current
    after = copy_custody(place, now, house.origin, new_uuid(os.urandom))
    stolen, word = join_shares(shares[:2]), WORD
    with pytest.raises(BadShare):
        restore_custody(tmp_path / "c", stolen, word, after, os.urandom, LEAST)
    with pytest.raises(BadShare):
        restore_custody(place, stolen, word, None, os.urandom, LEAST)
    assert restore_custody(tmp_path / "c", stolen, word, before, os.urandom, LEAST)  # hence it is destroyed
    again = world.reopen()
    assert kit.size(again) == kit.size(house)
    again.engine.dispose()
    again.custody.close()
