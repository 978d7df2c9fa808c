"""What a citizen signs about their keys: that one ends, and that a consent suspended with one goes on.

Invariant: each has one byte form and names the one key that signs it (`subject`), so that it can be held
against that key alone. A revocation only ever takes power away: any live key of the person may sign it, and
what it costs is given back at the counter (`consent.counter`). A resumption names the suspension that it
answers, so that it serves once and never for a later one.

`lost` keeps what was granted under the key, `compromised` suspends it, `refused` is a further key that the
holder of an earlier one objects to before it takes effect.
"""

from __future__ import annotations

from typing import Literal

from consent import wire

REVOCATION_TYPE = "chengxin/key-revocation/v1"
RESUMPTION_TYPE = "chengxin/resumption/v1"

Cause = Literal["compromised", "lost", "refused"]


class KeyRevocation(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=REVOCATION_TYPE):
    """The end of `key`, said by `subject`: thumbprints (RFC 7638) of two keys of one person, or of one."""

    gateway: wire.Origin
    key: str
    cause: Cause
    subject: str
    nonce: str

    def __post_init__(self) -> None:
        wire.check_base64url(self.key, 32)
        wire.check_base64url(self.subject, 32)
        wire.check_base64url(self.nonce, 16)
        if self.cause == "refused" and self.key == self.subject:
            raise ValueError("a key does not object to itself")


class Resumption(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=RESUMPTION_TYPE):
    """A citizen confirms a suspended consent; `suspension` is the index of the leaf that suspended it."""

    consent_id: wire.Uuid
    gateway: wire.Origin
    subject: str
    suspension: wire.Natural
    nonce: str

    def __post_init__(self) -> None:
        wire.check_base64url(self.subject, 32)
        wire.check_base64url(self.nonce, 16)


def parse_revocation(data: bytes) -> KeyRevocation:
    """Raises MalformedDocument for anything that `format_revocation` would not emit."""
    return wire.parse_struct(data, KeyRevocation)


def format_revocation(revocation: KeyRevocation) -> bytes:
    """JCS bytes. Raises MalformedDocument."""
    return wire.format_struct(revocation)


def parse_resumption(data: bytes) -> Resumption:
    """Raises MalformedDocument for anything that `format_resumption` would not emit."""
    return wire.parse_struct(data, Resumption)


def format_resumption(resumption: Resumption) -> bytes:
    """JCS bytes. Raises MalformedDocument."""
    return wire.format_struct(resumption)
