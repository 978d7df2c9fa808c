"""The Merkle tree of RFC 6962, section 2.1, over 32-byte leaf hashes; pure.

Invariant: every proof made here is accepted by the checks here, and nothing else is. Proofs are read through
a `HashReader`, so that tiles on disk serve them without all the leaves.

Sizes are numbers of leaves, indexes start at 0, hashes are 32 raw bytes. The checks follow RFC 9162, sections
2.1.3.2 and 2.1.4.2, which verify the same proofs with a loop in place of the recursive definition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ledger.errors import BrokenTree, ProofFailed

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

HashReader = Callable[[int, int], bytes]
"""`read(level, index)`: hash of the complete subtree of 2**level leaves from leaf index * 2**level on."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes in order; `EMPTY_ROOT` when there are none."""
    return root_at(reader_over(hashes), len(hashes))


def reader_over(hashes: Sequence[bytes]) -> HashReader:
    """Reader over leaf hashes in memory. Complete subtrees are hashed once, here: about a hash per leaf."""
    levels = [list(hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def read(level: int, index: int) -> bytes:
        if level < 0 or index < 0:
            raise BrokenTree("no subtree stands there")
        try:
            return levels[level][index]
        except IndexError:
            raise BrokenTree("no complete subtree stands there") from None

    return read


def root_at(read: HashReader, size: int) -> bytes:
    """Root of the first `size` leaves."""
    _natural(size)
    return range_hash(read, 0, size) if size else EMPTY_ROOT


def range_hash(read: HashReader, start: int, end: int) -> bytes:
    """MTH(D[start:end]), `start` a multiple of a power of two >= length, as RFC 6962's splitting makes it.

    Reads the complete subtrees from the right, each the largest that fits, and joins them: O(log n) reads.
    """
    if end <= start:
        raise BrokenTree("empty range")
    rest, digest = end, b""
    while rest > start:
        width = (rest - start) & -(rest - start)  # the last complete subtree has the lowest set bit's width
        level = width.bit_length() - 1
        rest -= width
        subtree = read(level, rest >> level)
        digest = node_hash(subtree, digest) if digest else subtree
    return digest


def inclusion_proof(read: HashReader, size: int, index: int) -> tuple[bytes, ...]:
    """Audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), the leaf's sibling first.

    Raises BrokenTree when the tree has no such leaf.
    """
    _natural(size)
    if not 0 <= index < size:
        raise BrokenTree("the tree has no such leaf")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(read, middle, end))
            end = middle
        else:
            path.append(range_hash(read, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(read: HashReader, old: int, new: int) -> tuple[bytes, ...]:
    """Proof that the tree of `old` leaves is a prefix of that of `new` (RFC 6962, 2.1.2).

    Empty if old is 0 or new. Raises BrokenTree when old > new.
    """
    _natural(old)
    if old > new:
        raise BrokenTree("the older tree is the larger")
    if old in (0, new):
        return ()
    path: list[bytes] = []
    start, end = 0, new
    known = True  # the subtree reached is the whole old tree, whose root the verifier has
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_hash(read, middle, end))
            end = middle
        else:
            path.append(range_hash(read, start, middle))
            start = middle
            known = False
    if not known:
        path.append(range_hash(read, start, end))
    return tuple(reversed(path))


def check_inclusion(proof: Sequence[bytes], size: int, root: bytes, index: int, leaf_hash: bytes) -> None:
    """Accept iff `leaf_hash` stands at `index` under `root` of a tree of `size` leaves; else ProofFailed."""
    if not 0 <= index < size:
        raise ProofFailed("the tree has no such leaf")
    _hashes(*proof, root, leaf_hash)
    node, last, digest = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofFailed("the inclusion proof is too long")
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            while not node & 1 and node:  # a right edge: levels without a sibling are skipped
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofFailed("the inclusion proof is too short")
    if digest != root:
        raise ProofFailed("the inclusion proof leads to another root")


def check_consistency(proof: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes) -> None:
    """Accept iff the tree (old, old_root) is a prefix of the tree (new, new_root); else ProofFailed."""
    if not 0 <= old <= new:
        raise ProofFailed("the older tree is the larger")
    _hashes(*proof, old_root, new_root)
    if old in (0, new):
        expected_old = EMPTY_ROOT if old == 0 else new_root
        expected_new = EMPTY_ROOT if new == 0 else new_root
        if proof or (old_root, new_root) != (expected_old, expected_new):
            raise ProofFailed("the consistency proof leads to another root")
    elif _consistent_roots(proof, old, new, old_root) != (old_root, new_root):
        raise ProofFailed("the consistency proof leads to another root")


def _consistent_roots(proof: Sequence[bytes], old: int, new: int, old_root: bytes) -> tuple[bytes, bytes]:
    """Both roots that a proof leads to (RFC 9162, 2.1.4.2), for 0 < old < new."""
    complete = not old & (old - 1)  # a complete tree is its own first subtree, which the proof leaves out
    hashes = [old_root, *proof] if complete else list(proof)
    if not hashes:
        raise ProofFailed("the consistency proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_digest = new_digest = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofFailed("the consistency proof is too long")
        if node & 1 or node == last:
            old_digest = node_hash(sibling, old_digest)
            new_digest = node_hash(sibling, new_digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_digest = node_hash(new_digest, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofFailed("the consistency proof is too short")
    return old_digest, new_digest


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 6962's k), for size > 1."""
    return 1 << ((size - 1).bit_length() - 1)


def _natural(size: int) -> None:
    if size < 0:
        raise BrokenTree("a tree has no negative size")


def _hashes(*hashes: bytes) -> None:
    if any(len(digest) != HASH_SIZE for digest in hashes):
        raise ProofFailed("a hash is not 32 bytes")
