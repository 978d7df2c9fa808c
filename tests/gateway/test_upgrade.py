"""An installation of the first release, with its data, brought to the newest schema: it lives on.

The home is `tests/data/part1`. On PostgreSQL its rows are put into a schema at that release's revision first.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import db, provision
from gateway.client.bank import Answer
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.config import load_settings
from gateway.errors import NotReady
from gateway.export import export_ledger
from gateway.opening import open_house
from keys.canonical import canonical
from keys.notes import format_vkey
from keys.signing import load_private_jwk
from ledger.verify.__main__ import main as verify
from tests import databases
from tests.gateway import kit
from tests.gateway.world import REGISTRAR, Citizen, Registrar, SettableClock, World, serving
from tests.ports import free_port

KEPT = Path(__file__).parents[1] / "data" / "part1" / "home.tar.xz"
HOUR_MS = 3_600_000


@dataclass
class Old:
    """A copy of the old home, its settings on the engine under test, and who is who in it."""

    settings: Any
    people: dict[str, Any]
    clock: SettableClock


@pytest.fixture
def old(tmp_path: Path, engine: str) -> Iterator[Old]:
    home = tmp_path / "home"
    with tarfile.open(KEPT) as archive:
        # Ours, and whole; Python before 3.11.4 knows no filters.
        archive.extractall(home, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))  # noqa: S202
    people = json.loads((home / "people.json").read_text())
    clock = SettableClock()
    clock.offset = people["made_at"] + HOUR_MS - clock()
    with databases.fresh(template="template0") as where:
        chosen = {"port": free_port(), "metrics_port": free_port(), **where}
        (home / "config.toml").write_text(
            "".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items())
        )
        settings = load_settings(home)
        if engine == "postgresql":
            _move(home / "gateway.db", settings)
        yield Old(settings, people, clock)


def _move(file: Path, settings: Any) -> None:
    """The rows of a SQLite database of the first release, in a PostgreSQL schema of the first release."""
    with provision.as_owner(settings) as engine:
        db.migrate_on(engine, "0001")
        with closing(sqlite3.connect(file)) as source, db.writing(engine) as conn:
            source.row_factory = sqlite3.Row
            there = sa.MetaData()
            there.reflect(conn)
            for table in there.tables.values():
                rows = [dict(row) for row in source.execute(f'SELECT * FROM "{table.name}"')]
                if rows and table.name != "alembic_version":
                    conn.execute(table.insert(), rows)
            conn.commit()


@contextmanager
def living(old: Old) -> Iterator[World]:
    """The upgraded house, served, with the same people around it."""
    house = open_house(old.settings, old.clock)
    with serving(house) as (publishing, server):
        people = old.people
        registrar = Registrar(
            load_private_jwk(people["registrar"]["key"]),
            {name: load_private_jwk(key) for name, key in people["registrar"]["officers"].items()},
        )
        keys = [load_private_jwk(people[name]) for name in ("bank_key", "other_key")]
        world = World(house, publishing, server, old.clock, registrar, people["regulator"], *keys)
        world.operators = people["operators"]
        yield world


def citizen(world: World, people: dict[str, Any], place: int) -> Citizen:
    one = people["citizens"][place]
    key = load_private_jwk(one["key"])
    return Citizen(one["number"], one["name"], key, CitizenClient(world.url, key, **world.pins()), b"")


def upgrade(old: Old) -> None:
    assert provision.schema_of(old.settings) == "0001"
    provision.migrate(old.settings)
    assert provision.schema_of(old.settings) == db.newest_revision()


def test_an_old_schema_is_not_opened_before_it_is_migrated(old: Old) -> None:
    with pytest.raises((NotReady, sa.exc.ProgrammingError)):
        open_house(old.settings, old.clock)
    upgrade(old)
    house = open_house(old.settings, old.clock)
    house.engine.dispose()
    house.custody.close()


def test_nothing_that_stood_is_changed(old: Old) -> None:
    before = contents(old)
    upgrade(old)
    after = contents(old)
    assert before.keys() < after.keys()
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else []
        assert kept == rows, table


def contents(old: Old) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, but the schema's own version."""
    with provision.as_owner(old.settings) as engine, db.read(engine) as conn:
        there = sa.MetaData()
        there.reflect(conn)
        return {
            name: [
                dict(row) for row in conn.execute(sa.select(table).order_by(*table.primary_key)).mappings()
            ]
            for name, table in there.tables.items()
            if name != "alembic_version"
        }


def test_consents_of_the_first_release_serve_on_and_end_as_agreed(old: Old) -> None:
    upgrade(old)
    people = old.people
    with living(old) as world:
        first, second = (citizen(world, people, place) for place in (0, 1))
        answered = world.query(people["granted"], categories=("employment", "loan"))
        assert isinstance(answered, Answer)
        assert all(answered.answer["records"][category] for category in ("employment", "loan"))
        assert isinstance(world.query(people["used"]), Answer)  # the second and last use
        for consent, reason in ((people["used"], "exhausted"), (people["withdrawn"], "withdrawn")):
            refused = world.query(consent)
            assert isinstance(refused, Refused)
            assert refused.problem.name == reason
        assert not isinstance(world.withdraw(first, people["granted"]), Refused)
        refused = world.query(people["granted"])
        assert isinstance(refused, Refused)
        assert refused.problem.name == "withdrawn"
        assert not isinstance(second.client.report(), Refused)


def test_a_request_from_before_is_granted_after(old: Old) -> None:
    upgrade(old)
    with living(old) as world:
        shown = world.bank().consent_request(old.people["open"]["request"])
        assert not isinstance(shown, Refused)
        assert (shown.state, shown.consent_id) == ("requested", old.people["open"]["consent"])
        first = citizen(world, old.people, 0)
        asked = first.client.consent_request(shown.request_id)
        assert not isinstance(asked, Refused)
        granted = first.client.grant(world.wallet.sign_consent(canonical(asked["document"]), first.key))
        assert not isinstance(granted, Refused), granted
        assert isinstance(world.query(shown.consent_id), Answer)


def test_new_persons_and_consents_join_the_old_log(old: Old) -> None:
    upgrade(old)
    with living(old) as world:
        newcomer = world.citizen(old.people["imported_only"])
        assert isinstance(world.query(world.consent(newcomer)), Answer)


def test_the_log_of_both_releases_verifies_as_one(
    old: Old, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = (old.settings.log_dir / "checkpoint").read_bytes()
    (tmp_path / "kept").write_bytes(checkpoint)
    upgrade(old)
    with living(old) as world:
        assert isinstance(world.query(old.people["granted"], categories=("loan",)), Answer)
        first = citizen(world, old.people, 0)
        world.withdraw(first, old.people["granted"])
        published = world.publishing.publish_now()
        assert published is not None
        assert export_ledger(world.house, published, tmp_path / "export").intact
        (tmp_path / "registrar.jwk").write_bytes(canonical(world.registrar.key.jwk))
        (tmp_path / "regulator.jwk").write_bytes(canonical(old.people["regulator"]))
        vkey = format_vkey(world.bank().pins.vkey)
        size = kit.size(world.house)
    capsys.readouterr()
    pins = ["--registrar", f"{REGISTRAR}={tmp_path / 'registrar.jwk'}"]
    pins += ["--regulator-key", str(tmp_path / "regulator.jwk"), "--kept", str(tmp_path / "kept")]
    status = verify([str(tmp_path / "export"), "--vkey", vkey, "--json", *pins])
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"], said["size"]) == (0, True, size), said
