"""`chengxin init`: a new installation in an empty home.

Invariant: what was given on the command line stands in `<home>/config.toml` before anything is made, and
a failed init takes back what it wrote, so that it can simply be run again. The passphrase exists in one
file and nowhere else."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import FILE, State, fail, pass_state, read_text, show_pairs, write_new
from gateway.cli.values import URL

if TYPE_CHECKING:
    from consent.policy import PolicyBundle
    from gateway.config import Settings
    from gateway.house import House


@click.command(short_help="Make a new installation.")
@click.option(
    "--demo", is_flag=True, help="Switch on purposes and categories that nobody has checked yet. Not for use."
)
@click.option(
    "--policy", type=FILE, multiple=True, help="Policy TOML instead of the one that ships; repeatable."
)
@click.option("--origin", help="Name of the log, fixed for ever, without a scheme: credit.example.cn/log0.")
@click.option("--public-url", type=URL, help="Address that clients use and sign: https://credit.example.cn.")
@click.option("--port", type=click.IntRange(1, 65535), help="TCP port of the API.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="TCP port of /metrics, on loopback.")
@click.option("--host", help="Addresses to listen on, separated by commas.")
@click.option(
    "--passphrase-file",
    type=FILE,
    help="File (mode 0600) that holds the passphrase; made when there is none.",
)
@pass_state
def init(state: State, demo: bool, policy: tuple[Path, ...], **given: Any) -> None:
    """Make a new installation: keys, database, and a log with its first leaves.

    \b
    chengxin --home /srv/chengxin init --origin credit.example.cn/log0 --public-url https://credit.example.cn
    chengxin --home .demo init --demo
    """
    from gateway.opening import initialise

    bundle = _policy(policy, demo=demo)
    chosen = {name: value for name, value in given.items() if value is not None}
    if "passphrase_file" in chosen:
        chosen["passphrase_file"] = chosen["passphrase_file"].absolute()
    written: list[Path] = []
    try:
        home = _home(state, written)
        _write_config(home, chosen, written)
        settings = _settings(state, home, chosen)
        made = _passphrase(settings, written)
        house = initialise(settings, bundle)
    except BaseException:
        _take_back(written)
        raise
    try:
        _tell(house, made)
    finally:
        house.engine.dispose()
        house.custody.close()


def _policy(files: tuple[Path, ...], *, demo: bool) -> PolicyBundle:
    from consent.policy import default_policy, load_policy

    return load_policy([read_text(file) for file in files], demo=demo) if files else default_policy(demo=demo)


def _home(state: State, written: list[Path]) -> Path:
    """The home, made if it is not there. Settings that are wrong already are said before anything is made."""
    home = state.settings().home
    if not home.exists():
        home.mkdir(parents=True, mode=0o700)
        written.append(home)
    return home


def _settings(state: State, home: Path, chosen: dict[str, Any]) -> Settings:
    """The settings in force; what was wrong on the command line is said in its words."""
    from gateway.config import CONFIG_NAME, SettingsError

    try:
        return state.settings()
    except SettingsError as error:
        said = str(error)
        for name in chosen:
            said = said.replace(f"{name} in {home / CONFIG_NAME}:", f"--{name.replace('_', '-')}:")
        raise SettingsError(said) from None


def _write_config(home: Path, chosen: dict[str, Any], written: list[Path]) -> None:
    from gateway.config import CONFIG_NAME, CONFIG_VARIABLE, format_config

    file = home / CONFIG_NAME
    if not chosen:
        return
    if os.environ.get(CONFIG_VARIABLE):
        fail(
            f"{CONFIG_VARIABLE} names the settings file: "
            f"write {', '.join(chosen)} there and leave the options out"
        )
    if file.exists():
        fail(
            f"{file} exists: write {', '.join(chosen)} there and leave the options out, "
            "or choose another --home"
        )
    write_new(file, format_config(chosen).encode())
    written.append(file)


def _passphrase(settings: Settings, written: list[Path]) -> bool:
    """Whether a passphrase was made because there was none. A token's PIN is its owner's to choose."""
    file = settings.passphrase_file
    if file.exists():
        return False
    if settings.custody != "file":
        fail(
            f"{file} is not there: write the PIN of token {settings.pkcs11_token} into it, one line, "
            f"for its owner alone (chmod 600)"
        )
    if not file.parent.is_dir():
        fail(f"{file.parent} is no directory: make it first, or name another passphrase_file")
    write_new(file, secrets.token_urlsafe(32).encode() + b"\n")
    written.append(file)
    return True


def _take_back(written: list[Path]) -> None:
    for path in reversed(written):
        with suppress(OSError):  # a directory that holds something else stays
            path.rmdir() if path.is_dir() else path.unlink()


def _tell(house: House, made: bool) -> None:
    from gateway.publishing import vkey_of
    from keys.notes import format_vkey

    settings = house.settings
    show_pairs(
        {
            "home": settings.home,
            "origin": house.origin,
            "address": settings.public_url,
            "policy": house.policy_hash + (" (demo: nothing in it is checked)" if house.policy.demo else ""),
            "vkey": format_vkey(vkey_of(house)),
        }
    )
    if made:
        click.echo(
            f"\nA passphrase was made in {settings.passphrase_file}. Without it every key here is lost:"
            "\nkeep a copy away from this machine, and never beside a backup of the custody."
        )
    click.echo("\nNext: register a regulator, then the registrar, banks and sources, then `chengxin serve`:")
    click.echo("  chengxin regulator keygen --out regulator.jwk          (on the regulator's own machine)")
    click.echo("  chengxin institution add USCC --name NAME --sector regulator --public regulator.jwk.pub")
