"""The life of one query, end to end over HTTP, with the importable clients."""

from datetime import date

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.records.rows import Record
from tests.gateway.world import SOURCE, World

NUMBER = "110101199003070134"


def records(number: str) -> list[Record]:
    loan = {"purpose": "education", "amount": 2096, "currency": "DEM", "duration_months": 12}
    return [
        Record(2, number, "测试人", "loan", SOURCE, "T-1/loan", date(2020, 1, 2), None, None, False, loan),
    ]


def test_a_query_is_answered_under_consent_and_refused_after_withdrawal(world: World) -> None:
    assert world.import_records(records(NUMBER)).accepted == 1
    citizen = world.citizen(NUMBER)
    consent = world.consent(citizen)
    bank = world.bank()
    answer = world.query(consent, bank)
    assert isinstance(answer, Answer)
    assert answer.answer["records"]["loan"][0]["fields"]["amount"] == 2096
    assert answer.answer["records"]["repayment"] == []
    assert bank.prove(answer.receipt)
    beyond = world.query(consent, bank, categories=("employment", "loan"))
    assert isinstance(beyond, Refused)
    assert beyond.problem.name == "category-not-consented"
    seen = citizen.client.accesses()
    assert not isinstance(seen, Refused)
    assert [access.type for access in seen] == [
        "record.ingested",
        "subject.enrolled",
        "consent.requested",
        "consent.granted",
        "query.disclosed",
        "query.refused",
        "subject.read",
    ]
    assert all(access.proof for access in seen)
    world.withdraw(citizen, consent)
    again = world.query(consent, bank)
    assert isinstance(again, Refused)
    assert again.problem.name == "withdrawn"
    report = citizen.client.report()
    assert not isinstance(report, Refused)
    assert report["consents"][0]["state"] == "withdrawn"
