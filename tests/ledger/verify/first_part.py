"""The first part of the story: a bank asks, two citizens grant, the bank queries, one withdraws, standing
comes and goes. As a log could be before there were statutes, predicates and quotas.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import sha256_hex
from keys.instant import format_instant
from tests.ledger.verify.forge import MINUTE, Draft, Ref, Story
from tests.ledger.verify.people import (
    ADMIN,
    BANK,
    CLERK,
    COURT,
    INSPECTOR,
    NOTARY,
    OTHER_TELLER,
    REGULATOR,
    RIVAL,
    TELLER,
    Citizen,
    Regulator,
    disclosed,
    query,
    registrar,
    template,
)
from tests.ledger.verify.policies import policy

REGISTRAR = registrar("the registrar")
IMPOSTOR = registrar("the operator's own registrar")
"""The operator of the gateway, playing registrar with keys of their own, under the registrar's name."""
OVERSEER = Regulator("the regulator")
SPY = Regulator("the operator's own regulator")
ANNA = Citizen("anna", "Ed25519", REGISTRAR)
BORIS = Citizen("boris", "ES256", REGISTRAR)

BY_TELLER = {"institution": BANK, "operator": TELLER}
BY_ADMIN = {"institution": BANK, "operator": ADMIN}
BY_INSPECTOR = {"institution": REGULATOR, "operator": INSPECTOR}
BY_RIVAL = {"institution": RIVAL, "operator": OTHER_TELLER}


def begin(**opened: Any) -> Story:
    """A log with its parties and nobody's affairs yet; `opened` are more members of its first leaf."""
    story = Story()
    story.first_policy = story.publish_policy(policy())
    _found(story)
    story["opened"].body |= opened
    _register(story)
    return story


def tell_the_first_part() -> Story:
    """A log from before there were statutes, predicates and quotas, in its whole length."""
    story = begin()
    _anna(story)
    _boris(story)
    _end(story)
    return story


def ask(story: Story, name: str, grant: str, use: int, **members: Any) -> Draft:
    """An answered query of the bank under a grant."""
    granted = story[grant]
    assert granted.details is not None
    consent_id = granted.details["document"]["consent_id"]
    body, details = disclosed(story.source, query(story.source, consent_id, **members), use)
    return story.add(
        name,
        "query.disclosed",
        body | {"grant": Ref(grant)},
        who=granted.who,
        by=BY_TELLER,
        details=details,
    )


def _found(story: Story) -> None:
    story.add("opened", "log.opened", {"origin": story.origin})
    story.add("policy", "policy.changed", {"policy": story.first_policy})
    receipt = registrar("receipts").key
    for name, use, key, holder in (
        ("checkpoint-key", "checkpoint", story.key, story.origin),
        ("receipt-key", "receipt", receipt, story.origin),
        ("registrar-key", "registrar", REGISTRAR.key, NOTARY),
    ):
        body = {"use": use, "kid": key.kid, "public": key.jwk, "holder": holder}
        story.add(name, "key.published", body)
    story.add("epoch", "key.epoch", {"epoch": 1, "event": "opened"})


def _register(story: Story) -> None:
    for name, uscc, sector, roles in (
        ("regulator", REGULATOR, "regulator", ["audit"]),
        ("bank", BANK, "finance", ["admin", "query"]),
        ("rival", RIVAL, "finance", ["query"]),
        ("court", COURT, "source", ["source"]),
    ):
        body: dict[str, Any] = {"institution": uscc, "sector": sector, "roles": roles}
        story.add(name, "institution.registered", body)
    for name, operator, uscc, roles in (
        ("teller", TELLER, BANK, ["query"]),
        ("other-teller", OTHER_TELLER, RIVAL, ["query"]),
        ("admin", ADMIN, BANK, ["admin"]),
        ("clerk", CLERK, COURT, ["source"]),
        ("inspector", INSPECTOR, REGULATOR, ["audit"]),
    ):
        body = {"operator": operator, "institution": uscc, "roles": roles}
        story.add(name, "operator.registered", body)
    body = {"use": "regulator", "kid": OVERSEER.kid, "public": OVERSEER.jwk, "holder": REGULATOR}
    story.add("regulator-key", "key.published", body)
    story.add("sealing", "key.sealing", story.sealing_body("sealing", [(OVERSEER.kid, OVERSEER.public)]))


def _anna(story: Story) -> None:
    _ingest(story, "ingested", "anna")
    _enrol(story, "anna-enrolled", "anna", ANNA)
    _request(story, "request", "anna")
    _grant(story, "grant", "anna", ANNA)
    ask(story, "answer-1", "grant", 1)
    ask(story, "answer-2", "grant", 2, categories=["loan"])
    _refuse(story, "refused", "anna", "exhausted")
    story.add("undelivered", "query.undelivered", {"of": Ref("answer-2")}, who="anna")
    until = format_instant(story.drafts[-1].at + 3 * MINUTE)
    story.add(
        "teller-suspended",
        "operator.suspended",
        {"operator": TELLER, "institution": BANK, "reason": "under-review", "until": until},
        by=BY_ADMIN,
    )
    _refuse(story, "refused-suspended", "anna", "operator-suspended")
    _grant(story, "second-grant", "anna", ANNA, purpose="01")
    ask(story, "answer-3", "second-grant", 1, purpose="01")  # the suspension has lapsed by itself
    story.add("read", "subject.read", {"what": "accesses"}, who="anna")
    details = ANNA.withdrawn(_consent_id(story, "second-grant"))
    body = {"grant": Ref("second-grant"), "by": "citizen"}
    story.add("withdrawn", "consent.withdrawn", body, who="anna", details=details)
    _refuse(story, "refused-withdrawn", "anna", "withdrawn")


def _boris(story: Story) -> None:
    _request(story, "request-to-nobody", "nobody")
    _ingest(story, "ingested-by-clerk", "boris", by={"institution": COURT, "operator": CLERK})
    _request(story, "request-to-boris", "boris")
    declined = story["request-to-boris"].body
    story.add("declined", "consent.declined", dict(declined), who="boris")
    _enrol(story, "boris-enrolled", "boris", BORIS)
    _grant(story, "ten-uses", "boris", BORIS, max_uses=10)
    story.add("bank-suspended", "institution.suspended", {"institution": BANK, "reason": "harvesting"})
    _refuse(story, "refused-bank", "boris", "institution-suspended")
    story.add("bank-back", "institution.reinstated", {"institution": BANK, "reason": "cleared"})
    for use in range(1, 11):
        ask(story, f"use-{use}", "ten-uses", use)
    story.add("lapsed", "consent.lapsed", dict(story["request-to-nobody"].body), who="nobody")


def _end(story: Story) -> None:
    stricter = story.publish_policy(policy(enrolment={"request_days": 7}))
    body = {"policy": stricter, "replaces": story.first_policy}
    story.add("stricter", "policy.changed", body, by=BY_INSPECTOR)
    _grant(story, "last-grant", "boris", BORIS)
    ask(story, "last-answer", "last-grant", 1)
    story.add("court-suspended", "institution.suspended", {"institution": COURT, "reason": "stale-records"})
    story.add("clerk-suspended", "operator.suspended", _clerk("stale-records"))
    story.add("clerk-back", "operator.reinstated", _clerk("cleared"))
    story.add("end", "log.closed", {"reason": "moved"})


def _clerk(reason: str) -> dict[str, Any]:
    return {"operator": CLERK, "institution": COURT, "reason": reason}


def _enrol(story: Story, name: str, who: str, citizen: Citizen) -> None:
    body, details = citizen.enrolled()
    story.add(name, "subject.enrolled", body, who=who, by={"registrar": NOTARY}, details=details)


def _ingest(story: Story, name: str, who: str, by: dict[str, str] | None = None) -> None:
    body = {"batch": story.source.uuid(), "source": COURT, "count": 3, "root": sha256_hex(b"root")}
    story.add(name, "record.ingested", body, who=who, by=by)


def _request(story: Story, name: str, who: str) -> None:
    body = {
        "request": story.source.uuid(),
        "recipient": BANK,
        "purpose": "02",
        "categories": ["judgment", "loan"],
    }
    details = {"document": template(story.source)}
    story.add(name, "consent.requested", body, who=who, by=BY_TELLER, details=details)


def _grant(story: Story, name: str, who: str, citizen: Citizen, **members: Any) -> None:
    body, details = citizen.granted(**members)
    story.add(name, "consent.granted", body, who=who, details=details)


def _refuse(story: Story, name: str, who: str, reason: str) -> None:
    request = query(story.source, story.source.uuid())
    body = {"query": request["query_id"], "reason": reason, "purpose": request["purpose"]}
    details = {"request": request, "request_salt": story.source.salt()}
    story.add(name, "query.refused", body, who=who, by=BY_TELLER, details=details)


def _consent_id(story: Story, grant: str) -> str:
    details = story[grant].details
    assert details is not None
    return str(details["document"]["consent_id"])
