"""Load on the gateway alone, to profile it: `python -m tests.bench.load`.

It starts a durable PostgreSQL, an installation and its real server, fires rounds, and prints what they cost.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import machine
from tests.bench.cluster import durable_postgres, postmaster
from tests.bench.serving import end_in_order
from tests.bench.town import Town, new_town
from tests.bench.wire import Fired, fire_well

WARM = 200
MOST = 40_000
"""Requests of a round: signing more would outlast the minute in which a signature is good."""


def main() -> None:
    """Parse, set up, fire, print."""
    end_in_order()
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder, durable_postgres() as postgres:
        begun = time.monotonic()
        pgroot = postmaster(postgres)
        with new_town(postgres, Path(folder) / "home", asked.people, asked.workers) as town:
            say(f"set up in {time.monotonic() - begun:.1f} s: {asked.people} people, server {town.server}, "
                f"port {town.port}, home {town.home}")  # fmt: skip
            fire_well(town.port, town.requests(WARM), 8)
            for _ in range(asked.rounds):
                for connections in asked.connections:
                    one_round(town, pgroot, connections, asked.seconds)
            if asked.hold:
                say("held: press Enter to end")
                sys.stdin.readline()


def one_round(town: Town, pgroot: int, connections: int, seconds: float) -> None:
    """Find out how fast it is, sign as many, fire them, print the line."""
    tried = fire_well(town.port, town.requests(max(50, 10 * connections)), connections)
    requests = town.requests(min(MOST, max(100, int(tried.rate * seconds))))
    before = machine.read({"server": town.server, "postgresql": pgroot})
    fired = fire_well(town.port, requests, connections)
    cost = machine.read({"server": town.server, "postgresql": pgroot}).since(before)
    say(line(fired, cost))


def line(fired: Fired, cost: machine.Reading) -> str:
    """One round, as it is printed; CPU per query in microseconds."""
    count = len(fired.latencies)
    server, base = (1e6 * cost.trees[name] / count for name in ("server", "postgresql"))
    return (
        f"{fired.connections:3d} connections: {fired.rate:7.1f}/s  p50 "
        f"{1e3 * fired.percentile(0.5):6.2f} ms  p99 {1e3 * fired.percentile(0.99):6.2f} ms  "
        f"CPU/query {server + base:6.0f} us "
        f"(server {server:.0f} + PostgreSQL {base:.0f}; machine less generator "
        f"{1e6 * (cost.machine - cost.own) / count:.0f}; generator {1e6 * cost.own / count:.0f})  "
        f"{count} queries, {fired.received / count:.0f} bytes each"
    )


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long a round takes")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--hold", action="store_true", help="leave the server running until Enter")
    return parser.parse_args()


if __name__ == "__main__":
    main()
