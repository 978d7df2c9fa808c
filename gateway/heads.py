"""The log's head as this gateway left it: sealed by a key in custody, so that nobody else can append.

Invariant: what is decided on, or published, stands under a head whose MAC this gateway made over its size,
last leaf and time. Whoever has only the database can add rows, but no head over them: a leaf that a stranger
appends (another policy, say) stops the gateway instead of steering it.

A head of before there were MACs has none. It counts while it is exactly the one that was signed and kept
outside the database: nothing can have been appended since.
"""

from __future__ import annotations

import hmac

from gateway.errors import EvidenceBroken
from gateway.rows import ROW_KEY
from keys.custody import Custody
from keys.fields import length_prefixed
from ledger.log import Head
from ledger.merkle import leaf_hash
from ledger.publish import Publisher, read_note
from ledger.tiles import WIDTH


def head_mac(custody: Custody, shard: int, head: Head) -> bytes:
    """The MAC (32 bytes) of a head."""
    numbers = (number.to_bytes(8, "big") for number in (shard, head.size, head.at))
    return custody.mac(ROW_KEY, length_prefixed(b"ledger_head", *numbers, head.leaf_hash))


def is_own(custody: Custody, shard: int, head: Head) -> bool:
    """Whether this gateway made the head; the one of a log that is only being opened is nobody's."""
    if head.mac is None:
        return head.size == 0
    return hmac.compare_digest(bytes(head.mac), head_mac(custody, shard, head))


def require_own(custody: Custody, shard: int, head: Head, seen: Head | None) -> None:
    """`EvidenceBroken` unless this gateway made the head, or it is the one that was `seen` already."""
    if head != seen and not is_own(custody, shard, head):
        raise EvidenceBroken("the log's head was not written by this gateway")


def is_kept(publisher: Publisher, head: Head) -> bool:
    """Whether a head without a MAC is the one under the checkpoint that is kept outside the database."""
    with publisher.read() as conn:
        keys = publisher.keys(conn)
    outside = read_note(publisher.outside, keys)
    if head.mac is not None or outside is None or outside.checkpoint.size != head.size:
        return False
    bundle, place = divmod(head.size - 1, WIDTH)
    return leaf_hash(publisher.tiles.entries(bundle, place + 1)[-1]) == head.leaf_hash
