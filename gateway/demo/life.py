"""The evidence's first half, act by act: what came in, and one consent from the request to the refusal.

Invariant: what is told is what came back. The acts are those of the main story, done for other citizens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from consent.catalogue import Field
from gateway.client import Access, Answer, ConsentRequested
from gateway.demo import acts
from gateway.demo.database import keep
from gateway.demo.home import Shelf
from gateway.demo.parties import BANK, PARTIES, REGISTRAR, Citizen
from gateway.demo.stage import Life, Stage, accepted, shown
from gateway.records.rules import Rule

BEFORE_WITHDRAWAL: Final = "before-withdrawal.db"


def records_sent_again(stage: Stage) -> None:
    """The same file comes once more: nothing is added, and what no law allows is refused again."""
    tell = stage.tell
    tell.chapter("import")
    report = acts.send_again(stage)
    tell.line("import.again", unchanged=f"{report.unchanged:,}", adverse=report.adverse)
    for key, rule in (
        ("import.unauthorised", Rule.NOT_AUTHORISED),
        ("import.separate", Rule.SEPARATE_CONSENT),
        ("import.judgement", Rule.JUDGEMENT),
    ):
        tell.line(key, columns=tell.join(list(report.columns(rule))))
    tell.line("import.report", file=shown(stage.home.import_report))


def where_the_keys_are(stage: Stage) -> None:
    """Who made which keys, and where they lie."""
    tell = stage.tell
    tell.chapter("enrol")
    names = [stage.name(one) for one in PARTIES]
    tell.line("enrol.done", count=len(stage.citizens), registrar=stage.name(REGISTRAR))
    tell.line("home.parties", names=tell.join(names), keys=shown(stage.home.keys))


def life_of_a_consent(stage: Stage, citizen: Citizen, other: Citizen, shelf: Shelf) -> Life:
    """One consent from the request to the refusal after its withdrawal; the other citizen's stays."""
    request = _request(stage, citizen)
    granted = _grant(stage, citizen, other, request)
    answer = _query(stage, request.consent_id, shelf)
    refused_at = _beyond(stage, request.consent_id)
    _accesses(stage, citizen)
    before = keep(stage.settings, shelf.insider / BEFORE_WITHDRAWAL)
    withdrawn = _withdraw(stage, citizen, request.consent_id)
    _again(stage, request.consent_id)
    return Life(
        shelf=shelf,
        consent=request.consent_id,
        granted_at=granted[0],
        answered_at=answer.receipt.index,
        refused_at=refused_at,
        withdrawn_at=withdrawn,
        live_consent=granted[1],
        before_withdrawal=before,
    )


def _request(stage: Stage, citizen: Citizen) -> ConsentRequested:
    tell = stage.tell
    tell.chapter("request")
    tell.line(
        "request.doing",
        bank=stage.name(BANK),
        citizen=citizen.person.name,
        categories=stage.categories(acts.ASKED),
        purpose=stage.purpose(acts.PURPOSE),
    )
    request = acts.ask(stage, citizen)
    tell.line("request.done", index=request.index)
    return request


def _grant(stage: Stage, citizen: Citizen, other: Citizen, request: ConsentRequested) -> tuple[int, str]:
    """The entry of the citizen's grant, and the id of the other citizen's consent, which stays."""
    tell = stage.tell
    tell.chapter("grant")
    tell.line(
        "grant.doing",
        citizen=citizen.person.name,
        categories=stage.categories(acts.AGREED),
        left=stage.category(acts.LEFT_OUT),
        uses=acts.USES,
        days=acts.DAYS,
    )
    granted = acts.sign(stage, citizen, request, without=(acts.LEFT_OUT,))
    tell.line("grant.done", index=granted.signed.receipt.index, citizen=citizen.person.name)
    kept = acts.ask(stage, other)
    acts.sign(stage, other, kept)
    tell.line("grant.other", citizen=other.person.name)
    return granted.signed.receipt.index, kept.consent_id


def _query(stage: Stage, consent: str, shelf: Shelf) -> Answer:
    tell = stage.tell
    tell.chapter("query")
    tell.line("query.doing", bank=stage.name(BANK))
    with stage.bank() as bank:
        answer = acts.query(bank, consent)
        records: Mapping[str, list[dict[str, Any]]] = answer.answer["records"]
        tell.line(
            "query.answer",
            records=sum(map(len, records.values())),
            categories=stage.categories(list(records)),
        )
        for code, listed in records.items():
            _show(stage, code, listed)
        proven = acts.prove(bank, answer, shelf.kept)
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
    tell.line("beyond.doing", bank=stage.name(BANK), category=stage.category(acts.LEFT_OUT))
    wanted = ("loan", acts.LEFT_OUT)
    why, index = acts.query_in_vain(stage, consent, "category-not-consented", wanted)
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
    index = acts.withdraw(stage, citizen, consent)
    tell.line("withdraw.done", index=index)
    return index


def _again(stage: Stage, consent: str) -> None:
    """The last entry of this consent; once it is proved, everything before it is published too."""
    tell = stage.tell
    tell.chapter("again")
    tell.line("again.doing", bank=stage.name(BANK))
    why, index = acts.query_in_vain(stage, consent, "withdrawn")
    tell.line("again.refused", reason=stage.reason(why), index=index)
