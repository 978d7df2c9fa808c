"""`chengxin demo`: the story and its chapters, from an empty home to a ledger that anybody can check.

Invariant: whatever happens, a server that this run started is stopped, unless the story was told to its end
and it is meant to go on. Nothing outside the home is written, and no setting from outside is taken over.
"""

from __future__ import annotations

import os
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
from gateway.demo import chapters, closing, evidence, server_process, story
from gateway.demo.database import own_database
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home, taken
from gateway.demo.installation import installed, running
from gateway.demo.keys_for_life import keys_for_life
from gateway.demo.messages import language_of
from gateway.demo.narrator import Narrator
from gateway.demo.parties import Cast, make_cast
from gateway.demo.stage import Stage, shown
from gateway.house import House
from gateway.publishing import vkey_of
from gateway.settings import PREFIX
from keys.notes import format_vkey

DEFAULT_HOME: Final = Path(".demo")
CHAPTERS: Final[Mapping[str, Callable[[Stage], None]]] = {
    "main": story.main,
    "evidence": evidence.evidence,
    "statute": chapters.statute,
    "predicate": chapters.predicate,
    "keys": keys_for_life,
}
"""Told in this order. Each stands on a stage with enrolled citizens, and needs no other."""

VERIFIED: Final = ("main", "evidence")
"""These export and verify the ledger themselves; where another is told, that is done after it."""

WORKERS_ON_POSTGRESQL: Final = 2


@dataclass(frozen=True, slots=True)
class Telling:
    """How the demo is told: which chapter (one of `CHAPTERS`, or `all`), on which engine."""

    chapter: str
    database: str
    once: bool

    @property
    def own_database(self) -> bool:
        """Whether the database ends with the demo."""
        return self.database == "postgresql"

    @property
    def others(self) -> tuple[str, ...]:
        """The chapters that are not told."""
        return tuple(name for name in CHAPTERS if self.chapter not in (name, "all"))


@click.command(short_help="Tell the story on real data, in a minute.")
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
    type=click.Choice([*CHAPTERS, "all"]),
    default="main",
    show_default=True,
    help="The main story, in a minute; a chapter that goes deeper; or all of them.",
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
    """Tell the story on real credit data: consent, query, withdrawal, refusal, and who checks it all.

    Starts afresh in .demo (or --home), stops the server of an earlier demo there, and leaves a new one
    running.

    \b
    chengxin demo
    chengxin demo --chapter all --once
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
    tell.line("welcome.ledger" if how.chapter == "main" else "welcome.what")
    tell.line("welcome.data")
    for pid in server_process.earlier(home):
        tell.line("home.found", pid=pid)
        server_process.stop_earlier(pid, home)
    home.empty()
    tell.line("home.made", home=shown(home.path))
    with (
        home.own_log.open("a", encoding="utf-8") as log,
        _database(tell, how) as values,
        installed(home, values, log=log) as house,
    ):
        cast = make_cast(house, home.keys, format_vkey(vkey_of(house)))
        with running(home, values, goes_on=not how.once and not how.own_database) as (server, settings):
            stage = _stage(tell, home, settings, house, cast)
            tell.gap()
            _tell_chapters(stage, how)
            if how.once:
                closing.tell_offline(stage, goes_on=not how.own_database)
            else:
                closing.tell_running(stage, server, goes_on=not how.own_database)
                closing.tell_more(tell, how.others)
            if not how.once and how.own_database:
                server_process.wait_until_stopped(server)
    if how.once or how.own_database:
        closing.tell_stopped(tell, home, goes_on=not how.own_database)
    if how.once:
        closing.tell_more(tell, how.others)


def _tell_chapters(stage: Stage, how: Telling) -> None:
    """What comes before every chapter, then those that were asked for."""
    story.begin(stage)
    for name, chapter in CHAPTERS.items():
        if how.chapter in (name, "all"):
            chapter(stage)
    if how.chapter not in VERIFIED:
        chapters.checked(stage)


@contextmanager
def _database(tell: Narrator, how: Telling) -> Iterator[dict[str, str | int | Path | tuple[str, ...]]]:
    """The settings of the engine: none for SQLite, else those of a PostgreSQL that ends with the demo."""
    if not how.own_database:
        yield {}
        return
    with own_database() as (values, major):
        tell.line("home.postgres", major=major, workers=WORKERS_ON_POSTGRESQL)
        yield {**values, "workers": WORKERS_ON_POSTGRESQL}


def _stage(tell: Narrator, home: Home, settings: Settings, house: House, cast: Cast) -> Stage:
    """Everything the acts share. The receipt key is taken from the gateway under the vkey that was pinned."""
    vkey = cast.files.vkey.read_text("utf-8").strip()
    with new_http() as http:
        pins = pins_from(published_keys(settings.public_url, http), vkey)
    return Stage(tell, home, settings, house, cast, pins, Wallet(house.origin))
