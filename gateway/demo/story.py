"""The story's first half, act by act: records, keys, consent, query, refusal, withdrawal.

Invariant: every act is done against the running server with the importable clients, or beside it as a
command would, and what is told is what came back.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent.catalogue import Field
from gateway.cli.common import progress
from gateway.client import Access, Answer, ConsentRequested, Person, Recorded, Terms
from gateway.demo.applicants import import_file
from gateway.demo.data import demo_text
from gateway.demo.database import Kept, keep
from gateway.demo.parties import BANK, DAY_MS, REGISTRAR, Citizen, make_citizen, write_private_file
from gateway.demo.people import Person as Invented
from gateway.demo.stage import Stage, accepted, refused, shown
from gateway.records.ingest import ingest
from gateway.records.mapping import SourceMapping, parse_mapping
from gateway.records.report import ImportReport, format_report_text
from gateway.records.rows import china_day, examine
from gateway.records.rules import Rule
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
BEFORE_WITHDRAWAL: Final = "before-withdrawal.db"


@dataclass(frozen=True, slots=True)
class Told:
    """What the first half leaves for the second: consents by id, entries by index, an older database."""

    consent: str
    granted_at: int
    answered_at: int
    refused_at: int
    withdrawn_at: int
    live_consent: str
    before_withdrawal: Kept


def import_records(stage: Stage) -> tuple[Invented, ...]:
    """The source sends its file, twice; the invented people in it, in the order of its rows."""
    tell = stage.tell
    mapping = parse_mapping(demo_text("german-credit.toml"))
    at = stage.house.clock()
    text, applicants = import_file(demo_text("german-credit.csv"), mapping, SEED, china_day(at))
    stage.home.source.mkdir(mode=0o700)
    write_private_file(stage.home.source / "applicants.csv", text.encode())
    tell.chapter("import")
    tell.line("import.doing", rows=f"{len(applicants):,}")
    report = _ingest(stage, mapping, text)
    file = stage.home.source / "import-report.txt"
    file.write_text(format_report_text(report, tell.language), "utf-8")
    tell.line(
        "import.done",
        records=f"{report.accepted:,}",
        people=f"{len(applicants):,}",
        adverse=report.adverse,
    )
    for key, rule in (
        ("import.unauthorised", Rule.NOT_AUTHORISED),
        ("import.separate", Rule.SEPARATE_CONSENT),
        ("import.judgement", Rule.JUDGEMENT),
    ):
        tell.line(key, columns=tell.join(list(report.columns(rule))))
    tell.line("import.again", unchanged=f"{_ingest(stage, mapping, text).unchanged:,}")
    tell.line("import.report", file=shown(file))
    return tuple(applicant.person for applicant in applicants)


def _ingest(stage: Stage, mapping: SourceMapping, text: str) -> ImportReport:
    """One import of the file, beside the running server."""
    table = read_table(io.StringIO(text, newline=""))
    with progress() as bars:
        task = bars.add_task(stage.tell.step, total=text.count("\n"))
        examined = examine(mapping, stage.house.policy, table, stage.house.clock())
        return ingest(stage.house, mapping.source, examined, lambda line: bars.update(task, completed=line))


def enrol(stage: Stage, people: tuple[Invented, ...]) -> None:
    """Twenty citizens make keys, two officers certify each, the gateway enrols them."""
    tell = stage.tell
    tell.chapter("enrol")
    tell.line("enrol.doing", count=ENROLLED, registrar=stage.name(REGISTRAR))
    for number, person in enumerate(people[:ENROLLED], start=1):
        citizen = make_citizen(
            stage.home.keys, number, person, stage.cast.registrar, stage.house.origin, stage.house.clock()
        )
        with stage.citizen(citizen) as client:
            accepted(client.enrol(citizen.certificate, person.citizen_number))
        stage.citizens.append(citizen)
    tell.line("enrol.done", count=len(stage.citizens))


def life_of_a_consent(stage: Stage) -> Told:
    """One consent from the request to the refusal after its withdrawal."""
    citizen, other = stage.citizens[0], stage.citizens[1]
    request = _request(stage, citizen)
    granted = _grant(stage, citizen, other, request)
    answer = _query(stage, request.consent_id)
    refused_at = _beyond(stage, request.consent_id)
    _accesses(stage, citizen)
    before = keep(stage.settings, stage.home.insider / BEFORE_WITHDRAWAL)
    withdrawn = _withdraw(stage, citizen, request.consent_id)
    _again(stage, request.consent_id)
    return Told(
        consent=request.consent_id,
        granted_at=granted[0],
        answered_at=answer.receipt.index,
        refused_at=refused_at,
        withdrawn_at=withdrawn,
        live_consent=granted[1],
        before_withdrawal=before,
    )


def _ask(stage: Stage, citizen: Citizen) -> ConsentRequested:
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
    with stage.bank() as bank:
        person = Person(citizen.person.citizen_number)
        return accepted(bank.request_consent(str(uuid.uuid4()), person, terms))


def _request(stage: Stage, citizen: Citizen) -> ConsentRequested:
    tell = stage.tell
    tell.chapter("request")
    tell.line(
        "request.doing",
        bank=stage.name(BANK),
        citizen=citizen.person.name,
        categories=stage.categories(ASKED),
        purpose=stage.purpose(PURPOSE),
    )
    request = _ask(stage, citizen)
    tell.line("request.done", index=request.index)
    return request


def _grant(stage: Stage, citizen: Citizen, other: Citizen, request: ConsentRequested) -> tuple[int, str]:
    """The entry of the citizen's grant, and the id of the other citizen's consent, which stays."""
    tell = stage.tell
    tell.chapter("grant")
    tell.line(
        "grant.doing",
        citizen=citizen.person.name,
        categories=stage.categories(AGREED),
        left=stage.category(LEFT_OUT),
        uses=USES,
        days=DAYS,
    )
    granted = _sign(stage, citizen, request, without=(LEFT_OUT,))
    tell.line("grant.done", index=granted.signed.receipt.index, citizen=citizen.person.name)
    kept = _ask(stage, other)
    _sign(stage, other, kept)
    tell.line("grant.other", citizen=other.person.name)
    return granted.signed.receipt.index, kept.consent_id


def _sign(
    stage: Stage, citizen: Citizen, request: ConsentRequested, without: tuple[str, ...] = ()
) -> Recorded:
    """Sign in the wallet, offline, and hand it in."""
    body = stage.wallet.sign_consent(
        request.template, citizen.key, without=without, notice_text=request.notice_text
    )
    with stage.citizen(citizen) as client:
        return accepted(client.grant(body))


def _query(stage: Stage, consent: str) -> Answer:
    tell = stage.tell
    tell.chapter("query")
    tell.line("query.doing", bank=stage.name(BANK))
    with stage.bank() as bank:
        answer = accepted(bank.query(str(uuid.uuid4()), consent, PURPOSE, AGREED))
        records: Mapping[str, list[dict[str, Any]]] = answer.answer["records"]
        tell.line(
            "query.answer",
            records=sum(map(len, records.values())),
            categories=stage.categories(list(records)),
        )
        for code, listed in records.items():
            _show(stage, code, listed)
        proven = accepted(bank.prove(answer.receipt))
    write_atomic(stage.home.kept, parse_proof(proven.proof).checkpoint)
    tell.line("query.receipt", index=answer.receipt.index, size=proven.checkpoint.size)
    return answer


def _show(stage: Stage, code: str, records: list[dict[str, Any]]) -> None:
    """The records of one category, a line each, in the words of the catalogue."""
    tell, title = stage.tell, stage.category(code)
    category = stage.house.policy.category(code)
    fields = {} if category is None else category.fields
    if not records:
        tell.item(tell.text("query.nothing", category=title))
    for record in records:
        said = " · ".join(
            f"{_title(stage, fields.get(name), name)} {str(value).replace('_', ' ')}"
            for name, value in record["fields"].items()
        )
        line = tell.text("query.record", category=title, fields=said)
        if record["adverse"]:
            line += tell.pick(" ", "") + tell.text("query.adverse", day=record["notified_on"])
        tell.item(line)


def _title(stage: Stage, field: Field | None, name: str) -> str:
    """What the catalogue calls a field, as it stands within a sentence."""
    return name if field is None else stage.tell.pick(field.en[:1].lower() + field.en[1:], field.zh)


def _beyond(stage: Stage, consent: str) -> int:
    tell = stage.tell
    tell.chapter("beyond")
    tell.line("beyond.doing", bank=stage.name(BANK), category=stage.category(LEFT_OUT))
    with stage.bank() as bank:
        outcome = bank.query(str(uuid.uuid4()), consent, PURPOSE, ["loan", LEFT_OUT])
    why, index = refused(outcome, "category-not-consented")
    tell.line("beyond.refused", reason=stage.reason(why), index=index)
    return index


def _accesses(stage: Stage, citizen: Citizen) -> None:
    tell = stage.tell
    tell.chapter("accesses")
    tell.line("accesses.doing", citizen=citizen.person.name)
    seen = tell_accesses(stage, citizen)
    tell.line("accesses.done", count=len(seen), proofs=sum(access.proven for access in seen))


def tell_accesses(stage: Stage, citizen: Citizen, *, last: int = 0) -> tuple[Access, ...]:
    """What a citizen reads of who looked, a line an entry: all of it, or its `last` entries."""
    with stage.citizen(citizen) as client:
        seen = accepted(client.accesses())
    for access in seen[-last:]:
        when = access.at[:19].replace("T", " ") + " UTC"
        told = _seen(stage, access)
        stage.tell.item(stage.tell.text("accesses.line", index=f"{access.index:>4}", at=when, what=told))
    return seen


def _seen(stage: Stage, access: Access) -> str:
    """One entry in plain words."""
    return stage.tell.fitting(
        f"seen.{access.type}",
        {
            "institution": stage.institution(access.institution, access.institution_name),
            "purpose": stage.purpose(access.purpose or ""),
            "statute": stage.statute(access.statute or ""),
            "categories": stage.categories(access.categories),
            "reason": stage.why(access.reason or ""),
        },
    )


def _withdraw(stage: Stage, citizen: Citizen, consent: str) -> int:
    tell = stage.tell
    tell.chapter("withdraw")
    tell.line("withdraw.doing", citizen=citizen.person.name)
    body = stage.wallet.sign_withdrawal_of(consent, stage.house.origin, citizen.key)
    with stage.citizen(citizen) as client:
        index = accepted(client.withdraw(body)).signed.receipt.index
    tell.line("withdraw.done", index=index)
    return index


def _again(stage: Stage, consent: str) -> None:
    """The last entry of the story; once it is proved, everything before it is published too."""
    tell = stage.tell
    tell.chapter("again")
    tell.line("again.doing", bank=stage.name(BANK))
    with stage.bank() as bank:
        outcome = bank.query(str(uuid.uuid4()), consent, PURPOSE, AGREED)
        why, index = refused(outcome, "withdrawn")
        if why.receipt is not None:
            accepted(bank.prove(why.receipt))
    tell.line("again.refused", reason=stage.reason(why), index=index)
