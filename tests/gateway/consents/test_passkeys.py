"""Consents by passkey: given, used, verified by an auditor, withdrawn; and no other assertion serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consent.webauthn import kept_sha256, parse_kept
from gateway.client.bank import Answer
from gateway.client.citizen import Recorded
from gateway.client.reply import Refused
from gateway.evidence import EvidenceCache
from gateway.export import export_ledger
from keys.canonical import b64u, canonical, tagged_hash
from keys.notes import format_vkey
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.consents.passkeys import consent_id, holder
from tests.gateway.test_leaf_types import pins
from tests.gateway.world import World
from tests.passkeys import BE, BS, UP, UV

ALGORITHMS = pytest.mark.parametrize("alg", ["ES256", "Ed25519"])


def refused_as(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.problem.name


def audited(world: World, to: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the stand-alone verifier says, everything opened and every pin given."""
    published = world.publishing.publish_now()
    assert published is not None
    export_ledger(world.house, published, to / "export")
    capsys.readouterr()
    vkey = format_vkey(world.bank().pins.vkey)
    kept = ["--kept", str(world.house.settings.checkpoint_copy)]
    verify([str(to / "export"), "--vkey", vkey, "--json", *kept, *pins(world, to / "pins")])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


@ALGORITHMS
def test_a_consent_by_passkey_lives_a_whole_life_and_an_auditor_verifies_it(
    world: World, alg: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.import_records([kit.loan()]).accepted == 1
    citizen = holder(world, alg=alg)
    consent = citizen.grant()
    [leaf] = kit.of_type(world.house, "consent.granted")
    assert leaf.body.kind == "webauthn"
    answered = world.query(consent)
    assert isinstance(answered, Answer)
    assert answered.answer["records"]
    withdrawn = citizen.client.withdraw(citizen.withdrawal_document(consent), citizen.passkey)
    assert isinstance(withdrawn, Recorded)
    kit.check_refused(world, world.query(consent), "withdrawn")
    said = audited(world, tmp_path, capsys)
    assert (said["ok"], said["not_checked"]) == (True, []), said


def test_what_is_kept_verifies_by_itself_whatever_is_set_later(world: World) -> None:
    """A restarted gateway at another address still answers under the consents it took before."""
    assert world.import_records([kit.loan()]).accepted == 1
    citizen = holder(world)
    consent = citizen.grant()
    moved = world.house.settings.model_copy(
        update={"rp_id": "credit.example.cn", "webauthn_origins": ("https://credit.example.cn",)}
    )
    world.house.settings, world.house.evidence = moved, EvidenceCache(world.house.origin)
    assert isinstance(world.query(consent), Answer)
    document = citizen.withdrawal_document(consent)
    old = citizen.client.body(document, citizen.passkey)
    assert not isinstance(old, Refused)
    gone = citizen.client.send_withdrawal(old)
    assert refused_as(gone) == "bad-proof"  # it was made at a page that is no longer ours


def test_the_leaf_names_the_kept_set_and_its_document(world: World) -> None:
    citizen = holder(world)
    document = citizen.consent_document()
    body = citizen.body(document)
    assert isinstance(citizen.client.send_grant(body), Recorded)
    [leaf] = kit.of_type(world.house, "consent.granted")
    kept = parse_kept(
        canonical(
            {
                **{name: value for name, value in body["proof"].items() if name != "type"},
                "type": "chengxin/webauthn-proof/v1",
                "rp_id": "localhost",
                "origins": [world.url],
                "jwk": citizen.passkey.key.jwk,
            }
        )
    )
    assert leaf.body.proof_sha256 == kept_sha256(kept, document)


# --- sent again ---


def test_a_grant_sent_again_gives_the_first_receipt_though_its_challenge_is_spent(world: World) -> None:
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    first = citizen.client.send_grant(body)
    assert isinstance(first, Recorded)
    world.clock.offset += 3_600_000
    assert citizen.client.send_grant(body) == first
    assert len(kit.of_type(world.house, "consent.granted")) == 1


def test_sixteen_copies_of_a_grant_at_once_are_one_grant(world: World) -> None:
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    results = kit.together(*[lambda: citizen.client.send_grant(body)] * 16)
    assert len({one.signed.receipt.index for one in results}) == 1


def test_a_second_assertion_over_the_same_consent_is_refused(world: World) -> None:
    citizen = holder(world)
    document = citizen.consent_document()
    assert isinstance(citizen.client.send_grant(citizen.body(document)), Recorded)
    assert refused_as(citizen.client.send_grant(citizen.body(document, count=9))) == "already-answered"


def test_a_withdrawal_sent_again_gives_the_receipt_of_the_first(world: World) -> None:
    citizen = holder(world)
    consent = citizen.grant()
    body = citizen.client.body(citizen.withdrawal_document(consent), citizen.passkey)
    assert not isinstance(body, Refused)
    first = citizen.client.send_withdrawal(body)
    assert isinstance(first, Recorded)
    world.clock.offset += 3_600_000
    assert citizen.client.send_withdrawal(body) == first
    anew = citizen.client.withdraw(citizen.withdrawal_document(consent), citizen.passkey)
    assert anew == first
    assert len(kit.of_type(world.house, "consent.withdrawn")) == 1


# --- what does not serve ---

LIES: dict[str, dict[str, Any]] = {
    "nobody-verified": {"flags": UP},
    "nobody-present": {"flags": UV},
    "another-page": {"origin": "https://credit.example.cn"},
    "another-relying-party": {"rp_id": "credit.example.cn"},
    "inside-another-page": {"client_data": {"crossOrigin": True}},
    "a-registration": {"client_data": {"type": "webauthn.create"}},
    "a-counter-byte-too-many": {"tail": b"\x00"},
}


def test_an_assertion_made_otherwise_grants_nothing(world: World) -> None:
    citizen = holder(world)
    document = citizen.consent_document()
    for name, lie in LIES.items():
        assert refused_as(citizen.client.send_grant(citizen.body(document, **lie))) == "bad-proof", name
    assert not kit.of_type(world.house, "consent.granted")
    assert not kit.of_type(world.house, "subject.enrolled")
    honest = citizen.body(document, flags=UP | UV | BE | BS)
    assert isinstance(citizen.client.send_grant(honest), Recorded)


def test_a_sign_in_never_serves_as_consent(world: World) -> None:
    """A page that lets a citizen sign in, and has them sign a consent unawares."""
    citizen = holder(world)
    document = citizen.consent_document()
    made = citizen.client.challenge(document)
    assert not isinstance(made, Refused)
    sign_in = tagged_hash("chengxin/sign-in/v1/webauthn", made.server_nonce)
    honest = citizen.body(document)
    stolen = citizen.passkey(sign_in, made.rp_id)
    proof = {
        "type": "webauthn",
        "server_nonce": b64u(made.server_nonce),
        "authenticator_data": b64u(stolen.authenticator_data),
        "client_data_json": b64u(stolen.client_data_json),
        "signature": b64u(stolen.signature),
    }
    assert refused_as(citizen.client.send_grant({**honest, "proof": proof})) == "bad-proof"
    assert isinstance(citizen.client.send_grant(honest), Recorded)


def test_a_proof_of_consent_withdraws_nothing(world: World) -> None:
    """Assertion and nonce of the grant, under a withdrawal: both are bound to the other document."""
    citizen = holder(world)
    document = citizen.consent_document()
    body = citizen.body(document)
    assert isinstance(citizen.client.send_grant(body), Recorded)
    back = json.loads(citizen.withdrawal_document(consent_id(document)))
    assert (
        refused_as(citizen.client.send_withdrawal({"document": back, "proof": body["proof"]})) == "bad-proof"
    )
    assert not kit.of_type(world.house, "consent.withdrawn")


def test_another_persons_passkey_neither_grants_nor_withdraws(world: World) -> None:
    citizen, stranger = holder(world), holder(world, kit.OTHER_NUMBER)
    consent = citizen.grant()
    stranger.grant()
    theirs = stranger.client.withdraw(stranger.withdrawal_document(consent), stranger.passkey)
    assert refused_as(theirs) == "bad-proof"
    forged = stranger.client.withdraw(citizen.withdrawal_document(consent), stranger.passkey)
    assert refused_as(forged) == "bad-proof"
    document = citizen.consent_document()
    granted = stranger.client.grant(document, stranger.passkey)
    assert refused_as(granted) == "bad-proof"
    assert len(kit.of_type(world.house, "consent.granted")) == 2
    assert not kit.of_type(world.house, "consent.withdrawn")


def test_a_document_altered_after_signing_is_refused(world: World) -> None:
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    narrower = {**body, "document": {**body["document"], "categories": ["loan"]}}
    assert refused_as(citizen.client.send_grant(narrower)) == "bad-proof"


MALFORMED: dict[str, Any] = {
    "no-nonce": {"server_nonce": ""},
    "another-type": {"type": "chengxin/webauthn-proof/v1"},
    "a-key-of-its-own": {"jwk": {}},
    "too-long": {"client_data_json": "A" * 6_001},
    "not-base64url": {"signature": "+/=="},
}


def test_an_assertion_out_of_form_is_malformed(world: World) -> None:
    citizen = holder(world)
    body = citizen.body(citizen.consent_document())
    for name, change in MALFORMED.items():
        bent = {**body, "proof": {**body["proof"], **change}}
        assert refused_as(citizen.client.send_grant(bent)) == "malformed-body", name


# --- stored ---


def test_a_stored_kept_set_that_an_insider_swaps_is_evidence_broken(world: World) -> None:
    """The proof of another consent of the same person, moved: bound to its row it does not even open."""
    citizen = holder(world)
    first, second = citizen.grant(), citizen.grant()
    kit.insider(
        world.house,
        "UPDATE grants SET proof = (SELECT proof FROM grants WHERE consent = ?) WHERE consent = ?",
        [first, second],
    )
    kit.check_refused(world, world.query(second), "evidence-broken")
    assert isinstance(world.query(first), Answer)


def test_both_kinds_of_proof_live_side_by_side(world: World) -> None:
    by_key, by_passkey = world.citizen(kit.OTHER_NUMBER), holder(world)
    consents = world.consent(by_key), by_passkey.grant()
    assert [leaf.body.kind for leaf in kit.of_type(world.house, "consent.granted")] == ["jws", "webauthn"]
    assert all(isinstance(world.query(consent), Answer) for consent in consents)
