"""The whole story of one query, through commands only, from an empty directory to the auditor's verdict."""

from __future__ import annotations

import json
import stat

import pytest

from tests.gateway.cli.town import (
    BANK,
    PEOPLE,
    REGISTRAR,
    Shell,
    ask,
    enrol,
    import_records,
    init,
    query,
    serving,
    settle,
)


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_a_newcomer_gets_from_nothing_to_a_verified_export(shell: Shell, alg: str) -> None:
    assert "vkey" in init(shell)
    settle(shell)
    assert import_records(shell)["accepted"] == 3
    with serving(shell):
        enrol(shell, PEOPLE[0], "citizen", alg=alg)
        consent = _consent(shell)
        _query(shell, consent)
        _withdraw(shell, consent)
        _look(shell)
        shell.ok("ledger", "export", "--to", shell.file("export"))
    _verify(shell)


def _consent(shell: Shell) -> str:
    asked = ask(shell, PEOPLE[0], "request.json", "--max-uses", 5)
    assert asked["notice_text"]
    files = ("--key", shell.file("citizen.jwk"), "--out", shell.file("consent.json"))
    signed = shell.json(
        "consent", "sign", shell.file("request.json"), *files, "--without", "employment", "--send"
    )
    assert (signed["state"], signed["consent_id"]) == ("granted", asked["consent_id"])
    assert shell.file("consent.json").stat().st_mode & 0o777 == stat.S_IRUSR | stat.S_IWUSR
    status = shell.json("consent", "status", asked["request_id"], "--key", shell.file("operator.jwk"))
    assert status["state"] == "granted"
    consent: str = asked["consent_id"]
    return consent


def _query(shell: Shell, consent: str) -> None:
    answered = shell.json(
        *query(shell, consent, "--person", shell.person(PEOPLE[0]), "--save", shell.file("kept"))
    )
    assert [record["fields"]["history"] for record in answered["answer"]["records"]["repayment"]] == [
        "delay_in_the_past"
    ]
    assert answered["checkpoint"]["size"] > answered["index"]
    assert sorted(path.suffix for path in shell.file("kept").iterdir()) == [".json", ".jws", ".txt"]
    beyond = shell.fails(*query(shell, consent, category="employment"))
    assert "[category-not-consented]" in beyond
    assert "receipt of the refusal: index " in beyond


def _withdraw(shell: Shell, consent: str) -> None:
    told = shell.ok(
        "consent", "withdraw", shell.file("consent.json"), "--key", shell.file("citizen.jwk"), "--send"
    )
    assert told.startswith("withdrawn at index ")
    assert "[withdrawn]" in shell.fails(*query(shell, consent))


def _look(shell: Shell) -> None:
    held = shell.json("citizen", "report", "--key", shell.file("citizen.jwk"))
    assert held["person"]["citizen_number"] == PEOPLE[0].citizen_number
    assert [consent["state"] for consent in held["consents"]] == ["withdrawn"]
    seen = shell.json("citizen", "accesses", "--key", shell.file("citizen.jwk"))
    types = [access["type"] for access in seen]
    assert (
        types.index("query.disclosed") < types.index("consent.withdrawn") < types.index("query.refused", -3)
    )
    assert all(access["proof"] for access in seen)


def _verify(shell: Shell) -> None:
    key = ("--regulator-key", shell.file("regulator.jwk"))
    pins = ("--vkey", shell.ok("ledger", "vkey").strip())
    registrar = ("--registrar", f"{REGISTRAR}={shell.file('registrar.jwk.pub')}")
    verdict = shell.json("ledger", "verify", shell.file("export"), *pins, *registrar, *key)
    assert verdict["ok"] is True
    assert [line.split(" (")[0] for line in verdict["not_checked"]] == ["other histories"]  # nothing kept
    assert verdict["counts"]["query.disclosed"] == 1
    filters = ("--institution", BANK, "--type", "query.disclosed")
    lines = shell.ok("ledger", "show", shell.file("export"), *filters, *key, "--json").splitlines()
    (shown,) = map(json.loads, lines)
    assert shown["details"]["request"]["person_check"]["citizen_number"] == PEOPLE[0].citizen_number
