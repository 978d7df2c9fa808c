"""What a client trusts, and how it checks everything else against that.

Invariant: a client pins two keys, the log's vkey and the gateway's receipt key. Whatever the gateway says
counts only if a receipt by that key says it too, and a receipt can be held against the gateway because its
leaf is proved to stand in the log under a checkpoint that the vkey signed. In a pinned key's place counts
one that rotations connect with it, in its range of indices (`gateway.client.following`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consent.errors import ConsentError
from consent.receipt import verify_receipt
from gateway.client.errors import EvidenceFailed
from gateway.client.following import PublishedKeys, Ranged, followed, log_keys_from
from gateway.client.form import decision_of
from gateway.client.reply import Signed
from keys.canonical import canonical, sha256_hex
from keys.errors import KeysError
from keys.jws import peek_kid
from keys.notes import Vkey, peek_note
from keys.signing import PublicKey
from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError
from ledger.logkeys import LogKeys, claimed
from ledger.proof import parse_proof, verify_proof


@dataclass(slots=True)
class _Learned:
    """What the pins lead to, as far as it was asked for."""

    log: LogKeys
    receipts: dict[str, Ranged]


@dataclass(frozen=True, slots=True)
class Pins:
    """The two keys that a client was given by hand, not by the gateway's reply.

    `ask` fetches the published keys (`GET /v1/keys`) when a key is met that was not known before; without it
    nothing but the pins counts.
    """

    vkey: Vkey
    receipt_key: PublicKey
    ask: Callable[[], PublishedKeys] | None = field(default=None, compare=False, repr=False)
    _learned: _Learned = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        receipts = {self.receipt_key.kid: Ranged(self.receipt_key)}
        object.__setattr__(self, "_learned", _Learned(LogKeys.only(self.vkey), receipts))

    def learn(self, said: PublishedKeys) -> None:
        """Take over which keys rotations connect with the pinned ones. Raises EvidenceFailed."""
        self._learned.log = log_keys_from(self.vkey, said)
        found = followed(self.vkey.name, "receipt", self.receipt_key, said)
        self._learned.receipts = {one.key.kid: one for one in found}

    def receipt(self, token: object) -> Signed:
        """A receipt by the pinned key, or one rotated to, for the pinned log. Raises EvidenceFailed."""
        if not isinstance(token, str):
            raise EvidenceFailed("the reply carries no receipt")
        try:
            kid = peek_kid(token)
            if kid not in self._learned.receipts and self.ask is not None:
                self.learn(self.ask())
            by = self._learned.receipts[kid]
            receipt = verify_receipt(token, by.key)
        except (ConsentError, KeysError, KeyError):
            raise EvidenceFailed(
                "the receipt is not by the pinned receipt key, nor by one rotated to"
            ) from None
        if receipt.log != self.vkey.name:
            raise EvidenceFailed("the receipt is of another log")
        # One made again, of a leaf of before its key, is by a later one; none is by a key that had ended.
        if by.ended is not None and receipt.index >= by.ended:
            raise EvidenceFailed("the receipt is by a key that had ended")
        return Signed(token, receipt)

    def inclusion(self, proof: bytes, index: int, leaf_hash: bytes) -> Checkpoint:
        """The checkpoint, by the key of its size, that covers the leaf at `index`. Raises EvidenceFailed."""
        try:
            parsed = parse_proof(proof)
            checkpoint = verify_proof(parsed, leaf_hash, self._key_of(parsed.checkpoint))
        except (LedgerError, KeysError):
            raise EvidenceFailed("the proof does not lead to a checkpoint of the pinned log") from None
        if parsed.index != index:
            raise EvidenceFailed("the proof is of another entry")
        return checkpoint

    def _key_of(self, note: bytes) -> Vkey:
        """The known key for the size that a note claims, once all were asked for that may have signed it."""
        known = {(key.vkey.name, key.vkey.key_id) for key in self._learned.log.keys}
        if self.ask is not None and known.isdisjoint(peek_note(note).signers):
            self.learn(self.ask())
        return self._learned.log.at(claimed(note).size)

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
