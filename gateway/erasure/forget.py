"""After an erasure: the keybag and the sealed details forget the person too.

Invariant: what is to be forgotten stands, sealed under the epoch's key, in the row of the erasure from its
commit until it is done, so that a process killed in between leaves nothing that the next run does not finish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from gateway import db, provision
from gateway.rotation.blobs import GONE
from gateway.rotation.keybag import forget_rewrapped
from gateway.tables import erasures
from keys.canonical import b64u, canonical, parse_canonical, sha256, unb64u
from ledger.tables import ledger_leaves, ledger_sealed

if TYPE_CHECKING:
    from gateway.erasure.leaving import Left
    from gateway.house import House

CHUNK = 256

log = structlog.get_logger(__name__)


def forget_later(house: House, erasure: str, left: Left) -> bytes:
    """What `erasures.todo` holds of what is to be forgotten."""
    said = {"names": list(left.names), "tags": [b64u(tag) for tag in left.tags]}
    return house.wrap_sealed(canonical(said), sha256(erasure.encode()).hex())


def forget_erased(house: House) -> int:
    """Finish every erasure that is not: how many were. Run after each, and by whoever comes next."""
    with house.read() as conn:
        waiting = conn.execute(
            sa.select(erasures.c.erasure, erasures.c.todo)
            .where(erasures.c.shard == house.shard, erasures.c.todo.is_not(None))
            .order_by(erasures.c.idx)
        ).all()
    for row in waiting:
        _forget(house, row.erasure, bytes(row.todo))
    return len(waiting)


def _forget(house: House, erasure: str, todo: bytes) -> None:
    said = parse_canonical(house.unwrap_sealed(todo, sha256(erasure.encode()).hex()))
    digests = _drop_blobs(house, [unb64u(tag) for tag in said["tags"]])
    forget_rewrapped(house.settings.home, {}, digests, said["names"])
    done = sa.update(erasures).where(erasures.c.erasure == erasure).values(todo=None)
    house.transact(lambda tx: tx.conn.execute(done), seals=False)


def _drop_blobs(house: House, tags: list[bytes]) -> list[bytes]:
    """Empty the sealed details of these tags' leaves; their SHA-256.

    The ledger's tables only grow for the gateway's own login: this is the owner's to do.
    """
    leaves, blobs = ledger_leaves.c, ledger_sealed.c
    theirs = sa.select(leaves.idx).where(leaves.shard == house.shard, leaves.tag.in_(tags))
    with house.read() as conn:
        found = conn.execute(
            sa.select(blobs.idx, blobs.sha256)
            .where(blobs.shard == house.shard, blobs.idx.in_(theirs))
            .order_by(blobs.idx)
        ).all()
    with provision.as_owner(house.settings) as owner:
        for start in range(0, len(found), CHUNK):
            some = [row.idx for row in found[start : start + CHUNK]]
            with db.writing(owner) as conn:
                mine = blobs.shard == house.shard, blobs.idx.in_(some)
                conn.execute(sa.update(ledger_sealed).where(*mine).values(blob=GONE))
                conn.commit()
    log.info("erasure.forgotten", blobs=len(found))
    return [bytes(row.sha256) for row in found]
