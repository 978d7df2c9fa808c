"""What a batch carries: single acts, each in a savepoint of its own, and groups that are one piece of work.

Invariant: an act that fails undoes its own rows and leaves, and only those. What a group reads first is read
under the lock, in the exchange that takes it, and only where nothing in the same transaction comes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gateway import db
from gateway.errors import ReplayedNonce
from gateway.lane import Slot
from gateway.transaction import Nonce, Transaction
from ledger.exchange import Reading, together

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gateway.house import House

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Act:
    """Work for one transaction.

    `seals` says that a leaf of it carries details for the regulator; `nonce`, of the signed request behind
    it, is spent whatever becomes of the work.
    """

    run: Callable[[Transaction], Any]
    seals: bool
    nonce: Nonce | None


@dataclass(frozen=True, slots=True)
class Grouped(Generic[P, R]):
    """Work that is done for all of a group at once; `work` returns an outcome for each, in order.

    `first` says what has to be read before it, knowing only what stood before the lock; `work` is handed
    what was found, after the payloads. What it writes last of all it leaves to `Transaction.write_later`: to
    be sent with the leaves, and with the commit where nothing else is in the batch.
    """

    first: Callable[[House, sa.Connection, Sequence[P]], Sequence[Reading[Any]]]
    work: Callable[..., list[R]]

    def __call__(self, tx: Transaction, payloads: Sequence[P]) -> list[R]:
        """The same inside a transaction that does other things too, before it and after."""
        return self.work(tx, payloads, *together(tx.conn, *self.first(tx.house, tx.conn, payloads)))


def run_singly(_tx: Transaction, _acts: Sequence[Act]) -> None:
    """Names the slots that run one by one, each in a savepoint of its own (see `House._work`)."""
    raise AssertionError("single acts are run by the house itself")


def only_group(batch: Sequence[Slot[Any, Any]]) -> Grouped[Any, Any] | None:
    """The one group that all of a batch belongs to, if it is one."""
    handler = batch[0].handler
    if isinstance(handler, Grouped) and all(slot.handler is handler for slot in batch):
        return handler
    return None


def seals(slot: Slot[Any, Any]) -> bool:
    """Whether a leaf of this may carry details for the regulator."""
    return slot.payload.seals if isinstance(slot.payload, Act) else True


def run_in_savepoint(tx: Transaction, slot: Slot[Any, Any]) -> None:
    """One act: its failure undoes its own rows and leaves, and only those."""
    act: Act = slot.payload
    if act.nonce is not None and tx.spend([act.nonce]) != [True]:
        slot.error = ReplayedNonce()
        return
    mark, told = tx.appender.mark(), tx.telling.mark()
    policy, epochs = tx.policy, tx.epochs
    savepoint = tx.conn.begin_nested()
    try:
        slot.result = act.run(tx)
        db.require_sound(tx.conn)  # an act that passes over a failed statement fails itself, not the batch
        tx.flush()
    except Exception as error:  # noqa: BLE001  the act's own failure, handed to whoever waits for it
        savepoint.rollback()
        tx.forget(mark)
        tx.telling.rewind(told)
        tx.policy, tx.epochs = policy, epochs
        slot.error = error
    else:
        savepoint.commit()
