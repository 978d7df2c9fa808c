"""Structs that say nothing of what they hold; one costs a tenth of a frozen dataclass.

Invariant: a value is never changed once it is made, and its repr is its type alone, in rich's form too: it
may hold what no log may show, such as records, keys, salts or a request as it was sent.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Value(msgspec.Struct, frozen=True):
    """A frozen value that says nothing of what it holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich, which msgspec would otherwise tell every member."""
        return []
