"""Ways of the insider to enrol a person: each returns the leaf and the rule that an audit must name.

Where the gateway's own code is in the way it is bent; where the point of it is an answer, one is given.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from consent.enrolment import (
    OfficerCertificate,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    parse_certificate,
    sign_officer,
)
from gateway import rows
from gateway.client.bank import Person
from gateway.demo.people import synthetic_uscc
from gateway.institutions.register import NewInstitution, add_institution
from gateway.tables import published_keys
from keys.canonical import canonical, parse_canonical
from keys.signing import PrivateKey, parse_public_jwk
from ledger.log import Appender, Draft, lock_head
from tests.attacks.insider import ANNA, BORIS, DORA, Found, Insider, granted_leaf
from tests.gateway.world import DAY_MS, REGISTRAR, Registrar, fresh_key, new_registrar

ROGUE = synthetic_uscc(66)


def own_registrar(insider: Insider) -> Found:
    """A registrar of the insider's own, registered like any other."""
    rogue = new_registrar()
    key = parse_public_jwk(rogue.key.jwk)
    add_institution(
        insider.world.house, NewInstitution(ROGUE, "自设机构", "registrar", ("registrar",), registrar_key=key)
    )
    index = _enrol_and_harvest(insider, rogue, ROGUE)
    return index, "registrar-pinned"


def registrars_row_replaced(insider: Insider) -> Found:
    """The honest registrar's published row with another key in it, its MAC made anew."""
    rogue = new_registrar()
    house = insider.world.house
    with house.engine.begin() as conn:
        [row] = rows.read_evident(conn, published_keys, "holder", [REGISTRAR], house.shard)
        changed = rows.columns_of(published_keys, row) | {"public": canonical(rogue.key.jwk).decode()}
        protected = rows.protect(house.custody, published_keys, changed, row["leaf_hash"])
        conn.execute(sa.update(published_keys).where(published_keys.c.kid == row["kid"]).values(**protected))
    house.registrars.clear()
    return _enrol_and_harvest(insider, rogue, REGISTRAR), "certificate"


def registrars_second_key(insider: Insider) -> Found:
    """A second key, published in the honest registrar's name."""
    rogue = new_registrar().key
    body = {"use": "registrar", "kid": rogue.kid, "public": rogue.jwk, "holder": REGISTRAR}
    return insider.append("key.published", body).index, "key-pinned"


def officers_of_ones_own(insider: Insider) -> Found:
    """Officers' certificates signed by the insider, in the honest registrar's name."""
    insider.believe_every_certificate()
    rogue = new_registrar()
    insider.world.house.registrars[REGISTRAR, rogue.key.kid] = parse_public_jwk(rogue.key.jwk)
    return _enrol_and_harvest(insider, rogue, REGISTRAR), "certificate"


def officers_certificates_lifted(insider: Insider) -> Found:
    """The honest officers' certificates, out of Anna's, over a document that neither signed."""
    insider.believe_every_certificate()
    held = parse_certificate(insider.anna.certificate)
    return _enrol_with(insider, (fresh_key(), fresh_key()), held.officers), "certificate"


def one_officer_is_an_accomplice(insider: Insider) -> Found:
    """One officer of two signs; the other signature is the insider's."""
    insider.believe_every_certificate()
    held = parse_certificate(insider.anna.certificate)
    signers = (insider.world.registrar.officers["officer-a"], fresh_key())
    return _enrol_with(insider, signers, held.officers), "certificate"


def one_officer_signs_twice(insider: Insider) -> Found:
    """One officer's key and certificate in both places."""
    insider.believe_every_certificate()
    held = parse_certificate(insider.anna.certificate)
    officer = insider.world.registrar.officers["officer-a"]
    return _enrol_with(insider, (officer, officer), (held.officers[0], held.officers[0])), "certificate"


def officer_certified_by_the_insider(insider: Insider) -> Found:
    """One honest officer, and one whose certificate the insider signed under the registrar's name."""
    insider.believe_every_certificate()
    held, own = parse_certificate(insider.anna.certificate), fresh_key()
    at = insider.world.clock()
    forged = OfficerCertificate(
        registrar=REGISTRAR, officer="officer-b", jwk=own.jwk, not_before=at - DAY_MS, not_after=at + DAY_MS
    )
    token = sign_officer(forged, fresh_key())
    signers = (insider.world.registrar.officers["officer-a"], own)
    return _enrol_with(insider, signers, (held.officers[0], token)), "certificate"


def annas_certificate_on_boris(insider: Insider) -> Found:
    """An honest certificate, used before, on the tag of another person."""
    assert "bad-certificate" in str(insider.anna.client.enrol(insider.anna.certificate, BORIS))
    return insider.append_enrolment(insider.anna.certificate, BORIS), "certificate-once"


def accomplices_certificate_on_boris(insider: Insider) -> Found:
    """An honest certificate, never used, of an accomplice: her key is enrolled as Boris's, she consents, and
    the bank that asked for Boris gets Boris's records.
    """
    consent = accomplices_consent(insider)
    return insider.must_answer(consent, person_check=Person(BORIS)), "request-person"


def accomplices_consent(insider: Insider) -> str:
    """The consent of that accomplice, on Boris's tag."""
    insider.believe_every_certificate()
    world, key = insider.world, fresh_key()
    certificate = world.registrar.certify(world.house.origin, DORA, key, world.clock())
    dora = insider.someone(BORIS, certificate, key)
    insider.enrol(dora)
    return world.consent(dora)


def second_key_for_anna(insider: Insider) -> Found:
    """A second certificate, honest too, that does not wait as a further key must."""
    return insider.append_enrolment(_second_certificate(insider)[0], ANNA), "certificate-waits"


def second_key_for_anna_without_a_leaf(insider: Insider) -> Found:
    """Her row is given the second key, and a consent by it a leaf under the first key's commitment."""
    certificate, key = _second_certificate(insider)
    document = insider.papers()["document"] | {"consent_id": str(uuid.uuid4()), "subject": key.kid}
    papers = insider.own_consent(key, **document)
    papers["certificate"] = parse_canonical(certificate)
    said = {"commitment": granted_leaf(insider.papers())["commitment"]}
    return insider.append_grant(papers, **said).index, "certificate-same"


def backdated_enrolment(insider: Insider) -> Found:
    """A leaf that claims to be older than the one before it."""
    house = insider.world.house
    with house.engine.begin() as conn:
        head = lock_head(conn, house.shard)
        forgetful, past = replace(head, at=0), head.at - DAY_MS
        appender = Appender(conn, house.shard, house.origin, forgetful, past, house.policy_hash, house.random)
        entry = appender.append(Draft("subject.read", {"what": "report"}, tag=insider.subject(ANNA).tag))
        appender.flush()
    return entry.index, "time"


def _enrol_and_harvest(insider: Insider, registrar: Registrar, name: str) -> int:
    """Certify a key of one's own as Boris's, enrol it, consent with it, and get his records. Index of the
    enrolment.
    """
    world, key = insider.world, fresh_key()
    certificate = registrar.certify(world.house.origin, BORIS, key, world.clock(), registrar=name)
    return _harvest(insider, certificate, key)


def _enrol_with(insider: Insider, signers: Sequence[PrivateKey], officers: Sequence[str]) -> int:
    """The same with a certificate put together by hand."""
    world, key = insider.world, fresh_key()
    document = draft_enrolment(
        gateway=world.house.origin,
        citizen_number=BORIS,
        citizen_key=parse_public_jwk(key.jwk),
        assurance="in-person",
        registrar=REGISTRAR,
        officers=("officer-a", "officer-b"),
        at=world.clock(),
        salt=os.urandom(16),
    )
    signatures = (officer_sign(document, signers[0]), officer_sign(document, signers[1]))
    certificate = make_certificate(document, signatures, (officers[0], officers[1]))
    return _harvest(insider, format_certificate(certificate), key)


def _harvest(insider: Insider, certificate: bytes, key: PrivateKey) -> int:
    impostor = insider.someone(BORIS, certificate, key)
    index = insider.enrol(impostor)
    insider.must_answer(insider.world.consent(impostor))
    return index


def _second_certificate(insider: Insider) -> tuple[bytes, PrivateKey]:
    """A second key of Anna's, certified by the honest registrar."""
    world, key = insider.world, fresh_key()
    return world.registrar.certify(world.house.origin, ANNA, key, world.clock()), key


WAYS = (
    own_registrar,
    registrars_row_replaced,
    registrars_second_key,
    officers_of_ones_own,
    officers_certificates_lifted,
    one_officer_is_an_accomplice,
    one_officer_signs_twice,
    officer_certified_by_the_insider,
    annas_certificate_on_boris,
    accomplices_certificate_on_boris,
    second_key_for_anna,
    second_key_for_anna_without_a_leaf,
    backdated_enrolment,
)
