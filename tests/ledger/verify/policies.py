"""The policies of the story: the first one as part 1 knew policies, and one with everything since."""

from __future__ import annotations

from typing import Any

from tests.ledger.verify.people import BUREAU


def policy(**changes: Any) -> dict[str, Any]:
    """A policy bundle: purposes 01 and 02 are on, 03 is not; category `penalty` is off."""

    def purpose(code: str, checked: bool) -> dict[str, Any]:
        return {
            "code": code,
            "zh": "贷款审批",
            "en": "Loan approval",
            "basis": "征信业管理条例第十八条",
            "checked": checked,
            "max_days": 92,
            "max_uses": 10,
            "max_retention_days": 92,
            "permitted": ["judgment", "loan", "penalty", "repayment"],
            "necessary": ["loan"],
            "answers": ["report"],
        }

    categories = [
        ("employment", True),
        ("judgment", True),
        ("loan", True),
        ("penalty", False),
        ("repayment", True),
    ]
    return {
        "type": "chengxin/policy/v1",
        "demo": False,
        "purposes": [purpose("01", True), purpose("02", True), purpose("03", False)],
        "categories": [{"code": code, "checked": checked} for code, checked in categories],
        "statutes": [],
        "enrolment": {"request_days": 14},
    } | changes


def production(**changes: Any) -> dict[str, Any]:
    """Purpose 04 is answered yes or no; statutes, predicates, quotas; terms that are over soon.

    Statute `enforcement` is every agency's, `inquiry` the bureau's, with a deferral; the others are traps.
    """
    first = policy()
    offered = first["purposes"][0] | {
        "code": "04",
        "permitted": ["judgment", "loan", "repayment"],
        "necessary": ["judgment"],
        "answers": ["predicate:no-adverse"],
    }
    first["purposes"].append(offered)
    return (
        first
        | {
            "statutes": [
                _statute("enforcement", sectors=["agency"]),
                _statute("inquiry", institutions=[BUREAU], purpose="91", deferral_days=1),
                _statute("unchecked", sectors=["agency"], checked=False),
            ],
            "predicates": [
                {"name": "no-adverse", "checked": True, "categories": ["judgment", "repayment"]},
                {"name": "unchecked", "checked": False, "categories": ["loan"]},
            ],
            "quotas": [
                {"scope": "institution", "per": "hour", "limit": 100},
                {"scope": "operator", "per": "minute", "limit": 2},
                {"scope": "purpose", "purpose": "04", "per": "day", "limit": 2},
            ],
            "retention": {"redelivery_hours": 2, "approval_hours": 3},
        }
        | changes
    )


def _statute(code: str, **changes: Any) -> dict[str, Any]:
    return {
        "code": code,
        "zh": "执行查控",
        "en": "Enforcement",
        "law": "民事诉讼法",
        "article": "253",
        "checked": True,
        "institutions": [],
        "sectors": [],
        "purpose": "90",
        "categories": ["judgment", "loan", "penalty", "repayment"],
        "answers": ["predicate:no-adverse", "predicate:unchecked", "report"],
        "document": "[(]20[0-9]{2}[)][0-9]{1,4}",
        "deferral_days": 0,
    } | changes
