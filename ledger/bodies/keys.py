"""Bodies of the life of keys: rotated, revoked, copied, destroyed.

Invariant: a public key stands in full, a secret one never in any form; what was rotated by hand of its holder
carries the signatures of the old and the new key over one statement, so that whoever trusted the old one can
trust the new one without asking anybody.
"""

from __future__ import annotations

from typing import Literal

from ledger.bodies.base import Body
from ledger.members import Count, PartyId, Positive, Thumbprint, Token, Uuid, check_jwk


class BothSignatures(Body, frozen=True):
    """Compact JWS by the old and by the new key, both over the statement of rotation."""

    old: Token
    new: Token


class KeyRotated(Body, frozen=True, rename={"from_": "from"}):
    """`key.rotated`: from this leaf on `to` counts in the place of `from`, for the same use and holder.

    The statement that both sign is JCS {"type":"chengxin/rotation/v1","log","use","holder","from","to",
    "public"}, header `typ` = `rotation+jwt`.
    """

    use: Literal["checkpoint", "receipt", "registrar"]
    holder: PartyId
    from_: Thumbprint
    to: Thumbprint
    public: dict[str, str]
    signatures: BothSignatures

    def __post_init__(self) -> None:
        """The new key is a bare public one under its own name, and another than the old."""
        check_jwk(self.public, self.to)
        if self.from_ == self.to:
            raise ValueError("a key is not rotated to itself")


class KeyRevoked(Body, frozen=True):
    """`key.revoked`: from this leaf on a published key counts for nothing any more.

    `rotated` follows a `key.rotated`; the other causes leave its holder without a key of that use until
    another is published.
    """

    use: Literal["checkpoint", "encryption", "receipt", "registrar", "regulator"]
    kid: Thumbprint
    holder: PartyId
    cause: Literal["compromised", "lost", "retired", "rotated"]


class KeyIndex(Body, frozen=True):
    """`key.index`: a version of the blind index's key. `rows` were written under it when it was completed."""

    version: Positive
    event: Literal["opened", "completed", "destroyed"]
    rows: Count | None = None

    def __post_init__(self) -> None:
        """What is counted is what was written."""
        if (self.rows is None) == (self.event == "completed"):
            raise ValueError("rows are counted with `completed`, and nowhere else")


class KeyData(Body, frozen=True):
    """`key.data`: so many data keys were replaced by new ones, and what they protect encrypted anew."""

    count: Positive


class KeyBackup(Body, frozen=True):
    """`key.backup`: a copy of custody left this installation, or was attested as destroyed.

    `epochs` are those whose keys are in it, ascending; `shares` of the root were made, `threshold` of them
    restore it.
    """

    copy: Uuid
    event: Literal["made", "destroyed"]
    epochs: tuple[Positive, ...] = ()
    shares: Positive | None = None
    threshold: Positive | None = None

    def __post_init__(self) -> None:
        """Epochs are a set; what is destroyed was described when it was made."""
        if any(first >= second for first, second in zip(self.epochs, self.epochs[1:], strict=False)):
            raise ValueError("not sorted, or with duplicates")
        made = self.event == "made"
        if (self.shares is None) == made or (self.threshold is None) == made or (made != bool(self.epochs)):
            raise ValueError("a copy is described when it is made, and only then")
        if self.shares is not None and self.threshold is not None and self.threshold > self.shares:
            raise ValueError("more shares are needed than there are")
