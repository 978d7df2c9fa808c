"""Fresh identifiers, from randomness that is passed in."""

from __future__ import annotations

from uuid import UUID

from keys.signing import Random


def new_uuid(random: Random) -> str:
    """A random UUID (RFC 9562, version 4), lower case."""
    return str(UUID(bytes=random(16), version=4))


def new_operator_id(random: Random) -> str:
    """An opaque operator id: `op-` and 16 hex digits. It says nothing about the person."""
    return f"op-{random(8).hex()}"
