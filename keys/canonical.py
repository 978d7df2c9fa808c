"""The one byte string for one value: RFC 8785 (JCS) over the subset of JSON that we sign and hash.

Invariant: `parse_canonical(canonical(v)) == v`, and no bytes other than `canonical(v)` parse to `v`. The
subset has objects with ASCII member names, arrays, strings, booleans and integers below 2^53 in magnitude.
Floats are left out because two writers print them differently, null because an absent member says the same,
and non-ASCII names because RFC 8785 sorts by UTF-16 unit and orjson by UTF-8 byte: for ASCII the two orders
are one, and orjson can be used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson

from keys.errors import Malformed

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_INTEGER_DIGITS = 17  # a sign and the 16 digits of 2^53


Fragment = orjson.Fragment
"""In place of a value whose canonical bytes are known: `canonical` takes them as they are."""


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of `value`: dict, list, tuple, str, bool and int, nested at most 32 deep.

    Raises Malformed for anything else: null, a non-ASCII member name, an integer of 2^53 or more.
    """
    _check(value, MAX_DEPTH)
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
        value = _STRICT.decode(bytes(data).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    _check(value, MAX_DEPTH, untrusted=True)
    return value


def b64u(data: bytes) -> str:
    """Unpadded base64url (RFC 4648 section 5)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE).decode("ascii")


def unb64u(text: object, length: int | None = None) -> bytes:
    """Bytes of canonical unpadded base64url; `length` fixes how many there must be. Raises Malformed.

    `text` is any JSON value, so that members need no check before. Text whose last character carries unused
    non-zero bits is refused, so that one value has one spelling.
    """
    if not isinstance(text, str) or _BASE64URL.fullmatch(text) is None:
        raise Malformed("not unpadded base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise Malformed("not unpadded base64url") from error
    if b64u(data) != text:
        raise Malformed("base64url is not canonical")
    if length is not None and len(data) != length:
        raise Malformed("base64url value has the wrong length")
    return data


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


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


def _check(value: Any, depth: int, *, untrusted: bool = False) -> None:
    """Raise Malformed unless `value` lies in the subset. `untrusted` text may still hold lone surrogates."""
    kind = type(value)
    if kind is str:
        if untrusted:
            _refuse_surrogates(value)
    elif kind is dict:
        _refuse_depth(depth)
        _check_names(value)
        _check_members(value.values(), depth - 1, untrusted)
    elif kind is list or kind is tuple:
        _refuse_depth(depth)
        _check_members(value, depth - 1, untrusted)
    elif isinstance(value, int):  # bool included
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise Malformed("integers stay below 2^53")
    elif kind is Fragment:
        return
    elif not isinstance(value, str):  # a str subclass, such as a StrEnum member, is its text
        raise Malformed("only objects, arrays, text, integers and booleans have a canonical form")


def _check_names(names: Iterable[Any]) -> None:
    try:
        ascii_only = all(map(str.isascii, names))
    except TypeError as error:  # a name that is no text
        raise Malformed("member names are ASCII") from error
    if not ascii_only:
        raise Malformed("member names are ASCII")


def _check_members(members: Iterable[Any], depth: int, untrusted: bool) -> None:
    """The members of an object or an array: most are text, which is passed without a call of its own."""
    for member in members:
        if untrusted or type(member) is not str:
            _check(member, depth, untrusted=untrusted)


def _refuse_depth(depth: int) -> None:
    if depth == 0:
        raise Malformed("JSON is nested too deep")


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed("text holds a lone surrogate") from error


def _object_without_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members = list(pairs)
    unique = dict(members)
    if len(unique) != len(members):
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
