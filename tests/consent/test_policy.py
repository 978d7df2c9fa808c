"""A policy has one byte form, contradicts itself nowhere, and leaves off what nobody has checked."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from consent.errors import MalformedPolicy
from consent.policy import (
    PolicyBundle,
    categories_off,
    default_policy,
    format_policy,
    load_policy,
    parse_policy,
    policy_hash,
    policy_schema,
    predicates_off,
    purposes_off,
    statutes_off,
)
from consent.purposes import purpose_is_on

TITLES = {
    "01": "贷后管理",
    "02": "贷款审批",
    "03": "信用卡审批",
    "08": "担保资格审查",
    "16": "公积金提取复核",
    "20": "保前审查",
    "21": "保后管理",
    "22": "高管资信审查",
    "25": "资信审查",
    "61": "免押金租赁",
    "62": "政务服务绿色通道",
}
GREEN_CHANNELS = ("61", "62")
BEFORE = Path(__file__).parent / "fixtures" / "policy-before-statutes.json"

SMALL = """
[enrolment]
request_days = 14

[kinds]
forbidden = []
separate = []
judgement = []

[[purposes]]
code = "02"
zh = "贷款审批"
en = "Loan approval"
basis = "x"
checked = true
max_days = 90
max_uses = 3
max_retention_days = 30
permitted = ["loan"]
necessary = ["loan"]
answers = ["report"]

[[categories]]
code = "loan"
zh = "信贷"
en = "Loan"
class = "current"
authority = "x"
basis = "x"
checked = false
adverse = false
[categories.fields]
amount = { type = "integer", zh = "金额", en = "Amount", minimum = 0, maximum = 10 }
"""


def members(demo: bool = False) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(format_policy(load_policy(SMALL, demo=demo)))
    return read


@pytest.fixture(params=[True, False], ids=["demo", "live"])
def shipped(request: pytest.FixtureRequest) -> PolicyBundle:
    return default_policy(demo=request.param)


def test_the_shipped_policy_survives_its_bytes(shipped: PolicyBundle) -> None:
    data = format_policy(shipped)
    assert parse_policy(data) == shipped
    assert rfc8785.dumps(json.loads(data)) == data
    assert policy_hash(shipped) == policy_hash(parse_policy(data)) == hashlib.sha256(data).hexdigest()


def test_demo_and_live_are_two_policies() -> None:
    assert policy_hash(default_policy(demo=True)) != policy_hash(default_policy(demo=False))


def test_a_bundle_from_before_statutes_keeps_its_bytes_and_hash() -> None:
    """Its hash stands in leaves: every member that came later is optional, and left out at its default."""
    live = BEFORE.read_bytes()
    for data, known in (
        (live, "8a2e10ef66116e505b9560aceaa12cffc867c0710fd3a1796632b747b3d1b41e"),
        (
            live.replace(b'"demo":false', b'"demo":true'),
            "63f0c09e864190b0e02822f6ee29a7ace0b602bb816d5dcade8a84977c0e7c1c",
        ),
    ):
        bundle = parse_policy(data)
        assert format_policy(bundle) == data
        assert policy_hash(bundle) == hashlib.sha256(data).hexdigest() == known
        assert (bundle.statutes, bundle.predicates, bundle.quotas) == ((), (), ())
        assert (bundle.retention.redelivery_hours, bundle.retention.approval_hours) == (24, 24)


@pytest.mark.parametrize(
    ("table", "spelled"),
    [
        ("retention", {}),
        ("retention", {"redelivery_hours": 24}),
        ("predicates", []),
        ("quotas", []),
        ("enrolment", {"request_days": 14, "second_key_hours": 72}),
        ("enrolment", {"request_days": 14, "waits": {}}),
    ],
)
def test_a_default_that_is_spelled_is_not_a_second_form(table: str, spelled: Any) -> None:
    changed = members() | {table: spelled}
    with pytest.raises(MalformedPolicy):
        parse_policy(rfc8785.dumps(changed))


def test_a_default_that_a_text_spells_is_left_out_of_the_bytes() -> None:
    text = SMALL + "\n[retention]\nredelivery_hours = 24\n"
    assert format_policy(load_policy(text, demo=True)) == format_policy(load_policy(SMALL, demo=True))
    other = load_policy(text.replace("redelivery_hours = 24", "redelivery_hours = 25"), demo=True)
    assert parse_policy(format_policy(other)).retention.redelivery_hours == 25


def test_the_waiting_time_of_a_key_is_the_longer_of_the_two_that_apply() -> None:
    text = SMALL.replace(
        "request_days = 14", "request_days = 14\nwaits = { eid = 1, guardian = 100 }\nsecond_key_hours = 48"
    )
    enrolment = load_policy(text, demo=True).enrolment
    hour = 3_600_000
    assert [enrolment.wait_ms(kind, second=False) // hour for kind in ("in-person", "eid", "guardian")] == [
        0,
        1,
        100,
    ]
    assert [enrolment.wait_ms(kind, second=True) // hour for kind in ("in-person", "eid", "guardian")] == [
        48,
        48,
        100,
    ]


def test_what_an_answer_needs_is_the_purposes_necessary_part_or_all_that_its_rule_reads() -> None:
    policy = default_policy(demo=True)
    assert policy.needed("02", "report") == ("loan",)
    rule = policy.predicate("no-adverse-record-3y")
    assert rule is not None
    assert policy.needed("61", "predicate:no-adverse-record-3y") == rule.categories
    assert policy.needed("99", "report") == policy.needed("61", "predicate:none") == ()


def test_the_schema_for_editors_knows_every_table_and_no_more_than_a_text_may_set() -> None:
    schema = policy_schema()
    tables = {
        name
        for file in resources.files("consent").joinpath("policy_data").iterdir()
        for name in tomllib.loads(file.read_text(encoding="utf-8"))
    }
    assert set(schema["$defs"]["PolicyBundle"]["properties"]) == tables
    assert "deferral_days" in schema["$defs"]["Statute"]["required"]


def test_the_shipped_purposes_are_those_of_the_query_form(shipped: PolicyBundle) -> None:
    assert {p.code: p.zh for p in shipped.purposes} == TITLES
    assert all(p.en.isascii() and p.basis for p in shipped.purposes)
    for purpose in shipped.purposes:
        by_predicates = purpose.code in GREEN_CHANNELS
        assert all(answer.startswith("predicate:") == by_predicates for answer in purpose.answers)
        assert bool(purpose.necessary) != by_predicates
        assert set(purpose.necessary) < set(purpose.permitted)


def test_what_nobody_has_checked_is_off_and_named(shipped: PolicyBundle) -> None:
    off = {p.code for p in purposes_off(shipped)}
    assert off == (set() if shipped.demo else set(TITLES))
    assert {c.code for c in categories_off(shipped)} == (
        set() if shipped.demo else {c.code for c in shipped.categories}
    )
    for table, off_rows in ((shipped.statutes, statutes_off), (shipped.predicates, predicates_off)):
        assert table
        assert off_rows(shipped) == (() if shipped.demo else table)
    for code in TITLES:
        assert purpose_is_on(shipped, code) == shipped.demo
    assert not purpose_is_on(shipped, "99")
    assert not shipped.category_is_on("religion")


def test_a_checked_purpose_is_on_without_demonstration() -> None:
    bundle = load_policy(SMALL, demo=False)
    assert purpose_is_on(bundle, "02")
    assert not bundle.category_is_on("loan")
    assert [c.code for c in categories_off(bundle)] == ["loan"]


def test_the_shipped_text_never_says_checked_by_itself() -> None:
    for file in resources.files("consent").joinpath("policy_data").iterdir():
        for table in tomllib.loads(file.read_text(encoding="utf-8")).values():
            assert "true" not in json.dumps([e.get("checked") for e in table if isinstance(e, dict)])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: p.update(type="chengxin/policy/v2"), id="other-type"),
        pytest.param(lambda p: p.pop("type"), id="no-type"),
        pytest.param(lambda p: p.pop("demo"), id="no-demo"),
        pytest.param(lambda p: p.update(demo=1), id="demo-not-a-boolean"),
        pytest.param(lambda p: p.update(statutes=["cir-28"]), id="a-statute-without-a-row"),
        pytest.param(lambda p: p.pop("statutes"), id="no-statutes"),
        pytest.param(lambda p: p.update(retention=None), id="null"),
        pytest.param(lambda p: p.update(extra=[]), id="unknown-table"),
        pytest.param(lambda p: p.update(purposes=p["purposes"] * 2), id="purpose-twice"),
        pytest.param(lambda p: p["purposes"][0].update(permitted=["honour", "loan"]), id="unlisted-category"),
        pytest.param(lambda p: p["purposes"][0].update(permitted=["loan", "loan"]), id="category-twice"),
        pytest.param(lambda p: p["purposes"][0].update(necessary=["honour"]), id="necessary-not-permitted"),
        pytest.param(lambda p: p["purposes"][0].update(answers=[]), id="no-answer"),
        pytest.param(lambda p: p["purposes"][0].update(answers=["score"]), id="a-score"),
        pytest.param(lambda p: p["purposes"][0].update(max_days=0), id="no-days"),
        pytest.param(lambda p: p["purposes"][0].update(max_uses=10**9), id="endless-uses"),
        pytest.param(lambda p: p["purposes"][0].update(code="2"), id="bad-code"),
        pytest.param(lambda p: p["purposes"][0].pop("checked"), id="checked-left-out"),
        pytest.param(lambda p: p["categories"][0].update(adverse=True), id="adverse-without-term"),
        pytest.param(
            lambda p: p["categories"][0].update(adverse=True, term_years=6), id="term-above-the-law"
        ),
        pytest.param(lambda p: p["categories"][0].update(term_years=5), id="term-without-adverse"),
        pytest.param(lambda p: p["categories"][0].update({"class": "link"}), id="reserved-class"),
        pytest.param(lambda p: p["categories"][0].update(fields={}), id="no-fields"),
        pytest.param(
            lambda p: p["categories"][0]["fields"].update({"A b": {"type": "date", "zh": "x", "en": "x"}})
        ),
        pytest.param(lambda p: p["categories"][0]["fields"]["amount"].pop("maximum"), id="open-range"),
        pytest.param(lambda p: p["categories"][0]["fields"]["amount"].update(minimum=11), id="empty-range"),
        pytest.param(
            lambda p: p["categories"][0]["fields"]["amount"].update(max_len=3), id="length-of-integer"
        ),
        pytest.param(
            lambda p: p["categories"][0]["fields"]["amount"].update(required=False), id="default-spelled"
        ),
        pytest.param(
            lambda p: p["kinds"]["forbidden"].append(
                {"code": "loan", "zh": "x", "en": "x", "basis": "x", "checked": True}
            ),
            id="listed-and-refused",
        ),
        pytest.param(
            lambda p: [
                p["kinds"][k].append({"code": "genes", "zh": "x", "en": "x", "basis": "x", "checked": True})
                for k in ("forbidden", "separate")
            ],
            id="refused-twice",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(change: Any) -> None:
    changed = members()
    assert parse_policy(rfc8785.dumps(changed)).purpose("02") is not None
    change(changed)
    with pytest.raises(MalformedPolicy):
        parse_policy(rfc8785.dumps(changed))


def test_the_order_of_entries_is_part_of_the_form() -> None:
    for name in ("purposes", "categories"):
        changed = json.loads(format_policy(default_policy(demo=True)))
        changed[name].reverse()
        with pytest.raises(MalformedPolicy):
            parse_policy(rfc8785.dumps(changed))


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=2))
def test_whatever_parses_is_what_the_formatter_emits(at: int, patch: bytes) -> None:
    raw = bytearray(format_policy(load_policy(SMALL, demo=True)))
    raw[at % len(raw)] = patch[0]
    try:
        parsed = parse_policy(bytes(raw))
    except MalformedPolicy:
        return
    assert format_policy(parsed) == bytes(raw)


@pytest.mark.parametrize(
    "text",
    ["demo = true", "type = 'x'", "[enrolment", "surprise = 1", "a = " + "9" * 5_000, "a = " + "[" * 5_000],
    ids=lambda text: text[:12],
)
def test_a_text_cannot_switch_demonstration_on_or_add_tables(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        load_policy([text, SMALL], demo=False)
    with pytest.raises(MalformedPolicy):
        load_policy([SMALL, SMALL], demo=False)
