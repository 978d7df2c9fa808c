"""The citizen with a passkey: the key stays in the authenticator, which signs challenges and no requests.

Invariant: what is signed is made here, from the document that was shown and the gateway's nonce; a gateway
that names another challenge gets nothing signed. A grant or a withdrawal counts once its receipt, by the
pinned key, says so.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from consent.document import CONSENT_TYPE
from consent.webauthn import Assertion, consent_challenge, format_assertion, withdrawal_challenge
from gateway.client.channel import exchange, new_http
from gateway.client.citizen import Recorded, recorded, refused
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.client.evidence import Pins
from gateway.client.reply import JSON, Refused, Reply, is_problem, json_object
from gateway.client.wallet import certificate_object
from gateway.http.signature import target_uri
from keys.canonical import b64u, canonical, parse_canonical, unb64u
from keys.errors import KeysError


@dataclass(frozen=True, slots=True)
class Signed:
    """What an authenticator answers, raw: the members of `AuthenticatorAssertionResponse`."""

    authenticator_data: bytes
    client_data_json: bytes
    signature: bytes


Sign = Callable[[bytes, str], Signed]
"""Have the authenticator sign a challenge (32 bytes) for an RP ID, its holder verified."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A nonce of the gateway's for one document, and the challenge that was made of the two here."""

    server_nonce: bytes
    challenge: bytes
    rp_id: str


@dataclass(frozen=True, slots=True)
class PasskeyClient:
    """A citizen's documents out, receipts in; the documents are a wallet's (`Wallet.consent_document`).

    `http` is the caller's to close. Raises Unreachable, UnexpectedReply, EvidenceFailed, MalformedDocument;
    refusals come back as `Refused`.
    """

    base_url: str
    pins: Pins
    http: httpx.Client

    @classmethod
    def of(cls, base_url: str, pins: Pins, http: httpx.Client | None = None) -> PasskeyClient:
        """A client with a transport of its own, where none is given."""
        return cls(base_url, pins, http or new_http())

    def challenge(self, document: bytes) -> Challenge | Refused:
        """A challenge for JCS of one consent or withdrawal; it serves once and for five minutes."""
        members = parse_canonical(document)
        reply = self._post("/v1/challenges", {"document": members})
        if is_problem(reply):
            return refused(reply)
        told = json_object(reply, 201)
        try:
            nonce, claimed = unb64u(told.get("server_nonce"), 32), unb64u(told.get("challenge"), 32)
        except KeysError:
            raise UnexpectedReply("the reply holds no challenge") from None
        rp_id = told.get("rp_id")
        if not isinstance(rp_id, str):
            raise UnexpectedReply("the reply names no relying party")
        made_of = consent_challenge if members.get("type") == CONSENT_TYPE else withdrawal_challenge
        challenge = made_of(nonce, document)
        if not hmac.compare_digest(challenge, claimed):
            raise EvidenceFailed("the gateway's challenge is not of this document")
        return Challenge(nonce, challenge, rp_id)

    def body(self, document: bytes, sign: Sign, certificate: bytes | None = None) -> dict[str, Any] | Refused:
        """The body of a grant or withdrawal, `{document, proof, certificate?}`: one challenge, one touch."""
        made = self.challenge(document)
        if isinstance(made, Refused):
            return made
        signed = sign(made.challenge, made.rp_id)
        proof = Assertion(
            server_nonce=b64u(made.server_nonce),
            authenticator_data=b64u(signed.authenticator_data),
            client_data_json=b64u(signed.client_data_json),
            signature=b64u(signed.signature),
        )
        body = {"document": parse_canonical(document), "proof": format_assertion(proof)}
        return body if certificate is None else {**body, "certificate": certificate_object(certificate)}

    def grant(self, document: bytes, sign: Sign, certificate: bytes | None = None) -> Recorded | Refused:
        """Grant JCS(consent). `certificate` comes along when the passkey is not enrolled yet."""
        body = self.body(document, sign, certificate)
        return body if isinstance(body, Refused) else self.send_grant(body)

    def withdraw(self, document: bytes, sign: Sign) -> Recorded | Refused:
        """Withdraw by JCS(withdrawal); once this returns, nothing more is answered."""
        body = self.body(document, sign)
        return body if isinstance(body, Refused) else self.send_withdrawal(body)

    def send_grant(self, body: dict[str, Any]) -> Recorded | Refused:
        """Hand in a body made before; the same again gives the same receipt."""
        return recorded(self.pins, self._post("/v1/consents", body), body, "granted")

    def send_withdrawal(self, body: dict[str, Any]) -> Recorded | Refused:
        """The same of a withdrawal."""
        return recorded(self.pins, self._post("/v1/withdrawals", body), body, "withdrawn")

    def _post(self, path: str, body: dict[str, Any]) -> Reply:
        target = target_uri(self.base_url, path)
        return exchange(self.http, "POST", target, canonical(body), {"Content-Type": JSON})
