"""Bodies of what the log says about itself and its parties: opening, policies, keys, institutions, operators.

Invariant: no personal data; a public key stands here in full, a person's never does.
"""

from __future__ import annotations

from typing import Literal

from ledger.bodies.base import Body
from ledger.members import (
    Blob,
    Code,
    Count,
    Hex32,
    Instant,
    OperatorId,
    Origin,
    PartyId,
    Positive,
    Roles,
    Sector,
    Thumbprint,
    Uscc,
    Uuid,
    check_instants,
    check_jwk,
    check_sorted,
)


class Previous(Body, frozen=True):
    """The last checkpoint of the log that this one continues."""

    origin: Origin
    size: Count
    root: Hex32


class LogOpened(Body, frozen=True):
    """`log.opened`, index 0 and nowhere else."""

    origin: Origin
    previous: Previous | None = None


class LogClosed(Body, frozen=True):
    """`log.closed`: nothing follows."""

    reason: Code


class LogRecovered(Body, frozen=True):
    """`log.recovered`: the database had been put back to `since` leaves; the rest came from the tiles.

    What those leaves ended stays ended. What they began (enrolments, requests, consents, queries that wait,
    records) is void, for its documents are lost; their sealed details may be missing.
    """

    since: Positive
    size: Positive

    def __post_init__(self) -> None:
        """Something was recovered."""
        if self.since >= self.size:
            raise ValueError("nothing was recovered")


class PolicyChanged(Body, frozen=True):
    """`policy.changed`: the policy bundle named is in force from here, this leaf included."""

    policy: Hex32
    replaces: Hex32 | None = None


class KeyPublished(Body, frozen=True):
    """`key.published`: a public key and whose it is. `kid` is its RFC 7638 thumbprint."""

    use: Literal["checkpoint", "encryption", "receipt", "registrar", "regulator"]
    kid: Thumbprint
    public: dict[str, str]
    holder: PartyId

    def __post_init__(self) -> None:
        """Refuse what is no bare public key, or another's name for it."""
        check_jwk(self.public, self.kid)


class SealedKey(Body, frozen=True):
    """One regulator's copy of a sealing key: HPKE to the X25519 key `kid`."""

    kid: Thumbprint
    sealed: Blob


class KeySealing(Body, frozen=True):
    """`key.sealing`: a worker's key of the day for details, sealed to each regulator before its first use."""

    id: Uuid
    sha256: Hex32
    sealed: tuple[SealedKey, ...]

    def __post_init__(self) -> None:
        """At least one regulator can read; ordered by key."""
        if not self.sealed:
            raise ValueError("sealed to nobody")
        check_sorted([copy.kid for copy in self.sealed])


class KeyEpoch(Body, frozen=True):
    """`key.epoch`: an epoch of data keys begins, all survivors were wrapped under it, its key was destroyed.

    `count` data keys stood under it when all were.
    """

    epoch: Positive
    event: Literal["opened", "rewrapped", "destroyed"]
    count: Count | None = None

    def __post_init__(self) -> None:
        """What is counted is what was wrapped anew."""
        if (self.count is None) == (self.event == "rewrapped"):
            raise ValueError("a count stands with `rewrapped`, and nowhere else")


class InstitutionRegistered(Body, frozen=True):
    """`institution.registered`."""

    institution: Uscc
    sector: Sector
    roles: Roles

    def __post_init__(self) -> None:
        """Roles are a set."""
        check_sorted(self.roles)


class InstitutionSuspended(Body, frozen=True):
    """`institution.suspended`; `until`, exclusive, lapses by the leaves' `at`, without a leaf."""

    institution: Uscc
    reason: Code
    until: Instant | None = None

    def __post_init__(self) -> None:
        """The time exists."""
        check_instants(self.until)


class InstitutionReinstated(Body, frozen=True):
    """`institution.reinstated`."""

    institution: Uscc
    reason: Code


class OperatorRegistered(Body, frozen=True):
    """`operator.registered`: a person at an institution (查询用户), under an opaque id."""

    operator: OperatorId
    institution: Uscc
    roles: Roles

    def __post_init__(self) -> None:
        """Roles are a set."""
        check_sorted(self.roles)


class OperatorSuspended(Body, frozen=True):
    """`operator.suspended`; `until` as for an institution."""

    operator: OperatorId
    institution: Uscc
    reason: Code
    until: Instant | None = None

    def __post_init__(self) -> None:
        """The time exists."""
        check_instants(self.until)


class OperatorReinstated(Body, frozen=True):
    """`operator.reinstated`."""

    operator: OperatorId
    institution: Uscc
    reason: Code
