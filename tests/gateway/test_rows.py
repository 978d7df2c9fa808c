"""An insider with the database and none of the keys: what they change is refused, for that ask alone.

Every edit is made past the gateway, by SQL, with whatever MAC the row had. A damaged consent is refused as
`evidence-broken` with its leaf; another consent, asked for in the same moment, is answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from consent.decision import Reason
from gateway.client.bank import Answer as ClientAnswer
from gateway.client.bank import Person
from gateway.institutions.register import reinstate, suspend
from gateway.query.answer import Answer, Refusal
from tests.gateway import kit
from tests.gateway.world import BANK, OTHER_BANK, World, new_world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[World]:
    """One gateway; every test damages a person and a consent of its own."""
    with new_world(tmp_path_factory.mktemp("rows") / "home") as made:
        yield made


def fresh_consent(world: World) -> str:
    return world.consent(world.citizen(kit.person(kit.size(world.house))))


def subject_of(world: World, consent: str) -> bytes:
    from gateway.people.subjects import find_by_tag

    with world.house.read() as conn:
        tag = kit.row_of(world.house, "grants", "consent = ?", consent)["tag"]
        return find_by_tag(world.house, conn, tag).subject


def check_alone(world: World, damaged: str, **asked: Any) -> None:
    """The damaged consent is refused, and a healthy one beside it answered, in one batch or in several."""
    healthy = world.consent(world.citizen(kit.person(kit.size(world.house))), max_uses=10)
    work: list[Callable[[], Any]] = [partial(kit.ask_house, world, damaged, **asked)] * 3
    work += [partial(kit.ask_house, world, healthy)] * 5
    results = kit.together(*work)
    for refusal in results[:3]:
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.EVIDENCE_BROKEN
    assert all(isinstance(one, Answer) for one in results[3:])
    with world.bank() as bank:
        changes = {"person_check": Person(kit.NUMBER)} if asked else {}
        kit.check_refused(world, world.query(damaged, bank, **changes), "evidence-broken")


EDITS = {
    "use-count-lowered": "uses = 0",
    "use-count-raised": "uses = uses + 1",
    "use-count-a-fraction": "uses = uses + 0.5",  # PostgreSQL rounds it
    "use-count-text": "uses = 'none'",
    "use-count-negative": "uses = -5",
    "state-unknown": "state = 'forever'",
    "leaf-another": "changed_index = changed_index - 1",
    "leaf-not-there": "changed_index = 999999",
    "grant-index-another": "grant_index = 0",
    "mac-zeros": "mac = zeroblob(32)",
    "mac-short": "mac = x'00'",
    "mac-text": "mac = 'mac'",
    "tag-text": "tag = 'tag'",
    "document-text": "document = 'document'",
    "shard-another": "shard = 7",
    "tag-of-nobody": "tag = randomblob(16)",
    "tag-of-another-length": "tag = x'0102'",
    "tag-empty": "tag = x''",
    "document-cut": "document = substr(document, 1, 40)",
    "document-empty": "document = x''",
    "document-and-proof-exchanged": "document = proof, proof = document",
    "proof-gone": "proof = x''",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_grant_is_refused_alone(shared: World, edit: str) -> None:
    consent = fresh_consent(shared)
    assert isinstance(shared.query(consent), ClientAnswer)
    statement = f"UPDATE grants SET {edit} WHERE consent = ?"
    if edit == EDITS["use-count-text"] and shared.house.engine.dialect.name == "postgresql":
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):  # no such cell can be made there
            kit.insider(shared.house, statement, [consent])
        return
    kit.insider(shared.house, statement, [consent])
    check_alone(shared, consent)


def test_a_use_undone_with_its_old_mac_is_refused(shared: World) -> None:
    consent = fresh_consent(shared)
    fresh = kit.row_of(shared.house, "grants", "consent = ?", consent)
    assert isinstance(shared.query(consent), ClientAnswer)
    kit.put_back(shared.house, "grants", "consent", fresh)
    check_alone(shared, consent)


def test_a_withdrawal_undone_with_its_old_mac_is_refused(shared: World) -> None:
    citizen = shared.citizen(kit.person(kit.size(shared.house)))
    consent = shared.consent(citizen)
    granted = kit.row_of(shared.house, "grants", "consent = ?", consent)
    shared.withdraw(citizen, consent)
    kit.put_back(shared.house, "grants", "consent", granted)
    check_alone(shared, consent)


def test_a_consent_moved_to_another_person_is_refused(shared: World) -> None:
    """The victim's records are not read under a stranger's consent, whichever way the rows are crossed."""
    consent, victims = fresh_consent(shared), fresh_consent(shared)
    theirs = kit.row_of(shared.house, "grants", "consent = ?", victims)
    kit.insider(shared.house, "UPDATE grants SET tag = ? WHERE consent = ?", [theirs["tag"], consent])
    check_alone(shared, consent)


def test_a_consent_under_another_ones_signature_is_refused(shared: World) -> None:
    consent, other = fresh_consent(shared), fresh_consent(shared)
    row = kit.row_of(shared.house, "grants", "consent = ?", other)
    kit.insider(
        shared.house,
        "UPDATE grants SET document = ?, proof = ? WHERE consent = ?",
        [row["document"], row["proof"], consent],
    )
    check_alone(shared, consent)


def test_a_consent_handed_to_another_bank_serves_neither(shared: World) -> None:
    """The column finds it; who may use it is what the citizen signed."""
    consent = fresh_consent(shared)
    kit.insider(shared.house, "UPDATE grants SET recipient = ? WHERE consent = ?", [OTHER_BANK, consent])
    with shared.bank(shared.other_key) as other:
        kit.check_refused(shared, shared.query(consent, other), "no-consent")
    kit.check_refused(shared, shared.query(consent), "no-consent")


KEY_EDITS = {
    "state": "state = 'dead'",
    "effective-earlier": "effective = effective - 1",
    "registrar-of-nobody": "registrar = '91990000DEMA09999X'",
    "registrar-another-institution": f"registrar = '{BANK}'",
    "about-another-leaf": "about = 'f'",
    "leaf-another": "changed_index = 0",
    "jwk-and-certificate-exchanged": "jwk = certificate, certificate = jwk",
    "certificate-cut": "certificate = substr(certificate, 1, 60)",
    "salt-gone": "commitment_salt = x''",
    "mac-zeros": "mac = zeroblob(32)",
}


@pytest.mark.parametrize("edit", KEY_EDITS.values(), ids=KEY_EDITS.keys())
def test_an_edited_citizen_key_is_refused_alone(shared: World, edit: str) -> None:
    consent = fresh_consent(shared)
    subject = subject_of(shared, consent)
    kit.insider(shared.house, f"UPDATE citizen_keys SET {edit} WHERE subject = ?", [subject])
    check_alone(shared, consent)


def test_a_consent_whose_persons_key_row_is_gone_is_refused_alone(shared: World) -> None:
    consent = fresh_consent(shared)
    kit.insider(shared.house, "DELETE FROM citizen_keys WHERE subject = ?", [subject_of(shared, consent)])
    check_alone(shared, consent)


PERSON_EDITS = {
    "data-key-damaged": "UPDATE data_keys SET wrapped = zeroblob(80) WHERE subject = ? AND klass = 'link'",
    "data-key-gone": "DELETE FROM data_keys WHERE subject = ? AND klass = 'link'",
    "tag-damaged": "UPDATE subjects SET tag = x'00' WHERE subject = ?",
    "person-gone": "DELETE FROM subjects WHERE subject = ?",
    "tag-lookup-another": "UPDATE subjects SET tag_lookup = zeroblob(32) WHERE subject = ?",
}


@pytest.mark.parametrize("edit", PERSON_EDITS.values(), ids=PERSON_EDITS.keys())
def test_a_consent_of_a_damaged_person_is_refused_alone(shared: World, edit: str) -> None:
    consent = fresh_consent(shared)
    subject = subject_of(shared, consent)
    kit.insider(shared.house, edit, [subject])
    check_alone(shared, consent)
    kit.insider(shared.house, "UPDATE subjects SET tag_lookup = randomblob(32) WHERE subject = ?", [subject])


IDENTITY_EDITS = {
    "number-damaged": "UPDATE subjects SET citizen_number = x'00' WHERE subject = ?",
    "name-damaged": "UPDATE subjects SET name = x'00' WHERE subject = ?",
    "key-gone": "DELETE FROM data_keys WHERE subject = ? AND klass = 'identity'",
}


@pytest.mark.parametrize("edit", IDENTITY_EDITS.values(), ids=IDENTITY_EDITS.keys())
def test_a_person_check_against_a_damaged_identity_is_refused_alone(shared: World, edit: str) -> None:
    consent = fresh_consent(shared)
    kit.insider(shared.house, edit, [subject_of(shared, consent)])
    check_alone(shared, consent, person_check={"citizen_number": kit.NUMBER})


@pytest.mark.parametrize("noun", ["institution", "operator"])
def test_a_reinstatement_by_hand_does_not_reinstate(shared: World, noun: str) -> None:
    name = BANK if noun == "institution" else shared.operators[BANK]
    active = kit.row_of(shared.house, f"{noun}s", f"{noun} = ?", name)
    suspend(shared.house, noun, name, "audit-failed")
    suspended = kit.row_of(shared.house, f"{noun}s", f"{noun} = ?", name)
    for forged in (active, {**suspended, "state": "active"}, {**suspended, "until": 1}):
        kit.put_back(shared.house, f"{noun}s", noun, forged)
        consent = str(uuid.uuid4())
        kit.check_refused(shared, shared.query(consent), f"{noun}-suspended")
        with shared.bank(shared.other_key) as other:
            kit.check_refused(shared, shared.query(consent, other), "no-consent")
    kit.put_back(shared.house, f"{noun}s", noun, suspended)
    reinstate(shared.house, noun, name, "audit-passed")
    kit.check_refused(shared, shared.query(str(uuid.uuid4())), "no-consent")


def test_an_operator_given_a_role_by_hand_has_none(shared: World) -> None:
    operator = shared.operators[OTHER_BANK]
    row = kit.row_of(shared.house, "operators", "operator = ?", operator)
    kit.put_back(shared.house, "operators", "operator", {**row, "roles": "audit query"})
    with shared.bank(shared.other_key) as other:
        kit.check_refused(shared, shared.query(str(uuid.uuid4()), other), "operator-suspended")
    kit.put_back(shared.house, "operators", "operator", row)


def test_an_operator_moved_to_another_bank_queries_for_nobody(shared: World) -> None:
    """The other bank's operator would read under this bank's consents."""
    consent = fresh_consent(shared)
    operator = shared.operators[OTHER_BANK]
    row = kit.row_of(shared.house, "operators", "operator = ?", operator)
    kit.put_back(shared.house, "operators", "operator", {**row, "institution": BANK})
    with shared.bank(shared.other_key) as other:
        kit.check_refused(shared, shared.query(consent, other), "operator-suspended")
    kit.put_back(shared.house, "operators", "operator", row)


def test_a_key_put_on_an_operator_by_hand_queries_for_nobody(shared: World) -> None:
    """An insider with a key of their own in the operator's place signs well and is refused."""
    from keys.canonical import canonical
    from tests.gateway.world import fresh_key

    consent, key = fresh_consent(shared), fresh_key()
    row = kit.row_of(shared.house, "operators", "operator = ?", shared.operators[BANK])
    forged = {**row, "kid": key.kid, "jwk": canonical(key.jwk).decode()}
    kit.put_back(shared.house, "operators", "operator", forged)
    with shared.bank(key) as insider:
        kit.check_refused(shared, shared.query(consent, insider), "operator-suspended")
    kit.put_back(shared.house, "operators", "operator", row)


def test_the_recorded_leaf_of_a_refused_edit_keeps_the_persons_chain(shared: World) -> None:
    """Refusing broken evidence must not break the ledger: the refusal stands in the person's own chain."""
    citizen = shared.citizen(kit.person(kit.size(shared.house)))
    consent = shared.consent(citizen)
    kit.insider(shared.house, "UPDATE grants SET uses = 7 WHERE consent = ?", [consent])
    leaf = kit.check_refused(shared, shared.query(consent), "evidence-broken")
    granted = kit.of_type(shared.house, "consent.granted")[-1]
    assert leaf.subject is not None
    assert granted.subject is not None
    assert leaf.subject.tag == granted.subject.tag
