"""Rotation of a signing key by its holder: one statement, signed by the old key and by the new.

Invariant: whoever trusts the old key learns the new one from the two signatures alone, and whoever trusts the
new one learns which it replaced. The statement names log, use and holder, so that a rotation in one log, or
for one use, says nothing in another; `parse` accepts only what `format` emits.

    {"type":"chengxin/rotation/v1","log","use","holder","from","to","public"}      JCS, `typ` rotation+jwt
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from keys.canonical import canonical, parse_canonical
from keys.errors import BadSignature, KeysError, Malformed
from keys.jws import sign_jws, verify_jws
from keys.signing import Jwk, PrivateKey, PublicKey, parse_public_jwk, thumbprint_bytes

ROTATION_TYPE: Final = "chengxin/rotation/v1"
ROTATION_TYP: Final = "rotation+jwt"
USES: Final = ("checkpoint", "receipt", "registrar")
"""The uses whose keys sign, and can therefore vouch for the next."""

_TEXTS: Final = ("log", "use", "holder", "from", "to")


@dataclass(frozen=True, slots=True)
class Statement:
    """In `log`, from the rotation's leaf on, the key `to` counts in the place of `from`.

    `log` is the log's origin, `holder` whose key it is, `from_` and `to` RFC 7638 thumbprints, `public` the
    new key's bare JWK.
    """

    log: str
    use: str
    holder: str
    from_: str
    to: str
    public: Jwk


@dataclass(frozen=True, slots=True)
class Rotation:
    """A statement and both signatures, compact JWS by the old and by the new key."""

    statement: Statement
    old: str
    new: str


def format_statement(statement: Statement) -> bytes:
    """The JCS bytes that both keys sign. Raises Malformed for a statement that nobody should sign."""
    _check(statement)
    return canonical(_members(statement))


def parse_statement(data: bytes) -> Statement:
    """Raises Malformed for anything that `format_statement` would not emit."""
    return _statement(parse_canonical(data))


def format_rotation(rotation: Rotation) -> bytes:
    """JCS of {"statement","signatures":{"old","new"}}: how a registrar hands its rotation to the gateway."""
    _check(rotation.statement)
    signatures = {"old": rotation.old, "new": rotation.new}
    return canonical({"statement": _members(rotation.statement), "signatures": signatures})


def parse_rotation(data: bytes) -> Rotation:
    """Raises Malformed for anything that `format_rotation` would not emit. No signature is verified."""
    members = parse_canonical(data)
    if not isinstance(members, dict) or members.keys() != {"statement", "signatures"}:
        raise Malformed("a rotation holds a statement and its signatures")
    signatures = members["signatures"]
    if (
        not isinstance(signatures, dict)
        or signatures.keys() != {"old", "new"}
        or not all(isinstance(token, str) for token in signatures.values())
    ):
        raise Malformed("a rotation carries two signatures, by the old key and by the new")
    return Rotation(_statement(members["statement"]), signatures["old"], signatures["new"])


def rotate(log: str, use: str, holder: str, old: PrivateKey, new: PrivateKey) -> Rotation:
    """The rotation from `old` to `new`, signed by both. Raises Malformed when they are one key."""
    statement = Statement(log, use, holder, old.kid, new.kid, dict(new.jwk))
    payload = format_statement(statement)
    return Rotation(statement, sign_jws(payload, old, ROTATION_TYP), sign_jws(payload, new, ROTATION_TYP))


def verify_rotation(rotation: Rotation, old: PublicKey) -> PublicKey:
    """The new key, once both keys have signed exactly this statement.

    `old` is the key that is trusted so far. Raises BadSignature when it is not the one that is replaced or a
    signature does not hold, Malformed for what is no rotation.
    """
    statement = rotation.statement
    payload = format_statement(statement)
    new = parse_public_jwk(statement.public)
    if statement.from_ != old.kid:
        raise BadSignature("the rotation replaces another key")
    for token, key, whose in ((rotation.old, old, "old"), (rotation.new, new, "new")):
        if verify_jws(token, key, ROTATION_TYP) != payload:
            raise BadSignature(f"the {whose} key signed another statement")
    return new


def _members(statement: Statement) -> dict[str, Any]:
    return {
        "type": ROTATION_TYPE,
        "log": statement.log,
        "use": statement.use,
        "holder": statement.holder,
        "from": statement.from_,
        "to": statement.to,
        "public": dict(statement.public),
    }


def _statement(members: object) -> Statement:
    if (
        not isinstance(members, dict)
        or members.keys() != {"type", "public", *_TEXTS}
        or members["type"] != ROTATION_TYPE
        or not all(isinstance(members[name], str) for name in _TEXTS)
        or not isinstance(members["public"], dict)
    ):
        raise Malformed("not a statement of rotation")
    log, use, holder, from_, to = (members[name] for name in _TEXTS)
    statement = Statement(log, use, holder, from_, to, members["public"])
    _check(statement)
    return statement


def _check(statement: Statement) -> None:
    """The new key is whole, named by its thumbprint, and another than the old."""
    if statement.use not in USES or not statement.log or not statement.holder:
        raise Malformed("a statement of rotation names a log, a holder, and a use whose keys sign")
    thumbprint_bytes(statement.from_)
    try:
        kid = parse_public_jwk(statement.public).kid
    except KeysError as error:
        raise Malformed("the new key is no public signing key") from error
    if kid != statement.to or statement.from_ == statement.to:
        raise Malformed("the new key is not the one that the statement names, or is the old one")
