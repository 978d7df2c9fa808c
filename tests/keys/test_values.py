"""Values say nothing of what they hold, in whatever way they are shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from keys.values import Value


class Held(Value, frozen=True):
    secret: str
    more: tuple[Any, ...] = ()


def test_no_repr_shows_a_member() -> None:
    held = Held("110101199003070011", (Held("another"),))
    for shown in (repr(held), str(held), f"{held}", pretty_repr(held), repr([held])):
        assert "1101" not in shown
        assert "another" not in shown


def test_a_value_is_never_changed() -> None:
    with pytest.raises(AttributeError):
        Held("secret").secret = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(Held("secret"), secret="other") == Held("other")
