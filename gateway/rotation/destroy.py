"""Destroying a closed epoch: from then on what was erased under it opens nowhere, old backups included.

Invariant: it happens under the head's lock, only after everything that survived was wrapped under a newer
epoch, and only when every copy of the key that left this installation is attested as destroyed. First the key
goes, then the leaf that says so: a leaf never claims a destruction that did not happen. Cut short between the
two, running it again writes the leaf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.copies import kept_with
from gateway.errors import NotReady
from gateway.rotation.epoch import say_of_epoch
from gateway.rotation.epochs import FIRST
from gateway.rotation.keybag import Keybag
from gateway.rotation.waiting import before
from keys.datakeys import epoch_key_name

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction


def destroy_epoch(house: House, epoch: int) -> int:
    """Destroy the key of an epoch; the index of the leaf. `NotReady` says why it may not be destroyed yet."""
    house.listen()
    _require_closed(house, epoch)
    bag = Keybag(house.custody, house.settings.home, epoch)
    bag.remove()  # what it holds opens no more in a moment, and stands in the newest one too

    def act(tx: Transaction) -> int:
        _require_unneeded(tx, epoch)
        name = epoch_key_name(epoch)
        if house.custody.has(name):
            house.custody.destroy(name)
        return say_of_epoch(tx, {"epoch": epoch, "event": "destroyed"})

    index = house.transact(act, seals=False)
    house.listen()
    return index


def _require_closed(house: House, epoch: int) -> None:
    """Refuse what is not an epoch of the past, rewrapped and still there."""
    epochs = house.epochs
    if epoch in epochs.destroyed:
        raise NotReady(f"epoch {epoch} is destroyed already: nothing was changed")
    if not FIRST <= epoch <= epochs.newest:
        raise NotReady(f"there is no epoch {epoch}: see `chengxin keys status`")
    if epoch == epochs.newest:
        raise NotReady(f"epoch {epoch} is in force: run `chengxin keys rotate epoch` first")
    if not epochs.rewrapped:
        raise NotReady("a rotation is not finished: run `chengxin keys rotate epoch` again first")


def _require_unneeded(tx: Transaction, epoch: int) -> None:
    """Under the lock: no row, and no copy of custody, holds on to the epoch."""
    if waits := before(tx.conn, epoch + 1):
        raise NotReady(f"{waits} rows stand under epoch {epoch} yet: run `chengxin keys rotate epoch` first")
    if held := kept_with(tx.house, tx.conn, epoch):
        named = ", ".join(copy.copy for copy in held)
        raise NotReady(
            f"the key of epoch {epoch} is in copies that are not attested as destroyed ({named}): "
            "destroy them and attest it with `chengxin keys copy-destroyed`"
        )
