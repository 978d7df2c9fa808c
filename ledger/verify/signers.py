"""Rules of keys that end: rotated by both keys' signatures, or revoked; and which key counts when.

Invariant: a key counts from the leaf that brought it to before the one that ended it, and never outside; a
holder has one key of a signing use at a time. What follows a rotation is trusted as much as what was before
it, for the old key signed for the new one; what follows any other end has to be trusted anew.
"""

from __future__ import annotations

from dataclasses import replace

from keys.canonical import unb64u
from keys.errors import KeysError
from keys.notes import Vkey, make_vkey
from keys.rotation import USES, Rotation, Statement, verify_rotation
from keys.signing import PublicKey, parse_public_jwk
from ledger.bodies import Body, KeyPublished, KeyRevoked, KeyRotated, SubjectEnrolled
from ledger.entries import Leaf
from ledger.logkeys import LogKey, LogKeys
from ledger.verify.rules import Rule
from ledger.verify.state import PublishedKey, World

_OWN = ("checkpoint", "receipt")


def rotation_of(log: str, body: KeyRotated) -> Rotation:
    """The statement of a rotation in this log, as its leaf repeats it, and both signatures."""
    statement = Statement(log, body.use, body.holder, body.from_, body.to, dict(body.public))
    return Rotation(statement, body.signatures.old, body.signatures.new)


def in_force(world: World, use: str, holder: str) -> tuple[str, PublishedKey] | None:
    """Thumbprint and record of the holder's key that counts now."""
    for (of, kid), key in world.keys.items():
        if of == use and key.holder == holder and key.ended is None:
            return kid, key
    return None


def log_keys(world: World, signed_by: Vkey) -> LogKeys:
    """The keys of the log's checkpoints with their ranges; the signer's alone where none was published."""
    found = [key for (use, _), key in world.keys.items() if use == "checkpoint"]
    listed = (
        LogKey(
            make_vkey(world.origin, unb64u(dict(key.public)["x"], 32)),
            0 if key is found[0] else key.index,
            key.ended,
        )
        for key in found
    )
    return LogKeys(tuple(listed)) if found else LogKeys.only(signed_by)


def certifying(world: World, registrar: str, certificate_sha256: str) -> PublicKey | None:
    """The registrar's key that was in force when a certificate enrolled somebody, or is while it does."""
    kid = world.certified.get(certificate_sha256)
    if kid is None:
        found = in_force(world, "registrar", registrar)
        return None if found is None else parse_public_jwk(dict(found[1].public))
    return parse_public_jwk(dict(world.keys["registrar", kid].public))


def _key_one(_: Leaf, body: KeyPublished, world: World) -> str | None:
    if body.use not in USES or in_force(world, body.use, body.holder) is None:
        return None
    return "a key is published beside one that is in force: it was neither rotated nor revoked"


def _rotated_from(_: Leaf, body: KeyRotated, world: World) -> str | None:
    found = in_force(world, body.use, body.holder)
    if found is not None and found[0] == body.from_:
        return None
    return "a key is replaced that was not in force, or is another's"


def _rotated_to(_: Leaf, body: KeyRotated, world: World) -> str | None:
    if (body.use, body.to) in world.keys:
        return "the new key was published before"
    try:
        if parse_public_jwk(body.public).alg != "Ed25519" and body.use in _OWN:
            return "the log's own keys are Ed25519"
    except KeysError:
        return "the new key is not one for its use"
    return None


def _rotation_signed(_: Leaf, body: KeyRotated, world: World) -> str | None:
    """The statement is made anew from the leaf and this log's name: one of another log does not verify."""
    old = parse_public_jwk(dict(world.keys[body.use, body.from_].public))
    verify_rotation(rotation_of(world.origin, body), old)
    return None


def _revoked_known(_: Leaf, body: KeyRevoked, world: World) -> str | None:
    key = world.keys.get((body.use, body.kid))
    if key is not None and key.holder == body.holder:
        return None
    return "a key is revoked that this holder never published"


def _revoked_once(_: Leaf, body: KeyRevoked, world: World) -> str | None:
    return "the key was revoked before" if world.keys[body.use, body.kid].revoked else None


def _revoked_cause(_: Leaf, body: KeyRevoked, world: World) -> str | None:
    if (body.cause == "rotated") == (world.keys[body.use, body.kid].ended is not None):
        return None
    return "a key is revoked as rotated that was not, or the other way round"


KEY_ONE = Rule("key-one", _key_one)
ROTATED_FROM = Rule("rotated-from", _rotated_from)
ROTATED_TO = Rule("rotated-to", _rotated_to)
ROTATION_SIGNED = Rule("rotation-signed", _rotation_signed)
REVOKED_KNOWN = Rule("revoked-known", _revoked_known)
REVOKED_ONCE = Rule("revoked-once", _revoked_once)
REVOKED_CAUSE = Rule("revoked-cause", _revoked_cause)


def apply_rotated(leaf: Leaf, body: KeyRotated, world: World) -> None:
    """`key.rotated`: the old key counts up to before this leaf, the new one from it on."""
    world.keys[body.use, body.from_] = replace(world.keys[body.use, body.from_], ended=leaf.index)
    public = tuple(sorted(body.public.items()))
    world.keys[body.use, body.to] = PublishedKey(leaf.index, body.holder, public)


def apply_revoked(leaf: Leaf, body: KeyRevoked, world: World) -> None:
    """`key.revoked`; of a regulator's key, today's sealing key serves no longer either."""
    key = world.keys[body.use, body.kid]
    ended = leaf.index if key.ended is None else key.ended
    world.keys[body.use, body.kid] = replace(key, ended=ended, revoked=True)
    if body.use == "regulator":
        world.sealing.clear()


def certify(body: Body, world: World) -> None:
    """Remember under which key of its registrar a certificate enrolled somebody."""
    if isinstance(body, SubjectEnrolled):
        found = in_force(world, "registrar", body.registrar)
        if found is not None:
            world.certified[body.certificate_sha256] = found[0]
