"""The lanes stand for every rule of the leaves that they take over, and never for another verdict."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify import Summary, Trust, audit, auditor, judged
from ledger.verify.chain import CHAIN
from ledger.verify.lanes import Lanes
from ledger.verify.replay import REPLAY
from ledger.verify.spellings import FORMS
from tests.ledger.verify.forge import Draft, Story
from tests.ledger.verify.story import tell
from tests.ledger.verify.test_replay import REPLAYED

SPOILED = 150
"""Stories with one leaf changed at random."""


@pytest.mark.parametrize("form", range(len(FORMS)), ids=[form.type for form in FORMS])
def test_each_rule_of_a_row_is_held_once_by_its_lane(form: int) -> None:
    """A rule that is added to a row is run, as a rule, until its lane says that it stands for it."""
    every = {rule.name for rule in (*judged._EVERY, *REPLAY[FORMS[form].type].rules)}
    stands_for = judged._SEEN | judged._ANY | judged.REST[form]
    assert stands_for <= every
    run = [rule.name for rules in judged.rules_of(form) for rule in rules]
    assert sorted(run) == sorted(every - stands_for)


def test_what_reading_holds_are_rules_of_the_chain() -> None:
    assert {rule.name for rule in CHAIN} >= judged._SEEN


def verdict(directory: Path, story: Story) -> tuple[object, ...] | Summary:
    """What an audit says in the end."""
    try:
        return audit(directory, Trust(parse_vkey(story.vkey)))
    except Finding as found:
        return (found.index, found.rule, found.message)


def both_say_the_same(directory: Path, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the lanes, and by the rules alone."""
    with_lanes = verdict(directory, story)
    with monkeypatch.context() as patched:
        patched.setattr(auditor, "_mode", lambda *_: "whole")
        assert verdict(directory, story) == with_lanes


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


def test_each_form_has_leaves_that_its_lane_takes_over(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = set[str]()
    take = Lanes.take

    def watched(self: Lanes, leaves: list, start: int, first: int) -> int:
        end = take(self, leaves, start, first)
        taken.update(FORMS[plain[0]].type for plain in leaves[start:end])
        return end

    monkeypatch.setattr(Lanes, "take", watched)
    audit(story.copy().write(tmp_path), Trust(parse_vkey(story.vkey)))
    assert taken == {form.type for form in FORMS}


@pytest.mark.parametrize(
    "corruption", random.Random("lanes").sample(REPLAYED, 40), ids=lambda corruption: corruption.name
)
def test_a_corruption_is_worded_alike(corruption, story: Story, tmp_path: Path, monkeypatch) -> None:
    spoiled = story.copy()
    corruption.spoil(spoiled)
    both_say_the_same(spoiled.write(tmp_path), spoiled, monkeypatch)


@pytest.mark.parametrize("seed", range(SPOILED // 10))
def test_any_change_to_a_common_leaf_has_the_same_verdict(
    seed: int, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member, actor, person or time of another leaf of the type, a leaf twice, later, or left out."""
    drawn = random.Random(f"lanes {seed}")
    for number in range(10):
        spoiled = story.copy()
        common = [draft for draft in spoiled.drafts if draft.type in {form.type for form in FORMS}]
        for _ in range(drawn.randrange(1, 3)):
            change(spoiled, drawn.choice(common), common, drawn)
        both_say_the_same(spoiled.write(tmp_path / str(number)), spoiled, monkeypatch)


def change(story: Story, draft: Draft, common: list[Draft], drawn: random.Random) -> None:
    """One of the changes."""
    other = drawn.choice([each for each in common if each.type == draft.type])
    what = drawn.randrange(8)
    if what < 3:
        name = drawn.choice(sorted(draft.body))
        if name in other.body:
            draft.body[name] = other.body[name]
        elif isinstance(draft.body[name], int):
            draft.body[name] += 1
    elif what == 3:
        draft.who = other.who
    elif what == 4:
        draft.by = drawn.choice(common).by
    elif what == 5:
        draft.at = other.at
    elif what == 6:
        story.repeat(draft.name, f"again-{len(story.drafts)}")
    else:
        story.repeat(draft.name, f"moved-{len(story.drafts)}", drawn.choice(common).name)
