"""One way in and one way out for every document of this package.

Invariant: `parse_struct` accepts exactly the bytes that `format_struct` emits, and `format_struct` emits
nothing that `parse_struct` would refuse. Both hold by construction: the parser formats again and compares,
the formatter validates what it is about to write. Bytes are RFC 8785 canonical JSON (`keys.canonical`); times
are RFC 3339 on the wire and integer milliseconds since the Unix epoch in the value.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from consent.errors import MalformedDocument
from keys.canonical import canonical, parse_canonical, unb64u
from keys.errors import KeysError
from keys.instant import format_instant, parse_instant

MAX_BYTES = 32_768
"""No document of this package is longer; a longer one is refused before it is parsed."""

# `\Z`, not `$`: the latter also matches before a final newline.
Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Origin = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z",
        max_length=200,
    ),
]
Uscc = Annotated[str, Meta(pattern=r"\A[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}\Z")]
"""Unified social credit code (统一社会信用代码, GB 32100-2015): its form; the check digit at registration."""
PurposeCode = Annotated[str, Meta(pattern=r"\A[0-9]{2}\Z")]
CategoryCode = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
AnswerName = Annotated[str, Meta(pattern=r"\A(?:report|predicate:[a-z][a-z0-9-]{0,47})\Z")]
ReasonCode = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
PartyId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Natural = Annotated[int, Meta(ge=0, lt=2**53)]
Instant = Annotated[int, Meta(ge=0, lt=2**53)]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the values that travel as canonical JSON; `TIMES` names the members that are instants.

    The repr is the type alone, since reprs end up in logs: a withdrawal holds a citizen's own words, and a
    certificate what a citizen number can be tried against.
    """

    TIMES: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich, which msgspec would otherwise tell every member."""
        return []


D = TypeVar("D", bound=Document)


def to_members(document: Document) -> dict[str, Any]:
    """The JSON object of a document, validated. Raises MalformedDocument for what no parser would accept."""
    built = msgspec.to_builtins(document)
    try:
        again = msgspec.to_builtins(msgspec.convert(built, type(document)))
    except (msgspec.ValidationError, KeysError, TypeError, UnicodeEncodeError):
        again = None
    if again != built:
        raise MalformedDocument(f"{type(document).__name__}: a member is missing or out of form")
    return _written(document, built)


def from_members(members: Any, kind: type[D]) -> D:
    """The document of a JSON object (a fresh copy is read). Raises MalformedDocument."""
    if type(members) is not dict:
        raise MalformedDocument("not a JSON object")
    read = dict(members)
    try:
        for name in kind.TIMES:
            if name in read:
                read[name] = parse_instant(read[name])
        document = msgspec.convert(read, kind)
    except (msgspec.ValidationError, KeysError, TypeError, UnicodeEncodeError):
        # No cause: msgspec quotes values in some of its messages.
        raise MalformedDocument(f"{kind.__name__}: a member is missing, unknown or out of form") from None
    if _builtins(document) != members:
        raise MalformedDocument(f"{kind.__name__}: not in its one form")
    return document


def format_struct(document: Document) -> bytes:
    """RFC 8785 bytes of a document. Raises MalformedDocument."""
    try:
        return canonical(to_members(document))
    except KeysError as refused:
        raise MalformedDocument("no canonical form") from refused


def parse_struct(data: bytes, kind: type[D]) -> D:
    """The document of these bytes. Raises MalformedDocument for what `format_struct` would not emit."""
    if len(data) > MAX_BYTES:
        raise MalformedDocument("longer than any document")
    try:
        members = parse_canonical(data)
    except KeysError as refused:
        raise MalformedDocument("not canonical JSON") from refused
    return from_members(members, kind)


def check_base64url(text: str, length: int) -> None:
    """For `__post_init__`: ValueError unless `text` is unpadded canonical base64url of `length` bytes."""
    try:
        unb64u(text, length)
    except KeysError:
        raise ValueError("not base64url of the right length") from None


def check_sorted(names: tuple[str, ...]) -> None:
    """For `__post_init__`: ValueError unless strictly ascending (so also without duplicates)."""
    if any(later <= earlier for earlier, later in pairwise(names)):
        raise ValueError("not sorted, or a duplicate")


def _builtins(document: Document) -> dict[str, Any]:
    return _written(document, msgspec.to_builtins(document))


def _written(document: Document, built: dict[str, Any]) -> dict[str, Any]:
    """The members as they stand in JSON."""
    # JSON arrays are lists; only the outermost members can be tuples here.
    members: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in built.items()
    }
    try:
        for name in document.TIMES:
            if name in members:
                members[name] = format_instant(members[name])
    except (KeysError, ValueError, TypeError, OverflowError):
        raise MalformedDocument("a time out of range") from None
    return members
