"""A yes or no over HTTP: nothing but that leaves, it is a use like any other, and no trace says which."""

from __future__ import annotations

import io
import uuid
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from consent.policy import PolicyBundle, default_policy
from consent.predicates import PredicateRule
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.errors import EvidenceBroken, NotReady
from gateway.policies import apply_policy
from gateway.query import redeliver
from gateway.query.answer import make_answer
from gateway.query.request import Ask, Query
from gateway.query.ruled import Disclosed
from gateway.query.ruled import Refused as RuledOut
from gateway.query.turnstile import rule_batch
from gateway.records.rows import Record, china_day
from gateway.records.store import open_revisions
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.instant import HOUR, parse_instant
from tests.gateway import kit
from tests.gateway.query.asked import Since, look_up, somebody
from tests.gateway.world import SOURCE, World, new_world

OVERDUE = "predicate:no-overdue-90d"
TERMS = {"purpose": "61", "categories": ("repayment",), "answer": OVERDUE}


def repayment(number: str, days: int | str, reference: str = "r") -> Record:
    fields = {"history": "delay_in_the_past", "overdue_days": days}
    day = date(2025, 1, 2)
    name = f"{number}-{reference}/repayment"
    return Record(2, number, "测试人", "repayment", SOURCE, name, day, day, None, True, fields)


def consent_of(world: World, *days: int, **terms: object) -> str:
    """A consent of somebody with repayments overdue for these days."""
    number = somebody(world)
    world.import_records([repayment(number, one, str(n)) for n, one in enumerate(days)])
    return world.consent(world.citizen(number), **(TERMS | terms))


def ask(world: World, consent: str, **changes: object) -> Answer | Refused:
    return world.query(consent, **(TERMS | changes))


@pytest.mark.parametrize(("days", "expected"), [((), "yes"), ((89,), "yes"), ((89, 90), "no")])
def test_yes_or_no_and_nothing_else(shared: World, days: tuple[int, ...], expected: str) -> None:
    answer = ask(shared, consent_of(shared, *days))
    assert isinstance(answer, Answer)
    leaf = kit.leaves(shared.house)[answer.receipt.index]
    rule = shared.house.policy.predicate("no-overdue-90d")
    assert rule is not None
    assert answer.answer == {
        "type": "chengxin/predicate-answer/v1",
        "predicate": "no-overdue-90d",
        "rule": {"en": rule.text_en, "zh": rule.text_zh},
        "as_of": china_day(parse_instant(leaf.at)).isoformat(),
        "answer": expected,
    }
    assert answer.receipt.decision == "predicate"
    assert answer.receipt.answer_sha256 == sha256_hex(canonical(answer.answer))


def test_it_is_a_use_of_the_consent(shared: World) -> None:
    consent = consent_of(shared, 1, 2, 3, max_uses=1)
    answer = ask(shared, consent)
    assert isinstance(answer, Answer)
    leaf = kit.leaves(shared.house)[answer.receipt.index]
    assert (leaf.type, leaf.body.predicate, leaf.body.use) == ("query.predicate", "no-overdue-90d", 1)
    assert leaf.body.categories == ("repayment",)
    assert leaf.sealed is not None
    kit.check_refused(shared, ask(shared, consent), "exhausted")


def test_it_commits_to_all_revisions_that_the_rule_reads(shared: World) -> None:
    consent = consent_of(shared, 1, 2, 999)
    members = parse_canonical(canonical(kit.query_body(consent, **TERMS)))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    asked = look_up(shared.house, query, members, kit.signer_of(shared))
    [ruled] = shared.house.transact(lambda tx: rule_batch(tx, [asked]))
    assert isinstance(ruled, Disclosed)
    held = kit.insider(
        shared.house,
        "SELECT revision_hash FROM records WHERE subject = ? AND category = 'repayment'",
        [asked.found.subject],
    )
    assert len(held) == 3
    assert {one.revision_hash for one in ruled.revisions} == {bytes(one) for (one,) in held}


def test_no_trace_tells_a_yes_from_a_no(shared: World) -> None:
    """Leaves have the same members and lengths, and neither log nor metrics name the outcome."""
    said = io.StringIO()
    forms = []
    with redirect_stdout(said):
        for days in (1, 999):
            since, answer = Since(shared), ask(shared, consent_of(shared, days))
            assert isinstance(answer, Answer)
            assert answer.answer["answer"] == ("yes" if days == 1 else "no")
            [leaf] = since.of_type("query.predicate")
            row = kit.row_of(shared.house, "ledger_leaves", "idx = ?", leaf.index)
            forms.append((sorted(leaf.body.__struct_fields__), len(row["leaf"]) - len(str(leaf.index))))
    assert forms[0] == forms[1]
    metrics = generate_latest().decode()
    assert 'decision="predicate",kind="query"' in metrics
    for text in (said.getvalue(), metrics):
        assert '"yes"' not in text
        assert "=yes" not in text
        assert '"no"' not in text
        assert "=no " not in text


def test_a_garbled_record_is_undelivered_and_never_answered(shared: World) -> None:
    number = somebody(shared)
    shared.import_records([repayment(number, "ninety")])
    refused = ask(shared, shared.consent(shared.citizen(number), **TERMS))
    assert isinstance(refused, Refused)
    assert refused.problem.name == "undelivered"
    last = kit.leaves(shared.house)[-1]
    assert (last.type, last.body.of) == ("query.undelivered", refused.extra["index"])


def test_it_is_given_again_as_of_the_first_day(shared: World) -> None:
    consent, query = consent_of(shared, 90, max_uses=1), str(uuid.uuid4())
    first = ask(shared, consent, query_id=query)
    shared.clock.offset += 23 * HOUR
    again = ask(shared, consent, query_id=query)
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert canonical(again.answer) == canonical(first.answer)
    assert again.receipt.decision == "redelivered"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "report"}, "predicate-suffices"),
        ({"answer": "predicate:no-adverse-record-3y"}, "answer-mismatch"),
        ({"categories": ("penalty", "repayment")}, "category-not-consented"),
    ],
)
def test_what_was_not_agreed_is_refused(shared: World, changes: dict[str, object], reason: str) -> None:
    kit.check_refused(shared, ask(shared, consent_of(shared), **changes), reason)


def test_the_text_given_again_is_that_of_the_policy_then(tmp_path: Path, engine: str) -> None:
    with new_world(tmp_path / engine) as world:
        consent, query = consent_of(world, 90), str(uuid.uuid4())
        first = ask(world, consent, query_id=query)
        apply_policy(world.house, reworded())
        again, fresh = ask(world, consent, query_id=query), ask(world, consent)
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert isinstance(fresh, Answer)
        assert canonical(again.answer) == canonical(first.answer)
        assert fresh.answer["rule"]["en"] == "Said otherwise."


def asked_of(world: World, consent: str, query_id: str) -> Ask:
    members = parse_canonical(canonical(kit.query_body(consent, query_id=query_id, **TERMS)))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    return look_up(world.house, query, members, kit.signer_of(world))


def test_a_policy_of_then_that_cannot_be_read_refuses_its_own_ask_alone(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> PolicyBundle:
        raise NotReady("the policy has members that this release does not know")

    with new_world(tmp_path / engine) as world:
        consent, query = consent_of(world, 90), str(uuid.uuid4())
        assert isinstance(ask(world, consent, query_id=query), Answer)
        apply_policy(world.house, reworded())
        asks = [asked_of(world, consent, one) for one in (query, str(uuid.uuid4()))]
        # Only a release that is older than its ledger's policies comes to this.
        monkeypatch.setattr(redeliver.policies, "load", unreadable)
        again, fresh = world.house.transact(lambda tx: rule_batch(tx, asks))
    assert isinstance(again, RuledOut)
    assert again.reason == "evidence-broken"
    assert isinstance(fresh, Disclosed)


def test_a_yes_or_no_without_its_rule_never_becomes_a_report(shared: World) -> None:
    one = asked_of(shared, consent_of(shared, 90), str(uuid.uuid4()))
    [ruled] = shared.house.transact(lambda tx: rule_batch(tx, [one]))
    assert isinstance(ruled, Disclosed)
    records = open_revisions(shared.house, ruled.revisions, ruled.wrapped)
    assert make_answer(ruled, records)["answer"] == "no"
    with pytest.raises(EvidenceBroken):
        make_answer(msgspec.structs.replace(ruled, rule=None), records)


def reworded(*more: PredicateRule) -> PolicyBundle:
    policy = default_policy(demo=True)
    rules = [
        msgspec.structs.replace(rule, text_en="Said otherwise.") if rule.name == "no-overdue-90d" else rule
        for rule in policy.predicates
    ]
    return msgspec.structs.replace(
        policy, predicates=tuple(sorted([*rules, *more], key=lambda rule: rule.name))
    )


def test_a_rule_that_only_the_policy_knows_is_never_answered(tmp_path: Path, engine: str) -> None:
    """An auditor's text is not code: whoever writes one into the policy gets refusals, not answers."""
    policy = default_policy(demo=True)
    [known] = [rule for rule in policy.predicates if rule.name == "no-overdue-90d"]
    new = msgspec.structs.replace(known, name="no-worry")
    purposes = tuple(
        msgspec.structs.replace(one, answers=tuple(sorted([*one.answers, "predicate:no-worry"])))
        if one.code == "61"
        else one
        for one in policy.purposes
    )
    stated = msgspec.structs.replace(reworded(new), purposes=purposes)
    with new_world(tmp_path / engine, policy=stated) as world:
        consent = consent_of(world, answer="predicate:no-worry")
        refused = ask(world, consent, answer="predicate:no-worry")
        kit.check_refused(world, refused, "answer-not-offered")
        assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 0
