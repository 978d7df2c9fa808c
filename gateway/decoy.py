"""The decoy: a person, a key and a consent that are nobody's, and stand in wherever there is none.

Invariant: looking up what is not there runs the same statements, decryptions and verifications as
looking up what is. The decoy's registrar is nobody's either: its private keys are forgotten as
soon as they have signed, its public key serves the decoy alone, and no decision ever permits
anything under the decoy's consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent.document import Consent, Notice, consent_hash, format_consent
from consent.enrolment import (
    OfficerCertificate,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    sign_officer,
)
from consent.proof import sign_consent
from gateway.ids import new_uuid
from gateway.people.subjects import kid_lookups, plant
from gateway.rotation.versions import newest
from gateway.tables import citizen_keys, grants
from keys.canonical import b64u, canonical
from keys.signing import PrivateKey, PublicKey, Random, generate_key, parse_public_jwk, thumbprint_bytes

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gateway.house import House

NOBODY = "110101190001010014"  # 1 January 1900, and a check digit that is right: nobody alive
RECIPIENT = "91110000000000000X"
REGISTRAR = "decoy"
_NO_LEAF = bytes(32)


@dataclass(frozen=True, slots=True)
class Decoy:
    """What the decoy is known by: ids of its consent and subject, and the key that certified it."""

    consent: str
    subject: bytes
    registrar: PublicKey


@dataclass(frozen=True, slots=True)
class Made:
    """A fresh decoy with its signed papers, to be planted once."""

    decoy: Decoy
    key: PublicKey
    certificate: bytes
    document: bytes
    proof: str


def make(origin: str, random: Random, at: int) -> Made:
    """A decoy for the log `origin`, its signatures real and its signers forgotten."""
    registrar, citizen, first, second = (generate_key("Ed25519", random) for _ in range(4))
    officers = {"officer-1": first, "officer-2": second}
    document = draft_enrolment(
        gateway=origin,
        citizen_number=NOBODY,
        citizen_key=parse_public_jwk(citizen.jwk),
        assurance="in-person",
        registrar=REGISTRAR,
        officers=("officer-1", "officer-2"),
        at=at,
        salt=random(16),
    )
    certificate = make_certificate(
        document,
        (officer_sign(document, first), officer_sign(document, second)),
        (_officer("officer-1", officers, registrar, at), _officer("officer-2", officers, registrar, at)),
    )
    consent = _consent(origin, citizen, random, at)
    decoy = Decoy(consent.consent_id, random(16), parse_public_jwk(registrar.jwk))
    return Made(
        decoy,
        parse_public_jwk(citizen.jwk),
        format_certificate(certificate),
        format_consent(consent),
        sign_consent(consent, citizen),
    )


def plant_decoy(house: House, conn: sa.Connection, made: Made) -> None:
    """Put the decoy's rows beside everybody's. No leaf speaks of them, so they are never evident."""
    subject = plant(house, conn, made.decoy.subject, house.random(16), NOBODY, "nobody")
    raw = thumbprint_bytes(made.key.kid)
    key, version = newest(kid_lookups(house.custody, raw))
    unproved = {"changed_index": 0, "mac": _NO_LEAF}
    conn.execute(
        citizen_keys.insert(),
        {
            "kid_lookup": key,
            "index_version": version,
            "subject": subject.subject,
            "about": "decoy",
            "registrar": REGISTRAR,
            "jwk": subject.link.seal("citizen_keys", "jwk", key, canonical(made.key.jwk)),
            "certificate": subject.link.seal("citizen_keys", "certificate", key, made.certificate),
            "commitment_salt": subject.link.seal("citizen_keys", "commitment_salt", key, house.random(16)),
            "effective": 0,
            "state": "live",
            **unproved,
        },
    )
    name = made.decoy.consent.encode()
    conn.execute(
        grants.insert(),
        {
            "consent": made.decoy.consent,
            "shard": house.shard,
            "tag": subject.tag,
            "recipient": RECIPIENT,
            "document": subject.link.seal("grants", "document", name, made.document),
            "proof": subject.link.seal("grants", "proof", name, made.proof.encode()),
            "grant_index": 0,
            "state": "granted",
            "uses": 0,
            **unproved,
        },
    )


def _officer(name: str, officers: dict[str, PrivateKey], registrar: PrivateKey, at: int) -> str:
    certificate = OfficerCertificate(
        registrar=REGISTRAR, officer=name, jwk=officers[name].jwk, not_before=at, not_after=at + 1
    )
    return sign_officer(certificate, registrar)


def _consent(origin: str, citizen: PrivateKey, random: Random, at: int) -> Consent:
    consent = Consent(
        consent_id=new_uuid(random),
        gateway=origin,
        subject=citizen.kid,
        recipient=RECIPIENT,
        purpose="02",
        categories=("loan",),
        answer="report",
        not_before=at,
        not_after=at + 1,
        max_uses=1,
        retention_days=1,
        notice=Notice(language="zh-CN", template="consent-02/v1", sha256="0" * 64),
        case_ref_sha256="0" * 64,
        nonce=b64u(random(16)),
    )
    consent_hash(consent)  # raises now, at init, should the document ever stop being well-formed
    return consent
