"""Two readers, one document: what `consent` makes, the auditor's own readers accept, and hash to the same
value.
"""

from __future__ import annotations

from typing import Any

import pytest

from consent.document import Notice as ConsentNotice
from consent.document import Template, Withdrawal, consent_hash, format_consent, format_template, with_subject
from consent.document import parse_consent as theirs
from consent.enrolment import (
    OfficerCertificate,
    certificate_hash,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    sign_officer,
)
from consent.errors import MalformedDocument
from consent.policy import default_policy, format_policy, policy_hash
from consent.proof import sign_consent, sign_withdrawal
from consent.purposes import purpose_is_on
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from keys.signing import generate_key, parse_public_jwk
from ledger.verify import documents as ours
from ledger.verify.policy import read_policy
from tests.ledger.verify.forge import ORIGIN, START, Source
from tests.ledger.verify.people import BANK, NOTARY, template

SOURCE = Source("agreement")
REGISTRAR, OFFICER_A, OFFICER_B, CITIZEN = (generate_key("Ed25519", SOURCE.bytes) for _ in range(4))


def _template() -> Template:
    return Template(
        consent_id=SOURCE.uuid(),
        gateway=ORIGIN,
        recipient=BANK,
        purpose="02",
        categories=("judgment", "loan"),
        answer="report",
        not_before=START,
        not_after=START + 1000,
        max_uses=1,
        retention_days=30,
        notice=ConsentNotice(language="zh-CN", template="consent-02/v1", sha256="a" * 64),
        case_ref_sha256="b" * 64,
        nonce=SOURCE.salt(),
    )


def test_a_template_and_its_consent_are_read_alike() -> None:
    asked = parse_canonical(format_template(_template()))
    assert ours.read(asked, ours.ConsentTemplate).recipient == BANK
    consent = with_subject(_template(), CITIZEN.kid)
    document = parse_canonical(format_consent(consent))
    assert ours.read(document, ours.Consent).subject == CITIZEN.kid
    assert ours.consent_hash(document) == consent_hash(consent).hex()
    ours.check_consent_proof(document, sign_consent(consent, CITIZEN), parse_public_jwk(CITIZEN.jwk))


def test_a_withdrawal_is_read_alike() -> None:
    withdrawal = Withdrawal(
        consent_id=SOURCE.uuid(), gateway=ORIGIN, subject=CITIZEN.kid, reason="够了", nonce=SOURCE.salt()
    )
    token = sign_withdrawal(withdrawal, CITIZEN)
    document = {
        "type": "chengxin/withdrawal/v1",
        **{
            name: getattr(withdrawal, name)
            for name in ("consent_id", "gateway", "subject", "reason", "nonce")
        },
    }
    assert ours.read(document, ours.Withdrawal).reason == "够了"
    ours.check_withdrawal_proof(document, token, parse_public_jwk(CITIZEN.jwk))


def test_a_certificate_is_read_alike() -> None:
    drafted = draft_enrolment(
        gateway=ORIGIN,
        citizen_number="11010519491231002X",
        citizen_key=parse_public_jwk(CITIZEN.jwk),
        assurance="in-person",
        registrar=NOTARY,
        officers=("officer-b", "officer-a"),
        at=START,
        salt=bytes(16),
    )
    officers = tuple(
        sign_officer(
            OfficerCertificate(
                registrar=NOTARY, officer=name, jwk=key.jwk, not_before=START, not_after=START + 1
            ),
            REGISTRAR,
        )
        for name, key in (("officer-a", OFFICER_A), ("officer-b", OFFICER_B))
    )
    signatures = (officer_sign(drafted, OFFICER_A), officer_sign(drafted, OFFICER_B))
    made = make_certificate(drafted, signatures, (officers[0], officers[1]))
    certificate = parse_canonical(format_certificate(made))
    ours.check_certificate(certificate, NOTARY, [parse_public_jwk(REGISTRAR.jwk)])
    assert ours.read_enrolment(certificate)[1].kid == CITIZEN.kid
    assert ours.certificate_hash(certificate) == certificate_hash(made).hex()
    with pytest.raises(KeysError):
        ours.check_certificate(certificate, NOTARY, [parse_public_jwk(OFFICER_A.jwk)])


@pytest.mark.parametrize(
    "change",
    [
        {"consent_id": "no uuid"},
        {"recipient": "91440101MA5AAAAA1"},
        {"purpose": "2"},
        {"categories": []},
        {"categories": ["Loan"]},
        {"answer": "everything"},
        {"not_before": "2026-11-21"},
        {"max_uses": 0},
        {"max_uses": "1"},
        {"case_ref_sha256": "AB"},
        {"nonce": "short"},
        {"subject": "short"},
        {"type": "chengxin/consent/v2"},
        {"unknown": True},
    ],
    ids=str,
)
def test_both_readers_refuse_what_is_no_consent(change: dict[str, Any]) -> None:
    document = template(SOURCE, subject=CITIZEN.kid)
    theirs(canonical(document))
    ours.read(document, ours.Consent)
    with pytest.raises(MalformedDocument):
        theirs(canonical(document | change))
    with pytest.raises(KeysError):
        ours.read(document | change, ours.Consent)


@pytest.mark.parametrize("demo", [True, False])
def test_the_shipped_policy_is_read_alike(demo: bool, tmp_path: Any) -> None:
    bundle = default_policy(demo=demo)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / f"{policy_hash(bundle)}.json").write_bytes(format_policy(bundle))
    read = read_policy(tmp_path, policy_hash(bundle))
    assert not isinstance(read, str)
    on = {purpose.code for purpose in bundle.purposes if purpose_is_on(bundle, purpose.code)}
    assert set(read.usable) == on
    assert read.categories == {c.code for c in bundle.categories if bundle.category_is_on(c.code)}
    assert set(read.statutes) == {s.code for s in bundle.statutes if bundle.statute_is_on(s.code)}
    for code, statute in read.statutes.items():
        power = bundle.statute(code)
        assert power is not None
        for name in ("purpose", "document", "deferral_days"):
            assert getattr(statute, name) == getattr(power, name)
        for name in ("institutions", "sectors", "categories", "answers"):
            assert getattr(statute, name) == set(getattr(power, name))
    rules = {rule.name: set(rule.categories) for rule in bundle.predicates}
    assert read.predicates == {name: rules[name] for name in rules if bundle.predicate_is_on(name)}
    assert [(q.scope, q.purpose or None, q.per, q.limit) for q in read.quotas] == [
        (q.scope, q.purpose, q.per, q.limit) for q in bundle.quotas
    ]
    assert (read.retention.redelivery_hours, read.retention.approval_hours) == (
        bundle.retention.redelivery_hours,
        bundle.retention.approval_hours,
    )
    for code, purpose in read.usable.items():
        stated = bundle.purpose(code)
        assert stated is not None
        assert purpose.max_uses == stated.max_uses
        assert purpose.permitted == set(stated.permitted)
