"""What every attack on a consent or a request is held to: it is refused by its name, says and gives nothing.

An attack is a function that makes what is sent; the table it stands in says how it must be refused. Its
honest counterpart is sent afterwards by each test, so that a gateway that refuses everybody passes none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.policies import apply_policy
from keys.canonical import unb64u
from keys.errors import KeysError
from ledger.entries import Leaf, parse_leaf
from ledger.rows import read_leaves
from tests import databases
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.world import DAY_MS, Citizen, World, new_world

PERSONAL = ("测试", '"education"', '"DEM"', '"records"', '"duration_months"')
"""What a person's record holds (`kit.loan`), and how an answer begins."""
_B64U = re.compile(r"[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True)
class Attack:
    """One attack: what makes it, and the problem it must be answered with."""

    make: Callable[..., Any]
    status: int
    problem: str
    recorded: bool = False

    @property
    def leaves(self) -> tuple[str, ...]:
        """The refusals that stand in the log for it: one if it was ruled on, none if it was not believed."""
        return (self.problem,) if self.recorded else ()


class Attacks(list[Attack]):
    """A table of attacks, each written as a function under the problem that must answer it."""

    def refused(
        self, status: int, problem: str, *, recorded: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Put the decorated function into the table; `recorded` when the refusal has a leaf and a receipt."""

        def put(make: Callable[..., Any]) -> Callable[..., Any]:
            self.append(Attack(make, status, problem, recorded))
            return make

        return put

    @property
    def each(self) -> pytest.MarkDecorator:
        """One test an attack, named after it."""
        return pytest.mark.parametrize("attack", self, ids=[one.make.__name__.strip("_") for one in self])


@contextmanager
def besieged(engine: str, folder: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway on this engine, in a time of day at which no day ends; its policy allows many uses."""
    with databases.using(engine), new_world(_home(folder)) as made:
        apply_policy(made.house, generous())
        made.clock.offset += DAY_MS - made.clock() % DAY_MS + DAY_MS // 2
        yield made


def _home(folder: pytest.TempPathFactory) -> Path:
    return folder.mktemp("besieged") / "home"


def somebody(world: World, serial: int) -> Citizen:
    """An enrolled person with a loan on record; `serial` below 1000."""
    number = kit.person(serial)
    assert world.import_records([kit.loan(number, f"R-{serial}")]).accepted == 1
    return world.citizen(number)


@contextmanager
def nothing_given(world: World, *reasons: str) -> Iterator[None]:
    """What is done inside grants, uses and enrols nothing; the log grows by these refusals alone."""
    before, size = _given(world), kit.size(world.house)
    yield
    assert _given(world) == before
    grown = leaves_since(world, size)
    assert [(leaf.type, getattr(leaf.body, "reason", None)) for leaf in grown] == [
        ("query.refused", reason) for reason in reasons
    ]


def leaves_since(world: World, size: int) -> list[Leaf]:
    """What was appended since the log had `size` leaves, but for what announces keys."""
    house = world.house
    with house.read() as conn:
        raw = read_leaves(conn, house.shard, size, kit.size(house))
        return [leaf for leaf in map(parse_leaf, raw) if leaf.type != "key.sealing"]


def check_refused(reply: httpx.Response, attack: Attack, *persons: Citizen) -> None:
    """The problem of the table and no other, and nothing of anybody, receipt and headers included."""
    kit.check_problem(reply, attack.status, attack.problem)
    check_silent(reply, *persons)
    assert ("receipt" in reply.json()) == bool(attack.leaves)


def check_silent(reply: httpx.Response, *persons: Citizen) -> None:
    """No value of a record, no number and no thumbprint stands in a reply, in clear or in base64url."""
    said = reply.text + str(reply.headers)
    opened = said + "".join(_opened(part) for part in _B64U.findall(said))
    for private in (*PERSONAL, *(word for one in persons for word in (one.number, one.key.kid))):
        assert private not in opened, private


def _opened(part: str) -> str:
    with suppress(KeysError):
        return unb64u(part).decode("utf-8", "ignore")
    return ""


def _given(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Who holds what: every grant with its uses, every key with its state."""
    return {
        "grants": kit.insider(
            world.house, "SELECT consent, state, uses, grant_index FROM grants ORDER BY consent"
        ),
        "keys": kit.insider(
            world.house, "SELECT about, state, changed_index FROM citizen_keys ORDER BY about"
        ),
    }
