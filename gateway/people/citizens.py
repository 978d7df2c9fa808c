"""Enrolment of a citizen's key, and finding the citizen behind a signed request.

Invariant: a key counts for a person only by the registrar's certificate with two officers' signatures,
whose `person` hash is of that very citizen number; the gateway can store such a certificate, never make
one. A person may have several keys. One that is not their first acts only once the policy's wait
(`second_key_hours`) is over since its entry, which the holder of the first is told of and can object to; a
key that was revoked acts no more, and is never enrolled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.enrolment import (
    Certificate,
    VerifiedEnrolment,
    certificate_hash,
    format_certificate,
    registrar_kid,
    verify_certificate,
)
from consent.errors import ConsentError
from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.published import certifying_key, registrar_key
from gateway.institutions.standing import require_standing
from gateway.keyring import DataKey
from gateway.people.subjects import Subject, create, find_by_id, find_by_number, kid_lookups
from gateway.rotation.versions import newest
from gateway.tables import citizen_keys, spent_certificates
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex
from keys.instant import HOUR
from keys.signing import PublicKey, parse_public_jwk, thumbprint_bytes
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

LIVE = "live"
"""State of a key that was not revoked; of one that was, the state is the cause."""


@dataclass(frozen=True, slots=True)
class Citizen:
    """A citizen whose key is known here: the subject, the key, and what the ledger says about it."""

    subject: Subject
    key: PublicKey
    row: Mapping[str, Any]


def find_by_kid(house: House, conn: sa.Connection, kid: str) -> Citizen | None:
    """The citizen whose enrolled key has this thumbprint, with that key, whether or not it acts now."""
    row = key_by_thumbprint(house, conn, kid)
    if row is None:
        return None
    subject = find_by_id(house, conn, row["subject"])
    return Citizen(subject, open_key(subject.link, row), row)


def keys_of(house: House, conn: sa.Connection, subject: Subject) -> list[dict[str, Any]]:
    """The evident rows of every key that a person has or had, oldest change first; none of the decoy."""
    if not subject.known:
        return []
    found = rows.read_evident(conn, citizen_keys, "subject", [subject.subject], house.shard)
    for row in found:
        rows.require_evident(house.custody, citizen_keys, row)
    return found


def key_by_thumbprint(house: House, conn: sa.Connection, thumbprint: str) -> dict[str, Any] | None:
    """The evident row of the key with this thumbprint (RFC 7638), or None; the decoy's is nobody's."""
    found = kid_lookups(house.custody, thumbprint_bytes(thumbprint)).values()
    return _evident_key(house, conn, "kid_lookup", found)


def _evident_key(
    house: House, conn: sa.Connection, column: str, values: Iterable[object]
) -> dict[str, Any] | None:
    found = rows.read_evident(conn, citizen_keys, column, values, house.shard)
    if not found or found[0]["subject"] == house.decoy.subject:
        return None
    rows.require_evident(house.custody, citizen_keys, found[0])
    return found[0]


def key_named(house: House, held: Iterable[Mapping[str, Any]], thumbprint: str) -> Mapping[str, Any] | None:
    """The one of these rows that is of the key with this thumbprint (RFC 7638)."""
    found = set(kid_lookups(house.custody, thumbprint_bytes(thumbprint)).values())
    return next((row for row in held if row["kid_lookup"] in found), None)


def acts(row: Mapping[str, Any], at: int) -> bool:
    """Whether a key grants, withdraws and signs requests at `at` (ms): live, and its wait is over."""
    return bool(row["state"] == LIVE and at >= row["effective"])


def require_acting(tx: Transaction, citizen: Citizen) -> None:
    """`Rejected` (`key-not-live`) when the key that signed a request was revoked before the lock was held."""
    row = _evident_key(tx.house, tx.conn, "about", [citizen.row["about"]])
    if row is None or not acts(row, tx.at):
        raise Rejected("key-not-live")


def verify_enrolment(
    house: House, conn: sa.Connection, certificate: Certificate, citizen_number: str, at: int
) -> VerifiedEnrolment:
    """What the certificate proves about this person; `Rejected` (`bad-certificate`) when it does not.

    Under any key that the registrar has or had: whether it may still enrol somebody, `require_in_force` says.
    """
    registrar = certificate.enrolment.registrar
    try:
        key = certifying_key(house, conn, registrar, registrar_kid(certificate))
        enrolment = verify_certificate(certificate, key, house.origin, at, registrar_id=registrar)
    except ConsentError as error:
        raise Rejected("bad-certificate", str(error)) from error
    except EvidenceBroken as error:
        raise Rejected("bad-certificate", "the registrar is not known here") from error
    if not enrolment.is_of(citizen_number):
        raise Rejected("bad-certificate", "the certificate was made for another person")
    return enrolment


def require_in_force(tx: Transaction, certificate: Certificate) -> None:
    """`Rejected` (`bad-certificate`) when the registrar's key behind a certificate was rotated or revoked."""
    try:
        key = registrar_key(tx.house, tx.conn, certificate.enrolment.registrar)
    except EvidenceBroken as error:
        raise Rejected("bad-certificate", "the registrar has no key in force") from error
    if registrar_kid(certificate) != key.kid:
        raise Rejected(
            "bad-certificate", "the officers were certified under a key that the registrar replaced"
        )


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person's key: subject, the row of `citizen_keys`, and the entry if it was enrolled just now."""

    subject: Subject
    row: Mapping[str, Any]
    entry: Entry | None


def enrol(tx: Transaction, certificate: Certificate, citizen_number: str) -> Enrolled:
    """Enrol the certified key of the person with this canonical number; doing so twice changes nothing.

    `Rejected`: `second-key` for a key that is another person's or was revoked, `bad-certificate` for one that
    would act sooner than the policy allows, which for a further key of one person is `second_key_hours`.
    """
    house = tx.house
    enrolment = verify_enrolment(house, tx.conn, certificate, citizen_number, tx.at)
    require_standing(tx, enrolment.registrar, "registrar")
    _require_unspent(tx, certificate)
    subject = find_by_number(house, tx.conn, citizen_number)
    if not subject.known:
        subject = create(tx, citizen_number, None)
    held = keys_of(house, tx.conn, subject)
    known = key_named(house, held, enrolment.thumbprint)
    if known is not None and known["state"] == LIVE:
        return Enrolled(subject, known, None)
    found = kid_lookups(house.custody, thumbprint_bytes(enrolment.thumbprint)).values()
    taken = tx.conn.scalar(sa.select(citizen_keys.c.subject).where(citizen_keys.c.kid_lookup.in_(found)))
    if known is not None or taken is not None:
        raise Rejected("second-key", "this key was revoked, or is another person's")
    if _enrolments(tx, subject) > len(held):
        raise EvidenceBroken("the ledger holds an enrolment whose row is gone")
    second = bool(held)
    if enrolment.effective - enrolment.at < tx.policy.enrolment.wait_ms(enrolment.assurance, second=second):
        raise Rejected("bad-certificate", "the key is to take effect sooner than the policy allows")
    require_in_force(tx, certificate)
    return _record(tx, subject, certificate, enrolment, second=second)


def _require_unspent(tx: Transaction, certificate: Certificate) -> None:
    """`Rejected` for a certificate that enrolled somebody who was erased, whose tags its hash would join, or
    whose enrolment was lost with a database: nobody knows whether its key was revoked since.
    """
    spent = spent_certificates.c.sha256
    if tx.conn.scalar(sa.select(spent).where(spent == certificate_hash(certificate))) is not None:
        raise Rejected("bad-certificate", "this certificate is used up: have the registrar make a new one")


def _enrolments(tx: Transaction, subject: Subject) -> int:
    """How many keys of this person the ledger knows; an insider might take rows away to hide the first."""
    leaves = ledger_leaves.c
    found = tx.conn.execute(
        sa.select(sa.func.count()).where(
            leaves.shard == tx.house.shard,
            leaves.tag == subject.tag,
            leaves.type == "subject.enrolled",
            leaves.about.is_not(None),  # one that came back without its row is void (gateway.recovery)
        )
    )
    return int(found.scalar_one())


def _record(
    tx: Transaction, subject: Subject, certificate: Certificate, enrolment: VerifiedEnrolment, *, second: bool
) -> Enrolled:
    """The leaf `subject.enrolled` and the key's row.

    The wait of a further key counts from its entry: a certificate that was kept back would otherwise leave
    nobody any time to object.
    """
    wait = tx.policy.enrolment.second_key_hours * HOUR
    effective = max(enrolment.effective, tx.at + wait) if second else enrolment.effective
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
    key, version = newest(kid_lookups(tx.house.custody, raw))
    row = {
        "kid_lookup": key,
        "index_version": version,
        "subject": subject.subject,
        "about": commitment,
        "registrar": enrolment.registrar,
        "jwk": subject.link.seal("citizen_keys", "jwk", key, canonical(enrolment.key.jwk)),
        "certificate": subject.link.seal("citizen_keys", "certificate", key, stored),
        "commitment_salt": subject.link.seal("citizen_keys", "commitment_salt", key, salt),
        "effective": effective,
        "state": LIVE,
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
