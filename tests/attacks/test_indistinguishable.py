"""Attack: a bank asks at random to learn who exists, who has consented, and to whom.

An unknown person, an absent consent and another bank's consent must look the same: in content, and in what
the gateway does meanwhile, since doing less is what a clock would show.

Compared, case by case, over HTTP against a real server:

- the response: status, headers in their order, body. Masked by name, their lengths kept, are only the
  members of `seen.RANDOM` (ids, nonces and salts that are random or the caller's own, and where the entry
  stands in the ledger), and of the headers `Date` and `X-Request-Id`. In a receipt the same members are
  masked, and the signature. Everything else is equal to the byte, `Content-Length` included.
- the trace (`trace`): the text of every statement on every connection with the number of its parameters,
  begins, commits and savepoints, and every call of a primitive with the sizes of what goes in and out.
  Nothing is masked in it. What is drawn at random is not in it but where it is used.
- the log lines, without the request's id and its duration.

What is not compared: how many rows a statement finds, and what the ledger says to those who may read it. The
person's own list shows the attempts that a bank made with their consent's id; that is meant.

Caches are treated alike: each comparison is made cold, with the verified evidence forgotten before each
request, and warm, after one request of each case.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from consent.decision import Reason
from gateway.client.statutory import Order, Waiting
from gateway.consents import request as request_module
from gateway.evidence import EvidenceCache
from gateway.http.pending import request_sha256
from gateway.keyring import LINK
from gateway.people.subjects import Subject, number_lookups
from gateway.query import lookup
from gateway.query.request import Found
from gateway.rotation.versions import newest
from gateway.tables import grants, subject_index
from keys.canonical import canonical, parse_canonical, unb64u
from tests.attacks import cases as c
from tests.attacks.seen import Case, Got, Seen, masked, observe, send
from tests.attacks.trace import Step, Tracer
from tests.gateway.query.statutory.kit import COURT, COVERT, Office
from tests.gateway.world import World


@pytest.fixture(scope="module")
def world(world: World) -> World:
    """The gateway with a hundred people, so that every index of the tests has three digits."""
    assert world.import_records([c.record(c.person()) for _ in range(100)]).accepted == 100
    return world


@pytest.fixture(scope="module")
def tracer(world: World) -> Iterator[Tracer]:
    with pytest.MonkeyPatch.context() as patch:
        yield Tracer(world.house.engine, patch)


_QUERIES = {
    "without a person": [
        (c.absent, c.nobody_is_named),
        (c.anothers, c.nobody_is_named),
        (c.anothers_withdrawn, c.nobody_is_named),
        (c.only_asked_for, c.nobody_is_named),
    ],
    "with a number": [
        (c.absent, c.unknown_person_is_named),
        (c.absent, c.known_person_is_named),
        (c.anothers, c.unknown_person_is_named),
        (c.anothers_withdrawn, c.known_person_is_named),
    ],
    "with number and name": [
        (c.absent, c.unknown_person_is_named_in_full),
        (c.absent, c.known_person_is_named_in_full),
        (c.anothers, c.known_person_is_named_in_full),
        (c.only_asked_for, c.unknown_person_is_named_in_full),
    ],
}


@pytest.mark.parametrize("named", list(_QUERIES))
def test_a_query_cannot_tell_nobody_from_anothers(world: World, tracer: Tracer, named: str) -> None:
    cases = [c.query(world, consent(world), check(world)) for consent, check in _QUERIES[named]]
    for cold in (True, False):
        seen = observe(world, tracer, cases, cold=cold)
        assert seen[0].status == 403
        assert seen[0].body["type"].endswith(Reason.NO_CONSENT.value)
        for other in seen[1:]:
            assert other.differs(seen[0]) == []


_PERSONS = (c.unknown, c.imported, c.enrolled_without_records, c.enrolled, c.enrolled_with_consents)


@pytest.mark.parametrize(
    ("categories", "status"),
    [(["loan", "repayment"], 201), (["honour", "loan", "repayment"], 403)],
    ids=["recorded", "refused"],
)
@pytest.mark.parametrize("named", [False, True], ids=["number", "number and name"])
def test_a_request_for_consent_cannot_tell_who_is_known(
    world: World, tracer: Tracer, named: bool, categories: list[str], status: int
) -> None:
    at = world.clock()
    cases = [c.request(world, make(world), at, categories, named) for make in _PERSONS]
    for cold in (True, False):
        seen = observe(world, tracer, cases, cold=cold)
        assert seen[0].status == status
        for other in seen[1:]:
            assert other.differs(seen[0]) == []


def test_looking_at_a_consent_cannot_tell_nobodys_from_anothers(world: World, tracer: Tracer) -> None:
    makes = (c.absent, c.anothers, c.anothers_withdrawn)
    cases = [c.look(world, f"/v1/consents/{make(world)}") for make in makes]
    seen = observe(world, tracer, cases, cold=True)
    assert seen[0].status == 404
    for other in seen[1:]:
        assert other.differs(seen[0]) == []


def test_looking_at_a_request_cannot_tell_nobodys_from_anothers(world: World, tracer: Tracer) -> None:
    citizen = world.citizen(c.person().citizen_number)
    theirs = world.ask(citizen, world.bank(world.other_key)).request_id
    cases = [c.look(world, f"/v1/consent-requests/{one}") for one in (uuid.uuid4(), theirs)]
    nobodys, anothers = observe(world, tracer, cases, cold=True)
    assert nobodys.status == 404
    assert anothers.differs(nobodys) == []


# --- queries under a statute: before the approval nothing tells who is known, and the approver never learns


@pytest.fixture(scope="module")
def office(world: World) -> Office:
    return Office(world)


@pytest.mark.parametrize("order", [COURT, COVERT], ids=["at once", "deferred"])
@pytest.mark.parametrize("purpose", ["held", "refused"])
@pytest.mark.parametrize("named", [False, True], ids=["number", "number and name"])
def test_a_statutory_submission_cannot_tell_who_is_known(
    world: World, tracer: Tracer, office: Office, named: bool, purpose: str, order: Order
) -> None:
    cases = [
        _submission(world, office, order, make(world), named=named, held=purpose == "held")
        for make in _PERSONS
    ]
    seen = observe(world, tracer, cases, cold=True)
    assert seen[0].status == (202 if purpose == "held" else 403)
    for other in seen[1:]:
        assert other.differs(seen[0]) == []


def _submission(world: World, office: Office, order: Order, one: Any, *, named: bool, held: bool) -> Case:
    def ask() -> Got:
        name = one.name if named else None
        request = office.request(order, one.citizen_number, name=name) | ({} if held else {"purpose": "99"})
        return send(world, "POST", "/v1/queries", request, office.keys["asker"])

    return ask


def test_an_approver_cannot_tell_who_is_known(world: World, tracer: Tracer, office: Office) -> None:
    """Of somebody who is known the records are read, so that the primitives differ; the statements do not."""

    def case(one: Any, name: str) -> Case:
        def approve() -> Got:
            request = office.request(COURT, one.citizen_number, name=name)
            assert isinstance(office.submit(request), Waiting)
            body = {"query_id": request["query_id"], "request_sha256": request_sha256(request)}
            path = f"/v1/queries/{request['query_id']}/approval"
            return send(world, "POST", path, body | {"decision": "approve"}, office.keys["approver"])

        return approve

    people = [make(world) for make in _PERSONS]
    cases = [case(one, name) for one in people for name in (one.name, "另一人")]
    seen = observe(world, tracer, cases, cold=True)
    assert seen[0].status == 200
    for other in seen[1:]:
        assert set(other.differs(seen[0])) <= {"steps"}
        assert [text for text, _ in _statements(other)] == [text for text, _ in _statements(seen[0])]


# --- the comparison can fail ---


def test_the_trace_of_a_cold_query_holds_every_kind_of_step(world: World, tracer: Tracer) -> None:
    case = c.query(world, c.absent(world), c.unknown_person_is_named_in_full(world))
    [seen] = observe(world, tracer, [case], cold=True)
    names = {name for name, _ in seen.steps}
    assert names >= {"begin", "commit", "sha256", "hmac", "compare", "aes-gcm.decrypt"}
    assert names >= {"aes-gcm.encrypt", "ed25519.verify", "ed25519.sign", "json.read", "json.write"}
    assert sum(name.startswith("SELECT") for name in names) >= 8
    # The request's signature, two officers' certificates and two of theirs, the citizen's.
    assert sum(name == "ed25519.verify" for name, _ in seen.steps) == 6


def test_a_look_up_that_returns_early_for_an_absent_consent_is_detected(
    world: World, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thorough = lookup.find

    def hasty(house: Any, wanted: Any) -> list[Found]:
        [one] = wanted
        with house.read() as conn:
            named = grants.c.consent == one.query.consent_id
            there = conn.scalar(sa.select(grants.c.consent).where(named))
        if there is not None:
            return thorough(house, wanted)
        decoy = house.decoy
        nobody = (decoy.subject, decoy.consent, None, b"", 0, None, False, None)
        return [Found(house.random(16), *nobody, rekeyed=house.rekeyed)]

    monkeypatch.setattr(lookup, "find", hasty)
    cases = [c.query(world, make(world), {}) for make in (c.absent, c.anothers)]
    nobodys, theirs = observe(world, tracer, cases, cold=False)
    assert nobodys.differs(theirs) == ["steps"]


def test_a_proof_that_is_verified_only_where_there_is_one_is_detected(
    world: World, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements, and the signatures of the decoy left unverified when the consent is absent."""
    thorough = lookup._verify
    consent = c.anothers(world)
    absent_now = [True]

    def hasty(*args: Any, **kwargs: Any) -> Any:
        if not absent_now[0]:
            world.house.evidence = EvidenceCache(world.house.origin)
        return thorough(*args, **kwargs)

    def ask(it: str) -> Case:
        def case() -> Got:
            absent_now[0] = it != consent
            return c.query(world, it, {})()

        return case

    monkeypatch.setattr(lookup, "_verify", hasty)
    nobodys, theirs = observe(world, tracer, [ask(c.absent(world)), ask(consent)], cold=False)
    assert nobodys.differs(theirs) == ["steps"]
    assert _statements(nobodys) == _statements(theirs)


def _statements(seen: Seen) -> list[Step]:
    return [step for step in seen.steps if " " in step[0]]


def test_a_request_that_opens_no_key_for_an_unknown_person_is_detected(
    world: World, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thorough = request_module.find_by_number

    def hasty(house: Any, conn: sa.Connection, number: str) -> Subject:
        index = subject_index.c
        value = newest(number_lookups(house.custody, number))[0]
        if conn.scalar(sa.select(index.subject).where(index.value == value)) is not None:
            return thorough(house, conn, number)
        return Subject(b"", b"", house.keyring.fresh(b"", LINK)[0], False)

    monkeypatch.setattr(request_module, "find_by_number", hasty)
    at = world.clock()
    cases = [
        c.request(world, make(world), at, ["loan", "repayment"], False) for make in (c.unknown, c.imported)
    ]
    nobody, somebody = observe(world, tracer, cases, cold=False)
    assert nobody.differs(somebody) == ["steps"]


def test_a_word_more_in_a_body_a_header_or_a_receipt_is_detected(world: World, tracer: Tracer) -> None:
    [seen] = observe(world, tracer, [c.query(world, c.absent(world), {})], cold=False)
    members = parse_canonical(unb64u(seen.body["receipt"].split(".")[1]))
    assert masked(seen.body) != masked(seen.body | {"hint": "there is one, but it is another bank's"})
    assert members["reason"] == "no-consent"
    assert masked(members) != masked(members | {"reason": "withdrawn"})
    assert masked(members) != masked(members | {"index": members["index"] * 10})
    longer = Got(seen.status, [*seen.headers, ("X-Known", "yes")], canonical(seen.body))
    assert seen.differs(Seen(longer, seen.steps, seen.logged)) == ["headers"]
