"""Rules of a person's keys: enrolled, revoked, what is suspended with one and resumed by another.

Invariant: a key acts from its own time on and while it is live: one that is not the person's first not before
the policy's wait since its leaf is over. A key is revoked once, or once more when a lost one is found
compromised; then whatever stands under it is suspended by the very next leaves, and is resumed only by a
leaf of its own while a key of the person acts. A counter acts only for persons whom its registrar enrolled.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from keys.instant import HOUR, format_instant
from ledger.bodies import (
    Body,
    ConsentGranted,
    ConsentResumed,
    ConsentSuspended,
    ConsentWithdrawn,
    SubjectEnrolled,
    SubjectKeyRevoked,
    SubjectRead,
)
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify.consents import subject_of
from ledger.verify.persons import CitizenKey
from ledger.verify.rules import Rule
from ledger.verify.state import World

Act: TypeAlias = ConsentResumed | ConsentWithdrawn | SubjectKeyRevoked | SubjectRead
"""What a citizen does with a key, or a counter for them."""


def _commitment_once(leaf: Leaf, body: SubjectEnrolled, world: World) -> str | None:
    known = body.commitment in subject_of(leaf, world).keys
    return "the same key of the person was enrolled before" if known else None


def _key_live(leaf: Leaf, body: ConsentGranted, world: World) -> str | None:
    cause = subject_of(leaf, world).keys[body.commitment].cause
    return "the consent is under a key that was revoked before" if cause else None


def _key_waited(leaf: Leaf, body: ConsentGranted, world: World) -> str | None:
    if leaf.at >= subject_of(leaf, world).keys[body.commitment].since:
        return None
    return "the consent is under a further key of the person whose wait was not over"


def _acting_key(leaf: Leaf, body: Act, world: World) -> str | None:
    """Which one it was, only opened details say."""
    if body.by != "citizen" or any(key.acts(leaf.at) for key in subject_of(leaf, world).keys.values()):
        return None
    return "the citizen acted without any key that was live and in effect"


def _counter_registrar(leaf: Leaf, _: Act, world: World) -> str | None:
    if leaf.by is None or leaf.by.registrar is None:
        return None
    if any(key.registrar == leaf.by.registrar for key in subject_of(leaf, world).keys.values()):
        return None
    return "the counter is of a registrar that never certified a key of the person"


def _counter_standing(leaf: Leaf, _: Act, world: World) -> str | None:
    if leaf.by is None or leaf.by.registrar is None:
        return None
    registrar = world.institutions.get(leaf.by.registrar)
    if registrar is None or (registrar.stands(leaf.at) and "registrar" in registrar.roles):
        return None
    return "the counter's registrar was suspended at that time"


def _revoked_known(leaf: Leaf, body: SubjectKeyRevoked, world: World) -> str | None:
    known = body.commitment in subject_of(leaf, world).keys
    return None if known else "the key that was revoked is none of the person's"


def _revoked_once(leaf: Leaf, body: SubjectKeyRevoked, world: World) -> str | None:
    key = subject_of(leaf, world).keys[body.commitment]
    if not key.cause or (key.cause, body.cause) == ("lost", "compromised"):
        return None
    return "the key was revoked before"


def _refused_further(leaf: Leaf, body: SubjectKeyRevoked, world: World) -> str | None:
    """From when it acts is known to the millisecond only once its certificate was opened."""
    if body.cause != "refused":
        return None
    key = subject_of(leaf, world).keys[body.commitment]
    if key.further and body.by == "citizen" and (key.public is None or leaf.at < key.since):
        return None
    return "a key was refused that was no further key, or was in effect, or by somebody else than its person"


def _suspended_next(_: Leaf, body: Body, world: World) -> str | None:
    if not world.suspending or isinstance(body, ConsentSuspended):
        return None
    return "a key was found compromised, and a consent under it was not suspended at once"


def _suspended_cause(_: Leaf, body: ConsentSuspended, world: World) -> str | None:
    if world.suspending.get(body.grant) == body.key:
        return None
    return "the consent was not made under the key that was just found compromised"


def _suspended_once(_: Leaf, body: ConsentSuspended, world: World) -> str | None:
    suspended = world.granted(body.grant).suspended is not None
    return "the consent was suspended before" if suspended else None


def _grant_suspended(_: Leaf, body: ConsentResumed, world: World) -> str | None:
    suspended = world.granted(body.grant).suspended is not None
    return None if suspended else "the consent was not suspended"


def _grant_stands(_: Leaf, body: Body, world: World) -> str | None:
    suspended = world.granted(getattr(body, "grant", None)).suspended is not None
    return "the consent is suspended" if suspended else None


COMMITMENT_ONCE = Rule("commitment-once", _commitment_once)
KEY_LIVE = Rule("key-live", _key_live)
KEY_WAITED = Rule("key-waited", _key_waited)
ACTING_KEY = Rule("acting-key", _acting_key)
COUNTER_REGISTRAR = Rule("counter-registrar", _counter_registrar)
COUNTER_STANDING = Rule("counter-standing", _counter_standing)
REVOKED_KNOWN = Rule("citizen-key-known", _revoked_known)
REVOKED_ONCE = Rule("citizen-key-ended", _revoked_once)
REFUSED_FURTHER = Rule("citizen-key-refused", _refused_further)
SUSPENDED_NEXT = Rule("suspended-next", _suspended_next)
SUSPENDED_CAUSE = Rule("suspended-cause", _suspended_cause)
SUSPENDED_ONCE = Rule("suspended-once", _suspended_once)
GRANT_SUSPENDED = Rule("grant-suspended", _grant_suspended)
GRANT_STANDS = Rule("grant-stands", _grant_stands)

OF_EVERY_LEAF: Final = (SUSPENDED_NEXT,)
"""Held before the rules of a leaf's own type."""
COUNTER: Final = (ACTING_KEY, COUNTER_REGISTRAR, COUNTER_STANDING)
"""Of whatever a citizen does with a key, or a counter for them."""


def apply_enrolled(leaf: Leaf, body: SubjectEnrolled, world: World) -> None:
    """`subject.enrolled`."""
    keys = subject_of(leaf, world).keys
    since = leaf.instant + world.policy.enrolment.second_key_hours * HOUR if keys else leaf.instant
    keys[body.commitment] = CitizenKey(
        index=leaf.index,
        registrar=body.registrar,
        certificate=body.certificate_sha256,
        since=format_instant(since),
        further=bool(keys),
    )
    world.certificates.add(bytes.fromhex(body.certificate_sha256))


def apply_revoked(leaf: Leaf, body: SubjectKeyRevoked, world: World) -> None:
    """`subject.key_revoked`: what stands under a compromised key has to be suspended next."""
    key = subject_of(leaf, world).keys[body.commitment]
    key.cause = body.cause
    if body.cause != "compromised":
        return
    for index in key.grants:
        grant = world.granted(index)
        if not grant.withdrawn and grant.suspended is None and leaf.at < grant.not_after:
            world.suspending[index] = leaf.index


def apply_suspended(leaf: Leaf, body: ConsentSuspended, world: World) -> None:
    """`consent.suspended`."""
    world.granted(body.grant).suspended = leaf.index
    world.suspending.pop(body.grant, None)


def apply_resumed(_: Leaf, body: ConsentResumed, world: World) -> None:
    """`consent.resumed`."""
    world.granted(body.grant).suspended = None


def check_end(world: World) -> None:
    """Raise a Finding for a consent that had to be suspended by the end of the log, and was not."""
    if world.suspending:
        raise Finding(None, SUSPENDED_NEXT.name, "the log ends before a consent that had to be was suspended")
