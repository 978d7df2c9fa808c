"""Rules of keys that take turns: epochs of data keys, versions of the blind index.

Invariant: the next one is opened only when everything was moved to the one before, and a key is destroyed
only when nothing stands under it any more; so what was erased is gone with it, and nothing else is.
"""

from __future__ import annotations

from ledger.bodies import KeyEpoch, KeyIndex
from ledger.entries import Leaf
from ledger.verify.rules import Rule
from ledger.verify.state import Turns, World


def _next(number: int, turns: Turns) -> bool:
    """The first one may be opened by a leaf or stand from the beginning; it has nothing to move."""
    return number == turns.newest + 1 and turns.moved >= turns.newest


def _newest(number: int, turns: Turns) -> bool:
    return number == turns.newest > turns.moved


def _closed(number: int, turns: Turns) -> bool:
    return number < turns.newest == turns.moved and number not in turns.destroyed


def _epoch_next(_: Leaf, body: KeyEpoch, world: World) -> str | None:
    carried = world.previous is not None and world.epochs.newest == 0
    if body.event != "opened" or _next(body.epoch, world.epochs) or carried:
        return None
    return "epochs are opened one after the other, each when all survivors stand under the one before"


def _epoch_rewrapped(_: Leaf, body: KeyEpoch, world: World) -> str | None:
    if body.event != "rewrapped" or _newest(body.epoch, world.epochs):
        return None
    return "an epoch is said to hold all survivors that is not the newest, or did so before"


def _epoch_closed(_: Leaf, body: KeyEpoch, world: World) -> str | None:
    if body.event != "destroyed" or _closed(body.epoch, world.epochs):
        return None
    return "the key of an epoch was destroyed that is in use, or was destroyed before"


def _index_next(_: Leaf, body: KeyIndex, world: World) -> str | None:
    carried = world.previous is not None and world.indexes.newest == 1
    if body.event != "opened" or _next(body.version, world.indexes) or carried:
        return None
    return "versions of the index are opened one after the other, each when the one before is complete"


def _index_completed(_: Leaf, body: KeyIndex, world: World) -> str | None:
    if body.event != "completed" or _newest(body.version, world.indexes):
        return None
    return "a version of the index is said to be complete that is not the newest, or was so before"


def _index_closed(_: Leaf, body: KeyIndex, world: World) -> str | None:
    if body.event != "destroyed" or _closed(body.version, world.indexes):
        return None
    return "the key of an index was destroyed that is in use, or was destroyed before"


EPOCH_NEXT = Rule("epoch-next", _epoch_next)
EPOCH_REWRAPPED = Rule("epoch-rewrapped", _epoch_rewrapped)
EPOCH_CLOSED = Rule("epoch-closed", _epoch_closed)
INDEX_NEXT = Rule("index-next", _index_next)
INDEX_COMPLETED = Rule("index-completed", _index_completed)
INDEX_CLOSED = Rule("index-closed", _index_closed)


def apply_epoch(_: Leaf, body: KeyEpoch, world: World) -> None:
    """`key.epoch`."""
    _turn(body.event, body.epoch, world.epochs)
    world.epoch = world.epochs.newest


def apply_index(_: Leaf, body: KeyIndex, world: World) -> None:
    """`key.index`."""
    _turn(body.event, body.version, world.indexes)


def _turn(event: str, number: int, turns: Turns) -> None:
    if event == "opened":
        turns.newest = number
    elif event == "destroyed":
        turns.destroyed.add(number)
    else:
        turns.moved = number
