"""Receipts: what the gateway signs about each answer, refusal, grant, withdrawal and resumption.

Invariant: a receipt names one leaf of one log, and exactly the members that its decision has: a refusal its
reason, an answer the hash of JCS(answer), a consent its `consent_id`. The gateway signs the bytes as JWS
(`typ` `receipt+jwt`) with its receipt key; the Merkle proof of the leaf follows at the next checkpoint.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from consent import wire
from consent.errors import BadProof
from keys.errors import KeysError
from keys.jws import verify_jws
from keys.signing import PublicKey

RECEIPT_TYPE = "chengxin/receipt/v1"
RECEIPT_TYP = "receipt+jwt"

Decision = Literal["disclosed", "refused", "predicate", "redelivered", "granted", "withdrawn", "resumed"]
_OF_A_CONSENT = ("granted", "withdrawn", "resumed")
_WITH_AN_ANSWER = ("disclosed", "predicate", "redelivered")


class Receipt(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=RECEIPT_TYPE):
    """What is signed: `log` is the origin, `index` and `leaf` (hex leaf hash) the entry, `at` (ms) its time.

    A refused request for consent carries its request id as `query_id`.
    """

    TIMES: ClassVar[tuple[str, ...]] = ("at",)

    log: wire.Origin
    index: wire.Natural
    leaf: wire.Hex32
    at: wire.Instant
    decision: Decision
    query_id: wire.Uuid | None = None
    consent_id: wire.Uuid | None = None
    reason: wire.ReasonCode | None = None
    answer_sha256: wire.Hex32 | None = None

    def __post_init__(self) -> None:
        of_a_consent = self.decision in _OF_A_CONSENT
        if (self.consent_id is not None) != of_a_consent or (self.query_id is None) != of_a_consent:
            raise ValueError("a query's receipt names the query, a consent's the consent")
        if (self.reason is not None) != (self.decision == "refused"):
            raise ValueError("a reason belongs to a refusal, and every refusal has one")
        if (self.answer_sha256 is not None) != (self.decision in _WITH_AN_ANSWER):
            raise ValueError("an answer's hash belongs to an answer, and every answer has one")


def parse_receipt(data: bytes) -> Receipt:
    """Raises MalformedDocument for anything that `format_receipt` would not emit."""
    return wire.parse_struct(data, Receipt)


def format_receipt(receipt: Receipt) -> bytes:
    """JCS bytes: the payload to sign. Raises MalformedDocument."""
    return wire.format_struct(receipt)


def verify_receipt(token: str, key: PublicKey) -> Receipt:
    """The receipt that `key`, the gateway's receipt key, signed. Raises BadProof, MalformedDocument."""
    try:
        payload = verify_jws(token, key, RECEIPT_TYP)
    except KeysError as refused:
        raise BadProof("the signature does not hold") from refused
    return parse_receipt(payload)
