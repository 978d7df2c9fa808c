"""The changes between two policies are all of them, in their places, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from consent.errors import MalformedPolicy
from consent.policy import PolicyBundle, Retention, format_policy, parse_policy
from consent.policy_diff import Change, diff
from tests.consent.asking import DEMO, LIVE, with_row

ROW_TABLES = ("purposes", "categories", "statutes", "predicates", "quotas")
MEMBERS: dict[str, Any] = json.loads(format_policy(DEMO))


def key(row: dict[str, Any]) -> str:
    if "scope" in row:
        return "/".join(row[name] for name in ("scope", "purpose", "per") if name in row)
    return str(row["name"] if "text_zh" in row else row["code"])


def tree(bundle: PolicyBundle) -> dict[str, Any]:
    """The bundle as nested objects by key, defaults spelled: what a reader of a change would patch."""
    members: dict[str, Any] = json.loads(format_policy(bundle))
    for table in ROW_TABLES:
        members[table] = {key(row): row for row in members.get(table, [])}
    members["kinds"] = {name: {key(row): row for row in rows} for name, rows in members["kinds"].items()}
    members["retention"] = {"redelivery_hours": 24, "approval_hours": 24} | members.get("retention", {})
    members["enrolment"] = {"waits": {}, "second_key_hours": 72} | members["enrolment"]
    return members


def patched(members: dict[str, Any], changes: tuple[Change, ...]) -> dict[str, Any]:
    done = copy.deepcopy(members)
    for change in changes:
        at = done
        *path, last = change.place.split(".")
        for name in path:
            at = at[name]
        assert at.get(last) == change.old or (change.old is None and last not in at)
        if change.kind == "removed":
            del at[last]
        else:
            at[last] = change.new
    return done


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a bundle's JSON that holds no further object or list of objects."""
    if isinstance(value, dict):
        return [leaf for name in value for leaf in leaves(value[name], (*path, name))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for at, row in enumerate(value) for leaf in leaves(row, (*path, at))]
    return [path]


LEAVES = [path for path in leaves(MEMBERS) if path != ("type",)]


def other(value: Any, draw: st.DrawFn) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + draw(st.sampled_from([-1, 1]))
    if isinstance(value, str):
        return value + draw(st.sampled_from(["x", "1", "0"]))
    drop = draw(st.integers(0, max(0, len(value) - 1)))
    return [item for at, item in enumerate(value) if at != drop] if value else ["loan"]


@st.composite
def mutations(draw: st.DrawFn) -> tuple[tuple[Any, ...], Any]:
    """One place of the shipped policy and another value for it."""
    path = draw(st.sampled_from(LEAVES))
    value: Any = MEMBERS
    for name in path:
        value = value[name]
    return path, other(value, draw)


def mutated(mutation: tuple[tuple[Any, ...], Any]) -> PolicyBundle:
    """The shipped policy with that, where it still is a policy."""
    path, value = mutation
    members = copy.deepcopy(MEMBERS)
    at: Any = members
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    try:
        return parse_policy(rfc8785.dumps(members))
    except MalformedPolicy:
        assume(False)
        raise


def test_a_policy_does_not_differ_from_itself() -> None:
    for bundle in (DEMO, LIVE):
        assert diff(bundle, bundle) == diff(bundle, parse_policy(format_policy(bundle))) == ()


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(mutations())
def test_every_single_change_shows_and_gives_the_new_policy(mutation: Any) -> None:
    path, changed = mutation[0], mutated(mutation)
    changes = diff(DEMO, changed)
    assert patched(tree(DEMO), changes) == tree(changed)
    assert {change.place.partition(".")[0] for change in changes} == {path[0]}
    is_key = path[-1] in ("code", "scope", "per") or (path[-1] == "name" and path[0] == "predicates")
    assert sorted(change.kind for change in changes) == (["added", "removed"] if is_key else ["changed"])


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(mutations(), mutations())
def test_the_changes_between_any_two_lead_from_one_to_the_other_and_back(one: Any, two: Any) -> None:
    old, new = mutated(one), mutated(two)
    assert patched(tree(old), diff(old, new)) == tree(new)
    back = {"added": "removed", "removed": "added", "changed": "changed"}
    mirrored = [(back[c.kind], c.place, c.new, c.old) for c in diff(old, new)]
    assert [(c.kind, c.place, c.old, c.new) for c in diff(new, old)] == mirrored


def test_a_row_that_came_or_went_is_one_change_with_all_of_it() -> None:
    fewer = msgspec.structs.replace(DEMO, quotas=DEMO.quotas[:1], purposes=DEMO.purposes[:-1])
    changes = diff(DEMO, fewer)
    assert [(c.kind, c.place, c.effect) for c in changes] == [
        ("removed", "purposes.62", "stricter"),
        ("removed", "quotas.operator/minute", "looser"),
        ("removed", "quotas.purpose/22/day", "looser"),
        ("removed", "quotas.purpose/92/day", "looser"),
    ]
    assert changes[0].old == MEMBERS["purposes"][-1]
    none = msgspec.structs.replace(DEMO, quotas=())
    assert {c.kind for c in diff(none, DEMO)} == {"added"}
    assert next(c.place for c in diff(none, DEMO)) == "quotas.institution/day"


@pytest.mark.parametrize(
    ("table", "code", "members", "effect"),
    [
        ("purposes", "02", {"max_days": 91}, "stricter"),
        ("purposes", "02", {"max_uses": 11}, "looser"),
        ("purposes", "02", {"permitted": ("loan",)}, "stricter"),
        ("purposes", "02", {"permitted": ("honour", "loan")}, None),
        ("purposes", "02", {"checked": True}, "looser"),
        ("purposes", "02", {"zh": "贷款"}, None),
        ("statutes", "criminal-procedure-144", {"deferral_days": 0}, "stricter"),
        ("statutes", "criminal-procedure-144", {"sectors": ("agency", "finance")}, "looser"),
        ("statutes", "criminal-procedure-144", {"document": "1"}, None),
        ("categories", "judgment", {"term_years": 3}, "stricter"),
    ],
)
def test_a_change_says_whether_more_or_less_leaves(
    table: str, code: str, members: dict[str, Any], effect: str | None
) -> None:
    [change] = diff(DEMO, with_row(table, code, **members))
    assert (change.place, change.effect) == (f"{table}.{code}.{next(iter(members))}", effect)


def test_terms_waits_and_limits_say_it_too() -> None:
    longer = msgspec.structs.replace(DEMO, retention=Retention(redelivery_hours=25))
    assert diff(DEMO, longer) == (Change("changed", "retention.redelivery_hours", 24, 25, "looser"),)
    enrolment = msgspec.structs.replace(DEMO.enrolment, waits={"eid": 24}, second_key_hours=48)
    waiting = msgspec.structs.replace(DEMO, enrolment=enrolment)
    assert [(c.place, c.old, c.new, c.effect) for c in diff(DEMO, waiting)] == [
        ("enrolment.waits.eid", None, 24, "stricter"),
        ("enrolment.second_key_hours", 72, 48, "looser"),
    ]
    assert [c.effect for c in diff(DEMO, LIVE)] == ["stricter"]
    kinds = msgspec.structs.replace(DEMO.kinds, judgement=DEMO.kinds.judgement[1:])
    fewer = msgspec.structs.replace(DEMO, kinds=kinds)
    assert [(c.place, c.effect) for c in diff(DEMO, fewer)] == [("kinds.judgement.creditability", "looser")]
