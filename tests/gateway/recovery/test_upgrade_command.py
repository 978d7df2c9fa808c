"""The upgrade of an installation of the first release: a backup first, no server beside it, again if cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway import db, provision
from gateway.cli import main
from gateway.client.bank import Answer
from gateway.errors import NotReady
from gateway.locks import sole_publisher
from gateway.opening import open_house
from gateway.recovery.backup import backups_in, read_backup
from gateway.recovery.restore import restore_backup
from gateway.recovery.upgrade import upgrade
from tests.gateway import kit, test_upgrade
from tests.gateway.recovery.copies import moved
from tests.gateway.test_upgrade import Old, living

old = test_upgrade.old


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def test_the_command_brings_an_old_installation_up_and_it_serves_on(old: Old, to: Path) -> None:
    home = str(old.settings.home)
    done = CliRunner().invoke(main, ["--home", home, "upgrade", "--backup-to", str(to)])
    assert done.exit_code == 0, done.output
    assert f"schema: 0001 -> {db.newest_revision()}" in done.output
    with living(old) as world:
        answered = world.query(old.people["granted"], categories=("employment", "loan"))
        assert isinstance(answered, Answer)
    again = CliRunner().invoke(main, ["--home", home, "upgrade", "--backup-to", str(to)])
    assert again.exit_code == 0, again.output
    assert len(backups_in(to, old.settings.origin)) == 2


def test_the_backup_of_before_is_restored_under_this_release(old: Old, to: Path, tmp_path: Path) -> None:
    done = upgrade(old.settings, to, old.clock())
    assert (done.before, done.backup.manifest.schema) == ("0001", "0001")
    with living(old) as world, moved(world.house, tmp_path / "restored") as settings:
        restore_backup(settings, done.backup.path)
        assert provision.schema_of(settings) == db.newest_revision()
        house = open_house(settings, old.clock, behind=True)
        assert kit.size(house) == done.backup.manifest.size == done.size
        house.engine.dispose()
        house.custody.close()
    assert read_backup(done.backup.path).manifest == done.backup.manifest  # migrated in a copy of it


def test_nothing_is_upgraded_while_a_server_runs(old: Old, to: Path) -> None:
    with sole_publisher(old.settings.home), pytest.raises(NotReady, match="a server is running"):
        upgrade(old.settings, to, old.clock())
    assert provision.schema_of(old.settings) == "0001"
    assert not to.exists()


def test_a_database_of_a_later_release_is_left_alone(old: Old, to: Path) -> None:
    with provision.as_owner(old.settings) as engine, db.writing(engine) as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        conn.commit()
    with pytest.raises(NotReady, match="9999 is of a later release"):
        upgrade(old.settings, to, old.clock())
    assert list(to.iterdir()) == []


@pytest.mark.parametrize("step", ["backup", "schema"])
def test_killed_in_the_middle_it_is_run_again(old: Old, to: Path, step: str) -> None:
    child = os.fork()
    if child == 0:
        _die_in(step, old, to)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert provision.schema_of(old.settings) == "0001"
    assert len(backups_in(to, old.settings.origin)) == (0 if step == "backup" else 1)
    done = upgrade(old.settings, to, old.clock() + 1)
    assert (done.before, done.after) == ("0001", db.newest_revision())
    with living(old) as world:
        assert isinstance(world.query(old.people["granted"], categories=("loan",)), Answer)


def _die_in(step: str, old: Old, to: Path) -> None:
    """In a process of its own: die while rows are copied, or in the middle of the change of the schema."""
    made = iter(range(5))

    def die(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith("CREATE TABLE") and _whole(to) and next(made) == 2:
            os._exit(9)

    try:
        if step == "schema":
            sa.event.listen(sa.Engine, "after_cursor_execute", die)
        upgrade(old.settings, to, old.clock(), (lambda _some: os._exit(9)) if step == "backup" else None)
    finally:
        os._exit(1)  # whatever happened, this is not the process that tests


def _whole(to: Path) -> bool:
    return any(to.glob("*/manifest.json"))
