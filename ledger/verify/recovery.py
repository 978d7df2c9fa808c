"""Rules of a database that was put back, and of a log that continues one whose end was lost.

Invariant: after a `log.recovered` nothing that its lost part began is in force: no consent, enrolment,
request, waiting query, case, or party; and no certificate of that part serves a second time. What that part
ended stays ended, for those leaves are in the log like all others. A log that continues another takes over
its consents suspended, and nothing is answered under one before its citizen confirmed it.
"""

from __future__ import annotations

from ledger.bodies import Body, ConsentCarried, LogOpened, LogRecovered
from ledger.entries import Leaf
from ledger.verify.consents import apply_granted
from ledger.verify.rules import Rule
from ledger.verify.state import World


def _recovered_size(leaf: Leaf, body: LogRecovered, _: World) -> str | None:
    return None if body.size == leaf.index else "the log did not have so many leaves when it was recovered"


def _continues_another(_: Leaf, body: LogOpened, world: World) -> str | None:
    if body.previous is None or body.previous.origin != world.origin:
        return None
    return "the log is said to continue itself"


def _carried_over(_: Leaf, __: Body, world: World) -> str | None:
    return None if world.previous is not None else "a consent is carried over from no log"


def _carried_uses(_: Leaf, body: ConsentCarried, __: World) -> str | None:
    return None if body.uses < body.max_uses else "the consent that is carried over was used up"


RECOVERED_SIZE = Rule("recovered-size", _recovered_size)
CONTINUES_ANOTHER = Rule("continues-another", _continues_another)
CARRIED_OVER = Rule("carried-over", _carried_over)
CARRIED_USES = Rule("carried-uses", _carried_uses)


def apply_recovered(_: Leaf, body: LogRecovered, world: World) -> None:
    """`log.recovered`."""
    since = body.since
    world.recovered.append(range(since, body.size))
    world.grants.void(since)
    world.requests.forget(since)
    world.pending = {index: pending for index, pending in world.pending.items() if index < since}
    world.deferred = {index: deferred for index, deferred in world.deferred.items() if index < since}
    world.institutions = {name: party for name, party in world.institutions.items() if party.index < since}
    world.operators = {name: party for name, party in world.operators.items() if party.index < since}
    world.cases = {name: case for name, case in world.cases.items() if case.index < since}
    ended = set[str]()
    world.subjects.forget_keys(since)
    for subject in world.subjects.opened():
        ended |= {key.public.kid for key in subject.keys.values() if key.cause and key.public is not None}
    world.citizen_keys = {
        kid: index for kid, index in world.citizen_keys.items() if index < since or kid in ended
    }


def apply_carried(leaf: Leaf, body: ConsentCarried, world: World) -> None:
    """`consent.carried`."""
    apply_granted(leaf, body, world)
    grant = world.granted(leaf.index)
    grant.uses, grant.suspended = body.uses, leaf.index


def lost_in(index: int, world: World) -> int | None:
    """The index of the `log.recovered` that says that the details of a leaf were lost, if one does."""
    return next((lost.stop for lost in reversed(world.recovered) if index in lost), None)
