"""The common leaves, read with one pattern for each type: as strictly as `parse_leaf`, at a tenth of its
cost.

Invariant: what a pattern matches, `parse_leaf` accepts, with the same members; what it does not match may be
a leaf all the same, and is then read by `parse_leaf`. A pattern is made of the forms that the types of
members state (`ledger.members`), in canonical order, without a place for white space, escapes or another
spelling, so that it matches canonical bytes only. A list of categories is read by its type, once for each
spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from ledger.bodies import LEAF_TYPES
from ledger.entries import By, Leaf, Sealed, Subject
from ledger.members import Categories, Instant, check_sorted

Groups = tuple[bytes, ...]


class Form(NamedTuple):
    """The common form of one type of leaf.

    `by` is who acts ("registrar", "institution", with "?" perhaps, or nobody); `options` are the optional
    members of its body that are there, all others are not; `fixed` members have one value. `keep` are the
    members of the body that replay looks at, in canonical order.
    """

    type: str
    by: str
    sealed: bool
    keep: tuple[str, ...]
    options: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()


FORMS: Final = (
    Form("query.disclosed", "institution", True, ("categories", "grant", "purpose", "query", "use"),
         ("grant", "use")),
    Form("query.predicate", "institution", True,
         ("categories", "grant", "predicate", "purpose", "query", "use"), ("grant", "use")),
    Form("query.refused", "institution?", True, ("purpose",)),
    Form("consent.requested", "institution", True, ("categories", "purpose", "recipient", "request")),
    Form("consent.declined", "", False, ("categories", "purpose", "recipient", "request")),
    Form("consent.granted", "", True,
         ("answer", "categories", "commitment", "consent_hash", "max_uses", "not_after", "not_before",
          "purpose", "recipient", "retention_days")),
    Form("consent.withdrawn", "", True, ("grant",), fixed=(("by", "citizen"),)),
    Form("subject.enrolled", "registrar", True, ("certificate_sha256", "commitment", "registrar")),
    Form("record.ingested", "institution?", False, ("count", "source")),
)  # fmt: skip
"""A number of a form is its place here: replay has a lane for each."""

AT: Final = 0
"""Place of `at` among the groups of every pattern; the kept members of the body follow."""
BY, INDEX, POLICY, PREV, SEALING, N, SUBJECT_PREV, TAG = range(-8, 0)
"""Places of the other groups, from the end. `BY` and `SEALING` are empty or None where there are none."""

_DAY: Final = (
    r"(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_INSTANT: Final = _DAY + r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
"""Times that exist; a 29 February is left to `parse_leaf`."""
_LIST: Final = r'\[[a-z0-9_",]+\]'
_REPEATED: Final = re.compile(r"\(([^()|]*)\)\{([0-9])\}")
_categories: Final = msgspec.json.Decoder(Categories)


class Spelling(NamedTuple):
    """A form's number, and its pattern's `fullmatch`; `listed` is the group of the categories, 0 for none."""

    number: int
    match: Callable[[bytes], re.Match[bytes] | None]
    listed: int


@cache
def spellings(log: str) -> dict[bytes, Spelling]:
    """Type of leaf, as bytes -> how its common form is read in the log of this origin."""
    return {
        form.type.encode(): Spelling(
            number,
            re.compile(_leaf(form, log).encode("ascii")).fullmatch,
            form.keep.index("categories") + 1 if "categories" in form.keep else 0,
        )
        for number, form in enumerate(FORMS)
    }


def read(data: bytes, known: dict[bytes, Spelling]) -> tuple[int, Groups] | None:
    """Number of the form and the groups of its pattern, or None for what is left to `parse_leaf`."""
    spelling = known.get(data[data.rfind(b'"type":"') + 8 : -8])
    found = None if spelling is None else spelling.match(data)
    if spelling is None or found is None:
        return None
    groups = found.groups()
    if spelling.listed and categories(groups[spelling.listed]) is None:
        return None
    return spelling.number, groups


@lru_cache(maxsize=4096)
def categories(listed: bytes) -> tuple[str, ...] | None:
    """The categories of a JSON list of plain names; None where a leaf would be refused for it."""
    try:
        names = _categories.decode(listed)
        check_sorted(names)
    except ValueError:  # msgspec's own errors too
        return None
    return names if msgspec.json.encode(names) == listed else None


def _leaf(form: Form, log: str) -> str:
    """The pattern of a whole leaf."""
    fields = {field.encode_name: field.type for field in _fields(Leaf)}
    members = {
        "at": f'"({_INSTANT})"',
        "body": _body(form),
        "index": f"({_value(fields['index'])})",
        "log": f'"{re.escape(log)}"',
        "policy": _kept(fields["policy"]),
        "prev": _kept(fields["prev"]),
        "salt": _value(fields["salt"]),
        "type": f'"{re.escape(form.type)}"',
        "v": "1",
    }
    acting, sealed = _by(form), _object({n: (_kept if n == "key" else _value)(t) for n, t in _types(Sealed)})
    subject = _object({n: (_value if n == "type" else _kept)(t) for n, t in _types(Subject)})
    return (
        rf'\{{"at":{members["at"]},"body":{members["body"]},{acting}"index":{members["index"]},'
        rf'"log":{members["log"]},"policy":{members["policy"]},"prev":{members["prev"]},'
        rf'"salt":{members["salt"]},' + (f'"sealed":{sealed},' if form.sealed else "()")
        + rf'"subject":{subject},"type":{members["type"]},"v":1\}}'
    )  # fmt: skip


def _by(form: Form) -> str:
    """The actor's member with its comma, the actor itself a group; an empty group for nobody."""
    if not form.by:
        return "()"
    names = ("registrar",) if form.by == "registrar" else ("institution", "operator")
    acting = rf'"by":({_object({n: _value(t) for n, t in _types(By) if n in names})}),'
    return f"(?:{acting})?" if form.by.endswith("?") else acting


def _body(form: Form) -> str:
    fixed, members = dict(form.fixed), dict[str, str]()
    for field in _fields(LEAF_TYPES[form.type]):
        name = field.encode_name
        if name in fixed:
            members[name] = f'"{fixed[name]}"'
        elif field.required or name in form.options:
            members[name] = (_kept if name in form.keep else _value)(field.type)
    return _object(members)


def _object(members: dict[str, str]) -> str:
    return r"\{" + ",".join(f'"{name}":{members[name]}' for name in sorted(members)) + r"\}"


def _fields(struct: type) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _types(struct: type) -> list[tuple[str, inspect.Type]]:
    return [(field.encode_name, field.type) for field in _fields(struct)]


def _kept(kind: inspect.Type) -> str:
    """A value as a group, without its quotes."""
    plain = _value(kind)
    return f'"({plain[1:-1]})"' if plain.startswith('"') else f"({plain})"


def _value(kind: inspect.Type) -> str:
    """The pattern of a value's one spelling. Integers of more than 15 digits are left to `parse_leaf`."""
    if isinstance(kind, inspect.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.StrType) and kind.pattern == _pattern(Instant):
        return f'"{_INSTANT}"'
    if isinstance(kind, inspect.StrType) and kind.pattern is not None and kind.max_length is None:
        return f'"{_inner(kind.pattern)}"'
    if isinstance(kind, inspect.IntType) and kind.ge in (0, 1):
        return "(?:0|[1-9][0-9]{0,14})" if kind.ge == 0 else "[1-9][0-9]{0,14}"
    if isinstance(kind, inspect.LiteralType) and all(isinstance(value, str) for value in kind.values):
        return f'"(?:{"|".join(re.escape(str(value)) for value in kind.values)})"'
    if kind == inspect.type_info(Categories):
        return _LIST
    raise TypeError(f"no pattern for {kind}")


def _pattern(kind: Any) -> str | None:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StrType)
    return info.pattern


def _inner(pattern: str) -> str:
    r"""What stands between \A and \Z, its groups not kept; repeated ones are written out, which is faster."""
    assert pattern.startswith(r"\A")
    assert pattern.endswith(r"\Z")
    plain = _REPEATED.sub(lambda found: found[1] * int(found[2]), pattern[2:-2])
    return plain.replace("(", "(?:")
