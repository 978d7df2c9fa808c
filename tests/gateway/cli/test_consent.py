"""Asking, declining, signing, withdrawing, querying: what each side of the counter types."""

from __future__ import annotations

import json
import re
from typing import NoReturn

import pytest

from consent.document import parse_consent
from consent.proof import verify_consent
from gateway.client import BankClient, Unreachable
from gateway.client.keyfile import read_public_key
from keys.canonical import canonical
from keys.notes import format_vkey, make_vkey
from tests.gateway.cli.town import ORIGIN, PEOPLE, Shell, ask, consented, draft, enrol, query, second

CITIZEN = PEOPLE[0]


def sign(town: Shell, request: str, *more: object, name: str = "citizen") -> list[object]:
    return ["consent", "sign", town.file(request), "--key", town.file(f"{name}.jwk"), *more]


def test_a_wallet_signs_offline_what_it_showed(town: Shell) -> None:
    ask(town, CITIZEN, "offline.request")
    result = town.run(
        "--home", town.file("nowhere"), *sign(town, "offline.request", "--without", "employment")
    )
    body = json.loads(result.stdout)
    document = canonical(body["document"])
    verify_consent(document, body["proof"], read_public_key(town.file("citizen.jwk.pub")))
    assert parse_consent(document).categories == ("repayment",)
    assert "repayment" in result.stderr
    assert not town.file("nowhere").exists()


def test_a_wallet_refuses_another_gateway_and_another_notice(town: Shell) -> None:
    ask(town, CITIZEN, "refused.request")
    assert "another gateway" in town.fails(
        *sign(town, "refused.request", "--gateway", "elsewhere.example/log0")
    )
    members = json.loads(town.file("refused.request").read_text())
    town.file("swapped.request").write_text(json.dumps(members | {"notice_text": "Press yes."}))
    assert "notice" in town.fails(*sign(town, "swapped.request"))
    town.file("junk.request").write_text("[]")
    assert "request file" in town.fails(*sign(town, "junk.request"))
    assert "--send" in town.fails(*sign(town, "refused.request", "--url", "http://127.0.0.1:1"))


def test_a_necessary_category_cannot_be_left_out(town: Shell) -> None:
    ask(town, CITIZEN, "necessary.request")
    line = town.fails(*sign(town, "necessary.request", "--without", "repayment", "--send"))
    assert "[consent-mismatch]" in line


def test_a_citizen_declines_by_file_or_by_id(town: Shell) -> None:
    by_file = ask(town, CITIZEN, "declined.request")
    decline = ("consent", "decline")
    key = ("--key", town.file("citizen.jwk"))
    assert "declined at index" in town.ok(*decline, town.file("declined.request"), *key)
    assert "[already-answered]" in town.fails(*decline, town.file("declined.request"), *key)
    by_id = ask(town, CITIZEN, "declined-too.request")
    assert "declined at index" in town.ok(*decline, by_id["request_id"], *key)
    for asked in (by_file, by_id):
        assert "declined" in town.ok(
            "consent", "status", asked["request_id"], "--key", town.file("operator.jwk")
        )
    assert "no request" in town.fails(*decline, town.file("operator.jwk.pub"), *key)


def test_status_is_the_askers_and_the_citizens_alone(town: Shell) -> None:
    asked = ask(town, CITIZEN, "status.request")
    status = ("consent", "status", asked["request_id"])
    assert town.json(*status, "--key", town.file("operator.jwk"))["state"] == "requested"
    out = ("--out", town.file("status-copy.request"))
    seen = town.json(*status, "--key", town.file("citizen.jwk"), "--citizen", *out)
    assert seen["document"] == asked["document"]
    assert "[not-found]" in town.fails(*status, "--key", town.file("other-operator.jwk"))
    town.ok(*sign(town, "status-copy.request", "--send"))


def test_a_first_grant_can_bring_the_certificate_along(town: Shell) -> None:

    town.ok("citizen", "keygen", "--out", town.file("fresh.jwk"))
    draft(town, PEOPLE[1], "fresh", out="fresh.draft")
    town.ok(*second(town, "fresh.draft", PEOPLE[1], "fresh.certificate"))
    ask(town, PEOPLE[1], "fresh.request")
    assert "[bad-certificate]" in town.fails(*sign(town, "fresh.request", "--send", name="fresh"))
    brought = ("--certificate", town.file("fresh.certificate"), "--send")
    assert "granted at index" in town.ok(*sign(town, "fresh.request", *brought, name="fresh"))


def test_a_withdrawal_by_id_needs_the_gateways_name(town: Shell) -> None:
    consent = consented(town, CITIZEN, "citizen", "by-id")
    withdraw = ("consent", "withdraw", consent, "--key", town.file("citizen.jwk"))
    assert "--gateway" in town.fails(*withdraw, status=2)
    assert "no address" in town.fails(*withdraw, "--gateway", f"https://{ORIGIN}", status=2)
    printed = town.run(*withdraw, "--vkey", town.ok("ledger", "vkey").strip())
    assert json.loads(printed.stdout)["document"]["gateway"] == ORIGIN
    assert "nothing is withdrawn yet: add --send" in printed.stderr
    kept = town.ok(*withdraw, "--gateway", ORIGIN, "--out", town.file("by-id.withdrawal"))
    assert "counts once it is handed in" in kept
    town.ok(*query(town, consent))  # offline means offline: nothing was handed in yet
    sent = json.loads(town.ok(*withdraw, "--gateway", ORIGIN, "--send", "--json", "--reason", "换了银行"))
    assert sent["state"] == "withdrawn"
    assert "[withdrawn]" in town.fails(*query(town, consent))
    assert "no signed consent" in town.fails(
        "consent", "withdraw", town.file("operator.jwk.pub"), "--key", town.file("citizen.jwk")
    )


def test_a_query_without_a_reply_says_how_to_send_it_again(
    town: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = consented(town, CITIZEN, "citizen", "no-reply")

    def lost(*_: object, **__: object) -> NoReturn:
        raise Unreachable("no reply from the gateway (ReadTimeout)")

    with monkeypatch.context() as patched:
        patched.setattr(BankClient, "query", lost)
        line = town.fails(*query(town, consent))
    found = re.search(r"send the same again with --query-id (\S+), which takes no second use", line)
    assert found is not None
    town.ok(*query(town, consent, "--query-id", found[1]))


@pytest.mark.parametrize("wrong", [("--purpose", "2"), ("--answer", "predicate"), ("--answer", "yes")])
def test_a_purpose_and_an_answer_have_a_form(town: Shell, wrong: tuple[str, str]) -> None:
    consent = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    assert wrong[0] in town.fails(*query(town, consent, *wrong), status=2)


def test_an_answer_is_shown_with_receipt_and_proof(town: Shell) -> None:
    consent = consented(town, CITIZEN, "citizen", "shown", "--max-uses", 2)
    told = town.ok(*query(town, consent))
    assert "delay_in_the_past" in told
    assert "the receipt covers this answer" in told
    assert "proved in the ledger" in told
    plain = town.json(*query(town, consent, "--no-proof"))
    assert "proof" not in plain
    refused = town.run(*query(town, consent, "--json"))
    assert refused.exit_code == 1
    shown = json.loads(refused.stdout)
    assert (shown["refused"], shown["title_zh"]) == ("exhausted", "授权的查询次数已用完")
    assert shown["index"] > plain["index"]


def test_the_same_query_sent_again_brings_the_same_answer_and_another_is_refused(town: Shell) -> None:
    consent = consented(town, CITIZEN, "citizen", "once", "--max-uses", 5)
    name = "00000000-0000-4000-8000-000000000001"
    first, again = (town.json(*query(town, consent, "--query-id", name)) for _ in range(2))
    assert again["answer"] == first["answer"]
    assert again["index"] > first["index"]
    assert "redelivered" in town.ok(*query(town, consent, "--query-id", name))
    other = query(town, consent, "--query-id", name, "--case-ref", "another")
    assert "[query-id-reused]" in town.fails(*other)


def test_a_yes_or_no_is_asked_for_by_its_name(town: Shell) -> None:
    form = ("--purpose", "61", "--category", "repayment", "--answer", "predicate:no-overdue-90d")
    operator = ("--key", town.file("operator.jwk"))
    request = town.file("predicate.request")
    asked = town.json("consent", "request", *operator, "--person", town.person(CITIZEN), *form,
                      "--out", request)  # fmt: skip
    town.ok("consent", "sign", request, "--key", town.file("citizen.jwk"), "--send")
    said = town.ok("query", *operator, "--consent-id", asked["consent_id"], *form)
    assert "no-overdue-90d: yes" in said
    assert "90 days or more" in said
    assert "predicate at index" in said
    assert "proved in the ledger" in said


def test_a_pinned_key_that_is_not_the_gateways_stops_the_client(town: Shell) -> None:
    consent = consented(town, CITIZEN, "citizen", "pinned", "--max-uses", 5)
    vkey = town.ok("ledger", "vkey").strip()
    result = town.run(*query(town, consent, "--vkey", vkey))
    assert (result.exit_code, result.stderr) == (0, "")
    assert vkey in town.run(*query(town, consent)).stderr
    foreign = format_vkey(
        make_vkey(ORIGIN, bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    )
    assert "--vkey" in town.fails(*query(town, consent, "--vkey", foreign))
    other = ("--receipt-key", town.file("operator.jwk.pub"))
    assert "receipt" in town.fails(*query(town, consent, "--vkey", vkey, *other))


def test_a_gateway_that_is_not_there_is_one_line(town: Shell) -> None:
    line = town.fails("citizen", "report", "--key", town.file("citizen.jwk"), "--url", "http://127.0.0.1:1")
    assert "chengxin serve" in line


def test_the_person_is_read_from_standard_input_and_never_guessed(town: Shell) -> None:
    base = [
        "consent",
        "request",
        "--key",
        town.file("operator.jwk"),
        "--purpose",
        "01",
        "--category",
        "repayment",
    ]
    stdin = f"{CITIZEN.citizen_number}\n"
    assert "consent_id" in town.ok(*base, "--person", "-", stdin=stdin)
    assert "--person" in town.fails(*base, status=2)
    assert "second line" in town.fails(*base, "--person", "-", stdin="")
    assert "later --until" in town.fails(*base, "--person", "-", "--until", "2020-01-01", stdin=stdin)
    assert "[purpose-unknown]" in town.fails(
        *(p if p != "01" else "99" for p in base), "--person", "-", stdin=stdin
    )


def test_a_key_file_that_others_can_read_is_refused(town: Shell) -> None:
    exposed = town.file("exposed.jwk")
    exposed.write_bytes(town.file("operator.jwk").read_bytes())
    exposed.chmod(0o644)
    arguments = query(town, "00000000-0000-4000-8000-000000000001")
    arguments[2] = exposed
    assert "chmod 600" in town.fails(*arguments)
    arguments[2] = town.file("no-such.jwk")
    assert "no-such.jwk" in town.fails(*arguments)


def test_report_and_accesses_are_plain_to_a_person(town: Shell) -> None:
    consent = consented(town, CITIZEN, "citizen", "plain")
    town.ok(*query(town, consent))
    held = town.ok("citizen", "report", "--key", town.file("citizen.jwk"))
    assert CITIZEN.name in held
    assert "delay_in_the_past" in held
    assert consent in held
    seen = town.ok("citizen", "accesses", "--key", town.file("citizen.jwk"))
    assert "query.disclosed" in seen
    assert "示范银行" in seen
    assert "not yet" not in seen


def test_a_second_key_and_a_certificate_of_another_are_refused(town: Shell) -> None:
    enrol(town, PEOPLE[2], "third")
    again = (
        "citizen",
        "enrol",
        "--key",
        town.file("third.jwk"),
        "--certificate",
        town.file("third.certificate"),
    )
    assert "enrolled at index" in town.ok(*again, "--person", town.person(PEOPLE[2]))
    assert "[bad-certificate]" in town.fails(*again, "--person", town.person(PEOPLE[3]))
    stranger = ("citizen", "report", "--key", town.file("officer-a.jwk"))
    assert "[unknown-key]" in town.fails(*stranger)
