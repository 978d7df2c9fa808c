"""The opponents do the same job as the floor, on the same rows: otherwise the comparison would say
nothing."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.demo.people import Born, synthetic_people
from tests import databases
from tests.bench.opponents import crud, floor, plain
from tests.bench.opponents.data import Config, database, fill, open_engine
from tests.bench.town import BANKS, CATEGORIES, Consented, query_body, ten_records

RECEIPT = "e30.e30." + "r" * 400


@pytest.fixture(scope="module")
def people() -> tuple[Consented, ...]:
    invented = synthetic_people(1, [Born(30, date(2026, 1, 1))] * 3)
    return tuple(
        Consented(person.citizen_number, BANKS[n % 2], str(uuid.UUID(int=n + 1)))
        for n, person in enumerate(invented)
    )


@pytest.fixture(scope="module")
def config(people: tuple[Consented, ...]) -> Iterator[Config]:
    server = databases.postgres()
    with database(server) as name:
        records = [record for one in people for record in ten_records(one.number, "压测人")]
        yield fill(server, name, people, records, RECEIPT)


@pytest.fixture(scope="module")
def apps(config: Config) -> Iterator[dict[str, Any]]:
    writing, reading = open_engine(config), open_engine(config, **floor.IN_CLEAR)
    yield {
        "crud": crud.create_app(config, writing).test_client(),
        "plain": plain.create_app(config, writing).test_client(),
        "floor": floor.create_app(config, reading).test_client(),
        "raw floor": floor.raw_app(config, reading),
    }
    writing.dispose()
    reading.dispose()


def test_all_four_answer_the_same_bytes(
    apps: dict[str, Any], config: Config, people: tuple[Consented, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (crud, plain, floor):
        monkeypatch.setattr(module, "wall_clock", lambda: 1_800_000_000_000)
    head, body = _signed(config, people)
    said = {
        name: app.post("/v1/queries", data=body, headers=head, content_type="application/json").data
        for name, app in apps.items()
        if name != "raw floor"
    }
    said["raw floor"] = _raw(apps["raw floor"], body)
    records = orjson.loads(said["floor"])["answer"]["records"]
    assert set(records) == set(CATEGORIES)
    assert sum(map(len, records.values())) == 10
    same = {name: answer.removesuffix(b"\n") == said["floor"] for name, answer in said.items()}  # jsonify's
    assert same == dict.fromkeys(said, True)


def test_plain_serves_a_request_once(
    apps: dict[str, Any], config: Config, people: tuple[Consented, ...]
) -> None:
    head, body = _signed(config, people)
    statuses = [apps["plain"].post("/v1/queries", data=body, headers=head).status_code for _ in range(2)]
    assert statuses == [200, 403]


def test_plain_refuses_another_body_another_bank_and_a_forged_token(
    apps: dict[str, Any], config: Config, people: tuple[Consented, ...]
) -> None:
    head, body = _signed(config, people)
    other = query_body(people[0])
    stranger = next(name for name, bank in config.recipients.items() if bank != people[0].bank)
    forged = {"Authorization": head["Authorization"][:-8] + "AAAAAAAA"}
    attempts = [
        (head, other),
        ({"Authorization": _token(config, stranger, body)}, body),
        (forged, body),
        ({}, body),
    ]
    assert [
        apps["plain"].post("/v1/queries", data=sent, headers=how).status_code for how, sent in attempts
    ] == [403] * 4


def test_plain_keeps_a_chain_with_an_entry_for_each_answer(
    apps: dict[str, Any], config: Config, people: tuple[Consented, ...]
) -> None:
    for _ in range(2):
        head, body = _signed(config, people)
        assert apps["plain"].post("/v1/queries", data=body, headers=head).status_code == 200
    with databases.postgres().connect(config.dbname) as conn:
        rows = conn.execute("SELECT idx, hash, entry FROM plain_audit ORDER BY idx").fetchall()
        (size, last) = conn.execute("SELECT size, hash FROM plain_head").fetchone()  # type: ignore[misc]
    assert [row[0] for row in rows] == list(range(size))
    assert rows[-1][1] == last
    assert [orjson.loads(row[2])["previous"] for row in rows] == ["", *(row[1].hex() for row in rows[:-1])]


def _signed(config: Config, people: tuple[Consented, ...]) -> tuple[dict[str, str], bytes]:
    """The headers and the body of one of plain's own requests."""
    message = plain.requests(config, people, 1)[0]
    head, _, body = message.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return {"Authorization": lines["Authorization"]}, body


def _token(config: Config, operator: str, body: bytes) -> str:
    import hashlib

    key: Any = load_pem_private_key(config.operators[operator].encode(), None)
    claims = {"exp": 4_000_000_000, "jti": "n" * 32, "body": hashlib.sha256(body).hexdigest()}
    return "Bearer " + jwt.encode(claims, key, "EdDSA", headers={"kid": operator})


def _raw(app: Any, body: bytes) -> bytes:
    environ = {
        "PATH_INFO": "/v1/queries", "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
    return b"".join(app(environ, lambda status, headers: None))
