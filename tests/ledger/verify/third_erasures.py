"""The third part of the story, of erasures: a case about Erin, what is past its term, then all that is hers.

A copy of custody is made and attested as destroyed, before the epoch that it holds ends.
"""

from __future__ import annotations

from keys.canonical import sha256_hex, unb64u
from tests.ledger.verify.first_part import REGISTRAR
from tests.ledger.verify.forge import Ref, Story
from tests.ledger.verify.people import COURT, NOTARY, Citizen

ERIN = Citizen("erin", "Ed25519", REGISTRAR)
WHO = "erin"
SEALING = "sealing-corrected"
OF_ERIN = ("erin-enrolled", "erin-grant")
"""Drafts whose sealed details go with her."""


def tell_of_erasures(story: Story) -> None:
    """Go on with a log that was not closed, on the day of the corrections."""
    source = story.source
    body = {"batch": source.uuid(), "source": COURT, "count": 3, "root": sha256_hex(b"of erin")}
    story.add("ingested-erin", "record.ingested", body, who=WHO)
    enrolled, details = ERIN.enrolled()
    by = {"registrar": NOTARY}
    story.add("erin-enrolled", "subject.enrolled", enrolled, who=WHO, by=by, details=details, sealing=SEALING)
    granted, details = ERIN.granted()
    story.add("erin-grant", "consent.granted", granted, who=WHO, details=details, sealing=SEALING)
    tag, salt, case = story.tags.setdefault(WHO, source.salt()), source.salt(), source.uuid()
    scope = sha256_hex(unb64u(salt) + unb64u(tag))
    opened = {"case": case, "scope": scope, "reason": "investigation"}
    story.add("case", "case.opened", opened, details={"tag": tag, "salt": salt}, sealing=SEALING)
    story.add("case-closed", "case.closed", {"case": case, "outcome": "no-further-action"})
    story.add("erased", "record.erased", _erased(source.uuid(), ["adverse"], 1, "term-expired"), who=WHO)
    restated = {"count": 2, "root": sha256_hex(b"left of erin"), "cause": "erasure"}
    story.add("restated-erased", "record.restated", restated, who=WHO)
    everything = _erased(source.uuid(), ["current", "identity", "link"], 2, "demanded")
    story.add("erased-all", "record.erased", everything, who=WHO)
    ended = {"grant": Ref("erin-grant"), "by": "erasure"}
    story.add("grant-ended", "consent.withdrawn", ended, who=WHO)
    copy = source.uuid()
    made = {"copy": copy, "event": "made", "epochs": [1], "shares": 5, "threshold": 3}
    story.add("copy", "key.backup", made)
    story.add("copy-gone", "key.backup", {"copy": copy, "event": "destroyed"})


def _erased(erasure: str, classes: list[str], count: int, authority: str) -> dict[str, object]:
    return {"erasure": erasure, "classes": classes, "count": count, "authority": authority, "epoch": 1}
