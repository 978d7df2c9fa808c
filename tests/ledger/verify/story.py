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
    story.add(end.name, end.type, end.body)
    return story
