"""The second way back: a new log that names the last checkpoint of the one whose entries are lost.

Invariant: the new log begins with all that the database knows to be true (parties, keys, enrolments, what is
held of whom), each as an entry of its own, and with every consent that could still be used, suspended until
its citizen confirms it: whatever was withdrawn in the lost part cannot be used again. It is one transaction;
before it commits nothing has changed, and what is left to do afterwards is only to set the old files aside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway import rows
from gateway.errors import NotReady
from gateway.heads import require_own
from gateway.institutions.published import regulators_of
from gateway.policies import enact
from gateway.publishing import publisher_of
from gateway.recovery import carry
from gateway.rotation.epochs import FIRST
from gateway.rotation.versions import index_versions
from gateway.sealing import new_sealing_key
from gateway.tables import consent_requests, installation, pending_queries, queries
from gateway.transaction import Transaction
from ledger.checkpoint import Checkpoint
from ledger.files import read_if_there
from ledger.log import lock_head, open_shard
from ledger.logkeys import claimed
from ledger.rows import read_head
from ledger.tiles import TileDirectory

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.house import House

ASIDE = ".of-log-"
"""What the old log's files are called from then on: `log.of-log-0`."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """The new log: its origin, the checkpoint it continues, its first entries, and what they carry over."""

    origin: str
    previous: Checkpoint
    size: int
    carried: carry.Carried


def reopen(house: House, origin: str) -> Reopened:
    """Open the log `origin` in the place of the house's own, which was opened `behind`.

    `NotReady` where the first way back is open, or the log is not behind at all.
    """
    previous = _last_known(house)
    if origin == house.origin:
        raise NotReady("a new log has a name of its own: credit.example.cn/log1 after credit.example.cn/log0")
    after = replace(house, shard=house.shard + 1, origin=origin, seen=None, sealing=None)
    with house.putting_back() as conn:
        old = lock_head(conn, house.shard)
        require_own(house.custody, house.shard, old, None)
        head = open_shard(conn, after.shard)
        tx = Transaction(after, conn, head, max(house.clock(), old.at), house.policy)
        _open_log(tx, previous)
        carried = carry.parties(tx, house.shard)
        _seal_to(tx)
        carried = carry.people(tx, house.shard, carried)
        _close_what_waits(tx, house.shard)
        conn.execute(installation.insert(), _installation(conn, after))
        tx.appender.flush()
        size = tx.appender.head.size
    set_aside(house.settings, house.shard)
    return Reopened(origin, previous, size, carried)


def set_aside(settings: Settings, shard: int) -> None:
    """Move the old log's files out of the way; what was moved before stays as it is."""
    for place in (settings.log_dir, settings.checkpoint_copy):
        aside = place.with_name(f"{place.name}{ASIDE}{shard}")
        if place.exists() and not aside.exists():
            place.rename(aside)
    entries = settings.log_dir / "tile" / "entries"
    entries.mkdir(parents=True, mode=0o700, exist_ok=True)  # bundles are not public
    settings.log_dir.chmod(0o700)


def _last_known(house: House) -> Checkpoint:
    """The newest checkpoint of the old log, which the new one names."""
    publisher = publisher_of(house)
    note = read_if_there(publisher.outside)
    if note is None:
        raise NotReady(f"{publisher.outside} is not there: put the newest checkpoint that anybody kept there")
    with house.read() as conn:
        keys, head = publisher.keys(conn), read_head(conn, house.shard)
    found = claimed(note)
    if head.size >= found.size:
        raise NotReady("the database is not behind the newest checkpoint: there is nothing to give up")
    if TileDirectory(house.settings.log_dir).size() >= found.size:
        raise NotReady("the tiles hold every entry: run `chengxin ledger recover`, which loses less")
    return keys.open(note)


def _open_log(tx: Transaction, previous: Checkpoint) -> None:
    tx.append(
        "log.opened",
        {
            "origin": tx.house.origin,
            "previous": {
                "origin": previous.origin,
                "size": previous.size,
                "root": previous.root.hex(),
            },
        },
    )
    enact(tx, tx.policy, replaces=None)
    epoch, version = tx.house.keyring.epoch, index_versions(tx.house.custody)[0]
    tx.append("key.epoch", {"epoch": epoch, "event": "opened"})
    if epoch > FIRST:
        tx.append("key.epoch", {"epoch": epoch, "event": "rewrapped", "count": 0})
    if version > FIRST:
        tx.append("key.index", {"version": version, "event": "opened"})
        tx.append("key.index", {"version": version, "event": "completed"})


def _seal_to(tx: Transaction) -> None:
    """Announce a sealing key: what follows carries documents for the regulators."""
    regulators = regulators_of(tx)
    if not regulators:
        raise NotReady("no regulator is registered: this log never held anything that could be lost")
    tx.sealing = new_sealing_key(tx.at, regulators, tx.house.random)
    tx.append("key.sealing", tx.sealing.announcement())
    tx.appender.flush()


def _close_what_waits(tx: Transaction, shard: int) -> None:
    """Requests and queries that waited in the old log wait no longer, and nothing is delivered again."""
    for table, waiting in ((consent_requests, "requested"), (pending_queries, "pending")):
        of_old = (table.c.shard == shard, table.c.state == waiting)
        tx.conn.execute(sa.update(table).where(*of_old).values(state="lapsed"))
    tx.conn.execute(sa.update(queries).values(body_mac=None, given=None, given_at=None))


def _installation(conn: sa.Connection, after: House) -> dict[str, object]:
    """The new log's row, beside those of the logs before it."""
    before = (
        conn.execute(sa.select(installation).where(installation.c.shard == after.shard - 1)).mappings().one()
    )
    row = {**before, "shard": after.shard, "origin": after.origin}
    row.pop("mac")
    return rows.protect(after.custody, installation, row, bytes(32))
