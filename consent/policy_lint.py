"""What is wrong, doubtful or unfinished in the texts of a policy: all of it at once, and what to do about it.

Invariant: there is an `error` exactly if `load_policy` refuses the texts. Warnings name what is allowed and
probably not meant; notes name what is off, or waits for somebody to read an article at its source.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from consent.catalogue import Category, Kinds, Refused
from consent.errors import MalformedPolicy
from consent.policy import Enrolment, PolicyBundle, Retention, load_policy
from consent.policy_checks import contradictions
from consent.policy_doubts import doubts
from consent.predicates import PredicateRule
from consent.purposes import Purpose
from consent.quotas import Quota
from consent.statutes import Statute

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `place` as in `purposes.02.max_days`, or the name of a text."""

    place: str
    message: str
    severity: Severity


def lint(texts: Mapping[str, str], demo: bool) -> tuple[Finding, ...]:
    """All findings on these TOML texts by name, errors first. `demo` as the bundle is to be loaded."""
    tables, found = _read(texts)
    rows, wrong = _rows(tables)
    found += wrong
    if not found:
        found = [Finding(place, message, "error") for place, message in contradictions(rows)]
    if found:
        return tuple(found)
    try:
        bundle = load_policy(texts.values(), demo=demo)
    except MalformedPolicy as refused:
        return (Finding("policy", str(refused), "error"),)
    return (
        *(Finding(place, message, "warning") for place, message in doubts(bundle)),
        *(Finding(place, message, "note") for place, message in _unfinished(bundle)),
    )


# --- the texts, table by table ---


@dataclass(slots=True)
class _Rows:
    """What could be read: the tables of a bundle that may yet contradict itself."""

    purposes: tuple[Purpose, ...] = ()
    categories: tuple[Category, ...] = ()
    kinds: Kinds = Kinds(forbidden=(), separate=(), judgement=())  # noqa: RUF009  frozen
    statutes: tuple[Statute, ...] = ()
    predicates: tuple[PredicateRule, ...] = ()
    quotas: tuple[Quota, ...] = ()


_ARRAYS: Mapping[str, type[msgspec.Struct]] = {
    "purposes": Purpose,
    "categories": Category,
    "statutes": Statute,
    "predicates": PredicateRule,
    "quotas": Quota,
}
_TABLES: Mapping[str, type[msgspec.Struct]] = {"enrolment": Enrolment, "retention": Retention}
_OPTIONAL = ("statutes", "predicates", "quotas", "retention")


def _read(texts: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    tables: dict[str, Any] = {}
    found = []
    for name, text in texts.items():
        try:
            read = tomllib.loads(text)
        except (ValueError, RecursionError) as refused:  # tomllib's own, or a long integer, or deep nesting
            found.append(Finding(name, f"not TOML: {refused}", "error"))
            continue
        for table, value in read.items():
            if table in ("type", "demo"):
                found.append(Finding(name, f"{table} is not a text's to set: leave it out", "error"))
            elif table in tables:
                found.append(Finding(name, f"{table} stands in another text too: join the two", "error"))
            else:
                tables[table] = value
    return tables, found


def _rows(tables: Mapping[str, Any]) -> tuple[_Rows, list[Finding]]:
    """The rows that are in form, and what is wrong with the others."""
    rows, found = _Rows(), list[Finding]()
    known = (*_ARRAYS, "kinds", *_TABLES)
    found += [
        Finding(table, f"unknown table: known are {', '.join(known)}", "error")
        for table in sorted(tables.keys() - set(known))
    ]
    for table in known:
        if table not in tables:
            if table not in _OPTIONAL:
                found.append(Finding(table, "missing: every policy has this table", "error"))
        elif table in _ARRAYS:
            read, wrong = _array(table, tables[table], _ARRAYS[table])
            setattr(rows, table, read)
            found += wrong
        elif table in _TABLES:
            found += _struct(table, tables[table], _TABLES[table])[1]
        else:
            rows.kinds, wrong = _kinds(tables[table])
            found += wrong
    return rows, found


def _kinds(table: Any) -> tuple[Kinds, list[Finding]]:
    groups: dict[str, Any] = {"forbidden": (), "separate": (), "judgement": ()}
    if not isinstance(table, dict):
        return Kinds(**groups), [Finding("kinds", f"a table of {', '.join(groups)} is wanted", "error")]
    found = [
        Finding(f"kinds.{name}", f"unknown: known are {', '.join(groups)}", "error")
        for name in sorted(table.keys() - groups.keys())
    ]
    for name in groups:
        if name in table:
            groups[name], wrong = _array(f"kinds.{name}", table[name], Refused)
            found += wrong
        else:
            found.append(Finding(f"kinds.{name}", "missing: write an empty list if there is none", "error"))
    return Kinds(**groups), found


def _array(place: str, value: Any, kind: type[msgspec.Struct]) -> tuple[tuple[Any, ...], list[Finding]]:
    if not isinstance(value, list):
        return (), [Finding(place, f"a list of tables is wanted: [[{place}]]", "error")]
    read, found = [], []
    for number, row in enumerate(value, 1):
        known = row.get("code", row.get("name")) if isinstance(row, dict) else None
        struct, wrong = _struct(f"{place}.{known if isinstance(known, str) else f'#{number}'}", row, kind)
        found += wrong
        if struct is not None:
            read.append(struct)
    return tuple(read), found


def _struct(
    place: str, table: Any, kind: type[msgspec.Struct]
) -> tuple[msgspec.Struct | None, list[Finding]]:
    """One row, or everything that is wrong with its members."""
    if not isinstance(table, dict):
        return None, [Finding(place, "a table is wanted", "error")]
    members = {member.encode_name: member for member in msgspec.structs.fields(kind)}
    found = [
        Finding(f"{place}.{name}", f"unknown member: known are {', '.join(members)}", "error")
        for name in sorted(table.keys() - members.keys())
    ]
    for name, member in members.items():
        if name in table:
            found += _attempt(f"{place}.{name}", table[name], member.type)
        elif member.required:
            found.append(Finding(f"{place}.{name}", "missing: there is no default", "error"))
    if not found:
        found += _attempt(place, table, kind)
    return (None if found else msgspec.convert(table, kind)), found


def _attempt(place: str, value: Any, kind: Any) -> list[Finding]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as refused:
        # A policy holds no personal data: its author may read what is wrong.
        return [Finding(place, str(refused), "error")]
    return []


# --- what a policy that can be used leaves open ---


def _unfinished(bundle: PolicyBundle) -> Iterator[tuple[str, str]]:
    """Rows that nobody has checked at their source, and what that means."""
    off = "" if bundle.demo else ", and until then it is off"
    source: Callable[[Any], str]
    for table, rows, source in (
        ("purposes", bundle.purposes, lambda row: row.basis),
        ("categories", bundle.categories, lambda row: row.basis),
        ("statutes", bundle.statutes, lambda row: row.law + row.article),
        ("predicates", bundle.predicates, lambda row: row.basis),
    ):
        for row in rows:
            if not row.checked:
                code = row.name if isinstance(row, PredicateRule) else row.code
                what = f"unverified: read {source(row)} at its source, then set checked = true{off}"
                yield f"{table}.{code}", what
    for group in ("forbidden", "separate", "judgement"):
        for refused in getattr(bundle.kinds, group):
            if not refused.checked:
                what = f"unverified: read {refused.basis} at its source; refused all the same"
                yield f"kinds.{group}.{refused.code}", what
