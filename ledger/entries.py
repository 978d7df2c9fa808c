"""Leaves of the ledger: canonical JSON of a closed set of types.

Invariant: `parse_leaf` accepts exactly the bytes that `format_leaf` emits, so that a leaf has one spelling
and one hash. A type or member that is not in the table of `ledger.bodies` is refused.

A `Leaf` holds its members as they stand in JSON (hex hashes, base64url tags, RFC 3339 times: fixed-width, so
that text compares as time does); `Leaf.instant` gives milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from keys.errors import KeysError
from keys.instant import parse_instant
from ledger.bodies import (
    ABOUT_A_PERSON,
    ABOUT_NOBODY,
    BY_INSTITUTION,
    BY_NOBODY,
    BY_REGISTRAR,
    BY_REGISTRAR_OR_NOBODY,
    LEAF_TYPES,
    Body,
)
from ledger.errors import MalformedLeaf
from ledger.members import (
    Count,
    Hex32,
    Instant,
    OperatorId,
    Origin,
    PartyId,
    Positive,
    Random16,
    Uscc,
    Uuid,
    check_instants,
)

MAX_LEAF: Final = 65_535
"""Bytes: an entry bundle gives a leaf's length in 16 bits."""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the leaf is about: a random tag, the number of this person's leaf from 1, the hash before it."""

    tag: Random16
    n: Positive
    prev: Hex32


class By(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Who acted: an institution's operator, or a registrar. Absent for a citizen and for the system."""

    institution: Uscc | None = None
    operator: OperatorId | None = None
    registrar: PartyId | None = None

    def __post_init__(self) -> None:
        """One form or the other."""
        of_institution = self.institution is not None and self.operator is not None
        of_neither = self.institution is None and self.operator is None
        if not (of_institution if self.registrar is None else of_neither):
            raise ValueError("neither an operator of an institution nor a registrar")


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Details for the regulator: id of the sealing key, hash of the sealed blob (before wrapping at rest)."""

    key: Uuid
    sha256: Hex32


class Leaf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="v", tag=1):
    """One entry. `prev` is the leaf hash of index - 1 (64 zeros at 0), `policy` the bundle in force."""

    log: Origin
    index: Count
    prev: Hex32
    at: Instant
    salt: Random16
    type: str
    body: Body
    policy: Hex32
    subject: Subject | None = None
    by: By | None = None
    sealed: Sealed | None = None

    @property
    def instant(self) -> int:
        """`at` in milliseconds since the Unix epoch."""
        return int(parse_instant(self.at))


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The JSON object; its body stays as it was written until the type is known."""

    v: Literal[1]
    log: Origin
    index: Count
    prev: Hex32
    at: Instant
    salt: Random16
    type: str
    body: msgspec.Raw
    policy: Hex32
    subject: Subject | None = None
    by: By | None = None
    sealed: Sealed | None = None

    def __post_init__(self) -> None:
        """The time exists."""
        check_instants(self.at)


# RFC 8785, for what can stand in a leaf: names are ASCII, numbers integers, and text is escaped alike.
_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(_Wire)
_bodies: Final = {type_: msgspec.json.Decoder(struct) for type_, struct in LEAF_TYPES.items()}


def parse_body(type_: str, body: object) -> Body:
    """Body of a known type from JSON values; raises MalformedLeaf."""
    struct = LEAF_TYPES.get(type_)
    if struct is None:
        raise MalformedLeaf("unknown type of leaf")
    if isinstance(body, msgspec.Struct):  # which would be taken unread
        raise MalformedLeaf(f"{type_}: a body is JSON values")
    try:
        return msgspec.convert(body, struct)
    except (msgspec.DecodeError, KeysError, UnicodeError) as error:
        raise _malformed_body(type_, error) from None


def parse_by(by: Mapping[str, str] | None) -> By | None:
    """Actor from JSON values; raises MalformedLeaf."""
    try:
        return None if by is None else msgspec.convert(dict(by), By)
    except msgspec.ValidationError as error:
        raise MalformedLeaf(f"by: {_place(error)}") from None
    except UnicodeEncodeError:
        raise MalformedLeaf("by: not of its form") from None


def format_leaf(leaf: Leaf) -> bytes:
    """Canonical bytes of a leaf, at most 65,535; raises MalformedLeaf for what `parse_leaf` would refuse."""
    data = _spell(leaf)
    parse_leaf(data)
    return data


def format_parsed(leaf: Leaf) -> bytes:
    """The same of a leaf whose body `parse_body` made: what was read just now is not read once more."""
    if type(leaf.body) is not LEAF_TYPES.get(leaf.type):
        raise MalformedLeaf(f"{leaf.type}: the body is another type's")
    data = _spell(leaf)
    _check(_read(data), leaf.body)
    return data


def parse_leaf(data: bytes) -> Leaf:
    """Leaf from its canonical bytes; anything `format_leaf` would not emit raises MalformedLeaf."""
    wire = _read(data)
    body = _body(wire)
    _check(wire, body)
    leaf = Leaf(
        log=wire.log,
        index=wire.index,
        prev=wire.prev,
        at=wire.at,
        salt=wire.salt,
        type=wire.type,
        body=body,
        policy=wire.policy,
        subject=wire.subject,
        by=wire.by,
        sealed=wire.sealed,
    )
    # duplicates, order, white space, escapes, nulls: one comparison refuses them all
    if _spell(leaf) != data:
        raise MalformedLeaf("the leaf is not canonical")
    return leaf


def _spell(leaf: Leaf) -> bytes:
    """The bytes, well-formed if the leaf is."""
    try:
        return _encoder.encode(leaf)
    except (TypeError, ValueError, OverflowError):
        raise MalformedLeaf("the leaf has no canonical form") from None


def _read(data: bytes) -> _Wire:
    """Every member but the body in its form."""
    if len(data) > MAX_LEAF:
        raise MalformedLeaf("the leaf is longer than 65,535 bytes")
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise MalformedLeaf(f"leaf: {_place(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedLeaf("the leaf is not JSON") from None


def _check(wire: _Wire, body: Body) -> None:
    """Type, body, subject and actor fit each other; else MalformedLeaf."""
    of_a_person = wire.type.partition(".")[0] in ABOUT_A_PERSON and wire.type not in ABOUT_NOBODY
    if (wire.subject is not None) != of_a_person:
        raise MalformedLeaf(f"{wire.type}: a leaf carries a person's tag exactly if it is about a person")
    actor = "nobody" if wire.by is None else "registrar" if wire.by.registrar is not None else "institution"
    if wire.type in BY_REGISTRAR_OR_NOBODY:
        wrong = actor != ("registrar" if getattr(body, "by", None) == "counter" else "nobody")
    else:
        wrong = (wire.type in BY_REGISTRAR) != (actor == "registrar")
    if (
        wrong
        or (wire.type in BY_INSTITUTION and actor != "institution")
        or (wire.type in BY_NOBODY and actor != "nobody")
    ):
        raise MalformedLeaf(f"{wire.type}: the wrong kind of actor")


def _body(wire: _Wire) -> Body:
    """What `parse_body` makes of values, of the bytes that stand in a leaf."""
    decoder = _bodies.get(wire.type)
    if decoder is None:
        raise MalformedLeaf("unknown type of leaf")
    try:
        return decoder.decode(wire.body)
    except (msgspec.DecodeError, KeysError, UnicodeError) as error:
        raise _malformed_body(wire.type, error) from None


def _malformed_body(type_: str, error: Exception) -> MalformedLeaf:
    place = _place(error) if isinstance(error, msgspec.ValidationError) else "not of its form"
    return MalformedLeaf(f"body of {type_}: {place}")


def _place(error: msgspec.ValidationError) -> str:
    """Where a value was refused, without the value: leaves of a faulty caller could hold anything."""
    _, found, path = str(error).partition(" - at `")
    return f"not of its form at {path.rstrip('`')}" if found else "not of its form"
