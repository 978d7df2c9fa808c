"""Data keys of subjects: one per (subject, class), wrapped under the epoch key that custody holds.

Invariant: a data key exists in clear only in memory, while the request, or the batch of requests, that needs
it is served; what is stored is wrapped, bound to subject, class, version and epoch. Creating and opening take
the caller's connection and never commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.errors import EvidenceBroken, KeysMovedOn
from gateway.tables import data_keys
from keys.custody import Custody
from keys.datakeys import DataKeyPlace, new_data_key, unwrap_data_key
from keys.errors import KeysError
from keys.fields import FieldKey
from keys.signing import Random
from ledger.exchange import run
from ledger.fixed import Call, Row
from ledger.sets import same

SCHEMA = 1
VERSION = 1
LINK = "link"
IDENTITY = "identity"
_AS_STORED = (int, int, bytes)

ALL_OF = same(sa.select(data_keys).where(data_keys.c.subject == sa.bindparam("of")))
OF_SUBJECT = sa.select(data_keys).where(
    data_keys.c.subject == sa.bindparam("of"), data_keys.c.klass.in_(sa.bindparam("klasses", expanding=True))
)


class DataKey:
    """One opened data key: seals and opens the fields of its subject and class."""

    __slots__ = ("_fields", "_random", "version")

    def __init__(self, subject: bytes, key: bytes, version: int, random: Random) -> None:
        self.version = version
        self._random = random
        self._fields = FieldKey(key, version, subject, SCHEMA)

    def seal(self, table: str, column: str, row: bytes, plaintext: bytes) -> bytes:
        """Encrypt one field, bound to table, column, row and subject."""
        return self._fields.seal(table, column, row, plaintext, self._random)

    def open(self, table: str, column: str, row: bytes, blob: bytes) -> bytes:
        """Decrypt one field; `EvidenceBroken` when it is damaged or stands in another place."""
        try:
            return self._fields.open(table, column, row, blob)
        except KeysError as error:
            raise EvidenceBroken("a stored field does not open in its place") from error


def wrapped_of(conn: sa.Connection, subject: bytes) -> dict[str, Row]:
    """The wrapped data keys of one subject, by class."""
    [rows] = run(conn, [Call(ALL_OF, {"of": subject})])
    return {row.klass: row for row in rows}


@dataclass(frozen=True, slots=True)
class Keyring:
    """Makes and opens data keys under the current epoch."""

    custody: Custody
    epoch: int
    random: Random

    def fresh(self, subject: bytes, klass: str, version: int = VERSION) -> tuple[DataKey, bytes]:
        """A new data key and its wrapped form, not yet stored."""
        key, wrapped = new_data_key(
            self.custody, DataKeyPlace(subject, klass, version, self.epoch), self.random
        )
        return DataKey(subject, key, version, self.random), wrapped

    def unwrap(self, subject: bytes, klass: str, version: int, epoch: int, wrapped: bytes) -> DataKey:
        """Open one stored wrapped key; `EvidenceBroken` when it is damaged or another subject's."""
        if (type(version), type(epoch), type(wrapped)) != _AS_STORED:
            raise EvidenceBroken("a data key is none")  # SQLite keeps whatever an intruder leaves in a column
        try:
            key = unwrap_data_key(self.custody, wrapped, DataKeyPlace(subject, klass, version, epoch))
        except KeysError as error:
            raise EvidenceBroken("a data key does not open in its place") from error
        return DataKey(subject, key, version, self.random)

    def fresh_row(
        self, subject: bytes, klass: str, version: int = VERSION
    ) -> tuple[DataKey, dict[str, object]]:
        """A new data key and its row of `data_keys`, not yet stored."""
        key, wrapped = self.fresh(subject, klass, version)
        row = {
            "subject": subject,
            "klass": klass,
            "version": version,
            "epoch": self.epoch,
            "wrapped": wrapped,
        }
        return key, row

    def require_current(self, made: Iterable[Mapping[str, object]]) -> None:
        """`KeysMovedOn` when one of these rows of `data_keys`, made before the lock, is of another epoch."""
        if any(row["epoch"] != self.epoch for row in made):
            raise KeysMovedOn("an epoch was opened since these keys were made: make them again")

    def create(
        self, conn: sa.Connection, subject: bytes, klasses: Iterable[str], version: int = VERSION
    ) -> dict[str, DataKey]:
        """New stored data keys for the classes of one subject."""
        made = {klass: self.fresh_row(subject, klass, version) for klass in klasses}
        if made:
            conn.execute(data_keys.insert(), [row for _, row in made.values()])
        return {klass: key for klass, (key, _) in made.items()}

    def find(self, conn: sa.Connection, subject: bytes, klasses: Iterable[str]) -> dict[str, DataKey]:
        """Those of the wanted data keys that one subject has."""
        rows = conn.execute(OF_SUBJECT, {"of": subject, "klasses": sorted(set(klasses))}).all()
        return {
            row.klass: self.unwrap(subject, row.klass, row.version, row.epoch, row.wrapped) for row in rows
        }

    def open(self, conn: sa.Connection, subject: bytes, klasses: Iterable[str]) -> dict[str, DataKey]:
        """The stored data keys of one subject; a class it has no key for is `EvidenceBroken`."""
        wanted = set(klasses)
        opened = self.find(conn, subject, wanted)
        if opened.keys() != wanted:
            raise EvidenceBroken("a data key is missing")
        return opened
