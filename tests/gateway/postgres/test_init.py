"""init on PostgreSQL: nothing of another installation is touched, and a failed one leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway import db, grants, provision
from gateway.cli import main
from gateway.config import load_settings
from gateway.errors import NotReady
from gateway.opening import initialise, open_house
from keys.custody.file import create_file_custody
from keys.custody.sealed_file import LEAST
from tests import databases
from tests.gateway.world import SettableClock, new_home, roomy_policy
from tests.ports import free_port


@dataclass
class Site:
    """An empty database, and settings of an installation that is not there yet."""

    name: str
    settings: Any

    def tables(self) -> int:
        with databases.postgres().connect(self.name) as conn:
            found = conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        return int(found[0]) if found else 0

    def functions(self) -> int:
        with databases.postgres().connect(self.name) as conn:
            found = conn.execute("SELECT count(*) FROM pg_proc WHERE proname LIKE 'ledger%'").fetchone()
        return int(found[0]) if found else 0

    def init(self) -> None:
        with patch("gateway.custody.create_file_custody", partial(create_file_custody, cost=LEAST)):
            house = initialise(self.settings, roomy_policy(), SettableClock())
        house.engine.dispose()
        house.custody.close()

    def opens(self) -> bool:
        house = open_house(self.settings, SettableClock())
        house.engine.dispose()
        house.custody.close()
        return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = databases.postgres()
    with server.database("template0") as name:
        ports = {"port": free_port(), "metrics_port": free_port()}
        yield Site(name, new_home(tmp_path / "home", **ports, **server.settings(name)))


def test_init_makes_the_schema_and_gives_the_rights(site: Site) -> None:
    site.init()
    assert site.opens()
    engine = provision.engine_of(site.settings)
    with db.read(engine) as conn:
        assert grants.excess(conn) == []
    engine.dispose()


def test_init_takes_the_empty_tables_that_an_administrator_made(site: Site) -> None:
    """Then the owner's login need not be known on the gateway's machine."""
    provision.migrate(site.settings)
    alone = site.settings.model_copy(update={"database_owner_url": site.settings.database_url})
    Site(site.name, alone).init()
    assert site.opens()


def test_init_refuses_a_database_that_holds_a_log(site: Site, tmp_path: Path) -> None:
    site.init()
    before = site.tables()
    other = new_home(tmp_path / "other", port=free_port(), metrics_port=free_port(), **where(site))
    with pytest.raises(NotReady, match="a log stands in that database"):
        Site(site.name, other).init()
    assert site.tables() == before
    assert not other.custody_dir.exists()
    assert site.opens()


def where(site: Site) -> dict[str, str]:
    return databases.postgres().settings(site.name)


def test_init_refuses_tables_of_another_release(site: Site) -> None:
    db.migrate(site.settings.database_owner_url, revision="0001")
    before = site.tables()
    with pytest.raises(NotReady, match="another release"):
        site.init()
    assert site.tables() == before


FAILS_AT = ["gateway.opening.publish", "gateway.opening.warm", "gateway.provision.grants.grant"]


@pytest.mark.parametrize("step", FAILS_AT)
def test_a_failed_init_can_simply_be_run_again(site: Site, step: str) -> None:
    with patch(step, side_effect=OSError("the disk is full")), pytest.raises(OSError, match="disk"):
        site.init()
    assert (site.tables(), site.functions()) == (0, 0)
    site.init()
    assert site.opens()


def test_two_inits_never_meet_in_one_database(site: Site, tmp_path: Path) -> None:
    other = new_home(tmp_path / "other", port=free_port(), metrics_port=free_port(), **where(site))
    with provision.founding(site.settings):
        with pytest.raises(NotReady, match="another init"):
            Site(site.name, other).init()
        assert site.tables() > 0


def test_a_login_that_cannot_make_tables_says_so_and_leaves_nothing(site: Site) -> None:
    one = site.settings.model_copy(update={"database_owner_url": site.settings.database_url})
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        Site(site.name, one).init()
    assert not site.settings.custody_dir.exists()


# --- the commands ---


def run(home: Path, *words: str) -> Any:
    return CliRunner().invoke(main, ["--home", str(home), *words])


def test_the_database_commands(site: Site) -> None:
    home = site.settings.home
    site.init()
    assert "0 -> " not in run(home, "database", "migrate").output
    shown = run(home, "database", "status")
    assert shown.exit_code == 0, shown.output
    assert "PostgreSQL" in shown.output
    assert "nothing" in shown.output
    assert run(home, "database", "grant").exit_code == 0
    script = run(home, "database", "sql").output
    assert script.startswith("BEGIN;\n")
    assert "ENABLE ROW LEVEL SECURITY" in script
    nobody = run(home, "database", "auditor", "nobody_there")
    assert (nobody.exit_code, "no login nobody_there" in nobody.output) == (1, True)


def test_migrate_brings_an_older_schema_up_and_grants_what_is_new(site: Site) -> None:
    db.migrate(site.settings.database_owner_url, revision="0001")
    shown = run(site.settings.home, "database", "migrate")
    assert shown.output == f"0001 -> {db.newest_revision()}\n", shown.output
    with databases.postgres().connect(site.name, databases.GATEWAY) as conn:
        conn.execute("SELECT * FROM pending_queries")  # of 0002
    engine = provision.engine_of(site.settings)
    provision.require_fit(site.settings, engine)
    engine.dispose()


def test_on_sqlite_there_are_no_roles_and_migrate_works(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert load_settings(new_home(home).home).database_file == home / "gateway.db"
    assert "run `chengxin init` first" in run(home, "database", "migrate").output
    db.migrate(f"sqlite:///{home / 'gateway.db'}", revision="0001")
    assert run(home, "database", "migrate").output == f"0001 -> {db.newest_revision()}\n"
    assert run(home, "database", "migrate").output == f"{db.newest_revision()}, nothing to do\n"
    assert "SQLite" in run(home, "database", "status").output
    for command in (("grant",), ("sql",), ("auditor", "x")):
        assert "has no roles" in run(home, "database", *command).output
