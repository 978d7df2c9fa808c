"""Rotation and replacement of the gateway's own signing keys: of receipts and of checkpoints.

Invariant: there is one key of each use in force at every leaf, and its private half is in custody before the
leaf that names it. What it signs counts in its range alone, so the old private half is destroyed once nothing
of its range can be left to sign. Every step is found done, or done again, by running the command again:

    1 the successor in custody          one that no leaf names yet is taken up, none is made beside it
    2 key.rotated and key.revoked       one transaction; or key.revoked and key.published, when it was lost
    3 checkpoint: the first note by the new key, in the database, outside, and in the served file
    4 the old private half destroyed    receipts: when no server runs, or a minute after its end

While step 4 is not done a rotation is unfinished, and running it again only finishes it. No process has to be
told: receipts follow the ledger (`House._carry`), and so do publishers (`ledger.publish`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.errors import Rejected
from gateway.institutions.published import listed, publish_key
from gateway.institutions.replaced import Cause, in_force, revoke_key, rotate_key
from gateway.receipts import CustodySigner, custody_signer
from gateway.signers import CHECKPOINT_KEY, OwnUse, log_keys, names_of, number_of, signers_of
from keys.instant import parse_instant
from keys.rotation import rotate
from ledger.entries import parse_leaf
from ledger.errors import BrokenCheckpoint
from ledger.files import read_if_there
from ledger.log import Entry
from ledger.logkeys import claimed
from ledger.publish import read_published
from ledger.rows import read_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

GRACE_MS = 60_000
"""After its end, how long a receipt key is kept for answers that were on their way: twice a request's."""
OWN: tuple[OwnUse, ...] = ("checkpoint", "receipt")


@dataclass(frozen=True, slots=True)
class Replaced:
    """What stands in the ledger: from `index` on `kid` is the key. `resumed`: by an earlier run."""

    use: OwnUse
    index: int
    kid: str
    resumed: bool


def rotate_own(house: House, use: OwnUse) -> Replaced:
    """Steps 1 and 2 of a rotation; of one that is not finished nothing is done again.

    `Rejected` when custody does not hold the key in force: then it is lost, and `replace_own` is the way.
    """

    def act(tx: Transaction, successor: CustodySigner) -> Entry:
        old = signers_of(house.custody, use).get(in_force(tx, use, house.origin)["kid"])
        if old is None:
            raise Rejected(
                "not-found",
                f"custody does not hold the {use} key in force: put custody back, or, if it is lost, run "
                f"`chengxin keys revoke {use} --cause lost`",
            )
        return rotate_key(tx, rotate(house.origin, use, house.origin, old, successor))

    return _replace(house, use, act)


def replace_own(house: House, use: OwnUse, cause: Cause) -> Replaced:
    """The same for a key that cannot or may not sign its successor: revoked, and another published.

    Whoever pinned the old one needs a new pin, which the ledger cannot give.
    """

    def act(tx: Transaction, successor: CustodySigner) -> Entry:
        revoke_key(tx, use, house.origin, cause)
        return publish_key(tx, use, successor.jwk, successor.kid, house.origin)

    return _replace(house, use, act)


def _replace(house: House, use: OwnUse, act: Callable[[Transaction, CustodySigner], Entry]) -> Replaced:
    with house.read() as conn:
        rows = listed(house, conn, use)
    if _ended_in_custody(house, use, rows):
        return Replaced(use, rows[-1]["since"], rows[-1]["kid"], resumed=True)
    successor = _successor(house, use, rows)

    def under_the_lock(tx: Transaction) -> Entry | Mapping[str, Any]:
        standing = {row["kid"]: row for row in listed(house, tx.conn, use)}
        return standing.get(successor.kid) or act(tx, successor)

    done = house.transact(under_the_lock, seals=False)
    if isinstance(done, Entry):
        return Replaced(use, done.index, successor.kid, resumed=False)
    return Replaced(use, done["since"], successor.kid, resumed=True)


def _successor(house: House, use: OwnUse, rows: list[Mapping[str, Any]]) -> CustodySigner:
    """A key in custody that no leaf names: what an earlier run left, or a new one, durable before it."""
    known = {row["kid"] for row in rows}
    waiting = [signer for kid, signer in signers_of(house.custody, use).items() if kid not in known]
    if waiting:
        return waiting[-1]
    # A number is not used again, although the keys of earlier ones are gone.
    number = max([len(rows), *map(number_of, names_of(house.custody, use))]) + 1
    name = f"{use}-{number}"
    house.custody.generate(name, "ed25519")
    return custody_signer(house.custody, name)


def retire_ended(house: House, *, idle: bool = False) -> int:
    """Step 4, for whatever ended: destroy private halves that nothing is left to sign with; how many.

    `idle`: no other process answers requests here, so no receipt is on its way. A chore of housekeeping.
    """
    destroyed = 0
    for use in OWN:
        with house.read() as conn:
            rows = listed(house, conn, use)
        for row, signer in _ended_in_custody(house, use, rows):
            if use == CHECKPOINT_KEY:
                done = _published_beyond(house, row["ended_index"])
            else:
                done = idle or house.clock() - _ended_at(house, row) >= GRACE_MS
            if done:
                house.custody.destroy(signer.name)
                destroyed += 1
    return destroyed


def unfinished(house: House, use: OwnUse) -> bool:
    """Whether the private half of a key that ended is still in custody."""
    with house.read() as conn:
        return bool(_ended_in_custody(house, use, listed(house, conn, use)))


def _ended_in_custody(
    house: House, use: OwnUse, rows: list[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], CustodySigner]]:
    held = signers_of(house.custody, use)
    ended = (row for row in rows if row["ended_index"] is not None)
    return [(row, held[row["kid"]]) for row in ended if row["kid"] in held]


def _ended_at(house: House, row: Mapping[str, Any]) -> int:
    """When a key ended (ms): the time of the leaf that changed its row last."""
    index = row["changed_index"]
    with house.read() as conn:
        [leaf] = read_leaves(conn, house.shard, index, index + 1)
    return parse_instant(parse_leaf(leaf).at)


def _published_beyond(house: House, ended: int) -> bool:
    """Whether a later key's checkpoint stands everywhere, so that the ended one's is nowhere needed."""
    with house.read() as conn:
        found = read_published(conn, house.shard, log_keys(house, conn))
    if found is None or found.checkpoint.size <= ended:
        return False
    files = (house.settings.checkpoint_copy, house.settings.log_dir / "checkpoint")
    return all(_size_of(read_if_there(path)) > ended for path in files)


def _size_of(note: bytes | None) -> int:
    try:
        return 0 if note is None else claimed(note).size
    except BrokenCheckpoint:
        return 0
