"""Named corruptions of a person's keys: enrolled, revoked, what is suspended with one, and of the counter.

`CITIZENS` replay alone finds; `ACTS` only who opens what was sealed and pins the registrar.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import canonical
from keys.instant import DAY, HOUR, format_instant
from keys.jws import sign_jws
from tests.ledger.verify.forge import Draft, Ref, Story
from tests.ledger.verify.people import COURT, NOTARY, Citizen, registrar
from tests.ledger.verify.spoilers import (
    Corruption,
    Spoiler,
    actor,
    again,
    body,
    both,
    move,
    remove,
    unsealed,
)
from tests.ledger.verify.story import IMPOSTOR
from tests.ledger.verify.third_citizens import AFTER, ellas, id_of, order, resumed, revoked
from tests.ledger.verify.third_rotate import NEW_REGISTRAR

BY_COURT = {"registrar": COURT}
OFFICE = "11440000MB2GGGGG7X"
"""Another registrar."""
ANOTHER = "11010519491231002X"


def _sooner(ms: int) -> Spoiler:
    """What comes after the wait comes sooner; the day's sealing key is the earlier one then."""

    def spoil(story: Story) -> None:
        for draft in story.drafts[story.index("sealing-ella-later") :]:
            draft.at -= ms

    return spoil


def _first_again(story: Story) -> None:
    """Her first key once more, by another certificate."""
    story.repeat("ella-enrolled", "first-again", "ella-second", certificate_sha256="2" * 64)


def _grant_under_the_third(story: Story) -> None:
    """A consent under a key whose wait is not over."""
    story["ella-second-grant"].body["commitment"] = story["ella-third"].body["commitment"]
    story.move_after("ella-second-grant", "ella-third")


def _grant_under_the_first_later(story: Story) -> None:
    draft = story["ella-second-grant"]
    draft.body["commitment"] = story["ella-enrolled"].body["commitment"]
    story.move_after("ella-second-grant", "ella-resumed")


def _nothing_left(story: Story) -> None:
    """A citizen resumes after every key of theirs was revoked."""
    story.remove("ella-listed")
    story.remove("ella-withdrawn")
    story.move_after("ella-lost", "ella-other-grant-suspended")
    story.remove("ella-answer")


def _suspended_office(story: Story) -> None:
    """A second registrar certified her third key, was suspended, and serves a counter all the same."""
    invented, by = registrar("office", OFFICE), {"registrar": OFFICE}
    key = {"use": "registrar", "kid": invented.key.kid, "public": invented.key.jwk, "holder": OFFICE}
    office = {"institution": OFFICE, "sector": "registrar", "roles": ["registrar"]}
    story.insert("ella-second-grant", "office", "institution.registered", office)
    story.insert("office", "office-key", "key.published", key)
    story["ella-third"].body["registrar"], story["ella-third"].by = OFFICE, by
    ended = {"institution": OFFICE, "reason": "misuse"}
    story.insert("ella-answer", "office-suspended", "institution.suspended", ended)
    story.repeat("ella-listed", "office-lists", "office-suspended").by = by


def _suspended_another(story: Story) -> None:
    story["ella-other-grant-suspended"].body["grant"] = Ref("ella-second-grant")


def _details(at: str, made: Any) -> Spoiler:
    """Other details, made when the story is known; `at` names the leaf."""

    def spoil(story: Story) -> None:
        story[at].details = made(story)

    return spoil


def _keys(story: Story) -> tuple[Citizen, Citizen, Citizen]:
    """Her keys as the story had them: the same seeds make the same keys."""
    first = ellas("ella", 0, 0)
    second, third = ellas("ella's second", 0, 0), ellas("ella's third", 0, 0)
    for citizen, name in ((first, "ella-enrolled"), (second, "ella-second"), (third, "ella-third")):
        held = story[name].details or {}
        citizen.salt, citizen.certificate = held["commitment_salt"], held["certificate"]
    return first, second, third


def _at(story: Story, name: str) -> int:
    return story[name].at


def _revocation(signer: int, ended: int, cause: str, **changes: Any) -> Spoiler:
    def made(story: Story) -> dict[str, Any]:
        keys = _keys(story)
        return revoked(keys[signer], keys[ended], cause, **changes)

    return _details("ella-compromised", made)


def _resumption(signer: int, **changes: Any) -> Spoiler:
    def made(story: Story) -> dict[str, Any]:
        said = {"suspension": story.index("ella-grant-suspended")} | changes
        return resumed(_keys(story)[signer], id_of(story, "ella-grant"), **said)

    return _details("ella-resumed", made)


def _ordered(**changes: Any) -> Spoiler:
    """The order to withdraw, changed before both officers signed it."""

    def made(story: Story) -> dict[str, Any]:
        said: dict[str, Any] = {"consent_id": id_of(story, "ella-second-grant")}
        at = changes.pop("at", _at(story, "ella-withdrawn"))
        return order("withdrawal", at, **(said | changes))

    return _details("ella-withdrawn", made)


def _one_officer(story: Story) -> dict[str, Any]:
    made = order("withdrawal", _at(story, "ella-withdrawn"), consent_id=id_of(story, "ella-second-grant"))
    held = made["order"]
    return made | {"order": held | {"signatures": [held["signatures"][0]] * 2}}


def _signature_of_an_enrolment(story: Story) -> dict[str, Any]:
    """Two true signatures over the order's bytes, made under the name of an enrolment."""
    made = order("withdrawal", _at(story, "ella-withdrawn"), consent_id=id_of(story, "ella-second-grant"))
    held, officers = made["order"], NEW_REGISTRAR.officers
    signed = [
        sign_jws(canonical(held["document"]), officers[one], "enrolment+jwt") for one in sorted(officers)
    ]
    return made | {"order": held | {"signatures": signed}}


def _short_certificate(story: Story) -> None:
    """The registrar's officers were made to leave the wait out."""
    at = story["ella-second"].at
    second = _keys(story)[1]
    second.certificate = ellas("ella's second", at, at + HOUR).certificate
    content, held = second.enrolled()
    story["ella-second"].body, story["ella-second"].details = content, held


def _key_of_another(story: Story) -> None:
    """A key that was certified for somebody else is enrolled as hers; the counter's order shows it."""
    stranger = Citizen("stranger", "Ed25519", NEW_REGISTRAR, ANOTHER)
    named = {name: stranger.certificate["document"][name] for name in ("salt", "person")}
    at = story["ella-third"].at
    times = {"at": format_instant(at - DAY), "effective": format_instant(at + 3 * DAY)}
    stranger.certificate = NEW_REGISTRAR.certificate(stranger.key, **named, **times)
    content, held = stranger.enrolled()
    added = Draft("stranger-enrolled", "subject.enrolled", content, 0, who="ella", by={"registrar": NOTARY})
    added.details, added.sealing = held, AFTER
    story.insert_after("ella-answer", added)


CITIZENS = (
    Corruption("key_enrolled_twice", "commitment-once", "first-again", _first_again),
    Corruption("consent_under_a_key_that_waits", "key-waited", "ella-second-grant", _grant_under_the_third),
    Corruption("consent_after_two_days", "key-waited", "ella-second-grant", _sooner(DAY)),
    Corruption("consent_under_a_revoked_key", "key-live", "ella-second-grant", _grant_under_the_first_later),
    Corruption("resumed_without_any_key", "acting-key", "ella-resumed", _nothing_left),
    Corruption("counter_of_a_stranger", "counter-registrar", "ella-listed", actor("ella-listed", BY_COURT)),
    Corruption("counter_of_a_suspended_registrar", "counter-standing", "office-lists", _suspended_office),
    Corruption(
        "key_of_nobody_revoked",
        "citizen-key-known",
        "ella-compromised",
        body("ella-compromised", commitment="1" * 64),
    ),
    Corruption("citizen_key_revoked_twice", "citizen-key-ended", "twice", again("ella-lost", "twice")),
    Corruption(
        "first_key_refused",
        "citizen-key-refused",
        "ella-refuses",
        lambda story: story["ella-refuses"].body.update(commitment=story["ella-enrolled"].body["commitment"]),
    ),
    Corruption(
        "consent_left_standing",
        "suspended-next",
        "ella-resumed",
        remove("ella-other-grant-suspended"),
    ),
    Corruption(
        "answered_before_it_was_suspended",
        "suspended-next",
        "ella-answer",
        move("ella-answer", "ella-compromised"),
    ),
    Corruption(
        "consent_of_another_key_suspended",
        "suspended-cause",
        "ella-other-grant-suspended",
        _suspended_another,
    ),
    Corruption(
        "consent_suspended_twice",
        "suspended-once",
        "twice",
        again("ella-grant-suspended", "twice"),
    ),
    Corruption(
        "resumed_what_stands",
        "grant-suspended",
        "twice",
        again("ella-resumed", "twice"),
    ),
    Corruption("answered_while_suspended", "grant-stands", "ella-answer", remove("ella-resumed")),
    Corruption("revoked_without_proof", "details-sealed", "ella-lost", unsealed("ella-lost")),
    Corruption("listed_without_proof", "details-sealed", "ella-listed", unsealed("ella-listed")),
)
"""Found by replay alone."""

ACTS = (
    Corruption("certificate_without_its_wait", "certificate-waits", "ella-second", _short_certificate),
    Corruption(
        "withdrawn_by_whom_the_leaf_does_not_say",
        "act-form",
        "ella-withdrawn",
        both(actor("ella-withdrawn", None), body("ella-withdrawn", by="citizen")),
    ),
    Corruption(
        "order_for_another_gateway", "order-document", "ella-withdrawn", _ordered(gateway="elsewhere.cn/log0")
    ),
    Corruption(
        "order_about_another_consent",
        "order-document",
        "ella-withdrawn",
        _ordered(consent_id="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption("order_of_last_week", "order-document", "ella-withdrawn", _ordered(at=0)),
    Corruption("order_about_another_person", "order-person", "ella-withdrawn", _ordered(number=ANOTHER)),
    Corruption("key_of_another_person_among_hers", "order-person", "ella-listed", _key_of_another),
    Corruption("order_by_impostors", "order-officers", "ella-withdrawn", _ordered(by=IMPOSTOR)),
    Corruption(
        "one_officer_orders_twice",
        "order-officers",
        "ella-withdrawn",
        _details("ella-withdrawn", _one_officer),
    ),
    Corruption(
        "signatures_of_another_kind",
        "order-officers",
        "ella-withdrawn",
        _details("ella-withdrawn", _signature_of_an_enrolment),
    ),
    Corruption(
        "revocation_of_another_key", "revocation-document", "ella-compromised", _revocation(1, 0, "lost")
    ),
    Corruption(
        "revocation_for_another_gateway",
        "revocation-document",
        "ella-compromised",
        _revocation(1, 0, "compromised", gateway="elsewhere.cn/log0"),
    ),
    Corruption(
        "another_key_revoked_than_signed_for",
        "revoked-commitment",
        "ella-compromised",
        _revocation(1, 2, "compromised"),
    ),
    Corruption(
        "revoked_by_a_key_that_waits",
        "revocation-proof",
        "ella-compromised",
        _revocation(2, 0, "compromised"),
    ),
    Corruption(
        "resumption_of_another_suspension",
        "resumption-document",
        "ella-resumed",
        _resumption(1, suspension=1),
    ),
    Corruption("resumed_by_the_stolen_key", "resumption-proof", "ella-resumed", _resumption(0)),
)
"""Found with the regulator's key and the pinned registrar."""
