"""Before the lock: find the consents that queries name and verify the citizens' proofs behind them.

Invariant: a consent that is absent and one of another recipient take the same path, statement for statement
and signature for signature: the decoy's evidence stands in for what is not the asker's. What is found here
is only prepared; whether it still stands is decided under the lock. So an asker's own consent may be
remembered (`gateway.query.known`), and what is not remembered is looked up with whatever else waits.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.document import parse_consent
from consent.errors import ConsentError
from gateway.errors import EvidenceBroken
from gateway.evidence import Evidence
from gateway.institutions.published import certified_under, certifying_key
from gateway.keyring import LINK, DataKey
from gateway.lane import Slot
from gateway.logs import carrying
from gateway.people.citizens import key_named, open_certificate
from gateway.people.subjects import Identities, Persons, Subject, find_by_tag, identities_of, persons_of
from gateway.query.record_leaf import commit_to, request_of
from gateway.query.redeliver import body_mac
from gateway.query.request import Ask, Asked, Found, Person, Query, Signer
from gateway.records.store import Revisions, reading_revisions
from gateway.tables import citizen_keys, grants
from keys.blind import canonical_citizen_number
from keys.canonical import canonical, sha256
from keys.errors import BadIdentifier, CustodyError
from ledger.exchange import alone, run
from ledger.fixed import Call, Row
from ledger.log import TAG_SIZE
from ledger.sets import both

if TYPE_CHECKING:
    from gateway.house import House

# Built once: building a statement costs more than running it.
GRANTS = both(lambda among: sa.select(grants).where(among(grants.c.consent, "consents")))
KEYS = both(lambda among: sa.select(citizen_keys).where(among(citizen_keys.c.subject, "subjects")))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: the consent that a query names, as its signer's."""

    query: Query
    signer: Signer


def prepare(house: House, asked: Sequence[Asked]) -> list[Ask | Exception]:
    """The asks of these queries, aligned: each consent remembered, or found and verified with others.

    What is held of each person is read for all of them. What befalls one is there in its place.
    """
    known = {place: found for place, one in enumerate(asked) if (found := _remembered(house, one))}
    unknown = [one for place, one in enumerate(asked) if place not in known]
    wanted = [Wanted(one.query, one.signer) for one in unknown]
    looked_up = iter(house.finding.submit_all(find, wanted, [one.request for one in unknown]))
    papers: list[Found | Exception] = [
        known[place] if place in known else next(looked_up).outcome for place in range(len(asked))
    ]
    with house.read() as conn:
        held = alone(conn, reading_revisions({one.subject for one in papers if isinstance(one, Found)}))
    return [
        _remember(house, one, found, held[found.subject]) if isinstance(found, Found) else found
        for one, found in zip(asked, papers, strict=True)
    ]


def _remember(house: House, one: Asked, found: Found, held: Revisions) -> Ask | Exception:
    house.known.put(one.signer.institution, found)
    try:
        return ask_of(house, one.query, one.body, one.signer, found, held)
    except CustodyError as error:
        return error


def _remembered(house: House, one: Asked) -> Found | None:
    if one.query.person_check is not None:
        return None
    return house.known.get(one.signer.institution, one.query.consent_id)


def ask_of(
    house: House, query: Query, body: Mapping[str, Any], signer: Signer, found: Found, held: Revisions
) -> Ask:
    """The ask of a query, for which this was found, about a person of whom this is held."""
    sent = canonical(dict(body))
    mac = body_mac(house.custody, signer.institution, query.query_id, sent)
    request = request_of(sent, house.random)
    # Nothing is believed of a row yet: SQLite keeps whatever an intruder leaves in a column.
    wanted = [
        row.revision_hash
        for row in held.rows
        if row.category in query.categories and isinstance(row.revision_hash, bytes)
    ]
    return Ask(
        query, signer, found, mac, request, commit_to(house, request, wanted), _link(house, found), held
    )


def _link(house: House, found: Found) -> DataKey | None:
    """The link key, opened while nobody waits: what is given is sealed under it. It is the asker's alone."""
    if found.consent is None or found.link is None:
        return None
    try:
        return house.keyring.unwrap(found.subject, LINK, *found.link)
    except EvidenceBroken:  # under the lock it is met again, and said
        return None


def find_batch(house: House, batch: Sequence[Slot[Any, Any]]) -> None:
    """Carry a batch of look-ups: fill in what was found for each."""
    with carrying([slot.request for slot in batch]):
        for slot, found in zip(batch, find(house, [slot.payload for slot in batch]), strict=True):
            slot.result = found


def warm(house: House) -> None:
    """Verify the decoy's papers once, so that the first query for nobody costs what every later one does."""
    with house.read() as conn:
        [[row]] = run(conn, [Call(GRANTS, {"consents": [house.decoy.consent]})])
        subject = find_by_tag(house, conn, row.tag)
        _verify(house, conn, row, subject, _keys_of(conn, [subject.subject])[subject.subject], decoy=True)


def find(house: House, wanted: Sequence[Wanted]) -> list[Found]:
    """What is there for each of these, aligned; as many statements for many as for one."""
    rekeyed = house.rekeyed  # before the snapshot: what it shows is not older than that
    with house.read() as conn:
        named = {one.query.consent_id or house.decoy.consent for one in wanted} | {house.decoy.consent}
        [found] = run(conn, [Call(GRANTS, {"consents": sorted(named)})])
        rows = {row.consent: row for row in found}
        papers = [_papers(house, rows, one) for one in wanted]
        persons = persons_of(house, conn, {paper.row.tag for paper in papers if _is_tag(paper.row.tag)})
        keys = _keys_of(conn, persons.subjects)
        checked = [paper for paper in papers if paper.check is not None and _is_tag(paper.row.tag)]
        identities = identities_of(house, conn, {persons.id_of(paper.row.tag) for paper in checked})
        return [_found(house, conn, paper, persons, keys, identities, rekeyed) for paper in papers]


@dataclass(frozen=True, slots=True)
class _Papers:
    """The row that stands for what was named: the asker's `own` grant, or the decoy's.

    `tag` is the person's whose consent was named, whosever it is; a one-time tag where there is no person.
    `check` is whom the asker means, if it said so.
    """

    row: Row
    own: bool
    tag: bytes
    check: Person | None


def _papers(house: House, rows: Mapping[str, Row], one: Wanted) -> _Papers:
    tag, decoy, check = house.random(TAG_SIZE), rows[house.decoy.consent], one.query.person_check
    asked = rows.get(one.query.consent_id or house.decoy.consent, decoy)
    if asked is decoy:
        return _Papers(decoy, False, tag, check)
    own = bool(asked.recipient == one.signer.institution)
    return _Papers(asked if own else decoy, own, asked.tag if _is_tag(asked.tag) else tag, check)


def _is_tag(value: object) -> bool:
    """Whether this can be a tag: SQLite keeps whatever an intruder leaves in a column."""
    return isinstance(value, bytes) and len(value) == TAG_SIZE


def _keys_of(conn: sa.Connection, subjects: Iterable[bytes]) -> dict[bytes, list[dict[str, Any]]]:
    """The rows of these persons' enrolled keys, by subject."""
    found: dict[bytes, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    [rows] = run(conn, [Call(KEYS, {"subjects": sorted(found)})])
    for row in rows:
        found[row.subject].append(row.as_dict())
    return found


def _found(
    house: House,
    conn: sa.Connection,
    paper: _Papers,
    persons: Persons,
    keys: Mapping[bytes, Sequence[Mapping[str, Any]]],
    identities: Identities,
    rekeyed: int,
) -> Found:
    row = paper.row
    evidence, matches, about, link, key = None, None, house.decoy.subject, None, ""
    try:
        if not _is_tag(row.tag):
            raise EvidenceBroken("a grant's tag is none")
        subject = persons.open(row.tag)
        evidence, key = _verify(house, conn, row, subject, keys[subject.subject], decoy=not paper.own)
        matches = _matches(identities, subject, paper.check)
        about, link = subject.subject, persons.link_of(row.tag)
    except (EvidenceBroken, TypeError, ValueError):  # SQLite keeps what an intruder leaves in a column
        evidence, key = None, ""
    return Found(
        tag=paper.tag,
        subject=about,
        consent_id=row.consent,
        consent=evidence.consent if paper.own and evidence is not None else None,
        stored=digest(row.document),
        effective=evidence.enrolment.effective if evidence is not None else 0,
        person_matches=matches,
        broken=paper.own and evidence is None,
        link=link,
        key=key,
        rekeyed=rekeyed,
    )


def digest(stored: object) -> bytes:
    """What tells whether a stored document is still the one that was verified (SHA-256)."""
    return sha256(stored) if isinstance(stored, bytes) else b""


def _verify(
    house: House,
    conn: sa.Connection,
    row: Row,
    subject: Subject,
    keys: Sequence[Mapping[str, Any]],
    *,
    decoy: bool,
) -> tuple[Evidence, str]:
    """The verified evidence of one grant, and the name of its key. `EvidenceBroken` when it is broken."""
    name = row.consent.encode()
    document = subject.link.open("grants", "document", name, row.document)
    key = _key_behind(house, keys, document)
    proof = subject.link.open("grants", "proof", name, row.proof).decode()
    certificate = open_certificate(subject.link, key)
    kid = certified_under(certificate)
    registrar = house.decoy.registrar if decoy else certifying_key(house, conn, key["registrar"], kid)
    evidence = house.evidence.verify(document, proof, certificate, registrar)
    return evidence, key["about"]


def _key_behind(house: House, keys: Sequence[Mapping[str, Any]], document: bytes) -> Mapping[str, Any]:
    """The row of the key that signed a consent: of a person's only key, or of the one that it names.

    That an only key is the one named, the verification that follows finds out.
    """
    try:
        found = keys[0] if len(keys) == 1 else key_named(house, keys, parse_consent(document).subject)
    except ConsentError as error:
        raise EvidenceBroken("a stored consent is none") from error
    if found is None:
        raise EvidenceBroken("a grant without its enrolled key")
    return found


def _matches(identities: Identities, subject: Subject, check: Person | None) -> bool | None:
    """Whether the person behind the consent is the one the bank means; None when it did not say."""
    if check is None:
        return None
    number, name = identities.open(subject.subject)
    try:
        asked = canonical_citizen_number(check.citizen_number)
    except BadIdentifier:
        asked = ""
    same = hmac.compare_digest(number.encode(), asked.encode())
    if check.name is not None and name is not None:
        same &= hmac.compare_digest(name.encode(), check.name.encode())
    return same
