"""The house's transaction: the only way anything is written, and the only place that commits.

Invariant: a `Transaction` exists only while the head is locked; `at` never goes back; what it appends, the
rows that depend on it and the nonces it spends commit together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from consent.policy import PolicyBundle, policy_hash
from gateway import rows
from gateway.errors import LedgerUnavailable, NotReady
from gateway.events.telling import Telling
from gateway.heads import head_mac
from gateway.sealing import SealingKey, wrap_sealed
from gateway.tables import request_nonces
from keys.canonical import unb64u
from keys.instant import parse_instant
from ledger.drafts import Closed, Draft, Entry, Ready, Sealing, close, make_ready
from ledger.entries import parse_leaf
from ledger.exchange import Reading, alone, run
from ledger.fixed import Call
from ledger.log import Appender, Head
from ledger.sets import both, pairs, to_insert
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

# Built once: building a statement costs more than running it.
SPENT = both(
    lambda among: sa.select(request_nonces.c.key, request_nonces.c.nonce).where(
        among((request_nonces.c.key, request_nonces.c.nonce), "spent")
    )
)


class Nonce(msgspec.Struct, frozen=True):
    """The nonce of one signed request and the instant (ms) after which the request is stale anyway."""

    key: str
    nonce: str
    expires: int


class Transaction:
    """Appends, reads and writes of one batch, under the head's lock."""

    def __init__(self, house: House, conn: sa.Connection, head: Head, at: int, policy: PolicyBundle) -> None:
        """`policy` is in force as the batch begins; an act that changes it changes it for what follows."""
        self.house = house
        self.conn = conn
        self.at = at
        self.policy = policy
        self.sealing: SealingKey | None = None
        self.telling = Telling()
        self._later: list[Call] = []
        self.epochs = house.said_of_epochs
        self.rekeyed = False  # data keys were replaced: what was looked up before may be of the old ones
        self.joined = False  # a regulator's key came or went: what is sealed from now on goes to those of now
        self.resigned = False  # our receipt key was replaced: receipts from here on are by the one of now
        self.appender = Appender(
            conn=conn,
            shard=house.shard,
            origin=house.origin,
            head=head,
            at=at,
            policy_hash=policy_hash(policy),
            random=house.random,
            seal=self._seal,
            wrap=house.wrap_sealed,
            epoch=house.keyring.epoch,
            head_mac=partial(head_mac, house.custody, house.shard),
        )

    def append(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        tag: bytes | None = None,
        by: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | Closed | None = None,
        about: str | None = None,
    ) -> Entry:
        """Append one leaf of type `kind`. `details` are sealed for the regulator, `about` names its row."""
        return self.record(Draft(type=kind, body=body, tag=tag, by=by, details=details, about=about))

    def record(self, leaf: Draft | Ready) -> Entry:
        """Append one leaf, a draft or what `prepare` made of one: again, where key or epoch have changed."""
        draft = leaf.draft if isinstance(leaf, Ready) else leaf
        closed = leaf.closed if isinstance(leaf, Ready) else draft.details
        if draft.details is not None and self.sealing is None:
            raise NotReady(
                "no regulator is registered: run `chengxin institution add --sector regulator`",
                "no-regulator",
            )
        if isinstance(closed, Closed) and (closed.key, closed.epoch) != self._sealing():
            leaf = msgspec.structs.replace(draft, details=closed.details)
        entry = self.appender.append(leaf)
        self.telling.hear(entry, draft.body, draft.about)
        return entry

    def _sealing(self) -> tuple[str | None, int]:
        """The id of the key that details are sealed with by now, and the epoch they are wrapped under."""
        return None if self.sealing is None else self.sealing.id, self.house.keyring.epoch

    def key_changed(self, use: str) -> None:
        """A key of this use came or ended in this transaction."""
        self.joined |= use == "regulator"
        self.resigned |= use == "receipt"

    def protect(self, table: sa.Table, row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
        """The row as changed by `entry`, with its MAC."""
        return rows.protect(self.house.custody, table, {**row, "changed_index": entry.index}, entry.leaf_hash)

    def latest(self, about: str) -> int | None:
        """Index of the newest leaf about a row, or None."""
        return rows.latest(self.conn, about, self.house.shard)

    def entry(self, index: int) -> Entry:
        """A committed leaf as the entry it was appended as."""
        leaves = ledger_leaves.c
        row = self.conn.execute(
            sa.select(leaves.leaf, leaves.leaf_hash).where(
                leaves.shard == self.house.shard, leaves.idx == index
            )
        ).one()
        leaf = parse_leaf(row.leaf)
        return Entry(index, row.leaf_hash, row.leaf, parse_instant(leaf.at), leaf.type, unb64u(leaf.salt))

    def spend(self, nonces: Sequence[Nonce]) -> list[bool]:
        """Spend the nonces of signed requests, all in two statements; aligned, True where it was fresh."""
        fresh = self.are_fresh(nonces, alone(self.conn, reading_spent(self.conn, nonces)))
        run(self.conn, self.to_keep([nonce for nonce, first in zip(nonces, fresh, strict=True) if first]))
        return fresh

    def are_fresh(self, nonces: Sequence[Nonce], spent: Set[tuple[str, str]]) -> list[bool]:
        """Aligned with `nonces`: True where one was never seen and is not stale. `to_keep` then spends it.

        `spent` is what `reading_spent` read of them under this lock.
        """
        known, fresh = set(spent), []
        for nonce in nonces:
            pair = (nonce.key, nonce.nonce)
            fresh.append(pair not in known and self.at <= nonce.expires)
            known.add(pair)
        return fresh

    def to_keep(self, nonces: Sequence[Nonce]) -> list[Call]:
        """What remembers that these were spent."""
        spent = [{"key": one.key, "nonce": one.nonce, "expires": one.expires} for one in nonces]
        return to_insert(self.conn, request_nonces, spent)

    def write_later(self, calls: Sequence[Call]) -> None:
        """Have these written with the leaves that are still to be written, in one exchange: by `flush`."""
        self._later += calls

    def flush(self, *, commits: bool = False) -> Head:
        """Write what is still to be written; the head then. With `commits` the transaction ends with it."""
        later, self._later = self._later, []
        return self.appender.flush(later, commits=commits)

    def forget(self, mark: int) -> None:
        """Forget what was appended after `mark`, and all that was still to be written."""
        self._later = []
        self.appender.rewind(mark)

    def _seal(self, details: bytes, salt: bytes) -> tuple[str, bytes]:
        """Seal a leaf's details for the appender: the id of the sealing key, and the blob."""
        if self.sealing is None:
            raise LedgerUnavailable("details need a sealing key that was announced")
        return _seal(self.house, self.sealing, details, salt)


def reading_spent(conn: sa.Connection, nonces: Sequence[Nonce]) -> Reading[set[tuple[str, str]]]:
    """Key and nonce of those among these that were spent before."""
    named = [(nonce.key, nonce.nonce) for nonce in nonces]
    return {(row.key, row.nonce) for row in (yield Call(SPENT, pairs(conn, "spent", named)))}


def prepare(house: House, draft: Draft) -> Draft | Ready:
    """The leaf made ready before the lock is taken, for `Transaction.record`: less is then done under it.

    Details are sealed under the key of now; where there is none yet, the draft stays as it is.
    """
    if draft.details is None or isinstance(draft.details, Closed):
        return make_ready(draft, house.random)
    sealing = _sealing_of(house)
    return draft if sealing is None else make_ready(draft, house.random, sealing)


def close_details(house: House, details: Mapping[str, Any]) -> Mapping[str, Any] | Closed:
    """The details of one leaf sealed before the lock is taken, where its body is known only under it.

    As `prepare`: under the key of now; where there is none yet, they stay as they are.
    """
    sealing = _sealing_of(house)
    return details if sealing is None else close(details, house.random, sealing)


def _sealing_of(house: House) -> Sealing | None:
    # An epoch and its own key, taken once: one that begins meanwhile is noticed under the lock.
    key, epoch = house.sealing, house.keyring.epoch
    resting = house.sealed_keys.get(epoch)
    if key is None or resting is None:
        return None
    return Sealing(partial(_seal, house, key), partial(wrap_sealed, resting), epoch)


def _seal(house: House, sealing: SealingKey, details: bytes, salt: bytes) -> tuple[str, bytes]:
    return sealing.id, sealing.seal(details, house.origin, salt, house.random)


def purge_nonces(tx: Transaction) -> int:
    """Forget nonces whose requests are stale by the newest leaf's time, which never goes back; how many.

    Not by the clock's: were it set back afterwards, a forgotten nonce would serve again.
    """
    stale = sa.delete(request_nonces).where(request_nonces.c.expires < tx.appender.head.at)
    return tx.conn.execute(stale).rowcount
