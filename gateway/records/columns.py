"""What each column of a file is for: the mapping and the header, held against the catalogue.

Invariant: deny by default. A column is read only if the mapping names it, the catalogue allows its kind, and
both agree on category and field; every other column is refused once, by name, and its cells are never looked
at. Pure: values in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from consent.catalogue import Category, Field, Kind, faults
from consent.policy import PolicyBundle
from gateway.records.mapping import ColumnRule, MalformedMapping, SourceMapping, Value
from gateway.records.rules import Rule

HEADER: Final = 0
"""The line of a refusal that is about the header, and so about the whole file."""

_SHOWN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{0,63}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused, and by which rule. `line` counts from 1; HEADER is the whole column. No values."""

    line: int
    field: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class BoundColumn:
    """A column that may be read: where it stands, how to read it, and what the catalogue wants of it."""

    name: str
    position: int
    field: str
    rule: ColumnRule
    spec: Field


@dataclass(frozen=True, slots=True)
class BoundCategory:
    """The columns and constants that make one record of a category."""

    category: Category
    columns: tuple[BoundColumn, ...]
    constants: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read the rows of one file. With `usable` False no row can be read; `refusals` say why."""

    mapping: SourceMapping
    width: int
    keys: Mapping[str, int]
    categories: tuple[BoundCategory, ...]
    refusals: tuple[Refusal, ...]
    usable: bool


_REFUSED: Final = {
    Kind.FORBIDDEN: Rule.FORBIDDEN,
    Kind.SEPARATE: Rule.SEPARATE_CONSENT,
    Kind.JUDGEMENT: Rule.JUDGEMENT,
    Kind.NOT_AUTHORISED: Rule.NOT_AUTHORISED,
}

_READS: Final = {
    "text": frozenset({"text", "table"}),
    "integer": frozenset({"integer", "table"}),
    "date": frozenset({"date"}),
    "code": frozenset({"table"}),
}
"""Type of a catalogue field -> the transforms that can give it."""


def plan_columns(mapping: SourceMapping, catalogue: PolicyBundle, header: tuple[str, ...]) -> Plan:
    """Decide, before any row is read, what each column of the file is for.

    Raises MalformedMapping when the mapping contradicts the catalogue (a field it does not have, a value it
    does not list): that is a fault of the mapping, whatever the file holds.
    """
    lawful: dict[str, ColumnRule] = {}
    rules: dict[str, Rule] = {}
    for name, rule in mapping.columns.items():
        refused = _rule_for(rule.kind, catalogue)
        if refused is None:
            lawful[name] = rule
        else:
            rules[name] = refused
    categories = _bind(mapping, lawful, catalogue, {name: place for place, name in enumerate(header)})
    missing = [name for name in (*mapping.key_columns(), *lawful) if header.count(name) != 1]
    if missing:
        # The first line may be no header at all but somebody's record: name only what the mapping names.
        refusals = tuple(Refusal(HEADER, name, Rule.MISSING_FIELD) for name in missing)
        return Plan(mapping, len(header), {}, (), refusals, usable=False)
    return Plan(
        mapping=mapping,
        width=len(header),
        keys={name: header.index(name) for name in mapping.key_columns()},
        categories=categories,
        refusals=tuple(_refused_columns(mapping, lawful, rules, header)),
        usable=True,
    )


def _rule_for(kind: str, catalogue: PolicyBundle) -> Rule | None:
    """The rule that refuses a kind; None when it may be stored. A category that is off is not authorised."""
    standing = catalogue.classify(kind)
    if standing is not Kind.LISTED:
        return _REFUSED[standing]
    return None if catalogue.category_is_on(kind) else Rule.NOT_AUTHORISED


def _refused_columns(
    mapping: SourceMapping,
    lawful: Mapping[str, ColumnRule],
    rules: Mapping[str, Rule],
    header: tuple[str, ...],
) -> Iterator[Refusal]:
    read = {*mapping.key_columns(), *lawful}
    for place, name in enumerate(header, start=1):
        if name in rules:
            yield Refusal(HEADER, name, rules[name])
        elif name not in read:
            shown = name if _SHOWN_NAME.fullmatch(name) else f"column {place}"
            yield Refusal(HEADER, shown, Rule.NOT_AUTHORISED)


def _bind(
    mapping: SourceMapping,
    lawful: Mapping[str, ColumnRule],
    catalogue: PolicyBundle,
    places: Mapping[str, int],
) -> tuple[BoundCategory, ...]:
    """The categories this mapping fills, in the order of their codes. Raises MalformedMapping."""
    columns: dict[str, list[BoundColumn]] = {}
    for name, rule in lawful.items():
        code, _, field = (rule.field or "").partition(".")
        category = catalogue.category(code)
        if category is None or code != rule.kind or field not in category.fields:
            raise MalformedMapping(f"columns.{name}: field must be one of the category {rule.kind}")
        spec = category.fields[field]
        if rule.read not in _READS[spec.type]:
            raise MalformedMapping(f"columns.{name}: read does not give the type of {rule.field}")
        if any(_is_faulty(category, field, value) for value in rule.values.values()):
            raise MalformedMapping(f"columns.{name}: a value is not one that {rule.field} may have")
        if rule.adverse and not category.adverse:
            raise MalformedMapping(f"columns.{name}: a record of {code} is never adverse")
        columns.setdefault(code, []).append(BoundColumn(name, places.get(name, -1), field, rule, spec))
    constants: dict[str, dict[str, Value]] = {}
    for target, value in mapping.constants.items():
        code, _, field = target.partition(".")
        category = catalogue.category(code)
        if category is None or code not in columns or field not in category.fields:
            raise MalformedMapping(
                f"constants.{target}: no column fills that category, or it has no such field"
            )
        if _is_faulty(category, field, value):
            raise MalformedMapping(f"constants.{target}: not a value that the field may have")
        constants.setdefault(code, {})[field] = value
    return tuple(
        _category(catalogue, code, columns[code], constants.get(code, {})) for code in sorted(columns)
    )


def _category(
    catalogue: PolicyBundle, code: str, columns: list[BoundColumn], constants: dict[str, Value]
) -> BoundCategory:
    category = catalogue.category(code)
    if category is None:
        raise MalformedMapping(f"{code}: no such category")
    filled = {column.field for column in columns} | constants.keys()
    if any(field.required and name not in filled for name, field in category.fields.items()):
        raise MalformedMapping(f"{code}: no column or constant fills a field that the catalogue requires")
    return BoundCategory(category, tuple(columns), constants)


def _is_faulty(category: Category, field: str, value: Value) -> bool:
    return any(fault.field == field for fault in faults(category, {field: value}))
