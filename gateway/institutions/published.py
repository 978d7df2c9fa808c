"""Published keys: the gateway's own, the registrars' and the regulators', each published by a leaf.

Invariant: a key counts only while its row is what the `key.published` leaf said; the auditor's own pins,
not this table, are what convicts a gateway that publishes a registrar of its own making.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.sealing import Regulator
from gateway.tables import published_keys
from keys.canonical import canonical, parse_canonical, unb64u
from keys.signing import Jwk, PublicKey, parse_public_jwk
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

USES = ("checkpoint", "receipt", "registrar", "regulator")


def publish_key(tx: Transaction, use: str, public: Jwk, kid: str, holder: str) -> Entry:
    """Publish one key (`key.published`); one holder has one key of each use until keys rotate."""
    taken = sa.select(published_keys.c.kid).where(
        published_keys.c.use == use, sa.or_(published_keys.c.kid == kid, published_keys.c.holder == holder)
    )
    if tx.conn.execute(taken).first() is not None:
        raise Rejected("already-answered", f"a {use} key of {holder}, or this very key, is published already")
    tx.joined |= use == "regulator"
    entry = tx.append(
        "key.published",
        {"use": use, "kid": kid, "public": dict(public), "holder": holder},
        about=rows.about(published_keys, f"{use}:{kid}"),
    )
    row = {"use": use, "kid": kid, "public": canonical(public).decode(), "holder": holder}
    tx.conn.execute(published_keys.insert(), tx.protect(published_keys, row, entry))
    return entry


def published(house: House, conn: sa.Connection, *uses: str) -> list[Mapping[str, Any]]:
    """The published keys of these uses (of every use when none is named), in the order of their leaves.

    `EvidenceBroken` when one is not what its leaf said.
    """
    listed = rows.read_evident(conn, published_keys, "use", uses or USES, house.shard)
    for row in listed:
        rows.require_evident(house.custody, published_keys, row)
    return [*listed]


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
