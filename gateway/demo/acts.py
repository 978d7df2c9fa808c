"""What is done in the story: records sent, keys made, a consent asked for, signed, used and withdrawn.

Invariant: every act is done against the running server with the importable clients, or beside it as a
command would, and gives back what came back. Nothing is told here: the main story and the chapter of the
evidence tell the same acts, at their own length.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.common import progress
from gateway.client import Answer, BankClient, ConsentRequested, Person, Proven, Recorded, Refused, Terms
from gateway.demo.applicants import import_file
from gateway.demo.data import demo_text
from gateway.demo.parties import DAY_MS, Citizen, make_citizen, write_private_file
from gateway.demo.people import Person as Invented
from gateway.demo.stage import Stage, accepted, refused
from gateway.records.ingest import ingest
from gateway.records.mapping import SourceMapping, parse_mapping
from gateway.records.report import ImportReport, format_report_text
from gateway.records.rows import china_day, examine
from gateway.records.table import read_table
from ledger.files import write_atomic
from ledger.proof import parse_proof

SEED: Final = 20_261_121
"""The invented people are the same in every demo; their keys never are."""

ENROLLED: Final = 20
PURPOSE: Final = "02"
ASKED: Final = ("employment", "loan", "repayment", "residence")
LEFT_OUT: Final = "residence"
AGREED: Final = tuple(code for code in ASKED if code != LEFT_OUT)
USES: Final = 5
DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Sent:
    """The source's file as it came in: the people in the order of its rows, and the report of its import."""

    people: tuple[Invented, ...]
    report: ImportReport


def send_records(stage: Stage) -> Sent:
    """The source sends its file for the first time; file and report stay in its folder."""
    mapping = _mapping()
    text, applicants = import_file(
        demo_text("german-credit.csv"), mapping, SEED, china_day(stage.house.clock())
    )
    stage.home.source.mkdir(mode=0o700)
    write_private_file(stage.home.sent_file, text.encode())
    report = _ingest(stage, mapping, text)
    stage.home.import_report.write_text(format_report_text(report, stage.tell.language), "utf-8")
    return Sent(tuple(applicant.person for applicant in applicants), report)


def send_again(stage: Stage) -> ImportReport:
    """The source sends the same file once more."""
    return _ingest(stage, _mapping(), stage.home.sent_file.read_text("utf-8"))


def _mapping() -> SourceMapping:
    return parse_mapping(demo_text("german-credit.toml"))


def _ingest(stage: Stage, mapping: SourceMapping, text: str) -> ImportReport:
    """One import of the file, beside the running server."""
    table = read_table(io.StringIO(text, newline=""))
    with progress() as bars:
        task = bars.add_task(stage.tell.step, total=text.count("\n"))
        examined = examine(mapping, stage.house.policy, table, stage.house.clock())
        return ingest(stage.house, mapping.source, examined, lambda line: bars.update(task, completed=line))


def enrol(stage: Stage, people: Sequence[Invented]) -> None:
    """Twenty citizens make keys, two officers certify each, the gateway enrols them."""
    for number, person in enumerate(people[:ENROLLED], start=1):
        citizen = make_citizen(
            stage.home.keys, number, person, stage.cast.registrar, stage.house.origin, stage.house.clock()
        )
        with stage.citizen(citizen) as client:
            accepted(client.enrol(citizen.certificate, person.citizen_number))
        stage.citizens.append(citizen)


def ask(stage: Stage, citizen: Citizen, bank: BankClient | None = None) -> ConsentRequested:
    """The bank asks a citizen for consent to everything that it would like to read; by `bank`, if given."""
    if bank is None:
        with stage.bank() as bank:
            return ask(stage, citizen, bank)
    at = stage.house.clock()
    terms = Terms(
        purpose=PURPOSE,
        categories=ASKED,
        not_before=at,
        not_after=at + DAYS * DAY_MS,
        max_uses=USES,
        retention_days=DAYS,
        language=stage.tell.pick("en", "zh-CN"),
    )
    person = Person(citizen.person.citizen_number)
    return accepted(bank.request_consent(str(uuid.uuid4()), person, terms))


def sign(
    stage: Stage, citizen: Citizen, request: ConsentRequested, without: tuple[str, ...] = ()
) -> Recorded:
    """The citizen signs in the wallet, offline, and hands it in."""
    body = stage.wallet.sign_consent(
        request.template, citizen.key, without=without, notice_text=request.notice_text
    )
    with stage.citizen(citizen) as client:
        return accepted(client.grant(body))


def query(bank: BankClient, consent: str) -> Answer:
    """The bank asks for what was agreed, and is answered."""
    return accepted(bank.query(str(uuid.uuid4()), consent, PURPOSE, AGREED))


def prove(bank: BankClient, answer: Answer, keep: Path) -> Proven:
    """The bank has its receipt proved, and keeps the signed checkpoint over it in the file `keep`."""
    proven = accepted(bank.prove(answer.receipt))
    write_atomic(keep, parse_proof(proven.proof).checkpoint)
    return proven


def query_in_vain(
    stage: Stage, consent: str, reason: str, categories: Sequence[str] = AGREED
) -> tuple[Refused, int]:
    """The bank asks and is refused for exactly this reason; the refusal and the index of its entry.

    Once the refusal is proved, everything before it is published too.
    """
    with stage.bank() as bank:
        why, index = refused(bank.query(str(uuid.uuid4()), consent, PURPOSE, categories), reason)
        if why.receipt is not None:
            accepted(bank.prove(why.receipt))
    return why, index


def withdraw(stage: Stage, citizen: Citizen, consent: str) -> int:
    """The citizen signs a withdrawal and hands it in; the index of its entry."""
    body = stage.wallet.sign_withdrawal_of(consent, stage.house.origin, citizen.key)
    with stage.citizen(citizen) as client:
        return accepted(client.withdraw(body)).signed.receipt.index
