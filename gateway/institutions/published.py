"""Published keys: the gateway's own, registrars', regulators', and those that answers are encrypted to.

Invariant: a key counts only while its row is what the last leaf about it said; the auditor's own pins,
not this table, are what convicts a gateway that publishes a registrar of its own making.

A holder has one key of each use in force; one that was rotated or revoked stays here with the range of
indices in which it counted. An encryption key alone is replaced, the newest leaf wins. Its leaves are
therefore named by the holder and found first: a row that was taken away, or one put back in place of a newer,
does not bring an institution its answers in clear or under an old key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from consent.enrolment import parse_certificate, registrar_kid
from consent.errors import ConsentError
from gateway import metrics, rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.sealing import Regulator
from gateway.tables import published_keys
from keys.canonical import canonical, parse_canonical, unb64u
from keys.signing import Jwk, PublicKey, parse_public_jwk, thumbprint
from ledger.exchange import Reading, alone
from ledger.fixed import Call
from ledger.log import Entry
from ledger.sets import Among, both
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

USES = ("checkpoint", "receipt", "registrar", "regulator")
ENCRYPTION = "encryption"
UNUSABLE: Final[Jwk] = {}
"""In place of a key whose evidence is broken: nothing can be encrypted to it, so nothing is delivered."""

log = structlog.get_logger(__name__)


def publish_key(tx: Transaction, use: str, public: Jwk, kid: str, holder: str) -> Entry:
    """Publish one key (`key.published`), which was never one of this use before.

    A holder has one key of each use in force; encryption keys are replaced.
    """
    columns = published_keys.c
    same = columns.kid == kid
    if use != ENCRYPTION:
        same = sa.or_(same, sa.and_(columns.holder == holder, columns.ended_index.is_(None)))
    taken = sa.select(columns.kid).where(columns.use == use, same)
    if tx.conn.execute(taken).first() is not None:
        raise Rejected("already-answered", f"a {use} key of {holder}, or this very key, is published already")
    tx.key_changed(use)
    entry = tx.append(
        "key.published",
        {"use": use, "kid": kid, "public": dict(public), "holder": holder},
        about=_about(holder) if use == ENCRYPTION else rows.about(published_keys, f"{use}:{kid}"),
    )
    row = {"use": use, "kid": kid, "public": canonical(public).decode(), "holder": holder}
    tx.conn.execute(published_keys.insert(), tx.protect(published_keys, row, entry))
    return entry


def publish_unless_shown(tx: Transaction, use: str, public: Jwk, holder: str) -> None:
    """Publish the key that a new institution brings, unless the ledger shows it as this holder's already.

    It does after a recovery: keys come back from the leaves alone, the institution has to come again.
    """
    kid = thumbprint(public)
    shown = published(tx.house, tx.conn, use)
    if not any((row["kid"], row["holder"]) == (kid, holder) for row in shown):
        publish_key(tx, use, public, kid, holder)


def published(house: House, conn: sa.Connection, *uses: str) -> list[Mapping[str, Any]]:
    """The keys in force of these uses (of every use when none is named), in the order of their leaves.

    `EvidenceBroken` when one is not what its leaf said.
    """
    return [row for row in listed(house, conn, *uses) if row["ended_index"] is None]


def listed(house: House, conn: sa.Connection, *uses: str) -> list[Mapping[str, Any]]:
    """The same, and those that were rotated or revoked; each with `since`, the leaf that brought it.

    Of an institution's encryption keys it is the one in use.
    """
    wanted = uses or (*USES, ENCRYPTION)
    found = rows.read_evident(conn, published_keys, "use", {*wanted} - {ENCRYPTION}, house.shard)
    if ENCRYPTION in wanted:
        holders = conn.scalars(sa.select(published_keys.c.holder).where(published_keys.c.use == ENCRYPTION))
        found += alone(conn, _newest({*holders}, house.shard))
    for row in found:
        if row["kid"] is None:
            raise EvidenceBroken("a published key that the ledger speaks of is gone")
        rows.require_evident(house.custody, published_keys, row)
        since = row["since_index"]
        row["since"] = int(row["changed_index"] if since is None else since)
    return sorted(found, key=lambda row: int(row["since"]))


def publish_encryption_key(tx: Transaction, institution: str, key: Jwk) -> Entry:
    """Publish the X25519 key that answers to an institution are encrypted to from here on (newest wins)."""
    return publish_key(tx, ENCRYPTION, key, thumbprint(key), institution)


def encryption_keys_of(tx: Transaction, institutions: Iterable[str]) -> dict[str, Jwk]:
    """The key that answers to each of these institutions are encrypted to, in one statement for all of them.

    An institution that never registered one is absent. One whose row is not what the ledger says of it has
    `UNUSABLE`, which nothing can be encrypted to, and an alert is raised.
    """
    return alone(tx.conn, reading_encryption_keys(tx, institutions))


def reading_encryption_keys(tx: Transaction, institutions: Iterable[str]) -> Reading[dict[str, Jwk]]:
    """The same as a reading, to be read with others."""
    found: dict[str, Jwk] = {}
    for row in (yield from _newest(institutions, tx.house.shard)):
        evident = row["kid"] is not None and rows.is_evident(tx.house.custody, published_keys, row)
        holder = str(row["about"]).removeprefix(_about(""))
        if evident and row["holder"] == holder:
            found[holder] = parse_canonical(row["public"].encode())
        else:
            metrics.EVIDENCE_BROKEN.labels(published_keys.name).inc()
            log.error("evidence.broken", table=published_keys.name, key=holder)
            found[holder] = UNUSABLE
    return found


def _about(holder: str) -> str:
    """The name of an institution's encryption key in leaves, whichever key it is at the time."""
    return rows.about(published_keys, f"{ENCRYPTION}:{holder}")


def _newest(holders: Iterable[str], shard: int) -> Reading[list[dict[str, Any]]]:
    """The newest leaf about each holder's encryption key and the row that it wrote, nulls if that is gone."""
    names = sorted({_about(holder) for holder in holders})
    found = yield Call(_NEWEST, {"shard": shard, "names": names})
    return [row.as_dict() for row in found]


def _newest_statement(among: Among) -> sa.Select[Any]:
    leaf, newer = ledger_leaves.alias("leaf"), ledger_leaves.alias("newer")
    shard = sa.bindparam("shard", type_=sa.Integer)
    latest = (
        sa.select(sa.func.max(newer.c.idx))
        .where(newer.c.shard == shard, newer.c.about == leaf.c.about)
        .scalar_subquery()
    )
    wrote = sa.and_(published_keys.c.use == ENCRYPTION, published_keys.c.changed_index == leaf.c.idx)
    return (
        sa.select(
            published_keys, leaf.c.about, leaf.c.leaf_hash.label("leaf_hash"), leaf.c.idx.label("latest")
        )
        .select_from(leaf.outerjoin(published_keys, wrote))
        .where(
            leaf.c.shard == shard,
            among(leaf.c.about, "names"),
            leaf.c.idx == latest,
        )
    )


# Built once: building a statement costs more than running it.
_NEWEST = both(_newest_statement)


def registrar_key(house: House, conn: sa.Connection, registrar: str) -> PublicKey:
    """The key of a registrar (身份核验机构) that is in force; `EvidenceBroken` when there is none.

    Read each time: what it certifies is enrolled under the lock, after whatever ended it.
    """
    for row in published(house, conn, "registrar"):
        if row["holder"] == registrar:
            return public_key(row)
    raise EvidenceBroken("no key of this registrar is in force")


def certifying_key(house: House, conn: sa.Connection, registrar: str, kid: str) -> PublicKey:
    """The key `kid` under which a registrar certifies, or certified before it was rotated or revoked.

    For what was enrolled already; a certificate names its key (`certified_under`). `EvidenceBroken` when the
    registrar never had it.
    """
    known = house.registrars.get((registrar, kid))
    if known is None:
        keys = (public_key(row) for row in listed(house, conn, "registrar") if row["holder"] == registrar)
        known = next((key for key in keys if key.kid == kid), None)
        if known is None:
            raise EvidenceBroken("no such key of this registrar was ever published")
        house.registrars[registrar, kid] = known  # whose key it is never changes: a hit stays true
    return known


def certified_under(certificate: bytes) -> str:
    """Thumbprint of the registrar's key that a stored certificate names. `EvidenceBroken` when it is none."""
    try:
        return registrar_kid(parse_certificate(certificate))
    except ConsentError as error:
        raise EvidenceBroken("a stored certificate is none") from error


def public_key(row: Mapping[str, Any]) -> PublicKey:
    """The signing key in a row."""
    return parse_public_jwk(parse_canonical(row["public"].encode()))


def regulators_of(tx: Transaction) -> tuple[Regulator, ...]:
    """Every regulator's registered X25519 key, ordered by thumbprint, as `key.sealing` lists them."""
    found = published(tx.house, tx.conn, "regulator")
    return tuple(
        Regulator(row["kid"], unb64u(parse_canonical(row["public"].encode())["x"], 32))
        for row in sorted(found, key=lambda row: str(row["kid"]))
    )
