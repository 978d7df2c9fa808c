from __future__ import annotations

import os
import struct
from dataclasses import astuple, replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys import fields
from keys.errors import DecryptionFailed, KeysError, Malformed
from keys.fields import FieldKey, Place, field_key_id, length_prefixed, open_field, seal_field

KEY = b"\x11" * 32
PLACE = Place("persons", "citizen_number", b"\x01" * 16, b"\x02" * 16, 1)
U32 = st.integers(0, 2**32 - 1)
PLACES = st.builds(
    Place, st.text(max_size=20), st.text(max_size=20), st.binary(max_size=20), st.binary(max_size=20), U32
)


@given(st.binary(min_size=32, max_size=32), U32, st.binary(max_size=200), PLACES)
def test_round_trip(key: bytes, key_id: int, plaintext: bytes, place: Place) -> None:
    blob = seal_field(key, key_id, plaintext, place, os.urandom)
    assert field_key_id(blob) == key_id
    assert len(blob) == 6 + 12 + len(plaintext) + 16
    assert open_field(key, key_id, blob, place) == plaintext


@given(st.binary(min_size=32, max_size=32), U32, st.binary(max_size=40), PLACES)
def test_a_field_is_the_bytes_that_the_format_says(
    key: bytes, key_id: int, plaintext: bytes, place: Place
) -> None:
    header, nonce = struct.pack(">BBI", 1, 1, key_id), b"\x0c" * 12
    table, column, row, subject, schema = astuple(place)
    parts = (table.encode(), column.encode(), row, subject, struct.pack(">I", schema))
    aad = header + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    expected = header + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)
    assert seal_field(key, key_id, plaintext, place, lambda count: b"\x0c" * count) == expected


def test_header_bytes() -> None:
    blob = seal_field(KEY, 0x01020304, b"", PLACE, lambda count: b"\xaa" * count)
    assert blob[:18].hex() == "010101020304" + "aa" * 12


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, table="records"),
        replace(PLACE, column="name"),
        replace(PLACE, row=b"\x03" * 16),
        replace(PLACE, subject=b"\x03" * 16),
        replace(PLACE, schema=2),
        replace(PLACE, table="person", column="scitizen_number"),
        replace(PLACE, row=PLACE.row + b"\x02", subject=PLACE.subject[1:]),
        replace(PLACE, row=PLACE.subject, subject=PLACE.row),
    ],
    ids=["table", "column", "row", "subject", "schema", "shifted table", "shifted row", "swapped ids"],
)
def test_field_moved_to_another_place_fails(place: Place) -> None:
    blob = seal_field(KEY, 7, b"secret", PLACE, os.urandom)
    with pytest.raises(DecryptionFailed):
        open_field(KEY, 7, blob, place)


@given(PLACES, PLACES)
def test_no_two_places_share_their_bytes(one: Place, other: Place) -> None:
    blob = seal_field(KEY, 7, b"secret", one, os.urandom)
    if one == other:
        assert open_field(KEY, 7, blob, other) == b"secret"
    else:
        with pytest.raises(DecryptionFailed):
            open_field(KEY, 7, blob, other)


def test_another_key_or_key_id_fails() -> None:
    blob = seal_field(KEY, 7, b"secret", PLACE, os.urandom)
    with pytest.raises(DecryptionFailed):
        open_field(b"\x12" * 32, 7, blob, PLACE)
    with pytest.raises(DecryptionFailed):
        open_field(KEY, 8, blob, PLACE)


def test_header_rewritten_to_another_key_id_fails() -> None:
    blob = seal_field(KEY, 7, b"secret", PLACE, os.urandom)
    with pytest.raises(DecryptionFailed):
        open_field(KEY, 8, blob[:2] + (8).to_bytes(4, "big") + blob[6:], PLACE)


def test_every_flipped_bit_is_noticed() -> None:
    blob = seal_field(KEY, 7, b"secret", PLACE, os.urandom)
    for bit in range(len(blob) * 8):
        altered = (int.from_bytes(blob, "big") ^ (1 << bit)).to_bytes(len(blob), "big")
        with pytest.raises(KeysError):
            open_field(KEY, 7, altered, PLACE)


def test_a_field_cut_short_does_not_open() -> None:
    blob = seal_field(KEY, 7, b"secret", PLACE, os.urandom)
    for length in range(len(blob)):
        with pytest.raises(Malformed if length < 34 else DecryptionFailed):
            open_field(KEY, 7, blob[:length], PLACE)


def test_more_columns_than_are_remembered_seal_and_open() -> None:
    key, row = FieldKey(KEY, 0xC01, PLACE.subject, 1), PLACE.row
    columns = [f"column {number}" for number in range(1_100)]
    blobs = [key.seal("table", column, row, column.encode(), os.urandom) for column in columns]
    for column, blob in zip(columns, blobs, strict=True):
        assert key.open("table", column, row, blob) == column.encode()
    with pytest.raises(DecryptionFailed):
        key.open("table", columns[0], row, blobs[-1])
    assert len(key._columns) == fields._MOST_COLUMNS < len(columns)


@given(st.binary(max_size=60))
def test_noise_never_opens(blob: bytes) -> None:
    with pytest.raises(KeysError):
        open_field(KEY, 7, blob, PLACE)


@pytest.mark.parametrize("blob", [b"", bytes(33), b"\x02\x01" + bytes(40), b"\x01\x02" + bytes(40)])
def test_unknown_versions_and_suites_are_malformed(blob: bytes) -> None:
    for read in (field_key_id, lambda data: open_field(KEY, 0, data, PLACE)):
        with pytest.raises(Malformed):
            read(blob)


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(24), bytes(31), bytes(33)], ids=len)
def test_shorter_aes_keys_are_refused(key: bytes) -> None:
    with pytest.raises(Malformed):
        seal_field(key, 7, b"", PLACE, os.urandom)
    with pytest.raises(Malformed):
        open_field(key, 7, seal_field(KEY, 7, b"", PLACE, os.urandom), PLACE)


def test_numbers_that_do_not_fit_the_header_are_refused() -> None:
    for key_id in (-1, 2**32):
        with pytest.raises(Malformed):
            seal_field(KEY, key_id, b"", PLACE, os.urandom)
    for schema in (-1, 2**32):
        with pytest.raises(Malformed):
            seal_field(KEY, 7, b"", replace(PLACE, schema=schema), os.urandom)


def test_equal_plaintexts_do_not_look_alike() -> None:
    assert seal_field(KEY, 7, b"same", PLACE, os.urandom) != seal_field(KEY, 7, b"same", PLACE, os.urandom)


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_length_prefixes_keep_lists_of_parts_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) == (one == other)
