"""The part of the story in which epochs and versions of the index take turns, and data keys are replaced."""

from __future__ import annotations

from tests.ledger.verify.forge import Story


def tell_of_epochs(story: Story) -> None:
    """Two epochs opened in turn, the first destroyed; an index rotated; data keys replaced."""
    story.add("epoch-2", "key.epoch", {"epoch": 2, "event": "opened"})
    story.add("epoch-2-full", "key.epoch", {"epoch": 2, "event": "rewrapped", "count": 7})
    story.add("epoch-1-gone", "key.epoch", {"epoch": 1, "event": "destroyed"})
    story.add("epoch-3", "key.epoch", {"epoch": 3, "event": "opened"})
    story.add("index-2", "key.index", {"version": 2, "event": "opened"})
    story.add("index-2-full", "key.index", {"version": 2, "event": "completed", "rows": 9})
    story.add("index-1-gone", "key.index", {"version": 1, "event": "destroyed"})
    story.add("data-keys", "key.data", {"count": 3})
