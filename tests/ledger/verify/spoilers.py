"""How a story is spoiled: small changes to named drafts, before the log is hashed and signed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.ledger.verify.forge import Story

Spoiler: TypeAlias = Callable[[Story], object]


@dataclass(frozen=True)
class Corruption:
    """`spoil` changes the story; the leaf of draft `at` must then break `rule`."""

    name: str
    rule: str
    at: str
    spoil: Spoiler


def body(at: str, **members: Any) -> Spoiler:
    """Change members of a leaf's body; None leaves one out."""

    def spoil(story: Story) -> None:
        changed = story[at].body | members
        story[at].body = {name: value for name, value in changed.items() if value is not None}

    return spoil


def override(at: str, **members: Any) -> Spoiler:
    """Replace finished members of a leaf."""
    return lambda story: story[at].override.update(members)


def actor(at: str, by: dict[str, str] | None) -> Spoiler:
    """Let somebody else act."""

    def spoil(story: Story) -> None:
        story[at].by = by

    return spoil


def again(name: str, new: str, after: str | None = None, **members: Any) -> Spoiler:
    """The same leaf once more."""
    return lambda story: story.repeat(name, new, after, **members)


def insert(place: str, name: str, kind: str, content: dict[str, Any], **members: Any) -> Spoiler:
    """A leaf more."""
    return lambda story: story.insert(place, name, kind, content, **members)


def both(*spoilers: Spoiler) -> Spoiler:
    """One after the other."""

    def spoil(story: Story) -> None:
        for each in spoilers:
            each(story)

    return spoil


def remove(name: str) -> Spoiler:
    """A leaf less."""
    return lambda story: story.remove(name)


def move(name: str, place: str) -> Spoiler:
    """A leaf elsewhere."""
    return lambda story: story.move_after(name, place)


def person(at: str, who: str) -> Spoiler:
    """Let the leaf be about somebody else."""

    def spoil(story: Story) -> None:
        story[at].who = who

    return spoil


def unsealed(at: str) -> Spoiler:
    """Leave the sealed details out."""

    def spoil(story: Story) -> None:
        story[at].details = None

    return spoil


def later(at: str, ms: int) -> Spoiler:
    """Everything from a leaf on happens later."""

    def spoil(story: Story) -> None:
        for draft in story.drafts[story.index(at) :]:
            draft.at += ms

    return spoil
