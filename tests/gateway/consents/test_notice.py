"""What a citizen is shown says what would leave: records, or a yes or no with its whole rule."""

from __future__ import annotations

import pytest

from consent.policy import default_policy
from gateway.consents.bodies import ConsentRequest
from gateway.consents.notice import render
from gateway.query.request import Person

POLICY = default_policy(demo=True)


def shown(language: str, purpose: str, categories: tuple[str, ...], answer: str) -> str:
    ask = ConsentRequest(
        request_id="00000000-0000-4000-8000-000000000000",
        person=Person("-"),
        purpose=purpose,
        categories=categories,
        answer=answer,
        not_before="2026-01-01T00:00:00.000Z",
        not_after="2026-01-02T00:00:00.000Z",
        max_uses=1,
        retention_days=1,
        language=language,
    )
    return render(ask, POLICY, "Bank", "91990000DEMA00003T")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_predicate_is_shown_with_its_whole_rule_and_all_it_reads_as_necessary(language: str) -> None:
    rule = POLICY.predicate("no-unperformed-judgment")
    assert rule is not None
    text = shown(language, "61", ("enforcement",), "predicate:no-unperformed-judgment")
    assert (rule.text_en if language == "en" else rule.text_zh) in text
    assert ("Of these necessary: Enforcement" if language == "en" else "其中必需：强制执行信息") in text


@pytest.mark.parametrize(("language", "said"), [("en", "Answer"), ("zh-CN", "应答")])
def test_a_report_is_shown_as_before(language: str, said: str) -> None:
    text = shown(language, "02", ("judgment", "loan"), "report")
    assert said not in text
    assert ("\nOf these necessary: Loan\n" if language == "en" else "\n其中必需：信贷信息\n") in text


def test_a_predicate_that_no_rule_states_is_never_shown() -> None:
    with pytest.raises(ValueError, match="permitted"):
        shown("en", "61", ("enforcement",), "predicate:nothing-at-all")
