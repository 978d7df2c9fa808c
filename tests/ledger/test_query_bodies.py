"""What leaves about queries may say."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.entries import parse_body
from ledger.errors import MalformedLeaf

OPERATOR = "op-0123456789abcdef"
HEX = "ab" * 32
UUID = "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111"
STATUTORY = {
    "query": UUID,
    "purpose": "02",
    "categories": ["judgment", "loan"],
    "commitment": HEX,
    "request": HEX,
}
BASIS = {"code": "enforcement", "document": HEX, "approver": OPERATOR, "pending": 3}


@pytest.mark.parametrize(
    "basis",
    [
        {},
        {"grant": 1},
        {"use": 1},
        {"grant": 1, "statute": BASIS},
        {"use": 1, "statute": BASIS},
        {"grant": 1, "use": 1, "statute": BASIS},
        {"statute": {"code": "enforcement", "document": HEX}},
        {"statute": BASIS | {"number": "(2026)1"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("type_", ["query.disclosed", "query.predicate"])
def test_an_answer_stands_under_exactly_one_basis(type_: str, basis: dict[str, Any]) -> None:
    said = STATUTORY | ({} if type_ == "query.disclosed" else {"predicate": "clean"})
    parse_body(type_, said | {"statute": BASIS})
    parse_body(type_, said | {"grant": 1, "use": 1})
    with pytest.raises(MalformedLeaf):
        parse_body(type_, said | basis)


@pytest.mark.parametrize(
    "minute", ["2026-11-21T08:00:01.000Z", "2026-11-21T08:00:00.001Z", "2026-02-30T08:00:00.000Z"]
)
def test_throttling_is_counted_by_whole_minutes(minute: str) -> None:
    body = {"operator": OPERATOR, "minute": "2026-11-21T08:00:00.000Z", "count": 1}
    parse_body("query.throttled", body)
    with pytest.raises(MalformedLeaf):
        parse_body("query.throttled", body | {"minute": minute})


def test_what_a_predicate_answered_has_no_place_in_a_leaf() -> None:
    said = STATUTORY | {"predicate": "clean", "statute": BASIS}
    for name in ("answer", "result"):
        with pytest.raises(MalformedLeaf):
            parse_body("query.predicate", said | {name: "yes"})
