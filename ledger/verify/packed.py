"""Small packed collections of what an auditor remembers.

Invariant: what was put in is found again, and nothing else is; no object is kept for each of many.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Hashable
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


class _Buckets:
    """Records of one width, each beginning with its key, in as many buckets as keep them short."""

    def __init__(self, size: int, behind: int) -> None:
        """`size` is the length of a key in bytes, at least 4; so many bytes stand behind it."""
        self._size, self._width = size, size + behind
        self._count = 0
        self._mask = 255
        self._buckets = [bytearray() for _ in range(self._mask + 1)]

    def _find(self, key: bytes) -> tuple[bytearray, int]:
        """The bucket of a key, and its place there; less than 0 if it is not there."""
        bucket = self._buckets[hash(key) & self._mask]
        at = bucket.find(key)
        while at % self._width and at >= 0:  # across two records
            at = bucket.find(key, at + 1)
        return bucket, at

    def _append(self, bucket: bytearray, record: bytes) -> None:
        bucket += record
        self._count += 1
        if self._count > 64 * self._mask:
            self._spread()

    def _spread(self) -> None:
        """Four times as many buckets."""
        old, self._mask = self._buckets, 4 * self._mask + 3
        self._buckets = [bytearray() for _ in range(self._mask + 1)]
        while old:
            bucket = old.pop()
            for at in range(0, len(bucket), self._width):
                record = bytes(bucket[at : at + self._width])
                self._buckets[hash(record[: self._size]) & self._mask] += record


class Once(_Buckets):
    """Keys of one length, of which each may be said once."""

    def __init__(self, size: int) -> None:
        """`size` is the length of a key in bytes, at least 4."""
        super().__init__(size, 0)

    def __contains__(self, key: bytes) -> bool:
        return self._find(key)[1] >= 0

    def add(self, key: bytes) -> bool:
        """Whether the key was not there before; now it is."""
        bucket = self._buckets[hash(key) & self._mask]
        if key in bucket and key in self:
            return False
        self._append(bucket, key)
        return True


class Numbers(_Buckets):
    """Keys of one length, each with a number less than 2^32."""

    def __init__(self, size: int) -> None:
        """`size` is the length of a key in bytes, at least 4."""
        super().__init__(size, 4)

    def get(self, key: bytes) -> int | None:
        """The number of a key, None if it is not there."""
        bucket = self._buckets[hash(key) & self._mask]
        at = bucket.find(key)
        if at % self._width:  # as -1 is too
            bucket, at = self._find(key)
        return None if at < 0 else int.from_bytes(bucket[at + self._size : at + self._width], "big")

    def add(self, key: bytes, number: int) -> None:
        """Give a number to a key that is not there yet."""
        self._append(self._buckets[hash(key) & self._mask], key + number.to_bytes(4, "big"))

    def keep(self, kept: Callable[[int], bool]) -> None:
        """Forget the keys of all other numbers."""
        for place, bucket in enumerate(self._buckets):
            records = [bytes(bucket[at : at + self._width]) for at in range(0, len(bucket), self._width)]
            left = [each for each in records if kept(int.from_bytes(each[self._size :], "big"))]
            self._count -= len(records) - len(left)
            self._buckets[place] = bytearray().join(left)


def raw_uuid(text: str) -> bytes:
    """The 16 bytes of a UUID as leaves write it."""
    return unhexlify(text.replace("-", ""))
