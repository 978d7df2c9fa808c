"""What a client is tried with: requests to send, and what the gateway must reply to each.

Invariant: a scenario is data. Whoever reads `sandbox.json` in any language can send the requests and compare;
`gateway.sandbox.check` does so with our own client.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from gateway.demo.people import Person
from gateway.http.pending import request_sha256
from gateway.sandbox.consents import ADVERSE, CLEAN_3Y, LOAN

Signing = Literal["signed", "unsigned", "stale", "by-a-stranger"]

DOCUMENT: Final = "（2026）琼01执123号"
STATUTE: Final = "civil-procedure-253"
STATUTE_PURPOSE: Final = "91"
QUERIES: Final = "/v1/queries"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One request and its outcome.

    `operator` names whose key signs; `problem` is the problem's name, None for an answer; `decision` that of
    the receipt, None where there is none.
    """

    name: str
    body: Mapping[str, Any] | None
    status: int
    problem: str | None = None
    decision: str | None = None
    operator: str = "bank"
    signing: Signing = "signed"
    method: str = "POST"
    path: str = QUERIES

    @property
    def query_id(self) -> str:
        """The query that the request is about."""
        return self.path.split("/")[3] if self.body is None else str(self.body["query_id"])

    def members(self) -> dict[str, Any]:
        """The scenario as `sandbox.json` has it; what is not expected is absent."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def scenarios(consents: Mapping[str, str], people: Mapping[str, Person]) -> tuple[Scenario, ...]:
    """All of them, to be sent in this order; each query_id serves once."""
    made = (*_answers(consents), *_refusals(consents, people), *_under_statute(people), *_malformed(consents))
    return (*made, *_repeated(consents))


def _query(consent: str, **changes: Any) -> dict[str, Any]:
    usual = {
        "query_id": str(uuid.uuid4()),
        "consent_id": consent,
        "purpose": "02",
        "categories": list(LOAN),
        "answer": "report",
    }
    return usual | changes


def _yes_or_no(consent: str, **changes: Any) -> dict[str, Any]:
    return _query(consent, purpose="61", categories=list(ADVERSE), answer=CLEAN_3Y) | changes


def _answers(consents: Mapping[str, str]) -> Iterator[Scenario]:
    yield Scenario("an answer", _query(consents["live"]), 200, decision="disclosed")
    yield Scenario("one category", _query(consents["live"], categories=["loan"]), 200, decision="disclosed")
    yield Scenario("nothing is held", _query(consents["live-nothing-held"]), 200, decision="disclosed")
    yield Scenario("yes or no: yes", _yes_or_no(consents["yes-or-no-clean"]), 200, decision="predicate")
    yield Scenario("yes or no: no", _yes_or_no(consents["yes-or-no-overdue"]), 200, decision="predicate")


def _refused(name: str, body: Mapping[str, Any], problem: str, **how: Any) -> Scenario:
    return Scenario(name, body, 403, problem, "refused", **how)


def _refusals(consents: Mapping[str, str], people: Mapping[str, Person]) -> Iterator[Scenario]:
    live = consents["live"]
    yield _refused("a consent that nobody gave", _query(str(uuid.uuid4())), "no-consent")
    yield _refused("a consent to another bank", _query(consents["of-another-bank"]), "no-consent")
    yield _refused("withdrawn", _query(consents["withdrawn"]), "withdrawn")
    yield _refused("expired", _query(consents["expired"]), "expired")
    yield _refused("not yet valid", _query(consents["not-yet"]), "not-yet-valid")
    yield _refused("used up", _query(consents["used-up"]), "exhausted")
    yield _refused("another purpose", _query(live, purpose="03"), "purpose-mismatch")
    yield _refused("no such purpose", _query(live, purpose="99"), "purpose-unknown")
    yield _refused("a category more", _query(live, categories=["judgment", *LOAN]), "category-not-consented")
    yield _refused("no such category", _query(live, categories=["horoscope"]), "category-unknown")
    yield _refused("a yes or no under a report", _query(live, answer=CLEAN_3Y), "answer-mismatch")
    person = {"citizen_number": people["overdue"].citizen_number}
    yield _refused("another person", _query(live, person_check=person), "person-mismatch")


def _under_statute(people: Mapping[str, Person]) -> Iterator[Scenario]:
    def query(document: str = DOCUMENT, person: str = "clean") -> dict[str, Any]:
        return {
            "query_id": str(uuid.uuid4()),
            "statute": {"code": STATUTE, "document": document},
            "purpose": STATUTE_PURPOSE,
            "categories": ["enforcement", "loan"],
            "answer": "report",
            "person_check": {"citizen_number": people[person].citizen_number},
        }

    asked, about_nobody, denied = query(), query(person="unknown"), query()
    other_form = query("some letter")
    clerk, judge = "court-clerk", "court-judge"
    yield Scenario("under a statute", asked, 202, operator=clerk)
    yield Scenario("under a statute, about nobody", about_nobody, 202, operator=clerk)
    yield _refused("a bank under a court's statute", query(), "statute-not-held")
    yield _refused("a document of another form", other_form, "statute-not-held", operator=clerk)
    yield _approval(
        "approved by the one who asked", asked, "approve", clerk, 403, "role-not-permitted", "refused"
    )
    yield _approval("approved by another person", asked, "approve", judge, 200)
    yield _collected("collected by the one who asked", asked, 200, None, "redelivered")
    yield _approval("approved, about nobody", about_nobody, "approve", judge, 200)
    yield _collected("nothing, about nobody", about_nobody, 200, None, "redelivered")
    yield Scenario("under a statute, to be denied", denied, 202, operator=clerk)
    yield _approval("denied by another person", denied, "deny", judge, 200)
    yield _collected("collected after a denial", denied, 403, "approval-denied", "refused")


def _approval(
    name: str,
    asked: Mapping[str, Any],
    word: str,
    operator: str,
    status: int,
    problem: str | None = None,
    decision: str | None = None,
) -> Scenario:
    """Somebody's word on a pending query, by the hash of its request."""
    body = {
        "query_id": asked["query_id"],
        "request_sha256": request_sha256(asked),
        "decision": word,
    }
    path = f"{QUERIES}/{asked['query_id']}/approval"
    return Scenario(name, body, status, problem, decision, operator=operator, path=path)


def _collected(
    name: str, asked: Mapping[str, Any], status: int, problem: str | None, decision: str
) -> Scenario:
    path = f"{QUERIES}/{asked['query_id']}"
    return Scenario(name, None, status, problem, decision, operator="court-clerk", method="GET", path=path)


def _malformed(consents: Mapping[str, str]) -> Iterator[Scenario]:
    live = consents["live"]
    without = {name: value for name, value in _query(live).items() if name != "purpose"}
    for name, body in (
        ("a member is missing", without),
        ("a member is unknown", _query(live, comment="please")),
        ("categories are not sorted", _query(live, categories=["repayment", "loan"])),
        ("an id in capitals", _query(live, query_id=str(uuid.uuid4()).upper())),
    ):
        yield Scenario(name, body, 400, "malformed-body")
    yield Scenario("not signed", _query(live), 401, "not-signed", signing="unsigned")
    yield Scenario("signed an hour ago", _query(live), 401, "stale-signature", signing="stale")
    yield Scenario("signed by a stranger", _query(live), 401, "unknown-key", signing="by-a-stranger")


def _repeated(consents: Mapping[str, str]) -> Iterator[Scenario]:
    """The last ones: they need one another."""
    body = _query(consents["live"])
    yield Scenario("asked once", body, 200, decision="disclosed")
    yield Scenario("the same again", body, 200, decision="redelivered")
    changed = body | {"categories": ["loan"]}
    yield Scenario("the same id for another query", changed, 409, "query-id-reused", "refused")


Told = Callable[[Scenario], None]
"""Hears of each scenario that held."""
