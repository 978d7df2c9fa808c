"""The gateway beside its four opponents, in interleaved rounds on one machine.

Invariant: every contestant has the same people, rows, request bodies, database server, number of workers and
load generator; rounds go round robin, so that whatever the machine does meanwhile is done to all. An opponent
runs on the server that suits it best of three, tried first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from tests import databases
from tests.bench import machine
from tests.bench.opponents import plain, serve
from tests.bench.opponents.data import database, fill
from tests.bench.serving import started
from tests.bench.town import Town
from tests.bench.verifying import verify_seconds
from tests.bench.wire import Fired, fire, fire_well
from tests.ports import free_port

GATEWAY: Final = "gateway"
OPPONENTS: Final = ("plain", "crud", "floor", "raw floor")
"""Those that run on whichever server suits them better."""

MOST: Final = 30_000
"""Requests of a round: signing more would outlast the minute in which a signature is good."""

TRIES: Final = 3
"""Of each opponent on each server, before one of them is chosen."""

WARM_RATE: Final = 100
"""Requests before the first round, for each second of a round."""

Sign = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server: its port, the root of its processes, how its requests are made, what it runs on."""

    name: str
    port: int
    root: int
    sign: Sign
    server: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contestant. Times in seconds; CPU in seconds a query."""

    rate: float
    p50: float
    p99: float
    trees: float
    """Of the server's and of PostgreSQL's processes."""

    machine: float
    """Of the whole machine, less the load generator."""

    generator: float
    bytes: float


@dataclass(slots=True)
class Played:
    """All samples by contestant and connections; the server of each; times of one Ed25519 verification."""

    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    verify: list[float] = field(default_factory=list)


def play(
    postgres: databases.Postgres,
    base: int,
    town: Town,
    rounds: Mapping[int, int],
    seconds: float,
    say: Callable[[str], None],
) -> Played:
    """Play `rounds[connections]` rounds of `seconds` for each; `base` is PostgreSQL's process id."""
    played = Played()
    with _contestants(postgres, town, seconds, say) as contestants:
        played.servers = {one.name: one.server for one in contestants}
        rates: dict[tuple[str, int], float] = {}
        for connections, count in rounds.items():
            for one in contestants:  # also warms every process of it
                tried = fire_well(one.port, one.sign(_some(connections, WARM_RATE * seconds)), connections)
                rates[one.name, connections] = tried.rate
            for _ in range(count):
                played.verify.append(verify_seconds())
                for one in contestants:
                    sample = _round(one, base, connections, rates[one.name, connections] * seconds)
                    rates[one.name, connections] = sample.rate
                    played.samples.setdefault((one.name, connections), []).append(sample)
                    say(f"{connections:3d} connections  {one.name:9s} {sample.rate:8.1f}/s  "
                        f"p50 {1e3 * sample.p50:7.2f} ms  p99 {1e3 * sample.p99:7.2f} ms  "
                        f"CPU {1e6 * sample.trees:6.0f} us")  # fmt: skip
    return played


def _round(one: Contestant, base: int, connections: int, wanted: float) -> Sample:
    requests = one.sign(_some(connections, wanted))
    roots = {"server": one.root, "postgresql": base}
    before = machine.read(roots)
    fired = fire_well(one.port, requests, connections)
    return sample_of(fired, machine.read(roots).since(before))


def sample_of(fired: Fired, cost: machine.Reading) -> Sample:
    """What a round says, for each query."""
    count = len(fired.latencies)
    return Sample(
        rate=fired.rate,
        p50=fired.percentile(0.5),
        p99=fired.percentile(0.99),
        trees=sum(cost.trees.values()) / count,
        machine=(cost.machine - cost.own) / count,
        generator=cost.own / count,
        bytes=fired.received / count,
    )


def _some(connections: int, wanted: float) -> int:
    """How many requests to make: what is wanted, but at least two for each connection."""
    return min(MOST, max(2 * connections, int(wanted)))


@contextmanager
def _contestants(
    postgres: databases.Postgres, town: Town, seconds: float, say: Callable[[str], None]
) -> Iterator[list[Contestant]]:
    """The gateway and its opponents, all running; ended on leaving."""
    with ExitStack() as running:
        name = running.enter_context(database(postgres))
        config = fill(postgres, name, town.consented, town.records, receipt_of(town))
        file = town.home / "opponents.json"
        config.write(file)
        signers: dict[str, Sign] = {
            "plain": lambda count: plain.requests(config, town.consented, count),
            GATEWAY: town.requests,
        }
        unread = town.requests(1000)  # nobody verifies these: the same may be sent again

        def again(count: int) -> list[bytes]:
            return list(itertools.islice(itertools.cycle(unread), count))

        contestants = [Contestant(GATEWAY, town.port, town.server, town.requests, "its own")]
        for opponent in OPPONENTS:
            sign = signers.get(opponent, again)
            server = _best(opponent, sign, file, seconds, say)
            contestants.append(running.enter_context(_opponent(opponent, server, sign, file)))
        yield contestants


def receipt_of(town: Town) -> str:
    """A receipt as it comes with an answer, for the opponents to send along: their replies are as long."""
    return str(orjson.loads(reply_of(town))["receipt"])


def reply_of(town: Town) -> bytes:
    """The body of one reply of the gateway."""
    replies: list[bytes] = []
    fire(town.port, town.requests(1), 1, keep=replies)
    return replies[0].partition(b"\r\n\r\n")[2]


def _best(opponent: str, sign: Sign, file: Path, seconds: float, say: Callable[[str], None]) -> str:
    """The server on which this opponent answers more a second at 64 connections, by the median of its tries.

    The tries are interleaved: by one alone the machine's other guests would choose.
    """
    rates: dict[str, list[float]] = {server: [] for server in serve.SERVERS}
    count = _some(64, WARM_RATE * seconds)
    for _ in range(TRIES):
        for server, found in rates.items():
            with _opponent(opponent, server, sign, file) as running:
                tried = fire_well(running.port, sign(count), 64)
                found.append(fire_well(running.port, sign(_some(64, tried.rate * seconds)), 64).rate)
    medians = {server: median(found) for server, found in rates.items()}
    say(f"{opponent}: " + ", ".join(f"{server} {rate:.0f}/s" for server, rate in medians.items()))
    return max(medians, key=lambda server: medians[server])


@contextmanager
def _opponent(opponent: str, server: str, sign: Sign, file: Path) -> Iterator[Contestant]:
    port = free_port()
    words = serve.command(opponent, server, port, file)
    with started(words, port, "/readyz", file.with_name(f"{opponent.replace(' ', '-')}.log")) as process:
        yield Contestant(opponent, port, process.pid, sign, server)
