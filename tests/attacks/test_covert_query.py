"""Attack: a person under investigation looks everywhere they may for a query that is kept from them.

While the statute defers the notice, everything a citizen can ask for is the same for somebody who was queried
and for somebody who was not: status, headers, body and the statements behind it. Two persons do the same, one
of them is queried in between, and their replies are compared.

Masked are what is random, what counts the log's entries for everybody alike (indexes and times), and proofs;
the number of entries about the person, `n`, is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.http.signature import TAG_CITIZEN
from gateway.query.statutory.ending import unseal_due
from keys.canonical import parse_canonical, unb64u
from tests.attacks import cases as c
from tests.attacks.seen import Got, send
from tests.attacks.trace import Tracer
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COVERT, DAY_MS, POLICE, Office
from tests.gateway.world import Citizen, World

MASKED = frozenset({"index", "at", "as_of", "proof", "leaf", "consent_id", "request", "document", "person"})
OF_A_LEAF = frozenset({"index", "at", "prev", "salt", "sealed", "body"})


@pytest.fixture(scope="module")
def world(world: World) -> World:
    """The gateway with a hundred people, so that every index of the tests has three digits."""
    assert world.import_records([c.record(c.person()) for _ in range(100)]).accepted == 100
    return world


@pytest.fixture(scope="module")
def tracer(world: World) -> Iterator[Tracer]:
    with pytest.MonkeyPatch.context() as patch:
        yield Tracer(world.house.engine, patch)


@pytest.fixture(scope="module")
def office(world: World) -> Office:
    return Office(world)


@dataclass
class Watcher:
    """A person with records, a key and a consent, who looks at everything that is theirs."""

    citizen: Citizen
    consent: str

    def looks(self, world: World, tracer: Tracer) -> list[Any]:
        """What each endpoint shows them, and the statements behind it."""
        paths = ("/v1/me/accesses", "/v1/me/report", f"/v1/consents/{self.consent}")
        return [self._look(world, tracer, path) for path in paths]

    def _look(self, world: World, tracer: Tracer, path: str) -> Any:
        with tracer.record() as steps:
            got = send(world, "GET", path, key=self.citizen.key, tag=TAG_CITIZEN)
        headers = {name.lower() for name, _ in got.headers}
        return got.status, headers, _masked(_body(got)), [text for text, _ in steps if " " in text]


def watcher(world: World) -> Watcher:
    one = c.person()
    world.import_records([c.record(one)])
    citizen = world.citizen(one.citizen_number)
    return Watcher(citizen, world.consent(citizen))


def _body(got: Got) -> Any:
    return parse_canonical(got.body)


def _masked(value: Any, name: str = "") -> Any:
    if name == "leaf":
        members = parse_canonical(unb64u(value))
        subject = members["subject"] | {"tag": "*", "prev": "*"}
        return {part: "*" if part in OF_A_LEAF else of for part, of in members.items()} | {"subject": subject}
    if isinstance(value, dict):
        return {
            part: "*" if part in MASKED and part != "leaf" else _masked(of, part)
            for part, of in value.items()
        }
    if isinstance(value, list):
        return [_masked(one, name) for one in value]
    return "*" if name == "reference" else value


def test_nothing_that_a_citizen_may_ask_for_betrays_a_deferred_query(
    world: World, tracer: Tracer, office: Office
) -> None:
    queried, other = watcher(world), watcher(world)
    assert queried.looks(world, tracer) == other.looks(world, tracer)
    request = office.answered(COVERT, queried.citizen.number)
    assert isinstance(office.collect(request), Answer)
    assert queried.looks(world, tracer) == other.looks(world, tracer)
    mine = queried.citizen.client.accesses()
    assert not isinstance(mine, Refused)
    assert all(POLICE.code != one.statute and not one.joined for one in mine)
    reply = kit.citizens_request(
        world, queried.citizen.key, "GET", f"/v1/queries/{request['query_id']}"
    ).send()
    assert reply.status_code == 401


def test_the_comparison_finds_a_query_that_is_not_deferred(
    world: World, tracer: Tracer, office: Office
) -> None:
    queried, other = watcher(world), watcher(world)
    office.answered(POLICE, queried.citizen.number)
    assert queried.looks(world, tracer)[0] != other.looks(world, tracer)[0]


def test_a_deferral_that_no_statute_permits_hides_nothing(
    world: World, tracer: Tracer, office: Office
) -> None:
    queried, other = watcher(world), watcher(world)
    kit.check_refused(
        world, office.submit(office.request(COVERT, queried.citizen.number, purpose="91")), "statute-not-held"
    )
    assert queried.looks(world, tracer)[0] != other.looks(world, tracer)[0]


def test_the_comparison_finds_a_query_once_it_is_unsealed(
    world: World, tracer: Tracer, office: Office
) -> None:
    queried, other = watcher(world), watcher(world)
    office.answered(COVERT, queried.citizen.number)
    world.clock.offset += 30 * DAY_MS
    assert unseal_due(world.house) > 0
    assert queried.looks(world, tracer)[0] != other.looks(world, tracer)[0]


def test_a_gateway_that_leaves_an_entry_of_an_unsealed_query_out_is_found_out(
    world: World, office: Office
) -> None:
    """The citizen's client checks the entries that come with an unsealing as a chain of their own."""
    import msgspec

    from gateway.client.accesses import Link, check_access
    from gateway.client.errors import EvidenceFailed

    queried = watcher(world)
    request = office.answered(COVERT, queried.citizen.number)
    assert isinstance(office.collect(request), Answer)
    world.clock.offset += 30 * DAY_MS
    unseal_due(world.house)
    listed = queried.citizen.client.accesses()
    assert not isinstance(listed, Refused)
    place = next(place for place, one in enumerate(listed) if one.type == "query.unsealed")
    pins, before = queried.citizen.client.pins, Link()
    for one in listed[:place]:
        before = check_access(pins, one, before)
    entry = listed[place]
    check_access(pins, entry, before)
    first, *rest = entry.joined
    assert len(rest) == 2
    for joined in ((), tuple(rest), (first, rest[1]), (entry, *entry.joined), (*entry.joined, rest[1])):
        with pytest.raises(EvidenceFailed):
            check_access(pins, msgspec.structs.replace(entry, joined=joined), before)
    with pytest.raises(EvidenceFailed):
        check_access(pins, msgspec.structs.replace(listed[0], joined=entry.joined), Link())
    told = msgspec.structs.replace(first, statute="civil-procedure-253")
    with pytest.raises(EvidenceFailed):
        check_access(pins, msgspec.structs.replace(entry, joined=(told, *rest)), before)
