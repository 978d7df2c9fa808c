"""The insider: every secret of the gateway, its code to bend, and write access to its database.

Not theirs: a registrar's and its officers' keys, a citizen's key, a regulator's key, and what an auditor
pinned before. What the insider appends is chained, numbered, sealed and signed with the log's own keys, so
that as far as hashes and signatures go it is in order.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa

from consent.document import consent_hash, parse_consent
from consent.enrolment import Certificate, VerifiedEnrolment, certificate_hash, parse_certificate
from consent.proof import proof_sha256
from gateway import rows
from gateway.client.bank import Answer
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.evidence import Evidence, EvidenceCache
from gateway.people import citizens
from gateway.people.citizens import open_certificate, open_commitment_salt
from gateway.people.subjects import Subject, find_by_number
from gateway.publishing import vkey_of
from gateway.sealing import SealingKey
from gateway.tables import citizen_keys, grants, policies
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex, unb64u
from keys.signing import PrivateKey, parse_public_jwk, thumbprint_bytes
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.export import export
from ledger.log import Entry
from ledger.merkle import leaf_hash, root
from ledger.rows import read_head, read_leaves
from ledger.tables import ledger_sealed
from tests.gateway.kit import person
from tests.gateway.world import REGISTRAR, Citizen, World, fresh_key

ANNA, BORIS, DORA = (person(serial) for serial in (501, 502, 503))
"""Numbers of somebody enrolled, somebody known by records only, and somebody unknown."""

Found: TypeAlias = tuple[int, str]
"""Index of the leaf and name of the rule that an audit must find."""


@dataclass
class Snapshot:
    """The database at one moment, to be put back for the next attack."""

    world: World
    copy: sqlite3.Connection = field(init=False)
    sealing: SealingKey | None = field(init=False)

    def __post_init__(self) -> None:
        self.copy = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self.world.house.settings.database_file)) as live:
            live.backup(self.copy)
        self.sealing = self.world.house.sealing

    def restore(self) -> None:
        """Put it back, and have the running house forget what it saw since."""
        with closing(sqlite3.connect(self.world.house.settings.database_file)) as live:
            self.copy.backup(live)
        house = self.world.house
        house.seen, house.sealing = None, self.sealing
        house.registrars.clear()
        house.evidence = EvidenceCache(house.origin)


def export_of(world: World, path: Path, leaves: Sequence[bytes] | None = None) -> Path:
    """Export the log as its rows stand (or other `leaves`), under a checkpoint by the log's own key."""
    house = world.house
    with house.read() as conn:
        size = read_head(conn, house.shard).size
        listed = list(read_leaves(conn, house.shard, 0, size)) if leaves is None else list(leaves)
        bundles = {row.hash: row.body for row in conn.execute(sa.select(policies))}
        sealed = [
            (row.sha256.hex(), house.unwrap_sealed(row.blob, row.sha256.hex()))
            for row in conn.execute(sa.select(ledger_sealed))
        ]
    checkpoint = Checkpoint(house.origin, len(listed), root([leaf_hash(leaf) for leaf in listed]))
    vkey = vkey_of(house)
    note = sign_checkpoint(checkpoint, lambda text: house.custody.sign("checkpoint", text), vkey.public)
    assert export(path, note, vkey, listed, bundles, sealed).intact
    return path


@dataclass
class Insider:
    """One insider at work in one world."""

    world: World
    patch: pytest.MonkeyPatch
    anna: Citizen
    honest: str
    """Id of the consent that Anna gave to the bank."""

    # --- the code ---

    def believe_every_certificate(self) -> None:
        """The gateway no longer verifies what registrars and citizens signed."""

        def lenient(_house: Any, _conn: Any, certificate: Certificate, *_: Any) -> VerifiedEnrolment:
            return _unverified(certificate)

        def believe(_cache: Any, document: bytes, _proof: str, certificate: bytes, _key: Any) -> Evidence:
            return Evidence(parse_consent(document), _unverified(parse_certificate(certificate)))

        self.patch.setattr(citizens, "verify_enrolment", lenient)
        self.patch.setattr(citizens, "require_in_force", lambda *_: None)
        self.patch.setattr(EvidenceCache, "_verify", believe)

    def must_answer(self, consent: str, **changes: Any) -> int:
        """The gateway is fooled: it answers under this consent. Index of the answer."""
        answered = self.world.query(consent, **changes)
        assert isinstance(answered, Answer), answered
        return answered.receipt.index

    # --- people ---

    def someone(self, number: str, certificate: bytes, key: PrivateKey) -> Citizen:
        """Whoever holds `key`, with a client of their own."""
        client = CitizenClient(self.world.url, key, **self.world.pins())
        return Citizen(number, "", key, client, certificate)

    def enrol(self, citizen: Citizen) -> int:
        """Enrol through the API; the gateway must take it. Index of the enrolment."""
        index = citizen.client.enrol(citizen.certificate, citizen.number)
        assert not isinstance(index, Refused), index
        return index

    def subject(self, number: str) -> Subject:
        """The subject of a number."""
        with self.world.house.read() as conn:
            return find_by_number(self.world.house, conn, number)

    def papers(self) -> dict[str, Any]:
        """What the database holds of Anna's consent: document, proof, certificate, salt of the commitment."""
        subject = self.subject(self.anna.number)
        with self.world.house.read() as conn:
            key = conn.execute(sa.select(citizen_keys).where(citizen_keys.c.subject == subject.subject))
            held = dict(key.mappings().one())
            row = conn.execute(sa.select(grants).where(grants.c.consent == self.honest)).one()
        name = row.consent.encode()
        return {
            "document": parse_canonical(subject.link.open("grants", "document", name, row.document)),
            "proof": subject.link.open("grants", "proof", name, row.proof).decode(),
            "commitment_salt": b64u(open_commitment_salt(subject.link, held)),
            "certificate": parse_canonical(open_certificate(subject.link, held)),
        }

    def commitment_salt(self, number: str) -> str:
        """The salt behind a person's key commitment, base64url."""
        subject = self.subject(number)
        with self.world.house.read() as conn:
            key = conn.execute(sa.select(citizen_keys).where(citizen_keys.c.subject == subject.subject))
            return b64u(open_commitment_salt(subject.link, dict(key.mappings().one())))

    def unsent(self) -> dict[str, Any]:
        """Papers of a consent that Anna signed and the gateway has not recorded yet."""
        asked = self.world.ask(self.anna)
        body = self.world.wallet.sign_consent(asked.template, self.anna.key)
        return self.papers() | {"document": body["document"], "proof": body["proof"]}

    # --- the ledger ---

    def append(self, kind: str, body: Mapping[str, Any], number: str | None = None, **rest: Any) -> Entry:
        """Append a leaf of the insider's own, about the person of a number."""
        tag = None if number is None else self.subject(number).tag
        return self.world.house.transact(lambda tx: tx.append(kind, body, tag=tag, **rest))

    def append_enrolment(self, certificate: bytes, number: str, registrar: str = REGISTRAR) -> int:
        """`subject.enrolled` for whatever certificate, on the tag of a number."""
        parsed, salt = parse_certificate(certificate), os.urandom(16)
        body = {
            "commitment": sha256_hex(salt + thumbprint_bytes(parsed.enrolment.key)),
            "registrar": registrar,
            "assurance": "in-person",
            "certificate_sha256": certificate_hash(parsed).hex(),
        }
        details = {"certificate": parse_canonical(certificate), "commitment_salt": b64u(salt)}
        by = {"registrar": registrar}
        return self.append("subject.enrolled", body, number, by=by, details=details).index

    def append_grant(self, papers: Mapping[str, Any], **said: Any) -> Entry:
        """`consent.granted` on Anna's tag for whatever papers; `said` is what the leaf says otherwise than
        they.
        """
        leaf = granted_leaf(papers) | said
        about = rows.about(grants, papers["document"]["consent_id"])
        return self.append("consent.granted", leaf, self.anna.number, details=dict(papers), about=about)

    def write_grant(self, papers: Mapping[str, Any], entry: Entry) -> str:
        """A grant's row for these papers, evident by `entry`, in place of any other. Its consent's id."""
        house, subject = self.world.house, self.subject(self.anna.number)
        consent = str(papers["document"]["consent_id"])
        name = consent.encode()
        row = {
            "consent": consent,
            "shard": house.shard,
            "tag": subject.tag,
            "recipient": papers["document"]["recipient"],
            "document": subject.link.seal("grants", "document", name, canonical(papers["document"])),
            "proof": subject.link.seal("grants", "proof", name, papers["proof"].encode()),
            "grant_index": entry.index,
            "state": "granted",
            "uses": 0,
            "changed_index": entry.index,
        }
        protected = rows.protect(house.custody, grants, row, entry.leaf_hash)
        with house.engine.begin() as conn:
            conn.execute(sa.delete(grants).where(grants.c.consent == consent))
            conn.execute(grants.insert(), protected)
        return consent

    def own_consent(self, key: PrivateKey | None = None, **changes: Any) -> dict[str, Any]:
        """Papers of a consent that Anna never saw, signed by `key` (the insider's own) under her
        certificate.
        """
        papers = self.papers()
        document = papers["document"] | {"consent_id": str(uuid.uuid4())} | changes
        return papers | {"document": document, "proof": signed(document, key or fresh_key())}


def signed(document: Mapping[str, Any], key: PrivateKey) -> str:
    """A consent's proof by whatever key, said to be by the document's subject."""
    header = {"alg": "Ed25519", "kid": document["subject"], "typ": "consent+jwt"}
    signing_input = f"{b64u(canonical(header))}.{b64u(canonical(document))}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode()))}"


def granted_leaf(papers: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the leaf that these papers deserve."""
    document = papers["document"]
    same = ("recipient", "purpose", "categories", "answer", "not_before", "not_after")
    limits = ("max_uses", "retention_days")
    salt = papers["commitment_salt"]
    key = papers["certificate"]["document"]["key"]
    return {name: document[name] for name in same + limits} | {
        "consent_hash": consent_hash(canonical(document)).hex(),
        "commitment": sha256_hex(unb64u(salt) + thumbprint_bytes(key)),
        "proof_sha256": proof_sha256(papers["proof"]),
        "kind": "jws",
    }


def rechained(leaves: Sequence[bytes], change: Mapping[int, Mapping[str, Any]]) -> list[bytes]:
    """The log with the bodies of some leaves changed, and every hash in it made right again."""
    written: list[bytes] = []
    heads: dict[str, str] = {}
    for index, leaf in enumerate(leaves):
        members = parse_canonical(leaf)
        members["body"] |= change.get(index, {})
        members["prev"] = leaf_hash(written[-1]).hex() if written else "0" * 64
        subject = members.get("subject")
        if subject is not None:
            subject["prev"] = heads.get(subject["tag"], "0" * 64)
        written.append(canonical(members))
        if subject is not None:
            heads[subject["tag"]] = leaf_hash(written[-1]).hex()
    return written


def _unverified(certificate: Certificate) -> VerifiedEnrolment:
    enrolment = certificate.enrolment
    return VerifiedEnrolment(
        person=enrolment.person,
        salt=unb64u(enrolment.salt),
        thumbprint=enrolment.key,
        key=parse_public_jwk(enrolment.jwk),
        registrar=enrolment.registrar,
        officers=enrolment.officers,
        assurance=enrolment.assurance,
        at=enrolment.at,
        effective=enrolment.effective,
    )
