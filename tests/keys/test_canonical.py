from __future__ import annotations

import base64
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    Fragment,
    b64u,
    canonical,
    parse_canonical,
    parse_json_strict,
    sha256,
    sha256_hex,
    tagged_hash,
    unb64u,
)
from keys.errors import Malformed

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=25,
)


class Reason(StrEnum):
    EXPIRED = "expired"


class Number(IntEnum):
    ONE = 1


class Members(dict[str, object]):
    """A subclass that could say one thing to the check and another to the writer."""


ODD_TEXT = TEXT | NAMES | st.sampled_from(["\ud800", "a\udfff", "\\ud800", "é"])
ODD_NUMBERS = st.integers(-MAX_INTEGER - 2, -MAX_INTEGER + 1) | st.integers(MAX_INTEGER - 1, MAX_INTEGER + 2)
ODD_JSON = st.recursive(
    TEXT | ODD_TEXT | st.integers(-9, 9) | ODD_NUMBERS | st.booleans() | st.sampled_from([None, 0.5, 10**20]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=4,
)
ODD_OBJECTS = st.sampled_from(
    [Reason.EXPIRED, Number.ONE, Members(), Members(a=1), Fragment(b"{}"), b"", {1}, object()]
)
ODD_VALUES = st.recursive(
    ODD_JSON | ODD_OBJECTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(ODD_TEXT | st.sampled_from([1, None, b"a", Reason.EXPIRED]), inner, max_size=3)
    ),
    max_leaves=4,
)


def in_subset(value: Any, depth: int = MAX_DEPTH) -> bool:
    """The subset as the module's docstring has it, one value at a time."""
    if type(value) is dict:
        named = all(type(name) is str and name.isascii() for name in value)
        return depth > 0 and named and all(in_subset(member, depth - 1) for member in value.values())
    if type(value) in (list, tuple):
        return depth > 0 and all(in_subset(member, depth - 1) for member in value)
    if isinstance(value, str):
        return re.search("[\ud800-\udfff]", value) is None
    return isinstance(value, Fragment) or (isinstance(value, int) and abs(value) <= MAX_INTEGER)


def nest(value: Any, depth: int) -> Any:
    for level in range(depth):
        value = {"a": value} if level % 2 else [True, value]
    return value


DEPTHS = st.sampled_from([0, 0, 0, MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])


@given(ODD_VALUES, DEPTHS)
def test_exactly_the_subset_has_canonical_bytes(value: object, depth: int) -> None:
    whole = nest(value, depth)
    try:
        canonical(whole)
    except Malformed:
        assert not in_subset(whole)
    else:
        assert in_subset(whole)


@given(ODD_JSON, DEPTHS, st.booleans(), st.sampled_from([bytes, bytearray, memoryview]))
def test_exactly_the_subset_is_read(value: object, depth: int, ascii_only: bool, kind: Any) -> None:
    """Lone surrogates come escaped, or as bytes that are no UTF-8."""
    whole = nest(value, depth)
    data = kind(json.dumps(whole, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    try:
        read = parse_json_strict(data)
    except Malformed:
        assert not in_subset(whole)
    else:
        assert in_subset(whole)
        assert read == whole


@given(VALUES)
def test_the_fast_path_writes_the_bytes_of_the_rfc_8785_reference(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_what_is_written_is_read_back_by_both_parsers(value: object) -> None:
    assert parse_canonical(canonical(value)) == value
    assert parse_json_strict(canonical(value)) == value


@given(VALUES)
def test_the_strict_parser_takes_any_legal_layout(value: object) -> None:
    assert parse_json_strict(json.dumps(value, indent=2).encode()) == value


@given(st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_only_canonical_bytes_parse_as_canonical(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except Malformed:
        return
    assert rfc8785.dumps(value) == data


def test_rfc_8785_string_escapes() -> None:
    """The string member of the sample in RFC 8785 section 3.2.2."""
    value = {"string": '\u20ac$\u000f\nA\'B"\\\\"/'}
    assert canonical(value) == b'{"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'


def test_members_stand_in_order_at_every_level() -> None:
    value = {"b": {"z": 1, "A": 2, "a": 3}, "1": [], "": True}
    assert canonical(value) == b'{"":true,"1":[],"b":{"A":2,"a":3,"z":1}}'


def test_an_enumeration_member_is_its_text() -> None:
    assert canonical({"reason": Reason.EXPIRED}) == b'{"reason":"expired"}'


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": None},
        1.0,
        [0.5],
        float("nan"),
        2**53,
        -(2**53),
        {"é": 1},
        {1: 2},
        {"a": b"bytes"},
        {"a": {1, 2}},
        "\ud800",
        {"\ud800": 1},
    ],
    ids=repr,
)
def test_values_outside_the_subset_have_no_bytes_wherever_they_stand(value: object) -> None:
    for whole in (value, [value], (True, value), {"a": value}, {"a": [{"b": value}]}):
        with pytest.raises(Malformed):
            canonical(whole)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_depth_is_bounded_alike_in_writer_and_parsers() -> None:
    assert canonical(parse_canonical(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    assert canonical(parse_json_strict(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for parse in (parse_canonical, parse_json_strict):
        for depth in (MAX_DEPTH + 1, 1_000, 100_000):
            with pytest.raises(Malformed):
                parse(nested(depth))


REFUSED_BY_BOTH = [
    b"",
    b"null",
    b'{"a":null}',
    b"1.0",
    b"1e3",
    b"-0.0",
    b"NaN",
    b"Infinity",
    b"9007199254740992",
    b"-9007199254740992",
    b"1" * 5_000,
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":2}',
    b'{"\xc3\xa9":1}',
    b'{"a":1}{"b":2}',
    b'{"a":1} x',
    b"[1,]",
    b"{'a':1}",
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\x01"',
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    b"01",
    b'"\\x41"',
]


@pytest.mark.parametrize("data", REFUSED_BY_BOTH, ids=lambda data: repr(data[:24]))
def test_ambiguous_or_illegal_json_is_refused(data: bytes) -> None:
    for parse in (parse_canonical, parse_json_strict):
        with pytest.raises(Malformed):
            parse(data)


@pytest.mark.parametrize("data", REFUSED_BY_BOTH[1:], ids=lambda data: repr(data[:24]))
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_they_are_refused_as_members_too(data: bytes, kind: Any) -> None:
    for whole in (b"[%b]" % data, b'{"a":[true,%b]}' % data):
        for parse in (parse_canonical, parse_json_strict):
            with pytest.raises(Malformed):
                parse(kind(whole))


@pytest.mark.parametrize(
    "data",
    [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1}\n', b'"\\u0041"', b'"\\/"', b'"\\u001F"', b"-0", b" 1"],
    ids=repr,
)
def test_legal_but_not_canonical_json_is_refused_where_bytes_are_signed(data: bytes) -> None:
    parse_json_strict(data)
    with pytest.raises(Malformed):
        parse_canonical(data)


def test_duplicates_deep_inside_are_found() -> None:
    with pytest.raises(Malformed):
        parse_json_strict(b'{"a":[{"b":{"c":1,"c":2}}]}')


@given(st.binary(max_size=80))
def test_base64url_round_trip(data: bytes) -> None:
    text = b64u(data)
    assert "=" not in text
    assert unb64u(text) == data
    assert unb64u(text, len(data)) == data
    with pytest.raises(Malformed):
        unb64u(text, len(data) + 1)


@given(st.text(st.sampled_from("AQgw_-+/=\n Z9é"), max_size=9))
def test_one_value_has_one_base64url_spelling(text: str) -> None:
    try:
        data = unb64u(text)
    except Malformed:
        return
    assert b64u(data) == text


@given(st.text(st.sampled_from("AQgw_-+/=\n Z9é\ud800"), max_size=9) | st.binary(max_size=9).map(b64u))
def test_base64url_is_what_the_standard_library_writes(text: str) -> None:
    try:
        data = base64.urlsafe_b64decode(text + "==")
    except ValueError:
        data = b""
    written = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert b64u(data) == written
    if written == text:
        assert unb64u(text) == data
    else:
        with pytest.raises(Malformed):
            unb64u(text)


@pytest.mark.parametrize("text", ["A", "AB", "QQ==", "Q Q", "QQ\n", "+/", "é", None, 7, b"QQ"], ids=repr)
def test_other_spellings_are_refused(text: object) -> None:
    with pytest.raises(Malformed):
        unb64u(text)


def test_hashes() -> None:
    """SHA-256("abc"): FIPS 180-4, example."""
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(b"abc").hex() == sha256_hex(b"abc")
    assert tagged_hash("ab", b"c") == sha256(b"ab\x00c")


def test_threads_that_hash_at_once_do_not_disturb_each_other() -> None:
    texts = [bytes([number]) * 5_000 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(sha256, texts))
    assert made == [hashlib.sha256(text).digest() for text in texts]


def test_a_tag_cannot_run_into_its_data() -> None:
    assert tagged_hash("a", b"b\x00c") != tagged_hash("a\x01", b"b\x00c")
    for tag in ("a\0b", "é"):
        with pytest.raises(Malformed):
            tagged_hash(tag, b"")
