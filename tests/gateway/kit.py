"""Tools of the gateway's tests: raw signed requests, the leaves as they stand, an insider's hands."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import httpx
from psycopg.rows import dict_row

from gateway.client.channel import new_http
from gateway.client.evidence import Pins
from gateway.client.reply import Refused
from gateway.house import House
from gateway.http.problems import EXTRA, PROBLEMS
from gateway.http.signature import TAG_CITIZEN, TAG_INSTITUTION, sign_request
from gateway.query.answer import Answer, Refusal, answer
from gateway.query.request import Query, Signer
from gateway.records.rows import Record
from gateway.transaction import Nonce
from keys.canonical import b64u, canonical, parse_canonical
from keys.signing import PrivateKey
from ledger.entries import Leaf, parse_leaf
from ledger.log import read_head
from ledger.rows import read_leaves
from tests import databases
from tests.gateway.world import BANK, SOURCE, World

T = TypeVar("T")
NUMBER = "110101199003070134"
OTHER_NUMBER = "990001199001010021"
JSON = "application/json"
PRIVATE = "110101199003070134-测试人"
"""What a test puts where it must not come out again."""


def leaves(house: House) -> list[Leaf]:
    """Every leaf of the log, parsed."""
    with house.read() as conn:
        size = read_head(conn, house.shard).size
        return [parse_leaf(leaf) for leaf in read_leaves(conn, house.shard, 0, size)]


def size(house: House) -> int:
    """How many leaves the log has."""
    with house.read() as conn:
        return read_head(conn, house.shard).size


def of_type(house: House, kind: str) -> list[Leaf]:
    """The leaves of one type."""
    return [leaf for leaf in leaves(house) if leaf.type == kind]


def person(serial: int) -> str:
    """A valid citizen number, another one for each serial below 1000."""
    from stdnum.cn.ric import calc_check_digit

    body = f"99000119900101{serial:03d}"
    return body + calc_check_digit(body + "0")


def loan(number: str = NUMBER, reference: str = "T-1") -> Record:
    """A loan record of this person."""
    fields = {"purpose": "education", "amount": 2096, "currency": "DEM", "duration_months": 12}
    return Record(
        2, number, "测试人", "loan", SOURCE, f"{reference}/loan", date(2020, 1, 2), None, None, False, fields
    )


def job(number: str = NUMBER, reference: str = "T-1") -> Record:
    """An employment record of this person."""
    fields = {"since": "over_7_years"}
    return Record(
        2,
        number,
        "测试人",
        "employment",
        SOURCE,
        f"{reference}/employment",
        date(2020, 1, 2),
        None,
        None,
        False,
        fields,
    )


# --- the insider, who has the database and none of the keys ---


def insider(house: House, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run SQL as somebody with write access to the database, past everything the gateway does.

    It is written for SQLite (`?`, `x'00'`, `zeroblob`, `randomblob`) and put into PostgreSQL's words where
    the house stands there; rows come back as tuples. The ledger's triggers hold as long as nobody drops them.
    """
    path = house.settings.database_file
    if path is None:
        with databases.superuser(house.settings.database_url) as conn:
            found = conn.execute(_in_postgresql(statement), list(parameters))
            return [] if found.description is None else found.fetchall()
    with closing(sqlite3.connect(path, timeout=10)) as file, file:
        return file.execute(statement, parameters).fetchall()


def _in_postgresql(statement: str) -> str:
    """The few words that the tests use and that the two engines spell differently."""
    random = r"decode(repeat(md5(random()::text), \1 / 16), 'hex')"
    said = re.sub(r"randomblob\((\d+)\)", random, statement.replace("%", "%%").replace("?", "%s"))
    said = re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", said)
    return re.sub(r"\bx'([0-9a-f]*)'", r"'\\x\1'::bytea", said)


def row_of(house: House, table: str, where: str, *parameters: Any) -> dict[str, Any]:
    """One row as it is stored."""
    path = house.settings.database_file
    statement = f"SELECT * FROM {table} WHERE {where}"
    if path is None:
        with databases.superuser(house.settings.database_url) as conn:
            conn.row_factory = dict_row
            found = conn.execute(_in_postgresql(statement), parameters).fetchone()
            return dict(found or {})
    with closing(sqlite3.connect(path, timeout=10)) as file:
        file.row_factory = sqlite3.Row
        return dict(file.execute(statement, parameters).fetchone())


def put_back(house: House, table: str, key: str, row: dict[str, Any]) -> None:
    """Write an earlier row over the one that is there, its MAC included."""
    columns = ", ".join(f'"{name}" = ?' for name in row)
    insider(house, f"UPDATE {table} SET {columns} WHERE {key} = ?", [*row.values(), row[key]])


# --- requests, bent as a test likes ---


@dataclass
class Prepared:
    """A signed request, sent as often as a test likes."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def send(self) -> httpx.Response:
        with new_http() as http:
            return http.request(self.method, self.url, headers=self.headers, content=self.content)


def prepare(
    world: World,
    key: PrivateKey,
    method: str,
    path: str,
    body: object = None,
    *,
    tag: str = TAG_INSTITUTION,
    created_ms: int | None = None,
    media: str = JSON,
    nonce: str | None = None,
) -> Prepared:
    """One request signed by the profile; `body` is a JSON value, or bytes to send as they are."""
    content = body if isinstance(body, bytes) else None if body is None else canonical(body)
    url = world.url + path
    created = (world.clock() if created_ms is None else created_ms) // 1000
    headers = sign_request(
        method, url, content, media if content else None, key, created, nonce or b64u(os.urandom(16)), tag
    )
    return Prepared(method, url, headers, content)


def citizens_request(world: World, key: PrivateKey, method: str, path: str, body: object = None) -> Prepared:
    """The same, by a citizen."""
    return prepare(world, key, method, path, body, tag=TAG_CITIZEN)


def name_of(response: httpx.Response) -> str:
    """The name of the problem in a response; fails when it is none."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["type"]).removeprefix("urn:chengxin:problem:")


def query_body(consent: str | None, **changes: Any) -> dict[str, Any]:
    """The body of an ordinary query under a consent, with a fresh id."""
    usual: dict[str, Any] = {
        "query_id": str(uuid.uuid4()),
        "purpose": "02",
        "categories": ["loan", "repayment"],
        "answer": "report",
    }
    return usual | ({} if consent is None else {"consent_id": consent}) | changes


def post_query(world: World, body: dict[str, Any], key: PrivateKey | None = None) -> httpx.Response:
    """Send one query by hand."""
    return prepare(world, key or world.bank_key, "POST", "/v1/queries", body).send()


# --- asking the hot path itself, without HTTP ---


def signer_of(world: World, institution: str = BANK, house: House | None = None) -> Signer:
    """The signer that a verified request yields, with a fresh nonce."""
    at = (house or world.house).clock()
    key = world.bank_key if institution == BANK else world.other_key
    nonce = Nonce(key.kid, b64u(os.urandom(16)), at + 120_000)
    return Signer(world.operators[institution], institution, nonce)


def ask_house(world: World, consent: str, house: House | None = None, **changes: Any) -> Answer | Refusal:
    """One query through `gateway.query.answer`, as the route calls it."""
    chosen = house or world.house
    body = query_body(consent, **changes)
    members: dict[str, Any] = parse_canonical(canonical(body))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    return answer(chosen, query, members, signer_of(world, house=chosen))


@dataclass
class Crowd:
    """Threads that start together and hand back what each of them got."""

    results: list[Any] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def run(self, work: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run every piece of work in a thread of its own, all let go at one barrier; results in order."""
        self.results = [None] * len(work)
        barrier = threading.Barrier(len(work))
        threads = [
            threading.Thread(target=self._one, args=(barrier, place, piece))
            for place, piece in enumerate(work)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"
        if self.errors:
            raise self.errors[0]
        return self.results

    def _one(self, barrier: threading.Barrier, place: int, piece: Callable[[], Any]) -> None:
        try:
            barrier.wait(30)
            self.results[place] = piece()
        except BaseException as error:  # noqa: BLE001  handed to the test, which raises it
            self.errors.append(error)


def together(*work: Callable[[], T]) -> list[T]:
    """Run all of it at once."""
    return Crowd().run(work)


def check_refused(world: World, refused: object, reason: str, asked: str | None = None) -> Leaf:
    """A refusal with this reason, its signed receipt verified, and the leaf that the receipt names."""
    assert isinstance(refused, Refused), refused
    assert refused.problem.name == reason
    assert refused.problem.status == (409 if reason == "query-id-reused" else 403)
    receipt = refused.receipt
    assert receipt is not None
    assert (receipt.decision, receipt.reason) == ("refused", reason)
    leaf = leaves(world.house)[receipt.index]
    assert leaf.type == "query.refused"
    assert (leaf.body.reason, leaf.body.query) == (reason, receipt.query_id)
    assert asked is None or receipt.query_id == asked
    stored = row_of(world.house, "ledger_leaves", "idx = ?", receipt.index)
    assert stored["leaf_hash"].hex() == receipt.leaf
    return leaf


def check_refusal(world: World, response: httpx.Response, reason: str, asked: str) -> Leaf:
    """The same for a raw response."""
    assert name_of(response) == reason
    receipt = pins_of(world).refusal(response.json()["receipt"], asked, reason).receipt
    leaf = leaves(world.house)[receipt.index]
    assert (leaf.type, leaf.body.reason, leaf.body.query) == ("query.refused", reason, asked)
    return leaf


def pins_of(world: World) -> Pins:
    """What the bank's client pins, to check receipts of replies that were fetched by hand."""
    with world.bank() as bank:
        return bank.pins


def check_problem(reply: httpx.Response, status: int, name: str) -> None:
    """The whole of an error reply: one row of the table, in two languages, with known members only."""
    assert (reply.status_code, name_of(reply)) == (status, name)
    body, row = reply.json(), PROBLEMS[name]
    assert body["status"] == status == row.status
    assert (body["title"], body["title_zh"]) == (row.title_en, row.title_zh)
    assert (body["hint"], body["hint_zh"]) == (row.hint_en, row.hint_zh)
    assert body.keys() - {"type", "status", "title", "title_zh", "hint", "hint_zh", "receipt"} <= EXTRA
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert PRIVATE not in reply.text
    for leak in ("Traceback", "sqlite", "gateway/", ".py", "110101199003070134"):
        assert leak not in reply.text
