"""The sealing key of this process: details for the regulator, under a key that lives in memory only.

Invariant: no blob is sealed under a key before the leaf that announces it (`key.sealing`) stands before it
in the same log; a key serves one UTC day and exactly the regulators registered when it was announced. An
announcement that did not commit leaves no trace here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.ids import new_uuid
from gateway.keyring import DataKey
from keys.canonical import b64u, sha256_hex
from keys.instant import DAY
from keys.sealing import SEALING_INFO, hpke_seal, seal_details
from keys.signing import Random


@dataclass(frozen=True, slots=True)
class Regulator:
    """One regulator's registered X25519 key: thumbprint and raw public key (32 bytes)."""

    kid: str
    public: bytes


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One day's key, the leaf body that announces it, and whom it was sealed to."""

    id: str
    key: bytes = field(repr=False)
    day: int
    regulators: tuple[Regulator, ...]

    def is_of(self, at: int) -> bool:
        """Whether `at` (ms) is on this key's UTC day."""
        return self.day == at // DAY

    def serves(self, at: int, regulators: tuple[Regulator, ...]) -> bool:
        """Whether a leaf at `at` may use this key, given the regulators registered by now."""
        return self.is_of(at) and self.regulators == regulators

    def announcement(self) -> dict[str, object]:
        """The body of `key.sealing`: the key, HPKE-sealed to every regulator (FORMATS, ledger leaf)."""
        return {
            "id": self.id,
            "sha256": sha256_hex(self.key),
            "sealed": [
                {"kid": regulator.kid, "sealed": b64u(hpke_seal(regulator.public, SEALING_INFO, self.key))}
                for regulator in self.regulators
            ],
        }

    def seal(self, details: bytes, origin: str, salt: bytes, random: Random) -> bytes:
        """The blob of one leaf's details, bound to the log and to the leaf's salt."""
        return seal_details(self.key, details, origin, salt, random)


def wrap_sealed(key: DataKey, blob: bytes, digest: str) -> bytes:
    """A blob wrapped once more for rest here, under its epoch's own key, so that erasure reaches it."""
    return key.seal("ledger_sealed", "blob", bytes.fromhex(digest), blob)


def new_sealing_key(at: int, regulators: tuple[Regulator, ...], random: Random) -> SealingKey:
    """A fresh key for the UTC day of `at` (ms)."""
    return SealingKey(new_uuid(random), random(32), at // DAY, regulators)
