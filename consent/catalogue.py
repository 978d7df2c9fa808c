"""The catalogue of public credit information (公共信用信息目录), and what may never be in it.

Invariant: what no entry authorises is not collected (未经法律法规授权不得采集). A kind of information is a
listed category, or forbidden always, or needs separate written consent (both CIR art. 14), or is a judgement
about a person rather than a record, or, like everything else, not authorised. A city adds categories; it
cannot unlist a refusal.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from consent import wire
from consent.purposes import Basis, Title

MAX_INTEGER = 10**12
_Value = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_]{0,31}\Z")]
_DATE = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One field of a category.

    `text` has `max_len` characters at most; `integer` lies in `minimum`..`maximum` (10**12 at most); `date`
    is YYYY-MM-DD; `code` is one of `values`, in the order in which a page would list them.
    """

    type: Literal["text", "integer", "date", "code"]
    zh: Title
    en: Title
    required: bool = False
    max_len: Annotated[int, Meta(ge=1, le=2_000)] | None = None
    minimum: Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | None = None
    maximum: Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | None = None
    values: tuple[_Value, ...] = ()

    def __post_init__(self) -> None:
        if (self.type == "text") != (self.max_len is not None):
            raise ValueError("max_len belongs to text, and every text has one")
        if (self.type == "code") != bool(self.values) or len(set(self.values)) != len(self.values):
            raise ValueError("values belong to code, and every code has some, each once")
        if (self.type == "integer") != (self.minimum is not None and self.maximum is not None):
            raise ValueError("minimum and maximum belong to integer, and every integer has both")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise ValueError("an empty range")


class Category(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One category of records. `klass` ("class" on the wire) is its retention class: what is erased together.

    `adverse` says that a record of it can be adverse (不良信息); then `term_years` is how long it may be
    shown, counted from the end of the conduct (CIR art. 16: five years), and the source tells the person
    first (CIR art. 15).
    """

    code: wire.CategoryCode
    zh: Title
    en: Title
    klass: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")] = msgspec.field(name="class")
    authority: Title
    basis: Basis
    checked: bool
    adverse: bool
    term_years: Annotated[int, Meta(ge=1, le=5)] | None = None
    fields: Annotated[dict[str, Field], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if self.adverse != (self.term_years is not None):
            raise ValueError("a term belongs to what can be adverse, and all of that has one")
        if self.klass in ("link", "separate"):
            raise ValueError("a reserved retention class")
        if not all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) for name in self.fields):
            raise ValueError("a field's name is out of form")


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of information that is not collected, and why."""

    code: wire.CategoryCode
    zh: Title
    en: Title
    basis: Basis
    checked: bool


class Kinds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The named refusals. A refusal holds whether or not its basis was checked."""

    forbidden: tuple[Refused, ...]
    separate: tuple[Refused, ...]
    judgement: tuple[Refused, ...]


class Kind(StrEnum):
    """What the catalogue says of a kind of information. Only what is listed may be collected as such."""

    LISTED = "listed"
    FORBIDDEN = "forbidden"
    SEPARATE = "separate"
    JUDGEMENT = "judgement"
    NOT_AUTHORISED = "not-authorised"


def classify(kind: str, kinds: Kinds, listed: Mapping[str, Category]) -> Kind:
    """Where a kind of information stands. Named refusals come first, so that no listing can undo them."""
    for refusal, entries in (
        (Kind.FORBIDDEN, kinds.forbidden),
        (Kind.SEPARATE, kinds.separate),
        (Kind.JUDGEMENT, kinds.judgement),
    ):
        if any(entry.code == kind for entry in entries):
            return refusal
    return Kind.LISTED if kind in listed else Kind.NOT_AUTHORISED


class Fault(StrEnum):
    """Why a field of a record is refused. Closed; a report names line, field and fault, never the value."""

    UNKNOWN_FIELD = "unknown-field"
    MISSING = "missing"
    WRONG_TYPE = "wrong-type"
    TOO_LONG = "too-long"
    OUT_OF_RANGE = "out-of-range"
    NOT_A_DATE = "not-a-date"
    NOT_A_VALUE = "not-a-value"
    NOT_PRINTABLE = "not-printable"


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of one field."""

    field: str
    fault: Fault


def faults(category: Category, values: Mapping[str, object]) -> tuple[FieldFault, ...]:
    """All that is wrong with a record's fields, in the catalogue's order, unknown ones last; () if lawful."""
    found: list[FieldFault] = []
    for name, field in category.fields.items():
        if name in values:
            fault = _fault(field, values[name])
            if fault is not None:
                found.append(FieldFault(name, fault))
        elif field.required:
            found.append(FieldFault(name, Fault.MISSING))
    unknown = sorted(set(values) - set(category.fields))
    return (*found, *(FieldFault(name, Fault.UNKNOWN_FIELD) for name in unknown))


def _fault(field: Field, value: object) -> Fault | None:
    if field.type == "integer":
        if type(value) is not int:
            return Fault.WRONG_TYPE
        low, high = field.minimum, field.maximum
        inside = low is not None and high is not None and low <= value <= high
        return None if inside else Fault.OUT_OF_RANGE
    if type(value) is not str:
        return Fault.WRONG_TYPE
    if field.type == "code":
        return None if value in field.values else Fault.NOT_A_VALUE
    if field.type == "date":
        return None if _is_date(value) else Fault.NOT_A_DATE
    return _text_fault(value, field.max_len or 0)


def _text_fault(value: str, max_len: int) -> Fault | None:
    if not value.strip():
        return Fault.MISSING
    if len(value) > max_len:
        return Fault.TOO_LONG
    return Fault.NOT_PRINTABLE if _CONTROL.search(value) else None


def _is_date(value: str) -> bool:
    if not _DATE.match(value):
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True
