"""A source's mapping: which column of its file is what, as strict TOML.

Invariant: a mapping only names; it authorises nothing. What may be stored is decided by the catalogue from
the `kind` of each column, so a mapping that gives `deposits` a target still has the column refused. Unknown
members, two columns for one target and a transform outside the closed set are errors of the mapping.

    type = "chengxin/mapping/v1"
    source = "91990000DEMA00001L"        # USCC of the source (信源单位)
    reference = ["reference"]            # columns that together are unique for a row
    [person]                             # identity; never among the columns below
    citizen_number = "citizen_number"
    name = "name"
    [dates]                              # YYYY-MM-DD, days in China
    occurred_on = "occurred_on"
    reported_on = "reported_on"          # optional; the day of the import when absent
    notified_on = "notified_on"          # optional; without it every adverse record is refused
    [columns.credit_history]
    kind = "repayment"                   # kind of information, as the catalogue calls it
    field = "repayment.history"          # category.field; left out where the catalogue refuses the kind
    read = "table"                       # text | integer | date | table
    values = { "paid back duly" = "paid", "delay" = "delayed" }
    adverse = ["delay"]                  # cells that make the record adverse
    absent = ["none"]                    # cells that mean: nothing to record
    [constants]
    "loan.currency" = "DM"               # the same for every record of the category
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from gateway.errors import GatewayError
from keys.blind import canonical_uscc
from keys.errors import BadIdentifier

TYPE: Final = "chengxin/mapping/v1"
MAX_BYTES: Final = 256 * 1024
MAX_NAME: Final = 128

Value: TypeAlias = str | int
"""A stored value; the catalogue's fields are text, code, date (all text here) and integer."""

Read = Literal["text", "integer", "date", "table"]

_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SAFE_INTEGER: Final = 2**53


class MalformedMapping(GatewayError):
    """The mapping is not valid, or does not fit the catalogue; the message names the member."""


class PersonColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns that say who it is about."""

    citizen_number: str
    name: str


class DateColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The columns that say when it happened, was told to the person, and was reported."""

    occurred_on: str
    reported_on: str | None = None
    notified_on: str | None = None


class ColumnRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one column of the file is, and how its values are read."""

    kind: str
    field: str | None = None
    read: Read | None = None
    values: dict[str, Value] = {}
    adverse: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class SourceMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A source's mapping, as parsed. The order of the columns is the order of the text."""

    type: str
    source: str
    reference: tuple[str, ...]
    person: PersonColumns
    dates: DateColumns
    columns: dict[str, ColumnRule]
    constants: dict[str, Value] = {}

    def key_columns(self) -> tuple[str, ...]:
        """The columns every file must have whatever the catalogue says: identity, reference, dates."""
        dates = (self.dates.occurred_on, self.dates.reported_on, self.dates.notified_on)
        person = (self.person.citizen_number, self.person.name)
        return (*person, *self.reference, *(name for name in dates if name is not None))


def parse_mapping(text: str) -> SourceMapping:
    """Parse a mapping from TOML. Comments, order and layout are free; the members are not.

    Raises MalformedMapping, with the member that is wrong.
    """
    if len(text) > MAX_BYTES:
        raise MalformedMapping("the mapping is too long")
    try:
        mapping = msgspec.convert(tomllib.loads(text), SourceMapping, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedMapping(f"the mapping does not have the expected members: {error}") from None
    except (ValueError, RecursionError) as error:  # tomllib lets both through: long integers, deep nesting
        raise MalformedMapping(f"the mapping is not TOML: {error}") from None
    for complaint in _complaints(mapping):
        raise MalformedMapping(complaint)
    return mapping


def format_mapping(mapping: SourceMapping) -> str:
    """The mapping as TOML; `parse_mapping` of it gives an equal mapping."""
    head = [f"type = {_toml(mapping.type)}", f"source = {_toml(mapping.source)}"]
    head.append(f"reference = {_toml(mapping.reference)}")
    blocks = ["\n".join(head)]
    for name, table in (("person", mapping.person), ("dates", mapping.dates)):
        blocks.append(_block(name, msgspec.to_builtins(table)))
    for column, rule in mapping.columns.items():
        blocks.append(_block(f"columns.{_key(column)}", msgspec.to_builtins(rule)))
    if mapping.constants:
        blocks.append(_block("constants", mapping.constants))
    return "\n\n".join(blocks) + "\n"


def _block(title: str, members: Mapping[str, object]) -> str:
    return "\n".join([f"[{title}]", *(f"{_key(name)} = {_toml(value)}" for name, value in members.items())])


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: object) -> str:
    """One TOML value. Strings are printable (checked by the parser), so two escapes are enough."""
    match value:
        case int():
            return str(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
    raise MalformedMapping("the mapping holds a value of an unknown type")


def _complaints(mapping: SourceMapping) -> Iterator[str]:
    if mapping.type != TYPE:
        yield f"type: must be {TYPE}"
    try:
        if canonical_uscc(mapping.source) != mapping.source:
            yield "source: write the code in capitals, without blanks"
    except BadIdentifier:
        yield "source: not a unified social credit code"
    yield from _name_complaints(mapping)
    for name, rule in mapping.columns.items():
        yield from (f"columns.{name}: {complaint}" for complaint in _column_complaints(rule))
    targets = [rule.field for rule in mapping.columns.values() if rule.field is not None]
    if len(set(targets)) != len(targets):
        yield "columns: two have the same field"
    for name, value in mapping.constants.items():
        if not _FIELD.fullmatch(name) or name in targets or not _good_value(value):
            yield "constants: each is a category.field that no column fills, with a printable value"


def _name_complaints(mapping: SourceMapping) -> Iterator[str]:
    keys = mapping.key_columns()
    if not mapping.reference or not mapping.columns:
        yield "reference, columns: name at least one"
    if len(set(keys)) != len(keys):
        yield "person, reference, dates: a column is named twice"
    if not all(map(_good_name, (*keys, *mapping.columns))):
        yield "a column's name must be 1 to 128 printable characters without blanks around"
    if set(keys) & set(mapping.columns):
        yield "columns: one of them already names the person, the reference or a date"


def _column_complaints(rule: ColumnRule) -> Iterator[str]:
    if not _CODE.fullmatch(rule.kind):
        yield "kind: small letters, digits and underscores"
    if rule.field is None:
        if rule.read or rule.values or rule.adverse or rule.absent:
            yield "without field there is nothing to read"
    elif rule.read is None or not _FIELD.fullmatch(rule.field):
        yield "field, read: write category.field, and say how the value is read"
    else:
        yield from _reading_complaints(rule)


def _reading_complaints(rule: ColumnRule) -> Iterator[str]:
    if (rule.read == "table") != bool(rule.values):
        yield "values: needed with read = table, and only there"
    if not set(rule.adverse) <= rule.values.keys():
        yield "adverse: each must be a value of the table"
    if set(rule.absent) & rule.values.keys():
        yield "absent: a value of the table cannot mean nothing"
    if any(len(set(words)) != len(words) for words in (rule.adverse, rule.absent)):
        yield "adverse, absent: a value stands twice"
    if not all(map(_good_name, (*rule.values, *rule.absent))):
        yield "values, absent: printable, without blanks around"
    if not all(map(_good_value, rule.values.values())):
        yield "values: text must be printable, integers below 2^53"


def _good_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def _good_value(value: Value) -> bool:
    if isinstance(value, str):
        return _good_name(value)
    return abs(value) < _SAFE_INTEGER
