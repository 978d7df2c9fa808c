"""What a client trusts, and how it checks everything else against that.

Invariant: a client pins two keys, the log's vkey and the gateway's receipt key. Whatever the gateway says
counts only if a receipt by that key says it too, and a receipt can be held against the gateway because its
leaf is proved to stand in the log under a checkpoint that the vkey signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import ConsentError
from consent.receipt import verify_receipt
from gateway.client.errors import EvidenceFailed
from gateway.client.form import decision_of
from gateway.client.reply import Signed
from keys.canonical import canonical, sha256_hex
from keys.notes import Vkey
from keys.signing import PublicKey
from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError
from ledger.proof import parse_proof, verify_proof


@dataclass(frozen=True, slots=True)
class Pins:
    """The two keys that a client was given by hand, not by the gateway's reply."""

    vkey: Vkey
    receipt_key: PublicKey

    def receipt(self, token: object) -> Signed:
        """A receipt by the pinned key for the pinned log. Raises EvidenceFailed."""
        if not isinstance(token, str):
            raise EvidenceFailed("the reply carries no receipt")
        try:
            receipt = verify_receipt(token, self.receipt_key)
        except ConsentError:
            raise EvidenceFailed("the receipt is not by the pinned receipt key") from None
        if receipt.log != self.vkey.name:
            raise EvidenceFailed("the receipt is of another log")
        return Signed(token, receipt)

    def inclusion(self, proof: bytes, index: int, leaf_hash: bytes) -> Checkpoint:
        """The checkpoint, by the pinned vkey, that covers the leaf at `index`. Raises EvidenceFailed."""
        try:
            parsed = parse_proof(proof)
            checkpoint = verify_proof(parsed, leaf_hash, self.vkey)
        except LedgerError:
            raise EvidenceFailed("the proof does not lead to a checkpoint of the pinned log") from None
        if parsed.index != index:
            raise EvidenceFailed("the proof is of another entry")
        return checkpoint

    def disclosure(self, token: object, query_id: str, answer: Mapping[str, Any]) -> Signed:
        """The receipt of exactly this answer to exactly this query.

        Raises EvidenceFailed, and UnexpectedReply for a yes or no of another form.
        """
        signed = self.receipt(token)
        receipt = signed.receipt
        if receipt.decision not in (decision_of(answer), "redelivered") or receipt.query_id != query_id:
            raise EvidenceFailed("the receipt is not of this answer")
        if receipt.answer_sha256 != sha256_hex(canonical(dict(answer))):
            raise EvidenceFailed("the receipt is of another answer")
        return signed

    def refusal(self, token: object, query_id: str, reason: str) -> Signed:
        """The receipt of this refusal of this query or request. Raises EvidenceFailed."""
        signed = self.receipt(token)
        receipt = signed.receipt
        if (receipt.decision, receipt.query_id, receipt.reason) != ("refused", query_id, reason):
            raise EvidenceFailed("the receipt is not of this refusal")
        return signed

    def consent(self, token: object, consent_id: str, decision: str) -> Signed:
        """The receipt of this grant or withdrawal. Raises EvidenceFailed."""
        signed = self.receipt(token)
        if (signed.receipt.decision, signed.receipt.consent_id) != (decision, consent_id):
            raise EvidenceFailed("the receipt is not of this consent")
        return signed
