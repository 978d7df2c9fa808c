"""One soak: an installation with its real server, clients at full load, things killed at random, the verdict.

Invariant: whatever strikes, in the end nothing is lost and nothing is unexplained. The installation is left
to itself: a supervisor starts what ended, nobody does anything else.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gateway.publishing import PublishingThread
from keys.signing import parse_public_jwk
from ledger.verify.auditor import Trust
from tests import databases
from tests.faults.cluster import cluster
from tests.faults.soak import judge
from tests.faults.soak.book import Book
from tests.faults.soak.chaos import Chaos, Installation
from tests.faults.soak.clients import Bank, asking, settle
from tests.faults.town import HALVES
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.workers.served import TidyWorld, start
from tests.gateway.world import REGISTRAR, SettableClock, World, _people, new_house

PERSONS = 8
MOST_USES = 1_000
"""Of one consent, by the schema of a policy."""
FEW_USES = (1, 2, 10, 50)
"""Consents that the load uses up: the answers under them are as many, and not one more."""
SETTLING_S = 120.0
WATCH_S = 0.2

Say = Callable[[str], None]


@dataclass
class Plan:
    """What is run: how long (s), by which seed, with how many clients, consents for so many queries."""

    engine: str
    seconds: float
    seed: int
    clients: int = 16
    queries: int = 20_000
    durable: bool = True


@dataclass
class Verdict:
    """What came of it; `wrong` is empty where all is well."""

    lines: list[str]
    wrong: list[str]


def soak(plan: Plan, folder: Path, say: Say) -> Verdict:
    """Run the plan in `folder`, which is empty."""
    with installed(plan, folder / "home") as (world, place):
        say(f"{plan.engine}: installed; consents are being given")
        allowed = give_consents(world, plan)
        book, kept = Book(), Checkpoints(world)
        bank = Bank(world.url, world.house.settings.port, world.bank_key, kit.pins_of(world))
        over = threading.Event()
        begun = time.monotonic()
        threads = [
            threading.Thread(target=asking, args=(bank, book, sorted(allowed), plan.seed + number, over))
            for number in range(plan.clients)
        ]
        watching = threading.Thread(target=kept.watch, args=(over,))
        for thread in (*threads, watching):
            thread.start()
        chaos = Chaos(place, random.Random(plan.seed))
        say(f"{plan.engine}: {plan.seconds:.0f} s at full load, {plan.clients} clients, things being killed")
        try:
            chaos.run(begun + plan.seconds)
        finally:
            over.set()
            for thread in (*threads, watching):
                thread.join()
        settle(bank, book, time.monotonic() + SETTLING_S, place.supervise)
        asked_s = time.monotonic() - begun
        say(f"{plan.engine}: everything asked is held against the log")
        place.server.stop()
        if keep := os.environ.get("SOAK_LOG"):
            shutil.copy(place.server.log, f"{keep}.{plan.engine}")
        wrong = list(found_wrong(world, book, kept, allowed, folder))
        return Verdict(summary(plan, book, chaos, place, kept, kit.size(world.house), asked_s), wrong)


def found_wrong(
    world: World, book: Book, kept: Checkpoints, allowed: dict[str, int], folder: Path
) -> Iterator[str]:
    """Everything that is lost or unexplained."""
    yield from book.unexplained
    yield from (
        f"query {sent.query} is unexplained" for sent in book.queries if sent.nonces and not sent.explained
    )
    log = judge.read_log(world)
    yield from judge.receipts_wrong(book, log)
    yield from judge.refusals_wrong(book, log)
    yield from judge.nonces_wrong(book)
    yield from judge.answers_wrong(book, log, allowed, world)
    yield from judge.rows_wrong(world, HALVES)
    registrar = parse_public_jwk(world.registrar.key.jwk)
    trust = Trust(kit.pins_of(world).vkey, {REGISTRAR: (registrar,)}, world.regulator_private, kept.notes)
    yield from judge.audit_wrong(world, trust, folder / "export")


class Checkpoints:
    """Every checkpoint that the world could see: the log must continue them all."""

    def __init__(self, world: World) -> None:
        settings = world.house.settings
        self._files = (settings.log_dir / "checkpoint", settings.checkpoint_copy)
        self.notes: dict[str, bytes] = {}
        self._seen: set[bytes] = set()

    def watch(self, over: threading.Event) -> None:
        """Look at both files again and again."""
        while not over.wait(WATCH_S):
            for file in self._files:
                note = file.read_bytes()
                if note not in self._seen:
                    self._seen.add(note)
                    self.notes[f"checkpoint {len(self.notes)}"] = note


def give_consents(world: World, plan: Plan) -> dict[str, int]:
    """Consents for as many queries as the load can ask, and some that it uses up; each with its uses."""
    numbers = [kit.person(serial) for serial in range(1, PERSONS + 1)]
    world.import_records([kit.loan(number, f"R-{number}") for number in numbers])
    citizens = [world.citizen(number) for number in numbers]
    uses = [MOST_USES] * (plan.queries // MOST_USES + PERSONS) + list(FEW_USES) * 2
    with world.bank() as bank:
        return {
            world.consent(citizens[place % PERSONS], bank, max_uses=most): most
            for place, most in enumerate(uses)
        }


@contextmanager
def installed(plan: Plan, home: Path) -> Iterator[tuple[World, Installation]]:
    """An installation with its server; both are ended on leaving."""
    if plan.engine == "postgresql":
        databases.postgres()  # says why where there is none
    with (
        cluster(durable=plan.durable) if plan.engine == "postgresql" else nullcontext() as own,
        databases.using(plan.engine),
        databases.fresh() as where,
        ExitStack() as ending,
    ):
        clock = SettableClock()
        workers = 1 if own is None else 2
        usual: dict[str, Any] = {"host": "127.0.0.1", "workers": workers, "threads": 16}
        usual |= {"port": quiet_port(), "metrics_port": quiet_port()}
        house = new_house(home, clock, generous(), **(where | usual))
        ending.enter_context(closing(house.custody))
        ending.callback(house.engine.dispose)
        people = _people(house, PublishingThread(house), None, clock)  # type: ignore[arg-type]
        world = TidyWorld(**{one.name: getattr(people, one.name) for one in fields(World) if one.init})
        ending.enter_context(world.closing)
        place = Installation(start(house.settings, home / "server.out"), own)
        try:
            place.server.wait_until_ready()
            yield world, place
        finally:
            place.server.stop()


def quiet_port() -> int:
    """A free port from below those that the kernel gives to clients.

    One of theirs could be taken while the server is down, by a client that then talks to itself.
    """
    while True:
        port = secrets.choice(range(15_000, 30_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def summary(
    plan: Plan, book: Book, chaos: Chaos, place: Installation, kept: Checkpoints, size: int, seconds: float
) -> list[str]:
    """What happened, in a few lines."""
    answered = sum(bool(sent.served) for sent in book.queries)
    again = sum(len(sent.nonces) > 1 for sent in book.queries)
    asked = (
        f"{len(book.queries)}: {answered} answered ({answered / seconds:.0f} a second), "
        f"{again} asked more than once, {len(book.open)} settled in the end"
    )
    struck = ", ".join(f"{what} {times}" for what, times in sorted(chaos.struck.items()))
    heard = ", ".join(f"{what} {times}" for what, times in sorted(book.outcomes.items()))
    return [
        f"{plan.engine}: seed {plan.seed}, {seconds:.0f} s, {plan.clients} clients",
        f"  queries   {asked}",
        f"  heard     {heard}",
        f"  struck    {struck or 'nothing'}; the server was started again {place.restarts} times",
        f"  server    {server_said(place) or 'no complaint'}",
        f"  log       {size} entries, {len(kept.notes)} checkpoints seen, each continued by the last",
    ]


def server_said(place: Installation) -> str:
    """What the server complained of, and how often."""
    said: Counter[str] = Counter()
    for line in place.server.log.read_text(errors="replace").splitlines():
        with suppress(ValueError, AttributeError):
            event = json.loads(line)
            if event.get("level") in ("error", "critical"):
                said[" ".join(str(event[name]) for name in ("event", "error") if name in event)] += 1
    return ", ".join(f"{what} {times}" for what, times in sorted(said.items()))
