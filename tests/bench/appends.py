"""Durable appends: how many entries a second the ledger takes from 64 writers, each waiting for its own.

A writer submits one entry and goes on once it is committed, through the very group commit that queries go
through (`House.lane`, the head's lock, `Appender`, heads with their MACs, COMMIT). The entries are those of
answered queries about a thousand people, without details for the regulator: what is measured is the ledger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from gateway.config import load_settings
from gateway.house import House, wall_clock
from gateway.institutions.register import NewInstitution, add_institution
from gateway.opening import open_house
from gateway.transaction import Transaction
from keys.sealing import generate_x25519
from ledger.log import Entry, read_head
from tests import databases
from tests.bench.town import BANKS, CATEGORIES, PURPOSE
from tests.gateway.world import REGULATOR, new_house

WRITERS: Final = 64
PEOPLE: Final = 1000


_BY: Final = {"institution": BANKS[0], "operator": "op-" + "1" * 16}
_BODY: Final[dict[str, Any]] = {
    "query": str(uuid.UUID(int=7)),
    "purpose": PURPOSE,
    "categories": list(CATEGORIES),
    "commitment": "5a" * 32,
    "request": "a5" * 32,
    "grant": 1,
    "use": 1,
}


def append_all(tx: Transaction, tags: Sequence[bytes]) -> list[Entry]:
    """A batch of answered queries, one for each tag."""
    tx.appender.load_subjects(tags)
    return [tx.append("query.disclosed", _BODY, tag=tag, by=_BY) for tag in tags]


def write(house: House, threads: int, seconds: float) -> tuple[int, float]:
    """Have so many threads append for so long: how many entries, in how many seconds."""
    tags = [n.to_bytes(16, "big") for n in range(1, PEOPLE + 1)]
    counts, failed = [0] * threads, []
    begun = time.perf_counter()
    end = begun + seconds

    def one(own: int) -> None:
        try:
            while time.perf_counter() < end:
                house.lane.submit(append_all, tags[(own * 97 + counts[own]) % PEOPLE])
                counts[own] += 1
        except Exception as error:  # noqa: BLE001  raised below, where the threads are waited for
            failed.append(error)

    running = [threading.Thread(target=one, args=(own,)) for own in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]
    return sum(counts), time.perf_counter() - begun


def measure(home: Path, settings: dict[str, str], processes: int, seconds: float, rounds: int) -> list[float]:
    """Entries a second, a figure for each round, on a fresh installation with these settings."""
    house = new_house(home, wall_clock, **settings)
    try:
        _, public = generate_x25519(os.urandom)
        add_institution(
            house, NewInstitution(REGULATOR, "压测监管局", "regulator", ("audit",), regulator_key=public)
        )
        if processes == 1:
            write(house, WRITERS, seconds / 4)
            return [count / took for count, took in (write(house, WRITERS, seconds) for _ in range(rounds))]
        return [_together(house, home, processes, seconds) for _ in range(rounds)]
    finally:
        house.engine.dispose()
        house.custody.close()


def on_sqlite(home: Path, seconds: float, rounds: int) -> list[float]:
    """64 writers in the one process that a SQLite file may have."""
    return measure(home, {}, 1, seconds, rounds)


def on_postgresql(postgres: databases.Postgres, home: Path, seconds: float, rounds: int) -> list[float]:
    """64 writers over two processes."""
    with postgres.database() as name:
        return measure(home, postgres.settings(name), 2, seconds, rounds)


def _together(house: House, home: Path, processes: int, seconds: float) -> float:
    """Processes that begin at once; what counts is what the log grew by, over the longest of their times."""
    words = [sys.executable, "-m", "tests.bench.appends", str(home), str(WRITERS // processes), str(seconds)]
    with ExitStack() as open_:
        running = [
            open_.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(processes)
        ]
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n", "a writer did not start"
        before = _size(house)
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        told = [one.communicate()[0].split() for one in running]
    counted = sum(int(count) for count, _ in told)
    assert _size(house) - before >= counted, "an entry that was said to be durable is not in the log"
    return counted / max(float(took) for _, took in told)


def _size(house: House) -> int:
    with house.read() as conn:
        return read_head(conn, house.shard).size


def main(home: str, threads: str, seconds: str) -> None:
    """One of the processes: open the house, warm up, wait for the word, write, say how much."""
    house = open_house(load_settings(Path(home)))
    write(house, int(threads), float(seconds) / 4)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    count, took = write(house, int(threads), float(seconds))
    sys.stdout.write(f"{count} {took}\n")
    house.engine.dispose()
    house.custody.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
