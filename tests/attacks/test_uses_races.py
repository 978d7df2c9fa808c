"""Attack: ask sixty-four times at once under a consent that allows one use, or two, or ten.

All of them have looked up the consent while nothing of it was used; then they are let in together, in one
process or half of them in another.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from consent import decision
from consent.asks import Grant
from tests import databases
from tests.attacks.schedule import Troupe, together
from tests.attacks.stage import Outcome, Side, Stage, another_process
from tests.gateway import kit
from tests.gateway.world import new_world

ASKERS = 64
USES = pytest.mark.parametrize("uses", [1, 2, 10])


@pytest.fixture(scope="module", params=databases.ENGINES)
def troupe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troupe]:
    """One person in a gateway whose batches are smaller than a crowd."""
    home = tmp_path_factory.mktemp("uses") / "home"
    with (
        databases.using(request.param),
        new_world(home, batch_limit=24, checkpoint_interval_ms=3_600_000) as world,
    ):
        yield Troupe(world, people=1)


@pytest.fixture(scope="module")
def two(troupe: Troupe) -> Iterator[list[Side]]:
    """This process and another one."""
    house = troupe.world.house
    with closing(Stage(house, troupe.asker)) as here, another_process(house, troupe.asker) as there:
        yield [here, there]


def crowd(troupe: Troupe, sides: Sequence[Side], uses: int) -> list[Outcome]:
    """Sixty-four queries under a new consent, as many on each side; what came of them."""
    consent, _ = troupe.consent(troupe.citizens[0], uses)
    shares = [troupe.queries(consent, ASKERS // len(sides)) for _ in sides]
    for side, share in zip(sides, shares, strict=True):
        side.begin(share)
    entering = [(side, [actor.number for actor in share]) for side, share in zip(sides, shares, strict=True)]
    random.Random(uses).shuffle(entering)
    return list(together(troupe.world.house, entering).values())


def check(troupe: Troupe, since: int, got: list[Outcome], uses: int) -> None:
    """As many answers as there are uses, each with its leaf; the rest were refused for that reason."""
    answered = sorted(one.index for one in got if one.said == "answered")
    assert len(answered) == uses
    assert [one.said for one in got if one.said != "answered"] == ["exhausted"] * (ASKERS - uses)
    leaves = [leaf for leaf in kit.leaves(troupe.world.house)[since:] if leaf.type == "query.disclosed"]
    assert [leaf.index for leaf in leaves] == answered
    assert [leaf.body.use for leaf in leaves] == list(range(1, uses + 1))


@USES
def test_a_crowd_in_one_process_never_exceeds_the_count(troupe: Troupe, uses: int) -> None:
    since = kit.size(troupe.world.house)
    with closing(Stage(troupe.world.house, troupe.asker)) as stage:
        got = crowd(troupe, [stage], uses)
    check(troupe, since, got, uses)


@USES
@pytest.mark.parametrize("troupe", ["postgresql"], indirect=True)
def test_a_crowd_in_two_processes_never_exceeds_the_count(troupe: Troupe, two: list[Side], uses: int) -> None:
    since = kit.size(troupe.world.house)
    check(troupe, since, crowd(troupe, two, uses), uses)


@pytest.mark.parametrize("troupe", ["sqlite"], indirect=True)
def test_a_count_that_was_read_before_the_lock_is_found(
    troupe: Troupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway itself, but for one line: of the uses it knows what the queries saw when they came."""
    thorough = decision.decide

    def mindful(ask: Any, grant: Grant | None, *rest: Any) -> Any:
        unused = grant and Grant(grant.document, grant.state, 0, grant.key_live, grant.effective, grant.sound)
        return thorough(ask, unused, *rest)

    monkeypatch.setattr(decision, "decide", mindful)
    with closing(Stage(troupe.world.house, troupe.asker)) as stage:
        got = crowd(troupe, [stage], 2)
    assert sum(one.said == "answered" for one in got) == ASKERS
