"""What the operator of the gateway cannot make, with every key of the gateway: enrolments, consents,
withdrawals.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from keys.signing import parse_public_jwk
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.ledger.verify.corruptions_citizens import ACTS
from tests.ledger.verify.corruptions_corrections import CORRECTIONS_OPENED
from tests.ledger.verify.corruptions_erasures import ERASURES_OPENED
from tests.ledger.verify.corruptions_evidence import OPENED, PINNED
from tests.ledger.verify.corruptions_requests import REQUESTS
from tests.ledger.verify.corruptions_rotate import ROTATIONS_OPENED
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import NOTARY, REGULATOR
from tests.ledger.verify.spoilers import Corruption
from tests.ledger.verify.story import OVERSEER, REGISTRAR, SPY, tell
from tests.ledger.verify.third_citizens import sign_resumption

PINS = {NOTARY: (parse_public_jwk(REGISTRAR.key.jwk),)}


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


SEALED = OPENED + REQUESTS + ERASURES_OPENED + ROTATIONS_OPENED + CORRECTIONS_OPENED + ACTS


@pytest.mark.parametrize("corruption", SEALED, ids=lambda corruption: corruption.name)
def test_forged_evidence_is_found(corruption: Corruption, story: Story, tmp_path: Path) -> None:
    spoiled = story.copy()
    corruption.spoil(spoiled)
    with pytest.raises(Finding) as found:
        audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey), PINS, OVERSEER.private))
    assert (found.value.rule, found.value.index) == (corruption.rule, spoiled.index(corruption.at))


@pytest.mark.parametrize("corruption", PINNED, ids=lambda corruption: corruption.name)
def test_enrolment_without_the_pinned_registrar_is_found(
    corruption: Corruption, story: Story, tmp_path: Path
) -> None:
    spoiled = story.copy()
    corruption.spoil(spoiled)
    directory = spoiled.write(tmp_path)
    with pytest.raises(Finding) as found:
        audit(directory, Trust(parse_vkey(spoiled.vkey), PINS))
    assert (found.value.rule, found.value.index) == (corruption.rule, spoiled.index(corruption.at))
    assert audit(directory, Trust(parse_vkey(spoiled.vkey))).size == len(
        spoiled.drafts
    )  # pins find it, no more


def test_forged_certificate_is_found_at_the_grant_when_the_enrolment_was_sealed_before(
    story: Story, tmp_path: Path
) -> None:
    """A regulator who joined after an enrolment still holds every later consent against the certificate."""
    forged = next(each for each in OPENED if each.name == "certificate_by_a_registrar_that_is_not_pinned")
    spoiled = _second_regulator(story)
    forged.spoil(spoiled)
    with pytest.raises(Finding) as found:
        audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey), PINS, SPY.private))
    assert (found.value.rule, found.value.index) == ("certificate", spoiled.index("grant"))


def test_a_regulator_who_joined_later_opens_what_came_after(story: Story, tmp_path: Path) -> None:
    spoiled = _second_regulator(story)
    summary = audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey), PINS, SPY.private))
    sealed = [draft for draft in spoiled.drafts if draft.details is not None]
    assert summary.not_ours == sum(draft.sealing == "sealing" for draft in sealed) > 0
    assert summary.opened == sum(draft.sealing != "sealing" for draft in sealed) > 0


def _second_regulator(story: Story) -> Story:
    """A second regulator joins after Anna's enrolment; from then on details are sealed to both."""
    spoiled = story.copy()
    published = {"use": "regulator", "kid": SPY.kid, "public": SPY.jwk, "holder": REGULATOR}
    spoiled.insert("request", "joined", "key.published", published)
    both = [(OVERSEER.kid, OVERSEER.public), (SPY.kid, SPY.public)]
    spoiled.insert("joined", "resealed", "key.sealing", spoiled.sealing_body("resealed", both))
    for draft in spoiled.drafts[spoiled.index("resealed") :]:
        if draft.sealing == "sealing":
            draft.sealing = "resealed"
    for draft in spoiled.drafts[spoiled.index("resealed") + 1 :]:
        if draft.type == "key.sealing":
            draft.body = spoiled.sealing_body(draft.name, both)
    sign_resumption(spoiled)
    return spoiled
