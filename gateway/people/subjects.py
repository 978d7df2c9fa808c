"""Finding and making subjects. The raw identifier stops here.

Invariant: looking for a person who is unknown runs the same statements and the same crypto as for one who
is known: the decoy's row is fetched with every look-up and stands in where there is no other.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from gateway.keyring import IDENTITY, LINK, DataKey
from gateway.keyring import VERSION as FIRST_KEYS
from gateway.rotation.versions import lookups, newest
from gateway.tables import data_keys, subject_index, subjects
from gateway.transaction import Transaction
from keys.custody import Custody
from ledger.exchange import run
from ledger.fixed import Both, Call, Row
from ledger.sets import both, pairs, same

if TYPE_CHECKING:
    from gateway.house import House


def _with_link_key(wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Subjects that are `wanted`, and the decoy, each with its wrapped `link` key."""
    return (
        sa.select(subjects, data_keys.c.version, data_keys.c.epoch, data_keys.c.wrapped)
        .join(data_keys, sa.and_(data_keys.c.subject == subjects.c.subject, data_keys.c.klass == LINK))
        .where(sa.or_(wanted, subjects.c.subject == sa.bindparam("decoy")))
    )


# Built once: building a statement costs more than running it.
BY_ID = same(_with_link_key(subjects.c.subject == sa.bindparam("wanted")))
BY_TAGS = both(lambda among: _with_link_key(among(subjects.c.tag_lookup, "wanted")))
IDENTITIES = both(
    lambda among: (
        sa.select(
            subjects.c.subject,
            subjects.c.citizen_number,
            subjects.c.name,
            data_keys.c.version,
            data_keys.c.epoch,
            data_keys.c.wrapped,
        )
        .join(data_keys, sa.and_(data_keys.c.subject == subjects.c.subject, data_keys.c.klass == IDENTITY))
        .where(among(subjects.c.subject, "wanted"))
    )
)
BY_NUMBER = both(
    lambda among: _with_link_key(
        subjects.c.subject.in_(
            sa.select(subject_index.c.subject).where(
                among((subject_index.c.version, subject_index.c.value), "wanted")
            )
        )
    )
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject with its opened `link` key. `known` is False for the decoy that stands in for nobody."""

    subject: bytes
    tag: bytes
    link: DataKey
    known: bool


def number_lookups(custody: Custody, citizen_number: str) -> dict[int, bytes]:
    """Blind index of a canonical citizen number (公民身份号码), by version."""
    return lookups(custody, "citizen-number", citizen_number.encode())


def tag_lookups(custody: Custody, tag: bytes) -> dict[int, bytes]:
    """Keyed look-up of a tag, by version: without custody nobody joins the ledger's side to the person's."""
    return lookups(custody, "tag", tag)


def kid_lookups(custody: Custody, thumbprint: bytes) -> dict[int, bytes]:
    """Keyed look-up of a citizen key's raw thumbprint (32 bytes), by version."""
    return lookups(custody, "citizen-key", thumbprint)


def index_rows(custody: Custody, citizen_number: str, subject: bytes) -> list[dict[str, Any]]:
    """The rows by which a subject is found: one under each live version."""
    found = number_lookups(custody, citizen_number)
    return [{"version": version, "value": value, "subject": subject} for version, value in found.items()]


def find_by_number(house: House, conn: sa.Connection, citizen_number: str) -> Subject:
    """The subject of a canonical citizen number, or the decoy.

    `EvidenceBroken` when the index leads to somebody else: whoever can write to it could otherwise have one
    person enrolled, or one person's records stored, as another. The number alone is opened for that: a name
    that some have and some have not would tell them apart.
    """
    wanted = pairs(conn, "wanted", list(number_lookups(house.custody, citizen_number).items()))
    subject = _find(house, conn, BY_NUMBER, wanted)
    number = identities_of(house, conn, {subject.subject}).number(subject.subject)
    if not hmac.compare_digest(number.encode(), citizen_number.encode()) and subject.known:
        raise EvidenceBroken("the index of citizen numbers leads to another person")
    return subject


def find_by_tag(house: House, conn: sa.Connection, tag: bytes) -> Subject:
    """The subject that a tag of the ledger belongs to, or the decoy."""
    return persons_of(house, conn, {tag}).open(tag)


@dataclass(frozen=True, slots=True)
class Persons:
    """Subjects found together, still closed: what is broken about one must not stop the others."""

    house: House
    rows: Mapping[bytes, Row]  # by tag
    decoy: Row | None

    @property
    def subjects(self) -> set[bytes]:
        """Their ids, and the decoy's."""
        return {self.house.decoy.subject} | {row.subject for row in self.rows.values()}

    def id_of(self, tag: bytes) -> bytes:
        """The id of the subject that the tag belongs to, or the decoy's."""
        row = self.rows.get(tag)
        return self.house.decoy.subject if row is None else bytes(row.subject)

    def open(self, tag: bytes) -> Subject:
        """The subject that the tag belongs to, or the decoy; `EvidenceBroken` when it does not open."""
        row = self.rows.get(tag, self.decoy)
        if row is None:
            raise EvidenceBroken("the decoy is missing")
        return _open(self.house, row)

    def link_of(self, tag: bytes) -> tuple[int, int, bytes]:
        """The link key of the subject that `open` opens, as it is stored: version, epoch, wrapped bytes."""
        row = self.rows.get(tag, self.decoy)
        if row is None:
            raise EvidenceBroken("the decoy is missing")
        return row.version, row.epoch, row.wrapped


def persons_of(house: House, conn: sa.Connection, tags: Collection[bytes]) -> Persons:
    """The subjects that these tags of the ledger belong to, in one statement."""
    sought = {value: tag for tag in tags for value in tag_lookups(house.custody, tag).values()}
    [found] = run(conn, [Call(BY_TAGS, {"wanted": sorted(sought), "decoy": house.decoy.subject})])
    decoy = next((row for row in found if row.subject == house.decoy.subject), None)
    rows = {sought[row.tag_lookup]: row for row in found if row.tag_lookup in sought}
    return Persons(house, rows, decoy)


def find_by_id(house: House, conn: sa.Connection, subject: bytes) -> Subject:
    """The subject with this id, or the decoy."""
    return _find(house, conn, BY_ID, {"wanted": subject})


def stands(tx: Transaction, subject: Subject) -> bool:
    """Whether a subject who was found before the lock was not erased since."""
    held = sa.select(subjects.c.subject).where(subjects.c.subject == subject.subject)
    return tx.conn.scalar(held) is not None


def _find(house: House, conn: sa.Connection, statement: Both, wanted: Mapping[str, Any]) -> Subject:
    decoy = house.decoy.subject
    [found] = run(conn, [Call(statement, {**wanted, "decoy": decoy})])
    row = min(found, key=lambda candidate: bool(candidate.subject == decoy), default=None)
    if row is None:
        raise EvidenceBroken("the decoy is missing")
    return _open(house, row)


def _open(house: House, row: Row) -> Subject:
    link = house.keyring.unwrap(row.subject, LINK, row.version, row.epoch, row.wrapped)
    tag = link.open("subjects", "tag", row.subject, row.tag)
    return Subject(row.subject, tag, link, row.subject != house.decoy.subject)


def create(tx: Transaction, citizen_number: str, name: str | None) -> Subject:
    """A new subject for a canonical citizen number: id, tag, link and identity keys, blind index."""
    house = tx.house
    subject, tag = house.random(16), house.random(16)
    tx.conn.execute(subject_index.insert(), index_rows(house.custody, citizen_number, subject))
    return plant(house, tx.conn, subject, tag, citizen_number, name)


def plant(
    house: House, conn: sa.Connection, subject: bytes, tag: bytes, citizen_number: str, name: str | None
) -> Subject:
    """The subject's row and its first two data keys, without an index entry (the decoy has none)."""
    made = house.keyring.create(conn, subject, (LINK, IDENTITY), version_of_new(house, conn))
    row = subject_row(house, subject, tag, made[LINK], made[IDENTITY], citizen_number, name)
    conn.execute(subjects.insert(), row)
    return Subject(subject, tag, made[LINK], True)


def version_of_new(house: House, conn: sa.Connection) -> int:
    """The version of a new person's keys: the decoy's, which a rotation of data keys replaces first."""
    mine = data_keys.c.subject == house.decoy.subject, data_keys.c.klass == LINK
    return conn.scalar(sa.select(data_keys.c.version).where(*mine)) or FIRST_KEYS


def subject_row(
    house: House,
    subject: bytes,
    tag: bytes,
    link: DataKey,
    identity: DataKey,
    citizen_number: str,
    name: str | None,
) -> dict[str, Any]:
    """The encrypted row of a subject."""
    lookup, version = newest(tag_lookups(house.custody, tag))
    return {
        "subject": subject,
        "shard": house.shard,
        "tag_lookup": lookup,
        "index_version": version,
        "tag": link.seal("subjects", "tag", subject, tag),
        "citizen_number": identity.seal("subjects", "citizen_number", subject, citizen_number.encode()),
        "name": None if name is None else identity.seal("subjects", "name", subject, name.encode()),
    }


def identity_of(house: House, conn: sa.Connection, subject: bytes) -> tuple[str, str | None]:
    """The stored citizen number and name of a subject, decrypted."""
    return identities_of(house, conn, {subject}).open(subject)


@dataclass(frozen=True, slots=True)
class Identities:
    """Encrypted identities read together."""

    house: House
    rows: Mapping[bytes, Row] = field(repr=False)

    def number(self, subject: bytes) -> str:
        """The citizen number alone. `EvidenceBroken` when it does not open."""
        row, key = self._sealed(subject)
        return key.open("subjects", "citizen_number", subject, row.citizen_number).decode()

    def open(self, subject: bytes) -> tuple[str, str | None]:
        """Citizen number and name of one of the subjects. `EvidenceBroken` when they do not open."""
        row, key = self._sealed(subject)
        number = key.open("subjects", "citizen_number", subject, row.citizen_number).decode()
        return number, None if row.name is None else key.open("subjects", "name", subject, row.name).decode()

    def _sealed(self, subject: bytes) -> tuple[Row, DataKey]:
        row = self.rows.get(subject)
        if row is None:
            raise EvidenceBroken("a person's identity, or the key to it, is missing")
        return row, self.house.keyring.unwrap(subject, IDENTITY, row.version, row.epoch, row.wrapped)


def identities_of(house: House, conn: sa.Connection, wanted: Collection[bytes]) -> Identities:
    """The encrypted identities of these subjects, in one statement; none where none is wanted."""
    if not wanted:
        return Identities(house, {})
    [rows] = run(conn, [Call(IDENTITIES, {"wanted": sorted(wanted)})])
    return Identities(house, {row.subject: row for row in rows})
