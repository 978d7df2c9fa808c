"""Answers under an institution's own key, from the command: made, registered, replaced, opened."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from gateway.demo.people import synthetic_uscc
from tests.gateway.cli.town import BANK, PEOPLE, SOURCE, Shell, consented, query


@pytest.fixture(scope="module")
def sealed(town: Shell) -> Path:
    """The bank's private key; its public half is registered."""
    key = town.file("encryption.jwk")
    assert "mode 0600" in town.ok("institution", "keygen", "--out", key)
    assert "encrypted" in town.ok("institution", "encryption-key", BANK, f"{key}.pub")
    return key


def test_a_query_is_opened_with_the_banks_key_and_verified(town: Shell, sealed: Path) -> None:
    consent = consented(town, PEOPLE[0], "citizen", "sealed", "--max-uses", 3)
    name = str(uuid.uuid4())
    line = town.fails(*query(town, consent, "--query-id", name))
    assert f"send the same again with --decryption-key FILE and --query-id {name}" in line
    assert "--url" not in line
    again = query(town, consent, "--query-id", name, "--decryption-key", sealed)
    assert "redelivered" in town.ok(*again)
    answered = json.loads(town.ok(*query(town, consent, "--decryption-key", sealed, "--json")))
    assert answered["answer"]["records"]["repayment"]
    assert answered["proof"]


def test_a_key_that_is_replaced_opens_no_later_answer(town: Shell, sealed: Path) -> None:
    consent = consented(town, PEOPLE[0], "citizen", "replaced", "--max-uses", 3)
    newer = town.file("newer.jwk")
    town.ok("institution", "keygen", "--out", newer)
    town.ok("institution", "encryption-key", BANK, f"{newer}.pub")
    assert "does not open" in town.fails(*query(town, consent, "--decryption-key", sealed))
    town.ok(*query(town, consent, "--decryption-key", newer))
    assert "published already" in town.fails("institution", "encryption-key", BANK, f"{newer}.pub")


def test_a_registration_may_bring_the_key(town: Shell, sealed: Path) -> None:
    other = synthetic_uscc(91)
    key = town.file("other-encryption.jwk")
    town.ok("institution", "keygen", "--out", key)
    town.ok("institution", "add", other, "--name", "Sealed Bank", "--sector", "finance",
            "--encryption-key", f"{key}.pub")  # fmt: skip
    listed = [row for row in town.json("keys", "status")["published"] if row["use"] == "encryption"]
    assert {BANK, other} == {row["holder"] for row in listed}


def test_what_is_no_x25519_key_and_who_asks_nothing_are_refused_in_one_line(
    town: Shell, sealed: Path
) -> None:
    signing = town.file("operator.jwk.pub")
    assert "X25519" in town.fails("institution", "encryption-key", BANK, signing)
    assert "X25519" in town.fails(*query(town, "0" * 8 + "-0000-0000-0000-" + "0" * 12, "--decryption-key",
                                         town.file("operator.jwk")))  # fmt: skip
    assert "queries" in town.fails("institution", "encryption-key", SOURCE, f"{sealed}.pub")
    sealed.chmod(0o644)
    try:
        consent = "0" * 8 + "-0000-0000-0000-" + "0" * 12
        assert "open to others" in town.fails(*query(town, consent, "--decryption-key", sealed))
    finally:
        sealed.chmod(0o600)


def test_the_ledger_with_encryption_keys_in_it_verifies(town: Shell, sealed: Path) -> None:
    town.ok("ledger", "export", "--to", town.file("copy"))
    assert town.ok("ledger", "verify", town.file("copy"), "--vkey", town.ok("ledger", "vkey").strip())
