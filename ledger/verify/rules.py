"""What a rule of replay is: a stable name and a check that says what is wrong, or nothing.

Invariant: a check only reads; what a leaf changes is applied after every rule for it held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from keys.errors import KeysError
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify.state import World

Check: TypeAlias = Callable[[Leaf, Any, World], str | None]
"""(leaf, its body or (body, opened details), the world before it) -> what is wrong in plain words, or None.

The tables fit bodies and details to types, so that a check may name the one it takes.
"""

Apply: TypeAlias = Callable[[Leaf, Any, World], None]
"""(leaf, its body or (body, opened details), the world): what the leaf changes."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the name that reports carry, never reused for another, and its check."""

    name: str
    check: Check


Rules: TypeAlias = tuple[Rule, ...]


def hold(rules: Iterable[Rule], index: int, leaf: Leaf, about: object, world: World) -> None:
    """Raise a Finding at `index` for the first rule that does not hold; `about` is what its checks take.

    Evidence that cannot be read or verified (`KeysError`) breaks the rule that reads it.
    """
    for rule in rules:
        try:
            wrong = rule.check(leaf, about, world)
        except KeysError as broken:
            wrong = str(broken)
        if wrong is not None:
            raise Finding(index, rule.name, wrong)
