"""Sealed details may be missing of a person of whom everything was erased, and of nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify.auditor import Trust, audit
from tests.ledger.verify.forge import Story
from tests.ledger.verify.story import OVERSEER, tell
from tests.ledger.verify.third_erasures import OF_ERIN


def without_details(story: Story, directory: Path) -> Trust:
    """An export that lacks Erin's details, and the regulator who looks at it."""
    story.write(directory)
    for name in OF_ERIN:
        (directory / "sealed" / story.sealed_of[name]).unlink()
    return Trust(parse_vkey(story.vkey), regulator=OVERSEER.private)


def test_details_of_an_erased_person_may_be_missing(tmp_path: Path) -> None:
    story = tell()
    trust = without_details(story, tmp_path)
    assert audit(tmp_path, trust).size == len(story.drafts)


def test_details_of_anybody_else_may_not(tmp_path: Path) -> None:
    story = tell().copy()
    for name in ("erased-all", "grant-ended"):  # in their places, for later details name leaves by index
        story[name].type, story[name].body = "subject.read", {"what": "report"}
    trust = without_details(story, tmp_path)
    with pytest.raises(Finding) as found:
        audit(tmp_path, trust)
    assert (found.value.rule, found.value.index) == ("blob-missing", story.index("erin-enrolled"))


def test_an_erasure_at_the_end_of_the_log_is_stated_too(tmp_path: Path) -> None:
    story = tell().copy()
    for name in ("restated-erased", "erased-all", "grant-ended"):
        story.remove(name)
    story.write(tmp_path)
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(parse_vkey(story.vkey)))
    assert found.value.rule == "erased-restated"
