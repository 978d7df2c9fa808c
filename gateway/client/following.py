"""From pinned keys to those rotated to since, by the statements that both keys of a rotation signed.

Invariant: the gateway's word for its keys counts for nothing here: a key follows from a pinned one only if
the pinned one, or one that follows from it, signed for it. Each counts in its range of indices. A key that
was revoked without a rotation is the end of what its pin reaches: another pin is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.client.errors import EvidenceFailed
from keys.canonical import unb64u
from keys.errors import KeysError
from keys.jws import peek_kid
from keys.notes import Vkey, make_vkey
from keys.rotation import Rotation, Statement, verify_rotation
from keys.signing import PublicKey, ed25519_public_key, parse_public_jwk
from ledger.logkeys import LogKey, LogKeys


class Signatures(msgspec.Struct, frozen=True):
    """Compact JWS by the old and by the new key of a rotation."""

    old: str
    new: str


class PublishedKey(msgspec.Struct, frozen=True):
    """One published key: what for, thumbprint, public JWK, who holds it, and the index of its leaf.

    `ended` is the leaf from which on it no longer counts, `signatures` are of the rotation that brought it.
    """

    use: str
    kid: str
    public: dict[str, str]
    holder: str
    index: int
    ended: int | None = None
    signatures: Signatures | None = None


class PublishedKeys(msgspec.Struct, frozen=True):
    """`GET /v1/keys`: the log's origin, its vkey and every published key."""

    origin: str
    vkey: str
    keys: tuple[PublishedKey, ...]


@dataclass(frozen=True, slots=True)
class Ranged:
    """A key that is trusted, for indices from `since` to before `ended` (None: still in force)."""

    key: PublicKey
    since: int = 0
    ended: int | None = None


def followed(log: str, use: str, pinned: PublicKey, said: PublishedKeys) -> tuple[Ranged, ...]:
    """The pinned key and all that rotations connect with it, before and after, ascending.

    The pinned key alone when the gateway does not list it. Raises EvidenceFailed for a rotation between
    trusted keys that does not hold.
    """
    listed = {key.kid: key for key in said.keys if (key.use, key.holder) == (use, log)}
    if said.origin != log:
        raise EvidenceFailed("the gateway speaks of another log than the pinned one")
    if pinned.kid not in listed:
        return (Ranged(pinned),)
    try:
        before = {key.kid: peek_kid(key.signatures.old) for key in listed.values() if key.signatures}
        chain = [pinned.kid]
        while before.get(chain[0]) in listed and len(chain) <= len(listed):
            chain.insert(0, before[chain[0]])
            _check(log, use, listed, chain[0], chain[1])
        after = {old: new for new, old in before.items()}
        while chain[-1] in after and len(chain) <= len(listed):
            chain.append(after[chain[-1]])
            _check(log, use, listed, chain[-2], chain[-1])
        return tuple(_ranged(listed[kid], first=kid == chain[0]) for kid in chain)
    except KeysError as error:
        raise EvidenceFailed(f"a rotation of the gateway's {use} key does not hold") from error


def _check(log: str, use: str, listed: Mapping[str, PublishedKey], old: str, new: str) -> None:
    """One rotation: signed by both, and the one key begins where the other ends."""
    key = listed[new]
    if key.signatures is None or key.index != listed[old].ended:
        raise EvidenceFailed(f"a {use} key of the gateway does not begin where the one before it ended")
    statement = Statement(log, use, log, old, new, key.public)
    rotation = Rotation(statement, key.signatures.old, key.signatures.new)
    verify_rotation(rotation, parse_public_jwk(listed[old].public))


def _ranged(key: PublishedKey, *, first: bool) -> Ranged:
    found = parse_public_jwk(key.public)
    if found.kid != key.kid:
        raise EvidenceFailed("a published key does not have the thumbprint it is published under")
    return Ranged(found, 0 if first else key.index, key.ended)


def log_keys_from(pinned: Vkey, said: PublishedKeys) -> LogKeys:
    """The keys of the log's checkpoints that the pinned one leads to, with their ranges."""
    found = followed(pinned.name, "checkpoint", ed25519_public_key(pinned.public), said)
    return LogKeys(
        tuple(
            LogKey(make_vkey(pinned.name, unb64u(one.key.jwk["x"], 32)), one.since, one.ended)
            for one in found
        )
    )
