"""Key files: new, private to their owner, public half beside; and nothing secret in `keys status`."""

from __future__ import annotations

import json

import pytest

from tests.gateway.cli.town import Shell

KEYGENS = [
    ("registrar", "keygen"),
    ("regulator", "keygen"),
    ("operator", "keygen"),
    ("citizen", "keygen"),
    ("citizen", "keygen", "--alg", "ES256"),
]


@pytest.mark.parametrize("command", KEYGENS)
def test_a_key_is_private_and_its_public_half_stands_beside_it(
    shell: Shell, command: tuple[str, ...]
) -> None:
    told = shell.ok(*command, "--out", shell.file("k.jwk"))
    private = json.loads(shell.file("k.jwk").read_text())
    public = json.loads(shell.file("k.jwk.pub").read_text())
    assert shell.file("k.jwk").stat().st_mode & 0o777 == 0o600
    assert private == public | {"d": private["d"]}
    assert private["d"] not in told


@pytest.mark.parametrize("command", KEYGENS)
@pytest.mark.parametrize("taken", ["k.jwk", "k.jwk.pub"])
def test_a_key_is_never_overwritten(shell: Shell, command: tuple[str, ...], taken: str) -> None:
    shell.file(taken).write_text("mine")
    assert "overwritten" in shell.fails(*command, "--out", shell.file("k.jwk"))
    assert shell.file(taken).read_text() == "mine"
    assert [path.name for path in shell.place.iterdir()] == [taken]


def test_a_key_needs_a_directory_that_is_there(shell: Shell) -> None:
    assert "no directory" in shell.fails("operator", "keygen", "--out", shell.file("none") / "k.jwk")


def test_keys_status_shows_names_and_no_secret(installed: Shell) -> None:
    status = installed.json("keys", "status")
    assert [(key["name"], key["kind"]) for key in status["custody"]] == [
        ("checkpoint", "ed25519"),
        ("epoch-1", "aead"),
        ("index-1", "mac"),
        ("receipt", "ed25519"),
        ("rows-1", "mac"),
    ]
    assert [key["use"] for key in status["published"]] == ["checkpoint", "receipt"]
    assert "wrapped" not in installed.ok("keys", "status")
