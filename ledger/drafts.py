"""What is to be recorded, and all of its leaf that can be made before its place in the log is known.

Invariant: a leaf put together from a `Ready` is byte for byte what `entries.format_leaf` gives for the same
members. Only what follows from the leaf before it (index, hashes, the number among the person's leaves, time,
policy) is added under the head's lock; all the rest is read, spelt, sealed and checked here, which needs
neither the lock nor a connection.
"""

from __future__ import annotations

from binascii import b2a_base64, hexlify
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from keys.canonical import canonical, sha256
from keys.instant import format_instant
from keys.signing import Random
from keys.values import Value
from ledger.bodies import PolicyChanged
from ledger.entries import spell_act, spell_named, spell_sealed
from ledger.errors import MalformedLeaf

TAG_SIZE: Final = 16
SALT_SIZE: Final = 16
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

Seal = Callable[[bytes, bytes], tuple[str, bytes]]
"""(JCS of the details, the leaf's salt) -> (id of the sealing key, sealed blob)."""
Wrap = Callable[[bytes, str], bytes]
"""(sealed blob, its SHA-256 in hex) -> the blob wrapped under the epoch key, as it is stored."""


class Sealing(Value, frozen=True):
    """With what details are sealed, and wrapped under the key of `epoch`."""

    seal: Seal
    wrap: Wrap
    epoch: int


class Closed(Value, frozen=True):
    """Details as they are kept: `sha256` (32 bytes) is of the blob sealed under `key`, which `blob` wraps.

    `salt` (16 bytes) is their leaf's, to which the blob is bound; `details` are what was sealed.
    """

    key: str
    sha256: bytes
    epoch: int
    blob: bytes
    salt: bytes
    details: Mapping[str, Any]


class Draft(Value, frozen=True):
    """What a caller wants recorded. `body` and `by` are JSON values.

    `tag` is 16 bytes for a leaf about a person; `details` are sealed to the regulator; `about` is a column to
    search by (a consent's id, say), not in the leaf. Details that were closed beforehand serve for one leaf.
    """

    type: str
    body: Mapping[str, Any]
    tag: bytes | None = None
    by: Mapping[str, str] | None = None
    details: Mapping[str, Any] | Closed | None = None
    about: str | None = None


class Entry(Value, frozen=True):
    """A leaf as appended: `leaf` is its canonical bytes, `at` in ms; hash 32 bytes, salt 16."""

    index: int
    leaf_hash: bytes
    leaf: bytes
    at: int
    type: str
    salt: bytes


class Ready(Value, frozen=True):
    """A draft made ready. Its leaf is `acted` and `salted`, and about a person `ending`, with a frame around.

    `salt` is 16 bytes; `policy` is the bundle that the leaf itself puts in force.
    """

    draft: Draft
    salt: bytes
    policy: str | None
    closed: Closed | None
    acted: bytes
    salted: bytes
    ending: bytes


def close(details: Mapping[str, Any], random: Random, sealing: Sealing | None) -> Closed:
    """Seal the details of one leaf. Raises MalformedLeaf where there is nothing to seal them with."""
    if sealing is None:
        raise MalformedLeaf("details, and no key to seal them with")
    salt = random(SALT_SIZE)
    key, blob = sealing.seal(canonical(dict(details)), salt)
    digest = sha256(blob)
    return Closed(key, digest, sealing.epoch, sealing.wrap(blob, digest.hex()), salt, details)


def make_ready(draft: Draft, random: Random, sealing: Sealing | None = None) -> Ready:
    """All that can be made of a leaf beforehand. Raises MalformedLeaf for what could never be one."""
    tag, details = draft.tag, draft.details
    closed = details if details is None or isinstance(details, Closed) else close(details, random, sealing)
    salt = random(SALT_SIZE) if closed is None else closed.salt
    if len(salt) != SALT_SIZE or (tag is not None and len(tag) != TAG_SIZE):
        raise MalformedLeaf("salts and tags are 16 bytes")
    body, acted = spell_act(draft.type, draft.body, draft.by, of_a_person=tag is not None)
    policy = body.policy if isinstance(body, PolicyChanged) else None
    salted = b'","salt":"' + _b64u(salt) + b'"'
    if closed is not None:
        salted += b',"sealed":' + spell_sealed(closed.key, closed.sha256)
    ending = b',"type":"' + draft.type.encode() + b'","v":1}'
    if tag is None:
        return Ready(draft, salt, policy, closed, acted, salted + ending, b"")
    ending = b'","tag":"' + _b64u(tag) + b'"}' + ending
    return Ready(draft, salt, policy, closed, acted, salted + b',"subject":{"n":', ending)


def _b64u(data: bytes) -> bytes:
    """As `keys.canonical.b64u` has it, in the bytes that a leaf is joined of."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


class Frame(msgspec.Struct, frozen=True):
    """What all leaves of one log, time and policy share, spelt once."""

    opening: bytes
    named: bytes

    def leaf(self, ready: Ready, index: int, prev: bytes) -> bytes:
        """The leaf about nobody at `index`, after the one whose hash is `prev`."""
        return b"".join((self.opening, ready.acted, b"%d" % index, self.named, hexlify(prev), ready.salted))

    def leaf_about(self, ready: Ready, index: int, prev: bytes, n: int, prev_about: bytes) -> bytes:
        """The same about a person, as the leaf `n` of theirs, after the one whose hash is `prev_about`."""
        return b"".join(
            (
                self.opening,
                ready.acted,
                b"%d" % index,
                self.named,
                hexlify(prev),
                ready.salted,
                b"%d" % n,
                b',"prev":"',
                hexlify(prev_about),
                ready.ending,
            )
        )


def frame_of(origin: str, at: int, policy: str) -> Frame:
    """Of a log, a time (ms) and the policy in force; raises MalformedLeaf."""
    return Frame(b'{"at":"' + format_instant(at).encode() + b'",', spell_named(origin, policy))
