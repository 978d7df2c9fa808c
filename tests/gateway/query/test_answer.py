"""The hot path: log before release, the least answer, and what is said when an answer cannot be delivered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from gateway.client.bank import Answer, Person
from gateway.client.reply import Refused
from gateway.records.rows import Record
from keys.canonical import canonical, sha256_hex
from tests.gateway import kit
from tests.gateway.world import SOURCE, World


def undelivered(world: World, consent: str, **changes: object) -> None:
    """The next query is 503 `undelivered`, with a leaf of the decision and one that says so."""
    before = kit.size(world.house)
    refused = world.query(consent, **changes)
    assert isinstance(refused, Refused)
    assert (refused.problem.name, refused.problem.status) == ("undelivered", 503)
    disclosed, said = kit.leaves(world.house)[before:]
    assert (disclosed.type, said.type) == ("query.disclosed", "query.undelivered")
    assert said.body.of == disclosed.index == refused.extra["index"]
    assert said.subject is not None
    assert disclosed.subject is not None
    assert said.subject.tag == disclosed.subject.tag


LOST = {
    "data-key": "UPDATE data_keys SET wrapped = zeroblob(80) WHERE klass = 'current'",
    "data-key-gone": "DELETE FROM data_keys WHERE klass = 'current'",
}
"""Damage that shows only when the permitted records are opened, after the commit."""

DAMAGE = {
    "ciphertext": "UPDATE records SET body = zeroblob(200)",
    "ciphertext-gone": "UPDATE records SET body = x''",
    "text": "UPDATE records SET body = 'text'",
    "revision-hash": "UPDATE records SET revision_hash = zeroblob(32)",
    "text-for-a-hash": "UPDATE records SET revision_hash = 'text'",
    "text-for-a-mac": "UPDATE records SET mac = 'text'",
    "fraction-for-a-term": "UPDATE records SET shown_until = 1.5",
    "data-key-of-another-class": "UPDATE records SET klass = 'link'",
    "relabelled": "UPDATE records SET category = 'repayment'",
}
"""Damage that the row's evidence shows under the lock, before anything is recorded as disclosed."""


@pytest.mark.parametrize("damage", LOST.values(), ids=LOST.keys())
def test_a_record_that_does_not_open_is_undelivered_and_the_use_stays_counted(
    world: World, damage: str
) -> None:
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    assert isinstance(world.query(consent), Answer)
    kit.insider(world.house, damage)
    undelivered(world, consent)
    kit.check_refused(world, world.query(consent), "exhausted")
    assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 2


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_record_is_refused_before_it_is_disclosed_and_takes_no_use(
    world: World, damage: str
) -> None:
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    kit.insider(world.house, damage)
    kit.check_refused(world, world.query(consent), "evidence-broken")
    assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 0


def test_records_exchanged_between_two_persons_are_not_answered(world: World) -> None:
    world.import_records([kit.loan(), kit.loan(kit.OTHER_NUMBER, "T-2")])
    consent = world.consent(world.citizen(kit.NUMBER))
    (mine, _), (theirs, _) = kit.insider(world.house, "SELECT subject, record FROM records ORDER BY idx")
    kit.insider(world.house, "UPDATE records SET subject = ? WHERE subject = ?", [mine, theirs])
    kit.check_refused(world, world.query(consent), "evidence-broken")


def test_only_what_was_asked_for_is_answered(world: World) -> None:
    world.import_records([kit.loan(), kit.job()])
    consent = world.consent(world.citizen(kit.NUMBER), categories=("employment", "loan", "repayment"))
    narrow, wide = (
        world.query(consent, categories=("loan",)),
        world.query(consent, categories=("employment", "loan")),
    )
    assert isinstance(narrow, Answer)
    assert isinstance(wide, Answer)
    assert narrow.answer["records"].keys() == {"loan"}
    assert wide.answer["records"].keys() == {"employment", "loan"}
    assert len(wide.answer["records"]["employment"]) == 1


def test_an_adverse_record_past_its_term_is_not_shown(world: World) -> None:
    at = date.fromisoformat("2020-03-01")
    fields = {"court": "某法院", "case_number": "(2020)1号", "filed": "2020-02-01", "state": "open"}
    old, new = (
        Record(2, kit.NUMBER, "测试人", "enforcement", SOURCE, f"E-{n}", day, at, None, True, fields)
        for n, day in (("old", date(2020, 2, 1)), ("new", date(2025, 2, 1)))
    )
    world.import_records([old, new])
    consent = world.consent(world.citizen(kit.NUMBER), categories=("enforcement", "loan"))
    answer = world.query(consent, categories=("enforcement",))
    assert isinstance(answer, Answer)
    assert [one["reference"] for one in answer.answer["records"]["enforcement"]] == ["E-new"]


def test_the_receipt_covers_the_answer_and_its_leaf(world: World) -> None:
    world.import_records([kit.loan()])
    answer = world.query(world.consent(world.citizen(kit.NUMBER)))
    assert isinstance(answer, Answer)
    assert answer.receipt.answer_sha256 == sha256_hex(canonical(answer.answer))
    leaf = kit.leaves(world.house)[answer.receipt.index]
    assert (leaf.type, leaf.body.query) == ("query.disclosed", answer.answer["query_id"])
    assert leaf.at == answer.answer["as_of"]
    assert world.bank().prove(answer.receipt)


def test_the_entry_is_durable_before_the_answer_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment a record is opened, another connection reads the entry that releases it."""
    from gateway.query import answer as module

    seen: list[int] = []
    opening: Callable[..., object] = module.decrypt

    def spy(*arguments: object) -> object:
        seen.extend(
            row[0]
            for row in kit.insider(
                world.house, "SELECT idx FROM ledger_leaves WHERE type = 'query.disclosed'"
            )
        )
        return opening(*arguments)

    monkeypatch.setattr(module, "decrypt", spy)
    answer = world.query(world.consent(world.citizen(kit.NUMBER)))
    assert isinstance(answer, Answer)
    assert seen == [answer.receipt.index]


def test_a_person_check_that_holds_is_answered_and_one_that_does_not_takes_no_use(world: World) -> None:
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=3)
    for check in (Person(kit.NUMBER), Person(kit.NUMBER.lower(), "测试人")):
        assert isinstance(world.query(consent, person_check=check), Answer)
    for check in (Person(kit.OTHER_NUMBER), Person(kit.NUMBER, "另一人"), Person("no number")):
        kit.check_refused(world, world.query(consent, person_check=check), "person-mismatch")
    assert isinstance(world.query(consent), Answer)


def test_a_refused_query_takes_no_use(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=1)
    for purpose in ("03", "99"):
        assert isinstance(world.query(consent, purpose=purpose), Refused)
    answer = world.query(consent)
    assert isinstance(answer, Answer)
    assert kit.leaves(world.house)[answer.receipt.index].body.use == 1
