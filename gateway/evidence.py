"""Verified evidence: a citizen's signed consent under the certificate that the registrar issued for the key.

Invariant: what is handed out was verified from the signed bytes themselves (document, proof, certificate),
never from columns. Verification is pure, so its outcome is remembered by the hash of all the bytes that
went in, the registrar's key included; a changed byte is a different question.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from consent.document import Consent, parse_consent
from consent.enrolment import VerifiedEnrolment, parse_certificate, verify_certificate
from consent.errors import ConsentError
from consent.proof import parse_proof, verify_consent
from gateway.errors import EvidenceBroken
from keys.canonical import sha256
from keys.errors import KeysError
from keys.fields import length_prefixed
from keys.signing import PublicKey

CACHED = 100_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """A consent and the enrolment its proof verified under."""

    consent: Consent
    enrolment: VerifiedEnrolment


class EvidenceCache:
    """Remembers what verified, least recently used out first; what failed is never remembered."""

    def __init__(self, *origins: str, size: int = CACHED) -> None:
        """`origins` are the log's, and those of the logs that it continues: documents name any of them."""
        self._origins = frozenset(origins)
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Evidence] = OrderedDict()

    def verify(self, document: bytes, proof: str, certificate: bytes, registrar: PublicKey) -> Evidence:
        """The evidence in these bytes; `EvidenceBroken` when any signature or binding in it fails.

        `proof` is as it is stored (`consent.proof.format_proof`): a JWS, or JCS of a passkey's kept set.
        """
        digest = sha256(length_prefixed(document, proof.encode(), certificate, registrar.kid.encode()))
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
                return known
        found = self._verify(document, proof, certificate, registrar)
        with self._lock:
            self._known[digest] = found
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return found

    def _verify(self, document: bytes, proof: str, certificate: bytes, registrar: PublicKey) -> Evidence:
        try:
            consent = parse_consent(document)
            parsed = parse_certificate(certificate)
            certified = parsed.enrolment
            enrolment = verify_certificate(parsed, registrar, certified.gateway, certified.at)
            verify_consent(document, parse_proof(proof), enrolment.key)
        except (ConsentError, KeysError) as error:
            raise EvidenceBroken("a stored consent or certificate no longer verifies") from error
        ours = {consent.gateway, certified.gateway} <= self._origins
        if consent.subject != enrolment.thumbprint or not ours:
            raise EvidenceBroken("a stored consent is for another key or another gateway")
        return Evidence(consent, enrolment)
