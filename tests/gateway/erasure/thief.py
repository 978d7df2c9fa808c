"""The thief: everything that can be had today, tried on every ciphertext of one person in an old database.

They have the database, the custody directory with its passphrase, and all files of the home. Nothing here
goes by what a row says of its key: every data key that anything here can unwrap is tried on every field.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import sqlalchemy as sa

from gateway.house import House
from gateway.keyring import LINK, SCHEMA
from gateway.rotation.epochs import NOBODYS
from gateway.rotation.keybag import Keybag, epochs_kept
from gateway.tables import citizen_keys, consent_requests, data_keys, grants, queries, records, subjects
from keys.custody import Custody
from keys.datakeys import DataKeyPlace, unwrap_data_key
from keys.errors import KeysError
from keys.fields import Place, field_key_id, open_field
from ledger.tables import ledger_leaves, ledger_sealed

Field = tuple[Place, bytes]


COLUMNS = {
    records: ("body",),
    subjects: ("tag", "citizen_number", "name"),
    citizen_keys: ("jwk", "certificate", "commitment_salt"),
    grants: ("document", "proof"),
    consent_requests: ("document", "citizen_number"),
    queries: ("given",),
    ledger_sealed: ("blob",),
}
"""Every column that holds a ciphertext about a person."""


def fields_of(conn: sa.Connection, subject: bytes, tag: bytes) -> list[Field]:
    """Every ciphertext about a person that a database holds, with the place that it is bound to."""
    theirs = sa.select(ledger_leaves.c.idx).where(ledger_leaves.c.tag == tag)
    found: list[Field] = []
    for table, columns in COLUMNS.items():
        if "subject" in table.c:
            mine = table.c.subject == subject
        else:
            mine = table.c.tag == tag if "tag" in table.c else table.c.idx.in_(theirs)
        for row in conn.execute(sa.select(table).where(mine)).mappings():
            name, owner = _bound(table, row, subject, tag)
            found += [
                (Place(table.name, column, name, owner, SCHEMA), bytes(row[column]))
                for column in columns
                if row[column]
            ]
    return found


def _bound(table: sa.Table, row: sa.RowMapping, subject: bytes, tag: bytes) -> tuple[bytes, bytes]:
    """The row's id and the owner that the fields of a row are bound to."""
    match table.name:
        case "records":
            return row["record"], subject
        case "citizen_keys":
            return row["kid_lookup"], subject
        case "grants":
            return row["consent"].encode(), subject
        case "consent_requests":
            return UUID(row["request"]).bytes, tag
        case "queries":
            return f"{row['institution']}:{row['query']}".encode(), subject
        case "ledger_sealed":
            return bytes(row["sha256"]), NOBODYS
        case _:
            return subject, subject


def keys_of(house: House, conn: sa.Connection, custody: Custody) -> set[bytes]:
    """Every data key that any epoch key in custody unwraps, out of the database and out of the keybags."""
    opened: set[bytes] = set()
    for wrapped, subject, klass, version in _wrapped(house, conn, custody):
        for name in custody.names():
            if not name.startswith("epoch-"):
                continue
            for epoch in range(1, 6):  # what the blob is bound to need not be what its row says
                with suppress(KeysError):
                    place = DataKeyPlace(subject, klass, version, epoch)
                    opened.add(unwrap_data_key(custody, wrapped, place))
    return opened


def _wrapped(house: House, conn: sa.Connection, custody: Custody) -> Iterator[tuple[bytes, bytes, str, int]]:
    for row in conn.execute(sa.select(data_keys)):
        yield row.wrapped, row.subject, row.klass, row.version
    requests = conn.execute(sa.select(consent_requests)).all()
    for row in requests:
        yield row.data_key, row.tag, LINK, 1
    by_request = {row.request: row.tag for row in requests}
    for epoch in epochs_kept(house.settings.home):
        for line in Keybag(custody, house.settings.home, epoch).lines():
            if line.kind == "data":
                subject, klass, version = line.name.split(":")
                yield line.wrapped, bytes.fromhex(subject), klass, int(version)
            elif line.kind == "request" and line.name in by_request:
                yield line.wrapped, by_request[line.name], LINK, 1


def opened(fields: list[Field], keys: set[bytes]) -> list[str]:
    """Which of the fields any of the keys opens, as table.column."""
    return [
        f"{place.table}.{place.column}"
        for place, blob in fields
        if any(_opens(key, place, blob) for key in keys)
    ]


def _opens(key: bytes, place: Place, blob: bytes) -> bool:
    try:
        open_field(key, field_key_id(blob), blob, place)
    except KeysError:
        return False
    return True
