"""Published keys that end: rotated by both keys' signatures, or revoked without.

Invariant: a key ends in the transaction of its leaf, under the lock that every decision takes, and its row
keeps the range of indices in which it counted. A rotation is a `key.rotated` about the new key, then a
`key.revoked` about the old; any other revocation leaves the holder without a key of that use until one is
published, which nobody who pinned the old one takes for its successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from gateway import rows
from gateway.errors import Rejected
from gateway.institutions.published import listed, public_key, publish_key
from gateway.institutions.standing import standing_row
from gateway.tables import institutions, published_keys
from keys.canonical import canonical
from keys.errors import KeysError
from keys.rotation import Rotation, verify_rotation
from keys.sealing import parse_x25519_jwk
from keys.signing import Jwk, parse_public_jwk, thumbprint
from ledger.bodies import KeyRotated
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

Cause: TypeAlias = Literal["compromised", "lost", "retired"]
OF_INSTITUTIONS = ("registrar", "regulator")
"""Uses of the keys that institutions bring, each an institution of the sector of that name."""


def rotate_key(tx: Transaction, rotation: Rotation) -> Entry:
    """Have the new key of a rotation in force from this leaf on; both signatures are verified.

    `Rejected` when the rotation is of another log, replaces a key that is not in force, or does not verify.
    """
    statement = rotation.statement
    use, holder = statement.use, statement.holder
    if statement.log != tx.house.origin:
        raise Rejected("malformed-body", "the rotation was signed for another log: sign one for this log")
    old = in_force(tx, use, holder)
    try:
        new = verify_rotation(rotation, public_key(old))
    except KeysError as error:
        raise Rejected(
            "malformed-body", f"the rotation does not hold ({error}): sign one from the {use} key in force"
        ) from error
    if any(row["kid"] == new.kid for row in listed(tx.house, tx.conn, use)):
        raise Rejected("already-answered", f"the new key was a {use} key before: make another")
    tx.key_changed(use)
    entry = tx.append(
        "key.rotated",
        {
            "use": use,
            "holder": holder,
            "from": statement.from_,
            "to": new.kid,
            "public": dict(new.jwk),
            "signatures": {"old": rotation.old, "new": rotation.new},
        },
        about=rows.about(published_keys, f"{use}:{new.kid}"),
    )
    row = {"use": use, "kid": new.kid, "public": canonical(new.jwk).decode(), "holder": holder}
    tx.conn.execute(published_keys.insert(), tx.protect(published_keys, row, entry))
    _end(tx, old, "rotated", entry.index)
    return entry


def revoke_key(tx: Transaction, use: str, holder: str, cause: Cause) -> Entry:
    """End a key in force without a successor (`key.revoked`). `Rejected` when there is none."""
    old = in_force(tx, use, holder)
    tx.key_changed(use)
    return _end(tx, old, cause, None)


def in_force(tx: Transaction, use: str, holder: str) -> Mapping[str, Any]:
    """The row of the holder's key that counts now. `Rejected` when there is none."""
    for row in listed(tx.house, tx.conn, use):
        if row["holder"] == holder and row["ended_index"] is None:
            return row
    raise Rejected("not-found", f"{holder} has no {use} key in force: publish one")


def _end(tx: Transaction, row: Mapping[str, Any], cause: str, ended: int | None) -> Entry:
    """The leaf `key.revoked` and the row that says so; the key counted up to before `ended`, or this leaf."""
    use, kid = row["use"], row["kid"]
    entry = tx.append(
        "key.revoked",
        {"use": use, "kid": kid, "holder": row["holder"], "cause": cause},
        about=rows.about(published_keys, f"{use}:{kid}"),
    )
    ends = {"since_index": row["since"], "ended_index": entry.index if ended is None else ended}
    changed = tx.protect(published_keys, rows.columns_of(published_keys, row) | ends, entry)
    named = sa.and_(published_keys.c.use == use, published_keys.c.kid == kid)
    tx.conn.execute(sa.update(published_keys).where(named).values(**changed))
    return entry


def signatures_of(house: House, conn: sa.Connection, listed: Iterable[Mapping[str, Any]]) -> dict[str, Jwk]:
    """Thumbprint -> {"old","new"}, the signatures of the rotation that brought a key, where one did."""
    leaves = ledger_leaves.c
    found = conn.execute(
        sa.select(leaves.leaf).where(
            leaves.shard == house.shard,
            leaves.type == "key.rotated",
            leaves.idx.in_([row["since"] for row in listed]),
        )
    )
    bodies = (parse_leaf(bytes(leaf)).body for leaf in found.scalars())
    return {
        body.to: {"old": body.signatures.old, "new": body.signatures.new}
        for body in bodies
        if isinstance(body, KeyRotated)
    }


def rotate_registrar_key(house: House, institution: str, rotation: Rotation) -> Entry:
    """Take over a registrar's own rotation, which it signed on its own machine with both keys."""
    statement = rotation.statement
    if (statement.use, statement.holder) != ("registrar", institution):
        raise Rejected("malformed-body", f"the rotation is not of the registrar key of {institution}")
    return house.transact(lambda tx: rotate_key(tx, rotation), seals=False)


def revoke_institution_key(house: House, institution: str, use: str, cause: Cause) -> Entry:
    """Revoke the key of a registrar or regulator. What it certified, or could read, before stays so."""

    def act(tx: Transaction) -> Entry:
        _require_sector(tx, institution, use)
        return revoke_key(tx, use, institution, cause)

    return house.transact(act, seals=False)


def publish_institution_key(house: House, institution: str, key: Jwk) -> Entry:
    """Publish a new key (public JWK) of a registrar or regulator whose last one was revoked."""

    def act(tx: Transaction) -> Entry:
        use = standing_row(tx, institutions, institution)["sector"]
        _require_sector(tx, institution, use)
        try:
            kid = parse_public_jwk(key).kid if use == "registrar" else _sealing_kid(key)
        except KeysError as error:
            raise Rejected("malformed-body", f"that is no key of a {use}: {error}") from error
        return publish_key(tx, use, key, kid, institution)

    return house.transact(act, seals=False)


def _sealing_kid(key: Jwk) -> str:
    parse_x25519_jwk(key)
    return thumbprint(key)


def _require_sector(tx: Transaction, institution: str, use: str) -> None:
    sector = standing_row(tx, institutions, institution)["sector"]
    if use not in OF_INSTITUTIONS or sector != use:
        raise Rejected("malformed-body", f"{institution} is a {sector} institution and has no {use} key")
