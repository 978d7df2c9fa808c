"""Receipts: what the gateway signs about an entry, before the answer it belongs to leaves.

Invariant: a receipt names one durable leaf; it is made only from an `Entry` that was committed, and never by
a key that had ended at that leaf. No process has an entry of after a rotation before it knows of the
rotation (`House._carry` reads the keys under the lock that made the entry). The keys sign inside custody;
here are only their public halves.

A receipt that is made again of an entry of before a rotation is by the key of its own leaf while custody
holds it, and by a later one afterwards.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from consent.receipt import RECEIPT_TYP, Decision, Receipt, format_receipt
from gateway.errors import NotReady
from keys.custody import Custody
from keys.errors import UnknownKeyName
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
    """Signs receipts for one log.

    `signers`: the index from which on each key counts, and the key, ascending; those that custody holds.
    """

    origin: str
    signers: tuple[tuple[int, CustodySigner], ...]

    def require_usable(self) -> None:
        """`NotReady` without a key to sign with: nothing may be answered, for nothing could be delivered."""
        if not self.signers:
            raise NotReady(
                "custody does not hold the receipt key in force: put custody back, or, if it is lost, run "
                "`chengxin keys revoke receipt --cause lost`"
            )

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
        self.require_usable()
        payload = format_receipt(receipt)
        own = max((since for since, _ in self.signers if since <= entry.index), default=0)
        *usable, newest = (signer for since, signer in self.signers if since >= own)
        for signer in usable:
            with suppress(UnknownKeyName):  # destroyed since, after its end
                return sign_jws(payload, signer, RECEIPT_TYP)
        return sign_jws(payload, newest, RECEIPT_TYP)
