"""Receipts: what the gateway signs about an entry, before the answer it belongs to leaves.

Invariant: a receipt names one durable leaf; it is made only from an `Entry` that was committed. The receipt
key signs inside custody; here is only its public half.
"""

from __future__ import annotations

from dataclasses import dataclass

from consent.receipt import RECEIPT_TYP, Decision, Receipt, format_receipt
from keys.custody import Custody
from keys.jws import sign_jws
from keys.signing import Algorithm, Jwk, ed25519_public_key
from ledger.log import Entry

RECEIPT_KEY = "receipt"


@dataclass(frozen=True, slots=True)
class CustodySigner:
    """A private key that never leaves custody, in the shape that `keys.jws` signs with."""

    custody: Custody
    name: str
    jwk: Jwk
    kid: str
    alg: Algorithm = "Ed25519"

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature (64 bytes), made by custody."""
        return self.custody.sign(self.name, message)


def custody_signer(custody: Custody, name: str) -> CustodySigner:
    """The signer of one Ed25519 key in custody."""
    public = ed25519_public_key(custody.public(name))
    return CustodySigner(custody, name, public.jwk, public.kid)


@dataclass(frozen=True, slots=True)
class Receipts:
    """Signs receipts for one log."""

    origin: str
    signer: CustodySigner

    def of_query(
        self,
        entry: Entry,
        query: str,
        decision: Decision,
        *,
        reason: str | None = None,
        answer_sha256: str | None = None,
    ) -> str:
        """Receipt of a query's entry; `answer_sha256` (hex) covers JCS(answer)."""
        return self._of(entry, decision, query_id=query, reason=reason, answer_sha256=answer_sha256)

    def of_consent(self, entry: Entry, consent: str, decision: Decision) -> str:
        """Receipt of a grant or a withdrawal."""
        return self._of(entry, decision, consent_id=consent)

    def _of(self, entry: Entry, decision: Decision, **members: str | None) -> str:
        receipt = Receipt(
            log=self.origin,
            index=entry.index,
            leaf=entry.leaf_hash.hex(),
            at=entry.at,
            decision=decision,
            **members,
        )
        return sign_jws(format_receipt(receipt), self.signer, RECEIPT_TYP)
