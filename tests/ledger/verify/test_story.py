"""A log that is in order verifies, with each amount of trust that an auditor may bring along."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from keys.signing import parse_public_jwk
from ledger.bodies import LEAF_TYPES
from ledger.errors import Finding
from ledger.verify import Trust, audit
from ledger.verify.evidence import EVIDENCE
from ledger.verify.replay import REPLAY
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import NOTARY
from tests.ledger.verify.story import OVERSEER, REGISTRAR, SPY, tell, tell_the_first_part
from tests.ledger.verify.third_recovery import tell_of_a_successor


def pins(*keys: dict[str, str]) -> dict[str, tuple]:
    return {NOTARY: tuple(parse_public_jwk(key) for key in keys or (REGISTRAR.key.jwk,))}


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


@pytest.fixture(scope="module")
def log(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story.write(tmp_path_factory.mktemp("log"))


@pytest.mark.parametrize("regulator", [None, OVERSEER.private], ids=["sealed", "opened"])
@pytest.mark.parametrize("registrars", [None, pins()], ids=["unpinned", "pinned"])
def test_a_log_in_order_verifies(story: Story, log: Path, registrars, regulator) -> None:
    summary = audit(log, Trust(parse_vkey(story.vkey), registrars, regulator))
    assert summary.size == len(story.drafts)
    assert sum(summary.counts.values()) == len(story.drafts)
    assert summary.pinned == (registrars is not None)
    sealed = sum(draft.details is not None for draft in story.drafts)
    assert (summary.opened, summary.not_ours) == ((sealed, 0) if regulator else (None, None))


def test_the_story_has_every_type_of_leaf(story: Story) -> None:
    told = {draft.type for draft in (*story.drafts, *tell_of_a_successor().drafts)}
    assert told == set(LEAF_TYPES)


@pytest.mark.parametrize("regulator", [None, OVERSEER.private], ids=["sealed", "opened"])
def test_a_log_of_before_statutes_predicates_and_quotas_still_verifies(regulator, tmp_path: Path) -> None:
    first = tell_the_first_part()
    since = {"query.predicate", "query.pending", "query.throttled", "query.redelivered", "query.unsealed"}
    assert since.isdisjoint(draft.type for draft in first.drafts)
    assert audit(first.write(tmp_path), Trust(parse_vkey(first.vkey), pins(), regulator)).size == len(
        first.drafts
    )


def test_queries_still_hidden_from_their_persons_are_counted(story: Story, log: Path, tmp_path: Path) -> None:
    assert audit(log, Trust(parse_vkey(story.vkey))).deferred == 0
    cut = story.copy()
    del cut.drafts[cut.index("unsealed-nobody") :]
    assert audit(cut.write(tmp_path), Trust(parse_vkey(cut.vkey))).deferred == 2


def test_every_type_of_leaf_has_a_row_of_rules() -> None:
    assert set(REPLAY) == set(LEAF_TYPES)
    assert set(EVIDENCE) <= set(LEAF_TYPES)


def test_a_regulator_whom_the_log_never_published_is_told_so(story: Story, log: Path) -> None:
    with pytest.raises(Finding) as found:
        audit(log, Trust(parse_vkey(story.vkey), None, SPY.private))
    assert (found.value.rule, found.value.index) == ("regulator-published", None)


def test_progress_counts_every_leaf(story: Story, log: Path) -> None:
    seen: list[tuple[int, int]] = []
    audit(log, Trust(parse_vkey(story.vkey)), lambda done, total: seen.append((done, total)))
    assert seen == [(len(story.drafts), len(story.drafts))]  # of one bundle; of more, see test_jobs
