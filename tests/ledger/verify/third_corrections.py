"""The third part of the story, of corrections: the court corrects what it said of Anna, twice in one act."""

from __future__ import annotations

from typing import Any

from keys.canonical import sha256_hex, unb64u
from tests.ledger.verify.first_part import OVERSEER
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import COURT

WHO = "anna"


def corrected(story: Story) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body and details of `record.corrected`."""
    record, salt = story.source.salt(), story.source.salt()
    body = {
        "record": sha256_hex(unb64u(salt) + unb64u(record)),
        "source": COURT,
        "category": "judgment",
        "authority": "source-error",
    }
    return body, {"record": record, "record_salt": salt}


def restated(count: int, cause: str = "correction") -> dict[str, Any]:
    """Body of `record.restated`."""
    return {"count": count, "root": sha256_hex(b"corrected"), "cause": cause}


def tell_of_corrections(story: Story) -> None:
    """Go on with a log that was not closed. The court is a source in good standing again."""
    body = {"institution": COURT, "reason": "records-renewed"}
    story.add("court-back", "institution.reinstated", body)
    sealing = story.sealing_body("sealing-corrected", [(OVERSEER.kid, OVERSEER.public)])
    story.add("sealing-corrected", "key.sealing", sealing)
    for name in ("corrected", "corrected-too"):
        body, details = corrected(story)
        story.add(name, "record.corrected", body, who=WHO, details=details, sealing="sealing-corrected")
    story.add("restated-corrected", "record.restated", restated(3), who=WHO)
