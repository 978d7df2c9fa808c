"""A row that an insider broke fails the query it is about; whoever shares its batch is answered."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from gateway.errors import EvidenceBroken
from gateway.house import House
from gateway.query.answer import Outcome, rule
from gateway.query.request import Asked, Query
from gateway.query.ruled import Disclosed, Refused
from keys.canonical import canonical, parse_canonical
from tests import databases
from tests.gateway import kit
from tests.gateway.query.asked import somebody
from tests.gateway.world import Citizen, World, new_world


@pytest.fixture(scope="module", params=databases.ENGINES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with databases.using(request.param), new_world(tmp_path_factory.mktemp("broken") / "home") as made:
        yield made


@pytest.fixture
def two(world: World) -> tuple[Citizen, list[str]]:
    """Two persons' consents; the first of the two is going to be spoilt."""
    citizens = [world.citizen(somebody(world)) for _ in range(2)]
    consents = [world.consent(one, max_uses=10) for one in citizens]
    return citizens[0], consents


def together(house: House, world: World, consents: list[str]) -> list[Outcome]:
    """What becomes of a query under each of these, in one batch."""
    asked = []
    for consent in consents:
        body = parse_canonical(canonical(kit.query_body(consent)))
        query = Query(**{**body, "categories": tuple(body["categories"])})
        asked.append(Asked(query, body, kit.signer_of(world), str(uuid.uuid4())))
    return rule(house, asked)


def tag_of(world: World, consent: str) -> bytes:
    tag = kit.row_of(world.house, "grants", "consent = ?", consent)["tag"]
    assert isinstance(tag, bytes)
    return tag


def test_the_head_of_a_persons_chain_is_spoilt(world: World, two: tuple[Citizen, list[str]]) -> None:
    """No leaf about them can follow; nothing of theirs is given, and nothing is written."""
    _, consents = two
    assert all(isinstance(one, Disclosed) for one in together(world.house, world, consents))
    before = kit.size(world.house)
    kit.insider(
        world.house,
        "UPDATE ledger_subjects SET leaf_hash = ? WHERE tag = ?",
        [b"\0", tag_of(world, consents[0])],
    )
    spoilt, whole = together(world.house, world, consents)
    assert isinstance(spoilt, EvidenceBroken)
    assert isinstance(whole, Disclosed)
    assert kit.size(world.house) == before + 1
    reply = kit.post_query(world, kit.query_body(consents[0]))
    kit.check_problem(reply, 503, "evidence-damaged")
    assert kit.post_query(world, kit.query_body(consents[1])).status_code == 200


SPOILT = {
    "a key's waiting": "UPDATE citizen_keys SET effective = 'x' WHERE about = ?",
    "a key's last leaf": "UPDATE citizen_keys SET changed_index = 'x', state = 'lost' WHERE about = ?",
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_column_of_another_type_is_spoilt(world: World, two: tuple[Citizen, list[str]], name: str) -> None:
    """SQLite keeps whatever is written; PostgreSQL refuses it itself."""
    _, consents = two
    if world.house.settings.database_file is None:
        with pytest.raises(Exception, match="bigint"):
            kit.insider(world.house, SPOILT[name], ["nobody"])
        return
    first = together(world.house, world, consents)
    assert all(isinstance(one, Disclosed) for one in first)
    about = world.house.known.get(kit.signer_of(world).institution, consents[0])
    assert about is not None
    kit.insider(world.house, SPOILT[name], [about.key])
    spoilt, whole = together(world.house, world, consents)
    assert isinstance(spoilt, Refused)
    assert isinstance(whole, Disclosed)
