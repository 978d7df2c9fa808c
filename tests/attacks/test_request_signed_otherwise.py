"""A request that is not signed in the one way is not heard: no leaf, no use, no word about anybody.

Every signature here holds over what it says it covers (RFC 9421); refused is what it covers, for whom, by
which key and when. The same rules as pure functions: tests/gateway/http/test_signature_strictness.py; what a
client library would not send at all: test_request_raw.py; sent twice: test_request_replayed.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from gateway.http.signature import content_digest
from gateway.institutions.register import add_operator, reinstate, suspend
from keys.canonical import unb64u
from keys.signing import PrivateKey, parse_public_jwk
from tests.attacks.bent import FOUR, TWO, Asking, Raw
from tests.attacks.siege import (
    Attack,
    Attacks,
    besieged,
    check_refused,
    check_silent,
    nothing_given,
    somebody,
)
from tests.gateway import kit
from tests.gateway.people.life import revoke, second_key
from tests.gateway.world import BANK, Citizen, World, fresh_key

NEXT = count(100)
ATTACKS = Attacks()
bad = ATTACKS.refused(401, "bad-signature")
stale = ATTACKS.refused(401, "stale-signature")
unsigned = ATTACKS.refused(401, "not-signed")
unknown = ATTACKS.refused(401, "unknown-key")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


@pytest.fixture(scope="module")
def asking(world: World, victim: Citizen) -> Asking:
    return Asking(world, world.consent(victim, max_uses=100))


# --- the body and its digest


@bad
def body_swapped(asking: Asking) -> Raw:
    return _with(asking.signed(), asking.body(purpose="03"))


@bad
def body_and_digest_swapped(asking: Asking) -> Raw:
    other = asking.body()
    return _with(asking.signed(), other).put("Content-Digest", content_digest(other))


@bad
def body_dropped(asking: Asking) -> Raw:
    return _with(asking.signed(), b"")


@bad
def digest_missing(asking: Asking) -> Raw:
    """Covered by the signature, and not sent."""
    return asking.signed().put("Content-Digest")


@bad
def digest_not_covered(asking: Asking) -> Raw:
    return asking.signed(components=("@method", "@target-uri", "content-type"))


@bad
def digest_and_body_not_covered(asking: Asking) -> Raw:
    """Signed as if there were no body, which comes along all the same."""
    return asking.signed(components=TWO)


@bad
def digest_of_another_body(asking: Asking) -> Raw:
    return asking.signed(values={"content-digest": content_digest(asking.body())})


@bad
def digest_of_nothing(asking: Asking) -> Raw:
    return asking.signed(values={"content-digest": ""})


@bad
def digest_by_another_hash(asking: Asking) -> Raw:
    content = asking.body()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return asking.signed(content=content, values={"content-digest": f"sha-512=:{digest}:"})


@bad
def digest_by_two_hashes(asking: Asking) -> Raw:
    content = asking.body()
    other = base64.b64encode(hashlib.sha512(content).digest()).decode()
    both = f"{content_digest(content)}, sha-512=:{other}:"
    return asking.signed(content=content, values={"content-digest": both})


@bad
def media_type_swapped(asking: Asking) -> Raw:
    return asking.signed().put("Content-Type", "application/json; charset=utf-16")


def _with(raw: Raw, content: bytes) -> Raw:
    return replace(raw, content=content)


# --- what the signature covers


@bad
def method_not_covered(asking: Asking) -> Raw:
    return asking.signed(components=FOUR[1:])


@bad
def target_not_covered(asking: Asking) -> Raw:
    return asking.signed(components=("@method", *FOUR[2:]))


@bad
def media_type_not_covered(asking: Asking) -> Raw:
    return asking.signed(components=FOUR[:3])


@bad
def nothing_covered(asking: Asking) -> Raw:
    return asking.signed(components=())


@bad
def one_component_more(asking: Asking) -> Raw:
    return asking.signed(components=(*FOUR, "date"), values={"date": "Sat, 21 Nov 2026 08:00:00 GMT"})


@bad
def authority_for_target(asking: Asking) -> Raw:
    components = ("@method", "@authority", "content-digest", "content-type")
    return asking.signed(components=components, values={"@authority": "localhost"})


@bad
def one_component_twice(asking: Asking) -> Raw:
    return asking.signed(components=(*FOUR, "@method"))


@bad
def one_component_for_another(asking: Asking) -> Raw:
    """Four of them, one twice."""
    return asking.signed(components=("@method", "@method", "content-digest", "content-type"))


@bad
def method_of_another_route(asking: Asking) -> Raw:
    return asking.signed(values={"@method": "GET"})


@bad
def target_of_another_route(asking: Asking) -> Raw:
    return asking.signed(values={"@target-uri": asking.world.url + "/v1/consent-requests"})


@bad
def target_of_another_gateway(asking: Asking) -> Raw:
    """Signed for a gateway elsewhere, and carried here."""
    return asking.signed(values={"@target-uri": "https://credit.example.cn/v1/queries"})


# --- two signatures


@bad
def two_signatures(asking: Asking) -> Raw:
    """Both hold, by two keys of two banks."""
    content = asking.body()
    first = asking.signed(content=content)
    second = asking.signed(asking.world.other_key, content=content, label="sig2")
    for name in ("Signature-Input", "Signature"):
        first = first.put(name, f"{first.header(name)}, {second.header(name)}")
    return first


@bad
def two_signatures_of_one_key(asking: Asking) -> Raw:
    content = asking.body()
    first, second = asking.signed(content=content), asking.signed(content=content, label="sig2")
    for name in ("Signature-Input", "Signature"):
        first = first.put(name, f"{first.header(name)}, {second.header(name)}")
    return first


@bad
def two_inputs_and_one_signature(asking: Asking) -> Raw:
    first, second = asking.signed(), asking.signed(label="sig2")
    return first.put(
        "Signature-Input", f"{first.header('Signature-Input')}, {second.header('Signature-Input')}"
    )


@bad
def a_signature_under_another_label(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Signature", raw.header("Signature").replace("sig1", "sig2"))


# --- its parameters and its time


@bad
def one_parameter_more(asking: Asking) -> Raw:
    return asking.signed(expires=asking.world.clock() // 1000 + 60)


@bad
def one_parameter_twice(asking: Asking) -> Raw:
    return asking.signed(extra=f";created={asking.world.clock() // 1000}")


@bad
def no_nonce(asking: Asking) -> Raw:
    return asking.signed(nonce=None)


@bad
def a_short_nonce(asking: Asking) -> Raw:
    return asking.signed(nonce="AAAAAAAA")


@bad
def no_tag(asking: Asking) -> Raw:
    return asking.signed(tag=None)


@bad
def the_tag_of_a_citizen(asking: Asking) -> Raw:
    return asking.signed(tag="chengxin-citizen")


@bad
def the_tag_of_a_webhook(asking: Asking) -> Raw:
    """What the gateway itself signs, turned round."""
    return asking.signed(tag="chengxin-webhook")


@bad
def no_time(asking: Asking) -> Raw:
    return asking.signed(created=None)


@bad
def a_time_in_words(asking: Asking) -> Raw:
    return asking.signed(created=str(asking.world.clock() // 1000))


@stale
def signed_too_long_ago(asking: Asking) -> Raw:
    return asking.signed(created=asking.world.clock() // 1000 - 62)


@stale
def signed_in_the_future(asking: Asking) -> Raw:
    return asking.signed(created=asking.world.clock() // 1000 + 62)


@stale
def signed_in_1970(asking: Asking) -> Raw:
    return asking.signed(created=0)


@stale
def signed_at_the_end_of_time(asking: Asking) -> Raw:
    return asking.signed(created=999_999_999_999_999)


# --- its key


@unsigned
def not_signed(asking: Asking) -> Raw:
    return asking.signed().put("Signature").put("Signature-Input")


@unsigned
def only_said_to_be_signed(asking: Asking) -> Raw:
    return asking.signed().put("Signature")


@unknown
def by_an_unknown_key(asking: Asking) -> Raw:
    return asking.signed(fresh_key())


@unknown
def by_a_citizens_key(asking: Asking) -> Raw:
    return asking.signed(somebody(asking.world, next(NEXT)).key)


@unknown
def by_a_key_that_is_a_statement(asking: Asking) -> Raw:
    return asking.signed(keyid="' OR '1'='1")


@bad
def by_another_banks_key_in_this_ones_name(asking: Asking) -> Raw:
    return asking.signed(asking.world.other_key, keyid=asking.world.bank_key.kid)


@bad
def by_an_unknown_key_in_the_banks_name(asking: Asking) -> Raw:
    return asking.signed(fresh_key(), keyid=asking.world.bank_key.kid)


@bad
def by_hmac_with_the_public_key(asking: Asking) -> Raw:
    return asking.signed(_Hmac(asking.world.bank_key), alg="hmac-sha256")


@bad
def by_hmac_under_the_right_name(asking: Asking) -> Raw:
    return asking.signed(_Hmac(asking.world.bank_key))


@bad
def under_another_algorithms_name(asking: Asking) -> Raw:
    return asking.signed(alg="ecdsa-p256-sha256")


@bad
def under_no_algorithms_name(asking: Asking) -> Raw:
    return asking.signed(alg="none")


class _Hmac:
    """Signs as whoever has the public key alone can: 64 bytes of HMAC with it."""

    def __init__(self, key: PrivateKey) -> None:
        self.alg, self.jwk, self.kid = key.alg, key.jwk, key.kid

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(unb64u(self.jwk["x"]), message, "sha512")


@ATTACKS.each
def test_a_request_is_not_heard(world: World, victim: Citizen, asking: Asking, attack: Attack) -> None:
    raw = attack.make(asking)
    with nothing_given(world):
        check_refused(raw.send(), attack, victim)
    honest = asking.signed().send()
    assert honest.status_code == 200, honest.text
    assert '"education"' in honest.text


# --- keys that were registered and are no longer to act: signed well, refused with a receipt


@pytest.mark.parametrize(("noun", "reason"), [("operator", "left"), ("institution", "audit-failed")])
def test_a_suspended_key_is_refused_until_it_is_reinstated(
    world: World, victim: Citizen, asking: Asking, noun: str, reason: str
) -> None:
    name = world.operators[BANK] if noun == "operator" else BANK
    refused = Attack(asking.signed, 403, f"{noun}-suspended", recorded=True)
    suspend(world.house, noun, name, reason)
    with nothing_given(world, *refused.leaves):
        check_refused(asking.signed().send(), refused, victim)
    reinstate(world.house, noun, name, "back")
    assert asking.signed().send().status_code == 200


def test_a_retired_key_is_refused_and_the_one_in_its_place_is_heard(
    world: World, victim: Citizen, asking: Asking
) -> None:
    """An operator gets a new key: the old one is suspended for good."""
    old, new = fresh_key(), fresh_key()
    retired, _ = add_operator(world.house, BANK, parse_public_jwk(old.jwk), ["query"])
    assert asking.signed(old).send().status_code == 200
    add_operator(world.house, BANK, parse_public_jwk(new.jwk), ["query"])
    suspend(world.house, "operator", retired, "key-replaced")
    refused = Attack(asking.signed, 403, "operator-suspended", recorded=True)
    with nothing_given(world, *refused.leaves):
        check_refused(asking.signed(old).send(), refused, victim)
    assert asking.signed(new).send().status_code == 200


@pytest.mark.parametrize("cause", ["lost", "compromised"])
def test_a_citizens_retired_key_reads_nothing(world: World, cause: str) -> None:
    first = somebody(world, next(NEXT))
    reading = lambda citizen: kit.citizens_request(world, citizen.key, "GET", "/v1/me/report")  # noqa: E731
    assert reading(first).send().status_code == 200
    second = second_key(world, first)
    revoke(world, second, first, cause)
    size = kit.size(world.house)
    refused = reading(first).send()
    kit.check_problem(refused, 403, "key-not-live")
    check_silent(refused, first, second)
    assert kit.size(world.house) == size
    assert '"education"' in reading(second).send().text


def test_a_bank_reads_nothing_as_a_citizen(world: World, victim: Citizen) -> None:
    """Its own key under the other tag, and its own tag at the other door."""
    attempts: list[tuple[Any, Any, str]] = [
        (kit.citizens_request, world.bank_key, "unknown-key"),
        (kit.prepare, world.bank_key, "unknown-key"),
        (kit.prepare, victim.key, "bad-signature"),
    ]
    for prepare, key, problem in attempts:
        with nothing_given(world):
            reply = prepare(world, key, "GET", "/v1/me/report").send()
            kit.check_problem(reply, 401, problem)
            check_silent(reply, victim)
    assert kit.citizens_request(world, victim.key, "GET", "/v1/me/report").send().status_code == 200
