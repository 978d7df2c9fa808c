"""Published keys: the gateway's own, registrars', regulators', and those that answers are encrypted to.

Invariant: a key counts only while its row is what the `key.published` leaf said; the auditor's own pins,
not this table, are what convicts a gateway that publishes a registrar of its own making.

A holder has one key of each use; an encryption key alone is replaced, the newest leaf wins. Its leaves are
therefore named by the holder and found first: a row that was taken away, or one put back in place of a newer,
does not bring an institution its answers in clear or under an old key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from gateway import metrics, rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.sealing import Regulator
from gateway.tables import published_keys
from keys.canonical import canonical, parse_canonical, unb64u
from keys.signing import Jwk, PublicKey, parse_public_jwk, thumbprint
from ledger.log import Entry
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
    """Publish one key (`key.published`); one holder has one key of each use, encryption keys are replaced."""
    same = published_keys.c.kid == kid
    if use != ENCRYPTION:
        same = sa.or_(same, published_keys.c.holder == holder)
    taken = sa.select(published_keys.c.kid).where(published_keys.c.use == use, same)
    if tx.conn.execute(taken).first() is not None:
        raise Rejected("already-answered", f"a {use} key of {holder}, or this very key, is published already")
    tx.joined |= use == "regulator"
    entry = tx.append(
        "key.published",
        {"use": use, "kid": kid, "public": dict(public), "holder": holder},
        about=_about(holder) if use == ENCRYPTION else rows.about(published_keys, f"{use}:{kid}"),
    )
    row = {"use": use, "kid": kid, "public": canonical(public).decode(), "holder": holder}
    tx.conn.execute(published_keys.insert(), tx.protect(published_keys, row, entry))
    return entry


def published(house: House, conn: sa.Connection, *uses: str) -> list[Mapping[str, Any]]:
    """The published keys of these uses (of every use when none is named), in the order of their leaves.

    Of an institution's encryption keys it is the one in use. `EvidenceBroken` when one is not what its leaf
    said.
    """
    wanted = uses or (*USES, ENCRYPTION)
    listed = rows.read_evident(conn, published_keys, "use", {*wanted} - {ENCRYPTION}, house.shard)
    if ENCRYPTION in wanted:
        holders = conn.scalars(sa.select(published_keys.c.holder).where(published_keys.c.use == ENCRYPTION))
        listed += _newest(conn, {*holders}, house.shard)
    for row in listed:
        if row["kid"] is None:
            raise EvidenceBroken("a published key that the ledger speaks of is gone")
        rows.require_evident(house.custody, published_keys, row)
    return sorted(listed, key=lambda row: int(row["changed_index"]))


def publish_encryption_key(tx: Transaction, institution: str, key: Jwk) -> Entry:
    """Publish the X25519 key that answers to an institution are encrypted to from here on (newest wins)."""
    return publish_key(tx, ENCRYPTION, key, thumbprint(key), institution)


def encryption_keys_of(tx: Transaction, institutions: Iterable[str]) -> dict[str, Jwk]:
    """The key that answers to each of these institutions are encrypted to, in one statement for all of them.

    An institution that never registered one is absent. One whose row is not what the ledger says of it has
    `UNUSABLE`, which nothing can be encrypted to, and an alert is raised.
    """
    found: dict[str, Jwk] = {}
    for row in _newest(tx.conn, institutions, tx.house.shard):
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


def _newest(conn: sa.Connection, holders: Iterable[str], shard: int) -> list[dict[str, Any]]:
    """The newest leaf about each holder's encryption key and the row that it wrote, nulls if that is gone."""
    found = conn.execute(_NEWEST, {"shard": shard, "names": sorted({_about(holder) for holder in holders})})
    return [dict(row) for row in found.mappings()]


def _newest_statement() -> sa.Select[Any]:
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
            leaf.c.about.in_(sa.bindparam("names", expanding=True)),
            leaf.c.idx == latest,
        )
    )


# Built once: building a statement costs more than running it.
_NEWEST = _newest_statement()


def registrar_key(house: House, conn: sa.Connection, registrar: str) -> PublicKey:
    """The published key of a registrar (身份核验机构); `EvidenceBroken` when there is none."""
    known = house.registrars.get(registrar)
    if known is None:
        found = [row for row in published(house, conn, "registrar") if row["holder"] == registrar]
        if not found:
            raise EvidenceBroken("no key of this registrar is published")
        known = parse_public_jwk(parse_canonical(found[0]["public"].encode()))
        house.registrars[registrar] = known  # published keys only ever grow, so a hit stays true
    return known


def regulators_of(tx: Transaction) -> tuple[Regulator, ...]:
    """Every regulator's registered X25519 key, ordered by thumbprint, as `key.sealing` lists them."""
    found = published(tx.house, tx.conn, "regulator")
    return tuple(
        Regulator(row["kid"], unb64u(parse_canonical(row["public"].encode())["x"], 32))
        for row in sorted(found, key=lambda row: str(row["kid"]))
    )
