"""`chengxin sandbox`: a gateway with invented people and consents in every state, to try a client against.

Invariant: the policy is the one for demonstration, everybody is invented and the home is one of the demo's
own, so that nothing real can end up in it; what was started is stopped.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any, Final

import click

from gateway.cli.common import State, pass_state
from gateway.client import new_http, pins_from, published_keys
from gateway.config import Settings
from gateway.demo import server_process
from gateway.demo.home import Home, taken
from gateway.demo.installation import installed, running
from gateway.demo.parties import write_private_file
from gateway.demo.stage import chengxin, shown
from gateway.house import House
from gateway.logs import configure
from gateway.publishing import vkey_of
from gateway.sandbox.check import check
from gateway.sandbox.consents import SOON_MS, Gateway, Given, enrol, grant_all
from gateway.sandbox.scenarios import DOCUMENT, STATUTE, STATUTE_PURPOSE, Scenario, scenarios
from gateway.sandbox.town import PEOPLE, Town, settle
from keys.notes import format_vkey
from keys.signing import Jwk

DEFAULT_HOME: Final = Path(".sandbox")
FILE: Final = "sandbox.json"
TYPE: Final = "chengxin/sandbox/v1"
# A client under trial signs wrongly often, and is told each time why.
SETTINGS: Final[dict[str, Any]] = {"origin": "sandbox.localhost/log0", "bad_signatures_per_minute": 10_000}


@click.command(short_help="A gateway with invented people, to try a client against.")
@click.option("--port", type=click.IntRange(1, 65535), help="TCP port of the API; default: a free one.")
@click.option("--check", "checking", is_flag=True, help="Try every scenario with our own client, then end.")
@pass_state
def sandbox(state: State, port: int | None, checking: bool) -> None:
    """Serve a gateway with invented people, institutions and consents in every state, until stopped.

    Everything a client needs is written to sandbox.json in the home: address, pinned keys, key files, people,
    consents, and scenarios with the reply that each must get.

    \b
    chengxin sandbox
    chengxin sandbox --check
    """
    with taken(DEFAULT_HOME if state.home is None else state.home) as home:
        for pid in server_process.earlier(home):
            server_process.stop_earlier(pid, home)
        home.empty()
        values = SETTINGS | ({} if port is None else {"port": port})
        with home.own_log.open("a", encoding="utf-8") as log, installed(home, values) as house:
            configure(house.settings, log)
            town = settle(house, home.keys)
            with running(home, values, goes_on=False) as (server, settings):
                _serve(home, house, town, settings, server, checking=checking)


def _serve(
    home: Home,
    house: House,
    town: Town,
    settings: Settings,
    server: subprocess.Popen[bytes],
    *,
    checking: bool,
) -> None:
    vkey = format_vkey(vkey_of(house))
    with new_http() as http:
        pins = pins_from(published_keys(settings.public_url, http), vkey)
    gateway = Gateway(settings.public_url, pins, town)
    enrol(gateway)
    consents = grant_all(gateway, house.clock)
    ids = {name: given.consent_id for name, given in consents.items()}
    tried = scenarios(ids, {name: citizen.person for name, citizen in town.people.items()})
    file = home.path / FILE
    members = _description(gateway, vkey, pins.receipt_key.jwk, consents, tried)
    write_private_file(file, json.dumps(members, ensure_ascii=False, indent=1).encode())
    if checking:
        Event().wait(SOON_MS / 1000)  # by then the consent that expires has done so
        check(gateway, tried, lambda scenario: click.echo(f"ok  {scenario.name}"))
        click.echo(f"{len(tried)} scenarios held")
        return
    _tell(home, gateway, file, consents["live"], len(tried))
    server_process.wait_until_stopped(server)


def _description(
    gateway: Gateway,
    vkey: str,
    receipt_key: Jwk,
    consents: Mapping[str, Given],
    tried: tuple[Scenario, ...],
) -> dict[str, Any]:
    town = gateway.town
    return {
        "type": TYPE,
        "url": gateway.url,
        "log": gateway.pins.vkey.name,
        "vkey": vkey,
        "receipt_key": dict(receipt_key),
        "regulator_key_file": str(town.regulator),
        "registrar_key_file": str(town.registrar),
        "operators": {
            name: {
                "operator": one.operator,
                "institution": one.institution,
                "kid": one.key.kid,
                "key_file": str(one.file),
            }
            for name, one in town.operators.items()
        },
        "people": {
            name: {"about": line.en, "about_zh": line.zh, "folder": str(town.people[name].folder)}
            for name, line in PEOPLE.items()
        },
        "consents": {name: asdict(given) for name, given in consents.items()},
        "scenarios": [one.members() for one in tried],
    }


def _tell(home: Home, gateway: Gateway, file: Path, live: Given, scenarios: int) -> None:
    click.echo(f"The sandbox is up: {gateway.url}  (documentation: {gateway.url}/docs)")
    click.echo(f"Keys, people, consents and {scenarios} scenarios: {shown(file)}")
    click.echo("All of its people are invented, and it forgets everything when it is started again.")
    for who, lines in _examples(home, gateway, live).items():
        click.echo(f"\n{who}, for instance:")
        for words in lines:
            click.echo(f"  {chengxin(home, *words)}")
    click.echo("\nCtrl-C stops it.")


def _examples(home: Home, gateway: Gateway, live: Given) -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Commands that work as they are printed, in this order."""
    town = gateway.town
    citizen = town.people[live.person].folder
    own = ("--key", shown(citizen / "citizen.jwk"))
    bank, clerk = (("--key", shown(town.operators[name].file)) for name in (live.operator, "court-clerk"))
    asked = [word for category in live.categories for word in ("--category", category)]
    about = ("--person", shown(citizen / "person.txt"), "--out", shown(home.path / "request.json"))
    order = ("--statute", STATUTE, "--document", DOCUMENT, "--purpose", STATUTE_PURPOSE, "--category", "loan")
    return {
        "Query as the bank": (
            ("query", *bank, "--consent-id", live.consent_id, "--purpose", live.purpose, *asked),
        ),
        "Ask under a statute as the court": (("statute", "submit", *clerk, *order, *about),),
        "Act as a citizen": (
            ("citizen", "accesses", *own),
            ("consent", "withdraw", live.consent_id, *own, "--gateway", gateway.pins.vkey.name, "--send"),
        ),
    }
