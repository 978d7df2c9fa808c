"""Named corruptions of answers of yes or no, of answers given again, of quotas and of keys for answers."""

from __future__ import annotations

from typing import Any

from keys.instant import HOUR, MINUTE, format_instant
from keys.signing import Ed25519PrivateKey
from tests.ledger.verify.forge import Ref, Story
from tests.ledger.verify.people import REGULATOR, RIVAL
from tests.ledger.verify.policies import policy, production
from tests.ledger.verify.spoilers import (
    Corruption,
    Spoiler,
    actor,
    again,
    body,
    both,
    later,
    move,
    person,
)
from tests.ledger.verify.story import BY_ADMIN, BY_RIVAL, BY_TELLER


def policy_of(**changes: Any) -> Spoiler:
    """The second part under another policy."""

    def spoil(story: Story) -> None:
        story["production"].body["policy"] = story.publish_policy(production(**changes))

    return spoil


def _both_forms(story: Story) -> None:
    """The policy answers purpose 02 with a yes or no too, and the bank goes on to get reports."""
    purposes = production()["purposes"]
    purposes[1] |= {"answers": ["predicate:no-adverse", "report"]}
    policy_of(purposes=purposes)(story)


def _rule_off(story: Story) -> None:
    rules = production()["predicates"]
    rules[0] |= {"checked": False}
    policy_of(predicates=rules)(story)


def _report_after_all(story: Story) -> None:
    """Cara agreed to a yes or no, and the bank got the records."""
    draft = story["cara-answer"]
    draft.type = "query.disclosed"
    del draft.body["predicate"]


def _yes_or_no_after_all(story: Story) -> None:
    story["late-answer"].type = "query.predicate"
    story["late-answer"].body["predicate"] = "no-adverse"


def _signing_key(story: Story) -> None:
    key = Ed25519PrivateKey(story.source.bytes(32))
    story["encryption-key"].body |= {"kid": key.kid, "public": key.jwk}


def _third_in_a_minute(story: Story) -> None:
    story.repeat("cara-refused", "third", query=story.source.uuid())


def _without_quotas(story: Story) -> None:
    """A policy from before there were quotas, and yet somebody was turned away."""
    policy_of(quotas=[])(story)


def _over_before_it_was_given_again(story: Story) -> None:
    """The consent ends between the answer and its second delivery."""
    body("cara-grant", not_after=format_instant(story["cara-again"].at))(story)


def _again_to_the_suspended(story: Story) -> None:
    content = {"operator": BY_TELLER["operator"], "institution": BY_TELLER["institution"], "reason": "fraud"}
    story.insert("cara-undelivered", "suspension", "operator.suspended", content)


def _then_policy(**changes: Any) -> Spoiler:
    """Another policy comes in force between Cara's answer and its second delivery."""

    def spoil(story: Story) -> None:
        content = {
            "policy": story.publish_policy(production(**changes)),
            "replaces": story["production"].body["policy"],
        }
        story.insert("cara-undelivered", "other-policy", "policy.changed", content)

    return spoil


def _purpose_04(**changes: Any) -> list[dict[str, Any]]:
    *others, last = production()["purposes"]
    return [*others, last | changes]


def _rules(**changes: Any) -> list[dict[str, Any]]:
    first, *others = production()["predicates"]
    return [first | changes, *others]


def _report_again_where_yes_or_no_suffices(story: Story) -> None:
    """Purpose 02 gets a yes or no after a report for it was given, and the report leaves again."""
    purposes = production()["purposes"]
    purposes[1] |= {"answers": ["predicate:no-adverse", "report"]}
    content = {
        "policy": story.publish_policy(production(purposes=purposes)),
        "replaces": story["production"].body["policy"],
    }
    story.insert("cara-report", "other-policy", "policy.changed", content)
    content = {"of": Ref("cara-report")}
    story.insert("other-policy", "after-all", "query.redelivered", content, who="cara", by=BY_TELLER)


def _after_withdrawal(story: Story) -> None:
    story.insert(
        "cara-withdrawn",
        "after-all",
        "query.redelivered",
        {"of": Ref("cara-report")},
        who="cara",
        by=BY_TELLER,
    )


def _throttled(**changes: Any) -> Spoiler:
    return lambda story: story["throttled"].body.update(changes)


def _minute_running(story: Story) -> None:
    at = story["throttled"].at
    story["throttled"].body["minute"] = format_instant(at - at % MINUTE)


def _earlier_minute(story: Story) -> None:
    """The minute before one that was reported: only an order of reports keeps each to one."""
    at = story["throttled"].at
    story.repeat("throttled", "earlier", minute=format_instant(at - at % MINUTE - 3 * MINUTE))


def _ask_past_the_policy(story: Story) -> None:
    """A report for purpose 02 after a policy that offers none."""
    purposes = policy()["purposes"]
    purposes[1] |= {"answers": []}
    policy_of(purposes=purposes)(story)
    story.remove("cara-grant")
    for name in ("cara-answer", "cara-undelivered", "cara-again", "cara-again-undelivered"):
        story.remove(name)
    for name in ("cara-once-more", "cara-answer-2"):
        story.remove(name)


ANSWERS = (
    # --- yes or no
    Corruption("report_where_yes_or_no_was_agreed", "grant-answer", "cara-answer", _report_after_all),
    Corruption("yes_or_no_where_a_report_was_agreed", "grant-answer", "late-answer", _yes_or_no_after_all),
    Corruption(
        "another_yes_or_no_than_agreed",
        "grant-answer",
        "cara-answer",
        body("cara-answer", predicate="unchecked"),
    ),
    Corruption("report_where_yes_or_no_suffices", "predicate-suffices", "late-answer", _both_forms),
    Corruption("report_that_is_no_longer_offered", "answer-offered", "late-answer", _ask_past_the_policy),
    Corruption("yes_or_no_by_a_rule_that_is_off", "predicate-on", "cara-answer", _rule_off),
    Corruption("yes_or_no_by_a_rule_nobody_stated", "predicate-on", "cara-answer", policy_of(predicates=[])),
    Corruption(
        "yes_or_no_from_less_than_its_rule_reads",
        "predicate-categories",
        "cara-answer",
        body("cara-answer", categories=["judgment"]),
    ),
    # --- given again
    Corruption(
        "redelivered_what_was_refused",
        "answer-exists",
        "cara-again",
        body("cara-again", of=Ref("refused")),
    ),
    Corruption(
        "redelivered_before_the_answer", "answer-exists", "cara-again", move("cara-again", "cara-grant")
    ),
    Corruption("redelivered_about_another", "answer-subject", "cara-again", person("cara-again", "anna")),
    Corruption(
        "redelivered_a_redelivery",
        "redelivered-original",
        "cara-once-more",
        body("cara-once-more", of=Ref("cara-again")),
    ),
    Corruption("redelivered_to_a_rival", "redelivered-to", "cara-again", actor("cara-again", BY_RIVAL)),
    Corruption("redelivered_to_the_suspended", "actor-standing", "cara-again", _again_to_the_suspended),
    Corruption(
        "redelivered_to_an_administrator", "actor-queries", "cara-again", actor("cara-again", BY_ADMIN)
    ),
    Corruption(
        "redelivered_after_the_policys_hours",
        "redelivered-in-time",
        "cara-once-more",
        later("cara-once-more", 2 * HOUR),
    ),
    Corruption("redelivered_after_withdrawal", "redelivered-live", "after-all", _after_withdrawal),
    Corruption(
        "redelivered_at_the_moment_of_expiry",
        "redelivered-live",
        "cara-again",
        _over_before_it_was_given_again,
    ),
    Corruption(
        "redelivered_for_a_purpose_that_is_off",
        "redelivered-scope",
        "cara-again",
        _then_policy(purposes=_purpose_04(checked=False)),
    ),
    Corruption(
        "redelivered_a_category_no_longer_permitted",
        "redelivered-scope",
        "cara-again",
        _then_policy(purposes=_purpose_04(permitted=["judgment"])),
    ),
    Corruption(
        "redelivered_an_answer_no_longer_offered",
        "redelivered-scope",
        "cara-again",
        _then_policy(purposes=_purpose_04(answers=["report"])),
    ),
    Corruption(
        "redelivered_by_a_rule_that_is_off",
        "redelivered-scope",
        "cara-again",
        _then_policy(predicates=_rules(checked=False)),
    ),
    Corruption(
        "redelivered_by_a_rule_that_reads_less_now",
        "redelivered-scope",
        "cara-again",
        _then_policy(predicates=_rules(categories=["judgment"])),
    ),
    Corruption(
        "redelivered_a_report_where_yes_or_no_suffices_now",
        "redelivered-scope",
        "after-all",
        _report_again_where_yes_or_no_suffices,
    ),
    Corruption(
        "redelivery_undelivered_twice",
        "undelivered-once",
        "twice",
        again("cara-again-undelivered", "twice"),
    ),
    # --- quotas
    Corruption("third_ask_in_a_minute_of_two", "quota-kept", "third", _third_in_a_minute),
    Corruption(
        "more_asks_in_an_hour_than_the_institution_has",
        "quota-kept",
        "cara-again",
        policy_of(quotas=[{"scope": "institution", "per": "hour", "limit": 1}]),
    ),
    Corruption(
        "more_asks_in_a_day_than_the_purpose_has",
        "quota-kept",
        "cara-answer-2",
        policy_of(quotas=[{"scope": "purpose", "purpose": "04", "per": "day", "limit": 1}]),
    ),
    Corruption(
        "more_statutory_queries_in_a_day_than_allowed",
        "quota-kept",
        "waits-too-long",
        policy_of(quotas=[{"scope": "purpose", "purpose": "90", "per": "day", "limit": 5}]),
    ),
    Corruption("turned_away_without_a_quota", "throttled-quota", "throttled", _without_quotas),
    Corruption(
        "turned_away_nobody",
        "throttled-operator",
        "throttled",
        _throttled(operator="op-" + "f" * 16),
    ),
    Corruption("turned_away_in_a_minute_not_over", "throttled-minute-over", "throttled", _minute_running),
    Corruption("turned_away_counted_twice", "throttled-once", "twice", again("throttled", "twice")),
    Corruption("turned_away_counted_out_of_order", "throttled-once", "earlier", _earlier_minute),
    Corruption(
        "turned_away_under_somebodys_tag",
        "leaf",
        "throttled",
        person("throttled", "cara"),
    ),
    # --- keys for answers
    Corruption("answers_encrypted_to_a_key_that_signs", "key-kind", "encryption-key", _signing_key),
    Corruption(
        "answers_encrypted_to_the_regulator",
        "key-holder",
        "encryption-key",
        both(body("encryption-key", holder=REGULATOR), actor("encryption-key", None)),
    ),
    Corruption(
        "answers_encrypted_to_nobody_registered",
        "key-holder",
        "encryption-key",
        both(body("encryption-key", holder="91440101MA5EEEEE5X"), actor("encryption-key", None)),
    ),
    Corruption(
        "rivals_answers_encrypted_to_ones_own_key",
        "actor-office",
        "encryption-key",
        body("encryption-key", holder=RIVAL),
    ),
)
