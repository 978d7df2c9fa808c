"""What every body of a leaf shares."""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every body shares: no member but its own, and none that is null."""
