"""Challenges: made for one document, good once, for five minutes; nothing is written until one serves."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from consent.webauthn import consent_challenge, withdrawal_challenge
from gateway.client.citizen import Recorded
from gateway.client.errors import EvidenceFailed
from gateway.client.reply import Refused
from gateway.consents import challenge as challenges
from gateway.consents.challenge import LIFETIME_MS, forget_challenges
from gateway.housekeeping import CHORES
from keys.canonical import b64u, parse_canonical, unb64u
from keys.instant import parse_instant
from tests.gateway import kit
from tests.gateway.consents.passkeys import holder
from tests.gateway.world import World


def refused_as(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.problem.name


def post(world: World, document: Any) -> httpx.Response:
    return httpx.post(world.url + "/v1/challenges", json={"document": document}, trust_env=False)


def spent(world: World) -> int:
    return len(kit.insider(world.house, "SELECT nonce FROM webauthn_challenges"))


def test_anybody_gets_one_and_the_challenge_is_made_of_document_and_nonce(world: World) -> None:
    citizen = holder(world)
    consent = citizen.consent_document()
    back = citizen.withdrawal_document(parse_canonical(consent)["consent_id"])
    for document, made_of in ((consent, consent_challenge), (back, withdrawal_challenge)):
        reply = post(world, parse_canonical(document))
        assert reply.status_code == 201
        told = reply.json()
        assert told.keys() == {"server_nonce", "challenge", "rp_id", "expires"}
        assert told["challenge"] == b64u(made_of(unb64u(told["server_nonce"], 32), document))
        assert told["rp_id"] == "localhost"
        assert 0 < parse_instant(told["expires"]) - world.clock() <= LIFETIME_MS


def test_asking_for_challenges_writes_nothing(world: World) -> None:
    """The route is public: a flood of it must fill no table and take no lock."""
    citizen = holder(world)
    document = parse_canonical(citizen.consent_document())
    before = kit.size(world.house)
    told = [post(world, document).json() for _ in range(20)]
    assert len({one["server_nonce"] for one in told}) == 20
    assert (spent(world), kit.size(world.house)) == (0, before)


def test_a_challenge_says_nothing_about_anybody(world: World) -> None:
    """A consent nobody was asked for, by a key nobody has, gets the same as a real one."""
    citizen = holder(world)
    real = parse_canonical(citizen.consent_document())
    citizen.grant()
    made_up = {**real, "consent_id": "00000000-0000-4000-8000-000000000000", "subject": b64u(bytes(32))}
    ours, theirs = post(world, real), post(world, made_up)
    assert ours.status_code == theirs.status_code == 201
    assert ours.json().keys() == theirs.json().keys()
    assert {name: len(text) for name, text in ours.json().items()} == {
        name: len(text) for name, text in theirs.json().items()
    }


NO_DOCUMENT: dict[str, dict[str, Any]] = {
    "a certificate": {"type": "chengxin/enrolment/v1"},
    "another kind": {"type": "chengxin/withdrawal/v1"},
    "no type": {"type": 7},
    "out of range": {"max_uses": 0},
    "no thumbprint": {"subject": "nobody"},
    "an unknown member": {"extra": "member"},
}


def test_what_is_no_consent_or_withdrawal_gets_none(world: World) -> None:
    document = parse_canonical(holder(world).consent_document())
    for change in NO_DOCUMENT.values():
        kit.check_problem(post(world, {**document, **change}), 400, "malformed-body")


def test_a_template_gets_none_and_another_gateways_document_neither(world: World) -> None:
    document = parse_canonical(holder(world).consent_document())
    template = {name: value for name, value in document.items() if name != "subject"}
    kit.check_problem(post(world, template), 400, "malformed-body")
    elsewhere = post(world, {**document, "gateway": "elsewhere.cn/log0"})
    kit.check_problem(elsewhere, 422, "consent-mismatch")


# --- once, in time, for one document ---


def test_a_challenge_that_expired_serves_no_more_and_a_new_one_does(world: World) -> None:
    citizen = holder(world)
    document = citizen.consent_document()
    late = citizen.body(document)
    world.clock.offset += LIFETIME_MS
    assert refused_as(citizen.client.send_grant(late)) == "challenge-gone"
    assert (spent(world), len(kit.of_type(world.house, "consent.granted"))) == (0, 0)
    assert isinstance(citizen.client.send_grant(citizen.body(document)), Recorded)


def test_a_challenge_serves_until_its_last_moment(world: World) -> None:
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    world.clock.offset += LIFETIME_MS - 30_000
    assert isinstance(citizen.client.send_grant(body), Recorded)


def test_setting_the_clock_back_revives_no_challenge(world: World) -> None:
    """A transaction's time never lies before the newest leaf's, and neither does a challenge's end."""
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    world.clock.offset += LIFETIME_MS
    world.ask(world.citizen(kit.OTHER_NUMBER))  # the log has moved on
    world.clock.offset -= LIFETIME_MS
    assert refused_as(citizen.client.send_grant(body)) == "challenge-gone"


def test_a_nonce_of_another_document_or_of_ones_own_making_is_refused(world: World) -> None:
    """Well signed over the right document, with a nonce that the gateway did not make for it."""
    citizen = holder(world)
    document, other = citizen.consent_document(), citizen.consent_document()
    borrowed = citizen.client.challenge(other)
    assert not isinstance(borrowed, Refused)
    forged = world.clock().to_bytes(6, "big") + bytes(26)
    honest = citizen.body(document)
    own = unb64u(honest["proof"]["server_nonce"])
    longer = (int.from_bytes(own[:6], "big") + 1).to_bytes(6, "big") + own[6:]
    for nonce in (borrowed.server_nonce, forged, bytes(32), longer):
        signed = citizen.passkey(consent_challenge(nonce, document), "localhost")
        proof = {
            "type": "webauthn",
            "server_nonce": b64u(nonce),
            "authenticator_data": b64u(signed.authenticator_data),
            "client_data_json": b64u(signed.client_data_json),
            "signature": b64u(signed.signature),
        }
        assert refused_as(citizen.client.send_grant({**honest, "proof": proof})) == "challenge-gone"
    assert not kit.of_type(world.house, "consent.granted")
    assert isinstance(citizen.client.send_grant(honest), Recorded)


def test_a_spent_nonce_is_spent_though_the_grant_that_spent_it_were_gone(world: World) -> None:
    """Whatever else would stop the second use, the nonce does it by itself."""
    citizen = holder(world)
    document = citizen.consent_document()
    made = citizen.client.challenge(document)
    assert not isinstance(made, Refused)
    nonce = b64u(made.server_nonce)
    world.house.transact(lambda tx: challenges.spend_challenge(tx, nonce, document), seals=False)
    with pytest.raises(challenges.Rejected) as again:
        world.house.transact(lambda tx: challenges.spend_challenge(tx, nonce, document), seals=False)
    assert again.value.problem == "challenge-gone"


def test_a_grant_that_fails_leaves_its_challenge_unspent(world: World) -> None:
    from gateway.institutions.register import reinstate, suspend
    from tests.gateway.world import BANK

    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    suspend(world.house, "institution", BANK, "audit-failed")
    assert refused_as(citizen.client.send_grant(body)) == "institution-suspended"
    assert spent(world) == 0
    reinstate(world.house, "institution", BANK, "audit-passed")
    assert isinstance(citizen.client.send_grant(body), Recorded)
    assert spent(world) == 1


def test_spent_nonces_are_forgotten_only_once_they_would_be_refused_as_expired(world: World) -> None:
    citizen = holder(world)
    citizen.grant()
    assert forget_challenges in CHORES
    assert forget_challenges(world.house) == 0
    world.clock.offset += LIFETIME_MS + 1_000
    assert forget_challenges(world.house) == 0  # the log has not moved on: a clock set back would revive it
    world.ask(world.citizen(kit.OTHER_NUMBER))
    assert (forget_challenges(world.house), spent(world)) == (1, 0)


# --- the wallet's side ---


def test_a_wallet_signs_nothing_when_the_gateway_names_another_challenge(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that would have a citizen sign another document than the one they saw."""
    citizen = holder(world)
    document, other = citizen.consent_document(), citizen.consent_document()
    monkeypatch.setattr(challenges, "consent_challenge", lambda nonce, _: consent_challenge(nonce, other))

    def never(*_: object) -> Any:
        raise AssertionError("the passkey was asked to sign")

    with pytest.raises(EvidenceFailed):
        citizen.client.grant(document, never)
