"""The HTTP surface: every route behind its guard, every error one row of the table, and nothing leaks."""

from __future__ import annotations

import base64
import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from gateway.http.app import create_app
from gateway.http.guards import Guard
from gateway.http.signature import TAG_INSTITUTION, signature_base
from gateway.publishing import PublishingThread
from tests.gateway import kit
from tests.gateway.world import World, fresh_key, new_world

ROUTES = {
    ("POST", "/v1/consent-requests"): Guard.OPERATOR,
    ("GET", "/v1/consent-requests/<uuid:request_id>"): Guard.PARTY,
    ("POST", "/v1/consent-requests/<uuid:request_id>/decline"): Guard.CITIZEN,
    ("POST", "/v1/consents"): Guard.PROOF,
    ("GET", "/v1/consents/<uuid:consent_id>"): Guard.PARTY,
    ("POST", "/v1/withdrawals"): Guard.PROOF,
    ("POST", "/v1/challenges"): Guard.PUBLIC,
    ("POST", "/v1/queries"): Guard.OPERATOR,
    ("GET", "/v1/queries/<uuid:query_id>"): Guard.OPERATOR,
    ("POST", "/v1/queries/<uuid:query_id>/approval"): Guard.OPERATOR,
    ("GET", "/v1/me/report"): Guard.CITIZEN,
    ("GET", "/v1/me/accesses"): Guard.CITIZEN,
    ("GET", "/v1/me/keys"): Guard.CITIZEN,
    ("GET", "/v1/me/contact"): Guard.CITIZEN,
    ("PUT", "/v1/me/contact"): Guard.CITIZEN,
    ("DELETE", "/v1/me/contact"): Guard.CITIZEN,
    ("GET", "/v1/events"): Guard.OPERATOR,
    ("POST", "/v1/resumptions"): Guard.PROOF,
    ("POST", "/v1/keys/revocations"): Guard.PROOF,
    ("POST", "/v1/counter/consents"): Guard.PROOF,
    ("GET", "/v1/ledger/proofs/<int:index>"): Guard.PUBLIC,
    ("GET", "/ledger/checkpoint"): Guard.PUBLIC,
    ("GET", "/ledger/tile/<path:path>"): Guard.PUBLIC,
    ("GET", "/ledger/policy/<name>"): Guard.PUBLIC,
    ("GET", "/healthz"): Guard.PUBLIC,
    ("GET", "/readyz"): Guard.PUBLIC,
    ("POST", "/v1/enrolments"): Guard.PROOF,
    ("GET", "/v1/keys"): Guard.PUBLIC,
    ("GET", "/"): Guard.PUBLIC,
    ("GET", "/openapi.json"): Guard.PUBLIC,
    ("GET", "/docs"): Guard.PUBLIC,
    ("GET", "/docs.css"): Guard.PUBLIC,
}
READ = {"POST", "PUT"}
"""Methods whose requests have a body."""
SIGNED = {Guard.OPERATOR, Guard.CITIZEN, Guard.PARTY}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("app") / "home") as made:
        yield made


def path_of(rule: str) -> str:
    values = {
        "<uuid:request_id>": str(uuid.uuid4()),
        "<uuid:consent_id>": str(uuid.uuid4()),
        "<uuid:query_id>": str(uuid.uuid4()),
        "<int:index>": "0",
        "<path:path>": "0/000.p/4",
    }
    for name, value in values.items():
        rule = rule.replace(name, value)
    return rule


# --- the map ---


def test_the_routes_and_their_guards_are_exactly_these(shared: World) -> None:
    app = create_app(shared.house, PublishingThread(shared.house))
    found = {
        (method, rule.rule): getattr(app.view_functions[rule.endpoint], "guard", None)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert found == ROUTES


@pytest.mark.parametrize(("method", "rule"), [route for route, guard in ROUTES.items() if guard in SIGNED])
def test_an_unsigned_request_to_a_guarded_route_is_401(shared: World, method: str, rule: str) -> None:
    content = {"content": b"{}", "headers": {"Content-Type": kit.JSON}} if method in READ else {}
    reply = httpx.request(method, shared.url + path_of(rule), **content)
    kit.check_problem(reply, 401, "not-signed")
    assert reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "rule"), [route for route, guard in ROUTES.items() if guard in SIGNED])
def test_a_key_of_nobodys_is_401_everywhere(shared: World, method: str, rule: str) -> None:
    before = kit.size(shared.house)
    body = {"any": "thing"} if method in READ else None
    for tag in (TAG_INSTITUTION, "chengxin-citizen"):
        reply = kit.prepare(shared, fresh_key(), method, path_of(rule), body, tag=tag).send()
        assert reply.status_code == 401
        assert kit.name_of(reply) in ("unknown-key", "bad-signature")
    assert kit.size(shared.house) == before


@pytest.mark.parametrize("rule", [rule for (method, rule), guard in ROUTES.items() if guard is Guard.PROOF])
def test_a_route_that_takes_proofs_refuses_what_proves_nothing(shared: World, rule: str) -> None:
    before = kit.size(shared.house)
    reply = httpx.post(shared.url + rule, content=b"{}", headers={"Content-Type": kit.JSON})
    kit.check_problem(reply, 400, "malformed-body")
    assert kit.size(shared.house) == before


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/docs/", "/v1", "/v1/queries/", "/v2/queries", "/ledger", "/metrics", "/ledger/tile/9/x/y"],
)
def test_what_is_not_on_the_map_is_404(shared: World, path: str) -> None:
    kit.check_problem(httpx.get(shared.url + path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/queries"),
        ("OPTIONS", "/v1/queries"),
        ("PUT", "/v1/consents"),
        ("POST", "/healthz"),
        ("GET", "/v1/withdrawals"),
    ],
)
def test_another_method_is_405_and_names_the_right_one(shared: World, method: str, path: str) -> None:
    reply = httpx.request(method, shared.url + path)
    kit.check_problem(reply, 405, "method-not-allowed")
    assert reply.headers["Allow"]


# --- what is signed ---


@pytest.mark.parametrize(
    "target",
    [
        "/v1/%71ueries",
        "/v1/queries%2e",
        "/v1/./queries",
        "/v1/../v1/queries",
        "/v1/queries?",
        "/v1/queries?a=%20",
    ],
)
def test_a_signed_target_with_percent_or_dot_segment_is_refused(shared: World, target: str) -> None:
    """Signed over exactly that target, and sent by hand: clients and proxies would straighten it."""
    before = kit.size(shared.house)
    prepared = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", kit.query_body(str(uuid.uuid4())))
    params = prepared.headers["Signature-Input"].partition("=")[2]
    components = tuple(part.strip('"') for part in params[1 : params.index(")")].split())
    base = signature_base(
        components,
        params,
        "POST",
        shared.url + target,
        prepared.headers["Content-Type"],
        prepared.headers["Content-Digest"],
    )
    signature = base64.b64encode(shared.bank_key.sign(base)).decode()
    prepared.headers["Signature"] = f"sig1=:{signature}:"
    status, body = by_hand(shared, "POST", target, prepared.headers, prepared.content or b"")
    assert status in (400, 404)
    assert b"target-refused" in body or b"not-found" in body
    assert kit.size(shared.house) == before


def by_hand(
    world: World, method: str, target: str, headers: dict[str, str], content: bytes
) -> tuple[int, bytes]:
    """One request over a socket, its target untouched."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"Content-Length: {len(content)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", world.house.settings.port), timeout=10) as conn:
        conn.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        data = b"".join(iter(lambda: conn.recv(65_536), b""))
    return int(data.split(b" ", 2)[1]), data.partition(b"\r\n\r\n")[2]


def test_an_encoded_path_that_reaches_the_view_is_refused_by_its_raw_target(shared: World) -> None:
    """The server decodes %71 to q and finds the route; what was signed is what was sent."""
    prepared = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", kit.query_body(str(uuid.uuid4())))
    status, body = by_hand(shared, "POST", "/v1/%71ueries", prepared.headers, prepared.content or b"")
    assert (status, b"urn:chengxin:problem:target-refused" in body) == (400, True)


def test_a_body_or_digest_changed_on_the_way_is_401(shared: World) -> None:
    before = kit.size(shared.house)
    prepared = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", kit.query_body(str(uuid.uuid4())))
    prepared.content = (prepared.content or b"").replace(b'"02"', b'"03"')
    kit.check_problem(prepared.send(), 401, "bad-signature")
    assert kit.size(shared.house) == before


def test_the_host_header_is_not_believed(shared: World) -> None:
    prepared = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", kit.query_body(str(uuid.uuid4())))
    prepared.headers["Host"] = "elsewhere.cn"
    assert kit.name_of(prepared.send()) == "no-consent"


def test_what_nobody_foresaw_is_500_and_says_nothing(
    shared: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError(kit.PRIVATE)

    monkeypatch.setattr("gateway.query.answer.prepare", fail)
    reply = kit.post_query(shared, kit.query_body(str(uuid.uuid4())))
    kit.check_problem(reply, 500, "internal")
    said = capsys.readouterr()
    assert "request.failed" in said.out + said.err
    assert kit.PRIVATE not in said.out + said.err


def test_an_answer_is_not_to_be_stored_or_framed(shared: World) -> None:
    for path in ("/", "/healthz", "/v1/keys"):
        reply = httpx.get(shared.url + path)
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"
        assert uuid.UUID(reply.headers["X-Request-Id"])
        assert "Set-Cookie" not in reply.headers
