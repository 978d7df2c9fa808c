"""Institutions and operators: registered once, suspended at once, listed as they stand."""

from __future__ import annotations

import pytest

from gateway.demo.people import synthetic_uscc
from tests.gateway.cli.town import BANK, PEOPLE, REGULATOR, SOURCE, Shell, consented, query


def operator_of(town: Shell, institution: str) -> str:
    (found,) = town.json("operator", "list", "--institution", institution)
    name: str = found["operator"]
    return name


def test_the_lists_show_standing_for_people_and_for_scripts(town: Shell) -> None:
    listed = {row["institution"]: row for row in town.json("institution", "list")}
    assert listed[BANK]["name"] == "示范银行"
    assert listed[REGULATOR]["roles"] == ["audit"]
    assert listed[SOURCE]["sector"] == "source"
    table = town.ok("institution", "list")
    assert all(code in table for code in listed)
    assert operator_of(town, BANK) in town.ok("operator", "list")


@pytest.mark.parametrize("noun", ["institution", "operator"])
def test_once_suspended_the_next_query_is_refused(town: Shell, noun: str) -> None:
    consent = consented(town, PEOPLE[0], "citizen", f"standing-{noun}", "--max-uses", 5)
    who = BANK if noun == "institution" else operator_of(town, BANK)
    town.ok(*query(town, consent))
    assert "index" in town.ok(noun, "suspend", who, "--reason", "misuse-found", "--until", "30d")
    try:
        assert f"[{noun}-suspended]" in town.fails(*query(town, consent))
        assert "suspended already" in town.fails(noun, "suspend", who, "--reason", "misuse-found")
        (row,) = [row for row in town.json(noun, "list") if row[noun] == who]
        assert (row["state"], row["until"] is None) == ("suspended", False)
    finally:
        town.ok(noun, "reinstate", who, "--reason", "review-passed")
    town.ok(*query(town, consent))
    assert "not suspended" in town.fails(noun, "reinstate", who, "--reason", "again")


def test_a_registration_that_cannot_be_is_one_line(town: Shell) -> None:
    new = synthetic_uscc(77)
    add = ("institution", "add")
    assert "already" in town.fails(*add, BANK, "--name", "Again", "--sector", "finance")
    assert "--public" in town.fails(*add, new, "--name", "R", "--sector", "regulator")
    assert "--public" in town.fails(*add, new, "--name", "B", "--sector", "finance", "--public", "x")
    assert "roles" in town.fails(*add, new, "--name", "B", "--sector", "finance", "--role", "audit")
    operator_key = town.file("operator.jwk.pub")
    regulator_key = town.file("regulator.jwk.pub")
    assert "signing key" in town.fails(
        *add, new, "--name", "R", "--sector", "registrar", "--public", regulator_key
    )
    assert town.fails(*add, new, "--name", "R", "--sector", "regulator", "--public", operator_key)
    assert new not in town.ok("institution", "list")


def test_an_administrator_cannot_query_and_one_key_is_one_operators(town: Shell) -> None:
    town.ok("operator", "keygen", "--out", town.file("admin.jwk"))
    add = ("operator", "add", "--institution", BANK, "--public")
    assert "administrator" in town.fails(
        *add, town.file("admin.jwk.pub"), "--role", "admin", "--role", "query"
    )
    made = town.json(*add, town.file("admin.jwk.pub"), "--role", "admin")
    assert made["operator"] in town.ok("operator", "list")
    assert "operator's already" in town.fails(*add, town.file("operator.jwk.pub"), "--role", "query")
    assert "private" not in town.fails(*add, town.file("admin.jwk"), "--role", "query").split(":")[0]
    consent = consented(town, PEOPLE[0], "citizen", "administrator")
    asked = query(town, consent)
    asked[2] = town.file("admin.jwk")
    assert "[role-not-permitted]" in town.fails(*asked)


def test_who_is_not_registered_cannot_be_suspended(town: Shell) -> None:
    assert "registered" in town.fails("institution", "suspend", synthetic_uscc(78), "--reason", "x")
    assert "registered" in town.fails("operator", "reinstate", "op-0123456789abcdef", "--reason", "x")
    assert "code" in town.fails("institution", "suspend", BANK, "--reason", "He did it", status=2)
    assert "later" in town.fails("institution", "suspend", BANK, "--reason", "x", "--until", "2020-01-01")
