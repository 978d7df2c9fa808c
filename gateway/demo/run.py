"""`chengxin demo`: the whole story, from an empty home to a ledger that anybody can check.

Invariant: whatever happens, a server that this run started is stopped, unless the story was told to its end
and it is meant to go on. Nothing outside the home is written, and no setting from outside is taken over.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from gateway.cli.common import State, pass_state
from gateway.cli.failures import Failure, line_of
from gateway.client import Wallet, pins_from, published_keys
from gateway.client.channel import new_http
from gateway.config import Settings
from gateway.demo import chapters, evidence, server_process, story
from gateway.demo.database import own_database
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home, taken
from gateway.demo.installation import installed, running
from gateway.demo.messages import language_of
from gateway.demo.narrator import Narrator
from gateway.demo.parties import PARTIES, Cast, make_cast
from gateway.demo.stage import Stage, chengxin, shown
from gateway.house import House
from gateway.logs import configure
from gateway.publishing import vkey_of
from gateway.settings import PREFIX
from keys.notes import format_vkey

DEFAULT_HOME: Final = Path(".demo")
CHAPTERS: Final[Mapping[str, Callable[[Stage], None]]] = {
    "statute": chapters.statute,
    "predicate": chapters.predicate,
}
WORKERS_ON_POSTGRESQL: Final = 2


@dataclass(frozen=True, slots=True)
class Telling:
    """How the demo is told: which chapter (`main`, `all`, or one of `CHAPTERS`), on which engine."""

    chapter: str
    database: str
    once: bool

    @property
    def own_database(self) -> bool:
        """Whether the database ends with the demo."""
        return self.database == "postgresql"


@click.command(short_help="Tell the whole story on real data.")
@click.option("--once", is_flag=True, help="Stop the server and end when the story is over.")
@click.option(
    "--lang",
    metavar="en|zh",
    envvar="DEMO_LANG",
    default="en",
    help="Language of the story [env: DEMO_LANG; default: en].",
)
@click.option(
    "--chapter",
    type=click.Choice(["main", *CHAPTERS, "all"]),
    default="main",
    show_default=True,
    help="The main story, one of the chapters beside it, or all of them.",
)
@click.option(
    "--database",
    type=click.Choice(["sqlite", "postgresql"]),
    default="sqlite",
    show_default=True,
    help="postgresql starts a server of the demo's own, and two workers.",
)
@pass_state
def demo_command(state: State, once: bool, lang: str, chapter: str, database: str) -> None:
    """Tell the whole story on real credit data: consent, query, refusal, withdrawal, and who checks it all.

    Starts afresh in .demo (or --home), stops the server of an earlier demo there, and leaves a new one
    running.

    \b
    chengxin demo
    chengxin demo --chapter statute --once
    chengxin --home my-demo demo --lang zh --database postgresql
    """
    _refuse_outside_settings()
    tell = Narrator(language_of(lang))
    began = time.monotonic()
    with taken(DEFAULT_HOME if state.home is None else state.home) as home:
        try:
            _tell_all(tell, home, Telling(chapter, database, once))
        except (Failure, click.ClickException):
            raise
        except Exception as error:
            what = line_of(error)
            if what is None:
                raise
            raise Failure(tell.text("failed", step=tell.step, what=what)) from error
    tell.line("done", seconds=round(time.monotonic() - began, 1))


def _refuse_outside_settings() -> None:
    """The demo makes its own settings: a database that a variable names must not become the demo's."""
    found = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    found = [name for name in found if name.upper() != f"{PREFIX}HOME"]  # the demo has a home of its own
    if found:
        raise DemoFailed(f"the demo makes its own settings: unset {' '.join(found)} first")


def _tell_all(tell: Narrator, home: Home, how: Telling) -> None:
    tell.title("welcome.title")
    for key in ("welcome.what", "welcome.data"):
        tell.line(key)
    tell.gap()
    for pid in server_process.earlier(home):
        tell.line("home.found", pid=pid)
        server_process.stop_earlier(pid, home)
    home.empty()
    tell.line("home.made", home=shown(home.path))
    with (
        home.own_log.open("a", encoding="utf-8") as log,
        _database(tell, how) as values,
        installed(home, values) as house,
    ):
        configure(house.settings, log)
        cast = _cast(tell, home, house)
        with running(home, values, goes_on=not how.once and not how.own_database) as (server, settings):
            _tell_server(tell, settings)
            stage = _stage(tell, home, settings, house, cast)
            told = _tell_chapters(stage, how)
            if told is not None:
                _what_to_try(stage, told, how)
            if not how.once:
                _tell_running(stage, server, how)
            if not how.once and how.own_database:
                server_process.wait_until_stopped(server)
    _tell_the_end(tell, home, how)


def _tell_chapters(stage: Stage, how: Telling) -> story.Told | None:
    """The chapters that were asked for; what the main story leaves, if it was told."""
    people = story.import_records(stage)
    story.enrol(stage, people)
    told = None
    if how.chapter in ("main", "all"):
        told = story.life_of_a_consent(stage)
        evidence.export(stage, stage.home.export)
        evidence.regulator(stage, told)
        evidence.insider(stage, told)
        evidence.anybody(stage)
    for name, chapter in CHAPTERS.items():
        if how.chapter in (name, "all"):
            chapter(stage)
    if how.chapter != "main":
        chapters.checked(stage)
    return told


@contextmanager
def _database(tell: Narrator, how: Telling) -> Iterator[dict[str, str | int | Path | tuple[str, ...]]]:
    """The settings of the engine: none for SQLite, else those of a PostgreSQL that ends with the demo."""
    if not how.own_database:
        yield {}
        return
    with own_database() as (values, major):
        tell.line("home.postgres", major=major, workers=WORKERS_ON_POSTGRESQL)
        yield {**values, "workers": WORKERS_ON_POSTGRESQL}


def _cast(tell: Narrator, home: Home, house: House) -> Cast:
    """Everybody, registered."""
    cast = make_cast(house, home.keys, format_vkey(vkey_of(house)))
    names = [tell.pick(one.en, one.zh) for one in PARTIES]
    tell.line("home.parties", names=tell.join(names), keys=shown(home.keys))
    return cast


def _tell_server(tell: Narrator, settings: Settings) -> None:
    if not server_process.has_ipv6():
        tell.line("home.no-ipv6")
    tell.line("home.server", url=settings.public_url, addresses=tell.join(list(settings.addresses)))


def _stage(tell: Narrator, home: Home, settings: Settings, house: House, cast: Cast) -> Stage:
    """Everything the acts share. The receipt key is taken from the gateway under the vkey that was pinned."""
    vkey = cast.files.vkey.read_text("utf-8").strip()
    with new_http() as http:
        pins = pins_from(published_keys(settings.public_url, http), vkey)
    return Stage(tell, home, settings, house, cast, pins, Wallet(house.origin))


def _what_to_try(stage: Stage, told: story.Told, how: Telling) -> None:
    """Commands that work on what the story leaves."""
    tell, home, files = stage.tell, stage.home, stage.cast.files
    third = stage.citizens[2].folder
    offline = [
        ("ledger", "show", shown(home.export), "--type", "query", "--regulator-key", shown(files.regulator)),
        ("ledger", "vkey"),
        ("ledger", "export", "--to", shown(home.path / "export-2")),
    ]
    operator = ("--key", shown(files.operator))
    online = [
        (
            "query",
            *operator,
            "--consent-id",
            told.live_consent,
            "--purpose",
            story.PURPOSE,
            "--category",
            "loan",
        ),
        ("citizen", "accesses", "--key", shown(stage.citizens[0].folder / "citizen.jwk")),
        (
            *("consent", "request", *operator, "--person", shown(third / "person.txt")),
            *("--purpose", story.PURPOSE, "--category", "loan", "--out", shown(third / "request.json")),
        ),
        (
            *("consent", "sign", shown(third / "request.json"), "--key", shown(third / "citizen.jwk")),
            *("--send", "--yes"),
        ),
    ]
    tell.gap()
    tell.line("after.try")
    kept = offline[:1] if how.own_database else offline
    for words in kept if how.once else (*offline, *online):
        tell.command(chengxin(home, *words))
    tell.gap()


def _tell_running(stage: Stage, server: subprocess.Popen[bytes], how: Telling) -> None:
    """Addresses of the server that goes on, and how to stop it."""
    tell = stage.tell
    tell.line("server.running", pid=server.pid, log=shown(stage.home.server_log))
    for url in _urls(stage.settings):
        tell.command(url)
    if how.own_database:
        tell.line("server.here")
        return
    tell.line("server.stop")
    tell.command(f"kill {server.pid}")


def _tell_the_end(tell: Narrator, home: Home, how: Telling) -> None:
    """What is left where nothing runs any more."""
    if how.own_database:
        tell.line("server.gone", home=shown(home.path))
    elif how.once:
        tell.line("server.once", home=shown(home.path))
        tell.line("server.again")
        tell.command(chengxin(home, "serve"))


def _urls(settings: Settings) -> Iterator[str]:
    """The index page by name and by each address, the checkpoint, and the metrics."""
    yield f"{settings.public_url}/"
    for address in settings.addresses:
        yield f"{server_process.base_url(address, settings.port)}/"
    yield f"{settings.public_url}/ledger/checkpoint"
    yield f"http://127.0.0.1:{settings.metrics_port}/metrics"
