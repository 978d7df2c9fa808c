"""Small packed collections of what an auditor remembers.

Invariant: what was put in is found again, and nothing else is; no object is kept for each of many.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Values that recur, each by a number."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """The number of a value, given when it is met first."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Once:
    """Keys of one length, of which each may be said once: packed into as many buckets as keep them short."""

    def __init__(self, size: int) -> None:
        """`size` is the length of a key in bytes, at least 4."""
        self._size = size
        self._count = 0
        self._mask = 255
        self._buckets = [bytearray() for _ in range(self._mask + 1)]

    def __contains__(self, key: bytes) -> bool:
        bucket = self._buckets[hash(key) & self._mask]
        at = bucket.find(key)
        while at % self._size and at >= 0:  # across two keys
            at = bucket.find(key, at + 1)
        return at >= 0

    def add(self, key: bytes) -> bool:
        """Whether the key was not there before; now it is."""
        bucket = self._buckets[hash(key) & self._mask]
        if key in bucket and key in self:
            return False
        bucket += key
        self._count += 1
        if self._count > 64 * self._mask:
            self._spread()
        return True

    def _spread(self) -> None:
        """Four times as many buckets."""
        old, self._mask = self._buckets, 4 * self._mask + 3
        self._buckets = [bytearray() for _ in range(self._mask + 1)]
        while old:
            bucket = old.pop()
            for at in range(0, len(bucket), self._size):
                key = bytes(bucket[at : at + self._size])
                self._buckets[hash(key) & self._mask] += key


def raw_uuid(text: str) -> bytes:
    """The 16 bytes of a UUID as leaves write it."""
    return unhexlify(text.replace("-", ""))
