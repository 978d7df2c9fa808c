"""Rules that bind every leaf to the one before, to its log and to its person, whatever its type.

Invariant: after the last leaf, every leaf stood at its index, named the leaf before it and the person's leaf
before it, was no earlier than either, and carried the policy in force.
"""

from __future__ import annotations

from ledger.bodies import Body, PolicyChanged
from ledger.entries import Leaf
from ledger.members import ZERO_HASH
from ledger.verify import statutes as st
from ledger.verify.rules import Rule
from ledger.verify.state import World


def _log(leaf: Leaf, _: Body, world: World) -> str | None:
    return None if leaf.log == world.origin else "the leaf belongs to another log"


def _index(leaf: Leaf, _: Body, world: World) -> str | None:
    return None if leaf.index == world.size else "the leaf says that it stands at another index"


def _prev(leaf: Leaf, _: Body, world: World) -> str | None:
    return (
        None
        if leaf.prev == world.head
        else "the leaf does not name the one before it: one of the two changed"
    )


def _time(leaf: Leaf, _: Body, world: World) -> str | None:
    return None if leaf.at >= world.at else "the leaf is earlier than the leaf before it"


def _opened_first(leaf: Leaf, _: Body, world: World) -> str | None:
    if (leaf.type == "log.opened") == (world.size == 0):
        return None
    return "a log is opened once, by its first leaf"


def _closed_last(_: Leaf, __: Body, world: World) -> str | None:
    return "a leaf follows the one that closed the log" if world.closed else None


def _subject_number(leaf: Leaf, _: Body, world: World) -> str | None:
    if leaf.subject is None:
        return None
    known = world.subjects.get(leaf.subject.tag)
    expected = 1 if known is None else known.n + 1
    return None if leaf.subject.n == expected else "the person's leaves are not numbered without a gap"


def _subject_prev(leaf: Leaf, _: Body, world: World) -> str | None:
    if leaf.subject is None:
        return None
    known = world.subjects.get(leaf.subject.tag)
    expected = ZERO_HASH if known is None else known.head
    return None if leaf.subject.prev == expected else "the leaf does not name the person's leaf before it"


def _policy(leaf: Leaf, body: Body, world: World) -> str | None:
    if world.size == 0:
        return None
    in_force = body.policy if isinstance(body, PolicyChanged) else world.policy_hash
    return None if leaf.policy == in_force else "the leaf names a policy that was not in force"


def _sealing_announced(leaf: Leaf, _: Body, world: World) -> str | None:
    if leaf.sealed is None or leaf.sealed.key in world.sealing_ids:
        return None
    return "the details are sealed under a key that no earlier leaf announced"


def _sealing_current(leaf: Leaf, _: Body, world: World) -> str | None:
    """An older key would keep details from a regulator who joined since, or serve longer than its day."""
    if leaf.sealed is None or world.sealing.get(leaf.sealed.key) == day(leaf.at):
        return None
    return "the details are sealed under a key of another day, or of before a regulator joined"


def day(at: str) -> str:
    """The UTC day of a time, as text."""
    return at[:10]


CHAIN = (
    Rule("log-origin", _log),
    Rule("index", _index),
    Rule("prev", _prev),
    Rule("time", _time),
    Rule("opened-first", _opened_first),
    Rule("closed-last", _closed_last),
    Rule("subject-number", _subject_number),
    Rule("subject-prev", _subject_prev),
    st.COVERT_TAG,
    st.UNSEALED_IN_TIME,
    Rule("policy-in-force", _policy),
    Rule("sealing-announced", _sealing_announced),
    Rule("sealing-current", _sealing_current),
)
"""In this order, for every leaf."""


def seat(leaf: Leaf, world: World) -> None:
    """Make sure that the person of the leaf has a record, before the rules of its type look for it."""
    if leaf.subject is not None:
        world.subjects.seat(leaf.subject.tag)


def advance(leaf: Leaf, leaf_hash: str, world: World) -> None:
    """Move the heads over a leaf that held."""
    world.size += 1
    world.head = leaf_hash
    world.at = leaf.at
    if leaf.subject is not None:
        world.subjects[leaf.subject.tag].advance(leaf_hash)
