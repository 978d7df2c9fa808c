"""The nginx that ships, for real: TLS, limits, the target as it came, the source's address, and its logs."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import uuid
from collections.abc import Iterator

import httpx
import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.http.whole import MAX_BODY
from gateway.server import _Gunicorn
from tests.deploy.proxied import LIMIT, SHIPPED, Proxied, proxied
from tests.deploy.tools import run
from tests.gateway import kit
from tests.gateway.world import fresh_key

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    with proxied(folder / "home", folder / "nginx") as made:
        yield made


def send(town: Proxied, prepared: kit.Prepared, client: httpx.Client | None = None) -> httpx.Response:
    chosen = client or town.world.http()
    return chosen.request(prepared.method, prepared.url, headers=prepared.headers, content=prepared.content)


def raw(
    town: Proxied, target: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """One request whose target goes out byte for byte, as no tidy client would send it."""
    trusted = ssl.create_default_context(cafile=str(town.nginx.folder / "fullchain.pem"))
    connection = http.client.HTTPSConnection("localhost", town.nginx.tls, context=trusted, timeout=60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_nginx_takes_the_shipped_files_without_a_word_of_warning(town: Proxied) -> None:
    done = run(*town.nginx.command("-t"))
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
    assert "syntax is ok" in done.stderr


def test_a_signed_query_is_answered_through_tls(town: Proxied) -> None:
    world = town.world
    world.import_records([kit.loan(kit.NUMBER)])
    citizen = world.citizen(kit.NUMBER)
    bank = world.bank()
    consent = world.consent(citizen, bank)
    outcome = world.query(consent, bank)
    assert isinstance(outcome, Answer)
    assert bank.prove(outcome.receipt)
    world.withdraw(citizen, consent)
    refused = world.query(consent, bank)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "withdrawn"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/v1/consents/{id}?x=1", "bad-signature"),
        ("/v1/consents/{id}?", "target-refused"),
        ("/v1/./consents/{id}", "not-found"),
        ("/v1//consents/{id}", "not-found"),
        ("/v1/%63onsents/{id}", "target-refused"),
    ],
)
def test_a_target_that_was_altered_is_refused_and_none_is_mended(
    town: Proxied, target: str, problem: str
) -> None:
    """nginx knows how to normalise all of these; if it did, they would reach what was signed."""
    consent = str(uuid.uuid4())
    world = town.world
    signed = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{consent}")
    status, body = raw(town, target.format(id=consent), headers=signed.headers)
    assert status in (400, 401, 404)
    assert json.loads(body)["type"] == f"urn:chengxin:problem:{problem}"
    again = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{consent}")
    assert kit.name_of(send(town, again)) == "not-found"


def test_a_query_string_arrives_as_it_was_signed(town: Proxied) -> None:
    """Signed over what a proxy might decode, it verifies: the gateway heard the very same bytes."""
    world = town.world
    target = f"/v1/consents/{uuid.uuid4()}?b=2&a=1&a=..//x"
    signed = kit.prepare(world, world.bank_key, "GET", target)
    status, body = raw(town, target, headers=signed.headers)
    assert (status, json.loads(body)["type"]) == (404, "urn:chengxin:problem:not-found")


def test_a_body_beyond_the_limit_is_turned_away_before_the_gateway(town: Proxied) -> None:
    world = town.world
    before = town.server.log.read_text().count('"route": "/v1/queries"')
    over = kit.prepare(world, world.bank_key, "POST", "/v1/queries", b" " * (MAX_BODY + 1))
    reply = send(town, over)
    assert reply.status_code == 413
    assert "X-Request-Id" not in reply.headers
    assert town.server.log.read_text().count('"route": "/v1/queries"') == before
    whole = kit.prepare(world, world.bank_key, "POST", "/v1/queries", b" " * MAX_BODY)
    assert kit.name_of(send(town, whole)) == "malformed-body"


def test_a_request_line_beyond_gunicorns_limit_is_turned_away_here(town: Proxied) -> None:
    """`GET <target> HTTP/1.1`: 4094 bytes pass both, one more passes neither."""
    longest = 4094 - len("GET  HTTP/1.1")
    status, body = raw(town, "/" + "a" * (longest - 1))
    assert (status, json.loads(body)["type"]) == (404, "urn:chengxin:problem:not-found")
    status, body = raw(town, "/" + "a" * longest)
    assert status == 414
    assert b"nginx" in body


def test_what_is_sent_in_clear_is_redirected_to_the_name_in_the_settings(town: Proxied) -> None:
    with httpx.Client(trust_env=False) as client:
        reply = client.get(
            f"http://localhost:{town.nginx.plain}/v1/keys?x=%41", headers={"Host": "elsewhere.example"}
        )
    assert reply.status_code == 308
    assert reply.headers["Location"] == f"{town.world.url}/v1/keys?x=%41"


def test_replies_say_to_come_back_by_tls_only_and_do_not_name_a_version(town: Proxied) -> None:
    client = town.world.http()
    for path in ("/healthz", "/readyz", "/no-such-page"):
        reply = client.get(f"{town.world.url}{path}")
        assert reply.headers["Strict-Transport-Security"] == "max-age=63072000"
        assert reply.headers["Server"] == "nginx"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert uuid.UUID(reply.headers["X-Request-Id"])
    assert client.get(f"{town.world.url}/readyz").json() == {"status": "ready"}


def test_metrics_are_not_for_whoever_comes_by_tls(town: Proxied) -> None:
    client = town.world.http()
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics"):
        reply = client.get(f"{town.world.url}{path}")
        assert reply.status_code == 404, path
        assert "chengxin_" not in reply.text
    scraped = f"http://127.0.0.1:{town.nginx.scraped}"
    found = httpx.get(f"{scraped}/metrics", trust_env=False)
    assert re.search(r"^chengxin_ready 1\.0$", found.text, re.MULTILINE)
    assert re.search(r"^chengxin_ledger_published_size [1-9]", found.text, re.MULTILINE)
    assert httpx.post(f"{scraped}/metrics", trust_env=False).status_code == 403
    assert httpx.get(f"{scraped}/v1/keys", trust_env=False).status_code == 404


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_is_spoken_with_ephemeral_keys(town: Proxied, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(town.nginx.folder / "fullchain.pem"))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = http.client.HTTPSConnection("localhost", town.nginx.tls, context=context, timeout=60)
    try:
        connection.connect()
        assert connection.sock.version() == version.name.replace("_", ".")
        assert connection.sock.selected_alpn_protocol() == "h2"
        assert connection.sock.cipher()[0].startswith(("ECDHE-", "TLS_"))
    finally:
        connection.close()


def test_the_source_address_is_the_clients_whatever_it_writes(town: Proxied) -> None:
    """A flood is its address's, however X-Forwarded-For is forged; another address is still heard."""
    world = town.world
    flooding = world.http()
    stranger = fresh_key()
    got = []
    for turn in range(LIMIT + 2):
        forged = kit.prepare(world, stranger, "GET", f"/v1/consents/{uuid.uuid4()}")
        forged.headers |= {"X-Forwarded-For": f"198.51.100.{turn}", "Forwarded": f"for=198.51.100.{turn}"}
        got.append(send(town, forged, flooding).status_code)
    assert got[-2:] == [429, 429]
    assert set(got[:-2]) <= {401, 429}
    elsewhere = httpx.HTTPTransport(
        local_address="127.0.0.2",
        verify=ssl.create_default_context(cafile=str(town.nginx.folder / "fullchain.pem")),
    )
    with httpx.Client(transport=elsewhere, trust_env=False) as other:
        url = world.url.replace("localhost", "127.0.0.1")
        forged = kit.prepare(world, stranger, "GET", f"/v1/consents/{uuid.uuid4()}")
        reply = other.request("GET", forged.url.replace(world.url, url), headers=forged.headers)
        assert kit.name_of(reply) == "unknown-key"


def test_logs_hold_neither_address_nor_path_nor_query(town: Proxied) -> None:
    """After everything above, and a request that names somebody in every part, good and failing."""
    client = town.world.http()
    secret = kit.NUMBER
    reply = client.get(
        f"{town.world.url}/v1/{secret}?number={secret}", headers={"Referer": secret, "User-Agent": secret}
    )
    raw(town, f"/v1/{secret}" + "a" * 5000)
    client.post(f"{town.world.url}/v1/{secret}?{secret}", content=b"x" * (MAX_BODY + 1))
    said = town.nginx.said()
    lines = [json.loads(line) for line in said.splitlines()]
    assert reply.headers["X-Request-Id"] in {line["request_id"] for line in lines}
    assert {frozenset(line) for line in lines} == {
        frozenset(("time", "method", "status", "bytes", "seconds", "upstream_seconds", "tls", "request_id"))
    }
    for word in (secret, "127.0.0.1", "127.0.0.2", "/v1"):
        assert word not in said


def test_bodies_and_answers_never_reach_the_disk(town: Proxied) -> None:
    left = [
        path for path in (town.nginx.folder / "tmp").rglob("*") if path.is_file() and path.suffix != ".pid"
    ]
    assert left == []
    text = (SHIPPED / "chengxin.conf").read_text("utf-8")
    assert "proxy_max_temp_file_size 0;" in text
    assert "client_body_buffer_size 64k;" in text


def test_the_limits_are_the_gateways_own(town: Proxied) -> None:
    import socket

    from gateway.deadlines import READ_S, STALL_S

    with socket.socket() as unused:
        gunicorn = _Gunicorn(town.world.house.settings, unused).cfg
    text = (SHIPPED / "chengxin.conf").read_text("utf-8")

    def said(name: str) -> str:
        [value] = re.findall(rf"^ +{name} (.+?);", text, re.MULTILINE)
        return str(value)

    assert int(said("client_max_body_size")) == MAX_BODY
    assert said("large_client_header_buffers").endswith(" 4k")
    assert gunicorn.limit_request_line == 4096 - len("\r\n")
    assert said("client_header_timeout") == said("client_body_timeout") == f"{READ_S:.0f}s"
    assert said("send_timeout") == f"{STALL_S:.0f}s"
    [upstream] = re.findall(r"keepalive_timeout (\d+)s;  # less", text)
    assert int(upstream) < gunicorn.keepalive
