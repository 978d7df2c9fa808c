"""What an adversary's reading of part 1 found, each attack as it was carried out."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from gateway.client.bank import Person
from gateway.client.reply import Refused
from gateway.deadlines import ReadDeadlines
from gateway.institutions.register import suspend
from gateway.people.subjects import number_lookups
from gateway.rotation.versions import newest
from keys.canonical import parse_canonical
from keys.instant import format_instant
from tests.gateway.kit import (
    NUMBER,
    OTHER_NUMBER,
    check_refused,
    citizens_request,
    insider,
    leaves,
    loan,
    name_of,
    of_type,
    person,
    post_query,
    prepare,
    query_body,
    size,
    together,
)
from tests.gateway.world import BANK, World, fresh_key, new_world

NEWLINE = {
    "query_id": lambda: f"{uuid.uuid4()}\n",
    "purpose": lambda: "02\n",
    "categories": lambda: ["loan\n"],
    "answer": lambda: "report\n",
    "consent_id": lambda: f"{uuid.uuid4()}\n",
}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("review") / "home") as made:
        yield made


def test_final_newline_in_a_query_cannot_stop_the_batch_it_shares(world: World) -> None:
    """`$` matches before a final newline: such an id passed the body's check and failed as a leaf, under the
    lock, taking every other bank's query of the same commit with it."""
    citizen = world.citizen(NUMBER)
    world.import_records([loan()])
    consent = world.consent(citizen, max_uses=10)
    before = size(world.house)
    for name, value in NEWLINE.items():
        assert name_of(post_query(world, query_body(consent, **{name: value()}))) == "malformed-body"
    assert size(world.house) == before
    bad = [lambda: post_query(world, query_body(consent, query_id=f"{uuid.uuid4()}\n"))] * 4
    good = [lambda: post_query(world, query_body(consent))] * 4
    assert [response.status_code for response in together(*bad, *good)] == [400] * 4 + [200] * 4


def test_final_newline_in_a_consent_request_is_malformed(world: World) -> None:
    for name, value in (("request_id", f"{uuid.uuid4()}\n"), ("purpose", "02\n"), ("categories", ["loan\n"])):
        body = _request(world) | {name: value}
        response = prepare(world, world.bank_key, "POST", "/v1/consent-requests", body).send()
        assert name_of(response) == "malformed-body"


def test_index_of_citizen_numbers_swapped_enrols_nobody_as_another(world: World) -> None:
    """An insider with the database alone points an accomplice's number at the victim, whose key, report and
    consents would then be the accomplice's."""
    world.import_records([loan(NUMBER, "V-1"), loan(OTHER_NUMBER, "A-1")])
    victim, accomplices = _subject(world, NUMBER), _subject(world, OTHER_NUMBER)
    for number, subject in ((OTHER_NUMBER, bytes(16)), (NUMBER, accomplices), (OTHER_NUMBER, victim)):
        lookup = newest(number_lookups(world.house.custody, number))[0]
        insider(world.house, "UPDATE subject_index SET subject = ? WHERE value = ?", (subject, lookup))
    accomplice = world.citizen(OTHER_NUMBER, enrol=False)
    body = {"citizen_number": OTHER_NUMBER, "certificate": parse_canonical(accomplice.certificate)}
    response = citizens_request(world, accomplice.key, "POST", "/v1/enrolments", body).send()
    assert name_of(response) == "evidence-damaged"
    assert not of_type(world.house, "subject.enrolled")


def test_a_row_of_no_hash_refuses_its_own_query_alone(world: World) -> None:
    """Text in the place of a revision's hash broke the commitment, and with it the whole batch."""
    spoiled, sound = world.citizen(NUMBER), world.citizen(OTHER_NUMBER)
    world.import_records([loan(NUMBER, "S-1")])
    insider(world.house, "UPDATE records SET revision_hash = 'x'")
    world.import_records([loan(OTHER_NUMBER, "S-2")])
    bad, good = world.consent(spoiled), world.consent(sound)
    refused, answered = together(lambda: world.query(bad), lambda: world.query(good))
    check_refused(world, refused, "evidence-broken")
    assert answered.answer["records"]["loan"]


def test_a_suspended_bank_cannot_have_its_earlier_request_told_again(world: World) -> None:
    body = _request(world)
    first = prepare(world, world.bank_key, "POST", "/v1/consent-requests", body).send()
    again = prepare(world, world.bank_key, "POST", "/v1/consent-requests", body).send()
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    suspend(world.house, "institution", BANK, "harvesting")
    refused = prepare(world, world.bank_key, "POST", "/v1/consent-requests", body).send()
    assert name_of(refused) == "institution-suspended"
    assert leaves(world.house)[-1].type == "query.refused"


def test_a_client_that_dribbles_its_request_is_cut_off_and_still_answered() -> None:
    """Forty such clients held every thread of the server, for ever and without a signature."""
    deadlines = ReadDeadlines(0.05)
    server, client = socket.socketpair()
    with server, client, deadlines.reading(server):
        client.sendall(b"POST /v1/consents HTTP/1.1\r\n")
        assert server.recv(100)
        deadlines.end_overdue()
        server.settimeout(0.01)
        with pytest.raises(TimeoutError):
            server.recv(1)  # not due yet
        server.settimeout(5)
        time.sleep(0.06)
        deadlines.end_overdue()
        assert server.recv(1) == b""
        server.sendall(b"HTTP/1.1 400 BAD REQUEST\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_a_request_that_came_in_time_is_left_alone() -> None:
    deadlines = ReadDeadlines(0.0)
    server, client = socket.socketpair()
    with server, client:
        with deadlines.reading(server):
            pass
        deadlines.end_overdue()
        client.sendall(b"the next request")
        assert server.recv(100) == b"the next request"


def test_a_bank_cannot_sign_its_own_request_to_learn_who_is_enrolled(world: World) -> None:
    """The bank has the document; sent back under a key of its own it told enrolled persons from all others,
    without a leaf."""
    world.citizen(NUMBER)
    world.import_records([loan(OTHER_NUMBER, "K-1")])
    told = []
    for number in (NUMBER, OTHER_NUMBER, person(7)):
        asked = world.bank().request_consent(str(uuid.uuid4()), Person(number), world.terms())
        assert not isinstance(asked, Refused)
        body = world.wallet.sign_consent(asked.template, fresh_key())
        told.append(httpx.post(f"{world.url}/v1/consents", json=body))
    assert {name_of(response) for response in told} == {"bad-certificate"}
    assert len({response.content for response in told}) == 1


def _request(world: World) -> dict[str, object]:
    terms = world.terms()
    return {
        "request_id": str(uuid.uuid4()),
        "person": {"citizen_number": NUMBER},
        "purpose": "02",
        "categories": ["loan", "repayment"],
        "answer": "report",
        "not_before": format_instant(terms.not_before),
        "not_after": format_instant(terms.not_after),
        "max_uses": 1,
        "retention_days": 30,
        "language": "en",
    }


def _subject(world: World, number: str) -> bytes:
    lookup = newest(number_lookups(world.house.custody, number))[0]
    found = insider(world.house, "SELECT subject FROM subject_index WHERE value = ?", (lookup,))
    return bytes(found[0][0])


# --- of what is remembered between queries ---


def _two_answered(world: World) -> tuple[str, str]:
    """Two consents of two persons, each answered once, so that what they rest on is remembered."""
    consents = []
    for number in (NUMBER, OTHER_NUMBER):
        world.import_records([loan(number, f"R-{number}")])
        consents.append(world.consent(world.citizen(number), max_uses=10))
        assert not isinstance(world.query(consents[-1]), Refused)
    return consents[0], consents[1]


def test_a_link_key_that_breaks_later_refuses_its_own_query_alone(world: World) -> None:
    """It failed only once the answer's leaf was made, and took the whole batch with it, unledgered."""
    spoiled, sound = _two_answered(world)
    subject = _subject(world, NUMBER)
    insider(
        world.house, "UPDATE data_keys SET wrapped = x'00' WHERE klass = 'link' AND subject = ?", (subject,)
    )
    before = size(world.house)
    refused, answered = together(lambda: world.query(spoiled), lambda: world.query(sound))
    check_refused(world, refused, "evidence-broken")
    assert answered.answer["records"]["loan"]
    assert size(world.house) == before + 2


def test_a_grant_of_another_log_is_no_consent_and_is_recorded(world: World) -> None:
    """The look-up saw the row and the lock did not: eight times round, 503, and no leaf."""
    spoiled, _ = _two_answered(world)
    insider(world.house, "UPDATE grants SET shard = -1 WHERE consent = ?", (spoiled,))
    check_refused(world, world.query(spoiled), "no-consent")


def test_without_the_decoy_ones_own_consent_is_still_answered(world: World) -> None:
    own, _ = _two_answered(world)
    decoy = world.house.decoy.subject
    insider(world.house, "DELETE FROM data_keys WHERE subject = ? AND klass = 'link'", (decoy,))
    world.house.known = type(world.house.known)()
    assert not isinstance(world.query(own), Refused)


def test_text_in_the_place_of_a_ciphertext_breaks_its_own_look_up_alone(world: World) -> None:
    spoiled, sound = _two_answered(world)
    insider(world.house, "UPDATE grants SET document = 'x' WHERE consent = ?", (spoiled,))
    world.house.known = type(world.house.known)()
    refused, answered = together(lambda: world.query(spoiled), lambda: world.query(sound))
    check_refused(world, refused, "evidence-broken")
    assert answered.answer["records"]["loan"]


def test_a_key_that_was_refused_is_read_anew(world: World) -> None:
    """What is remembered of an operator's key outlived the row that it was read from."""
    own, _ = _two_answered(world)
    insider(world.house, "DELETE FROM operators WHERE kid = ?", (world.bank_key.kid,))
    assert post_query(world, query_body(own)).status_code == 403
    assert name_of(post_query(world, query_body(own))) == "unknown-key"
