"""Ten thousand forged requests that name bank A's operator, while A goes on working."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from gateway import metrics
from gateway.http.app import create_app
from gateway.http.signature import TAG_INSTITUTION, sign_request
from gateway.publishing import PublishingThread
from gateway.tables import request_nonces
from keys.canonical import b64u, canonical
from tests.gateway import kit
from tests.gateway.world import World, fresh_key, new_world

FORGED, FROM_ITSELF = 10_000, 2_000
VALID = 200
USES = 10
BANKS_OWN = "192.0.2.10"
PATH = "/v1/queries"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(
        tmp_path_factory.mktemp("flood") / "home", bad_signatures_per_minute=60, log_level="error"
    ) as made:
        yield made


def test_ten_thousand_forgeries_in_a_banks_name_cost_it_no_answer(world: World) -> None:
    """Most come from elsewhere; those from the bank's own address are verified all the same, and refused."""
    citizen = world.citizen(kit.NUMBER)
    world.import_records([kit.loan()])
    consents = [world.consent(citizen, max_uses=USES) for _ in range(VALID // USES)]
    app = create_app(world.house, PublishingThread(world.house))
    ask = valid(world, consents)
    statuses = Counter([send(app, ask(), BANKS_OWN)])  # the bank was at work before it began
    nonces, size = nonces_of(world), kit.size(world.house)
    counted = metrics.UNSIGNED.labels("too-many-bad-signatures")._value.get()

    forged: Counter[int] = Counter()
    lock = threading.Lock()

    def forge(addresses: Iterator[str], count: int) -> Callable[[], None]:
        def run() -> None:
            made = forgeries(world)
            mine = Counter(send(app, next(made), next(addresses)) for _ in range(count))
            with lock:
                forged.update(mine)

        return run

    def work() -> None:
        statuses.update(send(app, ask(), BANKS_OWN) for _ in range(VALID - 1))

    elsewhere = itertools.cycle([f"198.51.100.{n}" for n in range(20)] + ["2001:db8::1", "2001:db8::2"])
    kit.together(
        forge(elsewhere, FORGED - FROM_ITSELF), forge(itertools.repeat(BANKS_OWN), FROM_ITSELF), work
    )

    assert statuses == {200: VALID}
    assert forged.keys() == {401, 429}
    assert sum(forged.values()) == FORGED
    # 21 sources had 60 each before they were turned away; windows may end meanwhile on a slow machine.
    heard = 21 * 60
    assert FORGED - FROM_ITSELF - 5 * heard <= forged[429] <= FORGED - FROM_ITSELF - heard
    assert metrics.UNSIGNED.labels("too-many-bad-signatures")._value.get() - counted == forged[429]
    assert nonces_of(world) - nonces == VALID - 1
    assert kit.size(world.house) - size == VALID - 1


def nonces_of(world: World) -> int:
    """How many nonces are kept as spent."""
    with world.house.read() as conn:
        return int(conn.scalar(sa.select(sa.func.count()).select_from(request_nonces)) or 0)


def valid(world: World, consents: list[str]) -> Callable[[], tuple[bytes, dict[str, str]]]:
    """One more query of the bank's own each time."""
    left = itertools.chain.from_iterable(itertools.repeat(consent, USES) for consent in consents)

    def ask() -> tuple[bytes, dict[str, str]]:
        body = kit.query_body(next(left), categories=["loan"])
        prepared = kit.prepare(world, world.bank_key, "POST", PATH, body)
        return prepared.content or b"", prepared.headers

    return ask


def forgeries(world: World) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Requests that are right in everything but the signature: another key's, under the bank's keyid."""
    key, target = fresh_key(), world.url + PATH
    content = canonical(kit.query_body("00000000-0000-0000-0000-000000000000"))
    while True:
        nonce = b64u(os.urandom(16))
        created = world.clock() // 1000
        headers = sign_request("POST", target, content, kit.JSON, key, created, nonce, TAG_INSTITUTION)
        named = headers["Signature-Input"].replace(key.kid, world.bank_key.kid)
        yield content, headers | {"Signature-Input": named}


def send(app: Flask, request: tuple[bytes, dict[str, str]], peer: str) -> int:
    """The status that a request from `peer` gets, by plain WSGI."""
    content, headers = request
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "RAW_URI": PATH,
        "REMOTE_ADDR": peer,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": headers["Content-Type"],
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": BytesIO(content),
        "wsgi.url_scheme": "http",
        "wsgi.errors": BytesIO(),
    }
    environ |= {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in headers.items()
        if name != "Content-Type"
    }
    said: list[int] = []
    for _ in app(environ, lambda status, _headers, *_rest: said.append(int(status[:3]))):
        pass
    return said[0]
