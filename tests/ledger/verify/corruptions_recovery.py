"""Named corruptions of recoveries: of how much was lost, of what is void, of what was carried over."""

from __future__ import annotations

from tests.ledger.verify.forge import ORIGIN, Ref, Story
from tests.ledger.verify.spoilers import Corruption, again, body, both, remove
from tests.ledger.verify.third_recovery import answer


def _use_the_void(story: Story) -> None:
    answer(story, "answer-void", "lost-grant", 1)
    story.move_after("answer-void", "restated-recovered")


RECOVERY = (
    Corruption("recovered_more_than_there_was", "recovered-size", "recovered", body("recovered", size=9_999)),
    Corruption(
        "records_found_in_a_recovery",
        "restated-count",
        "restated-recovered",
        body("restated-recovered", count=6),
    ),
    Corruption(
        "a_void_consent_is_used",
        "grant-live",
        "answer-void",
        _use_the_void,
    ),
    Corruption(
        "a_party_that_was_not_lost",
        "institution-once",
        "party-again",
        body("recovered", since=Ref("lost-records")),
    ),
)
SUCCESSION = (
    Corruption(
        "a_log_continues_itself",
        "continues-another",
        "opened",
        body("opened", previous={"origin": ORIGIN, "size": 7, "root": "0" * 64}),
    ),
    Corruption(
        "carried_over_from_no_log",
        "carried-over",
        "carried",
        both(body("opened", previous=None), remove("restated-carried")),
    ),
    Corruption("carried_over_used_up", "carried-uses", "carried", body("carried", uses=2)),
    Corruption("carried_over_twice", "consent-once", "carried-twice", again("carried", "carried-twice")),
    Corruption("answered_before_it_was_resumed", "grant-stands", "answer-carried", remove("resumed")),
)
