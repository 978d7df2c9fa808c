"""A full run of a gateway, for what it leaves behind: forty people with records, and everything going wrong.

Each person has a name, a number and, in every record of theirs, a canary: sixteen characters that stand in a
field and in the reference, and nowhere else in the world; some leave a mobile number and an e-mail address.
What a run gives back is everything that was written or said meanwhile, by place; left out are only the bodies
that exist to hold records or contacts: a disclosed answer, and what a citizen reads about themselves.
"""

from __future__ import annotations

import io
import json
import logging
import random
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from gateway import tracing
from gateway.client.bank import Answer
from gateway.client.bank import Person as Named
from gateway.client.reply import Refused
from gateway.demo.applicants import Applicant, import_file
from gateway.demo.data import demo_text
from gateway.export import export_ledger
from gateway.http.signature import TAG_CITIZEN
from gateway.query import answer as answer_module
from gateway.records.ingest import ingest
from gateway.records.mapping import parse_mapping
from gateway.records.report import format_report_json, format_report_text
from gateway.records.rows import Record, examine
from gateway.records.table import MalformedFile, read_table
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier
from keys.signing import PrivateKey
from tests.attacks.dumps import database_dump, settings_dump
from tests.gateway.kit import citizens_request, insider, leaves, prepare, query_body
from tests.gateway.test_tracing import Collector, collecting
from tests.gateway.world import SOURCE, Citizen, World, fresh_key, new_world

PEOPLE = 40
WITHHELD = {
    ("POST", "/v1/queries", "200"),
    ("GET", "/v1/me/report", "200"),
    ("GET", "/v1/me/contact", "200"),
    ("PUT", "/v1/me/contact", "200"),
}


@dataclass
class Run:
    """What a run was about, and what it left: place -> bytes."""

    people: list[Applicant] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    contacts: list[str] = field(default_factory=list)
    left: dict[str, bytes] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    withheld: list[bytes] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    urls: list[bytes] = field(default_factory=list)
    traces: list[bytes] = field(default_factory=list)
    honest: bool = True

    @property
    def words(self) -> list[str]:
        """Every name, number, canary and address."""
        persons = [one.person for one in self.people]
        names, numbers = [p.name for p in persons], [p.citizen_number for p in persons]
        return names + numbers + self.canaries + self.contacts


@contextmanager
def full_run(home: Path) -> Iterator[tuple[Run, World]]:
    """A run up to its end but for closing the house; once left, `run.left` holds what is on the disk then,
    too.
    """
    run = Run()
    with (
        _logs(run),
        collecting() as collector,
        new_world(home, wrap=lambda app: _listening(run, app), otlp_endpoint=collector.url) as world,
    ):
        with _traced(run, world, collector):
            _import(run, world)
            _live(run, world)
            run.honest = False
            _go_wrong(run, world)
            _export(run, world, home)
        yield run, world
        run.left |= _files(home, "running") | database_dump(world.house)
        run.left["metrics"] = generate_latest()
        run.left["settings"] = settings_dump(world.house)
        run.left["leaves"] = b"".join(repr(leaf).encode() for leaf in leaves(world.house))
    run.left |= _files(home, "closed")
    run.left["bodies"] = b"\n".join(run.bodies)
    run.left["said"] = "\n".join(run.said).encode()
    run.left["urls"] = b"\n".join(run.urls)
    run.left["traces"] = b"\n".join(run.traces)


@contextmanager
def _traced(run: Run, world: World, collector: Collector) -> Iterator[None]:
    """Traces as a collector is sent them, to the last."""
    tracing.start(world.house.settings)
    try:
        yield
    finally:
        tracing.stop()
    run.traces += collector.bodies


def _files(home: Path, when: str) -> dict[str, bytes]:
    """Every file under the home: database, -wal and -shm, custody, log, export."""
    return {
        f"{when}:{path.relative_to(home)}": path.read_bytes() for path in home.rglob("*") if path.is_file()
    }


def _listening(run: Run, app: Any) -> Any:
    """The application, each response kept with its headers."""

    def listen(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        told: list[str] = []

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            told.extend([status, *(f"{name}: {value}" for name, value in headers)])
            return start(status, headers, *rest)

        body = b"".join(app.wsgi_app(environ, begin))
        if run.honest:  # what comes afterwards is sent by somebody who puts people into URLs
            run.urls.append(f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']}".encode())
        asked = (environ["REQUEST_METHOD"], environ["PATH_INFO"], told[0][:3])
        run.bodies.append("\n".join(told).encode())
        (run.withheld if asked in WITHHELD else run.bodies).append(body)
        return [body]

    return listen


@contextmanager
def _logs(run: Run) -> Iterator[None]:
    """Everything logged, as the gateway would write it: JSON escaped and not, and for people."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with capture_logs() as events:
            yield
    finally:
        logging.getLogger().removeHandler(handler)
    writers = (
        structlog.processors.JSONRenderer(),
        structlog.processors.JSONRenderer(ensure_ascii=False),
        structlog.dev.ConsoleRenderer(colors=False),
    )
    written = [str(write(None, "", dict(event))) for event in events for write in writers]
    run.left["log"] = "\n".join([*written, stream.getvalue()]).encode()


# --- the people ---


def _import(run: Run, world: World) -> None:
    """The demo's applicants with names of three characters and more: two are four bytes in UTF-16, which
    ciphertext holds by chance. Their file, with faulty rows among the others; then the same again.
    """
    mapping = parse_mapping(demo_text("german-credit.toml").replace("91990000DEMA00001L", SOURCE))
    today = datetime.fromtimestamp(world.clock() / 1000, UTC).date()
    text, applicants = import_file(demo_text("german-credit.csv"), mapping, 7, today)
    header, *rows = text.splitlines(keepends=True)
    chosen = [(one, row) for one, row in zip(applicants, rows, strict=True) if len(one.person.name) > 2]
    run.people = [one for one, _ in chosen[:PEOPLE]]
    seeded = random.Random(13)
    alphabet = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"

    def marked(record: Record) -> Record:
        canary = "".join(seeded.choices(alphabet, k=16))
        run.canaries.append(canary)
        fields = {**record.fields, "employer": canary}
        return replace(record, fields=fields, reference=f"{canary}/{record.reference}")

    good = [row for _, row in chosen[:PEOPLE]]
    for lines in ([header, *good, *_faulty(good)], good, [header[:-1] + '"\n', *good]):
        table = "".join(lines)
        with suppress(MalformedFile):
            rows = read_table(io.StringIO(table, newline=""))
            found = examine(mapping, world.house.policy, rows, world.clock())
            marks = [marked(one) if isinstance(one, Record) else one for one in found]
            for records in (marks, marks):
                report = ingest(world.house, SOURCE, records, lambda _line: None)
                run.said += [format_report_text(report), format_report_json(report).decode(), repr(report)]


def _faulty(rows: list[str]) -> list[str]:
    """Rows that must be refused, each with somebody's name or number in it."""
    number, name = rows[0].split(",")[:2]
    wrong = number[:-1] + ("1" if number[-1] != "1" else "2")
    return [
        rows[1].replace(rows[1].split(",")[0], wrong, 1),
        rows[2].replace(rows[2].split(",")[0], name, 1),
        rows[3].replace(rows[3].split(",")[3], number, 1),
        rows[4].replace(rows[4].split(",")[2], name, 1).replace(",", ",,", 1),
        f"{number},{name}\n",
    ]


def _live(run: Run, world: World) -> None:
    """Everybody is asked; some grant, decline, withdraw; the bank queries; citizens read."""
    banks = [world.bank(), world.bank(world.other_key)]
    for one in run.people:
        named = Named(one.person.citizen_number, one.person.name)
        banks[0].request_consent(str(uuid.uuid4()), named, world.terms(), case_ref=one.person.citizen_number)
    for one, canary in zip(run.people[:4], run.canaries, strict=False):
        person = one.person
        citizen = world.citizen(person.citizen_number, person.name)
        consent = world.consent(citizen)
        named, other = Named(person.citizen_number, person.name), Named(run.people[9].person.citizen_number)
        assert isinstance(
            world.query(consent, banks[0], person_check=named, case_ref=f"{person.name} {canary}"), Answer
        )
        for changes in (
            {"person_check": other},
            {"person_check": Named(person.name)},
            {"categories": ("employment", "loan")},
            {"purpose": "01"},
            {"purpose": "99", "case_ref": person.citizen_number},
        ):
            world.query(consent, banks[0], **changes)
        world.query(consent, banks[1], person_check=named)
        asked = world.ask(citizen)
        citizen.client.decline(asked.request_id, asked.document_sha256)
        citizen.client.report()
        citizen.client.accesses()
        _leave_contacts(run, citizen)
        _withdraw(world, citizen, consent, f"{person.name}{person.citizen_number}"[:30])
        world.query(consent, banks[0], person_check=named)


def _leave_contacts(run: Run, citizen: Citizen) -> None:
    """A mobile number and an address, shown, replaced; then one that is none."""
    person = f"reader{len(run.contacts):02d}{citizen.number[-6:].lower()}"
    for channel, address, word in (
        ("sms", f"+86199{citizen.number[-9:-1]}", f"199{citizen.number[-9:-1]}"),
        ("email", f"{person}@example.cn", person),
    ):
        for language in ("en", "zh-CN"):
            assert citizen.client.put_contact(channel, address, language) == {
                "address": address,
                "channel": channel,
                "language": language,
            }
        run.contacts.append(word)
        assert isinstance(citizen.client.put_contact(channel, f"{address};{address}", "en"), Refused)
    citizen.client.contacts()


def _withdraw(world: World, citizen: Citizen, consent: str, reason: str) -> None:
    body = world.wallet.sign_withdrawal_of(consent, world.house.origin, citizen.key, reason=reason)
    citizen.client.withdraw(body)
    citizen.client.withdraw(body)


def _go_wrong(run: Run, world: World) -> None:
    """Malformed and forged requests that carry a person in every part; then the gateway's own failures."""
    person, canary = run.people[5].person, run.canaries[5]
    number, name = person.citizen_number, person.name
    key, stranger = world.bank_key, fresh_key()
    body = query_body(str(uuid.uuid4()), person_check={"citizen_number": number, "name": name})
    for wrong in (
        body | {"query_id": number},
        body | {name: number},
        body | {f"at `$.{number}`": 1},
        body | {f"x` - at `$.{number}": 1},
        body | {"person_check": {"citizen_number": number, "name": name, canary: name}},
        body | {"person_check": {"citizen_number": [number]}},
        body | {"categories": [name]},
        body | {"case_ref": f"{name}{number}" * 20},
        f'{{"person_check": "{name} {number} {canary}"'.encode(),
        f"{name},{number}".encode("gb18030"),
    ):
        sent = wrong if isinstance(wrong, bytes) else json.dumps(wrong, ensure_ascii=False).encode()
        prepare(world, key, "POST", "/v1/queries", sent).send()
    ask = {"request_id": str(uuid.uuid4()), "person": {"citizen_number": name, "name": number}}
    prepare(world, key, "POST", "/v1/consent-requests", ask).send()
    _asked_with_a_wrong_number(world, number, name)
    prepare(world, key, "POST", "/v1/queries", body, media=f"text/{number}").send()
    prepare(world, key, "POST", f"/v1/queries/{number}", body).send()
    prepare(world, key, "GET", f"/v1/consents/{number}").send()
    prepare(world, key, "GET", f"/v1/me/accesses?after={number}&name={number}").send()
    _forged(world, key, stranger, body, name)
    _enrolled_wrongly(run, world)
    _failing(run, world, f"{name} {number} {canary}")
    with suppress(BadIdentifier):
        canonical_citizen_number(number)
    for wrong_number in (number[:-1], number[:-1] + "Y", f"{number[:10]}9999{number[14:]}"):
        try:
            canonical_citizen_number(wrong_number + name)
        except BadIdentifier as error:
            run.said += [str(error), repr(error), *traceback.format_exception_only(error)]


def _asked_with_a_wrong_number(world: World, number: str, name: str) -> None:
    terms = {"purpose": "02", "categories": ["loan", "repayment"], "answer": "report"}
    limits = {"max_uses": 1, "retention_days": 1, "not_before": number, "not_after": name}
    person = {"citizen_number": number[:-1] + "Z", "name": name}
    ask = {"request_id": str(uuid.uuid4()), "person": person, **terms, **limits}
    for language in ("zh-CN", f"x' - at `$.{number}"):
        sent = ask | {"language": language}
        prepare(world, world.bank_key, "POST", "/v1/consent-requests", sent).send()


def _forged(world: World, key: PrivateKey, stranger: PrivateKey, body: dict[str, Any], name: str) -> None:
    """Signatures that fail, each over or beside a body that names somebody."""
    prepare(world, stranger, "POST", "/v1/queries", body).send()
    citizens_request(world, stranger, "GET", "/v1/me/report").send()
    prepare(world, key, "POST", "/v1/queries", body, created_ms=0).send()
    prepare(world, key, "POST", "/v1/queries", body, tag=TAG_CITIZEN).send()
    altered = prepare(world, key, "POST", "/v1/queries", body)
    altered.content = (altered.content or b"").replace(b"loan", b"lean")
    altered.send()
    replayed = prepare(world, key, "POST", "/v1/queries", body)
    for _ in range(2):
        replayed.send()
    named = prepare(world, key, "POST", "/v1/queries", body)
    named.headers["Signature-Input"] += f';name="{name.encode().hex()}"'
    named.headers["X-Person"] = str(body["person_check"]["citizen_number"])
    named.send()


def _enrolled_wrongly(run: Run, world: World) -> None:
    """One person's certificate with another's number, and a number that is none."""
    [first, second, third] = [one.person for one in run.people[10:13]]
    citizen = world.citizen(first.citizen_number, enrol=False)
    for number in (second.citizen_number, third.name, third.citizen_number + "0"):
        citizen.client.enrol(citizen.certificate, number)
    asked = world.ask(citizen)
    grant = world.wallet.sign_consent(asked.template, citizen.key)
    citizen.client.grant(grant)
    citizen.client.grant(grant | {"document": grant["document"] | {"recipient": third.citizen_number}})
    named = json.dumps({**grant, third.name: third.citizen_number}).encode()
    prepare(world, world.bank_key, "POST", "/v1/consents", named).send()


def _failing(run: Run, world: World, told: str) -> None:
    """The gateway's own code fails, with a person in the message of what is raised; then a row is damaged."""
    one = run.people[6].person
    citizen = world.citizen(one.citizen_number)
    consent = world.consent(citizen)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer_module, "minimise", fail)
        assert world.query(consent).problem.name == "undelivered"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer_module, "prepare", fail)
        assert world.query(consent).problem.name == "internal"
    insider(world.house, "UPDATE records SET body = substr(body, 1, 40) WHERE category = 'loan'")
    assert world.query(consent).problem.name == "evidence-broken"
    insider(world.house, "UPDATE grants SET uses = 0 WHERE consent = ?", [consent])
    assert world.query(consent).problem.name == "evidence-broken"


def _export(run: Run, world: World, home: Path) -> None:
    published = world.publishing.publish_now()
    assert published is not None
    export_ledger(world.house, published, home / "export")
