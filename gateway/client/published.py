"""The gateway's published keys, and how a client comes to its pins the first time.

Invariant: keys read from the gateway itself prove nothing by themselves. They become pins only together
with a vkey that was obtained elsewhere (the regulator, a contract, an earlier visit); a gateway that names
another, to which no rotation leads, is refused. The receipt key is taken on first use and should be kept from
then on.
"""

from __future__ import annotations

import httpx

from gateway.client.channel import exchange
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.client.evidence import Pins
from gateway.client.following import PublishedKeys, log_keys_from
from gateway.client.reply import json_object, read_as
from gateway.http.signature import target_uri
from keys.errors import KeysError
from keys.notes import format_vkey, parse_vkey
from keys.signing import parse_public_jwk


def published_keys(base_url: str, http: httpx.Client) -> PublishedKeys:
    """What the gateway says of its keys. Unsigned; raises Unreachable, UnexpectedReply."""
    reply = exchange(http, "GET", target_uri(base_url, "/v1/keys"), None, {})
    return read_as(json_object(reply, 200), PublishedKeys)


def pins_from(keys: PublishedKeys, vkey: str) -> Pins:
    """Pins of the `vkey` obtained elsewhere and the latest receipt key that the gateway published under it.

    Raises EvidenceFailed when the gateway names another log, or a vkey to which no rotation leads,
    UnexpectedReply when no receipt key is there.
    """
    if keys.vkey != vkey and format_vkey(log_keys_from(parse_vkey(vkey), keys).current) != keys.vkey:
        raise EvidenceFailed("the gateway names another vkey than the one given, and no rotation leads to it")
    receipts = [key for key in keys.keys if key.use == "receipt" and key.ended is None]
    if not receipts:
        raise UnexpectedReply("the gateway publishes no receipt key")
    latest = max(receipts, key=lambda key: key.index)
    try:
        pins = Pins(parse_vkey(vkey), parse_public_jwk(latest.public))
    except KeysError as error:
        raise UnexpectedReply("a published key is malformed") from error
    if pins.receipt_key.kid != latest.kid:
        raise EvidenceFailed("a published key does not have the thumbprint it is published under")
    return pins
