"""What is different between two policies, row by row and member by member.

Invariant: the changes, made to the old policy, give the new one and nothing else; two equal policies have
none. A default that was never spelled counts as its value, so that spelling it is no change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from consent.policy import PolicyBundle
from consent.quotas import Quota

Effect = Literal["stricter", "looser"]

_LESS_IS_STRICTER = frozenset(
    {
        "max_days",
        "max_uses",
        "max_retention_days",
        "term_years",
        "deferral_days",
        "limit",
        "redelivery_hours",
        "approval_hours",
        "permitted",
        "necessary",
        "institutions",
        "sectors",
        "checked",
        "demo",
    }
)
"""Members (numbers, sets and booleans) that let less through, or let less be demanded, the less they hold."""
_MORE_IS_STRICTER = frozenset({"waits", "second_key_hours"})
_MORE_ROWS_ARE_STRICTER = ("kinds", "quotas")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `place` as in `purposes.02.max_days`; `old`, `new` as in JSON, None where absent.

    A row (or member of a table) that one side lacks is one change, `added` or `removed`, whole. `effect` is a
    hint, given only where the member alone decides it: less information then leaves than before, or more.
    """

    kind: Literal["added", "removed", "changed"]
    place: str
    old: Any
    new: Any
    effect: Effect | None = None


def diff(old: PolicyBundle, new: PolicyBundle) -> tuple[Change, ...]:
    """All changes from `old` to `new`, in the order of the bundle's tables; () when they are one policy."""
    return tuple(_structs((), old, new))


_Path = tuple[str, ...]


def _structs(path: _Path, old: msgspec.Struct, new: msgspec.Struct) -> Iterator[Change]:
    for member in msgspec.structs.fields(type(old)):
        yield from _values((*path, member.encode_name), getattr(old, member.name), getattr(new, member.name))


def _values(path: _Path, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct):
        yield from _structs(path, old, new)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _tables(path, old, new)
    elif _is_rows(old) or _is_rows(new):
        yield from _tables(path, {_key(row): row for row in old}, {_key(row): row for row in new})
    else:
        yield _change("changed", path, old, new)


def _tables(path: _Path, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield _change("removed", (*path, key), old[key], None)
        elif key not in old:
            yield _change("added", (*path, key), None, new[key])
        else:
            yield from _values((*path, key), old[key], new[key])


def _is_rows(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(row, msgspec.Struct) for row in value)


def _key(row: Any) -> str:
    """What a row is known by: a quota by scope, purpose and window, a rule by its name, others by code."""
    if isinstance(row, Quota):
        return "/".join(part for part in row.key if part)
    name: str = row.name if hasattr(row, "name") else row.code
    return name


def _change(kind: Literal["added", "removed", "changed"], path: _Path, old: Any, new: Any) -> Change:
    # By way of JSON, which has no tuples; None, for no value, is null.
    before, after = (msgspec.json.decode(msgspec.json.encode(value)) for value in (old, new))
    return Change(kind, ".".join(path), before, after, _effect(path, old, new))


def _effect(path: _Path, old: Any, new: Any) -> Effect | None:
    if "waits" in path:
        return _ordered((old or 0) > (new or 0), (old or 0) < (new or 0))
    if old is None or new is None:
        # A whole row came or went; a member that came or went within one says nothing by itself.
        if len(path) > (3 if path[0] == "kinds" else 2):
            return None
        added = old is None
        stricter = added if path[0] in _MORE_ROWS_ARE_STRICTER else not added
        return "stricter" if stricter else "looser"
    if path[-1] not in _LESS_IS_STRICTER | _MORE_IS_STRICTER or path[0] == "kinds":
        return None
    if isinstance(old, tuple):
        old, new = frozenset(old), frozenset(new)
    effect = _ordered(new > old, new < old)
    if path[-1] in _MORE_IS_STRICTER and effect is not None:
        return "stricter" if effect == "looser" else "looser"
    return effect


def _ordered(looser: bool, stricter: bool) -> Effect | None:
    if looser == stricter:
        return None
    return "looser" if looser else "stricter"
