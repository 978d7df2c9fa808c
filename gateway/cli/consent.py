"""`chengxin consent`: an institution asks for consent (授权) and sees what became of it.

Invariant: a request file is what the gateway answered, `{request_id, consent_id, document, notice_text,
...}`, checked to be what was asked for. What the citizen does with it stands in `gateway.cli.wallet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from gateway.cli.common import (
    LazyGroup,
    State,
    fail,
    json_option,
    key_option,
    out_option,
    pass_state,
    require_free,
    show_json,
    show_pairs,
    write_object,
)
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.values import ANSWER, PURPOSE, UUID_TEXT, WHEN, now, person_option, read_person

if TYPE_CHECKING:
    from gateway.client import ConsentRequested

DAYS_30_MS = 30 * 86_400_000


@click.group(
    short_help="Ask, decline, sign, withdraw.",
    cls=LazyGroup,
    lazy={name: f"gateway.cli.wallet:{name}" for name in ("decline", "resume", "sign", "withdraw")},
)
def consent() -> None:
    """Ask for consent (授权); decline, sign, withdraw or resume it."""


@consent.command()
@key_option("the operator who asks")
@person_option()
@click.option(
    "--purpose", type=PURPOSE, required=True, help="Purpose code of the policy (查询原因), e.g. 02."
)
@click.option(
    "--category", "categories", multiple=True, required=True, help="Category of information; repeatable."
)
@click.option("--answer", type=ANSWER, default="report", show_default=True, help="report, or predicate:NAME.")
@click.option("--from", "not_before", type=WHEN, help="From when it would hold; default: now.")
@click.option(
    "--until", "not_after", type=WHEN, help="Until when: 2026-12-31, 2026-12-31T08:00:00Z, 30d (default)."
)
@click.option(
    "--max-uses", type=click.IntRange(min=1), default=1, show_default=True, help="Most answers under it."
)
@click.option(
    "--retention-days",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Days answers are kept.",
)
@click.option(
    "--language",
    type=click.Choice(("zh-CN", "en")),
    default="zh-CN",
    show_default=True,
    help="Of the notice.",
)
@click.option("--case-ref", help="Your own file number; the citizen's document holds its salted hash only.")
@click.option("--request-id", type=UUID_TEXT, help="Give it again to ask the same again; default: a new one.")
@out_option("Request file for the citizen's wallet.", required=False)
@json_option
@target_options
@pass_state
def request(
    state: State,
    key_file: Path,
    person_file: Path | None,
    not_before: int | None,
    not_after: int | None,
    case_ref: str | None,
    request_id: str | None,
    out: Path | None,
    as_json: bool,
    url: str | None,
    vkey: str | None,
    receipt_key: Path | None,
    **terms: Any,
) -> None:
    """Ask a person for consent. The request file goes to the citizen, who signs or declines it.

    \b
    chengxin consent request --key operator.jwk --person person.txt --purpose 02 \\
        --category loan --category repayment --until 30d --out request.json
    """
    from gateway.client import Person, Terms

    require_free(out)
    start = now() if not_before is None else not_before
    asked = Terms(not_before=start, not_after=start + DAYS_30_MS if not_after is None else not_after, **terms)
    if asked.not_after <= asked.not_before:
        fail("the consent would end before it begins: give a later --until")
    person = Person(*read_person(person_file))
    with Target(state, url, vkey, receipt_key).bank(key_file) as bank:
        outcome = bank.request_consent(request_id or str(uuid4()), person, asked, case_ref=case_ref)
        found: ConsentRequested = accepted(outcome, as_json=as_json)
    members = _request_members(found)
    if out is not None:
        write_object(out, members)
    if as_json:
        show_json(members)
        return
    show_pairs({name: members[name] for name in ("request_id", "consent_id", "index")})
    if out is not None:
        click.echo(f"request for the citizen: {out}")


@consent.command(short_help="Show what became of a request.")
@click.argument("request_id", type=UUID_TEXT)
@key_option("the operator who asked, or of the citizen")
@click.option("--citizen", "as_citizen", is_flag=True, help="The key is the citizen's.")
@out_option("Request file to write, for the wallet.", required=False)
@json_option
@target_options
@pass_state
def status(
    state: State,
    request_id: str,
    key_file: Path,
    as_citizen: bool,
    out: Path | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Show what became of a request: requested, granted, declined or lapsed.

    \b
    chengxin consent status 3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11 --key operator.jwk
    """
    from keys.canonical import parse_canonical

    require_free(out)
    if as_citizen:
        with Target(state, **target).citizen(key_file) as client:
            found = accepted(client.consent_request(request_id), as_json=as_json)
    else:
        with Target(state, **target).bank(key_file) as bank:
            reply = accepted(bank.consent_request(request_id), as_json=as_json)
        found = {"request_id": request_id, "state": reply.state} | {
            name: value
            for name, value in (
                ("consent_id", reply.consent_id),
                ("document", None if reply.template is None else parse_canonical(reply.template)),
            )
            if value is not None
        }
    if out is not None:
        write_object(out, found)
    if as_json:
        show_json(found)
        return
    show_pairs({name: found[name] for name in ("request_id", "consent_id", "state") if name in found})


def _request_members(found: ConsentRequested) -> dict[str, Any]:
    from keys.canonical import parse_canonical

    return {
        "request_id": found.request_id,
        "consent_id": found.consent_id,
        "document": parse_canonical(found.template),
        "document_sha256": found.document_sha256,
        "notice_text": found.notice_text,
        "index": found.index,
    }
