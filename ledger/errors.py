"""Errors of the ledger. Broken evidence raises one of these; nothing here is ever a refusal to a client.

No message carries a value of the evidence, only what was wrong and where.
"""

from __future__ import annotations


class LedgerError(Exception):
    """Root of this package's errors.

    LedgerError
    ├── MalformedLeaf         a leaf that the formatter would not emit, or a draft that is no leaf
    ├── MalformedTile         a tile, bundle or tile path that the formatter would not emit
    ├── BrokenTree            hashes that do not add up
    │   └── ProofFailed       an inclusion or consistency proof that does not lead to its root
    ├── BrokenCheckpoint      a checkpoint (or the proof around it) that does not parse or verify
    ├── HeadBehind            the log contradicts a checkpoint already published
    │   ├── RolledBack        it is shorter: a restored backup
    │   └── Forked            it has another root at that size: another history
    ├── LogBusy               the head moved, or was not there, where the lock should have held it
    └── Finding               what `ledger.verify` found first, with the leaf's index and the rule
    """


class MalformedLeaf(LedgerError):
    """Bytes that are not a canonical leaf of a known type, or a draft that would make one."""


class MalformedTile(LedgerError):
    """A tile, entry bundle or tile path that is not in its only valid form."""


class BrokenTree(LedgerError):
    """Stored hashes that contradict each other or are missing."""


class ProofFailed(BrokenTree):
    """A Merkle proof that does not lead from its leaf or old root to the root claimed."""


class BrokenCheckpoint(LedgerError):
    """A checkpoint or offline proof whose text or signature is not valid."""


class HeadBehind(LedgerError):
    """The log contradicts a checkpoint that was already published; nothing may be signed or answered."""


class RolledBack(HeadBehind):
    """The log is shorter than a checkpoint that was already published."""


class Forked(HeadBehind):
    """The log has another root at the size of a checkpoint that was already published."""


class LogBusy(LedgerError):
    """The head was not what the lock promised: another writer, or no log at all."""


class Finding(LedgerError):
    """The first thing an auditor's verification finds wrong.

    `index` is the leaf's index, or None where the fault belongs to no leaf; `rule` is its stable name.
    """

    def __init__(self, index: int | None, rule: str, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.rule = rule
        self.message = message

    def __str__(self) -> str:
        """One line: where, which rule, what."""
        where = "log" if self.index is None else f"leaf {self.index}"
        return f"{where}: {self.rule}: {self.message}"
