"""The chapters beside the main story: a statutory query with its approval, and answers of yes or no.

Invariant: each begins on a stage whose citizens are enrolled, and needs no other chapter; what is told is
what the running server replied.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import Final

from gateway.client import Person, Terms
from gateway.client.bank import Answer
from gateway.client.keyfile import write_private_key, write_public_key
from gateway.client.statutory import Order, StatutoryClient, Waiting, statutory_request
from gateway.demo.checks import export, verified, verify_words
from gateway.demo.failure import DemoFailed
from gateway.demo.life import tell_accesses
from gateway.demo.parties import BANK, COURT, Citizen
from gateway.demo.stage import Stage, accepted, python, refused
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from keys.instant import DAY, format_instant
from keys.signing import PrivateKey, generate_key, parse_public_jwk

STATUTE: Final = "civil-procedure-253"
DOCUMENT: Final = "（2026）琼01执123号"
ASKED: Final = ("employment", "loan")
DEFERRED: Final = "criminal-procedure-144"
DEFERRED_DOCUMENT: Final = "琼公（刑）调证字〔2026〕12号"

RENTAL: Final = "61"
RULE: Final = "no-adverse-record-3y"


@dataclass(frozen=True, slots=True)
class _Court:
    """The court's two operators: who asks, and who approves."""

    clerk: PrivateKey
    judge: PrivateKey


def statute(stage: Stage) -> None:
    """A court asks, another of its people approves, the citizen sees it; a bank cannot do the same."""
    tell, citizen = stage.tell, stage.citizens[2]
    tell.chapter("statute")
    court = _court(stage)
    request = _request(stage, citizen, Order(STATUTE, DOCUMENT))
    with _client(stage, court.clerk) as clerk, _client(stage, court.judge) as judge:
        waiting = accepted(clerk.submit(request))
        known = stage.house.policy.statute(STATUTE)
        if known is None:
            raise DemoFailed("the demo's policy names no such statute")
        tell.line(
            "statute.doing",
            court=stage.name(COURT),
            citizen=citizen.person.name,
            law=tell.pick(f"“{known.en}” ({known.law}{known.article})", f"《{known.law}》{known.article}"),
            document=DOCUMENT,
            index=waiting.index,
        )
        why, index = refused(clerk.settle(request, "approve"), "role-not-permitted")
        tell.line("statute.own", reason=stage.reason(why), index=index)
        tell.line("statute.approved", index=accepted(judge.settle(request, "approve")).index)
        _collect(stage, clerk, str(request["query_id"]))
    tell.line("statute.seen", citizen=citizen.person.name)
    tell_accesses(stage, citizen, last=5)
    _bank_tries(stage, citizen)
    _deferred(stage, court, stage.citizens[3])


def _collect(stage: Stage, clerk: StatutoryClient, query: str) -> None:
    answer = accepted(clerk.collect(query))
    if not isinstance(answer, Answer):
        raise DemoFailed("an approved query still waits")
    records = answer.answer["records"]
    stage.tell.line(
        "statute.collected",
        records=sum(map(len, records.values())),
        categories=stage.categories(list(records)),
        index=answer.receipt.index,
    )


def _bank_tries(stage: Stage, citizen: Citizen) -> None:
    with _client(stage, stage.cast.operator) as bank:
        outcome = bank.submit(_request(stage, citizen, Order(STATUTE, DOCUMENT)))
    why, index = refused(outcome, "statute-not-held")
    stage.tell.line("statute.bank", bank=stage.name(BANK), reason=stage.reason(why), index=index)


def _deferred(stage: Stage, court: _Court, citizen: Citizen) -> None:
    """A query that the person's own list leaves out for a while."""
    known = stage.house.policy.statute(DEFERRED)
    if known is None:
        raise DemoFailed("the demo's policy names no statute with deferral")
    with stage.citizen(citizen) as client:
        before = len(accepted(client.accesses()))
    request = _request(stage, citizen, Order(DEFERRED, DEFERRED_DOCUMENT, defer=True))
    with _client(stage, court.clerk) as clerk, _client(stage, court.judge) as judge:
        waiting: Waiting = accepted(clerk.submit(request))
        approved = accepted(judge.settle(request, "approve"))
    with stage.citizen(citizen) as client:
        after = len(accepted(client.accesses()))
    if after != before + 1:  # the reading itself
        raise DemoFailed("a deferred query shows in the citizen's list")
    until = stage.house.clock() + known.deferral_days * DAY
    stage.tell.line(
        "statute.deferred",
        days=known.deferral_days,
        citizen=citizen.person.name,
        index=f"{waiting.index}, {approved.index}",
        until=format_instant(until)[:10],
    )


def _request(stage: Stage, citizen: Citizen, order: Order) -> dict[str, object]:
    known = stage.house.policy.statute(order.code)
    purpose = "" if known is None else known.purpose
    person = Person(citizen.person.citizen_number)
    return statutory_request(str(uuid.uuid4()), order, purpose, ASKED, person)


def _client(stage: Stage, key: PrivateKey) -> StatutoryClient:
    return StatutoryClient(stage.settings.public_url, key, stage.pins.vkey, stage.pins.receipt_key)


def _court(stage: Stage) -> _Court:
    """The court and its two operators, registered beside the running server."""
    add_institution(stage.house, NewInstitution(COURT.uscc, COURT.registered, "agency", ("query",)))
    keys = {}
    for name, role in (("clerk", "query"), ("judge", "approve")):
        key = keys[name] = generate_key("Ed25519", os.urandom)
        folder = stage.home.keys / f"court-{name}"
        folder.mkdir(mode=0o700)
        write_private_key(folder / "operator.jwk", key)
        write_public_key(folder / "operator.jwk.pub", key)
        add_operator(stage.house, COURT.uscc, parse_public_jwk(key.jwk), [role])
    return _Court(**keys)


def predicate(stage: Stage) -> None:
    """Two people agree to one question; each is answered yes or no, and the records stay."""
    tell = stage.tell
    rule = stage.house.policy.predicate(RULE)
    if rule is None:
        raise DemoFailed("the demo's policy has no such rule")
    tell.chapter("predicate")
    tell.line("predicate.doing", bank=stage.name(BANK), rule=tell.pick(rule.en, rule.zh))
    clean, adverse = _one_of_each(stage)
    consents = [_agree(stage, citizen, rule.categories) for citizen in (clean, adverse)]
    with stage.bank() as bank:
        outcome = bank.query(str(uuid.uuid4()), consents[0], RENTAL, rule.categories)
        why, index = refused(outcome, "predicate-suffices")
        tell.line("predicate.records", reason=stage.reason(why), index=index)
        tell.line("predicate.rule", text=tell.pick(rule.text_en, rule.text_zh))
        for citizen, consent, expected in zip((clean, adverse), consents, ("yes", "no"), strict=True):
            query = str(uuid.uuid4())
            answer = accepted(bank.query(query, consent, RENTAL, rule.categories, answer=f"predicate:{RULE}"))
            if answer.answer["answer"] != expected:
                raise DemoFailed("a rule was answered otherwise than the records say")
            tell.line(
                "predicate.answer",
                citizen=citizen.person.name,
                day=answer.answer["as_of"],
                answer=tell.text(f"predicate.{expected}"),
                index=answer.receipt.index,
            )


def _one_of_each(stage: Stage) -> tuple[Citizen, Citizen]:
    """A citizen without adverse records and one with, as each finds in their own report."""
    found: dict[bool, Citizen] = {}
    for citizen in stage.citizens:
        with stage.citizen(citizen) as client:
            records = accepted(client.report())["records"]
        adverse = any(record["adverse"] for listed in records.values() for record in listed)
        found.setdefault(adverse, citizen)
        if len(found) == 2:
            return found[False], found[True]
    raise DemoFailed("the demo's citizens are all alike")


def _agree(stage: Stage, citizen: Citizen, categories: tuple[str, ...]) -> str:
    at = stage.house.clock()
    terms = Terms(
        purpose=RENTAL,
        categories=categories,
        not_before=at,
        not_after=at + 7 * DAY,
        max_uses=1,
        retention_days=7,
        answer=f"predicate:{RULE}",
        language=stage.tell.pick("en", "zh-CN"),
    )
    with stage.bank() as bank:
        person = Person(citizen.person.citizen_number)
        asked = accepted(bank.request_consent(str(uuid.uuid4()), person, terms))
    signed = stage.wallet.sign_consent(asked.template, citizen.key, notice_text=asked.notice_text)
    with stage.citizen(citizen) as client:
        accepted(client.grant(signed))
    return asked.consent_id


def checked(stage: Stage) -> None:
    """The ledger as it stands is exported, and verifies offline with everything pinned."""
    tell = stage.tell
    tell.chapter("checked")
    directory = stage.home.path / "export-with-chapters"
    export(stage, directory)
    words = verify_words(stage, directory, stage.home.shelf)
    found = verified(words)
    tell.line("checked.done", size=found["size"], opened=found["opened"])
    tell.command(python(*words))
