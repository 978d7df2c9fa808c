"""What is counted, and that only what is counted is: a policy that allows exactly what was asked is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keys.instant import DAY
from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.ledger.verify.corruptions_answers import policy_of
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import BANK, BUREAU, CASEWORKER, TELLER
from tests.ledger.verify.story import tell

COUNTED = {"consent.requested", "query.pending", "query.disclosed", "query.predicate", "query.refused"}


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


def asks(story: Story, purpose: str = "", **by: str) -> int:
    """Counted by hand, since the policy with quotas came into force, on that day: later there are fewer."""
    counted = COUNTED if purpose else COUNTED | {"query.redelivered"}
    return sum(
        draft.type in counted
        and draft.by is not None
        and by.items() <= draft.by.items()
        and "statute" not in (draft.body if draft.type != "query.pending" else {})
        and "pending" not in draft.body
        and (not purpose or draft.body["purpose"] == purpose)
        for draft in story.drafts[story.index("production") :]
        if draft.at // DAY == story["production"].at // DAY
    )


@pytest.mark.parametrize(
    "quota",
    [
        {"scope": "operator"},
        {"scope": "institution"},
        {"scope": "purpose", "purpose": "02"},
        {"scope": "purpose", "purpose": "04"},
        {"scope": "purpose", "purpose": "90"},
    ],
    ids=str,
)
def test_a_quota_of_a_day_is_counted_to_the_ask(quota: dict[str, Any], story: Story, tmp_path: Path) -> None:
    member, names = (
        ("operator", (TELLER, CASEWORKER))
        if quota["scope"] == "operator"
        else ("institution", (BANK, BUREAU))
    )
    most = max(asks(story, quota.get("purpose", ""), **{member: name}) for name in names)
    assert most > 1
    for limit, kept in ((most, True), (most - 1, False)):
        told = story.copy()
        policy_of(quotas=[quota | {"per": "day", "limit": limit}])(told)
        log = told.write(tmp_path / str(limit))
        if kept:
            assert audit(log, Trust(parse_vkey(story.vkey))).size == len(story.drafts)
        else:
            with pytest.raises(Finding) as found:
                audit(log, Trust(parse_vkey(story.vkey)))
            assert found.value.rule == "quota-kept"


def test_a_window_ends_with_its_minute(story: Story, tmp_path: Path) -> None:
    """Two asks in one minute and the third in the next are kept; the clock of the epoch cuts, not the ask."""
    spoiled = story.copy()
    third = spoiled.repeat("cara-refused", "third", query=spoiled.source.uuid())
    minute = 60_000
    third.at = spoiled["cara-refused"].at // minute * minute + minute
    spoiled["throttled"].at = max(spoiled["throttled"].at, third.at)
    assert audit(spoiled.write(tmp_path), Trust(parse_vkey(story.vkey))).size == len(spoiled.drafts)
