"""A policy bundle as the TOML text that gives it: what `policy show --toml` prints, to edit and to apply.

Invariant: `load_policy(format_toml(bundle), demo=bundle.demo)` is `bundle` again, for every bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from consent.policy import PolicyBundle, format_policy
from keys.canonical import parse_canonical

_NOT_A_TEXTS = ("type", "demo")  # said by whoever applies it


def format_toml(bundle: PolicyBundle) -> str:
    """One TOML text (1.0) of the whole bundle, tables in the bundle's order of names."""
    members = parse_canonical(format_policy(bundle))
    told = {name: members[name] for name in members if name not in _NOT_A_TEXTS}
    lines = [*_pairs({name: told[name] for name in told if told[name] == []})]  # keys of no table come first
    lines += [line for name in told for line in _table((name,), told[name])]
    return "\n".join(lines).strip() + "\n"


def _table(path: tuple[str, ...], value: Any) -> Iterator[str]:
    """The lines of one table, or of an array of them, whose rows hold whatever is deeper in one line."""
    header = ".".join(map(_key, path))
    if isinstance(value, dict):
        yield from (
            "",
            f"[{header}]",
            *_pairs({name: value[name] for name in value if not _rows(value[name])}),
        )
        for name in value:
            if _rows(value[name]):
                yield from _table((*path, name), value[name])
    for row in _rows(value):
        yield from ("", f"[[{header}]]", *_pairs(row))


def _rows(value: Any) -> list[Any]:
    """The rows of an array of tables; none of anything else."""
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else []


def _pairs(row: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        yield f"{_key(name)} = {_value(value)}"


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else _value(name)


def _value(value: Any) -> str:
    """A string, integer, boolean, array or table in one line. JSON's escapes are among TOML's."""
    if isinstance(value, dict):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # U+007F may not stand bare in a TOML string, and JSON leaves it bare.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
