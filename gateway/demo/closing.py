"""How a telling ends: where the server is, what to try on what the story left, and how to hear more.

Invariant: every command that is told works as it stands, from the directory that the demo was started in.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence

from gateway.demo.acts import PURPOSE
from gateway.demo.checks import show_words
from gateway.demo.home import Home
from gateway.demo.narrator import Narrator
from gateway.demo.stage import Life, Stage, chengxin, shown


def tell_running(stage: Stage, server: subprocess.Popen[bytes], *, goes_on: bool) -> None:
    """Where the server is, how to stop it, and what to try on it."""
    tell = stage.tell
    tell.gap()
    tell.line("server.running", addresses=tell.join(list(stage.settings.addresses)))
    for url in _urls(stage):
        tell.command(url)
    if goes_on:
        tell.line("server.stop")
        tell.command(f"kill {server.pid}")
    else:
        tell.line("server.here")
    if stage.lives:
        _try(stage, _online(stage, stage.lives[0]))


def tell_offline(stage: Stage, *, goes_on: bool) -> None:
    """What to try when the server is stopped: on the export, and on the database if it goes on."""
    stage.tell.gap()
    if stage.lives:
        shelf = stage.lives[0].shelf
        copy = ("ledger", "export", "--to", shown(shelf.path / "export-2"))
        kept = (("ledger", "vkey"), copy) if goes_on else ()
        _try(stage, (show_words(stage, stage.lives[0]), *kept))


def tell_more(tell: Narrator, others: Sequence[str]) -> None:
    """The other chapters, if there are any."""
    if others:
        tell.line("closing.more", chapters=tell.join(list(others)))


def tell_stopped(tell: Narrator, home: Home, *, goes_on: bool) -> None:
    """What is left where nothing runs any more, and how to go on with it if its database is there."""
    if goes_on:
        tell.line("server.once")
        tell.command(chengxin(home, "serve"))
    else:
        tell.line("server.gone", home=shown(home.path))


def _try(stage: Stage, commands: Iterable[Iterable[str]]) -> None:
    stage.tell.line("closing.try")
    for words in commands:
        stage.tell.command(chengxin(stage.home, *words))


def _online(stage: Stage, life: Life) -> Iterator[tuple[str, ...]]:
    """Who looked; a query; and a consent of somebody else's, from the request to the signature."""
    operator = ("--key", shown(stage.cast.files.operator))
    loan = ("--purpose", PURPOSE, "--category", "loan")
    first, third = stage.citizens[0].folder, stage.citizens[2].folder
    request = shown(third / "request.json")
    yield "citizen", "accesses", "--key", shown(first / "citizen.jwk")
    yield "query", *operator, "--consent-id", life.live_consent, *loan
    yield "consent", "request", *operator, "--person", shown(third / "person.txt"), *loan, "--out", request
    yield "consent", "sign", request, "--key", shown(third / "citizen.jwk"), "--send", "--yes"


def _urls(stage: Stage) -> Iterator[str]:
    """The index page, the checkpoint, and the metrics."""
    yield f"{stage.settings.public_url}/"
    yield f"{stage.settings.public_url}/ledger/checkpoint"
    yield f"http://127.0.0.1:{stage.settings.metrics_port}/metrics"
