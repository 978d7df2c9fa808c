"""The story that tests tell, in two parts: what every log held from the beginning, and what came since.

Every draft has a name; corruptions speak of drafts by these names.
"""

from __future__ import annotations

from tests.ledger.verify.first_part import (
    ANNA,
    BORIS,
    BY_ADMIN,
    BY_RIVAL,
    BY_TELLER,
    IMPOSTOR,
    OVERSEER,
    REGISTRAR,
    SPY,
    tell_the_first_part,
)
from tests.ledger.verify.forge import Story
from tests.ledger.verify.second_part import tell_the_second_part
from tests.ledger.verify.third_citizens import tell_of_citizens
from tests.ledger.verify.third_corrections import tell_of_corrections
from tests.ledger.verify.third_epochs import tell_of_epochs
from tests.ledger.verify.third_erasures import tell_of_erasures
from tests.ledger.verify.third_recovery import tell_of_recovery
from tests.ledger.verify.third_rotate import tell_of_rotations

__all__ = [
    "ANNA",
    "BORIS",
    "BY_ADMIN",
    "BY_RIVAL",
    "BY_TELLER",
    "IMPOSTOR",
    "OVERSEER",
    "REGISTRAR",
    "SPY",
    "tell",
    "tell_the_first_part",
]


def tell() -> Story:
    """The whole story, true in every rule."""
    story = tell_the_first_part()
    end = story.drafts.pop()
    tell_the_second_part(story)
    tell_of_corrections(story)
    tell_of_erasures(story)
    tell_of_recovery(story)
    tell_of_rotations(story)
    tell_of_epochs(story)
    tell_of_citizens(story)  # last: its keys wait for three days, and details are sealed by the day
    story.add(end.name, end.type, end.body)
    return story
