"""The keys that sign a log's checkpoints, one after the other, each for its own range of sizes.

Invariant: a checkpoint counts only under the key that was in force for its size. A rotation or revocation at
index r ends a key for every tree that holds that leaf: sizes up to r are the old key's, larger ones the
new one's. Where a key was revoked and no other was published, no size can be signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.errors import KeysError
from keys.notes import Vkey, peek_note
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.errors import BrokenCheckpoint


@dataclass(frozen=True, slots=True)
class LogKey:
    """A verifier key, the index of the leaf that brought it (0 for the first), and of the one that ended it.

    Both in leaves; `ended` is None for a key in force.
    """

    vkey: Vkey
    since: int = 0
    ended: int | None = None

    def covers(self, size: int) -> bool:
        """Whether this key signs a tree of `size` leaves."""
        return (self.since == 0 or size > self.since) and (self.ended is None or size <= self.ended)


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All keys of one log, ascending. One alone is a log that never rotated."""

    keys: tuple[LogKey, ...]

    @classmethod
    def only(cls, vkey: Vkey) -> LogKeys:
        """Of a log that is known by one key, for every size."""
        return cls((LogKey(vkey),))

    @property
    def current(self) -> Vkey:
        """The newest key. Raises BrokenCheckpoint where there never was one."""
        if not self.keys:
            raise BrokenCheckpoint("the log never had a checkpoint key")
        return self.keys[-1].vkey

    def at(self, size: int) -> Vkey:
        """The key that signs a tree of `size` leaves. Raises BrokenCheckpoint when none was in force."""
        for key in self.keys:
            if key.covers(size):
                return key.vkey
        raise BrokenCheckpoint("no checkpoint key of the log was in force at that size")

    def open(self, note: bytes) -> Checkpoint:
        """Checkpoint of a note by the key of its own size. Raises BrokenCheckpoint."""
        return open_checkpoint(note, self.at(claimed(note).size))


def claimed(note: bytes) -> Checkpoint:
    """What a note says, unverified: its size tells which key must have signed it. Raises BrokenCheckpoint."""
    try:
        return parse_checkpoint(peek_note(note).text)
    except KeysError:
        raise BrokenCheckpoint("the checkpoint is no signed note") from None
