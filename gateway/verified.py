"""What was verified before, by the hash of all that went into it: the same bytes need no second look.

Invariant: only what is pure is remembered here, and only when it held; a changed byte is another question.
"""

from __future__ import annotations

import hashlib
import marshal
import threading
from collections import OrderedDict
from typing import Any, Final

REMEMBERED: Final = 100_000
_PLAIN: Final = 2
"""marshal's version without references: equal values give equal bytes, different ones different bytes."""


class Verified:
    """Digests of what held, least recently used out first."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, None] = OrderedDict()

    def has(self, digest: bytes) -> bool:
        """Whether this was verified before."""
        with self._lock:
            if digest not in self._held:
                return False
            self._held.move_to_end(digest)
            return True

    def add(self, digest: bytes) -> None:
        """It was verified."""
        with self._lock:
            self._held[digest] = None
            if len(self._held) > self._size:
                self._held.popitem(last=False)


def digest_of(value: Any) -> bytes | None:
    """SHA-256 over a value of tuples, lists, text, bytes, integers and None; None for any other value."""
    try:
        return hashlib.sha256(marshal.dumps(value, _PLAIN)).digest()
    except ValueError:
        return None
