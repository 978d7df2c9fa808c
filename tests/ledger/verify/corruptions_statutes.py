"""Named corruptions of queries under a statute: who asks, who approves, when, and when the person is told."""

from __future__ import annotations

from typing import Any

from keys.instant import DAY, HOUR, format_instant
from tests.ledger.verify.corruptions_answers import policy_of
from tests.ledger.verify.forge import Draft, Ref, Story
from tests.ledger.verify.people import BUREAU, CASEWORKER, RIVAL, SIGNATORY, STEWARD, SUPERVISOR
from tests.ledger.verify.policies import production
from tests.ledger.verify.second_part import BY_DEPUTY, BY_SUPERVISOR, approve, put
from tests.ledger.verify.spoilers import (
    Corruption,
    Spoiler,
    actor,
    again,
    body,
    both,
    move,
    override,
    person,
    remove,
    unsealed,
)
from tests.ledger.verify.story import BY_TELLER


def statute(at: str, **members: Any) -> Spoiler:
    """Change what a leaf says of its statute."""
    return lambda story: body(at, statute=story[at].body["statute"] | members)(story)


def _revoked(story: Story) -> None:
    """The statute leaves the policy between the query and its approval."""
    content = {
        "policy": story.publish_policy(production(statutes=[])),
        "replaces": story["production"].body["policy"],
    }
    story.insert("waits", "revoked", "policy.changed", content)


def _then_statutes(**changes: Any) -> Spoiler:
    """The statutes change between the answer and its collection."""

    def spoil(story: Story) -> None:
        statutes = production()["statutes"]
        statutes[0] |= changes
        content = {
            "policy": story.publish_policy(production(statutes=statutes)),
            "replaces": story["production"].body["policy"],
        }
        story.insert("approved", "revoked", "policy.changed", content)

    return spoil


def _answers(story: Story) -> None:
    statutes = production()["statutes"]
    statutes[0] |= {"answers": ["predicate:no-adverse"]}
    policy_of(statutes=statutes)(story)


def _same_id(story: Story) -> None:
    body("waits-for-nobody", query=story["waits"].body["query"])(story)


def _id_of_an_answer(story: Story) -> None:
    """A query under a statute takes the id of one that the same bureau never gave back."""
    body("hidden", query=story["waits"].body["query"])(story)


def _made(add: Any, *names: Any, **members: Any) -> Draft:
    """A draft made by the story's own means, taken from its end."""
    story = names[0]
    add(*names, **members)
    draft = story.drafts.pop()
    draft.at = 0
    return draft


def _late(waiting: str, ms: int) -> Spoiler:
    """Approval instead of the lapse, `ms` after the query was put."""

    def spoil(story: Story) -> None:
        place = story.index("lapsed-in-waiting")
        draft = _made(approve, story, "late", waiting)
        draft.at = story[waiting].at + ms
        story.drafts[place] = draft

    return spoil


def _denied_then_approved(story: Story) -> None:
    story.insert_after("denied", _made(approve, story, "after-all", "waits-in-vain"))


def _approver(operator: str) -> Spoiler:
    return statute("approved", approver=operator)


def _approving_administrator(story: Story) -> None:
    """Roles that no house gives together."""
    story["steward"].body["roles"] = ["admin", "approve"]
    _approver(STEWARD)(story)


def _suspended_supervisor(story: Story) -> None:
    content = {"operator": SUPERVISOR, "institution": BUREAU, "reason": "audit"}
    story.insert("waits", "suspension", "operator.suspended", content)


def _bureau_without_query(story: Story) -> None:
    story["bureau"].body["roles"] = ["admin"]


def _asker_suspended(story: Story) -> None:
    content = {"operator": CASEWORKER, "institution": BUREAU, "reason": "audit"}
    story.insert("waits", "suspension", "operator.suspended", content)


def _lapsed(ms: int) -> Spoiler:
    def spoil(story: Story) -> None:
        story["lapsed-in-waiting"].at = story["waits-too-long"].at + ms

    return spoil


def _until(at: str, ms: int) -> Spoiler:
    return lambda story: body(at, deferred_until=format_instant(story[at].at + ms))(story)


def _seen_under_the_covert_tag(story: Story) -> None:
    content = {"batch": story.source.uuid(), "source": "11440000MB2CCCCC3X", "count": 1, "root": "0" * 64}
    story.insert("hidden-answer", "ingested-covertly", "record.ingested", content, who="a-one-time-tag")


def _another_under_the_covert_tag(story: Story) -> None:
    story.insert_after("hidden-answer", _made(put, story, "beside", "a-one-time-tag"))


def _unsealed_early(story: Story) -> None:
    story["unsealed"].at = story["hidden"].at + DAY - 1


STATUTES = (
    # --- the statute
    Corruption("statute_nobody_knows", "statute-on", "waits", statute("waits", code="anything")),
    Corruption("statute_that_is_off", "statute-on", "waits", statute("waits", code="unchecked")),
    Corruption("statute_of_no_policy", "statute-on", "waits", policy_of(statutes=[])),
    Corruption("answered_after_the_statute_was_revoked", "statute-on", "approved", _revoked),
    Corruption("statute_of_another_sector", "statute-holder", "waits", actor("waits", BY_TELLER)),
    Corruption(
        "statute_of_another_institution",
        "statute-holder",
        "hidden",
        policy_of(statutes=[one | {"institutions": [RIVAL]} for one in production()["statutes"]]),
    ),
    Corruption("statute_for_another_purpose", "statute-scope", "waits", body("waits", purpose="02")),
    Corruption(
        "statute_for_less_than_was_asked",
        "statute-scope",
        "waits",
        body("waits", categories=["employment", "loan"]),
    ),
    Corruption(
        "statute_for_a_category_that_is_off",
        "statute-scope",
        "waits",
        body("waits", categories=["loan", "penalty"]),
    ),
    Corruption("statute_that_offers_no_report", "statute-scope", "waits", _answers),
    Corruption(
        "statutory_yes_or_no_by_a_rule_that_is_off",
        "predicate-on",
        "waits-for-yes-or-no",
        body("waits-for-yes-or-no", answer="predicate:unchecked"),
    ),
    Corruption(
        "statutory_yes_or_no_from_more_than_its_rule_reads",
        "predicate-categories",
        "waits-for-yes-or-no",
        body("waits-for-yes-or-no", categories=["judgment", "loan", "repayment"]),
    ),
    # --- the query that waits
    Corruption("statutory_query_without_its_request", "details-sealed", "waits", unsealed("waits")),
    Corruption("statutory_query_id_used_twice", "query-once", "waits-for-nobody", _same_id),
    Corruption("deferred_query_id_used_before", "query-once", "hidden", _id_of_an_answer),
    Corruption("approver_puts_a_query", "actor-queries", "waits", actor("waits", BY_SUPERVISOR)),
    Corruption("bureau_without_the_role_puts_a_query", "actor-queries", "waits", _bureau_without_query),
    Corruption("deferred_where_the_statute_does_not_allow_it", "deferral", "waits", _until("waits", 1)),
    Corruption("deferred_for_too_long", "deferral", "hidden", _until("hidden", DAY + 1)),
    Corruption("deferred_into_the_past", "deferral", "hidden", _until("hidden", 0)),
    Corruption("deferred_under_somebody_elses_tag", "deferral-tag", "hidden", person("hidden", "anna")),
    # --- its end
    Corruption("approved_what_never_waited", "pending-open", "approved", statute("approved", pending=0)),
    Corruption("approved_before_it_was_put", "pending-open", "approved", move("waits", "approved")),
    Corruption("approved_twice", "pending-open", "twice", again("approved", "twice")),
    Corruption("approved_after_it_was_denied", "pending-open", "after-all", _denied_then_approved),
    Corruption("denied_twice", "pending-open", "twice", again("denied", "twice")),
    Corruption(
        "lapsed_after_it_was_denied", "pending-open", "twice", again("denied", "twice", "lapsed-in-waiting")
    ),
    Corruption("statutory_answer_about_another", "pending-subject", "approved", person("approved", "anna")),
    Corruption("denied_about_another", "pending-subject", "denied", person("denied", "anna")),
    Corruption("statutory_answer_to_another", "pending-asker", "approved", actor("approved", BY_DEPUTY)),
    Corruption("denied_by_another_institution", "pending-asker", "denied", actor("denied", BY_TELLER)),
    Corruption(
        "statutory_answer_of_more_categories",
        "pending-same",
        "approved",
        body("approved", categories=["judgment", "loan", "repayment"]),
    ),
    Corruption(
        "statutory_answer_on_another_document",
        "pending-same",
        "approved",
        statute("approved", document="1" * 64),
    ),
    Corruption(
        "statutory_answer_under_another_statute",
        "pending-same",
        "approved",
        statute("approved", code="inquiry"),
    ),
    Corruption(
        "statutory_answer_to_another_query",
        "pending-same",
        "approved",
        body("approved", query="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption(
        "report_where_yes_or_no_was_approved",
        "pending-same",
        "yes-or-no",
        both(body("yes-or-no", predicate=None), override("yes-or-no", type="query.disclosed")),
    ),
    Corruption("denied_another_query", "pending-same", "denied", body("denied", purpose="91")),
    Corruption(
        "approved_at_the_moment_of_lapsing",
        "approved-in-time",
        "late",
        _late("waits-too-long", 3 * HOUR),
    ),
    Corruption("approved_by_whoever_asked", "approver", "approved", _approver(CASEWORKER)),
    Corruption("approved_by_another_institutions_approver", "approver", "approved", _approver(SIGNATORY)),
    Corruption("approved_by_nobody_registered", "approver", "approved", _approver("op-" + "f" * 16)),
    Corruption("approved_by_an_administrator", "approver", "approved", _approver(STEWARD)),
    Corruption("approved_by_an_approving_administrator", "approver", "approved", _approving_administrator),
    Corruption("approved_by_a_suspended_approver", "approver", "approved", _suspended_supervisor),
    Corruption("approved_for_a_suspended_asker", "actor-standing", "approved", _asker_suspended),
    Corruption(
        "denied_by_whoever_asked",
        "denied-by-approver",
        "denied",
        lambda story: actor("denied", story["waits-in-vain"].by)(story),
    ),
    Corruption("denied_by_nobody", "denied-by-approver", "denied", actor("denied", None)),
    Corruption("lapsed_before_its_time", "lapsed-in-time", "lapsed-in-waiting", _lapsed(3 * HOUR - 1)),
    Corruption(
        "lapsed_by_hand", "lapsed-in-time", "lapsed-in-waiting", actor("lapsed-in-waiting", BY_SUPERVISOR)
    ),
    # --- its collection
    Corruption("collected_by_another", "redelivered-asker", "collected", actor("collected", BY_DEPUTY)),
    Corruption(
        "collected_after_the_statute_was_revoked",
        "redelivered-scope",
        "collected",
        _then_statutes(checked=False),
    ),
    Corruption(
        "collected_under_a_statute_held_no_longer",
        "redelivered-scope",
        "collected",
        _then_statutes(sectors=["bank"]),
    ),
    Corruption(
        "collected_what_the_statute_opens_no_longer",
        "redelivered-scope",
        "collected",
        _then_statutes(categories=["judgment"]),
    ),
    # --- telling the person
    Corruption(
        "records_under_the_tag_of_a_deferred_query",
        "covert-tag",
        "ingested-covertly",
        _seen_under_the_covert_tag,
    ),
    Corruption(
        "another_query_under_the_tag_of_a_deferred_one",
        "covert-tag",
        "beside",
        _another_under_the_covert_tag,
    ),
    Corruption("never_told", "unsealed-in-time", "read-in-the-end", remove("unsealed")),
    Corruption("refused_and_never_told", "unsealed-in-time", "read-in-the-end", remove("unsealed-nobody")),
    Corruption("told_twice", "unsealed-open", "twice", again("unsealed", "twice")),
    Corruption(
        "told_of_what_was_not_deferred", "unsealed-open", "unsealed", body("unsealed", of=Ref("waits"))
    ),
    Corruption("told_before_its_time", "unsealed-due", "unsealed", _unsealed_early),
    Corruption(
        "told_under_the_tag_that_hid_it",
        "covert-tag",
        "unsealed",
        person("unsealed", "a-one-time-tag"),
    ),
)
