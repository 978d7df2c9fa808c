"""A consent that is not this person's own word on this request is granted to nobody (`POST /v1/consents`).

The document is another one, the key is another's, or both; where only the token or the bytes are at fault see
test_consent_tokens.py and test_consent_json.py, and for passkeys test_consent_passkey.py. More of the kind
(uses, terms, retention, suspended bank, policy that changed) stands in tests/gateway/consents/test_grant.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from gateway.client.reply import Refused
from keys.canonical import parse_canonical
from keys.instant import format_instant
from tests.attacks.lure import TYP, Lure, chance, check_discloses, post_grant
from tests.attacks.siege import (
    Attack,
    Attacks,
    besieged,
    check_refused,
    check_silent,
    nothing_given,
    somebody,
)
from tests.gateway import kit
from tests.gateway.people.life import further_key, revoke, second_key
from tests.gateway.world import DAY_MS, OTHER_BANK, REGISTRAR, Citizen, World, fresh_key, new_registrar

NEXT = count(100)
ATTACKS = Attacks()
ELSEWHERE = "elsewhere.cn/log0"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


# --- another document, well signed by the citizen whom the bank asked


@ATTACKS.refused(422, "consent-mismatch")
def for_another_recipient(lure: Lure) -> Any:
    return lure.body(lure.document(recipient=OTHER_BANK))


@ATTACKS.refused(422, "consent-mismatch")
def for_another_purpose(lure: Lure) -> Any:
    return lure.body(lure.document(purpose="03"))


@ATTACKS.refused(422, "consent-mismatch")
def of_widened_categories(lure: Lure) -> Any:
    return lure.body(lure.document(categories=["employment", "loan", "repayment"]))


@ATTACKS.refused(422, "consent-mismatch")
def for_another_answer(lure: Lure) -> Any:
    return lure.body(lure.document(answer="predicate:no-overdue-90d"))


@ATTACKS.refused(422, "consent-mismatch")
def before_its_time(lure: Lure) -> Any:
    """It is to hold from a day earlier than was asked for."""
    return lure.body(lure.document(not_before=format_instant(lure.world.clock() - DAY_MS)))


@ATTACKS.refused(422, "consent-mismatch")
def for_another_gateway(lure: Lure) -> Any:
    return lure.body(lure.document(gateway=ELSEWHERE))


@ATTACKS.refused(422, "consent-mismatch")
def that_nobody_asked_for(lure: Lure) -> Any:
    return lure.body(lure.document(consent_id="00000000-0000-4000-8000-000000000000"))


@ATTACKS.refused(422, "consent-mismatch")
def under_the_id_of_another_request(lure: Lure) -> Any:
    other = Lure(lure.world, lure.citizen)
    return lure.body(lure.document(consent_id=other.consent))


# --- the honest document, and not the honest signature


@ATTACKS.refused(422, "bad-proof")
def forged(lure: Lure) -> Any:
    """Sixty-four bytes of chance where the signature stands."""
    body = lure.body()
    signed, _, _ = body["proof"].rpartition(".")
    return {**body, "proof": f"{signed}.{chance()}"}


@ATTACKS.refused(422, "bad-proof")
def narrowed_after_signing(lure: Lure) -> Any:
    return {**lure.body(), "document": lure.document(categories=["loan"])}


@ATTACKS.refused(422, "consent-mismatch")
def widened_after_signing(lure: Lure) -> Any:
    return {**lure.body(), "document": lure.document(categories=["employment", "loan", "repayment"])}


@ATTACKS.refused(422, "bad-proof")
def replayed_from_another_request(lure: Lure) -> Any:
    """The proof that the same person gave to an earlier request of the same bank, word for word the same."""
    earlier = Lure(lure.world, lure.citizen)
    return {**lure.body(), "proof": earlier.body()["proof"]}


@ATTACKS.refused(422, "bad-proof")
def replayed_from_their_withdrawal(lure: Lure) -> Any:
    """What the citizen signed to end this very consent."""
    told = lure.world.wallet.sign_withdrawal_of(lure.consent, lure.world.house.origin, lure.citizen.key)
    return {**lure.body(), "proof": told["proof"]}


# --- another key


@ATTACKS.refused(422, "bad-certificate")
def by_another_citizens_key(lure: Lure) -> Any:
    other = somebody(lure.world, next(NEXT))
    return lure.body(lure.document(subject=other.key.kid), other.key)


@ATTACKS.refused(422, "bad-certificate")
def by_another_citizens_key_with_its_certificate(lure: Lure) -> Any:
    """Certified for another person: a real certificate, by the real registrar."""
    other = lure.world.citizen(kit.person(next(NEXT)), enrol=False)
    body = lure.body(lure.document(subject=other.key.kid), other.key)
    return {**body, "certificate": parse_canonical(other.certificate)}


@ATTACKS.refused(422, "bad-proof")
def by_another_citizens_key_in_this_ones_name(lure: Lure) -> Any:
    other = somebody(lure.world, next(NEXT))
    return lure.body(key=other.key, header={"alg": "Ed25519", "kid": lure.citizen.key.kid, "typ": TYP})


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_not_certified(lure: Lure) -> Any:
    key = fresh_key()
    return lure.body(lure.document(subject=key.kid), key)


@ATTACKS.refused(422, "bad-certificate")
def by_the_banks_own_key(lure: Lure) -> Any:
    return lure.body(lure.document(subject=lure.world.bank_key.kid), lure.world.bank_key)


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_that_nobodys_registrar_certified(lure: Lure) -> Any:
    """A registrar of the attacker's, under the name of the real one."""
    key, world = fresh_key(), lure.world
    rogue = new_registrar().certify(
        world.house.origin, lure.citizen.number, key, world.clock(), registrar=REGISTRAR
    )
    return lure.body(lure.document(subject=key.kid), key, certificate=parse_canonical(rogue))


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_certified_for_another_gateway(lure: Lure) -> Any:
    key, world = fresh_key(), lure.world
    made = world.registrar.certify(ELSEWHERE, lure.citizen.number, key, world.clock())
    return lure.body(lure.document(subject=key.kid), key, certificate=parse_canonical(made))


@ATTACKS.refused(422, "bad-proof")
def by_a_key_under_the_certificate_of_the_right_one(lure: Lure) -> Any:
    key = fresh_key()
    certificate = parse_canonical(lure.citizen.certificate)
    return lure.body(lure.document(subject=key.kid), key, certificate=certificate)


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_written_into_another_certificate(lure: Lure) -> Any:
    """The person's own certificate, its key replaced; the officers' signatures are of what stood there."""
    key = fresh_key()
    certificate = parse_canonical(lure.citizen.certificate)
    certificate["document"] |= {"key": key.kid, "jwk": dict(key.jwk)}
    return lure.body(lure.document(subject=key.kid), key, certificate=certificate)


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_that_one_officer_certified_twice(lure: Lure) -> Any:
    key, world = fresh_key(), lure.world
    made = world.registrar.certify(world.house.origin, lure.citizen.number, key, world.clock())
    certificate = parse_canonical(made)
    certificate["signatures"] = [certificate["signatures"][0]] * 2
    return lure.body(lure.document(subject=key.kid), key, certificate=certificate)


@ATTACKS.refused(422, "bad-certificate")
def by_a_key_that_is_certified_without_its_wait(lure: Lure) -> Any:
    """A further key of the same person that would act at once."""
    key, world = fresh_key(), lure.world
    made = world.registrar.certify(world.house.origin, lure.citizen.number, key, world.clock())
    return lure.body(lure.document(subject=key.kid), key, certificate=parse_canonical(made))


@ATTACKS.refused(403, "key-not-live")
def by_a_further_key_that_still_waits(lure: Lure) -> Any:
    further = further_key(lure.world, lure.citizen)
    certificate = parse_canonical(further.certificate)
    return lure.body(lure.document(subject=further.key.kid), further.key, certificate=certificate)


@ATTACKS.each
def test_a_consent_is_refused(world: World, victim: Citizen, attack: Attack) -> None:
    lure = Lure(world, victim)
    body = attack.make(lure)
    with nothing_given(world, "no-consent"):
        check_refused(lure.send(body), attack, lure.citizen)
        query = kit.post_query(world, kit.query_body(lure.consent))
        assert kit.name_of(query) == "no-consent"
        check_silent(query, lure.citizen)
    lure.check_honest_serves()


# --- a key that was this person's once


@pytest.mark.parametrize("cause", ["lost", "compromised"])
def test_a_consent_by_a_revoked_key_is_refused(world: World, cause: str) -> None:
    """Also with the certificate that the key was enrolled under; the person's next key grants."""
    lure = Lure(world, somebody(world, next(NEXT)))
    asked = [lure.body(), lure.body(certificate=parse_canonical(lure.citizen.certificate))]
    second = second_key(world, lure.citizen)
    revoke(world, second, lure.citizen, cause)
    with nothing_given(world):
        for body, problem in zip(asked, ((403, "key-not-live"), (409, "second-key")), strict=True):
            check_refused(lure.send(body), Attack(lure.body, *problem), lure.citizen)
    Lure(world, second).check_honest_serves()


# --- the citizen's own word, at another time or once more


def test_a_consent_whose_term_is_over_is_refused(world: World) -> None:
    """Signed in time and handed in a moment late; its `not_after` is exclusive."""
    citizen = somebody(world, next(NEXT))
    lure = Lure(world, citizen, {"not_after": world.clock() + 60_000})
    body = lure.body()
    world.clock.offset += 60_000
    with nothing_given(world):
        check_refused(lure.send(body), Attack(lure.body, 410, "request-lapsed"), citizen)
    Lure(world, citizen).check_honest_serves()


def test_a_consent_replayed_grants_nothing_more(world: World) -> None:
    """Whoever took it down sends it again: used up, and after the withdrawal. It is told what is known."""
    lure = Lure(world, somebody(world, next(NEXT)), {"max_uses": 1})
    body = lure.body()
    first = lure.send(body)
    check_discloses(world, lure.consent)
    for reason in ("exhausted", "withdrawn"):
        if reason == "withdrawn":
            assert not isinstance(world.withdraw(lure.citizen, lure.consent), Refused)
        with nothing_given(world, reason):
            again = post_grant(world, body)
            assert (again.status_code, again.json()["receipt"]) == (201, first.json()["receipt"])
            check_silent(again, lure.citizen)
            kit.check_refused(world, world.query(lure.consent), reason)
    Lure(world, lure.citizen).check_honest_serves()


def test_a_consent_granted_is_not_granted_anew_in_other_words(world: World, victim: Citizen) -> None:
    """The same person signs the same request a second time, narrower: the first word stands."""
    lure = Lure(world, victim)
    lure.check_honest_serves()
    for again in (
        lure.body(lure.document(categories=["loan"])),
        lure.body(header={"alg": "EdDSA"} | {"kid": lure.citizen.key.kid, "typ": TYP}),
    ):
        with nothing_given(world):
            check_refused(lure.send(again), Attack(lure.body, 409, "already-answered"), lure.citizen)
    check_discloses(world, lure.consent)


def test_a_consent_of_another_gateway_is_refused_with_all_its_papers(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two gateways, one person, one key: what was granted at the one is sent to the other as it stands."""
    citizen = somebody(world, next(NEXT))
    with besieged("sqlite", tmp_path_factory) as other:
        abroad = other.citizen(citizen.number)
        consent = Lure(other, abroad)
        body = consent.body(certificate=parse_canonical(abroad.certificate))
        assert consent.send(body).status_code == 201
    with nothing_given(world):
        check_refused(post_grant(world, body), Attack(post_grant, 422, "consent-mismatch"), citizen, abroad)
    Lure(world, citizen).check_honest_serves()
