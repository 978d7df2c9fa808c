"""Enrolment of a citizen's key, and finding the citizen behind a signed request.

Invariant: a key counts for a person only by the registrar's certificate with two officers' signatures,
whose `person` hash is of that very citizen number; the gateway can store such a certificate, never make
one. One person has one live key until keys rotate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.enrolment import (
    Certificate,
    VerifiedEnrolment,
    certificate_hash,
    format_certificate,
    verify_certificate,
)
from consent.errors import ConsentError
from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.published import registrar_key
from gateway.institutions.standing import require_standing
from gateway.keyring import DataKey
from gateway.people.subjects import Subject, create, find_by_id, find_by_number, kid_lookup
from gateway.tables import citizen_keys
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex
from keys.signing import PublicKey, parse_public_jwk, thumbprint_bytes
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Citizen:
    """A citizen whose live key is known here: the subject, the key, and what the ledger says about it."""

    subject: Subject
    key: PublicKey
    row: Mapping[str, Any]


def find_by_kid(house: House, conn: sa.Connection, kid: str) -> Citizen | None:
    """The citizen whose enrolled key has this thumbprint, with that key."""
    lookup = kid_lookup(house.custody, thumbprint_bytes(kid))
    found = conn.execute(sa.select(citizen_keys).where(citizen_keys.c.kid_lookup == lookup))
    row = found.mappings().one_or_none()
    if row is None or row["subject"] == house.decoy.subject:
        return None
    subject = find_by_id(house, conn, row["subject"])
    return Citizen(subject, open_key(subject.link, dict(row)), dict(row))


def key_of(house: House, conn: sa.Connection, subject: Subject) -> dict[str, Any] | None:
    """The evident key row of a subject, or None when no key is enrolled."""
    return _evident_key(house, conn, "subject", subject.subject)


def key_by_lookup(house: House, conn: sa.Connection, lookup: bytes) -> dict[str, Any] | None:
    """The evident row of the key with this look-up, or None."""
    return _evident_key(house, conn, "kid_lookup", lookup)


def _evident_key(house: House, conn: sa.Connection, column: str, value: bytes) -> dict[str, Any] | None:
    found = rows.read_evident(conn, citizen_keys, column, [value], house.shard)
    if not found:
        return None
    rows.require_evident(house.custody, citizen_keys, found[0])
    return found[0]


def verify_enrolment(
    house: House, conn: sa.Connection, certificate: Certificate, citizen_number: str, at: int
) -> VerifiedEnrolment:
    """What the certificate proves about this person; `Rejected` (`bad-certificate`) when it does not."""
    registrar = certificate.enrolment.registrar
    try:
        key = registrar_key(house, conn, registrar)
        enrolment = verify_certificate(certificate, key, house.origin, at, registrar_id=registrar)
    except ConsentError as error:
        raise Rejected("bad-certificate", str(error)) from error
    except EvidenceBroken as error:
        raise Rejected("bad-certificate", "the registrar is not known here") from error
    if not enrolment.is_of(citizen_number):
        raise Rejected("bad-certificate", "the certificate was made for another person")
    return enrolment


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person's live key: subject, the row of `citizen_keys`, and the entry if it was enrolled just now."""

    subject: Subject
    row: Mapping[str, Any]
    entry: Entry | None


def enrol(tx: Transaction, certificate: Certificate, citizen_number: str) -> Enrolled:
    """Enrol the certified key of the person with this canonical number; doing so twice changes nothing."""
    house = tx.house
    enrolment = verify_enrolment(house, tx.conn, certificate, citizen_number, tx.at)
    require_standing(tx, enrolment.registrar, "registrar")
    subject = find_by_number(house, tx.conn, citizen_number)
    if not subject.known:
        subject = create(tx, citizen_number, None)
    lookup = kid_lookup(house.custody, thumbprint_bytes(enrolment.thumbprint))
    held = key_of(house, tx.conn, subject)
    if held is not None and held["kid_lookup"] == lookup:
        return Enrolled(subject, held, None)
    taken = tx.conn.scalar(sa.select(citizen_keys.c.subject).where(citizen_keys.c.kid_lookup == lookup))
    if held is not None or taken is not None:
        raise Rejected("second-key", "this person has a live key already, or this key is another person's")
    wait = tx.policy.enrolment.wait_ms(enrolment.assurance, second=False)
    if enrolment.effective - enrolment.at < wait:
        raise Rejected("bad-certificate", "the key is to take effect sooner than the policy allows")
    return _record(tx, subject, certificate, enrolment)


def _record(
    tx: Transaction, subject: Subject, certificate: Certificate, enrolment: VerifiedEnrolment
) -> Enrolled:
    """The leaf `subject.enrolled` and the key's row."""
    salt = tx.house.random(16)
    raw = thumbprint_bytes(enrolment.thumbprint)
    commitment = sha256_hex(salt + raw)
    stored = format_certificate(certificate)
    entry = tx.append(
        "subject.enrolled",
        {
            "commitment": commitment,
            "registrar": enrolment.registrar,
            "assurance": enrolment.assurance,
            "certificate_sha256": certificate_hash(certificate).hex(),
        },
        tag=subject.tag,
        by={"registrar": enrolment.registrar},
        details={"certificate": parse_canonical(stored), "commitment_salt": b64u(salt)},
        about=rows.about(citizen_keys, commitment),
    )
    key = kid_lookup(tx.house.custody, raw)
    row = {
        "kid_lookup": key,
        "subject": subject.subject,
        "about": commitment,
        "registrar": enrolment.registrar,
        "jwk": subject.link.seal("citizen_keys", "jwk", key, canonical(enrolment.key.jwk)),
        "certificate": subject.link.seal("citizen_keys", "certificate", key, stored),
        "commitment_salt": subject.link.seal("citizen_keys", "commitment_salt", key, salt),
        "effective": enrolment.effective,
        "state": "live",
    }
    protected = tx.protect(citizen_keys, row, entry)
    tx.conn.execute(citizen_keys.insert(), protected)
    return Enrolled(subject, protected, entry)


def open_key(link: DataKey, row: Mapping[str, Any]) -> PublicKey:
    """The citizen's public key, out of one row of `citizen_keys`."""
    return parse_public_jwk(parse_canonical(link.open("citizen_keys", "jwk", row["kid_lookup"], row["jwk"])))


def open_certificate(link: DataKey, row: Mapping[str, Any]) -> bytes:
    """The stored certificate's bytes, out of one row of `citizen_keys`."""
    return link.open("citizen_keys", "certificate", row["kid_lookup"], row["certificate"])


def open_commitment_salt(link: DataKey, row: Mapping[str, Any]) -> bytes:
    """The salt (16 bytes) of a key's commitment, out of one row of `citizen_keys`."""
    return link.open("citizen_keys", "commitment_salt", row["kid_lookup"], row["commitment_salt"])
