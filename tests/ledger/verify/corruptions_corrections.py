"""Named corruptions of corrections: by whom nothing may be corrected, of whom nothing is held, unsaid."""

from __future__ import annotations

from tests.ledger.verify.first_part import BY_TELLER
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import BANK
from tests.ledger.verify.spoilers import (
    Corruption,
    actor,
    again,
    body,
    insert,
    remove,
    unsealed,
)
from tests.ledger.verify.third_corrections import WHO, restated


def _of_another(story: Story) -> None:
    """Both corrections are of somebody of whom nothing was ever ingested."""
    for name in ("corrected", "corrected-too", "restated-corrected"):
        story[name].who = "cara"


CORRECTIONS = (
    Corruption(
        "correction_of_nothing",
        "correction-made",
        "unasked",
        insert("court-back", "unasked", "record.restated", restated(3), who=WHO),
    ),
    Corruption(
        "correction_stated_twice",
        "correction-made",
        "twice",
        again("restated-corrected", "twice"),
    ),
    Corruption(
        "correction_not_stated",
        "correction-restated",
        "read-unstated",
        insert("corrected", "read-unstated", "subject.read", {"what": "accesses"}, who=WHO),
    ),
    Corruption(
        "correction_stated_as_a_rotation",
        "correction-restated",
        "restated-corrected",
        body("restated-corrected", cause="rotation"),
    ),
    Corruption("correction_of_somebody_without_records", "corrected-held", "corrected", _of_another),
    Corruption(
        "correction_that_loses_a_record",
        "restated-count",
        "restated-corrected",
        body("restated-corrected", count=2),
    ),
    Corruption("correction_by_a_bank", "source-role", "corrected", body("corrected", source=BANK)),
    Corruption("correction_by_a_suspended_source", "source-standing", "corrected", remove("court-back")),
    Corruption("correction_of_anothers_word", "source-acts", "corrected", actor("corrected", BY_TELLER)),
    Corruption("correction_without_details", "details-sealed", "corrected", unsealed("corrected")),
)
"""Found by replay alone."""

CORRECTIONS_OPENED = (
    Corruption(
        "correction_of_another_record", "corrected-record", "corrected", body("corrected", record="ab" * 32)
    ),
)
"""Found with a regulator's key."""
