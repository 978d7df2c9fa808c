"""What every client command does first and last: find the gateway, pin its two keys, say a refusal.

Invariant: keys that nobody gave are fetched once and the command says so, because keys fetched from the
gateway itself prove nothing against it. A refusal is one line with its reason and, where there is one,
its receipt's index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from gateway.cli.common import FILE, State, fail, note, show_json
from gateway.cli.failures import Failure
from gateway.cli.values import URL

if TYPE_CHECKING:
    from gateway.client import BankClient, CitizenClient, Pins, Refused
    from gateway.client.statutory import StatutoryClient

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The gateway that a command speaks to, and what it was told to trust."""

    state: State
    url: str | None
    vkey: str | None
    receipt_key: Path | None

    def address(self) -> str:
        """The public address: `--url`, or what the settings of this home say."""
        return self.url if self.url is not None else self.state.settings().public_url

    def log(self, given: str | None) -> str | None:
        """The log's name: as given, or as the pinned verifier key has it."""
        from keys.notes import parse_vkey

        return parse_vkey(self.vkey).name if given is None and self.vkey is not None else given

    def bank(self, key_file: Path, decryption_key: Path | None = None) -> BankClient:
        """The bank's client with an operator's key and, where answers are encrypted, the institution's."""
        return self.statutory(key_file, decryption_key)

    def statutory(self, key_file: Path, decryption_key: Path | None = None) -> StatutoryClient:
        """The same for an institution that holds a statute."""
        from gateway.client.keyfile import read_decryption_key, read_private_key
        from gateway.client.statutory import StatutoryClient

        key = read_private_key(key_file)
        opens = None if decryption_key is None else read_decryption_key(decryption_key)
        pins = self.pins()
        return StatutoryClient(self.address(), key, pins.vkey, pins.receipt_key, encryption_key=opens)

    def citizen(self, key_file: Path) -> CitizenClient:
        """The citizen's client with their own key."""
        from gateway.client import CitizenClient
        from gateway.client.keyfile import read_private_key

        key = read_private_key(key_file)
        pins = self.pins()
        return CitizenClient(self.address(), key, pins.vkey, pins.receipt_key)

    def pins(self) -> Pins:
        """The two keys that everything is checked against."""
        from gateway.client import Pins, pins_from, published_keys
        from gateway.client.channel import new_http
        from gateway.client.keyfile import read_public_key
        from keys.notes import parse_vkey

        given = None if self.receipt_key is None else read_public_key(self.receipt_key)
        if self.vkey is not None and given is not None:
            return Pins(parse_vkey(self.vkey), given)
        with new_http() as http:
            keys = published_keys(self.address(), http)
        if self.vkey is None:
            note(f"note: trusting the log key that {self.address()} names; pin it with --vkey {keys.vkey}")
        pins = pins_from(keys, self.vkey or keys.vkey)
        return pins if given is None else Pins(pins.vkey, given)


def target_options(command: F) -> F:
    """`--url`, `--vkey`, `--receipt-key`."""
    for option in (
        click.option(
            "--receipt-key",
            type=FILE,
            help="Public JWK file of the gateway's receipt key; default: fetched from the gateway.",
        ),
        click.option(
            "--vkey", help="The log's verifier key (name+id+key), pinned; default: fetched, which is said."
        ),
        click.option(
            "--url", type=URL, help="The gateway's public address; default: public_url of this home."
        ),
    ):
        command = option(command)
    return command


def refuse(refused: Refused, *, as_json: bool = False) -> NoReturn:
    """Say a refusal and stop, exit status 1."""
    problem, signed = refused.problem, refused.signed
    if as_json:
        show_json(
            {
                "refused": problem.name,
                "title": problem.title_en,
                "title_zh": problem.title_zh,
                "hint": problem.hint_en,
            }
            | ({} if signed is None else {"index": signed.receipt.index, "receipt": signed.token})
            | dict(refused.extra)
        )
    recorded = "" if signed is None else f"; receipt of the refusal: index {signed.receipt.index}"
    where = " ".join(str(refused.extra[name]) for name in ("why", "field", "rule") if name in refused.extra)
    why = f" ({where})" if where else ""
    raise Failure(
        f"refused: {problem.title_en} [{problem.name}{why}]{recorded}. {problem.hint_en.rstrip('.')}"
    )


def accepted(outcome: Any, *, as_json: bool = False) -> Any:
    """What the gateway replied, unless it refused."""
    from gateway.client import Refused

    if isinstance(outcome, Refused):
        refuse(outcome, as_json=as_json)
    return outcome


def require_online(send: bool, target: Target) -> None:
    """A command that works offline takes an address only together with `--send`."""
    if target.url is not None and not send:
        fail("--url is used with --send only: add --send, or leave it out to work offline")
