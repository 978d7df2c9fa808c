"""What the gateway really says is what its API document says: every endpoint, refusals and failures too."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.client.bank import Person
from gateway.client.reply import Refused
from gateway.demo.people import synthetic_uscc
from gateway.housekeeping import keep_house
from gateway.institutions.register import (
    NewInstitution,
    add_institution,
    add_operator,
    set_encryption_key,
    suspend,
)
from keys.sealing import generate_x25519
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.http.conformance import Recorder, check
from tests.gateway.people.life import counter, resume, revoke, second_key
from tests.gateway.query.statutory.kit import COURT, COVERT, Office
from tests.gateway.world import BANK, DAY_MS, Citizen, World, fresh_key, new_world

BODY = {"Content-Type": kit.JSON}


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, recorder: Recorder) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("replies") / "home", wrap=recorder) as made:
        yield made


@pytest.fixture(scope="module")
def told(shared: World, recorder: Recorder) -> dict[str, Any]:
    """The document, once everything below happened."""
    citizen = shared.citizen(kit.NUMBER)
    shared.import_records([kit.loan(), kit.job()])
    consenting(shared, citizen)
    querying(shared, citizen)
    under_a_statute(shared)
    deferred(shared, citizen)
    reading(shared, citizen)
    ending(shared)
    refused_at_the_door(shared, citizen)
    failing(shared, citizen)
    document: dict[str, Any] = httpx.get(shared.url + "/openapi.json").json()
    return document


def consenting(world: World, citizen: Citizen) -> None:
    """Asked, looked at, declined, granted, withdrawn; each also in vain."""
    asked = world.ask(citizen)
    path = f"/v1/consent-requests/{asked.request_id}"
    kit.prepare(world, world.bank_key, "GET", path).send()
    kit.citizens_request(world, citizen.key, "GET", path).send()
    kit.prepare(world, world.other_key, "GET", path).send()
    no = {"request_id": asked.request_id, "document_sha256": asked.document_sha256}
    for _ in range(2):
        kit.citizens_request(world, citizen.key, "POST", f"{path}/decline", no).send()
    with world.bank() as bank:
        bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms(purpose="99"))
        bank.request_consent(asked.request_id, Person(kit.NUMBER), world.terms())
    consent = world.consent(citizen)
    for key in (world.bank_key, world.other_key):
        kit.prepare(world, key, "GET", f"/v1/consents/{consent}").send()
    wanted = world.ask(citizen)
    body = world.wallet.sign_consent(wanted.template, citizen.key)
    kit.citizens_request(world, fresh_key(), "POST", "/v1/challenges", {"document": body["document"]}).send()
    forged = world.wallet.sign_consent(wanted.template, fresh_key())
    httpx.post(world.url + "/v1/consents", content=kit.canonical(forged), headers=BODY)
    for _ in range(2):
        world.withdraw(citizen, consent)


def querying(world: World, citizen: Citizen) -> None:
    """Answered, answered again, refused, reused; then answered encrypted."""
    consent = world.consent(citizen, max_uses=2)
    body = kit.query_body(consent)
    assert kit.post_query(world, body).status_code == 200
    kit.post_query(world, body)
    kit.post_query(world, body | {"purpose": "03"})
    kit.post_query(world, kit.query_body(str(uuid.uuid4())))
    private, public = generate_x25519(world.house.random)
    set_encryption_key(world.house, BANK, public)
    with world.bank() as plain:
        plain._encryption_key = private
        assert not isinstance(world.query(consent, plain), Refused)
    kit.post_query(world, kit.query_body(consent))


def under_a_statute(world: World) -> None:
    """Submitted, looked at, approved, denied, collected."""
    office = Office(world)
    request = office.request(COURT)
    office.submit(request)
    office.collect(request)
    office.approve(request)
    office.approve(request)
    office.collect(request)
    office.approve(office.request(COURT))
    denied = office.request(COURT)
    office.submit(denied)
    office.deny(denied)
    office.collect(denied)
    office.collect(office.request(COURT))
    office.answered(COVERT)
    mismatch = {"query_id": str(uuid.uuid4()), "request_sha256": "0" * 64, "decision": "approve"}
    path = f"/v1/queries/{request['query_id']}/approval"
    kit.prepare(world, office.keys["approver"], "POST", path, mismatch).send()


def deferred(world: World, citizen: Citizen) -> None:
    """What a statute deferred is shown once its time has come."""
    world.clock.offset += 400 * DAY_MS
    keep_house(world.house)
    page = kit.citizens_request(world, citizen.key, "GET", "/v1/me/accesses").send().json()
    assert [len(one["joined"]) for one in page["accesses"] if one["type"] == "query.unsealed"] == [2]


def reading(world: World, citizen: Citizen) -> None:
    """A citizen's own lists, and the public log."""
    httpx.get(world.url + "/v1/me/report")
    for path in ("/v1/events", "/v1/events?limit=0"):
        kit.prepare(world, world.bank_key, "GET", path).send()
        httpx.get(world.url + path)
    contact = {"channel": "sms", "address": "+8613800000000", "language": "en"}
    for body in (contact, contact | {"address": "x"}):
        kit.citizens_request(world, citizen.key, "PUT", "/v1/me/contact", body).send()
    for method in ("GET", "DELETE"):
        kit.citizens_request(world, citizen.key, method, "/v1/me/contact").send()
        httpx.request(method, world.url + "/v1/me/contact")
    for path in ("/v1/me/report", "/v1/me/accesses", "/v1/me/accesses?after=2", "/v1/me/accesses?after=x"):
        kit.citizens_request(world, citizen.key, "GET", path).send()
    for path in (
        f"/ledger/policy/{world.house.policy_hash}",
        "/ledger/policy/none",
        "/",
        "/healthz",
        "/readyz",
        "/docs",
        "/docs.css",
        "/v1/keys",
        "/ledger/checkpoint",
        "/v1/ledger/proofs/0",
        "/v1/ledger/proofs/999999",
        "/ledger/tile/0/000.p/1",
        "/ledger/tile/7/x",
        "/ledger/tile/entries/000.p/1",
    ):
        httpx.get(world.url + path)
    kit.prepare(world, world.bank_key, "GET", "/ledger/tile/entries/000.p/1").send()


def ending(world: World) -> None:
    """Keys revoked, consents suspended, resumed and withdrawn at the counter; each also in vain."""
    first = world.citizen(kit.person(6))
    consent = world.consent(first)
    second = second_key(world, first)
    assert isinstance(second.client.keys(), dict)
    revoke(world, second, first, "refused")
    revoke(world, second, first, "compromised")
    first.client.keys()
    resume(world, second, consent)
    resume_again = world.wallet.sign_resumption(consent, 1, world.house.origin, second.key)
    second.client.resume(resume_again)
    desk = counter(world)
    desk.consents(first.number)
    desk.consents(kit.person(7))
    desk.withdraw(first.number, consent)
    desk.revoke(first.number, "lost")


def refused_at_the_door(world: World, citizen: Citizen) -> None:
    """Not signed, badly signed, unknown, replayed, not of the form, too large."""
    posts = {
        "/v1/queries": kit.query_body(str(uuid.uuid4())),
        f"/v1/queries/{uuid.uuid4()}/approval": {},
        "/v1/consent-requests": {},
        f"/v1/consent-requests/{uuid.uuid4()}/decline": {},
        "/v1/consents": {},
        "/v1/withdrawals": {},
        "/v1/keys/revocations": {},
        "/v1/resumptions": {},
        "/v1/counter/consents": {},
        "/v1/challenges": {},
        "/v1/enrolments": {"citizen_number": kit.NUMBER, "certificate": {}},
    }
    for path, body in posts.items():
        httpx.post(world.url + path, content=kit.canonical(body), headers=BODY)
        httpx.post(world.url + path, content=b"{", headers={"Content-Type": "text/plain"})
        httpx.post(world.url + path, content=b"0" * 70_000, headers=BODY)
        kit.prepare(world, fresh_key(), "POST", path, body).send()
        kit.prepare(world, world.bank_key, "POST", path, {"more": 1}).send()
    replayed = kit.prepare(world, world.bank_key, "POST", "/v1/queries", posts["/v1/queries"])
    replayed.send()
    kit.name_of(replayed.send())
    stale = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{uuid.uuid4()}", created_ms=0)
    stale.send()
    again = world.registrar.certify(world.house.origin, citizen.number, fresh_key(), world.clock())
    assert again != citizen.certificate
    citizen.client.enrol(again, citizen.number)


def failing(world: World, citizen: Citizen) -> None:
    """Quotas used up, suspended operators, answers that cannot be delivered."""
    institution = synthetic_uscc(31)
    add_institution(world.house, NewInstitution(institution, "另一测试银行", "finance", ("query",)))
    key = fresh_key()
    operator, _ = add_operator(world.house, institution, parse_public_jwk(key.jwk), ["query"])
    with world.bank(key) as bank:
        consent = world.consent(citizen, bank)
        spoil_keys(world, institution)
        kit.post_query(world, kit.query_body(consent), key)
        suspend(world.house, "operator", operator, "test")
        world.query(consent, bank)


def spoil_keys(world: World, institution: str) -> None:
    """Register an encryption key, then take its row away as an insider would."""
    _, public = generate_x25519(world.house.random)
    entry = set_encryption_key(world.house, institution, public)
    kit.insider(world.house, "DELETE FROM published_keys WHERE changed_index = ?", [entry.index])


def test_every_reply_is_as_the_document_says(told: dict[str, Any], recorder: Recorder) -> None:
    assert len(recorder.exchanges) > 100
    for exchange in list(recorder.exchanges):
        if exchange.operation is not None:
            check(told, exchange)


def test_every_success_of_every_operation_was_seen(told: dict[str, Any], recorder: Recorder) -> None:
    """So that the check above is about all of them."""
    seen = Counter((exchange.operation, exchange.status) for exchange in recorder.exchanges)
    for path, item in told["paths"].items():
        for method, operation in item.items():
            for status in operation["responses"]:
                if int(status) < 300:
                    assert seen[(method.upper(), path), int(status)], (method, path, status)


def test_every_operation_that_can_refuse_was_seen_to(told: dict[str, Any], recorder: Recorder) -> None:
    refused = {exchange.operation for exchange in recorder.exchanges if exchange.status >= 400}
    for path, item in told["paths"].items():
        for method, operation in item.items():
            if any(400 <= int(status) < 500 for status in operation["responses"]):
                assert (method.upper(), path) in refused, (method, path)


def test_an_answer_that_cannot_be_encrypted_is_never_given_in_clear(
    told: dict[str, Any], recorder: Recorder
) -> None:
    [late] = [
        exchange
        for exchange in recorder.exchanges
        if exchange.status == 503 and b"problem:undelivered" in exchange.body
    ]
    assert late.operation == ("POST", "/v1/queries")
    assert b"records" not in late.body
    assert told["paths"]["/v1/queries"]["post"]["responses"]["503"]
