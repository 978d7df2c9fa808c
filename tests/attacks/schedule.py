"""Random schedules of queries and withdrawals, played on one process or on two, and judged from the ledger.

A scene is one consent, its withdrawal and `QUERIES` queries under it. Time is cut into `TICKS`: each actor
begins in one of them (it looks up what it needs, and comes to the lane) and is let into the lane in that one
or in a later one. All of a tick is let in while the head's lock is held, so that batches form, of which
`Scene`s of other people are part too; then they run, process against process.

Invariant: a schedule is its seed's alone. An interleaving is one query against its consent's withdrawal; what
must come of it is known beforehand but where both were let in in one tick.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import msgspec

from consent.document import format_template
from gateway.consents import bodies
from gateway.consents.grant import grant, parse_grant
from gateway.consents.request import Requested, request_consent
from gateway.house import House
from keys.canonical import canonical, parse_canonical
from keys.instant import format_instant
from ledger.entries import Leaf, parse_leaf
from ledger.log import read_head
from ledger.rows import read_leaves
from tests import databases
from tests.attacks.stage import PATIENCE_S, Actor, Asker, Outcome, Side
from tests.gateway import kit
from tests.gateway.world import BANK, DAY_MS, Citizen, World

TICKS, QUERIES, SCENES = 4, 8, 12
GIVEN = frozenset({"query.disclosed", "query.redelivered"})


@dataclass(frozen=True)
class Part:
    """An actor's part: on which side, the tick in which it begins, and that in which it is let in."""

    actor: Actor
    side: int
    begins: int
    enters: int


@dataclass(frozen=True)
class Scene:
    """One consent: the index of its grant, who withdraws it and who asks under it."""

    consent: str
    grant: int
    withdrawal: Part
    queries: tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.withdrawal, *self.queries)


@dataclass
class Findings:
    """What came of the scenes that were judged: how many interleavings ended how, and what was wrong."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def interleavings(self) -> int:
        return self.ended["before"] + self.ended["after"]


class Troupe:
    """People with records in a world, whose consents the scenes are about."""

    def __init__(self, world: World, people: int = 6) -> None:
        self.world = world
        numbers = [kit.person(serial) for serial in range(people)]
        world.import_records([kit.loan(number, number) for number in numbers])
        self.citizens = [world.citizen(number) for number in numbers]
        self.asker = Asker(world.operators[BANK], BANK, world.bank_key.kid)
        self._serial = count()

    def scenes(self, chance: random.Random, sides: int, number: int = SCENES) -> list[Scene]:
        """So many consents, granted now, and a random part for everybody who will act on them."""
        citizens = [chance.choice(self.citizens) for _ in range(number)]
        consents = kit.together(*[partial(self.consent, citizen) for citizen in citizens])
        return [
            self._scene(chance, sides, consent, granted, citizen)
            for citizen, (consent, granted) in zip(citizens, consents, strict=True)
        ]

    def _scene(
        self, chance: random.Random, sides: int, consent: str, granted: int, citizen: Citizen
    ) -> Scene:
        world = self.world
        wallet = world.wallet.sign_withdrawal_of(consent, world.house.origin, citizen.key)
        asked = [kit.query_body(consent) for _ in range(QUERIES)]
        if chance.random() < 0.25:
            asked[-1] = asked[0]  # the same query once more: it would be given again without a use
        part = partial(self._part, chance, sides, consent)
        return Scene(consent, granted, part(wallet, withdraws=True), tuple(part(body) for body in asked))

    def _part(
        self,
        chance: random.Random,
        sides: int,
        consent: str,
        body: dict[str, Any],
        *,
        withdraws: bool = False,
    ) -> Part:
        begins = chance.randrange(TICKS)
        actor = Actor(next(self._serial), consent, body, withdraws)
        return Part(actor, chance.randrange(sides), begins, chance.randrange(begins, TICKS))

    def queries(self, consent: str, number: int) -> list[Actor]:
        """So many who ask under one consent."""
        return [Actor(next(self._serial), consent, kit.query_body(consent)) for _ in range(number)]

    def consent(self, citizen: Citizen, uses: int = QUERIES) -> tuple[str, int]:
        """Asked for and granted as by the routes, past HTTP: the id, and the index of the grant."""
        house, at = self.world.house, self.world.clock()
        body = {
            "request_id": str(uuid.uuid4()),
            "person": {"citizen_number": citizen.number},
            "purpose": "02",
            "categories": ["loan", "repayment"],
            "answer": "report",
            "not_before": format_instant(at - 1_000),
            "not_after": format_instant(at + 30 * DAY_MS),
            "max_uses": uses,
            "retention_days": 30,
            "language": "zh-CN",
        }
        members: dict[str, Any] = parse_canonical(canonical(body))
        ask = msgspec.convert(members, bodies.ConsentRequest)
        asked = request_consent(house, ask, members, self.asker.signer(house), citizen.number)
        assert isinstance(asked, Requested), asked
        signed = self.world.wallet.sign_consent(format_template(asked.template), citizen.key)
        granted = grant(house, parse_grant(bodies.Grant(**signed)))
        return granted.consent.consent_id, granted.entry.index


def play(
    house: House, chance: random.Random, sides: Sequence[Side], scenes: Sequence[Scene]
) -> dict[int, Outcome]:
    """Play all scenes at once; what each actor got, by number."""
    parts = [part for scene in scenes for part in scene.parts]
    got: dict[int, Outcome] = {}
    for tick in range(TICKS):
        for place, side in enumerate(sides):
            side.begin(_shuffled(chance, [p.actor for p in parts if (p.side, p.begins) == (place, tick)]))
        entering = [
            (side, _shuffled(chance, [p.actor.number for p in parts if (p.side, p.enters) == (place, tick)]))
            for place, side in enumerate(sides)
        ]
        got |= together(house, _shuffled(chance, entering))
    return got


def together(house: House, entering: Sequence[tuple[Side, Sequence[int]]]) -> dict[int, Outcome]:
    """Let these into the lanes of their sides while the head's lock is held, then let go, side by side.

    With two sides, the other one's transaction waits for the first one's, and what is queued behind either
    takes turns at the lock; what each actor got, by number.
    """
    (first, _), *others = entering
    first.hold(inside=True)
    for count_of, (side, _) in enumerate(others, 1):
        side.hold(inside=False)
        until_waiting(house, count_of)
    for side, numbers in entering:
        side.queue(numbers)
    for side, _ in entering:
        side.let_go()
    return {number: outcome for side, _ in entering for number, outcome in side.gather().items()}


def _shuffled(chance: random.Random, those: Sequence[Any]) -> list[Any]:
    return chance.sample(those, len(those))


def until_waiting(house: House, number: int) -> None:
    """Until PostgreSQL says that so many connections to this database wait for a lock."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    end = time.monotonic() + PATIENCE_S
    with databases.superuser(house.settings.database_url) as conn:
        while conn.execute(asked).fetchone() != (number,):
            assert time.monotonic() < end, f"no {number} of them wait"


def judge(
    findings: Findings, leaves: Mapping[int, Leaf], scenes: Sequence[Scene], got: Mapping[int, Outcome]
) -> None:
    """Hold the ledger, and what the actors really got, against what was promised."""
    withdrawn = {leaf.body.grant: leaf.index for leaf in leaves.values() if leaf.type == "consent.withdrawn"}
    given: dict[int, list[int]] = defaultdict(list)
    for leaf in leaves.values():
        if leaf.type in GIVEN:
            first = leaf if leaf.type == "query.disclosed" else leaves[leaf.body.of]
            given[first.body.grant].append(leaf.index)
    for scene in scenes:
        end = withdrawn[scene.grant]
        findings.wrong += [
            f"{scene.consent}: withdrawn at {end}, given at {index}"
            for index in given[scene.grant]
            if index > end
        ]
        answered = [got[p.actor.number].index for p in scene.queries if _answered(p, got)]
        if sorted(answered) != sorted(given[scene.grant]):
            findings.wrong.append(f"{scene.consent}: answers at {answered}, leaves at {given[scene.grant]}")
        if got[scene.withdrawal.actor.number].index != end:
            findings.wrong.append(f"{scene.consent}: the receipt of its withdrawal names another leaf")
        for part in scene.queries:
            _judge_one(findings, scene, part, got, end)


def _answered(part: Part, got: Mapping[int, Outcome]) -> bool:
    return got[part.actor.number].said == "answered"


def _judge_one(findings: Findings, scene: Scene, part: Part, got: Mapping[int, Outcome], end: int) -> None:
    """One interleaving: what this query got, beside when the withdrawal came."""
    mine, theirs, outcome = part.enters, scene.withdrawal.enters, got[part.actor.number]
    told = f"{scene.consent}: {part} got {outcome}, withdrawn at {end} by {scene.withdrawal}"
    if outcome.said == "answered":
        findings.ended["before"] += 1
        if outcome.index > end or mine > theirs or outcome.records != 1:
            findings.wrong.append(told)
    else:
        findings.ended["after"] += 1
        if outcome.index < end or mine < theirs or outcome.said not in ("withdrawn", "query-id-reused"):
            findings.wrong.append(told)
        if part.begins <= theirs:  # it had seen the consent alive
            findings.ended["overtaken"] += 1
            findings.ended["overtaken across"] += part.side != scene.withdrawal.side
    if mine == theirs:
        findings.ended[f"met, {'answered' if outcome.said == 'answered' else 'refused'}"] += 1


def races(troupe: Troupe, seed: int, sides: Sequence[Side], interleavings: int) -> Findings:
    """Play so many interleavings (at least), some scenes at a time."""
    chance, house, findings = random.Random(seed), troupe.world.house, Findings()
    while findings.interleavings < interleavings:
        since = kit.size(house)
        scenes = troupe.scenes(chance, len(sides))
        got = play(house, chance, sides, scenes)
        judge(findings, _leaves_since(house, since), scenes, got)
    return findings


def _leaves_since(house: House, start: int) -> dict[int, Leaf]:
    """The leaves from `start` on, by index."""
    with house.read() as conn:
        size = read_head(conn, house.shard).size
        return {leaf.index: leaf for leaf in map(parse_leaf, read_leaves(conn, house.shard, start, size))}
