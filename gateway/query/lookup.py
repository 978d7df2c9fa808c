"""Before the lock: find the consent that a query names and verify the citizen's proof behind it.

Invariant: a consent that is absent and one of another recipient take the same path, statement for statement
and signature for signature: the decoy's evidence stands in for what is not the asker's. What is found here
is only prepared; whether it still stands is decided under the lock.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.document import parse_consent
from consent.errors import ConsentError
from gateway.errors import EvidenceBroken
from gateway.evidence import Evidence
from gateway.institutions.published import certified_under, certifying_key
from gateway.people.citizens import key_named, open_certificate
from gateway.people.subjects import Subject, find_by_tag, identity_of
from gateway.query.redeliver import body_mac
from gateway.query.request import Ask, Found, Person, Query, Signer
from gateway.tables import citizen_keys, grants
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier
from ledger.log import TAG_SIZE

if TYPE_CHECKING:
    from gateway.house import House

# Built once: building a statement costs more than running it.
GRANTS = sa.select(grants).where(grants.c.consent.in_(sa.bindparam("consents", expanding=True)))
KEYS = sa.select(citizen_keys).where(citizen_keys.c.subject == sa.bindparam("of"))


def look_up(house: House, query: Query, body: dict[str, Any], signer: Signer) -> Ask:
    """The ask of a query: its consent found and verified, or the decoy's in its place."""
    rekeyed = house.rekeyed  # before the snapshot: what it shows is not older than that
    mac = body_mac(house.custody, signer.institution, query.query_id, body)
    with house.read() as conn:
        return Ask(query, body, signer, _find(house, conn, query, signer, rekeyed), mac)


def warm(house: House) -> None:
    """Verify the decoy's papers once, so that the first query for nobody costs what every later one does."""
    with house.read() as conn:
        row = conn.execute(sa.select(grants).where(grants.c.consent == house.decoy.consent)).one()
        _verify(house, conn, row, find_by_tag(house, conn, row.tag), decoy=True)


def _find(house: House, conn: sa.Connection, query: Query, signer: Signer, rekeyed: int) -> Found:
    wanted = query.consent_id or house.decoy.consent
    tag = house.random(16)  # a one-time tag, where there is no person
    found = {row.consent: row for row in conn.execute(GRANTS, {"consents": [wanted, house.decoy.consent]})}
    decoy = found[house.decoy.consent]
    asked = found.get(wanted, decoy)
    person = asked is not decoy
    own = person and asked.recipient == signer.institution
    row = asked if own else decoy
    try:
        if person:
            tag = _tag_of(asked)
        subject = find_by_tag(house, conn, _tag_of(row))
        evidence, key = _verify(house, conn, row, subject, decoy=not own)
        matches = _matches(house, conn, subject, query.person_check)
        about, link = subject.subject, subject.link
    except EvidenceBroken:  # refused under the lock, for this ask alone
        about, evidence, matches, link, key = house.decoy.subject, None, None, None, ""
    return Found(
        tag=tag,
        subject=about,
        consent_id=row.consent,
        consent=evidence.consent if own and evidence is not None else None,
        stored=row.document,
        effective=evidence.enrolment.effective if evidence is not None else 0,
        person_matches=matches,
        broken=own and evidence is None,
        link=link,
        key=key,
        rekeyed=rekeyed,
    )


def _tag_of(row: sa.Row[Any]) -> bytes:
    """The tag in a grant's row: SQLite keeps whatever an intruder leaves there."""
    if not isinstance(row.tag, bytes) or len(row.tag) != TAG_SIZE:
        raise EvidenceBroken("a grant's tag is none")
    return row.tag


def _verify(
    house: House, conn: sa.Connection, row: sa.Row[Any], subject: Subject, *, decoy: bool
) -> tuple[Evidence, str]:
    """The verified evidence of one grant, and the name of its key. `EvidenceBroken` when it is broken."""
    name = row.consent.encode()
    document = subject.link.open("grants", "document", name, row.document)
    key = _key_behind(house, conn, subject, document)
    proof = subject.link.open("grants", "proof", name, row.proof).decode()
    certificate = open_certificate(subject.link, dict(key))
    kid = certified_under(certificate)
    registrar = house.decoy.registrar if decoy else certifying_key(house, conn, key["registrar"], kid)
    evidence = house.evidence.verify(document, proof, certificate, registrar)
    return evidence, key["about"]


def _key_behind(house: House, conn: sa.Connection, subject: Subject, document: bytes) -> Mapping[str, Any]:
    """The row of the key that signed a consent: of a person's only key, or of the one that it names.

    That an only key is the one named, the verification that follows finds out.
    """
    keys = [dict(key) for key in conn.execute(KEYS, {"of": subject.subject}).mappings()]
    try:
        found = keys[0] if len(keys) == 1 else key_named(house, keys, parse_consent(document).subject)
    except ConsentError as error:
        raise EvidenceBroken("a stored consent is none") from error
    if found is None:
        raise EvidenceBroken("a grant without its enrolled key")
    return found


def _matches(house: House, conn: sa.Connection, subject: Subject, check: Person | None) -> bool | None:
    """Whether the person behind the consent is the one the bank means; None when it did not say."""
    if check is None:
        return None
    number, name = identity_of(house, conn, subject.subject)
    try:
        asked = canonical_citizen_number(check.citizen_number)
    except BadIdentifier:
        asked = ""
    same = hmac.compare_digest(number.encode(), asked.encode())
    if check.name is not None and name is not None:
        same &= hmac.compare_digest(name.encode(), check.name.encode())
    return same
