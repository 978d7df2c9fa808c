"""Fresh identifiers, from randomness that is passed in."""

from __future__ import annotations

from keys.signing import Random


def new_uuid(random: Random) -> str:
    """A random UUID (RFC 9562, version 4), lower case. Spelt out: every request has one."""
    text = random(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def new_operator_id(random: Random) -> str:
    """An opaque operator id: `op-` and 16 hex digits. It says nothing about the person."""
    return f"op-{random(8).hex()}"
