"""Where a log stands against the newest checkpoint that was kept outside of its database.

Invariant: nothing is written here, and nothing is believed of the database: only compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from gateway import db, provision
from gateway.opening import newest_log
from keys.notes import peek_note
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.files import read_if_there
from ledger.log import read_head
from ledger.tiles import TileDirectory

if TYPE_CHECKING:
    from gateway.config import Settings


class Standing(Enum):
    """WHOLE: nothing is missing. RECOVERABLE: the tiles hold it. BEYOND: not even they do."""

    WHOLE = "whole"
    RECOVERABLE = "recoverable"
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class Found:
    """Leaves in the database, under the checkpoint outside, and in the tiles."""

    standing: Standing
    database: int
    outside: int
    tiles: int


def standing_of(settings: Settings) -> Found:
    """Where the log of these settings stands. Signatures are not checked: opening the gateway does that."""
    note = read_if_there(settings.checkpoint_copy)
    outside = 0 if note is None else _unverified(note).size
    tiles = TileDirectory(settings.log_dir).size()
    engine = provision.engine_of(settings)
    try:
        with db.read(engine) as connection:
            size = read_head(connection, newest_log(connection)).size
    finally:
        engine.dispose()
    if size >= max(outside, tiles):
        return Found(Standing.WHOLE, size, outside, tiles)
    return Found(Standing.RECOVERABLE if tiles >= outside else Standing.BEYOND, size, outside, tiles)


def _unverified(note: bytes) -> Checkpoint:
    return parse_checkpoint(peek_note(note).text)
