"""The regulators' blobs wrapped anew at rest: each epoch has a key of its own for them.

Invariant: the blobs of a person whose link was erased are dropped, not wrapped anew; once the epoch under
which they stood is destroyed they open from no backup. The ledger's tables only grow for the gateway: these
rows are rewritten by the owner of the tables, and nothing of them changes but the wrapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from gateway import db, provision
from gateway.errors import EvidenceBroken
from gateway.keyring import LINK
from gateway.rotation.keybag import Keybag, Line
from gateway.rotation.wrapped import Chunk
from gateway.tables import erasures
from keys.errors import KeysError
from keys.fields import field_key_id
from ledger.tables import ledger_leaves, ledger_sealed

if TYPE_CHECKING:
    from gateway.house import House

CHUNK = 128
GONE = b""
"""What stands in the place of a blob that was dropped."""

log = structlog.get_logger(__name__)

MOVE = (
    sa.update(ledger_sealed)
    .where(
        ledger_sealed.c.shard == sa.bindparam("of_shard"),
        ledger_sealed.c.sha256 == sa.bindparam("of_sha256"),
        ledger_sealed.c.epoch < sa.bindparam("under"),
    )
    .values(blob=sa.bindparam("now"), epoch=sa.bindparam("under"))
)


def blobs_anew(house: House, bag: Keybag) -> Iterator[Chunk]:
    """Wrap the blobs of those who are still there anew, and drop the others'."""
    with provision.as_owner(house.settings) as owner:
        place = -1
        while found := _page(house, bag.epoch, place):
            gone = _erased(house, {bytes(row.tag) for row in found if row.tag is not None})
            made = [_anew(house, bag, row, gone) for row in found]
            bag.add(line for _, line in made if line is not None)
            with db.writing(owner) as conn:
                conn.execute(MOVE, [change for change, _ in made])
                conn.commit()
            yield Chunk(len(found), sum(line is None and change["now"] != GONE for change, line in made))
            place = found[-1].idx


def _page(house: House, epoch: int, place: int) -> list[sa.Row[Any]]:
    """The next rows under an older epoch, each with the tag of its leaf. A leaf has one blob."""
    leaf = ledger_leaves.c
    whose = sa.and_(leaf.shard == ledger_sealed.c.shard, leaf.idx == ledger_sealed.c.idx)
    wanted = (
        sa.select(ledger_sealed, leaf.tag)
        .select_from(ledger_sealed.outerjoin(ledger_leaves, whose))
        .where(
            ledger_sealed.c.shard == house.shard, ledger_sealed.c.epoch < epoch, ledger_sealed.c.idx > place
        )
        .order_by(ledger_sealed.c.idx)
        .limit(CHUNK)
    )
    with house.read() as conn:
        return list(conn.execute(wanted))


def _erased(house: House, tags: set[bytes]) -> set[bytes]:
    """Those of the tags whose link was erased: nothing of them is kept."""
    with house.read() as conn:
        found = conn.execute(
            sa.select(erasures.c.tag, erasures.c.classes).where(
                erasures.c.shard == house.shard, erasures.c.tag.in_(sorted(tags))
            )
        )
        return {bytes(row.tag) for row in found if LINK in row.classes.split()}


def _anew(
    house: House, bag: Keybag, row: sa.Row[Any], gone: set[bytes]
) -> tuple[dict[str, Any], Line | None]:
    """What is written of a row, and its line; no line for what is dropped or does not open."""
    digest = bytes(row.sha256).hex()
    change = {"of_shard": house.shard, "of_sha256": row.sha256, "under": bag.epoch}
    if row.blob == GONE or row.tag in gone:
        return change | {"now": GONE}, None
    try:
        key = house.sealed_keys.get(field_key_id(row.blob))
        if key is None:
            raise EvidenceBroken("sealed details are wrapped under a key that is not there")
        blob = key.open("ledger_sealed", "blob", row.sha256, row.blob)
    except (EvidenceBroken, KeysError):
        log.error("evidence.broken", table="ledger_sealed")
        return change | {"now": row.blob}, None
    now = house.wrap_sealed(blob, digest)
    return change | {"now": now}, Line("sealed", digest, now)
