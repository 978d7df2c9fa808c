"""The second part of the story: a passkey, yes or no, redeliveries, queries under a statute, quotas.

The bureau asks under a statute about Cara, about somebody nobody knows, and, deferred, about Cara again; one
of its queries is denied, one lapses, another is refused. Drafts have names as in the first part.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import canonical, sha256_hex, unb64u
from keys.instant import DAY, HOUR, format_instant
from tests.ledger.verify.first_part import BY_ADMIN, BY_INSPECTOR, BY_TELLER, REGISTRAR, ask
from tests.ledger.verify.forge import MINUTE, Draft, Ref, Source, Story
from tests.ledger.verify.passkeys import WITHDRAWAL, assertion
from tests.ledger.verify.people import (
    BANK,
    BUREAU,
    CASEWORKER,
    DEPUTY,
    NOTARY,
    SIGNATORY,
    STEWARD,
    SUPERVISOR,
    TELLER,
    Citizen,
    Regulator,
    disclosed,
    grant_of,
    query,
    template,
)
from tests.ledger.verify.policies import production

NUMBER = "11010519491231002X"
ANOTHER_NUMBER = "990001199001010021"
BY_CASEWORKER = {"institution": BUREAU, "operator": CASEWORKER}
BY_SUPERVISOR = {"institution": BUREAU, "operator": SUPERVISOR}
BY_DEPUTY = {"institution": BUREAU, "operator": DEPUTY}
ENCRYPTION = Regulator("the bank's own key for answers")


def tell_the_second_part(story: Story) -> None:
    """Go on with a log that was not closed."""
    cara = Citizen("cara", "ES256", REGISTRAR, NUMBER)
    _prepare(story)
    _cara(story, cara)
    _statutory(story)
    _deferred(story)


def consented(story: Story, citizen: Citizen, **members: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body and details of `consent.granted` by passkey."""
    document = template(citizen.source, **members) | {"subject": citizen.key.kid}
    return grant_of(document, assertion(document, citizen.key, citizen.source.bytes(32)), citizen)


def put(
    story: Story, name: str, who: str, *, by: dict[str, str] = BY_CASEWORKER, defer: int = 0, **members: Any
) -> Draft:
    """A query under a statute that waits for its approval; `defer` in ms."""
    body, details = pending(story.source, defer=bool(defer), **members)
    draft = story.add(name, "query.pending", body, who=who, by=by, details=details)
    if defer:
        draft.body["deferred_until"] = format_instant(draft.at + defer)
    return draft


def pending(source: Source, *, defer: bool = False, **members: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body and details of `query.pending`; members are those of the request."""
    named = {"code": "enforcement", "document": "(2026)17"} | ({"defer": True} if defer else {})
    request = query(source, "", statute=named, purpose="90", person_check={"citizen_number": NUMBER})
    del request["consent_id"]
    return pending_of(source, request | members)


def pending_of(source: Source, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of a request."""
    salt, document_salt = source.salt(), source.salt()
    number = request["statute"]["document"]
    body = {
        "query": request["query_id"],
        "statute": {
            "code": request["statute"]["code"],
            "document": sha256_hex(unb64u(document_salt) + number.encode()),
        },
        **{member: request[member] for member in ("purpose", "categories", "answer")},
        "request": sha256_hex(unb64u(salt) + canonical(request)),
    }
    return body, {"request": request, "request_salt": salt, "document_salt": document_salt}


def approve(story: Story, name: str, waiting: str, approver: str = SUPERVISOR) -> Draft:
    """The answer of a query that waits."""
    asked = story[waiting]
    assert asked.details is not None
    body, details = disclosed(story.source, asked.details["request"], salt=asked.details["request_salt"])
    body |= {"statute": asked.body["statute"] | {"approver": approver, "pending": Ref(waiting)}}
    details |= {"document_salt": asked.details["document_salt"]}
    kind = "query.disclosed"
    if asked.body["answer"] != "report":
        kind, body = "query.predicate", body | {"predicate": asked.body["answer"].partition(":")[2]}
    return story.add(name, kind, body, who=asked.who, by=asked.by, details=details)


def end(story: Story, name: str, waiting: str, reason: str, by: dict[str, str] | None, at: int = 0) -> Draft:
    """A query that waits no longer, and got no answer; its details may be missing."""
    asked = story[waiting].body
    body = {"query": asked["query"], "reason": reason, "purpose": asked["purpose"], "pending": Ref(waiting)}
    time = {"at": at} if at else {}
    return story.add(name, "query.refused", body, who=story[waiting].who, by=by, **time)


def _prepare(story: Story) -> None:
    published = story.publish_policy(production())
    body = {"policy": published, "replaces": story["stricter"].body["policy"]}
    story.add("production", "policy.changed", body, by=BY_INSPECTOR)
    story.add(
        "bureau",
        "institution.registered",
        {"institution": BUREAU, "sector": "agency", "roles": ["admin", "query"]},
    )
    for name, operator, institution, roles in (
        ("caseworker", CASEWORKER, BUREAU, ["query"]),
        ("supervisor", SUPERVISOR, BUREAU, ["approve"]),
        ("deputy", DEPUTY, BUREAU, ["approve", "query"]),
        ("steward", STEWARD, BUREAU, ["admin"]),
        ("signatory", SIGNATORY, BANK, ["approve"]),
    ):
        registered = {"operator": operator, "institution": institution, "roles": roles}
        story.add(name, "operator.registered", registered)
    key = {"use": "encryption", "kid": ENCRYPTION.kid, "public": ENCRYPTION.jwk, "holder": BANK}
    story.add("encryption-key", "key.published", key, by=BY_ADMIN)


def _cara(story: Story, cara: Citizen) -> None:
    body, details = cara.enrolled()
    story.add(
        "cara-enrolled", "subject.enrolled", body, who="cara", by={"registrar": NOTARY}, details=details
    )
    offered = {"purpose": "04", "categories": ["judgment", "repayment"], "answer": "predicate:no-adverse"}
    body, details = consented(story, cara, **offered)
    story.add("cara-grant", "consent.granted", body, who="cara", details=details)
    _yes_or_no(story, "cara-answer", "cara-grant", 1, offered)
    story.add("cara-undelivered", "query.undelivered", {"of": Ref("cara-answer")}, who="cara")
    _again(story, "cara-again", "cara-answer", BY_TELLER)
    story.add("cara-again-undelivered", "query.undelivered", {"of": Ref("cara-again")}, who="cara")
    _again(story, "cara-once-more", "cara-answer", BY_TELLER)
    _yes_or_no(story, "cara-answer-2", "cara-grant", 2, offered)
    burst = story.drafts[-1]
    story.add(
        "cara-refused",
        "query.refused",
        {"query": story.source.uuid(), "reason": "no-consent", "purpose": "02"},
        who="cara",
        by=BY_TELLER,
        details={"request": {}, "request_salt": story.source.salt()},
        at=burst.at,
    )
    minute = format_instant(burst.at - burst.at % MINUTE)
    story.add("throttled", "query.throttled", {"operator": TELLER, "minute": minute, "count": 7})
    ask(story, "late-answer", "last-grant", 2)
    body, details = consented(story, cara, max_uses=1)
    story.add("cara-second", "consent.granted", body, who="cara", details=details)
    ask(story, "cara-report", "cara-second", 1)
    document = cara.withdrawn(details["document"]["consent_id"])["document"]
    proof = assertion(document, cara.key, cara.source.bytes(32), about=WITHDRAWAL)
    body = {"grant": Ref("cara-second"), "by": "citizen"}
    held = {"document": document, "proof": proof}
    story.add("cara-withdrawn", "consent.withdrawn", body, who="cara", details=held)


def _yes_or_no(story: Story, name: str, grant: str, use: int, asked: dict[str, Any]) -> None:
    answered = ask(story, name, grant, use, **asked)
    answered.type = "query.predicate"
    answered.body["predicate"] = asked["answer"].partition(":")[2]


def _again(story: Story, name: str, answer: str, by: dict[str, str]) -> None:
    story.add(name, "query.redelivered", {"of": Ref(answer)}, who=story[answer].who, by=by)


def _statutory(story: Story) -> None:
    put(story, "waits", "cara")
    approve(story, "approved", "waits")
    _again(story, "collected", "approved", BY_CASEWORKER)
    put(story, "waits-for-nobody", "a-stranger", person_check={"citizen_number": ANOTHER_NUMBER})
    approve(story, "answer-about-nobody", "waits-for-nobody", DEPUTY)
    predicate = {"answer": "predicate:no-adverse", "categories": ["judgment", "repayment"]}
    put(story, "waits-for-yes-or-no", "cara", by=BY_DEPUTY, **predicate)
    approve(story, "yes-or-no", "waits-for-yes-or-no")
    put(story, "waits-in-vain", "cara")
    end(story, "denied", "waits-in-vain", "approval-denied", BY_SUPERVISOR)
    put(story, "waits-and-fails", "cara")
    end(story, "failed", "waits-and-fails", "statute-not-held", BY_SUPERVISOR)
    waiting = put(story, "waits-too-long", "cara")
    end(story, "lapsed-in-waiting", "waits-too-long", "approval-lapsed", None, waiting.at + 3 * HOUR)


def _deferred(story: Story) -> None:
    inquiry = {"statute": {"code": "inquiry", "document": "(2026)18", "defer": True}, "purpose": "91"}
    hidden = put(story, "hidden", "a-one-time-tag", defer=DAY, **inquiry)
    approve(story, "hidden-answer", "hidden")
    _again(story, "hidden-collected", "hidden-answer", BY_CASEWORKER)
    story.add(
        "hidden-undelivered", "query.undelivered", {"of": Ref("hidden-collected")}, who="a-one-time-tag"
    )
    inquiry["statute"] = inquiry["statute"] | {"document": "(2026)19"}
    named = {"person_check": {"citizen_number": ANOTHER_NUMBER}}
    vain = put(story, "hidden-in-vain", "another-tag", defer=DAY - HOUR, **inquiry, **named)
    end(story, "hidden-denied", "hidden-in-vain", "approval-denied", BY_SUPERVISOR)
    body, due = {"of": Ref("hidden-in-vain")}, vain.at + DAY - HOUR
    story.add("unsealed-nobody", "query.unsealed", body, who="a-third-tag", at=due)
    body, due = {"of": Ref("hidden")}, hidden.at + DAY + HOUR
    story.add("unsealed", "query.unsealed", body, who="cara", at=due)
    story.add("read-in-the-end", "subject.read", {"what": "accesses"}, who="cara", at=hidden.at + 2 * DAY + 1)
