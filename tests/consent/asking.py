"""Good asks, grants and standings, each to be spoiled in one place; and the rulings over them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from consent.asks import Approval, Ask, ConsentAsk, Grant, Ruling, Standing, StatutoryAsk
from consent.decision import decide, decide_approval, decide_redelivery, decide_request
from consent.document import Consent, Notice
from consent.policy import PolicyBundle, default_policy
from keys.canonical import b64u
from keys.instant import DAY

NOW = 1_795_248_000_000
HOUR = 3_600_000
BANK, OTHER = "91310000MA1FL00000", "91310000MA1FL00001"
GOOD = Standing("active", None, frozenset({"query"}))
SUSPENDED = Standing("suspended", None, frozenset({"query"}))
COURT = Standing("active", None, frozenset({"query"}), "agency")
APPROVER = Standing("active", None, frozenset({"approve"}))
DEMO, LIVE = default_policy(demo=True), default_policy(demo=False)
CASE = "（2026）琼01执123号"


def consent(**changed: Any) -> Consent:
    members: dict[str, Any] = {
        "consent_id": "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11",
        "gateway": "credit.example.cn/log0",
        "subject": b64u(b"k" * 32),
        "recipient": BANK,
        "purpose": "02",
        "categories": ("judgment", "loan"),
        "answer": "report",
        "not_before": NOW - DAY,
        "not_after": NOW + DAY,
        "max_uses": 2,
        "retention_days": 30,
        "notice": Notice(language="zh-CN", template="consent-02/v1", sha256="ab" * 32),
        "case_ref_sha256": "cd" * 32,
        "nonce": b64u(b"n" * 16),
    }
    return Consent(**members | changed)


def ask(**changed: Any) -> Ask:
    return replace(Ask(BANK, "op-1", "02", ("judgment", "loan"), "report"), **changed)


def grant(document: Consent | None = None, **changed: Any) -> Grant:
    return replace(Grant(document or consent(), "granted", 0, True, NOW - DAY), **changed)


def rule(
    asked: Ask | None = None,
    held: Grant | str | None = "a good one",
    *,
    institution: Standing | None = GOOD,
    operator: Standing | None = GOOD,
    policy: PolicyBundle = DEMO,
    at: int = NOW,
) -> Ruling:
    found = grant() if isinstance(held, str) else held
    return decide(asked or ask(), found, None, institution, operator, policy, at)


def request(**changed: Any) -> Ruling:
    known: dict[str, Any] = {"institution": GOOD, "operator": GOOD, "policy": DEMO, "at": NOW}
    known |= {name: changed.pop(name) for name in list(changed) if name in known}
    asked = ConsentAsk(BANK, "op-1", "02", ("judgment", "loan"), "report", NOW, NOW + 30 * DAY, 2, 30)
    return decide_request(replace(asked, **changed), **known)


def again(
    asked: Ask | None = None, held: Grant | str | None = "a good one", after: int = HOUR, **changed: Any
) -> Ruling:
    """An answer of `after` ms ago, asked for once more."""
    known: dict[str, Any] = {"institution": GOOD, "operator": GOOD, "policy": DEMO, "statute": None}
    found = grant() if isinstance(held, str) else held
    return decide_redelivery(asked or ask(), found, at=NOW, answered_at=NOW - after, **known | changed)


def statutory_ask(**changed: Any) -> Ask:
    named = StatutoryAsk(changed.pop("code", "civil-procedure-253"), changed.pop("document", CASE))
    named = replace(named, deferred=changed.pop("deferred", False))
    asked = Ask(BANK, "op-1", "91", ("enforcement", "loan"), "report", named)
    return replace(asked, **changed)


def inquire(
    asked: Ask | None = None,
    *,
    institution: Standing | None = COURT,
    operator: Standing | None = GOOD,
    policy: PolicyBundle = DEMO,
    **row: Any,
) -> Ruling:
    """A query under the statute that it names; `statute` when another row is to be held."""
    asked = asked or statutory_ask()
    assert asked.statute is not None
    statute = row["statute"] if "statute" in row else policy.statute(asked.statute.code)
    return decide(asked, None, statute, institution, operator, policy, NOW)


def approve(asked: Ask | None = None, at: int = NOW, **changed: Any) -> Ruling:
    """An approval of a good statutory query by somebody else, an hour before it lapses."""
    asked = asked or statutory_ask()
    assert asked.statute is not None
    approval = Approval(asked, "kid-1", "op-2", "kid-2", NOW + HOUR)
    for name in ("requester_kid", "approver_kid", "lapses_at"):
        if name in changed:
            approval = replace(approval, **{name: changed.pop(name)})
    if "approver_id" in changed:
        approval = replace(approval, approver=changed.pop("approver_id"))
    policy = changed.get("policy", DEMO)
    known: dict[str, Any] = {
        "statute": policy.statute(asked.statute.code),
        "institution": COURT,
        "requester": GOOD,
        "approver": APPROVER,
        "policy": policy,
    }
    return decide_approval(approval, at=at, **known | changed)


def with_row(table: str, code: str, policy: PolicyBundle = DEMO, **members: Any) -> PolicyBundle:
    """The policy with members of one row replaced."""
    rows = tuple(
        msgspec.structs.replace(row, **members)
        if code in (getattr(row, "code", ""), getattr(row, "name", ""))
        else row
        for row in getattr(policy, table)
    )
    return msgspec.structs.replace(policy, **{table: rows})
