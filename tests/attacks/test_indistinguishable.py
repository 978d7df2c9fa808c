"""Attack: a bank asks at random to learn who exists, who has consented, and to whom.

An unknown person, an absent consent and another bank's consent must look the same: in content, and in what
the gateway does meanwhile, since doing less is what a clock would show.

Compared, case by case, over HTTP against a real server:

- the response: status, headers in their order, body. Masked by name, their lengths kept, are only the
  members of `_RANDOM` below (ids, nonces and salts that are random or the caller's own, and where the entry
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from consent.decision import Reason
from gateway.consents import request as request_module
from gateway.demo.people import Born, synthetic_people
from gateway.evidence import EvidenceCache
from gateway.keyring import LINK
from gateway.people.subjects import Subject, number_lookup
from gateway.query import lookup
from gateway.query.request import Found
from gateway.records.rows import Record
from gateway.tables import grants, subject_index
from keys.canonical import canonical, parse_canonical, unb64u
from keys.instant import format_instant
from tests.attacks.trace import Step, Tracer
from tests.gateway.kit import prepare
from tests.gateway.world import DAY_MS, SOURCE, World

_RANDOM = frozenset(
    {
        "query_id",
        "request_id",
        "consent_id",
        "document_sha256",  # of a document with a random id and nonce
        "case_ref_sha256",  # salted with the document's nonce
        "nonce",
        "index",
        "leaf",
        "at",
    }
)
"""Members that differ between any two requests, about whomever they are."""

_HEADERS = frozenset({"date", "x-request-id"})

_PEOPLE = [
    one
    for one in synthetic_people(29, [Born(40, date(2025, 6, 1))] * 700)
    if len(one.name) == 3  # so that a body about one person is as long as about another
]
_NEXT = count()


def person() -> Any:
    """Somebody nobody has heard of."""
    return _PEOPLE[next(_NEXT)]


@pytest.fixture(scope="module")
def world(world: World) -> World:
    """The gateway with a hundred people, so that every index of the tests has three digits."""
    assert world.import_records([_record(person()) for _ in range(100)]).accepted == 100
    return world


@pytest.fixture(scope="module")
def tracer(world: World) -> Iterator[Tracer]:
    with pytest.MonkeyPatch.context() as patch:
        yield Tracer(world.house.engine, patch)


def _record(one: Any) -> Record:
    fields = {"purpose": "education", "amount": 2096, "currency": "DEM", "duration_months": 12}
    day, reference = date(2020, 1, 2), f"R-{one.citizen_number}"
    return Record(2, one.citizen_number, one.name, "loan", SOURCE, reference, day, None, None, False, fields)


@dataclass(frozen=True)
class Got:
    """One HTTP response, headers in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def _send(world: World, method: str, path: str, body: object = None) -> Got:
    reply = prepare(world, world.bank_key, method, path, body).send()
    headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in reply.headers.raw]
    return Got(reply.status_code, headers, reply.content)


# --- the queries ---


def absent(_: World) -> str:
    """A consent that was never given: a random id."""
    return str(uuid.uuid4())


def anothers(world: World) -> str:
    """A live consent, given to another bank by somebody with records."""
    one = person()
    world.import_records([_record(one)])
    return world.consent(world.citizen(one.citizen_number), world.bank(world.other_key))


def anothers_withdrawn(world: World) -> str:
    """A consent that was given to another bank and taken back."""
    citizen = world.citizen(person().citizen_number)
    consent = world.consent(citizen, world.bank(world.other_key))
    world.withdraw(citizen, consent)
    return consent


def only_asked_for(world: World) -> str:
    """What this bank asked for and nobody has answered."""
    citizen = world.citizen(person().citizen_number)
    return str(world.ask(citizen).consent_id)


def nobody_is_named(_: World) -> dict[str, object]:
    return {}


def unknown_person_is_named(_: World) -> dict[str, object]:
    return {"person_check": {"citizen_number": person().citizen_number}}


def unknown_person_is_named_in_full(_: World) -> dict[str, object]:
    one = person()
    return {"person_check": {"citizen_number": one.citizen_number, "name": one.name}}


def known_person_is_named(world: World) -> dict[str, object]:
    one = person()
    world.import_records([_record(one)])
    return {"person_check": {"citizen_number": one.citizen_number}}


def known_person_is_named_in_full(world: World) -> dict[str, object]:
    one = person()
    world.import_records([_record(one)])
    world.citizen(one.citizen_number)
    return {"person_check": {"citizen_number": one.citizen_number, "name": one.name}}


_CONSENTS = (absent, anothers, anothers_withdrawn, only_asked_for)
_CHECKS = {
    "without a person": (nobody_is_named,),
    "with a number": (unknown_person_is_named, known_person_is_named),
    "with number and name": (unknown_person_is_named_in_full, known_person_is_named_in_full),
}

Case = Callable[[], Got]


@pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
@pytest.mark.parametrize("check", list(_CHECKS))
def test_a_query_cannot_tell_nobody_from_anothers(
    world: World, tracer: Tracer, check: str, cold: bool
) -> None:
    cases = [_query(world, consent(world), named(world)) for consent in _CONSENTS for named in _CHECKS[check]]
    seen = _observe(world, tracer, cases, cold)
    assert seen[0].status == 403
    assert seen[0].body["type"].endswith(Reason.NO_CONSENT.value)
    for other in seen[1:]:
        assert other.differs(seen[0]) == []


def _query(world: World, consent: str, check: dict[str, object]) -> Case:
    def ask() -> Got:
        body = {
            "query_id": str(uuid.uuid4()),
            "consent_id": consent,
            "purpose": "02",
            "categories": ["loan", "repayment"],
            "answer": "report",
        } | check
        return _send(world, "POST", "/v1/queries", body)

    return ask


# --- requests for consent ---


def unknown(_: World) -> Any:
    return person()


def imported(world: World) -> Any:
    one = person()
    world.import_records([_record(one)])
    return one


def enrolled(world: World) -> Any:
    one = imported(world)
    world.citizen(one.citizen_number)
    return one


def enrolled_with_consents(world: World) -> Any:
    """Somebody who gave this very bank what it asks for again."""
    one = imported(world)
    world.consent(world.citizen(one.citizen_number))
    return one


_PERSONS = (unknown, imported, enrolled, enrolled_with_consents)


@pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
@pytest.mark.parametrize(
    ("categories", "status"),
    [(["loan", "repayment"], 201), (["honour", "loan", "repayment"], 403)],
    ids=["recorded", "refused"],
)
@pytest.mark.parametrize("named", [False, True], ids=["number", "number and name"])
def test_a_request_for_consent_cannot_tell_who_is_known(
    world: World, tracer: Tracer, named: bool, categories: list[str], status: int, cold: bool
) -> None:
    at = world.clock()
    cases = [_request(world, make(world), at, categories, named) for make in _PERSONS]
    seen = _observe(world, tracer, cases, cold)
    assert seen[0].status == status
    for other in seen[1:]:
        assert other.differs(seen[0]) == []


def _request(world: World, one: Any, at: int, categories: list[str], named: bool) -> Case:
    def ask() -> Got:
        body = {
            "request_id": str(uuid.uuid4()),
            "person": {"citizen_number": one.citizen_number} | ({"name": one.name} if named else {}),
            "purpose": "02",
            "categories": categories,
            "answer": "report",
            "not_before": format_instant(at),
            "not_after": format_instant(at + 30 * DAY_MS),
            "max_uses": 1,
            "retention_days": 30,
            "language": "zh-CN",
        }
        return _send(world, "POST", "/v1/consent-requests", body)

    return ask


# --- looking at one ---


def test_looking_at_a_consent_cannot_tell_nobodys_from_anothers(world: World, tracer: Tracer) -> None:
    cases = [_look(world, f"/v1/consents/{make(world)}") for make in (absent, anothers, anothers_withdrawn)]
    seen = _observe(world, tracer, cases, cold=True)
    assert seen[0].status == 404
    assert seen[1].differs(seen[0]) == []
    assert seen[2].differs(seen[0]) == []


def test_looking_at_a_request_cannot_tell_nobodys_from_anothers(world: World, tracer: Tracer) -> None:
    citizen = world.citizen(person().citizen_number)
    theirs = world.ask(citizen, world.bank(world.other_key)).request_id
    cases = [_look(world, f"/v1/consent-requests/{one}") for one in (uuid.uuid4(), theirs)]
    seen = _observe(world, tracer, cases, cold=True)
    assert seen[0].status == 404
    assert seen[1].differs(seen[0]) == []


def _look(world: World, path: str) -> Case:
    return lambda: _send(world, "GET", path)


# --- what is compared ---


class Seen:
    """One request as an observer sees it: response, trace and log, masked as the docstring says."""

    def __init__(self, got: Got, steps: list[Step], logged: list[Any]) -> None:
        self.status = got.status
        self.headers = [
            (name, "*" * len(value) if name.lower() in _HEADERS else value) for name, value in got.headers
        ]
        self.body = parse_canonical(got.body)
        assert canonical(self.body) == got.body
        self.masked = canonical(_masked(self.body))
        self.steps = steps
        self.logged = [
            {name: value for name, value in event.items() if name not in ("request_id", "ms")}
            for event in logged
        ]

    def differs(self, other: Seen) -> list[str]:
        """In what two differ, by name."""
        names = ("status", "headers", "masked", "steps", "logged")
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def __repr__(self) -> str:
        return f"Seen({self.status}, {self.headers}, {self.masked!r}, {len(self.steps)} steps, {self.logged})"


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mask(name, member) for name, member in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list) else value


def _mask(name: str, member: Any) -> Any:
    if name == "receipt":
        header, payload, signature = member.split(".")
        return [header, _masked(parse_canonical(unb64u(payload))), len(signature)]
    return "*" * len(str(member)) if name in _RANDOM else _masked(member)


def _observe(world: World, tracer: Tracer, cases: list[Case], cold: bool) -> list[Seen]:
    """Each case as it is seen, all with caches in the same state."""
    for case in cases:
        case()
    seen = []
    for case in cases:
        if cold:
            world.house.evidence = EvidenceCache(world.house.origin)
            world.house.registrars.clear()
        with tracer.record() as steps, capture_logs() as logged:
            got = case()
        assert any(step[0] == "commit" for step in steps)
        seen.append(Seen(got, steps, list(logged)))
    return seen


# --- the comparison can fail ---


def test_the_trace_of_a_cold_query_holds_every_kind_of_step(world: World, tracer: Tracer) -> None:
    case = _query(world, absent(world), unknown_person_is_named_in_full(world))
    [seen] = _observe(world, tracer, [case], cold=True)
    names = {name for name, _ in seen.steps}
    assert names >= {"begin", "commit", "sha256", "hmac", "compare", "aes-gcm.decrypt"}
    assert names >= {"aes-gcm.encrypt", "ed25519.verify", "ed25519.sign", "json.read", "json.write"}
    assert sum(name.startswith("SELECT") for name in names) >= 8
    # The request's signature, two officers' certificates and two of theirs, the citizen's.
    assert sum(name == "ed25519.verify" for name, _ in seen.steps) == 6


def test_a_look_up_that_returns_early_for_an_absent_consent_is_detected(
    world: World, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thorough = lookup._find

    def hasty(house: Any, conn: sa.Connection, query: Any, signer: Any) -> Found:
        there = conn.scalar(sa.select(grants.c.consent).where(grants.c.consent == query.consent_id))
        if there is not None:
            return thorough(house, conn, query, signer)
        decoy = house.decoy
        return Found(house.random(16), decoy.subject, decoy.consent, None, b"", 0, None, False)

    monkeypatch.setattr(lookup, "_find", hasty)
    cases = [_query(world, make(world), {}) for make in (absent, anothers)]
    nobodys, theirs = _observe(world, tracer, cases, cold=False)
    assert nobodys.differs(theirs) == ["steps"]


def test_a_proof_that_is_verified_only_where_there_is_one_is_detected(
    world: World, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements, and the signatures of the decoy left unverified when the consent is absent."""
    thorough = lookup._verify
    consent = anothers(world)
    absent_now = [True]

    def hasty(*args: Any, **kwargs: Any) -> Any:
        if not absent_now[0]:
            world.house.evidence = EvidenceCache(world.house.origin)
        return thorough(*args, **kwargs)

    def ask(it: str) -> Case:
        def case() -> Got:
            absent_now[0] = it != consent
            return _query(world, it, {})()

        return case

    monkeypatch.setattr(lookup, "_verify", hasty)
    nobodys, theirs = _observe(world, tracer, [ask(absent(world)), ask(consent)], cold=False)
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
        value = number_lookup(house.custody, number)
        if conn.scalar(sa.select(index.subject).where(index.value == value)) is not None:
            return thorough(house, conn, number)
        return Subject(b"", b"", house.keyring.fresh(b"", LINK)[0], False)

    monkeypatch.setattr(request_module, "find_by_number", hasty)
    at = world.clock()
    cases = [_request(world, make(world), at, ["loan", "repayment"], False) for make in (unknown, imported)]
    nobody, somebody = _observe(world, tracer, cases, cold=False)
    assert nobody.differs(somebody) == ["steps"]


def test_a_word_more_in_a_body_a_header_or_a_receipt_is_detected(world: World, tracer: Tracer) -> None:
    [seen] = _observe(world, tracer, [_query(world, absent(world), {})], cold=False)
    members = parse_canonical(unb64u(seen.body["receipt"].split(".")[1]))
    assert _masked(seen.body) != _masked(seen.body | {"hint": "there is one, but it is another bank's"})
    assert members["reason"] == "no-consent"
    assert _masked(members) != _masked(members | {"reason": "withdrawn"})
    assert _masked(members) != _masked(members | {"index": members["index"] * 10})
    longer = Got(seen.status, [*seen.headers, ("X-Known", "yes")], canonical(seen.body))
    assert seen.differs(Seen(longer, seen.steps, seen.logged)) == ["headers"]
