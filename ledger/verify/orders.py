"""The auditor's own readers of what citizens sign about their keys, and of a counter's orders.

Invariant: as of `ledger.verify.documents`: nothing is shared with the code that made the documents, and one
counts only if a signature covers exactly its RFC 8785 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from keys.canonical import canonical, sha256_hex, tagged_hash, unb64u
from keys.errors import BadSignature, Malformed
from keys.instant import DAY, parse_instant
from keys.signing import PublicKey
from ledger.members import Count, Hex32, Instant, Origin, PartyId, Random16, Thumbprint, Uuid
from ledger.verify.documents import (
    SALT_SIZE,
    Document,
    Signed,
    check_officers,
    check_signed,
    citizen_number,
    read,
)

REVOCATION = "chengxin/key-revocation/v1"
RESUMPTION = "chengxin/resumption/v1"
ORDER_MS = DAY
"""For how long an order is carried out after its `at`."""


class Revocation(Document, frozen=True):
    """The end of `key`, signed by `subject`."""

    type: Literal["chengxin/key-revocation/v1"]
    gateway: Origin
    key: Thumbprint
    cause: Literal["compromised", "lost", "refused"]
    subject: Thumbprint
    nonce: Random16


class Resumption(Document, frozen=True):
    """A citizen's confirmation of a suspended consent; `suspension` is the leaf that suspended it."""

    type: Literal["chengxin/resumption/v1"]
    consent_id: Uuid
    gateway: Origin
    subject: Thumbprint
    suspension: Count
    nonce: Random16


class _Order(Document, frozen=True, kw_only=True):
    gateway: Origin
    person: Hex32
    salt: Random16
    registrar: PartyId
    officers: tuple[PartyId, PartyId]
    at: Instant


class WithdrawalOrder(_Order, frozen=True):
    """Withdraw one consent."""

    type: Literal["chengxin/counter-withdrawal/v1"]
    consent_id: Uuid


class RevocationOrder(_Order, frozen=True):
    """Revoke one key, or without it every key enrolled before."""

    type: Literal["chengxin/counter-revocation/v1"]
    cause: Literal["compromised", "lost"]
    key: Thumbprint | None = None


class ListOrder(_Order, frozen=True):
    """List keys and consents."""

    type: Literal["chengxin/counter-list/v1"]


Order = ListOrder | RevocationOrder | WithdrawalOrder


class SignedOrder(Document, frozen=True):
    """An order with both officers' signatures and certificates, in the officers' order."""

    document: dict[str, Any]
    signatures: tuple[str, str]
    officers: tuple[str, str]


def read_order(value: object, shape: type[Order]) -> Order:
    """The order inside a signed one, signatures unchecked. Raises Malformed."""
    return read(read(value, SignedOrder).document, shape)


def check_order(value: object, registrar: str, pinned: Iterable[PublicKey]) -> None:
    """Two officers of `registrar`, each certified by a pinned key of it, signed this one order.

    Raises Malformed, BadSignature.
    """
    held = read(value, SignedOrder)
    document = held.document
    if document.get("registrar") != registrar:
        raise BadSignature("the order is another registrar's")
    names = document.get("officers")
    if not isinstance(names, list) or len(names) != 2:
        raise Malformed("an order names two officers")
    signed = Signed(
        registrar, (names[0], names[1]), parse_instant(document["at"]), "counter+jwt", canonical(document)
    )
    check_officers(signed, held.signatures, held.officers, tuple(pinned))


def is_person_of(order: Order, number: str) -> bool:
    """Whether an order is about the person of this citizen number. Raises BadIdentifier."""
    return sha256_hex(unb64u(order.salt, SALT_SIZE) + citizen_number(number)) == order.person


def check_revocation_proof(document: Mapping[str, Any], proof: str, key: PublicKey) -> None:
    """The citizen's key signed exactly this revocation."""
    check_signed(proof, key, "key-revocation+jwt", canonical(document))


def check_resumption_proof(document: Mapping[str, Any], proof: str, key: PublicKey) -> None:
    """The citizen's key signed exactly this resumption."""
    check_signed(proof, key, "resumption+jwt", canonical(document))


def revocation_hash(document: Mapping[str, Any]) -> str:
    """Hex SHA-256(type || 0x00 || JCS(document))."""
    return tagged_hash(REVOCATION, canonical(document)).hex()


def resumption_hash(document: Mapping[str, Any]) -> str:
    """The same of a resumption."""
    return tagged_hash(RESUMPTION, canonical(document)).hex()
