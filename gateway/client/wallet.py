"""The citizen's wallet, offline: documents in, signed bodies out. The key never leaves this process.

Invariant: what is signed is the document that was shown, with the signer's own thumbprint as its subject
and at most some categories left out (PIPL, 个人信息保护法, art. 16: what is not necessary may be declined).
A wallet that knows its gateway signs for no other.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from consent.document import (
    Consent,
    Template,
    Withdrawal,
    format_consent,
    format_withdrawal,
    parse_consent,
    parse_template,
    with_subject,
)
from consent.proof import sign_consent, sign_resumption, sign_revocation, sign_withdrawal
from consent.revocation import (
    Cause,
    KeyRevocation,
    Resumption,
    format_resumption,
    format_revocation,
)
from gateway.client.errors import WillNotSign
from keys.canonical import b64u, canonical, parse_canonical, parse_json_strict, sha256_hex
from keys.errors import KeysError
from keys.signing import PrivateKey, Random

_NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Wallet:
    """`gateway` is the origin that this wallet belongs to, or None for one that asks its owner each time."""

    gateway: str | None = None
    random: Random = os.urandom

    def read_template(self, template: bytes, notice_text: str | None = None) -> Template:
        """The document to sign, for showing; checks that it names `notice_text`, if that is given.

        Raises MalformedDocument, WillNotSign.
        """
        document = parse_template(template)
        self._check_gateway(document.gateway)
        if notice_text is not None and document.notice.sha256 != sha256_hex(notice_text.encode("utf-8")):
            raise WillNotSign("the notice that was shown is not the one the document names")
        return document

    def sign_consent(
        self,
        template: bytes,
        key: PrivateKey,
        *,
        without: Collection[str] = (),
        notice_text: str | None = None,
        certificate: bytes | None = None,
    ) -> dict[str, Any]:
        """The body of a grant, `{document, proof, certificate?}`, from JCS(template).

        `without` names optional categories that the citizen leaves out; `certificate` (JSON) comes along
        when the person is not enrolled yet. Raises MalformedDocument, WillNotSign.
        """
        consent = self._consent(template, key.kid, without, notice_text)
        body: dict[str, Any] = {
            "document": parse_canonical(format_consent(consent)),
            "proof": sign_consent(consent, key),
        }
        if certificate is not None:
            body["certificate"] = certificate_object(certificate)
        return body

    def consent_document(
        self,
        template: bytes,
        subject: str,
        *,
        without: Collection[str] = (),
        notice_text: str | None = None,
    ) -> bytes:
        """JCS of the same consent, for a passkey with the thumbprint `subject` (`gateway.client.passkey`)."""
        return format_consent(self._consent(template, subject, without, notice_text))

    def sign_withdrawal(
        self, consent: Consent | bytes, key: PrivateKey, *, reason: str | None = None
    ) -> dict[str, Any]:
        """The body of a withdrawal, `{document, proof}`, of a consent (value or JCS); no reason is needed."""
        granted = parse_consent(consent) if isinstance(consent, bytes) else consent
        return self.sign_withdrawal_of(granted.consent_id, granted.gateway, key, reason=reason)

    def sign_withdrawal_of(
        self, consent_id: str, gateway: str, key: PrivateKey, *, reason: str | None = None
    ) -> dict[str, Any]:
        """The same for a citizen who kept only the consent's id."""
        withdrawal = self._withdrawal(consent_id, gateway, key.kid, reason)
        document = parse_canonical(format_withdrawal(withdrawal))
        return {"document": document, "proof": sign_withdrawal(withdrawal, key)}

    def withdrawal_document(
        self, consent_id: str, gateway: str, subject: str, *, reason: str | None = None
    ) -> bytes:
        """JCS of a withdrawal, for a passkey with the thumbprint `subject`."""
        return format_withdrawal(self._withdrawal(consent_id, gateway, subject, reason))

    def sign_revocation(self, revoked: str, cause: Cause, gateway: str, key: PrivateKey) -> dict[str, Any]:
        """The body that ends the key with the thumbprint `revoked`, this one or another of its person."""
        self._check_gateway(gateway)
        try:
            revocation = KeyRevocation(
                gateway=gateway,
                key=revoked,
                cause=cause,
                subject=key.kid,
                nonce=b64u(self.random(_NONCE_BYTES)),
            )
        except ValueError as error:
            raise WillNotSign(str(error)) from None
        document = parse_canonical(format_revocation(revocation))
        return {"document": document, "proof": sign_revocation(revocation, key)}

    def sign_resumption(
        self, consent_id: str, suspension: int, gateway: str, key: PrivateKey
    ) -> dict[str, Any]:
        """The body that resumes a consent which the leaf `suspension` suspended (`CitizenClient.consent`)."""
        self._check_gateway(gateway)
        resumption = Resumption(
            consent_id=consent_id,
            gateway=gateway,
            subject=key.kid,
            suspension=suspension,
            nonce=b64u(self.random(_NONCE_BYTES)),
        )
        document = parse_canonical(format_resumption(resumption))
        return {"document": document, "proof": sign_resumption(resumption, key)}

    def _consent(
        self, template: bytes, subject: str, without: Collection[str], notice_text: str | None
    ) -> Consent:
        return with_subject(self.read_template(template, notice_text), subject, without)

    def _withdrawal(self, consent_id: str, gateway: str, subject: str, reason: str | None) -> Withdrawal:
        self._check_gateway(gateway)
        return Withdrawal(
            consent_id=consent_id,
            gateway=gateway,
            subject=subject,
            reason=reason,
            nonce=b64u(self.random(_NONCE_BYTES)),
        )

    def _check_gateway(self, gateway: str) -> None:
        if self.gateway is not None and gateway != self.gateway:
            raise WillNotSign("the document is for another gateway")


def certificate_object(certificate: bytes) -> dict[str, Any]:
    """The JSON object of an enrolment certificate file, in any layout. Raises WillNotSign when it is none."""
    try:
        members = parse_json_strict(certificate)
        canonical(members)
    except KeysError:
        members = None
    if not isinstance(members, dict) or members.keys() != {"document", "signatures", "officers"}:
        raise WillNotSign("this is no enrolment certificate")
    return members
