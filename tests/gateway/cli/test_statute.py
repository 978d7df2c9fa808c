"""`chengxin statute`: what the one who asks and the one who approves type."""

from __future__ import annotations

import json
import stat

import pytest

from gateway.demo.people import synthetic_uscc
from tests.gateway.cli.town import PEOPLE, Shell

COURT = synthetic_uscc(21)
DOCUMENT = "（2026）琼01执123号"


@pytest.fixture(scope="module")
def court(town: Shell) -> Shell:
    """A court in the town: who asks has `asker.jwk`, who approves `approver.jwk`."""
    town.ok("institution", "add", COURT, "--name", "示范法院", "--sector", "agency")
    for name, role in (("asker", "query"), ("approver", "approve")):
        town.ok("operator", "keygen", "--out", town.file(f"{name}.jwk"))
        public = town.file(f"{name}.jwk.pub")
        town.ok("operator", "add", "--institution", COURT, "--public", public, "--role", role)
    return town


def submit(court: Shell, out: str, *more: object) -> list[object]:
    """The arguments of a submission; its request is written to `out`."""
    return ["statute", "submit", "--key", court.file("asker.jwk"), "--statute", "civil-procedure-253",
            "--document", DOCUMENT, "--purpose", "91", "--category", "residence",
            "--person", court.person(PEOPLE[0]), "--out", court.file(out), *more]  # fmt: skip


def settle(court: Shell, verb: str, request: str, key: str = "approver") -> list[object]:
    return ["statute", verb, "--key", court.file(f"{key}.jwk"), "--request", court.file(request)]


def collect(court: Shell, query: str, *more: object) -> list[object]:
    return ["statute", "collect", "--key", court.file("asker.jwk"), "--query-id", query, *more]


def test_two_persons_get_an_answer_that_is_proved(court: Shell) -> None:
    waiting = court.json(*submit(court, "a.request"))
    query = waiting["query_id"]
    assert stat.S_IMODE(court.file("a.request").stat().st_mode) == 0o600
    held = court.run(*collect(court, query))
    assert held.exit_code == 3
    assert "pending" in held.stdout
    told = court.ok(*settle(court, "approve", "a.request"))
    assert DOCUMENT in told
    assert "approved at index" in told
    assert PEOPLE[0].citizen_number not in told
    shown = court.ok(*collect(court, query, "--save", court.file("kept")))
    assert "residence" in shown
    assert "redelivered at index" in shown
    assert "proved in the ledger" in shown
    for kind in ("answer.json", "receipt.jws", "proof.txt"):
        assert court.file("kept").joinpath(f"{query}.{kind}").is_file()


def test_it_stands_in_the_persons_list_with_its_statute(court: Shell) -> None:
    court.ok(*submit(court, "listed.request"))
    shown = court.ok("citizen", "accesses", "--key", court.file("citizen.jwk"))
    assert "query.pending" in shown
    assert "civil-procedure-253" in shown
    assert "示范法院" in shown


def test_a_denial_is_told_to_both(court: Shell) -> None:
    query = court.json(*submit(court, "b.request"))["query_id"]
    assert court.json(*settle(court, "deny", "b.request"))["state"] == "denied"
    assert "[approval-denied]" in court.fails(*collect(court, query))
    assert "[already-answered]" in court.fails(*settle(court, "approve", "b.request"))


def test_who_asked_cannot_approve_and_who_approves_cannot_ask(court: Shell) -> None:
    court.ok(*submit(court, "c.request"))
    assert "[role-not-permitted]" in court.fails(*settle(court, "approve", "c.request", key="asker"))
    asked = [court.file("approver.jwk") if part == court.file("asker.jwk") else part
             for part in submit(court, "d.request")]  # fmt: skip
    assert "[role-not-permitted]" in court.fails(*asked)


def test_a_request_that_was_changed_is_not_approved(court: Shell) -> None:
    court.ok(*submit(court, "e.request"))
    members = json.loads(court.file("e.request").read_text("utf-8"))
    court.file("f.request").write_text(json.dumps(members | {"categories": ["loan"]}), encoding="utf-8")
    assert "[approval-mismatch]" in court.fails(*settle(court, "approve", "f.request"))
    court.file("g.request").write_text('{"query_id": "x"}', encoding="utf-8")
    assert "no statutory request" in court.fails(*settle(court, "approve", "g.request"))


def test_what_does_not_fit_the_statute_is_one_line(court: Shell) -> None:
    line = court.fails(*submit(court, "h.request", "--category", "licence"))
    assert "[statute-not-held]" in line
