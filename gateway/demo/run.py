"""`chengxin demo`: the whole story, from an empty home to a ledger that anybody can check.

Invariant: whatever happens, a server that this run started is stopped, unless the story was told to its end
and it is meant to go on. Nothing outside the home is written, and no setting from outside is taken over.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from gateway.cli.common import State, pass_state
from gateway.cli.failures import Failure, line_of
from gateway.client import Wallet, pins_from, published_keys
from gateway.client.channel import new_http
from gateway.config import CONFIG_NAME, Settings, format_config, load_settings
from gateway.demo import evidence, server_process, story
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home, taken
from gateway.demo.messages import language_of
from gateway.demo.narrator import Narrator
from gateway.demo.parties import PARTIES, Cast, make_cast
from gateway.demo.stage import Stage, chengxin, shown
from gateway.house import House
from gateway.logs import configure
from gateway.opening import open_house
from gateway.publishing import vkey_of
from gateway.settings import PREFIX
from keys.notes import format_vkey

DEFAULT_HOME: Final = Path(".demo")


@click.command(short_help="Tell the whole story on real data.")
@click.option("--once", is_flag=True, help="Stop the server and end when the story is over.")
@click.option(
    "--lang",
    metavar="en|zh",
    envvar="DEMO_LANG",
    default="en",
    help="Language of the story [env: DEMO_LANG; default: en].",
)
@pass_state
def demo_command(state: State, once: bool, lang: str) -> None:
    """Tell the whole story on real credit data: consent, query, refusal, withdrawal, and who checks it all.

    Starts afresh in .demo (or --home), stops the server of an earlier demo there, and leaves a new one
    running.

    \b
    chengxin demo
    chengxin --home my-demo demo --lang zh --once
    """
    _refuse_outside_settings()
    tell = Narrator(language_of(lang))
    began = time.monotonic()
    with taken(DEFAULT_HOME if state.home is None else state.home) as home:
        try:
            _tell_all(tell, home, began, once=once)
        except (Failure, click.ClickException):
            raise
        except Exception as error:
            what = line_of(error)
            if what is None:
                raise
            raise Failure(tell.text("failed", step=tell.step, what=what)) from error


def _refuse_outside_settings() -> None:
    """The demo makes its own settings: a database that a variable names must not become the demo's."""
    found = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    found = [name for name in found if name.upper() != f"{PREFIX}HOME"]  # the demo has a home of its own
    if found:
        raise DemoFailed(f"the demo makes its own settings: unset {' '.join(found)} first")


def _tell_all(tell: Narrator, home: Home, began: float, *, once: bool) -> None:
    tell.title("welcome.title")
    for key in ("welcome.what", "welcome.data"):
        tell.line(key)
    tell.gap()
    for pid in server_process.earlier(home):
        tell.line("home.found", pid=pid)
        server_process.stop_earlier(pid, home)
    home.empty()
    tell.line("home.made", home=shown(home.path))
    with home.own_log.open("a", encoding="utf-8") as log, _opened(home, tell) as (house, cast):
        configure(house.settings, log)
        with _server(home, tell, once=once) as (server, settings):
            stage = _stage(tell, home, settings, house, cast)
            people = story.import_records(stage)
            story.enrol(stage, people)
            told = story.life_of_a_consent(stage)
            evidence.export(stage)
            evidence.regulator(stage, told)
            evidence.insider(stage, told)
            evidence.anybody(stage)
            _how_to_go_on(stage, told, server, once=once)
    if once:
        tell.line("server.once", home=shown(home.path))
    tell.line("done", seconds=round(time.monotonic() - began, 1))


@contextmanager
def _opened(home: Home, tell: Narrator) -> Iterator[tuple[House, Cast]]:
    """A new installation with everybody registered, and the house beside whose server the story goes on."""
    _choose_ports(home)
    evidence.run(server_process.command(home, "init", "--demo"))
    house = open_house(load_settings(home.path))
    try:
        cast = make_cast(house, home.keys, format_vkey(vkey_of(house)))
        names = [tell.pick(one.en, one.zh) for one in PARTIES]
        tell.line("home.parties", names=tell.join(names), keys=shown(home.keys))
        yield house, cast
    finally:
        house.engine.dispose()
        house.custody.close()


def _choose_ports(home: Home) -> server_process.Ports:
    """Free ports into the home's settings, where every later command finds them."""
    ports = server_process.free_ports()
    values: dict[str, str | int | Path | tuple[str, ...]] = {"port": ports.api, "metrics_port": ports.metrics}
    if not ports.ipv6:
        values["host"] = ("127.0.0.1",)
    (home.path / CONFIG_NAME).write_text(format_config(values), "utf-8")
    return ports


@contextmanager
def _server(home: Home, tell: Narrator, *, once: bool) -> Iterator[tuple[subprocess.Popen[bytes], Settings]]:
    """The running server; stopped on any failure, and at the end when the demo is run once."""
    server, settings = _started(home)
    try:
        if not server_process.has_ipv6():
            tell.line("home.no-ipv6")
        tell.line("home.server", url=settings.public_url, addresses=tell.join(list(settings.addresses)))
        yield server, settings
    except BaseException:
        server_process.stop(server)
        raise
    if once:
        server_process.stop(server)


def _started(home: Home) -> tuple[subprocess.Popen[bytes], Settings]:
    """Start the server and wait until it is ready; on other ports when one was taken meanwhile."""
    for _ in range(server_process.ATTEMPTS):
        settings = load_settings(home.path)
        server = server_process.start(home)
        try:
            if server_process.wait_until_ready(server, home, settings):
                return server, settings
        except BaseException:
            server_process.stop(server)
            raise
        _choose_ports(home)
    raise DemoFailed(f"the server does not start: see {shown(home.server_log)}")


def _stage(tell: Narrator, home: Home, settings: Settings, house: House, cast: Cast) -> Stage:
    """Everything the acts share. The receipt key is taken from the gateway under the vkey that was pinned."""
    vkey = cast.files.vkey.read_text("utf-8").strip()
    with new_http() as http:
        pins = pins_from(published_keys(settings.public_url, http), vkey)
    return Stage(tell, home, settings, house, cast, pins, Wallet(house.origin))


def _how_to_go_on(stage: Stage, told: story.Told, server: subprocess.Popen[bytes], *, once: bool) -> None:
    """Commands and addresses that work on what the story leaves."""
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
    for words in offline if once else (*offline, *online):
        tell.command(chengxin(home, *words))
    tell.gap()
    if once:
        tell.line("server.again")
        tell.command(chengxin(home, "serve"))
        return
    tell.line("server.running", pid=server.pid, log=shown(home.server_log))
    for url in _urls(stage.settings):
        tell.command(url)
    tell.line("server.stop")
    tell.command(f"kill {server.pid}")


def _urls(settings: Settings) -> Iterator[str]:
    """The index page by name and by each address, the checkpoint, and the metrics."""
    yield f"{settings.public_url}/"
    for address in settings.addresses:
        yield f"{server_process.base_url(address, settings.port)}/"
    yield f"{settings.public_url}/ledger/checkpoint"
    yield f"http://127.0.0.1:{settings.metrics_port}/metrics"
