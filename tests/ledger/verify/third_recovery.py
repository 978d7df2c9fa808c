"""The third part of the story, of a database put back: what its lost end had begun is void, and comes again.

And a story of its own, of a log that continues another: a consent is carried over, and resumed.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import sha256_hex
from keys.instant import DAY, format_instant
from tests.ledger.verify.first_part import OVERSEER, REGISTRAR, begin
from tests.ledger.verify.forge import Ref, Story
from tests.ledger.verify.people import (
    BANK,
    CLERK,
    COURT,
    NOTARY,
    TELLER,
    Citizen,
    disclosed,
    grant_of,
    query,
    template,
)
from tests.ledger.verify.third_citizens import resumed

LATECOMER = "91990000DEMA000F0L"
BEFORE = "credit.example.cn/log-before"
BY_COURT = {"institution": COURT, "operator": CLERK}
BY_NOTARY = {"registrar": NOTARY}
SEALING = "sealing-recovery"
FLORA = Citizen("flora", "Ed25519", REGISTRAR)


def tell_of_recovery(story: Story) -> None:
    """Go on with a log that was not closed."""
    story.add(SEALING, "key.sealing", story.sealing_body(SEALING, [(OVERSEER.kid, OVERSEER.public)]))
    _ingest(story, "kept-records", 2)
    body, details = FLORA.enrolled()
    _add(story, "flora-enrolled", "subject.enrolled", body, details, by=BY_NOTARY)
    _grant(story, "kept-grant")
    story.add("lost-party", "institution.registered", _latecomer())
    _ingest(story, "lost-records", 3)
    _grant(story, "lost-grant")
    answer(story, "kept-answer", "kept-grant", 1)
    story.add("recovered", "log.recovered", {"since": Ref("lost-party"), "size": Ref("recovered")})
    restated = {"count": 2, "root": sha256_hex(b"recovered"), "cause": "recovery"}
    story.add("restated-recovered", "record.restated", restated, who="flora")
    story.add("party-again", "institution.registered", _latecomer())
    answer(story, "answer-recovered", "kept-grant", 2)


def tell_of_a_successor() -> Story:
    """A log of its own that continues another."""
    story = begin(previous={"origin": BEFORE, "size": 7, "root": sha256_hex(b"the one before")})
    story.add(SEALING, "key.sealing", story.sealing_body(SEALING, [(OVERSEER.kid, OVERSEER.public)]))
    flora = Citizen("flora", "Ed25519", REGISTRAR)
    body, details = flora.enrolled()
    _add(story, "flora-enrolled", "subject.enrolled", body, details, by=BY_NOTARY)
    restated = {"count": 2, "root": sha256_hex(b"carried"), "cause": "recovery"}
    story.add("restated-carried", "record.restated", restated, who="flora")
    document = template(flora.source, gateway=BEFORE, max_uses=2, **_terms(story)) | {
        "subject": flora.key.kid
    }
    body, details = grant_of(document, flora.signs(document), flora)
    _add(story, "carried", "consent.carried", body | {"grant": 4, "uses": 1}, details)
    details = resumed(flora, document["consent_id"], story.index("carried"))
    _add(story, "resumed", "consent.resumed", {"grant": Ref("carried"), "by": "citizen"}, details)
    answer(story, "answer-carried", "carried", 2)
    return story


def _latecomer() -> dict[str, Any]:
    return {"institution": LATECOMER, "sector": "finance", "roles": ["query"]}


def _terms(story: Story) -> dict[str, str]:
    at = story.drafts[-1].at
    return {"not_before": format_instant(at), "not_after": format_instant(at + 30 * DAY)}


def _grant(story: Story, name: str) -> None:
    body, details = FLORA.granted(**_terms(story))
    _add(story, name, "consent.granted", body, details)


def answer(story: Story, name: str, grant: str, use: int) -> None:
    """An answered query of the bank under one of Flora's consents."""
    details = story[grant].details
    assert details is not None
    asked = query(story.source, details["document"]["consent_id"])
    body, shown = disclosed(story.source, asked, use)
    by = {"institution": BANK, "operator": TELLER}
    _add(story, name, "query.disclosed", body | {"grant": Ref(grant)}, shown, by=by)


def _ingest(story: Story, name: str, count: int) -> None:
    body = {"batch": story.source.uuid(), "source": COURT, "count": count, "root": sha256_hex(b"root")}
    story.add(name, "record.ingested", body, who="flora", by=BY_COURT)


def _add(
    story: Story, name: str, kind: str, body: dict[str, Any], details: dict[str, Any], **members: Any
) -> None:
    story.add(name, kind, body, who="flora", details=details, sealing=SEALING, **members)
