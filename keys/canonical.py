"""The one byte string for one value: RFC 8785 (JCS) over the subset of JSON that we sign and hash.

Invariant: `parse_canonical(canonical(v)) == v`, and no bytes other than `canonical(v)` parse to `v`. The
subset has objects with ASCII member names, arrays, strings, booleans and integers below 2^53 in magnitude.
Floats are left out because two writers print them differently, null because an absent member says the same,
and non-ASCII names because RFC 8785 sorts by UTF-16 unit and orjson by UTF-8 byte: for ASCII the two orders
are one, and orjson can be used.
"""

from __future__ import annotations

import hashlib
import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Set
from typing import Any, NoReturn

import orjson

from keys.errors import Malformed

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_INTEGER_DIGITS = 17  # a sign and the 16 digits of 2^53
_EMPTY = hashlib.sha256()  # copying one that was begun takes less than beginning one

Fragment = orjson.Fragment
"""In place of a value whose canonical bytes are known: `canonical` takes them as they are."""

# What needs no look. orjson refuses lone surrogates itself, so text needs one only where it was read.
_PLAIN = frozenset((str, bool, Fragment))
_PLAIN_BUT_TEXT = _PLAIN - {str}


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of `value`: dict, list, tuple, str, bool and int, nested at most 32 deep.

    Raises Malformed for anything else: null, a non-ASCII member name, an integer of 2^53 or more.
    """
    _check(value, MAX_DEPTH, _PLAIN)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # a lone surrogate: no UTF-8 exists for it
        raise Malformed("text holds a lone surrogate") from error


def parse_canonical(data: bytes) -> Any:
    """The value whose `canonical` bytes are exactly `data`, else Malformed."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("not JSON") from error
    if canonical(value) != data:
        raise Malformed("JSON is not in canonical form")
    return value


def parse_stored(data: bytes) -> Any:
    """The value of bytes that `canonical` made and authenticated encryption kept: not checked once more.

    Raises Malformed for what is not even JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("not JSON") from error


def parse_json_strict(data: bytes) -> Any:
    """JSON in any legal layout, for what others serialise: JOSE headers and HTTP bodies.

    White space, member order and escapes are free. Refused with Malformed: duplicate members, null, floats,
    NaN, integers of 2^53 or more, non-ASCII member names, lone surrogates, a byte order mark, trailing data,
    any encoding but UTF-8, and nesting deeper than 32.
    """
    try:
        text = bytes(data).decode("utf-8")
        value = _STRICT.decode(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    # UTF-8 holds no surrogate: only an escape can have made one.
    _check(value, MAX_DEPTH, _PLAIN_BUT_TEXT if "\\u" in text else _PLAIN)
    return value


def b64u(data: bytes) -> str:
    """Unpadded base64url (RFC 4648 section 5)."""
    return b2a_base64(data).translate(_URL_SAFE, b"=\n").decode()


def unb64u(text: object, length: int | None = None) -> bytes:
    """Bytes of canonical unpadded base64url; `length` fixes how many there must be. Raises Malformed.

    `text` is any JSON value, so that members need no check before. Text whose last character carries unused
    non-zero bits is refused, so that one value has one spelling.
    """
    if not isinstance(text, str):
        raise Malformed("not unpadded base64url")
    try:
        data = a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
    except ValueError as error:
        raise Malformed("not unpadded base64url") from error
    if b64u(data) != text:  # the decoder passes over what is no base64url: the encoder does not write it
        known = _BASE64URL.fullmatch(text)
        raise Malformed("base64url is not canonical" if known else "not unpadded base64url")
    if length is not None and len(data) != length:
        raise Malformed("base64url value has the wrong length")
    return data


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    begun = _EMPTY.copy()
    begun.update(data)
    return begun.digest()


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def tagged_hash(tag: str, data: bytes) -> bytes:
    """SHA-256(tag || 0x00 || data): a hash that can stand for one kind of thing only.

    The tag is ASCII without NUL.
    """
    if not tag.isascii() or "\0" in tag:
        raise Malformed("a hash tag is ASCII without NUL")
    return hashlib.sha256(tag.encode("ascii") + b"\0" + data).digest()


def _check(value: Any, depth: int, passed: Set[type]) -> None:
    """Raise Malformed unless `value` lies in the subset, nested at most `depth` deep.

    Members of a type in `passed` are not looked at: most are text, and a call for each would cost the most.
    """
    kind = type(value)
    members: Iterable[Any]
    if kind is dict:
        _check_names(value)
        members = value.values()
    elif kind is list or kind is tuple:
        members = value
    else:
        _check_leaf(value)
        return
    if depth == 0:
        raise Malformed("JSON is nested too deep")
    for member in members:
        if type(member) not in passed:
            _check(member, depth - 1, passed)


def _check_leaf(value: object) -> None:
    """Raise Malformed unless a value without members lies in the subset."""
    if isinstance(value, int):  # bool included
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise Malformed("integers stay below 2^53")
    elif isinstance(value, str):  # a subclass of it, such as a StrEnum member, is its text
        _refuse_surrogates(value)
    elif type(value) is not Fragment:
        raise Malformed("only objects, arrays, text, integers and booleans have a canonical form")


def _check_names(names: Iterable[Any]) -> None:
    try:
        ascii_only = "".join(names).isascii()
    except TypeError as error:  # a name that is no text
        raise Malformed("member names are ASCII") from error
    if not ascii_only:
        raise Malformed("member names are ASCII")


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed("text holds a lone surrogate") from error


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("duplicate member")
    return unique


def _bounded_integer(digits: str) -> int:
    if len(digits) > _INTEGER_DIGITS:
        raise ValueError("integer too long")
    return int(digits)


def _refuse_number(_: str) -> NoReturn:
    raise ValueError("not an integer")


# Built once: building it costs as much as reading a request.
_STRICT = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_float=_refuse_number,
    parse_int=_bounded_integer,
    parse_constant=_refuse_number,
)
