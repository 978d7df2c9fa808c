"""A correction that the log ends on is one that was never stated."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.ledger.verify.first_part import tell_the_first_part
from tests.ledger.verify.forge import Story
from tests.ledger.verify.third_corrections import tell_of_corrections


@pytest.fixture
def story() -> Story:
    told = tell_the_first_part()
    told.drafts.pop()
    tell_of_corrections(told)
    return told


def test_stated_at_once_it_is_in_order(story: Story, tmp_path: Path) -> None:
    assert audit(story.write(tmp_path), Trust(parse_vkey(story.vkey))).size == len(story.drafts)


@pytest.mark.parametrize("left", ["corrected-too", "restated-corrected"])
def test_a_log_that_ends_before_the_statement_is_not(story: Story, tmp_path: Path, left: str) -> None:
    del story.drafts[story.index(left) :]
    with pytest.raises(Finding) as found:
        audit(story.write(tmp_path), Trust(parse_vkey(story.vkey)))
    assert (found.value.rule, found.value.index) == ("correction-restated", None)
