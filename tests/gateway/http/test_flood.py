"""Bad signatures by source address: counted, limited, forgotten, and never at the cost of who signs well."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from gateway.http.app import create_app
from gateway.http.flood import LATELY_MS, WINDOW_MS, Flood, source_address
from gateway.publishing import PublishingThread
from keys.signing import PrivateKey
from tests.gateway import kit
from tests.gateway.world import World, fresh_key, new_world

LIMIT = 5
HERE, THERE, PROXY = "192.0.2.1", "192.0.2.2", "203.0.113.9"


class Clock:
    now = 1_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flood(clock: Clock) -> Flood:
    return Flood(LIMIT, clock, addresses=10, signers=10)


def fill(flood: Flood, address: str = HERE) -> None:
    for _ in range(LIMIT):
        flood.count_bad(address)


# --- counting ---


def test_an_address_is_heard_up_to_the_limit_and_then_for_the_rest_of_the_minute_not(
    flood: Flood, clock: Clock
) -> None:
    for _ in range(LIMIT):
        assert flood.over(HERE) is None
        flood.count_bad(HERE)
    clock.now += 15_000
    assert flood.over(HERE) == 45
    clock.now += 44_999
    assert flood.over(HERE) == 1
    clock.now += 1
    assert flood.over(HERE) is None


def test_one_address_is_not_limited_for_another(flood: Flood) -> None:
    fill(flood, HERE)
    assert flood.over(HERE)
    assert flood.over(THERE) is None


def test_a_clock_that_is_set_back_locks_nobody_out(flood: Flood, clock: Clock) -> None:
    fill(flood)
    clock.now -= 10 * WINDOW_MS
    assert flood.over(HERE) is None


def test_who_was_valid_lately_is_known_by_key_and_address_together(flood: Flood, clock: Clock) -> None:
    flood.count_good(HERE, "key")
    assert flood.lately_valid(HERE, "key")
    assert not flood.lately_valid(THERE, "key")
    assert not flood.lately_valid(HERE, "another")
    clock.now += LATELY_MS
    assert flood.lately_valid(HERE, "key")
    clock.now += 1
    assert not flood.lately_valid(HERE, "key")


def test_what_is_kept_is_bounded_and_the_longest_unseen_is_forgotten(flood: Flood) -> None:
    fill(flood, HERE)
    flood.count_good(HERE, "key")
    for number in range(10):
        flood.count_bad(f"198.51.100.{number}")
        flood.count_good(HERE, f"other-{number}")
    assert flood.over(HERE) is None
    assert not flood.lately_valid(HERE, "key")
    assert (len(flood._windows), len(flood._valid)) == (10, 10)


# --- whose address ---


def address(peer: str, forwarded: str | None = None, trusted: tuple[str, ...] = ()) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    environ = EnvironBuilder(headers=headers, environ_base={"REMOTE_ADDR": peer}).get_environ()
    return source_address(environ, trusted)


def test_ipv6_is_counted_by_the_network_that_one_customer_has() -> None:
    assert address("2001:db8:1:2:aaaa::1") == address("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert address("2001:db8:1:3::1") == "2001:db8:1:3::/64"


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_address() -> None:
    assert address("::ffff:192.0.2.1") == address(HERE) == HERE


def test_a_forwarded_address_counts_only_from_a_proxy_that_is_trusted() -> None:
    assert address(HERE, THERE) == HERE
    assert address(HERE, THERE, (PROXY,)) == HERE
    assert address(PROXY, THERE, (PROXY,)) == THERE


def test_of_forwarded_addresses_only_the_one_that_the_proxy_wrote_counts() -> None:
    assert address(PROXY, f"10.0.0.1, {HERE}, {THERE}", (PROXY,)) == THERE
    assert address(PROXY, f"{THERE}, not an address", (PROXY,)) == PROXY
    assert address(PROXY, None, (PROXY,)) == PROXY


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (f"{THERE}:5678", THERE),
        ("[2001:db8:1:2::7]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::7]", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        (f"[::ffff:{THERE}]:1", THERE),
    ],
)
def test_a_port_behind_a_forwarded_address_is_no_part_of_it(written: str, meant: str) -> None:
    assert address(PROXY, f"{HERE}, {written}", (PROXY,)) == meant


@pytest.mark.parametrize(
    "written", ["unknown", "_hidden", "", f"{THERE}:", f"{THERE}:https", "[2001:db8::1", "[2001:db8::1]443"]
)
def test_what_a_proxy_writes_unreadably_counts_as_the_proxys_own(written: str) -> None:
    assert address(PROXY, f"{HERE}, {written}", (PROXY,)) == PROXY


def test_a_server_that_names_no_peer_is_one_address() -> None:
    assert address("") == ""


# --- at the edge ---


@pytest.fixture
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("flood") / "home", bad_signatures_per_minute=LIMIT) as made:
        yield made


@pytest.fixture
def app(strict: World) -> Flask:
    return create_app(strict.house, PublishingThread(strict.house))


def send(app: Flask, prepared: kit.Prepared, peer: str = HERE) -> tuple[int, str, dict[str, str]]:
    """Status, problem name and headers of a request sent from `peer`."""
    path = urlsplit(prepared.url).path
    with app.test_client() as client:
        reply = client.open(
            path,
            method=prepared.method,
            data=prepared.content,
            headers=prepared.headers,
            environ_base={"REMOTE_ADDR": peer},
            environ_overrides={"RAW_URI": path},
        )
    told = reply.get_json()
    return (
        reply.status_code,
        str(told.get("type", "")).removeprefix("urn:chengxin:problem:"),
        dict(reply.headers),
    )


def query(world: World, key: PrivateKey | None = None) -> kit.Prepared:
    body = kit.query_body(str(uuid.uuid4()))
    return kit.prepare(world, key or world.bank_key, "POST", "/v1/queries", body)


def test_beyond_the_limit_an_address_is_told_when_to_come_again_and_nothing_is_looked_up(
    strict: World, app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(LIMIT):
        assert send(app, query(strict, fresh_key()))[:2] == (401, "unknown-key")

    def never(*_arguments: object) -> None:
        raise AssertionError("an address beyond the limit reaches no key")

    monkeypatch.setattr("gateway.http.guards.authenticate_operator", never)
    capsys.readouterr()
    before = kit.size(strict.house)
    for _ in range(20):
        status, name, headers = send(app, query(strict, fresh_key()))
        assert (status, name) == (429, "too-many-bad-signatures")
        assert 1 <= int(headers["Retry-After"]) <= 60
    said = "".join(capsys.readouterr())
    assert said.count("flood.limited") == 1  # a line a minute, not a line a request
    assert "/v1/queries" not in said
    assert HERE not in said
    assert kit.size(strict.house) == before


def test_who_signed_well_from_that_address_is_still_answered_and_others_from_it_are_not(
    strict: World, app: Flask
) -> None:
    assert send(app, query(strict))[:2] == (403, "no-consent")
    for _ in range(3 * LIMIT):
        send(app, query(strict, fresh_key()))
    assert send(app, query(strict))[:2] == (403, "no-consent")
    assert send(app, query(strict, strict.other_key))[:2] == (429, "too-many-bad-signatures")
    assert send(app, query(strict, strict.other_key), THERE)[:2] == (403, "no-consent")


def test_a_request_that_is_sent_again_does_not_speak_for_its_sender(strict: World, app: Flask) -> None:
    """Whoever copied one request off the wire is no signer, though its signature verifies."""
    copied = query(strict)
    assert send(app, copied, HERE)[0] == 403
    for _ in range(LIMIT):
        assert send(app, copied, THERE)[:2] == (401, "replayed-nonce")
    assert send(app, copied, THERE)[:2] == (429, "too-many-bad-signatures")


def test_proofs_that_do_not_verify_count_like_signatures(strict: World, app: Flask) -> None:
    citizen = strict.citizen(kit.NUMBER)
    asked = strict.ask(citizen)
    forged = strict.wallet.sign_consent(asked.template, fresh_key())
    enrolment = {"citizen_number": kit.NUMBER, "certificate": {}}
    for path, body in (("/v1/consents", forged), ("/v1/enrolments", enrolment)):
        peer = {"/v1/consents": HERE, "/v1/enrolments": THERE}[path]
        bad = kit.prepare(strict, fresh_key(), "POST", path, body)
        for _ in range(LIMIT):
            assert send(app, bad, peer)[0] == 422
        assert send(app, bad, peer)[:2] == (429, "too-many-bad-signatures")


def invented(world: World, path: str) -> kit.Prepared:
    """A well-formed document of a stranger's own, with an id that was never given out."""
    key, consent = fresh_key(), str(uuid.uuid4())
    if path == "/v1/withdrawals":
        body = world.wallet.sign_withdrawal_of(consent, world.house.origin, key)
    else:
        template = world.ask(world.citizen(kit.NUMBER)).template
        body = world.wallet.sign_consent(template, key)
        body["document"]["consent_id"] = consent
    return kit.prepare(world, key, "POST", path, body)


@pytest.mark.parametrize(
    ("path", "refused"),
    [("/v1/consents", (422, "consent-mismatch")), ("/v1/withdrawals", (404, "not-found"))],
)
def test_a_stranger_with_an_invented_id_never_takes_the_lock_and_is_limited(
    strict: World, app: Flask, monkeypatch: pytest.MonkeyPatch, path: str, refused: tuple[int, str]
) -> None:
    bad = invented(strict, path)

    def never(*_arguments: object) -> None:
        raise AssertionError("a stranger holds up nobody")

    monkeypatch.setattr(strict.house.lane, "submit", never)
    for _ in range(LIMIT):
        assert send(app, bad)[:2] == refused
    assert send(app, bad)[:2] == (429, "too-many-bad-signatures")


def test_whatever_is_rejected_of_a_proof_counts_and_a_body_that_is_none_does_not(
    strict: World, app: Flask
) -> None:
    citizen = strict.citizen(kit.NUMBER)
    asked = strict.ask(citizen)
    granted = strict.wallet.sign_consent(asked.template, citizen.key)
    other = strict.wallet.sign_consent(asked.template, citizen.key, without=("repayment",))
    first, again = (kit.prepare(strict, citizen.key, "POST", "/v1/consents", one) for one in (granted, other))
    unread = kit.prepare(strict, citizen.key, "POST", "/v1/consents", granted | {"document": {}})
    for _ in range(2 * LIMIT):
        assert send(app, unread)[:2] == (400, "malformed-body")
    assert send(app, first)[0] == 201
    for _ in range(LIMIT):
        assert send(app, again)[:2] == (409, "already-answered")
    assert send(app, again)[:2] == (429, "too-many-bad-signatures")


def test_what_is_public_is_never_limited(strict: World, app: Flask) -> None:
    for _ in range(LIMIT):
        send(app, query(strict, fresh_key()))
    with app.test_client() as client:
        for path in ("/healthz", "/v1/keys", "/ledger/checkpoint", "/docs"):
            assert client.get(path, environ_base={"REMOTE_ADDR": HERE}).status_code == 200


def test_the_limit_ends_with_the_minute(strict: World, app: Flask) -> None:
    for _ in range(LIMIT + 1):
        status, _, _ = send(app, query(strict, fresh_key()))
    assert status == 429
    strict.clock.offset += WINDOW_MS
    assert send(app, query(strict))[:2] == (403, "no-consent")
