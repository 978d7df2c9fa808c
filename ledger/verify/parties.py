"""Rules of institutions (查询机构, 信源单位), their operators (查询用户), and who may act.

Invariant: whoever acts in a leaf was registered before it, is of the institution named, and stood unsuspended
at that moment; standing moves only from active to suspended and back.
"""

from __future__ import annotations

from typing import TypeAlias

from ledger.bodies import (
    Body,
    InstitutionRegistered,
    InstitutionReinstated,
    InstitutionSuspended,
    KeyPublished,
    OperatorRegistered,
    OperatorReinstated,
    OperatorSuspended,
)
from ledger.entries import Leaf
from ledger.verify.rules import Rule
from ledger.verify.state import Party, Pending, World

Standing: TypeAlias = InstitutionSuspended | InstitutionReinstated | OperatorSuspended | OperatorReinstated

OfOperator = (OperatorRegistered, OperatorSuspended, OperatorReinstated)


def actor(leaf: Leaf, world: World) -> tuple[Party, Party] | None:
    """The institution and the operator that act in a leaf, if both are known and belong together."""
    if leaf.by is None or leaf.by.institution is None or leaf.by.operator is None:
        return None
    institution = world.institutions.get(leaf.by.institution)
    operator = world.operators.get(leaf.by.operator)
    if institution is None or operator is None or operator.institution != leaf.by.institution:
        return None
    return institution, operator


def _actor_known(leaf: Leaf, _: Body, world: World) -> str | None:
    if leaf.by is None or actor(leaf, world) is not None:
        return None
    return "whoever acted was not a registered operator of that institution"


def _actor_standing(leaf: Leaf, _: Body, world: World) -> str | None:
    parties = actor(leaf, world)
    if parties is None or all(party.stands(leaf.at) for party in parties):
        return None
    return "whoever acted was suspended at that time"


def _actor_queries(leaf: Leaf, _: Body, world: World) -> str | None:
    parties = actor(leaf, world)
    if parties is None or (
        "admin" not in parties[1].roles and all("query" in party.roles for party in parties)
    ):
        return None
    return "whoever acted does not have the role to query, or is an administrator, who never queries"


def _actor_office(leaf: Leaf, body: Body, world: World) -> str | None:
    """A regulator's administrator or auditor acts on anything, an institution's on what is its own."""
    parties = actor(leaf, world)
    if parties is None:
        return None
    institution, operator = parties
    if institution.sector == "regulator" and not operator.roles.isdisjoint({"admin", "audit"}):
        return None
    if "admin" in operator.roles and _own(body) == institution.institution:
        return None
    return "whoever acted has no such office"


def _own(body: Body) -> str | None:
    """The institution whose own affair a leaf is: its operators, and the key that answers to it go under."""
    if isinstance(body, OfOperator):
        return body.institution
    return body.holder if isinstance(body, KeyPublished) and body.use == "encryption" else None


def approver_of(pending: Pending, operator: str, at: str, world: World) -> str | None:
    """What is wrong with an operator as the approver (批准人) of a query that waits, at a time."""
    approver, institution = world.operators.get(operator), world.institutions[pending.institution]
    if approver is None or approver.institution != pending.institution:
        return "the approver was not a registered operator of the institution that asked"
    if operator == pending.operator:
        return "whoever asked approved or denied it themselves"
    if "approve" not in approver.roles or "admin" in approver.roles or "query" not in institution.roles:
        return "the approver does not have the role to approve, or is an administrator"
    return None if approver.stands(at) else "the approver was suspended at that time"


def _institution_once(_: Leaf, body: InstitutionRegistered, world: World) -> str | None:
    return "the institution was registered before" if body.institution in world.institutions else None


def _operator_once(_: Leaf, body: OperatorRegistered, world: World) -> str | None:
    return "the operator was registered before" if body.operator in world.operators else None


def _institution_known(_: Leaf, body: Standing | OperatorRegistered, world: World) -> str | None:
    return None if body.institution in world.institutions else "the institution was never registered"


def _operator_known(_: Leaf, body: OperatorSuspended | OperatorReinstated, world: World) -> str | None:
    operator = world.operators.get(body.operator)
    if operator is not None and operator.institution == body.institution:
        return None
    return "the operator was never registered with that institution"


def _standing_active(leaf: Leaf, body: Standing, world: World) -> str | None:
    return None if _party(body, world).stands(leaf.at) else "suspended while suspended already"


def _standing_suspended(leaf: Leaf, body: Standing, world: World) -> str | None:
    return "reinstated without being suspended" if _party(body, world).stands(leaf.at) else None


def _until_later(leaf: Leaf, body: InstitutionSuspended | OperatorSuspended, _: World) -> str | None:
    return (
        "the suspension ends before it begins" if body.until is not None and body.until <= leaf.at else None
    )


def _party(body: Standing, world: World) -> Party:
    """The party a standing leaf is about; rules in front have made sure that it is there."""
    if isinstance(body, OperatorSuspended | OperatorReinstated):
        return world.operators[body.operator]
    return world.institutions[body.institution]


ACTOR_KNOWN = Rule("actor-known", _actor_known)
ACTOR_STANDING = Rule("actor-standing", _actor_standing)
ACTOR_QUERIES = Rule("actor-queries", _actor_queries)
ACTOR_OFFICE = Rule("actor-office", _actor_office)
INSTITUTION_ONCE = Rule("institution-once", _institution_once)
INSTITUTION_KNOWN = Rule("institution-known", _institution_known)
OPERATOR_ONCE = Rule("operator-once", _operator_once)
OPERATOR_KNOWN = Rule("operator-known", _operator_known)
STANDING_ACTIVE = Rule("standing-active", _standing_active)
STANDING_SUSPENDED = Rule("standing-suspended", _standing_suspended)
UNTIL_LATER = Rule("until-later", _until_later)


def apply_institution(leaf: Leaf, body: InstitutionRegistered, world: World) -> None:
    """`institution.registered`."""
    world.institutions[body.institution] = Party(
        body.institution, frozenset(body.roles), body.sector, index=leaf.index
    )


def apply_operator(leaf: Leaf, body: OperatorRegistered, world: World) -> None:
    """`operator.registered`."""
    world.operators[body.operator] = Party(body.institution, frozenset(body.roles), index=leaf.index)


def apply_suspended(_: Leaf, body: InstitutionSuspended | OperatorSuspended, world: World) -> None:
    """`institution.suspended`, `operator.suspended`."""
    party = _party(body, world)
    party.suspended, party.until = True, body.until


def apply_reinstated(_: Leaf, body: InstitutionReinstated | OperatorReinstated, world: World) -> None:
    """`institution.reinstated`, `operator.reinstated`."""
    party = _party(body, world)
    party.suspended, party.until = False, None
