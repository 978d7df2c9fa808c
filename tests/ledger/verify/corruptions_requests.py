"""Named corruptions of what is sealed with queries under a statute and with passkeys' proofs.

Like those of `corruptions_evidence`, they keep every rule that needs no key.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import canonical, sha256_hex, unb64u
from tests.ledger.verify.first_part import REGISTRAR
from tests.ledger.verify.forge import Source, Story
from tests.ledger.verify.forgeries import GATEWAY, details
from tests.ledger.verify.passkeys import WITHDRAWAL, assertion
from tests.ledger.verify.people import Citizen, grant_of
from tests.ledger.verify.second_part import ANOTHER_NUMBER, NUMBER, pending_of
from tests.ledger.verify.spoilers import Corruption, Spoiler, body, person

CARA = Citizen("cara", "ES256", REGISTRAR, NUMBER)
NONCE = Source("nonce").bytes(32)


def put(at: str, **changes: Any) -> Spoiler:
    """Another request is sealed than the leaf says was put; its hashes are the leaf's. None leaves out."""

    def spoil(story: Story) -> None:
        held = story[at].details or {}
        request = {name: value for name, value in (held["request"] | changes).items() if value is not None}
        content, made = pending_of(story.source, request)
        statute = story[at].body["statute"] | {"document": content["statute"]["document"]}
        story[at].body |= {"request": content["request"], "statute": statute}
        story[at].details = made

    return spoil


def named(**changes: Any) -> dict[str, Any]:
    return {"code": "enforcement", "document": "(2026)17"} | changes


def answered(at: str, **changes: Any) -> Spoiler:
    """The answer seals another request than the one that waited."""

    def spoil(story: Story) -> None:
        held = story[at].details or {}
        request = held["request"] | changes
        story[at].details = held | {"request": request}
        story[at].body["request"] = sha256_hex(unb64u(held["request_salt"]) + canonical(request))

    return spoil


def without(at: str, member: str) -> Spoiler:
    def spoil(story: Story) -> None:
        story[at].details = {
            name: value for name, value in (story[at].details or {}).items() if name != member
        }

    return spoil


def passkey(**wrong: Any) -> Spoiler:
    """Cara's consent is proven by another assertion; the leaf names it."""

    def spoil(story: Story) -> None:
        held = story["cara-grant"].details or {}
        document = held["document"]
        proof = assertion(document, **({"key": CARA.key, "nonce": NONCE} | wrong))
        content, made = grant_of(document, proof, CARA)
        story["cara-grant"].body |= {"proof_sha256": content["proof_sha256"]}
        story["cara-grant"].details = held | {"proof": made["proof"]}

    return spoil


def withdrawn(**wrong: Any) -> Spoiler:
    def spoil(story: Story) -> None:
        document = (story["cara-withdrawn"].details or {})["document"]
        members = {"key": CARA.key, "nonce": NONCE, "about": WITHDRAWAL} | wrong
        details("cara-withdrawn", proof=assertion(document, **members))(story)

    return spoil


def _enrolled_under_another_tag(story: Story) -> None:
    """The bureau asks about Cara, and the leaf stands under a tag that she never sees."""
    put("waits-for-nobody", person_check={"citizen_number": NUMBER})(story)


REQUESTS = (
    # --- under a statute
    Corruption(
        "leaf_names_another_statutory_request", "request-hash", "waits", body("waits", request="9" * 64)
    ),
    Corruption("statutory_request_of_another_id", "request-members", "waits", put("waits", purpose="02")),
    Corruption(
        "statutory_request_for_a_yes_or_no",
        "request-members",
        "waits",
        put("waits", answer="predicate:no-adverse"),
    ),
    Corruption(
        "statutory_request_beside_a_consent",
        "request-members",
        "waits",
        put("waits", consent_id="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption(
        "request_under_another_statute",
        "request-statute",
        "waits",
        put("waits", statute=named(code="inquiry")),
    ),
    Corruption("request_under_no_statute", "request-statute", "approved", answered("approved", statute={})),
    Corruption(
        "request_under_a_consent_names_a_statute",
        "request-statute",
        "answer-1",
        answered("answer-1", statute=named()),
    ),
    Corruption(
        "leaf_names_another_document",
        "request-document",
        "waits",
        lambda story: body("waits", statute=story["waits"].body["statute"] | {"document": "1" * 64})(story),
    ),
    Corruption(
        "document_of_another_form", "request-document", "waits", put("waits", statute=named(document="17"))
    ),
    Corruption(
        "document_without_end",
        "request-document",
        "waits",
        put("waits", statute=named(document="(2026)" + "1" * 100)),
    ),
    Corruption(
        "statutory_answer_without_its_document",
        "request-document",
        "approved",
        without("approved", "document_salt"),
    ),
    Corruption(
        "consented_answer_with_a_document",
        "request-document",
        "answer-1",
        details("answer-1", document_salt=Source("salt").salt()),
    ),
    Corruption(
        "deferred_without_being_asked",
        "request-deferral",
        "hidden",
        put("hidden", statute=named(code="inquiry")),
    ),
    Corruption(
        "told_at_once_against_the_request",
        "request-deferral",
        "waits",
        put("waits", statute=named(defer=True)),
    ),
    Corruption(
        "approved_another_request",
        "request-waited",
        "approved",
        answered("approved", case_ref="another"),
    ),
    Corruption("statutory_request_about_nobody", "request-person", "waits", put("waits", person_check=None)),
    Corruption(
        "statutory_request_about_another",
        "request-person",
        "waits",
        put("waits", person_check={"citizen_number": ANOTHER_NUMBER}),
    ),
    Corruption(
        "statutory_request_about_a_number_that_is_none",
        "request-person",
        "waits",
        put("waits", person_check={"citizen_number": "1"}),
    ),
    Corruption(
        "statutory_request_hidden_from_an_enrolled_person",
        "request-person",
        "waits-for-nobody",
        _enrolled_under_another_tag,
    ),
    Corruption("told_somebody_else", "unsealed-person", "unsealed", person("unsealed", "anna")),
    Corruption("told_nobody", "unsealed-person", "unsealed", person("unsealed", "a-fourth-tag")),
    Corruption(
        "yes_or_no_from_other_records",
        "revisions",
        "cara-answer",
        body("cara-answer", commitment="a" * 64),
    ),
    # --- passkeys
    Corruption(
        "passkeys_proof_under_another_kind", "proof-kind", "cara-grant", body("cara-grant", kind="jws")
    ),
    Corruption("token_under_the_passkeys_kind", "proof-kind", "grant", body("grant", kind="webauthn")),
    Corruption(
        "leaf_names_another_assertion", "proof-hash", "cara-grant", body("cara-grant", proof_sha256="8" * 64)
    ),
    Corruption("passkey_of_the_operator", "consent-proof", "cara-grant", passkey(key=GATEWAY)),
    Corruption(
        "passkey_of_the_operator_under_the_citizens_key",
        "consent-proof",
        "cara-grant",
        passkey(key=GATEWAY, jwk=CARA.key.jwk),
    ),
    Corruption(
        "withdrawal_by_passkey_passed_off_as_consent",
        "consent-proof",
        "cara-grant",
        passkey(tag=f"{WITHDRAWAL}/webauthn"),
    ),
    Corruption(
        "sign_in_passed_off_as_consent",
        "consent-proof",
        "cara-grant",
        passkey(tag="chengxin/sign-in/v1"),
    ),
    Corruption("consent_without_the_holder_verified", "consent-proof", "cara-grant", passkey(flags=0x01)),
    Corruption(
        "passkeys_consent_with_an_unknown_member",
        "consent-proof",
        "cara-grant",
        passkey(note="between us"),
    ),
    Corruption(
        "withdrawal_by_the_operators_passkey", "withdrawal-proof", "cara-withdrawn", withdrawn(key=GATEWAY)
    ),
    Corruption(
        "consent_by_passkey_passed_off_as_withdrawal",
        "withdrawal-proof",
        "cara-withdrawn",
        withdrawn(tag="chengxin/consent/v1/webauthn"),
    ),
)
