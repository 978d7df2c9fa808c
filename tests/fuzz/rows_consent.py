"""Parsers and formatters of `consent`, but for the texts of a policy, which the gateway writes."""

from __future__ import annotations

from hypothesis import strategies as st

from consent import counter, document, enrolment, erased, policy, proof, receipt, revocation, webauthn, wire
from consent.errors import MalformedDocument, MalformedPolicy
from keys.canonical import parse_canonical
from tests.fuzz import values as v
from tests.fuzz.pairs import of_bytes, of_members, of_text

CONSENT = [
    of_bytes(document.parse_consent, document.format_consent, MalformedDocument, v.consents),
    of_bytes(document.parse_template, document.format_template, MalformedDocument, v.templates),
    of_bytes(document.parse_withdrawal, document.format_withdrawal, MalformedDocument, v.withdrawals),
    of_bytes(document.parse_decline, document.format_decline, MalformedDocument, v.declines),
    of_bytes(revocation.parse_revocation, revocation.format_revocation, MalformedDocument, v.revocations),
    of_bytes(revocation.parse_resumption, revocation.format_resumption, MalformedDocument, v.resumptions),
    of_bytes(receipt.parse_receipt, receipt.format_receipt, MalformedDocument, v.receipts),
    of_bytes(
        erased.parse_erasure_certificate, erased.format_erasure_certificate, MalformedDocument, v.erasures
    ),
    of_bytes(enrolment.parse_enrolment, enrolment.format_enrolment, MalformedDocument, v.enrolments),
    of_bytes(enrolment.parse_certificate, enrolment.format_certificate, MalformedDocument, v.certificates),
    of_bytes(
        wire.parse_struct,
        wire.format_struct,
        MalformedDocument,
        v.officer_certificates,
        enrolment.OfficerCertificate,
    ),
    of_members(
        counter.read_order,
        counter.format_order,
        MalformedDocument,
        v.orders,
        write=lambda order: parse_canonical(counter.format_order(order)),
    ),
    of_bytes(counter.parse_signed_order, counter.format_signed_order, MalformedDocument, v.signed_orders),
    of_members(webauthn.parse_assertion, webauthn.format_assertion, MalformedDocument, v.assertions),
    of_bytes(webauthn.parse_kept, webauthn.format_kept, MalformedDocument, v.kept_proofs),
    of_text(proof.parse_proof, proof.format_proof, MalformedDocument, v.tokens | v.kept_proofs),
    of_bytes(
        policy.parse_policy,
        policy.format_policy,
        MalformedPolicy,
        st.booleans().map(lambda demo: policy.default_policy(demo=demo)),
    ),
]
