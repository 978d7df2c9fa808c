"""For those on the other side of the gateway: the bank's client, the citizen's, and the offline wallet.

Invariant: nothing of the server is imported here. A client needs the two keys it pins, its own key and an
HTTP transport; a wallet not even that.

    operator_key = read_private_key(Path("operator.jwk"))
    pins = pins_from(published_keys(url, new_http()), vkey)    # vkey obtained elsewhere
    bank = BankClient(url, operator_key, pins.vkey, pins.receipt_key)
    requested = bank.request_consent(request_id, Person(number), terms)
    grant = Wallet(gateway=pins.vkey.name).sign_consent(requested.template, citizen_key)
    CitizenClient(url, citizen_key, pins.vkey, pins.receipt_key).grant(grant)
    outcome = bank.query(query_id, requested.consent_id, "02", ["loan"])      # Answer or Refused
"""

from __future__ import annotations

from gateway.client.accesses import Access
from gateway.client.bank import Answer, BankClient, ConsentRequested, Person, Proven, RequestState, Terms
from gateway.client.channel import new_http
from gateway.client.citizen import CitizenClient, Recorded, RevokedKey
from gateway.client.counter import CounterClient
from gateway.client.errors import (
    ClientError,
    EncryptedAnswer,
    EvidenceFailed,
    KeyFileError,
    KeyFileExists,
    KeyFileExposed,
    KeyFileMalformed,
    UnexpectedReply,
    Unreachable,
    WillNotSign,
)
from gateway.client.events import Told
from gateway.client.evidence import Pins
from gateway.client.following import PublishedKeys
from gateway.client.keyfile import read_decryption_key, read_private_key, read_public_key
from gateway.client.passkey import PasskeyClient
from gateway.client.published import pins_from, published_keys
from gateway.client.reply import Refused, Signed
from gateway.client.wallet import Wallet
from gateway.client.webhook import Event, Inbox, verify_webhook

__all__ = [
    "Access",
    "Answer",
    "BankClient",
    "CitizenClient",
    "ClientError",
    "ConsentRequested",
    "CounterClient",
    "EncryptedAnswer",
    "Event",
    "EvidenceFailed",
    "Inbox",
    "KeyFileError",
    "KeyFileExists",
    "KeyFileExposed",
    "KeyFileMalformed",
    "PasskeyClient",
    "Person",
    "Pins",
    "Proven",
    "PublishedKeys",
    "Recorded",
    "Refused",
    "RequestState",
    "RevokedKey",
    "Signed",
    "Terms",
    "Told",
    "UnexpectedReply",
    "Unreachable",
    "Wallet",
    "WillNotSign",
    "new_http",
    "pins_from",
    "published_keys",
    "read_decryption_key",
    "read_private_key",
    "read_public_key",
    "verify_webhook",
]
