"""Rules of the copies of custody: each is described once, and attested as destroyed once.

Invariant: no epoch's key is said to be destroyed while a copy that holds it is still kept.
"""

from __future__ import annotations

from ledger.bodies import KeyBackup, KeyEpoch
from ledger.entries import Leaf
from ledger.verify.rules import Rule
from ledger.verify.state import Copy, World


def _copy_once(_: Leaf, body: KeyBackup, world: World) -> str | None:
    if body.event == "made" and body.copy in world.copies:
        return "a copy of this id was made before"
    return None


def _copy_kept(_: Leaf, body: KeyBackup, world: World) -> str | None:
    if body.event == "made":
        return None
    copy = world.copies.get(body.copy)
    return None if copy is not None and copy.kept else "no copy of this id was kept"


def _copy_epochs(_: Leaf, body: KeyBackup, world: World) -> str | None:
    if all(epoch <= world.epoch for epoch in body.epochs):
        return None
    return "a copy holds the key of an epoch that was not opened"


def _copies_attested(_: Leaf, body: KeyEpoch, world: World) -> str | None:
    if body.event != "destroyed":
        return None
    kept = any(copy.kept and body.epoch in copy.epochs for copy in world.copies.values())
    return "an epoch's key was destroyed here, and a copy that holds it is kept" if kept else None


COPY_ONCE = Rule("copy-once", _copy_once)
COPY_KEPT = Rule("copy-kept", _copy_kept)
COPY_EPOCHS = Rule("copy-epochs", _copy_epochs)
COPIES_ATTESTED = Rule("copies-attested", _copies_attested)
"""For `key.epoch`."""


def apply_backup(_: Leaf, body: KeyBackup, world: World) -> None:
    """`key.backup`."""
    if body.event == "made":
        world.copies[body.copy] = Copy(frozenset(body.epochs))
    else:
        world.copies[body.copy].kept = False
