"""A consent that was granted discloses what it says, to whom it says, when it says (`POST /v1/queries`).

Each attack ends in one signed refusal in the log, and an honest query about the same person is answered
afterwards. Every other reason of a refusal is produced in tests/gateway/query/test_reasons.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from keys.signing import PrivateKey
from tests import databases
from tests.attacks.lure import Lure, check_discloses
from tests.attacks.siege import Attack, Attacks, besieged, check_refused, nothing_given, somebody
from tests.gateway import kit
from tests.gateway.people.life import revoke, second_key
from tests.gateway.world import DAY_MS, Citizen, World

NEXT = count(100)
ATTACKS = Attacks()


@pytest.fixture(scope="module", params=databases.ENGINES)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    with besieged(request.param, tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


class Held:
    """A consent of the victim's, and a query under it that is wrong in one thing."""

    def __init__(self, world: World, citizen: Citizen) -> None:
        self.world, self.citizen = world, citizen

    def consent(self, **terms: Any) -> str:
        return self.world.consent(self.citizen, **terms)

    def query(self, consent: str, key: PrivateKey | None = None, **changes: Any) -> kit.Prepared:
        body = kit.query_body(consent, **changes)
        return kit.prepare(self.world, key or self.world.bank_key, "POST", "/v1/queries", body)


@ATTACKS.refused(403, "no-consent", recorded=True)
def by_another_recipient(held: Held) -> Any:
    return held.query(held.consent(), held.world.other_key)


@ATTACKS.refused(403, "no-consent", recorded=True)
def that_was_only_asked_for(held: Held) -> Any:
    return held.query(Lure(held.world, held.citizen).consent)


@ATTACKS.refused(403, "no-consent", recorded=True)
def whose_id_was_made_up(held: Held) -> Any:
    held.consent()
    return held.query(str(uuid.uuid4()))


@ATTACKS.refused(403, "purpose-mismatch", recorded=True)
def for_another_purpose(held: Held) -> Any:
    return held.query(held.consent(), purpose="03")


@ATTACKS.refused(403, "category-not-consented", recorded=True)
def for_widened_categories(held: Held) -> Any:
    return held.query(held.consent(), categories=["employment", "loan", "repayment"])


@ATTACKS.refused(403, "answer-mismatch", recorded=True)
def for_another_answer(held: Held) -> Any:
    return held.query(held.consent(), answer="predicate:no-overdue-90d")


@ATTACKS.refused(403, "person-mismatch", recorded=True)
def about_another_person(held: Held) -> Any:
    other = somebody(held.world, next(NEXT))
    return held.query(held.consent(), person_check={"citizen_number": other.number})


@ATTACKS.refused(403, "not-yet-valid", recorded=True)
def that_is_not_yet_valid(held: Held) -> Any:
    at = held.world.clock()
    return held.query(held.consent(not_before=at + DAY_MS, not_after=at + 2 * DAY_MS))


@ATTACKS.refused(403, "expired", recorded=True)
def that_has_expired(held: Held) -> Any:
    """At `not_after` itself, which is exclusive."""
    at = held.world.clock()
    consent = held.consent(not_after=at + DAY_MS)
    held.world.clock.offset += at + DAY_MS - held.world.clock()
    return held.query(consent)


@ATTACKS.refused(403, "exhausted", recorded=True)
def that_is_exhausted(held: Held) -> Any:
    consent = held.consent(max_uses=1)
    check_discloses(held.world, consent)
    return held.query(consent)


@ATTACKS.refused(403, "withdrawn", recorded=True)
def that_was_withdrawn(held: Held) -> Any:
    consent = held.consent()
    assert not isinstance(held.world.withdraw(held.citizen, consent), Refused)
    return held.query(consent)


@ATTACKS.refused(403, "withdrawn", recorded=True)
def that_was_withdrawn_and_handed_in_again(held: Held) -> Any:
    """The bank kept the citizen's signed consent and grants it once more."""
    lure = Lure(held.world, held.citizen)
    body = lure.body()
    assert lure.send(body).status_code == 201
    assert not isinstance(held.world.withdraw(held.citizen, lure.consent), Refused)
    assert lure.send(body).status_code == 201  # the receipt of then
    return held.query(lure.consent)


@ATTACKS.refused(403, "consent-suspended", recorded=True)
def whose_key_was_compromised(held: Held) -> Any:
    stolen = somebody(held.world, next(NEXT))
    consent = held.world.consent(stolen)
    revoke(held.world, second_key(held.world, stolen), stolen, "compromised")
    return held.query(consent)


@ATTACKS.each
def test_a_query_is_refused_under_a_consent(world: World, victim: Citizen, attack: Attack) -> None:
    prepared = attack.make(Held(world, victim))
    with nothing_given(world, *attack.leaves):
        reply = prepared.send()
        check_refused(reply, attack, victim)
    check_discloses(world, world.consent(victim))


def test_a_consent_that_was_tried_in_every_wrong_way_still_serves_its_own(
    world: World, victim: Citizen
) -> None:
    """Refusals take no use: the one use is there for the bank that it was given to."""
    held = Held(world, victim)
    consent = held.consent(max_uses=1)
    wrong = {
        "purpose-mismatch": held.query(consent, purpose="03"),
        "category-not-consented": held.query(consent, categories=["employment"]),
        "no-consent": held.query(consent, world.other_key),
    }
    with nothing_given(world, *wrong):
        assert [kit.name_of(one.send()) for one in wrong.values()] == list(wrong)
    check_discloses(world, consent)
    with nothing_given(world, "exhausted"):
        kit.check_refused(world, world.query(consent), "exhausted")


def test_another_body_under_the_same_query_id_discloses_nothing(world: World, victim: Citizen) -> None:
    """More categories, another consent, another person's consent, another purpose or file."""
    held, query = Held(world, victim), str(uuid.uuid4())
    first, second = held.consent(), held.consent()
    others = world.consent(somebody(world, next(NEXT)))
    honest = kit.query_body(first, query_id=query, categories=["loan"])
    answered = kit.post_query(world, honest)
    assert answered.status_code == 200
    changes: list[dict[str, Any]] = [
        {"categories": ["loan", "repayment"]},
        {"consent_id": second},
        {"consent_id": others},
        {"purpose": "03"},
        {"case_ref": "another"},
        {"person_check": {"citizen_number": victim.number}},
    ]
    for change in changes:
        with nothing_given(world, "query-id-reused"):
            reply = kit.post_query(world, honest | change)
            kit.check_refusal(world, reply, "query-id-reused", query)
            check_refused(reply, Attack(held.query, 409, "query-id-reused", recorded=True), victim)
    same: httpx.Response = kit.post_query(world, honest)
    assert same.json()["answer"] == answered.json()["answer"]
    assert isinstance(world.query(first), Answer)
