"""Challenges for passkeys: a nonce for one document, good once and for five minutes.

Invariant: an assertion serves only with a nonce that this gateway made for exactly that document, within its
time, and only once: the transaction that records what was signed also records the nonce as spent.

A nonce is its own expiry, 10 random bytes, and a MAC over both and the document. Handing one out writes
nothing and takes no lock: whoever floods this public route fills no table and delays no query. Only what was
spent is kept, until it would be refused as expired anyway.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from consent.document import CONSENT_TYPE, WITHDRAWAL_TYPE, parse_consent, parse_withdrawal
from consent.errors import MalformedDocument
from consent.revocation import RESUMPTION_TYPE, REVOCATION_TYPE, parse_resumption, parse_revocation
from consent.webauthn import (
    NONCE_BYTES,
    consent_challenge,
    resumption_challenge,
    revocation_challenge,
    withdrawal_challenge,
)
from gateway.errors import Rejected
from gateway.rows import ROW_KEY
from gateway.tables import webauthn_challenges
from gateway.transaction import Transaction
from keys.canonical import canonical, sha256, unb64u
from keys.errors import KeysError
from keys.fields import length_prefixed

if TYPE_CHECKING:
    from gateway.house import House

LIFETIME_MS: Final = 300_000
_EXPIRES: Final = 6
_RANDOM: Final = 10
_MAC: Final = NONCE_BYTES - _EXPIRES - _RANDOM


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a wallet needs: the nonce, the challenge that it makes with the document, and until when (ms)."""

    server_nonce: bytes
    challenge: bytes
    rp_id: str
    expires: int


def challenge(house: House, members: dict[str, Any]) -> Challenge:
    """A challenge for one document that a citizen signs. It says nothing about anybody.

    `Rejected`: `malformed-body`, or `consent-mismatch` where the document is for another gateway.
    """
    try:
        document = canonical(members)
        gateway, made_of = _reader(members.get("type"), document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    if gateway != house.origin:
        raise Rejected("consent-mismatch", "the document is for another gateway")
    expires = house.clock() + LIFETIME_MS
    head = expires.to_bytes(_EXPIRES, "big") + house.random(_RANDOM)
    nonce = head + _mac(house, head, document)
    return Challenge(nonce, made_of(nonce, document), house.settings.rp_id, expires)


def spend_challenge(tx: Transaction, server_nonce: str, document: bytes) -> None:
    """Spend the nonce (base64url) of a proof over `document`, together with what the transaction records.

    `Rejected` (`challenge-gone`) when it is not ours, of another document, expired, or spent before.
    """
    nonce = unb64u(server_nonce, NONCE_BYTES)
    head, mac = nonce[:-_MAC], nonce[-_MAC:]
    expires = int.from_bytes(head[:_EXPIRES], "big")
    if not hmac.compare_digest(mac, _mac(tx.house, head, document)) or tx.at >= expires:
        raise Rejected("challenge-gone", "the challenge was not made for this document, or has expired")
    spent = webauthn_challenges.c
    if tx.conn.scalar(sa.select(spent.expires).where(spent.nonce == nonce)) is not None:
        raise Rejected("challenge-gone", "the challenge was used before")
    row = {"nonce": nonce, "document": sha256(document), "expires": expires}
    tx.conn.execute(webauthn_challenges.insert(), row)


def forget_challenges(house: House) -> int:
    """Forget spent nonces that are refused as expired from now on; how many there were.

    By the newest leaf's time, like `purge_nonces`: no later transaction's `at` lies before it.
    """

    def act(tx: Transaction) -> int:
        stale = webauthn_challenges.c.expires <= tx.appender.head.at
        return tx.conn.execute(sa.delete(webauthn_challenges).where(stale)).rowcount

    return house.transact(act, seals=False)


def _reader(kind: object, document: bytes) -> tuple[str, Callable[[bytes, bytes], bytes]]:
    """Which gateway a document is for, and how a challenge for it is made. Raises MalformedDocument."""
    if kind == CONSENT_TYPE:
        return parse_consent(document).gateway, consent_challenge
    if kind == WITHDRAWAL_TYPE:
        return parse_withdrawal(document).gateway, withdrawal_challenge
    if kind == REVOCATION_TYPE:
        return parse_revocation(document).gateway, revocation_challenge
    if kind == RESUMPTION_TYPE:
        return parse_resumption(document).gateway, resumption_challenge
    raise MalformedDocument("nothing that a passkey signs here")


def _mac(house: House, head: bytes, document: bytes) -> bytes:
    return house.custody.mac(ROW_KEY, length_prefixed(b"webauthn-challenge", head, document))[:_MAC]
