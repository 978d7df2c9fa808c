"""A yes or no reaches a bank only as the one it asked for, in its one form, under a receipt that says so."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.client.reply import Refused
from tests.gateway.client.stand_in import CONSENT_ID, CONTENT, QUERY_ID, StandIn

ASKED = "predicate:no-overdue-90d"
YES: dict[str, Any] = {
    "type": "chengxin/predicate-answer/v1",
    "predicate": "no-overdue-90d",
    "rule": {"en": "Yes if nothing is overdue.", "zh": "没有逾期的答“是”。"},
    "as_of": "2026-11-21",
    "answer": "yes",
}


def ask(content: dict[str, Any], decision: str, asked: str = ASKED) -> Answer | Refused:
    gateway = StandIn()
    gateway.content, gateway.decision = content, decision
    return gateway.bank().query(QUERY_ID, CONSENT_ID, "61", ["repayment"], answer=asked)


@pytest.mark.parametrize("decision", ["predicate", "redelivered"])
@pytest.mark.parametrize("said", ["yes", "no"])
def test_a_yes_or_no_is_believed_with_its_receipt(decision: str, said: str) -> None:
    answer = ask(YES | {"answer": said}, decision)
    assert isinstance(answer, Answer)
    assert (answer.answer["answer"], answer.receipt.decision) == (said, decision)


@pytest.mark.parametrize(
    ("content", "decision", "asked"),
    [
        (YES, "disclosed", ASKED),  # a report's receipt
        (CONTENT, "predicate", "report"),
        (YES, "predicate", "report"),  # records were asked for
        (CONTENT, "disclosed", ASKED),  # and here were not: a bank must not even look
        (YES, "predicate", "predicate:licence-valid"),
        (YES, "predicate", "no-overdue-90d"),
    ],
)
def test_another_form_than_was_asked_for_raises(content: dict[str, Any], decision: str, asked: str) -> None:
    with pytest.raises(EvidenceFailed):
        ask(content, decision, asked)


@pytest.mark.parametrize(
    "change",
    [
        {"answer": "maybe"},
        {"answer": True},
        {"answer": ["yes"]},
        {"as_of": "today"},
        {"as_of": "2026-11-21\n"},
        {"rule": "Yes."},
        {"rule": {"en": "Yes."}},
        {"rule": {"en": "\x1b[2J", "zh": "是"}},
        {"rule": {"en": 1, "zh": "是"}},
        {"records": {}},
    ],
)
def test_a_yes_or_no_of_another_form_raises(change: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedReply):
        ask(YES | change, "predicate")
