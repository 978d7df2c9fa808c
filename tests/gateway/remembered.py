"""What is the same in every installation of a run, computed once for all of them.

Invariant: what is remembered follows from its arguments alone and cannot be changed by whoever has it, so no
test can tell, but by the clock. Each house keeps engine, connections, policy row and custody of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from werkzeug.routing import Rule

from consent.policy import parse_policy
from gateway import provision
from gateway.config import Settings
from keys.custody.sealed_file import Derivation

_engine_of = provision.engine_of
_compile_builder = Rule._compile_builder
_BUILDERS: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


class _Compiled(dict[Any, Any]):
    """Compiled statements by dialect's name: each engine has a dialect of its own, and they are all alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_any(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_any(key), compiled)


def _of_any(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (dialect.name, dialect.server_version_info, *statement)


_COMPILED = _Compiled()


def _sharing(settings: Settings) -> sa.Engine:
    engine = _engine_of(settings)
    engine.update_execution_options(compiled_cache=_COMPILED)
    return engine


def _built(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """Werkzeug compiles, for each route, two functions that make its URL: the most part of making an app."""
    key = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), append_unknown)
    if key not in _BUILDERS:
        _BUILDERS[key] = _compile_builder(rule, append_unknown)
    return _BUILDERS[key]


_parsed = cache(parse_policy)
_stretched = cache(Derivation.key)


@contextmanager
def remembering() -> Iterator[None]:
    """Open a house in this block: its policy, passphrase and statements are those of the one before."""
    with (
        patch.object(provision, "engine_of", _sharing),
        patch("gateway.policies.parse_policy", _parsed),
        patch.object(Derivation, "key", _stretched),
    ):
        yield


@contextmanager
def routes_remembered() -> Iterator[None]:
    """Make an app in this block: its routes are compiled like those of the one before."""
    with patch.object(Rule, "_compile_builder", _built):
        yield
