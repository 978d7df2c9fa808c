"""The bodies of most leaves: spelt first, then checked with one pattern, at a third of a reading's cost.

Invariant: what is given back is what `entries` would spell of the body that it would read. A pattern is made
of the forms that the types of members state (`ledger.members`), in canonical order, without a place for white
space, escapes or another spelling; whatever it does not match is left to be read member by member.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, get_args, get_type_hints

import msgspec
import orjson

from ledger.bodies.base import Body
from ledger.bodies.queries import QueryDisclosed, QueryPredicate, QueryRedelivered, QueryRefused
from ledger.members import Categories, Count, Positive, check_sorted

_ANSWER: Final = ("categories", "commitment", "grant", "purpose", "query", "request", "use")
_COMMON: Final[Mapping[str, tuple[type[Body], tuple[str, ...]]]] = MappingProxyType(
    {
        "query.disclosed": (QueryDisclosed, _ANSWER),
        "query.predicate": (QueryPredicate, (*_ANSWER, "predicate")),
        "query.redelivered": (QueryRedelivered, ("of",)),
        "query.refused": (QueryRefused, ("purpose", "query", "reason")),
    }
)
"""Type of leaf -> the members that its body mostly has. Of these, no rule but that of a set joins several."""

_LIST: Final = r'(\[[a-z0-9_",]+\])'
_NUMBERS: Final = {Count: "(?:0|[1-9][0-9]{0,14})", Positive: "[1-9][0-9]{0,14}"}
"""Of at most 15 digits: longer ones are read."""
_categories: Final = msgspec.json.Decoder(Categories)


def spell_plain(type_: str, body: object) -> bytes | None:
    """Canonical bytes of a common body; None for any other, and for what may have to be refused."""
    match = _MATCHES.get(type_)
    if match is None or type(body) is not dict:
        return None
    try:
        spelt = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None
    found = match(spelt)
    if found is None or (found.lastindex and not _is_set(found[1])):
        return None
    return spelt


@lru_cache(maxsize=4096)
def _is_set(listed: bytes) -> bool:
    """Whether a list is one of categories, in order."""
    try:
        names = _categories.decode(listed)
        check_sorted(names)
    except ValueError:  # msgspec's own errors too
        return False
    return msgspec.json.encode(names) == listed


def _pattern(struct: type[Body], names: tuple[str, ...]) -> Callable[[bytes], re.Match[bytes] | None]:
    kinds = get_type_hints(struct, include_extras=True)
    members = ",".join(f'"{name}":{_form(kinds[name])}' for name in sorted(names))
    return re.compile((r"\{" + members + r"\}").encode("ascii")).fullmatch


def _form(kind: Any) -> str:
    """A member's one spelling, by its type, which may be optional."""
    for form in (kind, *get_args(kind)):
        if form == Categories:
            return _LIST
        if form in _NUMBERS:
            return _NUMBERS[form]
        for said in getattr(form, "__metadata__", ()):
            pattern: str | None = said.pattern
            if pattern is not None:  # what stands between its \A and \Z, groups not kept
                return '"' + pattern[2:-2].replace("(", "(?:") + '"'
    raise TypeError(f"no pattern for {kind}")


_MATCHES: Final = {type_: _pattern(struct, names) for type_, (struct, names) in _COMMON.items()}
