"""The citizen's side of `chengxin consent`: decline, sign, withdraw, resume; signing works offline.

Invariant: a command signs what it showed. It needs a document and a key file, and no network unless
`--send` is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import (
    FILE,
    State,
    confirm,
    fail,
    json_option,
    key_option,
    note,
    out_option,
    pass_state,
    read_file,
    read_object,
    require_free,
    show_json,
    write_object,
)
from gateway.cli.connect import Target, accepted, require_online, target_options
from gateway.cli.values import LOG_NAME, UUID, UUID_TEXT

if TYPE_CHECKING:
    from consent.document import Template
    from gateway.client import Recorded

HAND_IN = {
    noun: f"POST it to /v1/{noun} of the gateway, with Content-Type: application/json"
    for noun in ("consents", "withdrawals")
}
"""How a file that was signed offline reaches the gateway; whoever holds it may hand it in."""
NOT_YET = {"consents": "nothing is granted yet", "withdrawals": "nothing is withdrawn yet"}


@click.command(short_help="Say no to a request.")
@click.argument("request", metavar="REQUEST_ID|FILE")
@key_option("the citizen")
@target_options
@pass_state
def decline(state: State, request: str, key_file: Path, **target: Any) -> None:
    """Say no to a request for consent; no reason is needed. Names the request file or the request's id.

    \b
    chengxin consent decline request.json --key citizen.jwk
    """
    from keys.canonical import canonical, sha256_hex

    known = None if UUID.fullmatch(request) else read_object(Path(request), "request file")
    with Target(state, **target).citizen(key_file) as client:
        asked = accepted(client.consent_request(request)) if known is None else known
        request_id, document = asked.get("request_id"), asked.get("document")
        if not isinstance(request_id, str) or not isinstance(document, dict):
            fail(
                "this is no request for consent: give the file that `consent request --out` wrote, "
                "or the request's id"
            )
        index = accepted(client.decline(request_id, sha256_hex(canonical(document))))
    click.echo(f"declined at index {index}")


@click.command(short_help="Sign a consent, offline if you like.")
@click.argument("file", type=FILE)
@key_option("the citizen")
@click.option("--without", multiple=True, help="Optional category to leave out; repeatable.")
@click.option("--certificate", type=FILE, help="The registrar's certificate, if the key is not enrolled yet.")
@click.option(
    "--gateway",
    type=LOG_NAME,
    help="Sign for the gateway of this log only, e.g. credit.example.cn/log0; default: the one --vkey names.",
)
@click.option(
    "--yes", is_flag=True, help="Do not ask at the terminal; a script, which has none, is never asked."
)
@click.option("--send", is_flag=True, help="Hand it in at once, instead of only signing.")
@out_option("Signed consent to write; keep it to withdraw later.", required=False)
@json_option
@target_options
@pass_state
def sign(
    state: State,
    file: Path,
    key_file: Path,
    without: tuple[str, ...],
    certificate: Path | None,
    gateway: str | None,
    yes: bool,
    send: bool,
    out: Path | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Sign the consent that a request FILE asks for: offline, or handed in at once with --send.

    \b
    chengxin consent sign request.json --key citizen.jwk --out consent.json --send
    """
    from gateway.client import Wallet
    from gateway.client.keyfile import read_private_key
    from keys.canonical import canonical

    place = Target(state, **target)
    require_online(send, place)
    require_free(out)
    key = read_private_key(key_file)
    asked = read_object(file, "request file")
    if "proof" in asked:
        fail(f"{file} is signed already: hand it in as it is, {HAND_IN['consents']}")
    document = canonical(asked["document"] if isinstance(asked.get("document"), dict) else asked)
    notice = asked.get("notice_text")
    wallet = Wallet(place.log(gateway))
    shown = notice if isinstance(notice, str) else None
    template = wallet.read_template(document, shown)
    _check_left_out(template, without)
    _show(template, shown, without)
    confirm("Do you consent?", yes=yes)
    body = wallet.sign_consent(
        document,
        key,
        without=without,
        notice_text=shown,
        certificate=None if certificate is None else read_file(certificate),
    )
    if out is not None:
        write_object(out, body)
    if not send:
        _hand_over(body, out, "consents")
        return
    with place.citizen(key_file) as client:
        _tell(accepted(client.grant(body), as_json=as_json), as_json=as_json)


@click.command(short_help="Withdraw a consent.")
@click.argument("consent_", metavar="CONSENT_ID|FILE")
@key_option("the citizen")
@click.option(
    "--gateway",
    type=LOG_NAME,
    help="The log's name, e.g. credit.example.cn/log0; default: the one that --vkey or the signed consent "
    "FILE names. With CONSENT_ID one of them is needed.",
)
@click.option("--reason", help="A sentence, if you like; none is needed.")
@click.option("--send", is_flag=True, help="Hand it in at once, instead of only signing.")
@out_option("Signed withdrawal to write.", required=False)
@json_option
@target_options
@pass_state
def withdraw(
    state: State,
    consent_: str,
    key_file: Path,
    gateway: str | None,
    reason: str | None,
    send: bool,
    out: Path | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Withdraw (撤回) a consent: sign the withdrawal, and with --send hand it in. From then on nothing is
    answered.

    \b
    chengxin consent withdraw consent.json --key citizen.jwk --send
    """
    from gateway.client import Wallet
    from gateway.client.keyfile import read_private_key

    place = Target(state, **target)
    require_online(send, place)
    require_free(out)
    gateway = place.log(gateway)
    consent_id, origin = _named(consent_, gateway)
    body = Wallet(gateway).sign_withdrawal_of(consent_id, origin, read_private_key(key_file), reason=reason)
    if out is not None:
        write_object(out, body)
    if not send:
        _hand_over(body, out, "withdrawals")
        return
    with place.citizen(key_file) as client:
        _tell(accepted(client.withdraw(body), as_json=as_json), as_json=as_json)


@click.command(short_help="Resume a suspended consent.")
@click.argument("consent_id", type=UUID_TEXT)
@key_option("the citizen, live")
@json_option
@target_options
@pass_state
def resume(state: State, consent_id: str, key_file: Path, as_json: bool, **target: Any) -> None:
    """Confirm (恢复) a suspended consent, as when its key was compromised: it is answered under again.

    \b
    chengxin consent resume 3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11 --key new.jwk
    """
    from gateway.client import Wallet
    from gateway.client.keyfile import read_private_key

    with Target(state, **target).citizen(key_file) as client:
        held = accepted(client.consent(consent_id), as_json=as_json)
        suspension = held.get("suspension")
        if not isinstance(suspension, int):
            fail(f"the consent is not suspended, it is {held.get('state')}: there is nothing to resume")
        origin = client.pins.vkey.name
        body = Wallet(origin).sign_resumption(consent_id, suspension, origin, read_private_key(key_file))
        _tell(accepted(client.resume(body), as_json=as_json), as_json=as_json)


def _named(consent_: str, gateway: str | None) -> tuple[str, str]:
    """The consent's id and its gateway, from a signed consent file or as given."""
    if UUID.fullmatch(consent_):
        if gateway is None:
            raise click.UsageError(
                "with a CONSENT_ID give the log's name too: --gateway credit.example.cn/log0"
            )
        return consent_, gateway
    document = read_object(Path(consent_), "signed consent").get("document")
    members = document if isinstance(document, dict) else {}
    consent_id, origin = members.get("consent_id"), members.get("gateway")
    if not isinstance(consent_id, str) or not isinstance(origin, str):
        fail(
            f"{consent_} is no signed consent: give the file that `consent sign --out` wrote, "
            "or the consent's id"
        )
    return consent_id, origin


def _check_left_out(template: Template, without: tuple[str, ...]) -> None:
    unknown = [code for code in without if code not in template.categories]
    if unknown:
        fail(f"the request does not ask for {', '.join(unknown)}: leave out what it lists under categories")
    if set(template.categories) <= set(without):
        fail("nothing would be left to consent to: say no with `chengxin consent decline`")


def _show(template: Template, notice: str | None, without: tuple[str, ...]) -> None:
    """What is about to be signed, on standard error: standard output may carry the signed body."""
    from keys.instant import format_instant

    note(notice.rstrip() + "\n" if notice is not None else "(the request carries no text of the notice)\n")
    left = [code for code in template.categories if code not in without]
    for name, value in {
        "gateway": template.gateway,
        "recipient": template.recipient,
        "purpose": template.purpose,
        "categories": " ".join(left) + (f"  (without {' '.join(without)})" if without else ""),
        "from": format_instant(template.not_before),
        "until": format_instant(template.not_after),
        "most uses": template.max_uses,
        "kept for": f"{template.retention_days} days",
    }.items():
        note(f"{name:<10}  {value}")


def _hand_over(body: dict[str, Any], out: Path | None, where: str) -> None:
    if out is None:
        show_json(body)
        note(f"note: {NOT_YET[where]}: add --send, or hand in what was printed: {HAND_IN[where]}")
    else:
        click.echo(f"signed: {out}. It counts once it is handed in: {HAND_IN[where]}")


def _tell(recorded: Recorded, *, as_json: bool) -> None:
    receipt = recorded.signed.receipt
    if as_json:
        show_json(
            {
                "consent_id": recorded.consent_id,
                "state": recorded.state,
                "index": receipt.index,
                "receipt": recorded.signed.token,
            }
        )
    else:
        click.echo(
            f"{recorded.state} at index {receipt.index}: consent {recorded.consent_id} (receipt verified)"
        )
