"""A process's worth of gateway on which queries and withdrawals are held where a race is decided, and let go.

Each actor is a thread that calls what the routes call. It runs until it comes to the ledger's lane: whatever
it looks up before the lock, it has looked up then, and waits. `queue` lets it into the lane, while a
transaction that does nothing holds the head's lock; `let_go` ends that one, and those who queued follow in
their order, in the batches that the gateway makes of them. `Remote` is the same in a process of its own.

Invariant: nothing here sleeps or hopes. After each call it is known of every actor whether it waits before
the lane, in it, or is done.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from gateway.config import load_settings
from gateway.consents import bodies
from gateway.consents.withdraw import withdraw
from gateway.house import House
from gateway.lane import Lane
from gateway.opening import open_house
from gateway.query.answer import Answer, Refusal, answer
from gateway.query.request import Query, Signer
from gateway.transaction import Nonce, Transaction
from keys.canonical import b64u, canonical, parse_canonical, unb64u
from tests.gateway.world import SettableClock

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Asker:
    """In whose name the queries of a stage come: operator, institution, thumbprint of the key."""

    operator: str
    institution: str
    kid: str

    def signer(self, house: House) -> Signer:
        """What a verified request of theirs yields, its nonce fresh."""
        nonce = Nonce(self.kid, b64u(os.urandom(16)), house.clock() + 120_000)
        return Signer(self.operator, self.institution, nonce)


@dataclass(frozen=True)
class Actor:
    """Somebody who acts once on a consent: a query, or its withdrawal, with the body of the request."""

    number: int
    consent: str
    body: dict[str, Any] = field(repr=False)
    withdraws: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an actor got: `answered`, `withdrew` or the reason of a refusal, and the index of its entry.

    `records`: how many came with an answer.
    """

    said: str
    index: int
    records: int = 0


Asks = Callable[[House, Query, dict[str, Any], Signer], Any]


class Turn:
    """One actor's way: it `came` to the lane (or ended before), and may `go` on."""

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()


class Gate:
    """In the place of a house's lane: actors wait here for their turn; everybody else walks through."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.turn = threading.local()

    def submit(self, *work: Any) -> Any:
        self._wait()
        return self.lane.submit(*work)

    def submit_all(self, *work: Any) -> Any:
        self._wait()
        return self.lane.submit_all(*work)

    def _wait(self) -> None:
        turn: Turn | None = getattr(self.turn, "of", None)
        if turn is not None:
            turn.came.set()
            assert turn.go.wait(PATIENCE_S), "nobody lets this actor go"

    @property
    def queued(self) -> int:
        """How many wait in the lane for somebody else's transaction to end."""
        return len(self.lane._waiting)


class Side(Protocol):
    """What a schedule does with one process."""

    def begin(self, actors: Sequence[Actor]) -> None:
        """Run each, one after another, until it comes to the lane."""

    def hold(self, *, inside: bool) -> None:
        """Occupy the lane with a transaction; with `inside`, return once that has the head's lock."""

    def queue(self, numbers: Sequence[int]) -> None:
        """Let these into the lane in this order, behind the transaction that holds it."""

    def let_go(self) -> None:
        """End that transaction."""

    def rush(self, numbers: Sequence[int]) -> None:
        """Let these go on though nothing holds the lane; how far, is for the caller to find out."""

    def gather(self) -> dict[int, Outcome]:
        """Wait for everybody who was queued; what each of them got, by number."""


class Stage:
    """A side in this process. `asks` is what answers a query, the gateway's own unless a test breaks it."""

    def __init__(self, house: House, asker: Asker, asks: Asks = answer) -> None:
        self._house, self._asker, self._asks = house, asker, asks
        self._gate = Gate(house.lane)
        house.lane = self._gate  # type: ignore[assignment]
        self._turns: dict[int, Turn] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._queued: list[int] = []
        self._outcomes: dict[int, Outcome] = {}
        self._errors: list[BaseException] = []
        self._holding: tuple[threading.Thread, threading.Event] | None = None

    def close(self) -> None:
        """Give the house its lane back."""
        self._house.lane = self._gate.lane

    def begin(self, actors: Sequence[Actor]) -> None:
        for actor in actors:
            turn = self._turns[actor.number] = Turn()
            thread = threading.Thread(target=self._act, args=(actor, turn), daemon=True)
            self._threads[actor.number] = thread
            thread.start()
            assert turn.came.wait(PATIENCE_S), "an actor never came to the lane"
        self._raise()

    def hold(self, *, inside: bool) -> None:
        entered, go = threading.Event(), threading.Event()

        def stay(_: Transaction) -> None:
            entered.set()
            assert go.wait(PATIENCE_S), "nobody ends this transaction"

        thread = threading.Thread(target=self._house.transact, args=(stay,), kwargs={"seals": False})
        self._holding = (thread, go)
        thread.start()
        if inside:
            assert entered.wait(PATIENCE_S), "the lock cannot be had"

    def queue(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            before = self._gate.queued
            self._turns[number].go.set()
            # Until it stands in the queue; an actor that failed before the lane is done already.
            while self._gate.queued == before and self._threads[number].is_alive():
                time.sleep(0)
            self._queued.append(number)

    def rush(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._turns[number].go.set()
            self._queued.append(number)

    def let_go(self) -> None:
        assert self._holding is not None, "nothing is held"
        thread, go = self._holding
        self._holding = None
        go.set()
        thread.join(PATIENCE_S)

    def gather(self) -> dict[int, Outcome]:
        done, self._queued = self._queued, []
        for number in done:
            self._threads.pop(number).join(PATIENCE_S)
            del self._turns[number]
        self._raise()
        return {number: self._outcomes.pop(number) for number in done}

    def _raise(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _act(self, actor: Actor, turn: Turn) -> None:
        self._gate.turn.of = turn
        try:
            self._outcomes[actor.number] = self._withdraw(actor) if actor.withdraws else self._ask(actor)
        except BaseException as error:  # noqa: BLE001  handed to whoever drives the stage, who raises it
            self._errors.append(error)
        finally:
            turn.came.set()

    def _withdraw(self, actor: Actor) -> Outcome:
        return Outcome("withdrew", withdraw(self._house, bodies.Withdraw(**actor.body)).entry.index)

    def _ask(self, actor: Actor) -> Outcome:
        members: dict[str, Any] = parse_canonical(canonical(actor.body))
        query = Query(**{**members, "categories": tuple(members["categories"])})
        said = self._asks(self._house, query, members, self._asker.signer(self._house))
        assert isinstance(said, Answer | Refusal), said
        index = int(parse_canonical(unb64u(said.receipt.split(".")[1]))["index"])
        if isinstance(said, Refusal):
            return Outcome(said.reason.value, index)
        reply = parse_canonical(said.body())
        return Outcome("answered", index, sum(map(len, reply["answer"]["records"].values())))


class Remote:
    """A side in another process, told over a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def begin(self, actors: Sequence[Actor]) -> None:
        self._call("begin", actors)

    def hold(self, *, inside: bool) -> None:
        self._call("hold", inside=inside)

    def queue(self, numbers: Sequence[int]) -> None:
        self._call("queue", numbers)

    def let_go(self) -> None:
        self._call("let_go")

    def rush(self, numbers: Sequence[int]) -> None:
        self._call("rush", numbers)

    def gather(self) -> dict[int, Outcome]:
        return dict(self._call("gather"))

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        self._pipe.send((name, args, named))
        assert self._pipe.poll(PATIENCE_S), f"the other process does not come back from {name}"
        said = self._pipe.recv()
        if isinstance(said, BaseException):
            raise said
        return said


@contextmanager
def another_process(house: House, asker: Asker) -> Iterator[Remote]:
    """A second process that opens the same installation, ended on leaving."""
    offset = house.clock.offset if isinstance(house.clock, SettableClock) else 0
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, house.settings.home, offset, asker), daemon=True)
    process.start()
    theirs.close()
    try:
        with closing(ours):
            assert ours.poll(PATIENCE_S), "the second process does not open its house"
            assert ours.recv() == process.pid != os.getpid()
            yield Remote(ours)
    finally:
        process.join(PATIENCE_S)
        process.close()


def _serve(pipe: Connection, home: Path, offset: int, asker: Asker) -> None:
    """The second process: open the house, do as told until the pipe is closed."""
    clock = SettableClock()
    clock.offset = offset
    house = open_house(load_settings(home), clock)
    with closing(house.custody):
        stage = Stage(house, asker)
        pipe.send(os.getpid())
        while (told := _next(pipe)) is not None:
            name, args, named = told
            try:
                pipe.send(getattr(stage, name)(*args, **named))
            except Exception as error:  # noqa: BLE001  raised in the process that told us
                pipe.send(AssertionError(f"{name} in the second process: {error!r}"))
        house.engine.dispose()


def _next(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return None
