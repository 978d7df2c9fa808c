"""What is sent is signed by the gateway, and an independent library says so; what is altered is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import http_message_signatures as hms
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.client.errors import EvidenceFailed
from gateway.client.webhook import Event, Inbox, verify_webhook
from gateway.events.sending import probe_body, send
from gateway.http.signature import TAG_INSTITUTION, TAG_WEBHOOK, sign_request
from keys.canonical import b64u, canonical
from keys.signing import PublicKey, ed25519_public_key, parse_public_jwk
from tests.gateway import kit
from tests.gateway.receiver import Delivered, Receiver, receiving
from tests.gateway.world import BANK, World, fresh_key


@dataclass
class Message:
    """What the library verifies."""

    method: str
    url: str
    headers: dict[str, str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as made:
        yield made


@pytest.fixture
def sent(world: World, receiver: Receiver) -> Delivered:
    """One delivery, as it arrived."""
    assert send(world.house, receiver.url, probe_body(world.house, BANK, "2026-11-21T08:00:00.000Z")) is None
    [delivered] = receiver.arrived
    return delivered


def receipt_key(world: World) -> PublicKey:
    return ed25519_public_key(world.house.custody.public("receipt"))


def verified(world: World, sent: Delivered, url: str, *keys: PublicKey, late: int = 0) -> Event:
    pinned = keys or (receipt_key(world),)
    return verify_webhook(sent.method, url, sent.headers, sent.body, pinned, world.clock() + late)


def test_an_independent_library_verifies_what_arrives(
    world: World, sent: Delivered, receiver: Receiver
) -> None:
    key = receipt_key(world)
    public = ed25519.Ed25519PublicKey.from_public_bytes(key.point)
    verifier = hms.HTTPMessageVerifier(
        signature_algorithm=hms.algorithms.ED25519,
        key_resolver=hms.MappingKeyResolver(private_keys={}, public_keys={key.kid: public}),
    )
    headers = {name.title(): value for name, value in sent.headers.items()}
    [result] = verifier.verify(Message("POST", receiver.url, headers), body=sent.body)
    assert result.parameters["keyid"] == key.kid
    assert result.parameters["tag"] == TAG_WEBHOOK
    assert {name.strip('"') for name in result.covered_components} >= {
        "@method",
        "@target-uri",
        "content-digest",
        "content-type",
    }


def test_the_receivers_helper_reads_the_event(world: World, sent: Delivered, receiver: Receiver) -> None:
    event = verified(world, sent, receiver.url, parse_public_jwk(fresh_key().jwk), receipt_key(world))
    assert (event.kind, event.seq, event.institution, event.log) == ("test", 0, BANK, world.house.origin)
    assert not Inbox().is_new(event)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, body=one.body.replace(b'"test"', b'"sent"')),
        lambda one: replace(one, method="PUT"),
        lambda one: replace(one, headers={k: v for k, v in one.headers.items() if k != "signature"}),
        lambda one: replace(one, headers=one.headers | {"content-type": "text/plain"}),
        lambda one: replace(one, headers=one.headers | {"content-digest": "sha-256=:AAAA:"}),
    ],
    ids=["body", "method", "signature", "media", "digest"],
)
def test_what_is_altered_is_refused(world: World, sent: Delivered, receiver: Receiver, change: Any) -> None:
    with pytest.raises(EvidenceFailed):
        verified(world, change(sent), receiver.url)


def test_another_address_another_key_and_another_time_are_refused(
    world: World, sent: Delivered, receiver: Receiver
) -> None:
    with pytest.raises(EvidenceFailed, match="signature"):
        verified(world, sent, "https://another.example/events")
    with pytest.raises(EvidenceFailed, match="pinned"):
        verified(world, sent, receiver.url, parse_public_jwk(fresh_key().jwk))
    for late in (-120_000, 120_000):
        with pytest.raises(EvidenceFailed, match="stale"):
            verified(world, sent, receiver.url, late=late)


def test_a_signature_for_another_use_is_none_here(world: World, receiver: Receiver) -> None:
    """Who has a bank's signed request cannot pass it off as a delivery."""
    key = fresh_key()
    body = canonical(probe_body(world.house, BANK, "2026-11-21T08:00:00.000Z"))
    headers = sign_request(
        "POST", receiver.url, body, kit.JSON, key, world.clock() // 1000, b64u(bytes(16)), TAG_INSTITUTION
    )
    lowered = {name.lower(): value for name, value in headers.items()}
    with pytest.raises(EvidenceFailed, match="tag"):
        verify_webhook("POST", receiver.url, lowered, body, [parse_public_jwk(key.jwk)], world.clock())


def test_a_delivery_is_no_request_to_the_gateway(world: World) -> None:
    """Sent on to the gateway itself, which is a receiver like another, it is nobody's request."""
    body = probe_body(world.house, BANK, "2026-11-21T08:00:00.000Z")
    assert send(world.house, f"{world.url}/v1/queries", body) == "status-401"
    assert not kit.of_type(world.house, "query.refused")


def event(seq: int) -> Event:
    return Event(f"x/{BANK}/{seq}", "x", BANK, seq, "granted", "2026-11-21T08:00:00.000Z", 7)


def test_the_inbox_tells_the_first_time_from_the_others() -> None:
    inbox = Inbox(after=3)
    assert [inbox.is_new(event(seq)) for seq in (3, 4, 4, 1, 5)] == [False, True, False, False, True]
    assert inbox.after == 5
    assert [Inbox().is_new(event(seq)) for seq in (0, 9)] == [False, True]


def test_a_gap_is_said_and_not_passed_over() -> None:
    inbox = Inbox(after=3)
    with pytest.raises(EvidenceFailed, match="missing"):
        inbox.is_new(event(5))
    assert inbox.is_new(event(4))
