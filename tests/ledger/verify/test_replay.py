"""Every named corruption, hashed and signed anew with the log's own keys, is found by replay, at its own
leaf.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.ledger.verify.corruptions_answers import ANSWERS
from tests.ledger.verify.corruptions_citizens import CITIZENS
from tests.ledger.verify.corruptions_corrections import CORRECTIONS
from tests.ledger.verify.corruptions_enforcement import ENFORCEMENT
from tests.ledger.verify.corruptions_epochs import EPOCHS
from tests.ledger.verify.corruptions_erasures import ERASURES
from tests.ledger.verify.corruptions_house import HOUSE
from tests.ledger.verify.corruptions_recovery import RECOVERY
from tests.ledger.verify.corruptions_rotate import ROTATIONS
from tests.ledger.verify.corruptions_statutes import STATUTES
from tests.ledger.verify.forge import Story
from tests.ledger.verify.spoilers import Corruption
from tests.ledger.verify.story import tell

REPLAYED = (
    HOUSE
    + EPOCHS
    + ENFORCEMENT
    + ANSWERS
    + STATUTES
    + ROTATIONS
    + CORRECTIONS
    + RECOVERY
    + CITIZENS
    + ERASURES
)


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


@pytest.mark.parametrize("corruption", REPLAYED, ids=lambda corruption: corruption.name)
def test_corruption_is_found_by_replay_alone(corruption: Corruption, story: Story, tmp_path: Path) -> None:
    spoiled = story.copy()
    corruption.spoil(spoiled)
    with pytest.raises(Finding) as found:
        audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey)))
    assert (found.value.rule, found.value.index) == (corruption.rule, spoiled.index(corruption.at))


def test_at_least_twenty_corruptions_have_a_name() -> None:
    assert len({corruption.name for corruption in REPLAYED}) == len(REPLAYED) >= 20
