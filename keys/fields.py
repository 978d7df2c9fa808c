"""Encryption of one field, bound to the one place where it may stand.

Invariant: `open_field` returns plaintext only for the key, key id and place that `seal_field`
was given; a ciphertext moved to another row, column, table, subject or schema version fails, as
does one with an altered header.

    blob = header (6) || nonce (12) || ciphertext || tag (16)
    header = format version 0x01 || suite 0x01 (AES-256-GCM) || key id (uint32, big-endian)
    AAD = header || for each of table, column, row, subject, schema: length (uint32, big-endian) || bytes

Nonces are random, 96 bits: one key must seal fewer than 2^32 fields (NIST SP 800-38D section 8.3), which a
data key of one subject and class never approaches.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import DecryptionFailed, Malformed
from keys.signing import Random

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_VERSION = 1
_SUITE_AES_256_GCM = 1
_HEADER = struct.Struct(">BBI")
_MAX_U32 = 2**32 - 1
_HEAD = slice(_HEADER.size)
_NONCE = slice(_HEAD.stop, _HEAD.stop + NONCE_BYTES)
_SEALED = slice(_NONCE.stop, None)
_SHORTEST = _HEADER.size + NONCE_BYTES + TAG_BYTES
_MOST_COLUMNS = 1_024

uint32 = struct.Struct(">I").pack
"""A number below 2^32 as four bytes, big-endian."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands. `row` and `subject` are raw ids of any length; `schema` counts from 1."""

    table: str
    column: str
    row: bytes
    subject: bytes
    schema: int


class FieldKey:
    """A data key made ready for the fields of one subject: what all of them share is computed once.

    `key` is 32 bytes, `key_id` (uint32) stands in the header, `schema` is an unsigned 32-bit number.
    """

    __slots__ = ("_aes", "_columns", "_end", "_header")

    def __init__(self, key: bytes, key_id: int, subject: bytes, schema: int) -> None:
        if len(key) != KEY_BYTES:  # AESGCM would take 16 bytes too, and be AES-128
            raise Malformed("a data key is 32 bytes")
        self._aes = AESGCM(key)
        self._header, self._columns, last = _of_numbers(key_id, schema)
        self._end = uint32(len(subject)) + subject + last

    def seal(self, table: str, column: str, row: bytes, plaintext: bytes, random: Random) -> bytes:
        """Encrypt `plaintext` for its place."""
        try:
            before = self._columns[table, column, len(row)]
        except KeyError:
            before = self._learn(table, column, len(row))
        nonce = random(NONCE_BYTES)
        return self._header + nonce + self._aes.encrypt(nonce, plaintext, before + row + self._end)

    def open(self, table: str, column: str, row: bytes, blob: bytes) -> bytes:
        """The plaintext that was sealed under this key for this place.

        Raises Malformed for a blob that is no field, DecryptionFailed for any wrong key, id, place or bit.
        """
        if not isinstance(blob, bytes):  # SQLite keeps whatever an intruder leaves in a column
            raise Malformed("a sealed field is bytes")
        if blob[_HEAD] != self._header:
            raise _closed(blob)
        try:
            before = self._columns[table, column, len(row)]
        except KeyError:
            before = self._learn(table, column, len(row))
        try:
            return self._aes.decrypt(blob[_NONCE], blob[_SEALED], before + row + self._end)
        except (InvalidTag, ValueError) as error:  # ValueError: the blob ends within its nonce
            raise _closed(blob) from error

    def _learn(self, table: str, column: str, row_bytes: int) -> bytes:
        """What stands in the AAD before a row id of that length: from now on all keys of this id look it up.

        It is nobody's and no secret, and there are few columns.
        """
        before = self._header + length_prefixed(table.encode(), column.encode()) + uint32(row_bytes)
        if len(self._columns) < _MOST_COLUMNS:
            self._columns[table, column, row_bytes] = before
        return before


def seal_field(key: bytes, key_id: int, plaintext: bytes, place: Place, random: Random) -> bytes:
    """Encrypt `plaintext` under a 32-byte data key for `place`. `key_id` (uint32) stands in the header."""
    ready = FieldKey(key, key_id, place.subject, place.schema)
    return ready.seal(place.table, place.column, place.row, plaintext, random)


def open_field(key: bytes, key_id: int, blob: bytes, place: Place) -> bytes:
    """The plaintext sealed under `key` and `key_id` for `place`.

    Raises Malformed for a blob that is no field, DecryptionFailed for any wrong key, id, place or bit.
    """
    return FieldKey(key, key_id, place.subject, place.schema).open(place.table, place.column, place.row, blob)


def field_key_id(blob: bytes) -> int:
    """The key id that a field's header claims: it tells which key to fetch, and nothing else.

    Raises Malformed.
    """
    if len(blob) < _SHORTEST:
        raise Malformed("a sealed field is too short")
    version, suite, key_id = _HEADER.unpack_from(blob)
    if (version, suite) != (_VERSION, _SUITE_AES_256_GCM):
        raise Malformed("a sealed field of an unknown version or suite")
    return int(key_id)


def length_prefixed(*parts: bytes) -> bytes:
    """Each part behind its length (uint32, big-endian), so that no two lists of parts give the same bytes."""
    pieces: list[bytes] = []
    for part in parts:  # appended, not added up: a long part is copied once
        pieces.append(uint32(len(part)))
        pieces.append(part)
    return b"".join(pieces)


def _closed(blob: bytes) -> DecryptionFailed:
    """What to raise for a blob that does not open. Raises Malformed itself for one that is no field."""
    field_key_id(blob)
    return DecryptionFailed("the field does not open here")


@lru_cache(maxsize=256)
def _of_numbers(key_id: int, schema: int) -> tuple[bytes, dict[tuple[str, str, int], bytes], bytes]:
    """What keys of one id and schema share: header, what `FieldKey._learn` learned, last part of the AAD."""
    if not (0 <= key_id <= _MAX_U32 and 0 <= schema <= _MAX_U32):
        raise Malformed("a key id and a schema version are unsigned 32-bit numbers")
    return _HEADER.pack(_VERSION, _SUITE_AES_256_GCM, key_id), {}, length_prefixed(uint32(schema))
