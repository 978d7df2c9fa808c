"""Making the certificate of an erasure: not before the last key that could read what was erased is gone.

Invariant: every member is taken from leaves; the ledger, not a row, says that the epoch is destroyed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from consent.erased import ERASURE_TYP, Destroyed, ErasureCertificate, format_erasure_certificate
from gateway.copies import copies, kept_with
from gateway.erasure.refused import ErasureRefused
from gateway.errors import EvidenceBroken
from gateway.tables import erasures
from keys.jws import sign_jws
from ledger.bodies import KeyEpoch, RecordErased
from ledger.entries import Leaf, parse_leaf
from ledger.merkle import leaf_hash
from ledger.rows import read_leaf
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Listed:
    """An erasure as it is listed: no tag. `certain` once its epoch is destroyed and all else forgotten."""

    erasure: str
    index: int
    classes: tuple[str, ...]
    authority: str
    epoch: int
    certain: bool


def listed(house: House, conn: sa.Connection) -> list[Listed]:
    """Every erasure there was, in order."""
    destroyed = _destroyed(house, conn)
    found = conn.execute(sa.select(erasures).where(erasures.c.shard == house.shard).order_by(erasures.c.idx))
    return [
        Listed(
            row.erasure,
            row.idx,
            tuple(row.classes.split()),
            row.authority,
            row.epoch,
            row.epoch in destroyed and row.todo is None,
        )
        for row in found
    ]


def certify(house: House, conn: sa.Connection, erasure: str) -> str:
    """The signed certificate of an erasure. `ErasureRefused` says what is still to be done."""
    row = conn.execute(sa.select(erasures).where(erasures.c.erasure == erasure)).one_or_none()
    if row is None:
        raise ErasureRefused(f"there is no erasure {erasure}: see `chengxin erasure list`")
    if row.todo is not None:
        raise ErasureRefused("it was cut short: run `chengxin erasure due`, which finishes it")
    leaf, digest = _leaf(house, conn, row.idx)
    body = leaf.body
    if not isinstance(body, RecordErased) or body.erasure != erasure:
        raise EvidenceBroken("a row of erasures is not what the ledger says of it")
    destroyed = _destroyed(house, conn)
    # An older backup holds the same keys under an older epoch.
    epochs = range(_first_epoch(house, conn), body.epoch + 1)
    for epoch in epochs:
        if epoch not in destroyed:
            raise ErasureRefused(_still_to_do(house, conn, epoch))
    ended = max(destroyed[epoch] for epoch in epochs)
    certificate = ErasureCertificate(
        log=house.origin,
        erasure=erasure,
        index=leaf.index,
        leaf=digest,
        classes=body.classes,
        count=body.count,
        authority=body.authority,
        epoch=body.epoch,
        destroyed=Destroyed(ended, _leaf(house, conn, ended)[1]),
        copies=tuple(sorted(copy.copy for copy in copies(house, conn) if min(copy.epochs) <= body.epoch)),
        at=house.clock(),
    )
    house.receipts.require_usable()
    return sign_jws(format_erasure_certificate(certificate), house.receipts.signers[-1][1], ERASURE_TYP)


def _still_to_do(house: House, conn: sa.Connection, epoch: int) -> str:
    """What stands between an erasure and its certificate, in the order in which it is done."""
    steps = []
    if house.keyring.epoch == epoch:
        steps.append("`chengxin keys rotate epoch`")
    steps += [
        f"destroy the copy {one.copy} and run `chengxin keys copy-destroyed {one.copy}`"
        for one in kept_with(house, conn, epoch)
    ]
    steps.append(f"`chengxin keys destroy-epoch {epoch}`")
    return (
        f"the key of epoch {epoch} is not destroyed, old backups can still be read: {', then '.join(steps)}"
    )


def _first_epoch(house: House, conn: sa.Connection) -> int:
    """The epoch that this log began with: those before ended with the log that it continues."""
    leaves = ledger_leaves.c
    said = sa.select(leaves.leaf).where(leaves.shard == house.shard, leaves.type == "key.epoch")
    body = parse_leaf(bytes(conn.execute(said.order_by(leaves.idx).limit(1)).scalar_one())).body
    if not isinstance(body, KeyEpoch):
        raise EvidenceBroken("another leaf poses as one of an epoch")
    return body.epoch


def _destroyed(house: House, conn: sa.Connection) -> dict[int, int]:
    """Epoch -> index of the leaf that says that its key is destroyed."""
    leaves = ledger_leaves.c
    said = sa.select(leaves.idx, leaves.leaf).where(leaves.shard == house.shard, leaves.type == "key.epoch")
    bodies = [(row.idx, parse_leaf(bytes(row.leaf)).body) for row in conn.execute(said)]
    return {
        body.epoch: index
        for index, body in bodies
        if isinstance(body, KeyEpoch) and body.event == "destroyed"
    }


def _leaf(house: House, conn: sa.Connection, index: int) -> tuple[Leaf, str]:
    data = read_leaf(conn, house.shard, index)
    if data is None:
        raise EvidenceBroken("a leaf that a row names is not there")
    return parse_leaf(data), leaf_hash(data).hex()
