"""A request that two readers could take for two is refused, by the test's server and by the one that serves.

Sent over a socket to the byte: a header that is there twice, a body of two lengths, a target that a proxy
would straighten. What is signed holds; a proxy that reads the first of two headers and a gateway that reads
the last would still disagree on what it was. All of it meets `chengxin serve` with two gunicorn workers on
PostgreSQL, and what the gateway itself refuses also werkzeug, under which all other tests run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from gateway.http.signature import content_digest
from tests.attacks.bent import PATH, Asking, Raw
from tests.attacks.siege import (
    Attack,
    Attacks,
    besieged,
    check_refused,
    check_silent,
    nothing_given,
    somebody,
)
from tests.gateway.workers.served import town
from tests.gateway.world import Citizen, World

NEXT = count(100)
ATTACKS, FRAMING = Attacks(), Attacks()
framing = FRAMING.refused(400, "not a problem of ours: the server says it")
bad = ATTACKS.refused(401, "bad-signature")
target_refused = ATTACKS.refused(400, "target-refused")
not_found = ATTACKS.refused(404, "not-found")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with town(tmp_path_factory.mktemp("served") / "home") as made:
        yield made.world


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("here", False), id="werkzeug"),
        pytest.param(("served", False), id="gunicorn", marks=pytest.mark.slow),
        pytest.param(("served", True), id="gunicorn's front", marks=pytest.mark.slow),
    ],
)
def place(request: pytest.FixtureRequest) -> tuple[World, bool]:
    """Who serves, and whether connections are kept, so that the front answers what arrives whole."""
    name, kept = request.param
    return request.getfixturevalue(name), kept


@pytest.fixture(scope="module")
def victim(place: tuple[World, bool]) -> Citizen:
    return somebody(place[0], next(NEXT))


@pytest.fixture(scope="module")
def asking(place: tuple[World, bool], victim: Citizen) -> Asking:
    world, kept = place
    return Asking(world, world.consent(victim, max_uses=100), kept)


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "front"])
def served_asking(served: World, request: pytest.FixtureRequest) -> Asking:
    return Asking(served, served.consent(somebody(served, next(NEXT)), max_uses=100), request.param)


def twice(raw: Raw, name: str) -> Raw:
    return raw.put(name, *[raw.header(name)] * 2)


# --- headers that are there twice


@bad
def the_signature_twice(asking: Asking) -> Raw:
    return twice(asking.signed(), "Signature")


@bad
def the_input_twice(asking: Asking) -> Raw:
    return twice(asking.signed(), "Signature-Input")


@bad
def input_and_signature_twice(asking: Asking) -> Raw:
    """Two whole signatures, each in headers of its own."""
    content = asking.body()
    first = asking.signed(content=content)
    second = asking.signed(asking.world.other_key, content=content, label="sig2")
    for name in ("Signature-Input", "Signature"):
        first = first.put(name, first.header(name), second.header(name))
    return first


@bad
def the_digest_twice(asking: Asking) -> Raw:
    return twice(asking.signed(), "Content-Digest")


@bad
def another_digest_behind_it(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Content-Digest", raw.header("Content-Digest"), content_digest(asking.body()))


@bad
def another_digest_in_front_of_it(asking: Asking) -> Raw:
    return asking.signed().and_before("content-digest", content_digest(asking.body()))


@ATTACKS.refused(401, "not-signed")
def headers_with_underscores(asking: Asking) -> Raw:
    """What CGI would take for the header with a hyphen, and a proxy would let through."""
    raw = asking.signed()
    value = raw.header("Signature-Input")
    return raw.put("Signature-Input").put("Signature_Input", value)


# --- targets that are read in two ways


@target_refused
def percent_encoded(asking: Asking) -> Raw:
    """%71 is q: the server finds the route, and what was signed is what was sent."""
    return asking.signed(target="/v1/%71ueries")


@target_refused
def percent_encoded_after_signing(asking: Asking) -> Raw:
    return replace(asking.signed(), target="/v1/%71ueries")


@target_refused
def percent_encoded_twice(asking: Asking) -> Raw:
    return asking.signed(target="/v1/queries?a=%2571")


@not_found
def dot_segment(asking: Asking) -> Raw:
    return asking.signed(target="/v1/./queries")


@not_found
def dot_segments_that_lead_back(asking: Asking) -> Raw:
    return asking.signed(target="/v1/x/../queries")


@not_found
def encoded_dot_segments(asking: Asking) -> Raw:
    return asking.signed(target="/v1/x/%2e%2e/queries")


@not_found
def an_encoded_slash(asking: Asking) -> Raw:
    return asking.signed(target="/v1/x%2f..%2fqueries")


@not_found
def a_slash_too_many(asking: Asking) -> Raw:
    return asking.signed(target="/v1//queries")


@not_found
def a_slash_at_the_end(asking: Asking) -> Raw:
    return asking.signed(target="/v1/queries/")


@target_refused
def an_empty_query(asking: Asking) -> Raw:
    return asking.signed(target="/v1/queries?")


@bad
def a_query_that_was_not_signed(asking: Asking) -> Raw:
    return replace(asking.signed(), target="/v1/queries?a=b")


@target_refused
def an_absolute_target(asking: Asking) -> Raw:
    """As one speaks to a proxy (RFC 9112 section 3.2.2)."""
    return replace(asking.signed(), target=asking.world.url + PATH)


@target_refused
def an_absolute_target_of_another_host(asking: Asking) -> Raw:
    return replace(asking.signed(), target="http://credit.example.cn" + PATH)


@ATTACKS.each
def test_a_request_is_refused(asking: Asking, victim: Citizen, attack: Attack) -> None:
    with nothing_given(asking.world):
        check_refused(attack.make(asking).send(), attack, victim)
    assert asking.signed().send().status_code == 200


# --- requests that the server itself does not hand on: werkzeug does, and serves nobody but tests


@framing
def the_media_type_twice(asking: Asking) -> Raw:
    return twice(asking.signed(), "Content-Type")


@framing
def another_media_type_behind_it(asking: Asking) -> Raw:
    return asking.signed().put("Content-Type", "application/json", "application/xml")


@framing
def another_media_type_in_front_of_it(asking: Asking) -> Raw:
    return asking.signed().and_before("content-type", "application/xml")


@framing
def two_lengths(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Content-Length", str(len(raw.content)), str(len(raw.content) - 1))


@framing
def a_length_and_chunks(asking: Asking) -> Raw:
    """One reader sees one request, the other two (RFC 9112 section 11.2)."""
    raw = asking.signed()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(raw.content), raw.content)
    framed = raw.put("Content-Length", str(len(chunked))).put("Transfer-Encoding", "chunked")
    return replace(framed, content=chunked)


@framing
def a_length_in_words(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Content-Length", f"+{len(raw.content)}")


@framing
def a_header_that_goes_on_in_the_next_line(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Signature", raw.header("Signature").replace("=:", "=:\r\n ", 1))


@framing
def a_space_before_the_colon(asking: Asking) -> Raw:
    raw = asking.signed()
    return raw.put("Signature").put("Signature ", raw.header("Signature"))


@pytest.mark.slow
@FRAMING.each
def test_the_server_hands_on_nothing_that_is_framed_in_two_ways(
    served: World, served_asking: Asking, attack: Attack
) -> None:
    with nothing_given(served):
        reply = attack.make(served_asking).send()
        assert reply.status_code == attack.status
        check_silent(reply)
    assert served_asking.signed().send().status_code == 200
