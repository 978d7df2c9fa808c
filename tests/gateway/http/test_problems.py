"""The problem table: complete, bilingual, stable in form, and unable to carry personal data."""

from __future__ import annotations

import json
import re

import pytest

from consent.decision import Reason
from gateway.http.problems import EXTRA, PROBLEMS, REFUSALS, TYPE_PREFIX, Problem, name_of, problem
from gateway.http.signature import SignatureRefused, Why

CHINESE = re.compile(r"[\u4e00-\u9fff]")

STATUSES = {
    401: {"not-signed", "bad-signature", "replayed-nonce", "stale-signature", "unknown-key"},
    400: {"malformed-body", "target-refused"},
    404: {"not-found"},
    405: {"method-not-allowed"},
    409: {"query-id-reused", "already-answered", "request-id-reused", "second-key", "key-in-effect"},
    410: {"challenge-gone", "request-lapsed"},
    413: {"body-too-large"},
    415: {"unsupported-media-type"},
    422: {"approval-mismatch", "consent-mismatch", "bad-proof", "bad-certificate", "counter-refused"},
    429: {"quota-exceeded", "too-many-bad-signatures"},
    500: {"internal"},
    503: {"not-yet-published", "undelivered", "not-ready", "ledger-unavailable", "evidence-damaged"},
}


def test_every_reason_of_a_decision_is_a_refusal_under_its_own_name() -> None:
    assert {reason.value for reason in Reason} == REFUSALS


def test_refusals_are_403_but_for_the_reused_query() -> None:
    assert {PROBLEMS[name].status for name in REFUSALS - {"query-id-reused"}} == {403}


def test_every_other_problem_has_the_status_its_clients_rely_on() -> None:
    for status, names in STATUSES.items():
        assert {row.name for row in PROBLEMS.values() if row.status == status} == names


@pytest.mark.parametrize("row", PROBLEMS.values(), ids=lambda row: row.name)
def test_a_row_speaks_both_languages_and_says_what_to_do(row: Problem) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,47}", row.name)
    assert CHINESE.search(row.title_zh)
    assert CHINESE.search(row.hint_zh)
    assert not CHINESE.search(row.title_en + row.hint_en)
    assert row.title_en
    assert row.hint_en.endswith(".")
    assert row.hint_zh.endswith("。")
    assert len({row.title_zh, row.title_en, row.hint_zh, row.hint_en}) == 4


def test_no_two_rows_say_the_same() -> None:
    for member in ("title_zh", "title_en"):
        assert len({getattr(row, member) for row in PROBLEMS.values()}) == len(PROBLEMS)


@pytest.mark.parametrize("row", PROBLEMS.values(), ids=lambda row: row.name)
def test_the_body_is_problem_json(row: Problem) -> None:
    body = json.loads(row.to_json("a.b.c", {"index": 7}))
    assert body["type"] == TYPE_PREFIX + row.name
    assert name_of(body["type"]) == row.name
    assert (body["status"], body["receipt"], body["index"]) == (row.status, "a.b.c", 7)
    assert (body["title"], body["title_zh"]) == (row.title_en, row.title_zh)


def test_a_problem_without_a_receipt_has_no_such_member() -> None:
    assert "receipt" not in json.loads(problem("not-found").to_json())


def test_headers_are_what_the_status_demands() -> None:
    assert problem("not-yet-published").headers()["Retry-After"] == "1"
    assert problem("bad-signature").headers()["WWW-Authenticate"].startswith("Signature")
    assert problem("no-consent").headers() == {
        "Content-Type": "application/problem+json",
        "Cache-Control": "no-store",
    }


def test_an_unknown_name_is_answered_as_internal() -> None:
    assert problem("no-such-problem").status == 500
    assert name_of("about:blank") is None


@pytest.mark.parametrize("value", ["张三", "two words", "a" * 129, ""])
def test_free_text_cannot_enter_an_error_body(value: str) -> None:
    with pytest.raises(ValueError, match="extra problem member"):
        problem("malformed-body").to_json(extra={"field": value})


@pytest.mark.parametrize("name", ["detail", "title", "type", "status", "receipt", "person"])
def test_a_member_outside_the_list_cannot_be_added(name: str) -> None:
    assert name not in EXTRA
    with pytest.raises(ValueError, match="extra problem member"):
        problem("malformed-body").to_json(extra={name: "x"})


@pytest.mark.parametrize("why", Why)
def test_every_refused_signature_has_its_problem(why: Why) -> None:
    row = PROBLEMS[SignatureRefused(why).problem]
    assert row.status in {400, 401}
    assert json.loads(row.to_json(extra={"why": why.value}))["why"] == why.value
