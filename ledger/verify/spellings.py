"""The common leaves, read with one pattern for each type: as strictly as `parse_leaf`, at a tenth of its
cost.

Invariant: what a pattern matches, `parse_leaf` accepts, with the same members; what it does not match may be
a leaf all the same, and is then read by `parse_leaf`. A pattern is made of the forms that the types of
members state (`ledger.members`), in canonical order, without a place for white space, escapes or another
spelling, so that it matches canonical bytes only. A list of categories is read by its type, once for each
spelling. Most of a leaf is hashes and ids: `skim` takes any letters in their place, and `sound` then looks at
those of many leaves at once; both together match what the pattern matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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
    members of its body that are there, all others are not; `fixed` members have one of these values. `keep`
    are the members of the body that are looked at, in canonical order: what replay needs, and all hashes and
    ids.
    """

    type: str
    by: str
    sealed: bool
    keep: tuple[str, ...]
    options: tuple[str, ...] = ()
    fixed: tuple[tuple[str, tuple[str, ...]], ...] = ()


FORMS: Final = (
    Form("query.disclosed", "institution", True,
         ("categories", "commitment", "grant", "purpose", "query", "request", "use"), ("grant", "use")),
    Form("query.predicate", "institution", True,
         ("categories", "commitment", "grant", "predicate", "purpose", "query", "request", "use"),
         ("grant", "use")),
    Form("query.refused", "institution?", True, ("purpose", "query")),
    Form("consent.requested", "institution", True, ("categories", "purpose", "recipient", "request")),
    Form("consent.declined", "", False, ("categories", "purpose", "recipient", "request")),
    Form("consent.granted", "", True,
         ("answer", "categories", "commitment", "consent_hash", "max_uses", "not_after", "not_before",
          "proof_sha256", "purpose", "recipient", "retention_days")),
    Form("consent.withdrawn", "", True, ("grant",), fixed=(("by", ("citizen",)),)),
    Form("subject.enrolled", "registrar", True, ("certificate_sha256", "commitment", "registrar")),
    Form("record.ingested", "institution?", False, ("batch", "count", "root", "source")),
    Form("subject.read", "", False, (), fixed=(("what", ("accesses", "keys", "report")),)),
    Form("query.redelivered", "institution", False, ("of",)),
    Form("query.undelivered", "institution?", False, ("of",)),
)  # fmt: skip
"""A number of a form is its place here: replay has a lane for each."""

AT: Final = 0
"""Place of `at` among the groups of every pattern; the kept members of the body follow."""
BY, INDEX, POLICY, PREV, SEALING, SEALED, N, SUBJECT_PREV, TAG = range(-9, 0)
"""Places of the other groups, from the end. `BY`, `SEALING` and `SEALED` are empty or None where there are
none.
"""

_DAY: Final = (
    r"(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_INSTANT: Final = _DAY + r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
"""Times that exist; a 29 February is left to `parse_leaf`."""
_LIST: Final = r'\[[a-z0-9_",]+\]'
_HASH: Final = "[0-9a-f]{64}"
_UUID: Final = "-".join(f"[0-9a-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
_DIGITS: Final = b"0123456789abcdef"
_REPEATED: Final = re.compile(r"\(([^()|]*)\)\{([0-9])\}")
_GROUP: Final = re.compile(r"(?<!\\)\((?!\?)")
_categories: Final = msgspec.json.Decoder(Categories)

Match = Callable[[bytes], re.Match[bytes] | None]


class Spelling(NamedTuple):
    """How the leaves of a form are read: its number; `fullmatch` of its pattern, and of the pattern which
    takes any letters for the digits of hashes and ids; the places of those groups, and how many of them are
    ids; the group of the categories, 0 for none.
    """

    number: int
    whole: Match
    skim: Match
    digits: tuple[int, ...]
    ids: int
    listed: int


@cache
def spellings(log: str) -> dict[bytes, Spelling]:
    """Type of leaf, as bytes -> how its common form is read in the log of this origin."""
    return {form.type.encode(): _spelling(number, form, log) for number, form in enumerate(FORMS)}


def read(data: bytes, known: dict[bytes, Spelling]) -> tuple[int, Groups] | None:
    """Number of the form and the groups of its pattern, or None for what is left to `parse_leaf`."""
    how = known.get(type_of(data))
    groups = None if how is None else match(data, how.whole, how)
    return None if how is None or groups is None else (how.number, groups)


def type_of(data: bytes) -> bytes:
    """The type of a leaf, if it ends like one; else anything."""
    return data[data.rfind(b'"type":"') + 8 : -8]


def match(data: bytes, pattern: Match, how: Spelling) -> Groups | None:
    """The groups of one of the patterns, if its list of categories may be one too."""
    found = pattern(data)
    if found is None:
        return None
    groups = found.groups()
    return None if how.listed and categories(groups[how.listed]) is None else groups


def sound(columns: Sequence[Groups], how: Spelling) -> bool:
    """Whether all hashes and ids of leaves that were skimmed are written in digits of lower case; a column is
    the same group of all of them.
    """
    digits = b"".join([b"".join(columns[place]) for place in how.digits])
    # An id has its four dashes in their places; any more of them would be in the place of a digit.
    return digits.translate(None, _DIGITS) == b"----" * (how.ids * len(columns[0]))


@lru_cache(maxsize=4096)
def categories(listed: bytes) -> tuple[str, ...] | None:
    """The categories of a JSON list of plain names; None where a leaf would be refused for it."""
    try:
        names = _categories.decode(listed)
        check_sorted(names)
    except ValueError:  # msgspec's own errors too
        return None
    return names if msgspec.json.encode(names) == listed else None


def _spelling(number: int, form: Form, log: str) -> Spelling:
    pattern = _leaf(form, log)
    starts = [found.end() for found in _GROUP.finditer(pattern)]
    ids = [place for place, start in enumerate(starts) if pattern.startswith(_UUID, start)]
    hashes = [place for place, start in enumerate(starts) if pattern.startswith(_HASH, start)]
    any_letters = pattern.replace(_HASH, ".{64}").replace(_UUID, ".{8}-.{4}-.{4}-.{4}-.{12}")
    return Spelling(
        number,
        re.compile(pattern.encode("ascii")).fullmatch,
        re.compile(any_letters.encode("ascii"), re.DOTALL).fullmatch,
        (*hashes, *ids),
        len(ids),
        form.keep.index("categories") + 1 if "categories" in form.keep else 0,
    )


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
    acting, sealed = _by(form), _object({n: _kept(t) for n, t in _types(Sealed)})
    subject = _object({n: (_value if n == "type" else _kept)(t) for n, t in _types(Subject)})
    return (
        rf'\{{"at":{members["at"]},"body":{members["body"]},{acting}"index":{members["index"]},'
        rf'"log":{members["log"]},"policy":{members["policy"]},"prev":{members["prev"]},'
        rf'"salt":{members["salt"]},' + (f'"sealed":{sealed},' if form.sealed else "()()")
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
            members[name] = f'"(?:{"|".join(fixed[name])})"'
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
