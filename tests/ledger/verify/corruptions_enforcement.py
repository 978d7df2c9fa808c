"""Named corruptions of enrolment, requests, consents, withdrawals, answers and records.

The log's operator could hash and sign each of them anew; replay alone finds it. A corruption names the rule
that must find it and the draft whose leaf must be reported.
"""

from __future__ import annotations

from keys.instant import DAY, format_instant
from tests.ledger.verify.forge import START, Ref, Story
from tests.ledger.verify.people import (
    BANK,
    COURT,
    TELLER,
)
from tests.ledger.verify.spoilers import (
    Corruption,
    actor,
    again,
    body,
    both,
    later,
    move,
    person,
    remove,
    unsealed,
)
from tests.ledger.verify.story import (
    BY_RIVAL,
    OVERSEER,
)


def _certificate_again(story: Story) -> None:
    """Anna's certificate enrols Boris."""
    digest = story["anna-enrolled"].body["certificate_sha256"]
    story["boris-enrolled"].body["certificate_sha256"] = digest


def _source_plays_registrar(story: Story) -> None:
    """A key published for an institution that was never registered as a registrar enrols Anna."""
    story["registrar-key"].body["holder"] = COURT
    story["anna-enrolled"].body["registrar"] = COURT
    story["anna-enrolled"].by = {"registrar": COURT}


def _suspended_registrar(story: Story) -> None:
    """A registrar enrols Anna a moment after its suspension."""
    _source_plays_registrar(story)
    story["court"].body |= {"sector": "registrar", "roles": ["registrar"]}
    story.remove("ingested")
    story.move_after("court-suspended", "sealing")


def _grant_before_enrolment(story: Story) -> None:
    story.move_after("boris-enrolled", "ten-uses")


def _boris_lends_his_grant(story: Story) -> None:
    """An answer about Anna under Boris's consent."""
    draft = story.repeat("use-1", "borrowed", "use-1", use=2, query=story.source.uuid())
    draft.who = "anna"


def _another(story: Story, use: str, number: int, suffix: str = "") -> None:
    """One more answer under the consent of ten uses."""
    name = f"use-{number}{suffix}"
    story.repeat(use, name, use, use=number, query=story.source.uuid())


def _a_month_later(story: Story) -> None:
    """The last answer comes after the month, under that day's sealing key."""
    later("last-answer", 31 * DAY)(story)
    keys = story.sealing_body("resealed", [(OVERSEER.kid, OVERSEER.public)])
    story.insert("last-grant", "resealed", "key.sealing", keys).at += 31 * DAY
    story["last-answer"].sealing = "resealed"


ENFORCEMENT = (
    # --- enrolment
    Corruption("grant_without_its_sealed_proof", "details-sealed", "grant", unsealed("grant")),
    Corruption("answer_without_its_sealed_request", "details-sealed", "answer-1", unsealed("answer-1")),
    Corruption(
        "enrolled_by_another_registrar_than_named",
        "registrar-acts",
        "anna-enrolled",
        actor("anna-enrolled", {"registrar": "sz-notary"}),
    ),
    Corruption("registrar_without_a_key", "registrar-published", "anna-enrolled", remove("registrar-key")),
    Corruption("enrolled_by_a_source", "registrar-standing", "anna-enrolled", _source_plays_registrar),
    Corruption(
        "enrolled_by_a_suspended_registrar", "registrar-standing", "anna-enrolled", _suspended_registrar
    ),
    Corruption("one_certificate_for_two", "certificate-once", "boris-enrolled", _certificate_again),
    Corruption("unenrolled_person_reads", "subject-enrolled", "read", person("read", "nobody")),
    Corruption("grant_before_enrolment", "subject-enrolled", "ten-uses", _grant_before_enrolment),
    # --- requests and grants
    Corruption("request_for_another_bank", "request-recipient", "request", actor("request", BY_RIVAL)),
    Corruption("request_made_twice", "request-once", "twice", again("request", "twice")),
    Corruption("declined_twice", "request-open", "twice", again("declined", "twice")),
    Corruption("declined_by_another_person", "request-open", "declined", person("declined", "anna")),
    Corruption(
        "declined_another_than_asked",
        "request-same",
        "declined",
        body("declined", categories=["loan"]),
    ),
    Corruption("lapsed_before_it_was_made", "request-open", "lapsed", move("lapsed", "sealing")),
    Corruption("purpose_that_is_off", "purpose-usable", "grant", body("grant", purpose="03")),
    Corruption("purpose_nobody_knows", "purpose-usable", "request", body("request", purpose="99")),
    Corruption(
        "category_that_is_off",
        "categories-permitted",
        "grant",
        body("grant", categories=["loan", "penalty"]),
    ),
    Corruption(
        "category_the_purpose_does_not_permit",
        "categories-permitted",
        "request",
        body("request", categories=["employment", "loan"]),
    ),
    Corruption(
        "necessary_category_missing",
        "categories-necessary",
        "grant",
        body("grant", categories=["judgment"]),
    ),
    Corruption("grant_under_another_key", "key-commitment", "grant", body("grant", commitment="4" * 64)),
    Corruption("consent_replayed", "consent-once", "replayed", again("grant", "replayed", "answer-2")),
    Corruption(
        "grant_to_nobody",
        "recipient-known",
        "grant",
        body("grant", recipient="91440101MA5EEEEE5X"),
    ),
    Corruption(
        "grant_valid_too_long",
        "validity",
        "grant",
        body("grant", not_after=format_instant(START + 92 * DAY + 1)),
    ),
    Corruption("grant_never_valid", "validity", "grant", body("grant", not_after=format_instant(START))),
    Corruption("grant_of_too_many_uses", "uses-allowed", "ten-uses", body("ten-uses", max_uses=11)),
    Corruption("grant_kept_too_long", "retention-allowed", "grant", body("grant", retention_days=93)),
    Corruption(
        "answer_nobody_offers",
        "answer-offered",
        "grant",
        body("grant", answer="predicate:rich"),
    ),
    # --- withdrawals and answers
    Corruption("answer_under_no_grant", "grant-exists", "answer-1", body("answer-1", grant=Ref("read"))),
    Corruption("answer_before_its_grant", "grant-exists", "answer-1", move("answer-1", "anna-enrolled")),
    Corruption("answer_under_another_persons_grant", "grant-subject", "borrowed", _boris_lends_his_grant),
    Corruption(
        "withdrawn_by_another_person",
        "grant-subject",
        "withdrawn",
        both(person("withdrawn", "boris"), move("withdrawn", "ten-uses")),
    ),
    Corruption("answer_after_withdrawal", "grant-live", "answer-3", move("withdrawn", "second-grant")),
    Corruption("withdrawn_twice", "grant-live", "twice", again("withdrawn", "twice")),
    Corruption(
        "answer_before_the_grant_begins",
        "grant-begun",
        "answer-1",
        lambda story: body("grant", not_before=format_instant(story["answer-1"].at + 1))(story),
    ),
    Corruption(
        "answer_at_the_moment_of_expiry",
        "grant-not-over",
        "answer-2",
        lambda story: body("grant", not_after=format_instant(story["answer-2"].at))(story),
    ),
    Corruption("answer_long_after_expiry", "grant-not-over", "last-answer", _a_month_later),
    Corruption("answer_to_a_rival", "grant-recipient", "answer-1", actor("answer-1", BY_RIVAL)),
    Corruption("answer_for_another_purpose", "grant-purpose", "answer-1", body("answer-1", purpose="01")),
    Corruption(
        "answer_with_a_category_more",
        "grant-categories",
        "answer-1",
        body("answer-1", categories=["judgment", "loan", "repayment"]),
    ),
    Corruption("eleventh_use_of_ten", "use-limit", "use-11", lambda story: _another(story, "use-10", 11)),
    Corruption(
        "use_counted_twice", "use-number", "use-10b", lambda story: _another(story, "use-10", 10, "b")
    ),
    Corruption("use_not_counted", "use-number", "use-6", remove("use-5")),
    Corruption(
        "query_answered_twice",
        "query-once",
        "answer-2",
        lambda story: body("answer-2", query=story["answer-1"].body["query"])(story),
    ),
    Corruption(
        "undelivered_answer_that_never_was",
        "answer-exists",
        "undelivered",
        body("undelivered", of=Ref("refused")),
    ),
    Corruption(
        "undelivered_answer_about_another",
        "answer-subject",
        "undelivered",
        person("undelivered", "boris"),
    ),
    Corruption("undelivered_twice", "undelivered-once", "twice", again("undelivered", "twice")),
    # --- records
    Corruption(
        "records_of_an_unknown_source",
        "source-known",
        "ingested",
        body("ingested", source="11440000MB2EEEEE5X"),
    ),
    Corruption("records_of_a_bank", "source-role", "ingested", body("ingested", source=BANK)),
    Corruption(
        "records_of_a_suspended_source",
        "source-standing",
        "late",
        again("ingested", "late", "court-suspended"),
    ),
    Corruption(
        "records_under_anothers_name",
        "source-acts",
        "ingested",
        actor("ingested", {"institution": BANK, "operator": TELLER}),
    ),
)
