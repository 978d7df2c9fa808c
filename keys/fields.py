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
_LENGTH = struct.Struct(">I").pack
_MAX_U32 = 2**32 - 1
_NONCE = slice(_HEADER.size, _HEADER.size + NONCE_BYTES)
_SEALED = slice(_NONCE.stop, None)
_SHORTEST = _HEADER.size + NONCE_BYTES + TAG_BYTES


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

    __slots__ = ("_aes", "_end", "_header")

    def __init__(self, key: bytes, key_id: int, subject: bytes, schema: int) -> None:
        if len(key) != KEY_BYTES:  # AESGCM would take 16 bytes too, and be AES-128
            raise Malformed("a data key is 32 bytes")
        if not (0 <= key_id <= _MAX_U32 and 0 <= schema <= _MAX_U32):
            raise Malformed("a key id and a schema version are unsigned 32-bit numbers")
        self._aes = AESGCM(key)
        self._header = _HEADER.pack(_VERSION, _SUITE_AES_256_GCM, key_id)
        self._end = length_prefixed(subject, _LENGTH(schema))

    def seal(self, table: str, column: str, row: bytes, plaintext: bytes, random: Random) -> bytes:
        """Encrypt `plaintext` for its place."""
        nonce = random(NONCE_BYTES)
        return self._header + nonce + self._aes.encrypt(nonce, plaintext, self._bound(table, column, row))

    def open(self, table: str, column: str, row: bytes, blob: bytes) -> bytes:
        """The plaintext that was sealed under this key for this place.

        Raises Malformed for a blob that is no field, DecryptionFailed for any wrong key, id, place or bit.
        """
        if not isinstance(blob, bytes):  # SQLite keeps whatever an intruder leaves in a column
            raise Malformed("a sealed field is bytes")
        if not blob.startswith(self._header) or len(blob) < _SHORTEST:
            field_key_id(blob)
            raise DecryptionFailed("the field does not open here")
        try:
            return self._aes.decrypt(blob[_NONCE], blob[_SEALED], self._bound(table, column, row))
        except InvalidTag as error:
            raise DecryptionFailed("the field does not open here") from error

    def _bound(self, table: str, column: str, row: bytes) -> bytes:
        """What a field is bound to, header included."""
        return b"".join((self._header, _of_column(table, column), _LENGTH(len(row)), row, self._end))


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


@lru_cache(maxsize=256)
def _of_column(table: str, column: str) -> bytes:
    """What the fields of one column are bound to: the same whatever the key, and there are few columns."""
    return length_prefixed(table.encode("utf-8"), column.encode("utf-8"))


def length_prefixed(*parts: bytes) -> bytes:
    """Each part behind its length (uint32, big-endian), so that no two lists of parts give the same bytes."""
    return b"".join([_LENGTH(len(part)) + part for part in parts])
