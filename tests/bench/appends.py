"""Durable appends: how many entries a second the ledger takes from 64 writers, each waiting for its own.

A writer submits one entry and goes on once it is committed, through the very group commit that queries go
through (`House.lane`, the head's lock, `Appender`, heads with their MACs, COMMIT). The entries are those of
answered queries about a thousand people, without details for the regulator: what is measured is the ledger.

Writers come in two ways, as they do in a worker: those of queries are connections that one thread answers
(`gateway.front`), those of all else a thread each (`crowded`).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from gateway.config import load_settings
from gateway.house import House, wall_clock
from gateway.institutions.register import NewInstitution, add_institution
from gateway.opening import open_house
from gateway.transaction import Transaction, prepare
from gateway.work import Grouped
from keys.sealing import generate_x25519
from ledger.chains import PersonHead, reading_chains
from ledger.drafts import Draft, Entry, Ready
from ledger.exchange import Reading
from ledger.log import read_head
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


def _chains(house: House, _conn: Connection, leaves: Sequence[Ready]) -> list[Reading[Any]]:
    return [reading_chains(house.shard, [tag for leaf in leaves if (tag := leaf.draft.tag) is not None])]


def _append_all(tx: Transaction, leaves: Sequence[Ready], chains: Mapping[bytes, PersonHead]) -> list[Entry]:
    """A batch of answered queries, made ready before."""
    tx.appender.meet(chains)
    return [tx.record(leaf) for leaf in leaves]


append_all = Grouped(_chains, _append_all)


def ready_all(house: House, tags: Sequence[bytes]) -> list[Draft | Ready]:
    """An answered query about each of these, before the lock is taken."""
    return [prepare(house, Draft("query.disclosed", _BODY, tag=tag, by=_BY)) for tag in tags]


def write(house: House, writers: int, seconds: float, *, crowded: bool = False) -> tuple[int, float]:
    """Have so many writers append for so long: how many entries, in how many seconds."""
    tags = itertools.cycle([n.to_bytes(16, "big") for n in range(1, PEOPLE + 1)])
    counts, failed = [0] * writers, []
    begun = time.perf_counter()
    end = begun + seconds

    def work(own: int, many: int) -> None:
        try:
            while not counts[own] or time.perf_counter() < end:  # one each, however late they begin
                theirs = list(itertools.islice(tags, many))
                for slot in house.lane.submit_all(append_all, ready_all(house, theirs), [None] * many):
                    slot.taken()
                counts[own] += many
        except Exception as error:  # noqa: BLE001  raised below, where the threads are waited for
            failed.append(error)

    threads, each = (writers, 1) if crowded else (1, writers)
    running = [threading.Thread(target=work, args=(own, each)) for own in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]
    return sum(counts), time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Appended:
    """Entries a second, a figure for each round: by writers that one thread serves, and by a thread each."""

    together: list[float]
    crowded: list[float]


def measure(home: Path, settings: dict[str, str], processes: int, seconds: float, rounds: int) -> Appended:
    """On a fresh installation with these settings; rounds of the two ways are interleaved."""
    house = new_house(home, wall_clock, **settings)
    try:
        _, public = generate_x25519(os.urandom)
        add_institution(
            house, NewInstitution(REGULATOR, "压测监管局", "regulator", ("audit",), regulator_key=public)
        )
        found = Appended([], [])
        for _ in range(rounds):
            for crowded, rates in ((False, found.together), (True, found.crowded)):
                if processes > 1:
                    rates.append(_at_once(house, home, processes, seconds, crowded))
                else:
                    write(house, WRITERS, seconds / 4, crowded=crowded)
                    count, took = write(house, WRITERS, seconds, crowded=crowded)
                    rates.append(count / took)
        return found
    finally:
        house.engine.dispose()
        house.custody.close()


def on_sqlite(home: Path, seconds: float, rounds: int) -> Appended:
    """64 writers in the one process that a SQLite file may have."""
    return measure(home, {}, 1, seconds, rounds)


def on_postgresql(postgres: databases.Postgres, home: Path, seconds: float, rounds: int) -> Appended:
    """64 writers over two processes."""
    with postgres.database() as name:
        return measure(home, postgres.settings(name), 2, seconds, rounds)


def _at_once(house: House, home: Path, processes: int, seconds: float, crowded: bool) -> float:
    """Processes that begin at once; what counts is what the log grew by, over the longest of their times."""
    how = "crowded" if crowded else "together"
    each = str(WRITERS // processes)
    words = [sys.executable, "-m", "tests.bench.appends", str(home), each, str(seconds), how]
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


def main(home: str, writers: str, seconds: str, how: str) -> None:
    """One of the processes: open the house, warm up, wait for the word, write, say how much."""
    house = open_house(load_settings(Path(home)))
    crowded = how == "crowded"
    write(house, int(writers), float(seconds) / 4, crowded=crowded)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    count, took = write(house, int(writers), float(seconds), crowded=crowded)
    sys.stdout.write(f"{count} {took}\n")
    house.engine.dispose()
    house.custody.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
