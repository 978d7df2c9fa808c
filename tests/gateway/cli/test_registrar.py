"""The registrar works offline: two officers, two invocations; only a certificate that verifies is written."""

from __future__ import annotations

import json

import pytest

from consent.enrolment import parse_certificate, verify_certificate
from gateway.client.keyfile import read_public_key
from tests.gateway.cli.town import ORIGIN, PEOPLE, REGISTRAR, Shell, certify_officer, draft, second


@pytest.fixture
def counter(shell: Shell) -> Shell:
    """A registrar with three officers and a citizen's key; no gateway anywhere."""
    for name in ("registrar", "officer-a", "officer-b", "officer-c"):
        shell.ok("registrar", "keygen", "--out", shell.file(f"{name}.jwk"))
    for officer in ("officer-a", "officer-b", "officer-c"):
        certify_officer(shell, officer)
    shell.ok("citizen", "keygen", "--out", shell.file("citizen.jwk"))
    return shell


def test_two_officers_make_a_certificate_without_any_gateway(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    counter.ok(*second(counter, "draft", PEOPLE[0], "certificate"))
    certificate = parse_certificate(counter.file("certificate").read_bytes().strip())
    registrar = read_public_key(counter.file("registrar.jwk.pub"))
    proved = verify_certificate(
        certificate, registrar, ORIGIN, certificate.enrolment.at, registrar_id=REGISTRAR
    )
    assert proved.is_of(PEOPLE[0].citizen_number)
    assert proved.officers == ("officer-a", "officer-b")
    assert not counter.home.exists()
    assert PEOPLE[0].citizen_number not in counter.file("certificate").read_text()
    assert counter.file("draft").stat().st_mode & 0o777 == 0o600


def test_a_key_can_be_certified_to_wait(counter: Shell) -> None:
    counter.ok("registrar", "certify", "--registrar-key", counter.file("registrar.jwk.pub"),
               "--key", counter.file("officer-a.jwk"), "--officer", counter.file("officer-a.cert"),
               "--with", "officer-b", "--gateway", ORIGIN, "--citizen-key", counter.file("citizen.jwk.pub"),
               "--person", counter.person(PEOPLE[0]), "--wait-hours", "72",
               "--out", counter.file("draft"))  # fmt: skip
    counter.ok(*second(counter, "draft", PEOPLE[0], "certificate"))
    enrolment = parse_certificate(counter.file("certificate").read_bytes().strip()).enrolment
    assert enrolment.effective - enrolment.at == 72 * 3_600_000


def test_one_officer_cannot_be_both(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    assert counter.fails(*second(counter, "draft", PEOPLE[0], "certificate", "officer-a"))
    assert not counter.file("certificate").exists()


def test_an_officer_who_was_not_named_cannot_sign(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    line = counter.fails(*second(counter, "draft", PEOPLE[0], "certificate", "officer-c"))
    assert "officer-a and officer-b" in line


def test_the_second_officer_signs_for_the_person_before_them_only(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    line = counter.fails(*second(counter, "draft", PEOPLE[1], "certificate"))
    assert "another person" in line
    assert PEOPLE[1].citizen_number not in line


def test_an_altered_draft_makes_no_certificate(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    members = json.loads(counter.file("draft").read_text())
    members["document"]["assurance"] = "eid"
    counter.file("altered").write_text(json.dumps(members))
    assert "signed another document" in counter.fails(*second(counter, "altered", PEOPLE[0], "certificate"))
    assert not counter.file("certificate").exists()


def test_an_officer_of_another_registrar_is_refused(counter: Shell) -> None:
    counter.ok("registrar", "keygen", "--out", counter.file("other.jwk"))
    arguments = second(counter, "draft", PEOPLE[0], "certificate")
    draft(counter, PEOPLE[0], "citizen", out="draft")
    arguments[arguments.index(counter.file("registrar.jwk.pub"))] = counter.file("other.jwk.pub")
    assert "did not certify" in counter.fails(*arguments)


def test_an_officer_signs_with_the_key_that_was_certified(counter: Shell) -> None:
    draft(counter, PEOPLE[0], "citizen", out="draft")
    arguments = second(counter, "draft", PEOPLE[0], "certificate")
    arguments[arguments.index(counter.file("officer-b.jwk"))] = counter.file("officer-c.jwk")
    assert "another key" in counter.fails(*arguments)


def test_what_is_missing_or_too_much_is_said(counter: Shell) -> None:
    base = second(counter, "draft", PEOPLE[0], "certificate")
    assert "--with" in counter.fails(*(part for part in base if part != counter.file("draft")), status=2)
    draft(counter, PEOPLE[0], "citizen", out="draft")
    assert "leave" in counter.fails(*base, "--gateway", ORIGIN)
    assert "no draft" in counter.fails(*second(counter, "officer-a.jwk.pub", PEOPLE[0], "certificate"))
    counter.file("certificate").write_text("mine")
    assert "overwritten" in counter.fails(*base)


def test_an_impossible_citizen_number_is_refused_without_being_repeated(counter: Shell) -> None:
    counter.file("wrong.txt").write_text("990101199001010009\n")
    line = counter.fails("registrar", "certify", "--registrar-key", counter.file("registrar.jwk.pub"),
                         "--key", counter.file("officer-a.jwk"), "--officer", counter.file("officer-a.cert"),
                         "--with", "officer-b", "--gateway", ORIGIN,
                         "--citizen-key", counter.file("citizen.jwk.pub"),
                         "--person", counter.file("wrong.txt"), "--out", counter.file("draft"))  # fmt: skip
    assert "check digit" in line
    assert "990101" not in line


def test_an_officers_certificate_ends_after_it_begins_and_is_of_another_key(counter: Shell) -> None:
    base = ("registrar", "officer", "d", "--registrar", REGISTRAR, "--key", counter.file("registrar.jwk"))
    assert "registrar's own key" in counter.fails(
        *base, "--public", counter.file("registrar.jwk.pub"), "--out", counter.file("d.cert")
    )
    public = ("--public", counter.file("officer-a.jwk.pub"), "--out", counter.file("d.cert"))
    assert "later --until" in counter.fails(*base, *public, "--until", "2020-01-01")
