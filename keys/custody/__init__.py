"""Custody: whoever holds the root and epoch keys, behind one interface.

Invariant: a key never leaves its custody. Callers name a key and hand over what is to be
wrapped, unwrapped, signed or authenticated. A key is random, made here, never overwritten, and
gone from here once `destroy` returns.

Providers: `file` (embedded default). An HSM provider implements the same protocol.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["aead", "mac", "ed25519"]


class Custody(Protocol):
    """A holder of named keys. Names match `[a-z][a-z0-9-]{0,47}`.

    Every method raises CustodyLocked after `close`, and UnknownKeyName for a name that does not stand or
    whose kind does not fit the method: `wrap` and `unwrap` take an aead key, `mac` a mac key, `sign` and
    `public` an ed25519 key.
    """

    def names(self) -> tuple[str, ...]:
        """Names of all keys, sorted."""
        ...

    def has(self, name: str) -> bool:
        """Whether a key of that name stands, of whatever kind."""
        ...

    def generate(self, name: str, kind: Kind) -> None:
        """Make a key. It is durable once this returns. Raises KeyNameTaken rather than overwrite."""
        ...

    def wrap(self, name: str, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt a short secret, bound to `aad`."""
        ...

    def unwrap(self, name: str, blob: bytes, aad: bytes) -> bytes:
        """What `wrap` was given under the same name and `aad`. Raises Malformed or DecryptionFailed."""
        ...

    def mac(self, name: str, message: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        ...

    def sign(self, name: str, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        ...

    def public(self, name: str) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        ...

    def destroy(self, name: str) -> None:
        """Remove a key for good from this custody.

        Copies of the custody made elsewhere are destroyed there.
        """
        ...

    def forget(self, name: str) -> None:
        """Drop from memory what was kept of a key, if anything: another process destroyed it."""
        ...

    def close(self) -> None:
        """Forget every secret in memory. May be called twice."""
        ...
