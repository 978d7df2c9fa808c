"""Checkpoints: origin, size and root of the log at one moment, signed.

C2SP tlog-checkpoint over signed-note. Invariant: no extension lines, the key's name is the origin, and
`parse_checkpoint` accepts exactly what `format_checkpoint` emits.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keys.errors import KeysError
from keys.notes import Vkey, open_note, sign_note
from ledger.errors import BrokenCheckpoint
from ledger.merkle import HASH_SIZE

_SIZE: Final = re.compile(r"\A(0|[1-9][0-9]{0,15})\Z")
_ORIGIN: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tree head: `size` leaves under `root` (32 bytes) of the log `origin`."""

    origin: str
    size: int
    root: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text: three lines, each ended by a newline. Raises BrokenCheckpoint for bad members."""
    if (
        not _ORIGIN.match(checkpoint.origin)
        or not 0 <= checkpoint.size < 2**53
        or len(checkpoint.root) != HASH_SIZE
    ):
        raise BrokenCheckpoint("the checkpoint has no valid form")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_hash(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Checkpoint from its note text; raises BrokenCheckpoint."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _SIZE.match(lines[1]):
        raise BrokenCheckpoint("a checkpoint is three lines: origin, size, root")
    checkpoint = Checkpoint(lines[0], int(lines[1]), decode_hash(lines[2]))
    if format_checkpoint(checkpoint) != text:
        raise BrokenCheckpoint("the checkpoint is not canonical")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, sign: Callable[[bytes], bytes], public: bytes) -> bytes:
    """The signed note, its key named by the origin. `public` is the raw Ed25519 key that `sign` signs for."""
    return sign_note(format_checkpoint(checkpoint), checkpoint.origin, sign, public)


def open_checkpoint(note: bytes, vkey: Vkey) -> Checkpoint:
    """Checkpoint of a note that the log's key signed, whoever else did. Raises BrokenCheckpoint."""
    try:
        opened = open_note(note, [vkey])
    except KeysError:
        raise BrokenCheckpoint("the checkpoint's signature does not verify") from None
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != vkey.name:
        raise BrokenCheckpoint("the checkpoint is of another log")
    return checkpoint


def encode_hash(digest: bytes) -> str:
    """Standard base64 (RFC 4648, section 4), as C2SP texts write hashes."""
    return base64.b64encode(digest).decode("ascii")


def decode_hash(text: str) -> bytes:
    """32 bytes from their only base64 spelling; raises BrokenCheckpoint."""
    try:
        digest = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BrokenCheckpoint("a hash is not base64") from None
    if len(digest) != HASH_SIZE or encode_hash(digest) != text:
        raise BrokenCheckpoint("a hash is not 32 bytes in canonical base64")
    return digest
