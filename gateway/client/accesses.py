"""Who looked: the citizen's own list of entries, checked one by one and as a whole.

Invariant: an entry is believed only if its leaf says what the list says of it, if it follows the entry
before it in this person's chain (number and leaf hash, one tag), and, once a checkpoint covers it, if it is
proved to stand in the pinned log. So nothing can be changed, put in or left out of the list; only its end
can be held back, and a list fetched later shows that. The entries of a query whose notice was deferred
(延期告知) come with the entry that unseals it, a chain of their own that begins with the one it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.client.errors import EvidenceFailed
from gateway.client.evidence import Pins
from keys.canonical import parse_canonical, unb64u
from keys.errors import KeysError
from ledger.merkle import leaf_hash

# Members of a leaf's body: what the citizen must be told where it stands there, and what may be left aside.
_ALWAYS_SHOWN: Final = ("purpose", "reason")
_IF_SHOWN: Final = ("query", "request", "what", "cause")
UNSEALED: Final = "query.unsealed"


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry about the citizen: who, when, why, what. `at` is RFC 3339, `leaf` base64url of its bytes.

    `statute` is the code of the law it stands under without a consent; `registrar` whose two officers acted,
    at a counter or by enrolling a key; `cause` why a key ended or a consent was suspended; `joined`, of a
    `query.unsealed`, all entries of the query that it names.
    `proof` is the tlog-proof@v1 text, absent until a checkpoint covers the entry (about a second).
    """

    index: int
    at: str
    type: str
    leaf: str
    institution: str | None = None
    institution_name: str | None = None
    purpose: str | None = None
    categories: tuple[str, ...] = ()
    decision: str | None = None
    reason: str | None = None
    query: str | None = None
    request: str | None = None
    what: str | None = None
    statute: str | None = None
    cause: str | None = None
    registrar: str | None = None
    proof: str | None = None
    joined: tuple[Access, ...] = ()

    @property
    def proven(self) -> bool:
        return self.proof is not None


class Page(msgspec.Struct, frozen=True):
    """One page of the list; `next` is there when more follow."""

    accesses: tuple[Access, ...]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a person's chain stands: the last entry's number and leaf hash (hex), and the chain's tag."""

    n: int = 0
    leaf_hash: str = "00" * 32
    tag: str | None = None


def check_access(pins: Pins, access: Access, before: Link) -> Link:
    """Check one entry against its leaf, its proof and the entry `before` it. Raises EvidenceFailed."""
    try:
        leaf = unb64u(access.leaf)
        members = parse_canonical(leaf)
    except KeysError:
        raise EvidenceFailed("an entry's leaf is none") from None
    if not isinstance(members, dict) or not _says(members, access, pins.vkey.name):
        raise EvidenceFailed("the list says other than its leaf")
    digest = leaf_hash(leaf)
    if access.proof is not None:
        pins.inclusion(access.proof.encode("utf-8"), access.index, digest)
    subject = members.get("subject")
    if not isinstance(subject, dict) or not isinstance(tag := subject.get("tag"), str):
        raise EvidenceFailed("an entry is about nobody")
    if before.tag not in (None, tag) or (subject.get("n"), subject.get("prev")) != (
        before.n + 1,
        before.leaf_hash,
    ):
        raise EvidenceFailed("an entry does not follow the one before: something was left out or put in")
    _check_joined(pins, access, members, tag)
    return Link(before.n + 1, digest.hex(), tag)


def _check_joined(pins: Pins, access: Access, members: Mapping[str, Any], tag: str) -> None:
    """The entries that come with one: the whole chain of the query it unseals, and with any other none."""
    if access.type != UNSEALED:
        if access.joined:
            raise EvidenceFailed("an entry brings others that are none of its own")
        return
    first = access.joined[0] if access.joined else None
    if first is None or (first.index, first.type) != (members["body"].get("of"), "query.pending"):
        raise EvidenceFailed("an unsealed query comes without its first entry")
    link = Link()
    for one in access.joined:
        if one.type == UNSEALED:
            raise EvidenceFailed("an unsealed query cannot unseal another")
        link = check_access(pins, one, link)
    if link.tag == tag:
        raise EvidenceFailed("an unsealed query stands in the person's own chain already")


def _says(leaf: Mapping[str, Any], access: Access, origin: str) -> bool:
    """Whether the leaf says what the list says of it. What a leaf keeps sealed cannot be compared."""
    body, by = leaf.get("body"), leaf.get("by", {})
    if not isinstance(body, dict) or not isinstance(by, dict):
        return False
    said = (leaf.get("log"), leaf.get("index"), leaf.get("at"), leaf.get("type"))
    if said != (origin, access.index, access.at, access.type):
        return False
    if not _acted(body, by, access.institution) or access.registrar not in (None, by.get("registrar")):
        return False
    if "categories" in body and body["categories"] != list(access.categories):
        return False
    statute = body.get("statute")
    if access.statute != (statute.get("code") if isinstance(statute, dict) else None):
        return False
    for name in (*_ALWAYS_SHOWN, *_IF_SHOWN):
        shown = getattr(access, name)
        if name in body and body[name] != shown and (shown is not None or name in _ALWAYS_SHOWN):
            return False
    kind, _, event = access.type.partition(".")
    return access.decision is None or kind != "query" or access.decision == event


def _acted(body: Mapping[str, Any], by: Mapping[str, Any], shown: str | None) -> bool:
    """The institution shown is the one that acted, or, where none did, one that the body names."""
    if "institution" in by:
        return bool(by["institution"] == shown)
    return shown is None or shown in (body.get("recipient"), body.get("source"))
