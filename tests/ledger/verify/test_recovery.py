"""A log that continues another, and one whose database was put back: in order, and spoiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.ledger.verify.corruptions_recovery import SUCCESSION
from tests.ledger.verify.forge import Story
from tests.ledger.verify.spoilers import Corruption
from tests.ledger.verify.story import OVERSEER, tell_the_first_part
from tests.ledger.verify.test_story import pins
from tests.ledger.verify.third_corrections import tell_of_corrections
from tests.ledger.verify.third_recovery import tell_of_a_successor, tell_of_recovery


@pytest.fixture(scope="module")
def successor() -> Story:
    return tell_of_a_successor()


@pytest.mark.parametrize("regulator", [None, OVERSEER.private], ids=["sealed", "opened"])
def test_a_log_that_continues_another_is_in_order(successor: Story, regulator, tmp_path: Path) -> None:
    trust = Trust(parse_vkey(successor.vkey), pins(), regulator)
    assert audit(successor.write(tmp_path), trust).size == len(successor.drafts)


@pytest.mark.parametrize("corruption", SUCCESSION, ids=lambda corruption: corruption.name)
def test_what_it_may_not_carry_over(corruption: Corruption, successor: Story, tmp_path: Path) -> None:
    spoiled = successor.copy()
    corruption.spoil(spoiled)
    with pytest.raises(Finding) as found:
        audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey)))
    assert (found.value.rule, found.value.index) == (corruption.rule, spoiled.index(corruption.at))


@pytest.mark.parametrize(("lost", "rule"), [("lost-grant", None), ("kept-grant", "blob-missing")])
def test_details_are_missing_only_of_what_was_lost(lost: str, rule: str | None, tmp_path: Path) -> None:
    story = tell_the_first_part()
    story.drafts.pop()
    tell_of_corrections(story)
    tell_of_recovery(story)
    export = story.write(tmp_path)
    (export / "sealed" / story.sealed_of[lost]).unlink()
    known = frozenset({story.index("recovered")})
    trust = Trust(parse_vkey(story.vkey), None, OVERSEER.private, recoveries=known)
    if rule is None:
        summary = audit(export, trust)
        assert (summary.lost, summary.recovered[0][1]) == (1, story.index("recovered"))
        trust = Trust(parse_vkey(story.vkey), None, OVERSEER.private)
        rule = "recovery-unknown"
    with pytest.raises(Finding) as found:
        audit(export, trust)
    assert found.value.rule == rule
