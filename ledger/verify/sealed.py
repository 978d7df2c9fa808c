"""Opening what was sealed to a regulator (监管), offline, with the regulator's private key and nothing else.

Invariant: details count only if their blob hashes to what the leaf says, opens under a key that an earlier
leaf sealed to this regulator, and was sealed for this very log and leaf. A missing blob is a fault, not an
excuse, unless the person it is about is erased by the end of the log (`unread`, which the auditor settles).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keys.canonical import parse_canonical, sha256_hex, unb64u
from keys.errors import KeysError
from keys.sealing import SEALING_INFO, hpke_open, open_details, parse_private_x25519_jwk
from keys.signing import thumbprint
from ledger.bodies import KeySealing
from ledger.entries import Leaf
from ledger.errors import Finding

MAX_BLOB = 16 << 20
"""Bytes of a blob that are read at most."""


class Opener:
    """One regulator's view of the sealed details of one log."""

    def __init__(self, directory: Path, private_jwk: dict[str, str]) -> None:
        """Raises keys.errors.Malformed unless the key is a private X25519 JWK."""
        self._private = parse_private_x25519_jwk(private_jwk)
        self.kid = thumbprint(private_jwk)
        self._directory = directory
        self._keys: dict[str, bytes] = {}
        self.opened = 0
        self.not_ours = 0
        self.unread: list[tuple[int, str | None]] = []

    def announce(self, index: int, body: KeySealing) -> None:
        """Take the sealing key of a `key.sealing` leaf, if this regulator got one."""
        for copy in body.sealed:
            if copy.kid != self.kid:
                continue
            try:
                key = hpke_open(self._private, SEALING_INFO, unb64u(copy.sealed))
            except KeysError:
                raise Finding(
                    index, "sealing-key", "the sealing key does not open for this regulator"
                ) from None
            if sha256_hex(key) != body.sha256:
                raise Finding(
                    index, "sealing-key", "the regulator got another sealing key than the one announced"
                )
            self._keys[body.id] = key

    def open(self, index: int, leaf: Leaf) -> Any:
        """The details of a leaf as parsed canonical JSON; None if it has none, or this regulator has not."""
        if leaf.sealed is None:
            return None
        key = self._keys.get(leaf.sealed.key)
        if key is None:
            self.not_ours += 1
            return None
        blob = self._blob(index, leaf.sealed.sha256)
        if blob is None:
            self.unread.append((index, None if leaf.subject is None else leaf.subject.tag))
            return None
        try:
            details = parse_canonical(open_details(key, blob, leaf.log, unb64u(leaf.salt)))
        except KeysError:
            raise Finding(index, "blob-opens", "the sealed details do not open for this leaf") from None
        self.opened += 1
        return details

    def _blob(self, index: int, sha256: str) -> bytes | None:
        try:
            with (self._directory / "sealed" / sha256).open("rb") as file:
                blob = file.read(MAX_BLOB + 1)
        except FileNotFoundError:
            return None
        if sha256_hex(blob) != sha256:
            raise Finding(index, "blob-hash", "the sealed details are not those that the leaf names")
        return blob
