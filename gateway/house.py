"""The house: what every room is handed (settings, clock, randomness, custody, database) and its transaction.

Invariant: nothing below `House.transact` and the turnstile's group commits; no room opens a
session, reads the clock or a global. A head that goes behind what this process or the copy
outside has seen stops the house.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import sqlalchemy as sa
import structlog

from consent import policy as bundles
from consent.policy import PolicyBundle
from gateway import db, metrics, policies, tracing
from gateway.config import Settings
from gateway.decoy import Decoy
from gateway.errors import EvidenceBroken, LedgerUnavailable
from gateway.evidence import EvidenceCache
from gateway.heads import require_own
from gateway.institutions.published import regulators_of
from gateway.keyring import DataKey, Keyring
from gateway.lane import Lane, Slot
from gateway.logs import carrying
from gateway.news import News, news_since, reading_since
from gateway.query.known import Known
from gateway.query.lookup import find_batch
from gateway.receipts import Receipts
from gateway.rotation.epochs import Epochs, enter, read_epochs
from gateway.rotation.versions import forget_gone
from gateway.sealing import SealingKey, new_sealing_key, wrap_sealed
from gateway.signers import receipts_of
from gateway.transaction import Nonce, Transaction
from gateway.verified import Verified
from gateway.work import Act, only_group, run_in_savepoint, run_singly, seals
from keys.custody import Custody
from keys.fields import field_key_id
from keys.signing import PublicKey, Random
from ledger.exchange import alone, together
from ledger.fixed import Row
from ledger.log import Head, lock_head
from ledger.rows import locking_head
from ledger.tables import ledger_leaves

T = TypeVar("T")
Clock = Callable[[], int]
SHARD = 0

log = structlog.get_logger(__name__)


def wall_clock() -> int:
    """The system clock, in milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, eq=False)
class House:
    """Dependencies of every room. Built once per process by `gateway.opening.open_house`."""

    settings: Settings
    engine: sa.Engine
    custody: Custody
    clock: Clock
    random: Random
    origin: str
    policy: PolicyBundle
    keyring: Keyring
    sealed_keys: dict[int, DataKey]
    decoy: Decoy
    evidence: EvidenceCache
    receipts: Receipts
    registrars: dict[tuple[str, str], PublicKey] = field(default_factory=dict)
    operators: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # keyid -> who, of whom, jwk
    shard: int = SHARD
    sealing: SealingKey | None = None
    seen: Head | None = None
    epochs: Epochs = field(default_factory=Epochs)
    said_of_epochs: Epochs = field(default_factory=Epochs)
    accompanied: bool = True  # others have appended between the last two turns of this process
    rekeyed: int = 0  # how often data keys were replaced, as far as this process knows
    known: Known = field(default_factory=Known)
    whole: Verified = field(default_factory=Verified)  # persons' records, found whole
    lane: Lane = field(init=False)
    finding: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = Lane(self._carry, self.settings.batch_limit)
        self.finding = Lane(partial(find_batch, self), self.settings.batch_limit, "query.find")

    @property
    def policy_hash(self) -> str:
        """Name of `policy`: the bundle in force as of this process's last transaction."""
        return bundles.policy_hash(self.policy)

    def transact(
        self, act: Callable[[Transaction], T], *, seals: bool = True, nonce: Nonce | None = None
    ) -> T:
        """Run one act under the head's lock; returns once it is durable. Shares its commit with others.

        `ReplayedNonce` when `nonce` was spent before; what the act itself raises undoes the act alone.
        """
        return cast(T, self.lane.submit(run_singly, Act(act, seals, nonce)))

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A snapshot to read from, outside the lock."""
        return db.read(self.engine)

    @contextmanager
    def publishing(self) -> Iterator[sa.Connection]:
        """A short transaction of the publisher's: it swaps the checkpoint, nothing else."""
        with self.engine.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def putting_back(self) -> Iterator[sa.Connection]:
        """The one transaction in which a log that was put back recovers; it commits when the block ends well.

        Nothing else is at work in this house, which was opened `behind` its log for this alone.
        """
        with db.writing(self.engine) as conn:
            yield conn
            conn.commit()

    def _carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
        """Carry a batch: lock the head, do its work under the policy in force, commit.

        An act that meets a lost connection fails by itself; the batch that shared it cannot go on either.
        """
        try:
            self._carry_out(batch)
        except sa.exc.PendingRollbackError as error:
            raise LedgerUnavailable("the connection to the database was lost") from error

    def _carry_out(self, batch: Sequence[Slot[Any, Any]]) -> None:
        metrics.BATCH.observe(len(batch))
        said_of = carrying([slot.request for slot in batch])
        with said_of, tracing.span("ledger.commit"), db.writing(self.engine) as conn:
            tracing.tell("chengxin.batch", len(batch))
            group = only_group(batch)
            first = [] if group is None else group.first(self, conn, [slot.payload for slot in batch])
            # The lock waits its turn, and what is read after it in the same exchange sees what it waited for.
            # What others appended is read with them, where they did the last time.
            told = [reading_since(self.shard, self.seen)] if self.accompanied else []
            head, *found = together(conn, locking_head(self.shard), *first, *told)
            with metrics.LOCKED.time():  # from here on others wait
                require_own(self.custody, self.shard, head, self.seen)
                since = found.pop() if told else self._since(conn, head)
                news = news_since(since, self.seen, head)
                policy = self.policy if news.last is None else policies.named_by(conn, news.last, self.policy)
                self._follow(conn, news)
                tx = Transaction(self, conn, head, max(self.clock(), head.at), policy)
                self._work(tx, batch, news, found)
                tx.telling.write(conn)
                # Before anything of this batch is handed out: its receipts are by the key of its leaves.
                receipts = receipts_of(self, conn) if news.keys or tx.resigned else self.receipts
                after = self._commit(tx, head)
        self.receipts = receipts
        self.seen, self.sealing = after, tx.sealing or (None if tx.joined else self.sealing)
        self.policy, self.said_of_epochs = tx.policy, tx.epochs
        self.rekeyed += tx.rekeyed
        self.accompanied = news.last is not None
        metrics.HEAD.set(after.size)

    def _since(self, conn: sa.Connection, head: Head) -> Sequence[Row]:
        return () if head == self.seen else alone(conn, reading_since(self.shard, self.seen))

    def _follow(self, conn: sa.Connection, news: News) -> None:
        """Work under the epochs of which the ledger speaks by now, in this process's leaves or another's."""
        if news.epochs is None:
            said = read_epochs(conn, self.shard)
        else:
            said = self.said_of_epochs.following(news.epochs)
        if news.index:
            forget_gone(self.custody)
        self.rekeyed += news.data
        self.said_of_epochs = said
        if said != self.epochs:
            enter(self, conn, said)

    def listen(self) -> None:
        """Learn what the log says by now; nothing is written."""
        self.transact(lambda _tx: None, seals=False)

    def _work(
        self, tx: Transaction, batch: Sequence[Slot[Any, Any]], news: News, found: Sequence[Any]
    ) -> None:
        """Do the single acts, then each group as one; `found` is what the only group has read already."""
        # What seals nothing goes first: a regulator who joins in this batch is sealed to by its rest.
        for slot in batch:
            if not seals(slot):
                run_in_savepoint(tx, slot)
        rest = [slot for slot in batch if seals(slot)]
        if rest:
            self._announce(tx, news)
        groups: dict[Callable[..., Any], list[Slot[Any, Any]]] = defaultdict(list)
        for slot in rest:
            groups[slot.handler].append(slot)
        for slot in groups.pop(run_singly, []):
            run_in_savepoint(tx, slot)
        only = only_group(batch)
        for handler, slots in groups.items():
            payloads = [slot.payload for slot in slots]
            if only is None:
                outcomes = handler(tx, payloads)
                tx.flush()
            else:  # what it leaves to be written goes with the commit
                outcomes = only.work(tx, payloads, *found)
            for slot, outcome in zip(slots, outcomes, strict=True):
                slot.result = outcome

    def _announce(self, tx: Transaction, news: News) -> None:
        """Have a sealing key that today's regulators can open, announced by a leaf before its first use.

        While nobody else has published or revoked a key, no regulator can have come or gone since the last
        one but in this process itself, whose transaction says so.
        """
        current = self.sealing
        if current is None or tx.joined or news.keys or not current.is_of(tx.at):
            regulators = regulators_of(tx)
            if not regulators:
                self.sealing = None  # none of those it was sealed to may read what comes
                return
            if current is None or not current.serves(tx.at, regulators):
                current = new_sealing_key(tx.at, regulators, self.random)
                tx.append("key.sealing", current.announcement())
                tx.appender.flush()
        tx.sealing = current

    def wrap_sealed(self, blob: bytes, digest: str) -> bytes:
        """Wrap a regulator's blob for rest here, under the key of this epoch."""
        return wrap_sealed(self.sealed_keys[self.keyring.epoch], blob, digest)

    def unwrap_sealed(self, stored: bytes, digest: str) -> bytes:
        """The regulator's blob out of its wrapping at rest."""
        version = field_key_id(stored)
        if version not in self.sealed_keys:
            self.listen()  # another process opened an epoch meanwhile
        if version not in self.sealed_keys:
            raise EvidenceBroken("sealed details are wrapped under a key that is not there")
        return self.sealed_keys[version].open("ledger_sealed", "blob", bytes.fromhex(digest), stored)

    def _commit(self, tx: Transaction, before: Head) -> Head:
        """Write the rest and commit; when the outcome is unknown, read back whether the last leaf stands."""
        after = tx.appender.head
        try:
            tx.flush(commits=True)
        except sa.exc.DBAPIError as error:
            # Closed for good: if its transaction is open still, it ends, lock and all.
            tx.conn.invalidate(error)
            if after.size == before.size or not self._stands(after):
                raise LedgerUnavailable("the ledger could not be written") from error
            log.warning("commit.read_back", size=after.size)
        return after

    def _stands(self, after: Head) -> bool:
        try:
            with db.writing(self.engine) as conn:
                lock_head(conn, self.shard)  # PostgreSQL may be committing still: this waits for its end
                found = conn.scalar(
                    sa.select(ledger_leaves.c.leaf_hash).where(
                        ledger_leaves.c.shard == self.shard, ledger_leaves.c.idx == after.size - 1
                    )
                )
        except sa.exc.DBAPIError as error:
            raise LedgerUnavailable("the outcome of a commit is unknown") from error
        return bool(found == after.leaf_hash)
