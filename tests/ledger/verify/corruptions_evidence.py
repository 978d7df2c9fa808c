"""Named corruptions that only trust from outside finds: pinned registrars, and what is sealed to the
regulator.

All of them keep every rule of replay: whoever made them holds every key of the gateway, but no citizen's and
no registrar's.
"""

from __future__ import annotations

from keys.canonical import sha256_hex
from keys.instant import DAY, format_instant
from tests.ledger.verify.forge import START
from tests.ledger.verify.forgeries import (
    ELSEWHERE,
    GATEWAY,
    Pretender,
    anna_certified,
    asked,
    blob,
    blob_of_another_leaf,
    citizen_plays_officer,
    details,
    document,
    edited,
    granted,
    officer_of_another_registrar,
    officer_of_yesterday,
    one_officer_alone,
    one_officer_twice,
    one_person_two_officers,
    own_registrar,
    refused,
    registrars_name_taken,
    requested,
    revisions,
    sealing_key_garbled,
    shadow_of_anna,
    signature_over_another_person,
    withdrawn,
)
from tests.ledger.verify.spoilers import Corruption, body
from tests.ledger.verify.story import ANNA, BORIS, IMPOSTOR, REGISTRAR

PINNED = (
    Corruption(
        "enrolled_by_the_operators_own_registrar", "registrar-pinned", "victim-enrolled", own_registrar
    ),
    Corruption("operators_key_under_the_registrars_name", "key-pinned", "false-key", registrars_name_taken),
)
"""Found with pinned registrars, without opening anything."""

OPENED = (
    # --- certificates
    Corruption(
        "certificate_by_a_registrar_that_is_not_pinned",
        "certificate",
        "anna-enrolled",
        anna_certified(IMPOSTOR.certificate(ANNA.key)),
    ),
    Corruption(
        "one_person_plays_both_officers",
        "certificate",
        "anna-enrolled",
        anna_certified(one_person_two_officers()),
    ),
    Corruption(
        "citizen_plays_officer", "certificate", "anna-enrolled", anna_certified(citizen_plays_officer())
    ),
    Corruption(
        "certificate_of_tomorrow",
        "certificate-document",
        "anna-enrolled",
        anna_certified(
            REGISTRAR.certificate(
                ANNA.key, at=format_instant(START + DAY), effective=format_instant(START + DAY)
            )
        ),
    ),
    Corruption(
        "key_effective_before_its_certificate",
        "certificate-document",
        "anna-enrolled",
        anna_certified(REGISTRAR.certificate(ANNA.key, effective=format_instant(START - DAY))),
    ),
    Corruption("one_key_under_two_tags", "citizen-key-once", "shadow", shadow_of_anna),
    Corruption("one_officer_twice", "certificate", "anna-enrolled", anna_certified(one_officer_twice())),
    Corruption(
        "officer_of_yesterday", "certificate", "anna-enrolled", anna_certified(officer_of_yesterday())
    ),
    Corruption(
        "officer_of_another_registrar",
        "certificate",
        "anna-enrolled",
        anna_certified(officer_of_another_registrar()),
    ),
    Corruption(
        "officers_signature_over_another_person",
        "certificate",
        "anna-enrolled",
        anna_certified(signature_over_another_person()),
    ),
    Corruption(
        "one_officer_alone", "certificate-document", "anna-enrolled", anna_certified(one_officer_alone())
    ),
    Corruption(
        "certificate_for_another_gateway",
        "certificate-document",
        "anna-enrolled",
        anna_certified(REGISTRAR.certificate(ANNA.key, gateway=ELSEWHERE)),
    ),
    Corruption(
        "assurance_raised_in_the_leaf",
        "certificate-document",
        "anna-enrolled",
        body("anna-enrolled", assurance="eid"),
    ),
    Corruption(
        "leaf_names_another_certificate",
        "certificate-hash",
        "anna-enrolled",
        body("anna-enrolled", certificate_sha256="5" * 64),
    ),
    Corruption(
        "commitment_to_a_key_of_the_operators",
        "commitment",
        "anna-enrolled",
        body("anna-enrolled", commitment="6" * 64),
    ),
    Corruption(
        "consent_under_another_persons_certificate",
        "certificate-same",
        "grant",
        details("grant", certificate=BORIS.certificate),
    ),
    # --- consents
    Corruption(
        "consent_signed_by_the_operator",
        "consent-proof",
        "grant",
        granted(document(), key=GATEWAY),
    ),
    Corruption(
        "consent_signed_by_the_operator_in_the_citizens_name",
        "consent-proof",
        "grant",
        granted(document(), key=Pretender(ANNA.key.kid)),
    ),
    Corruption(
        "withdrawal_passed_off_as_consent",
        "consent-proof",
        "grant",
        granted(document(), typ="withdrawal+jwt"),
    ),
    Corruption(
        "consent_edited_after_signing",
        "consent-proof",
        "grant",
        edited,
    ),
    Corruption(
        "consent_of_a_key_of_the_operators",
        "consent-key",
        "grant",
        granted(document(subject=GATEWAY.kid), key=GATEWAY),
    ),
    Corruption(
        "consent_before_the_key_took_effect",
        "key-waited",
        "grant",
        anna_certified(REGISTRAR.certificate(ANNA.key, effective=format_instant(START + DAY))),
    ),
    Corruption(
        "document_that_says_more_than_the_leaf",
        "consent-document",
        "grant",
        granted(document(categories=["judgment", "loan", "repayment"]), categories=["judgment", "loan"]),
    ),
    Corruption(
        "leaf_that_says_more_than_the_document",
        "consent-document",
        "grant",
        granted(document(max_uses=1), max_uses=2),
    ),
    Corruption(
        "consent_for_another_gateway",
        "consent-document",
        "grant",
        granted(document(gateway=ELSEWHERE)),
    ),
    Corruption(
        "consent_with_an_unknown_member",
        "consent-document",
        "grant",
        granted(document(onward="anybody")),
    ),
    Corruption(
        "leaf_names_another_consent",
        "consent-hash",
        "grant",
        body("grant", consent_hash="7" * 64),
    ),
    Corruption(
        "leaf_names_another_proof",
        "proof-hash",
        "grant",
        body("grant", proof_sha256="8" * 64),
    ),
    Corruption(
        "asked_for_more_than_the_leaf_says",
        "requested-document",
        "request",
        requested(categories=["judgment", "loan", "repayment"]),
    ),
    Corruption("asked_for_another_gateway", "requested-document", "request", requested(gateway=ELSEWHERE)),
    Corruption(
        "asked_with_the_subject_filled_in",
        "requested-document",
        "request",
        requested(subject=ANNA.key.kid),
    ),
    # --- withdrawals
    Corruption("withdrawal_signed_by_the_operator", "withdrawal-proof", "withdrawn", withdrawn(key=GATEWAY)),
    Corruption(
        "withdrawal_of_a_key_of_the_operators",
        "withdrawal-proof",
        "withdrawn",
        withdrawn(key=GATEWAY, subject=GATEWAY.kid),
    ),
    Corruption(
        "withdrawal_of_another_consent",
        "withdrawal-document",
        "withdrawn",
        withdrawn(consent_id="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption(
        "withdrawal_for_another_gateway",
        "withdrawal-document",
        "withdrawn",
        withdrawn(gateway=ELSEWHERE),
    ),
    # --- queries
    Corruption("leaf_names_another_request", "request-hash", "answer-1", body("answer-1", request="9" * 64)),
    Corruption("answered_more_than_asked", "request-members", "answer-1", asked(categories=["loan"])),
    Corruption("answered_for_another_purpose", "request-members", "answer-1", asked(purpose="01")),
    Corruption(
        "answered_under_a_consent_not_named",
        "request-members",
        "answer-1",
        asked(consent_id="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption(
        "report_where_a_predicate_was_asked",
        "request-members",
        "answer-1",
        asked(answer="predicate:no-adverse"),
    ),
    Corruption(
        "answered_about_another_than_the_bank_meant",
        "request-person",
        "answer-1",
        asked(person_check={"citizen_number": "990001199001010021"}),
    ),
    Corruption(
        "answered_about_a_number_that_is_none",
        "request-person",
        "answer-1",
        asked(person_check={"citizen_number": "990001199001010020"}),
    ),
    Corruption(
        "leaf_commits_to_other_records", "revisions", "answer-1", body("answer-1", commitment="a" * 64)
    ),
    Corruption("records_out_of_order", "revisions", "answer-1", revisions),
    Corruption(
        "refused_another_query",
        "refused-request",
        "refused",
        refused(query_id="00000000-0000-4000-8000-000000000000"),
    ),
    Corruption("refused_for_another_purpose", "refused-request", "refused", refused(purpose="01")),
    # --- what is sealed
    Corruption("member_smuggled_into_details", "details-shape", "grant", details("grant", note="between us")),
    Corruption("blob_missing", "blob-missing", "grant", blob("grant", None)),
    Corruption("blob_exchanged", "blob-hash", "grant", blob("grant", b"nothing of value")),
    Corruption("blob_of_another_leaf", "blob-opens", "answer-2", blob_of_another_leaf),
    Corruption("sealing_key_garbled", "sealing-key", "sealing", sealing_key_garbled),
    Corruption(
        "sealing_key_other_than_announced",
        "sealing-key",
        "sealing",
        body("sealing", sha256=sha256_hex(b"another")),
    ),
)
"""Found with the regulator's key and pinned registrars."""
