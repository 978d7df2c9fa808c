"""Offline proofs that a leaf stands in the log: index, audit path and checkpoint (C2SP tlog-proof@v1).

Invariant: `parse_proof` accepts exactly what `format_proof` emits; `verify_proof` trusts nothing but the
log's key. The extra data is not authenticated by anything.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from keys.notes import Vkey
from ledger.checkpoint import Checkpoint, decode_hash, encode_hash, open_checkpoint
from ledger.errors import BrokenCheckpoint
from ledger.merkle import HASH_SIZE, check_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63
MAX_PROOF: Final = 1 << 20
_INDEX: Final = re.compile(r"\Aindex (0|[1-9][0-9]{0,15})\Z")


@dataclass(frozen=True, slots=True)
class Proof:
    """Leaf `index`, its audit `path` (the leaf's sibling first), the signed note `checkpoint` verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_proof(proof: Proof) -> bytes:
    """The proof's text in UTF-8. Raises BrokenCheckpoint for members out of their form."""
    shaped = len(proof.path) <= MAX_PATH and all(len(digest) == HASH_SIZE for digest in proof.path)
    if not 0 <= proof.index < 2**53 or not shaped or proof.extra == b"" or not proof.checkpoint:
        raise BrokenCheckpoint("the proof has no valid form")
    lines = [HEADER]
    if proof.extra is not None:
        lines.append("extra " + encode_hash(proof.extra))
    lines.append(f"index {proof.index}")
    lines += [encode_hash(digest) for digest in proof.path]
    return "\n".join(lines).encode("ascii") + b"\n\n" + proof.checkpoint


def parse_proof(data: bytes) -> Proof:
    """Proof from its text; raises BrokenCheckpoint. The checkpoint inside is not yet opened."""
    head, blank, checkpoint = data.partition(b"\n\n")
    if len(data) > MAX_PROOF or not blank or not head.isascii():
        raise BrokenCheckpoint("the proof has no checkpoint")
    lines = head.decode("ascii").split("\n")
    if lines.pop(0) != HEADER or not lines:
        raise BrokenCheckpoint("not a tlog-proof@v1")
    extra = _extra(lines.pop(0)) if lines[0].startswith("extra ") else None
    index = _INDEX.match(lines.pop(0)) if lines else None
    if index is None:
        raise BrokenCheckpoint("the proof names no index")
    proof = Proof(int(index[1]), tuple(decode_hash(line) for line in lines), checkpoint, extra)
    if format_proof(proof) != data:
        raise BrokenCheckpoint("the proof is not canonical")
    return proof


def verify_proof(proof: Proof, leaf_hash: bytes, vkey: Vkey) -> Checkpoint:
    """The checkpoint under which `leaf_hash` stands at the proof's index.

    Raises BrokenCheckpoint when the log's key did not sign it, ProofFailed when the path leads elsewhere.
    """
    checkpoint = open_checkpoint(proof.checkpoint, vkey)
    check_inclusion(proof.path, checkpoint.size, checkpoint.root, proof.index, leaf_hash)
    return checkpoint


def _extra(line: str) -> bytes:
    try:
        return base64.b64decode(line.removeprefix("extra "), validate=True)
    except binascii.Error:
        raise BrokenCheckpoint("the extra data is not base64") from None
