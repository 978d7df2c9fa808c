"""`chengxin registrar`: the registrar's (身份核验机构) work, wholly offline and away from the gateway.

Invariant: one invocation signs with one officer's key. The first officer drafts and signs; the second
reads the same document, checks it against the person before them, adds the second signature, and only a
certificate that verifies under the registrar's key is written. No home, no network, no secret of the
gateway is used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import (
    FILE,
    LazyGroup,
    confirm,
    fail,
    key_option,
    out_option,
    read_object,
    read_text,
    require_free,
    show_pairs,
    write_new,
    write_object,
)
from gateway.cli.values import OFFICER_ID, USCC, WHEN, now, person_option, read_person

if TYPE_CHECKING:
    from consent.enrolment import EnrolmentDocument, OfficerCertificate
    from keys.signing import PrivateKey, PublicKey

YEAR_MS = 365 * 86_400_000
HOUR_MS = 3_600_000
_DRAFT = {"document", "signatures", "officers"}


@click.group(
    short_help="Certify citizens' keys, serve a counter.",
    cls=LazyGroup,
    lazy={
        "rotate": "gateway.cli.registrar_rotate:rotate",
        "withdraw": "gateway.cli.counter:withdraw",
        "revoke-key": "gateway.cli.counter:revoke_key",
        "list-consents": "gateway.cli.counter:list_consents",
        "countersign": "gateway.cli.counter:countersign",
        "send": "gateway.cli.counter:send",
    },
)
def registrar() -> None:
    """Certify that a key belongs to a person, and act at the counter for who lost theirs: two officers,
    offline, with the registrar's own keys."""


@registrar.command(short_help="Make a registrar's or officer's key.")
@out_option("Private key file to make (Ed25519).")
def keygen(out: Path) -> None:
    """Make a key for the registrar, or for one of its officers, and FILE.pub.

    \b
    chengxin registrar keygen --out registrar.jwk
    chengxin registrar keygen --out officer-a.jwk
    """
    from gateway.cli.keygen import make_signing_key

    make_signing_key(out)


@registrar.command(short_help="Certify an officer's key.")
@click.argument("officer_id", type=OFFICER_ID)
@click.option(
    "--registrar", "registrar_id", type=USCC, required=True, help="The registrar's social credit code."
)
@key_option("the registrar")
@click.option("--public", type=FILE, required=True, help="The officer's public key file (FILE.pub).")
@click.option("--from", "not_before", type=WHEN, help="From when it holds; default: now.")
@click.option("--until", "not_after", type=WHEN, help="Until when it holds; default: a year.")
@out_option("The officer's certificate to write.")
def officer(
    officer_id: str,
    registrar_id: str,
    key_file: Path,
    public: Path,
    not_before: int | None,
    not_after: int | None,
    out: Path,
) -> None:
    """Certify one officer's key with the registrar's key.

    \b
    chengxin registrar officer officer-a --registrar 91990000DEMA00002P --key registrar.jwk \\
        --public officer-a.jwk.pub --out officer-a.cert
    """
    from consent.enrolment import OfficerCertificate, sign_officer
    from gateway.client.keyfile import read_private_key, read_public_key

    require_free(out)
    key, officer_key = read_private_key(key_file), read_public_key(public)
    if officer_key.kid == key.kid:
        fail("the officer has the registrar's own key: make another with `chengxin registrar keygen`")
    start = now() if not_before is None else not_before
    end = start + YEAR_MS if not_after is None else not_after
    if end <= start:
        fail("the certificate would end before it begins: give a later --until")
    made = OfficerCertificate(
        registrar=registrar_id, officer=officer_id, jwk=officer_key.jwk, not_before=start, not_after=end
    )
    write_new(out, sign_officer(made, key).encode("ascii") + b"\n")
    click.echo(f"{officer_id} is an officer of {registrar_id}: {out}")


@registrar.command(short_help="Certify a person's key; two officers.")
@click.argument("draft", type=FILE, required=False)
@click.option("--registrar-key", type=FILE, required=True, help="The registrar's public key file (FILE.pub).")
@key_option("the officer who signs now")
@click.option("--officer", "officer_file", type=FILE, required=True, help="That officer's certificate.")
@person_option()
@click.option("--with", "second", type=OFFICER_ID, help="First officer: id of the one who will sign second.")
@click.option("--gateway", help="First officer: origin of the gateway's log, credit.example.cn/log0.")
@click.option("--citizen-key", type=FILE, help="First officer: the citizen's public key file (FILE.pub).")
@click.option(
    "--assurance",
    type=click.Choice(("in-person", "eid", "guardian")),
    help="First officer: how the person was proved.  [default: in-person]",
)
@click.option(
    "--wait-hours",
    type=click.IntRange(0, 720),
    help="First officer: for how long the key waits, where the gateway's policy asks for it.  [default: 0]",
)
@click.option(
    "--yes", is_flag=True, help="Do not ask at the terminal; a script, which has none, is never asked."
)
@out_option("What to write: the draft, or the certificate.")
def certify(
    draft: Path | None,
    registrar_key: Path,
    key_file: Path,
    officer_file: Path,
    person_file: Path | None,
    yes: bool,
    out: Path,
    **drafting: Any,
) -> None:
    """Certify that a key is a person's. The first officer drafts and signs; the second signs that DRAFT.

    \b
    chengxin registrar certify --registrar-key registrar.jwk.pub --key officer-a.jwk \\
        --officer officer-a.cert --with officer-b --gateway credit.example.cn/log0 \\
        --citizen-key citizen.jwk.pub --person person.txt --out draft.json
    chengxin registrar certify draft.json --registrar-key registrar.jwk.pub --key officer-b.jwk \\
        --officer officer-b.cert --person person.txt --out certificate.json
    """
    from gateway.client.keyfile import read_private_key, read_public_key

    require_free(out)
    key, registrar_public = read_private_key(key_file), read_public_key(registrar_key)
    certificate = read_text(officer_file).strip()
    me = certified_officer(certificate, registrar_public, key)
    if draft is None:
        document = _draft(me, person_file, **drafting)
        _show(document)
        confirm("Sign this?", yes=yes)
        write_object(out, _signed(document, [_sign(document, key)], [certificate]))
        click.echo(f"draft signed by {me.officer}: {out}. Now {drafting['second']} signs it.")
        return
    given = [name for name, value in drafting.items() if value is not None]
    if given:
        names = "--with, --gateway, --citizen-key, --assurance and --wait-hours"
        fail(f"the draft says it already: leave {names} out")
    members = read_object(draft, "draft of a certificate")
    document = _second(members, me, person_file)
    _show(document)
    confirm("Sign this?", yes=yes)
    _finish(members, document, me, key, certificate, registrar_public, out)
    click.echo(f"certificate signed by {' and '.join(document.officers)}: {out}")


def certified_officer(certificate: str, registrar: PublicKey, key: PrivateKey) -> OfficerCertificate:
    """The signing officer, certified by the registrar for now and for this key."""
    from consent.enrolment import verify_officer
    from keys.signing import thumbprint

    found = verify_officer(certificate, registrar)
    if thumbprint(found.jwk) != key.kid:
        fail("--officer is the certificate of another key: give the one that was made for --key")
    if not found.not_before <= now() < found.not_after:
        fail("the officer's certificate does not hold now: have the registrar make a new one")
    return found


def _draft(
    me: OfficerCertificate,
    person_file: Path | None,
    *,
    second: str | None,
    gateway: str | None,
    citizen_key: Path | None,
    assurance: Any,
    wait_hours: int | None,
) -> EnrolmentDocument:
    from consent.enrolment import draft_enrolment
    from gateway.client.keyfile import read_public_key

    if second is None or gateway is None or citizen_key is None:
        raise click.UsageError(
            "a first officer gives --with, --gateway and --citizen-key; a second one gives DRAFT"
        )
    if second == me.officer:
        fail("one officer cannot be both: give the other officer's id with --with")
    number, _ = read_person(person_file)
    at = now()
    return draft_enrolment(
        gateway=gateway,
        citizen_number=number,
        citizen_key=read_public_key(citizen_key),
        assurance=assurance or "in-person",
        registrar=me.registrar,
        officers=(me.officer, second),
        at=at,
        effective=at + (wait_hours or 0) * HOUR_MS,
        salt=os.urandom(16),
    )


def is_draft(members: dict[str, Any]) -> bool:
    """Whether a file holds a document with one officer's signature and certificate."""
    return members.keys() == _DRAFT and all(
        isinstance(members[name], list) and len(members[name]) == 1 and isinstance(members[name][0], str)
        for name in ("signatures", "officers")
    )


def _second(members: dict[str, Any], me: OfficerCertificate, person_file: Path | None) -> EnrolmentDocument:
    """The drafted document, once it is about the person before the second officer and names that officer."""
    from consent.enrolment import parse_enrolment, person_hash
    from keys.canonical import canonical, unb64u

    if not is_draft(members):
        fail("this is no draft with one signature: give the file that the first officer's `certify` wrote")
    document = parse_enrolment(canonical(members["document"]))
    if me.officer not in document.officers or me.registrar != document.registrar:
        fail(f"the draft waits for {' and '.join(document.officers)}, not for {me.officer}: let them sign")
    number, _ = read_person(person_file)
    if person_hash(unb64u(document.salt), number) != document.person:
        fail("the draft is about another person: check the citizen number, or have it drafted again")
    return document


def _finish(
    members: dict[str, Any],
    document: EnrolmentDocument,
    me: OfficerCertificate,
    key: PrivateKey,
    certificate: str,
    registrar: PublicKey,
    out: Path,
) -> None:
    """Add the second signature; write only what verifies."""
    from consent.enrolment import format_certificate, make_certificate, verify_certificate

    mine = document.officers.index(me.officer)
    signatures, officers = list(members["signatures"]), list(members["officers"])
    signatures.insert(mine, _sign(document, key))
    officers.insert(mine, certificate)
    made = make_certificate(document, (signatures[0], signatures[1]), (officers[0], officers[1]))
    verify_certificate(made, registrar, document.gateway, now(), registrar_id=me.registrar)
    write_new(out, format_certificate(made) + b"\n")


def _sign(document: EnrolmentDocument, key: PrivateKey) -> str:
    from consent.enrolment import officer_sign

    return officer_sign(document, key)


def _signed(document: EnrolmentDocument, signatures: list[str], officers: list[str]) -> dict[str, Any]:
    from consent.enrolment import format_enrolment
    from keys.canonical import parse_canonical

    return {
        "document": parse_canonical(format_enrolment(document)),
        "signatures": signatures,
        "officers": officers,
    }


def _show(document: EnrolmentDocument) -> None:
    from keys.instant import format_instant

    show_pairs(
        {
            "gateway": document.gateway,
            "registrar": document.registrar,
            "officers": ", ".join(document.officers),
            "citizen's key": document.key,
            "assurance": document.assurance,
            "at": format_instant(document.at),
            "acts from": format_instant(document.effective),
        }
    )
