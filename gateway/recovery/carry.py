"""What a new log takes over from the one before: an entry for every row that is still true, and the row tied
to it.

Invariant: only rows that are what the old log last said of them are carried; one that is not stops the whole.
Consents come suspended, with the uses they had had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from msgspec import to_builtins

from consent.document import parse_consent
from consent.enrolment import certificate_hash, parse_certificate, registrar_kid
from consent.proof import parse_proof
from gateway import rows
from gateway.consents import proofs
from gateway.consents.grant import leaf_body
from gateway.copies import DESTROYED
from gateway.erasure.holds import OPEN, carry_hold
from gateway.errors import EvidenceBroken
from gateway.institutions.published import ENCRYPTION, published
from gateway.people.citizens import LIVE, key_named, open_certificate, open_commitment_salt
from gateway.people.subjects import Subject, find_by_id, find_by_tag
from gateway.records.holdings import batches_of, is_whole
from gateway.records.restate import restate
from gateway.records.store import revisions_of
from gateway.tables import (
    citizen_keys,
    custody_copies,
    grants,
    holds,
    institutions,
    operators,
    published_keys,
    records,
)
from gateway.transaction import Transaction
from keys.canonical import b64u, parse_canonical
from keys.instant import HOUR, format_instant
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Carried:
    """How many of each were carried over."""

    institutions: int = 0
    operators: int = 0
    keys: int = 0
    citizens: int = 0
    consents: int = 0
    records: int = 0


def parties(tx: Transaction, shard: int) -> Carried:
    """Institutions, the published keys in force, and operators, each with its standing."""
    known = _carry_standing(tx, shard, institutions, "institution", ("institution", "sector", "roles"))
    keys = published(replace(tx.house, shard=shard), tx.conn)
    kept = [(row["use"], row["kid"]) for row in keys]
    here = sa.tuple_(published_keys.c.use, published_keys.c.kid)
    left = published_keys.c.use.concat(f".of-log-{shard}")  # replaced long ago: they answer to nobody here
    tx.conn.execute(sa.update(published_keys).where(here.not_in(kept)).values(use=left))
    for row in keys:
        _carry_key(tx, rows.columns_of(published_keys, row))
    people = _carry_standing(tx, shard, operators, "operator", ("operator", "institution", "roles"))
    tx.appender.flush()
    return Carried(institutions=known, operators=people, keys=len(keys))


def _carry_key(tx: Transaction, row: dict[str, Any]) -> None:
    use, kid = row["use"], row["kid"]
    holder = tx.house.origin if use in ("checkpoint", "receipt") else row["holder"]
    name = f"{use}:{holder}" if use == ENCRYPTION else f"{use}:{kid}"
    body = {"use": use, "kid": kid, "public": parse_canonical(row["public"].encode()), "holder": holder}
    entry = tx.append("key.published", body, about=rows.about(published_keys, name))
    tx.joined |= use == "regulator"
    _tie(tx, published_keys, row | {"holder": holder, "since_index": None}, entry)


def _carry_standing(tx: Transaction, shard: int, table: sa.Table, noun: str, members: tuple[str, ...]) -> int:
    found = _evident(tx, shard, table)
    for row in found:
        body = {name: row[name].split() if name == "roles" else row[name] for name in members}
        about = rows.about(table, row[noun])
        entry = tx.append(f"{noun}.registered", body, about=about)
        until = row["until"]
        if row["state"] == "suspended" and (until is None or tx.at < until):
            named = {name: row[name] for name in members if name in ("operator", "institution")}
            named |= {"reason": "carried-over"} | ({} if until is None else {"until": format_instant(until)})
            entry = tx.append(f"{noun}.suspended", named, about=about)
        elif row["state"] == "suspended":
            row |= {"state": "active", "until": None}
        _tie(tx, table, row, entry)
    return len(found)


def people(tx: Transaction, shard: int, so_far: Carried) -> Carried:
    """Citizens' keys, the records held of each person, open cases, and consents that could still be used."""
    certified = {row["kid"] for row in published(tx.house, tx.conn, "registrar")}
    keys = [row for row in _evident(tx, shard, citizen_keys) if row["state"] == LIVE]
    citizens = sum(_carry_citizen_key(tx, row, certified) for row in keys)
    tx.appender.flush()
    held = 0
    for subject in tx.conn.scalars(sa.select(records.c.subject).distinct().order_by(records.c.subject)):
        held += _carry_records(tx, shard, find_by_id(tx.house, tx.conn, subject))
    _carry_cases(tx, shard)
    _carry_copies(tx, shard)
    consents = sum(_carry_consent(tx, row) for row in _evident(tx, shard, grants))
    return replace(so_far, citizens=citizens, records=held, consents=consents)


def _carry_citizen_key(tx: Transaction, row: dict[str, Any], certified: set[str]) -> bool:
    """Carry one key, if the registrar's key that certified it is in force still: else it enrols again."""
    subject = find_by_id(tx.house, tx.conn, row["subject"])
    certificate = subject.link.open("citizen_keys", "certificate", row["kid_lookup"], row["certificate"])
    salt = subject.link.open("citizen_keys", "commitment_salt", row["kid_lookup"], row["commitment_salt"])
    parsed = parse_certificate(certificate)
    if registrar_kid(parsed) not in certified:
        return False
    about = rows.about(citizen_keys, row["about"])
    entry = tx.append(
        "subject.enrolled",
        {
            "commitment": row["about"],
            "registrar": row["registrar"],
            "assurance": parsed.enrolment.assurance,
            "certificate_sha256": certificate_hash(certificate).hex(),
        },
        tag=subject.tag,
        by={"registrar": row["registrar"]},
        details={"certificate": parse_canonical(certificate), "commitment_salt": b64u(salt)},
        about=about,
    )
    wait = tx.policy.enrolment.second_key_hours * HOUR
    # Every key waits: it may have been revoked in the lost part, and its holder must have time to say so.
    effective = max(row["effective"], tx.at + wait)
    _tie(tx, citizen_keys, row | {"effective": effective}, entry)
    return True


def _carry_records(tx: Transaction, shard: int, person: Subject) -> int:
    held = revisions_of(tx.conn, person.subject)
    said = batches_of(replace(tx.house, shard=shard), tx.conn, [person.tag]).get(person.tag, {})
    if not is_whole(tx.house, said, held):
        raise EvidenceBroken("a person's records are not what the ledger says of them")
    kept = [row.as_dict() for row in held]
    restate(tx, person.subject, person.tag, kept, "recovery")
    return len(kept)


def _carry_cases(tx: Transaction, shard: int) -> None:
    open_ones = sa.select(holds).where(holds.c.shard == shard, holds.c.state == OPEN)
    for row in tx.conn.execute(open_ones).mappings().all():
        carry_hold(tx, dict(row))


def _carry_copies(tx: Transaction, shard: int) -> None:
    """Copies of custody that are kept: an epoch's key is not destroyed while one of them holds it."""
    leaves = ledger_leaves.c
    for row in _evident(tx, shard, custody_copies):
        old = tx.conn.scalar(
            sa.select(leaves.leaf).where(leaves.shard == shard, leaves.idx == row["made_index"])
        )
        body = to_builtins(parse_leaf(bytes(old or b"")).body)
        about = rows.about(custody_copies, row["copy"])
        made = entry = tx.append("key.backup", body, about=about)
        if row["state"] == DESTROYED:
            entry = tx.append("key.backup", {"copy": row["copy"], "event": "destroyed"}, about=about)
        _tie(tx, custody_copies, row | {"made_index": made.index}, entry)


def _carry_consent(tx: Transaction, row: dict[str, Any]) -> bool:
    """Carry one consent if it could still be used; one that ended stays behind, in the old log."""
    subject = find_by_tag(tx.house, tx.conn, row["tag"])
    name = row["consent"].encode()
    if not subject.known:
        return False
    document = subject.link.open("grants", "document", name, row["document"])
    consent = parse_consent(document)
    if row["state"] not in ("granted", "suspended") or tx.at >= consent.not_after:
        return False
    proof = parse_proof(subject.link.open("grants", "proof", name, row["proof"]).decode())
    key = key_named(tx.house, _carried_keys(tx, subject), consent.subject)
    if row["uses"] >= consent.max_uses or key is None:
        return False
    entry = tx.append(
        "consent.carried",
        leaf_body(consent, document, proof, key["about"])
        | {"grant": row["grant_index"], "uses": row["uses"]},
        tag=subject.tag,
        details={
            "document": parse_canonical(document),
            "proof": proofs.details(proof),
            "commitment_salt": b64u(open_commitment_salt(subject.link, key)),
            "certificate": parse_canonical(open_certificate(subject.link, key)),
        },
        about=rows.about(grants, row["consent"]),
    )
    changes = {"shard": tx.house.shard, "state": "suspended", "grant_index": entry.index}
    _tie(tx, grants, row | changes, entry)
    return True


def _carried_keys(tx: Transaction, subject: Subject) -> list[dict[str, Any]]:
    """The person's keys that the new log knows: those that were live."""
    found = rows.read_evident(tx.conn, citizen_keys, "subject", [subject.subject], tx.house.shard)
    return [row for row in found if rows.is_evident(tx.house.custody, citizen_keys, row)]


def _evident(tx: Transaction, shard: int, table: sa.Table) -> list[dict[str, Any]]:
    """Every row that the old log speaks of, in the order of its leaves; the decoy's are none of those."""
    key = rows.NAMED_BY[table.name][0]
    values = sorted(set(tx.conn.scalars(sa.select(table.c[key]).where(table.c.changed_index > 0))))
    found: list[dict[str, Any]] = []
    for first in range(0, len(values), _AT_ONCE):
        found += rows.read_evident(tx.conn, table, key, values[first : first + _AT_ONCE], shard)
    for row in found:
        rows.require_evident(tx.house.custody, table, row)
    in_order = sorted(found, key=lambda row: int(row["changed_index"]))
    return [rows.columns_of(table, row) for row in in_order]


def _tie(tx: Transaction, table: sa.Table, row: Mapping[str, Any], entry: Entry) -> None:
    """Write a row as `entry` left it."""
    key = [column == row[column.name] for column in table.primary_key.columns]
    changed = tx.protect(table, rows.columns_of(table, row), entry)
    tx.conn.execute(sa.update(table).where(*key).values(**changed))
