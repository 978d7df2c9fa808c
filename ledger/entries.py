"""Leaves of the ledger: canonical JSON of a closed set of types.

Invariant: `parse_leaf` accepts exactly the bytes that `format_leaf` emits, so that a leaf has one spelling
and one hash. A type or member that is not in the table of `ledger.bodies` is refused.

A `Leaf` holds its members as they stand in JSON (hex hashes, base64url tags, RFC 3339 times: fixed-width, so
that text compares as time does); `Leaf.instant` gives milliseconds.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final, Literal

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
from ledger.bodies.plain import spell_plain
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
from ledger.merkle import HASH_SIZE

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


def spell_act(
    type_: str, body: object, by: Mapping[str, str] | None, *, of_a_person: bool
) -> tuple[Body | None, bytes]:
    """The body, and it and its actor as they stand in a leaf, up to the number of the leaf's index.

    No body where it is a plain one. Raises MalformedLeaf for what `parse_leaf` would refuse of them.
    """
    actor, acting = _spell_by(by)
    parsed, spelt = None, spell_plain(type_, body)
    if spelt is None:
        parsed = parse_body(type_, body)
        spelt = _spell(parsed)
    _check(type_, parsed, actor, of_a_person=of_a_person)
    return parsed, b"".join((b'"body":', spelt, acting, b',"index":'))


def _spell_by(by: Mapping[str, str] | None) -> tuple[By | None, bytes]:
    """The actor, and the member with its comma; those who act do so often."""
    if by is None:
        return None, b""
    try:
        return _spell_known(tuple(by.items()))
    except TypeError:  # with a value of no kind that an actor has
        raise MalformedLeaf("by: not of its form") from None


@lru_cache(maxsize=4096)
def _spell_known(by: tuple[tuple[str, str], ...]) -> tuple[By | None, bytes]:
    actor = parse_by(dict(by))
    return actor, b"" if actor is None else b',"by":' + _spell(actor)


@lru_cache(maxsize=64)
def spell_named(log: str, policy: str) -> bytes:
    """The log and the policy in force, and the name of the hash that follows them; raises MalformedLeaf."""
    log, policy = _formed(log, Origin, "log"), _formed(policy, Hex32, "policy")
    return f',"log":"{log}","policy":"{policy}","prev":"'.encode()


def spell_sealed(key: str, sha256: bytes) -> bytes:
    """The member of sealed details, of whose blob this is the hash; raises MalformedLeaf."""
    if len(sha256) != HASH_SIZE:
        raise MalformedLeaf("sealed: not a SHA-256 hash")
    return _spell_key(key) + hexlify(sha256) + b'"}'


@lru_cache(maxsize=64)
def _spell_key(key: str) -> bytes:
    """The same up to the hash: a key serves for a day."""
    return f'{{"key":"{_formed(key, Uuid, "sealed")}","sha256":"'.encode()


def _formed(text: str, form: Any, member: str) -> str:
    """A text that has this form, and so no escapes."""
    if type(text) is not str:
        raise MalformedLeaf(f"{member}: not text")
    try:
        return str(msgspec.convert(text, form))
    except msgspec.ValidationError as error:
        raise MalformedLeaf(f"{member}: {_place(error)}") from None


def parse_leaf(data: bytes) -> Leaf:
    """Leaf from its canonical bytes; anything `format_leaf` would not emit raises MalformedLeaf."""
    wire = _read(data)
    body = _body(wire)
    _check(wire.type, body, wire.by, of_a_person=wire.subject is not None)
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


def _spell(member: msgspec.Struct) -> bytes:
    """The bytes of a leaf or of a part of one, well-formed if it is."""
    try:
        return _encoder.encode(member)
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


def _check(type_: str, body: Body | None, by: By | None, *, of_a_person: bool) -> None:
    """Type, body, subject and actor fit each other; else MalformedLeaf."""
    actor = "nobody" if by is None else "registrar" if by.registrar is not None else "institution"
    _check_kinds(type_, actor, at_a_counter=getattr(body, "by", None) == "counter", of_a_person=of_a_person)


@cache  # of a known type: there are few of these
def _check_kinds(type_: str, actor: str, *, at_a_counter: bool, of_a_person: bool) -> None:
    if of_a_person != (type_.partition(".")[0] in ABOUT_A_PERSON and type_ not in ABOUT_NOBODY):
        raise MalformedLeaf(f"{type_}: a leaf carries a person's tag exactly if it is about a person")
    if type_ in BY_REGISTRAR_OR_NOBODY:
        wrong = actor != ("registrar" if at_a_counter else "nobody")
    else:
        wrong = (type_ in BY_REGISTRAR) != (actor == "registrar")
    if (
        wrong
        or (type_ in BY_INSTITUTION and actor != "institution")
        or (type_ in BY_NOBODY and actor != "nobody")
    ):
        raise MalformedLeaf(f"{type_}: the wrong kind of actor")


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
