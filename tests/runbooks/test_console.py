"""What the administrator types, without typing it: a `console` block names what there is, and pages and units
agree on users, places and names.

The blocks themselves change a machine, so only a person follows them; see deploy/docs/README.md.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli import main
from ledger.bodies import LEAF_TYPES
from ledger.bodies.queries import Answered, QueryRedelivered
from tests.deploy.test_systemd import SERVICES, TIMERS, section
from tests.runbooks.test_runbooks import DOCS, blocks

ROOT = DOCS.parents[1]
INSTALL = DOCS / "install.md"
OF_DEBIAN = {"nginx", "prometheus"}
"""Units that packages of Debian bring."""
OPERATORS = {"&&", "||", ";", "|", "do", "done", "(", ")", ");"}


def console(text: str) -> list[str]:
    """The `console` blocks of a page, prompts taken off; a line without one goes on with the line before."""
    found = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^# ", "", block, flags=re.MULTILINE) for block in found]


BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(console(page.read_text("utf-8")), start=1)
]
README_BLOCKS = [
    pytest.param(
        re.findall(r"^## (?:Install|安装)\n.*?```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0], id=name
    )
    for name in ("README.md", "README.zh.md")
    for text in [(ROOT / name).read_text("utf-8")]
]


def simple_commands(block: str) -> Iterator[list[str]]:
    """The words of each simple command of a block. Texts in here-documents are left out."""
    block = re.sub(r"(<<END)\n.*?^END$", r"\1", block, flags=re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in OPERATORS:
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def arguments(block: str, program: str) -> list[list[str]]:
    """What a program is given, each time that it is called."""
    return [words[1:] for words in simple_commands(block) if Path(words[0]).name == program]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_shell_reads_the_block(block: str) -> None:
    done = subprocess.run(["sh", "-n"], input=block, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [*BLOCKS, *README_BLOCKS])
def test_commands_and_options_of_chengxin_are_those_that_there_are(block: str) -> None:
    for words in arguments(block, "chengxin"):
        command: click.Command = main
        context = click.Context(command)
        while isinstance(command, click.Group):
            name = words.pop(0)
            found = command.get_command(context, name)
            assert found is not None, name
            command = found
            context = click.Context(command)
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, words


@pytest.mark.parametrize("block", [*BLOCKS, *README_BLOCKS])
def test_units_and_files_of_deploy_that_are_named_are_there(block: str) -> None:
    ours = {name.removesuffix(".service") for name in (*SERVICES, *TIMERS)}
    for action, *words in arguments(block, "systemctl"):
        units = {word.removesuffix(".service") for word in words if not word.startswith("-")}
        assert units <= ours | OF_DEBIAN, (action, units)
    for name in re.findall(r"(?:\$deploy\"?|\bdeploy)/([\w./*-]+)", block):
        assert list((ROOT / "deploy").glob(name.rstrip("/."))), name


def test_every_place_of_the_units_is_made_for_whom_they_run_as() -> None:
    page = "".join(console(INSTALL.read_text("utf-8")))
    made: dict[str, set[Path]] = {"root": set(), "chengxin": set()}
    for words in arguments(page, "install"):
        if "-d" in words:
            owner = words[words.index("-o") + 1] if "-o" in words else "root"
            made[owner] |= {Path(word) for word in words if word.startswith("/")}
    [account] = arguments(page, "useradd")
    for unit in SERVICES:
        service = section(unit, "Service")
        assert service["User"] == service["Group"] == [account[-1]]
        assert f"CHENGXIN_HOME={account[account.index('--home-dir') + 1]}" in service["Environment"]
        assert {Path(place) for place in service["ReadWritePaths"][0].split()} <= made["chengxin"]
        assert {Path(one.partition(":")[2]).parent for one in service["LoadCredential"]} <= made["root"]
    proxy = (ROOT / "deploy" / "nginx" / "chengxin.conf").read_text("utf-8")
    pem = {Path(one).parent for one in re.findall(r"ssl_certificate(?:_key)? (\S+);", proxy)}
    assert pem
    assert pem <= made["root"]
    [tokens] = section("softhsm.conf", "Service")["ReadWritePaths"]
    assert tokens in (DOCS / "hsm.md").read_text("utf-8")


def test_the_readme_installs_the_packages_and_enables_the_units_of_the_page() -> None:
    page = "".join(console(INSTALL.read_text("utf-8")))
    for parameters in README_BLOCKS:
        [short] = parameters.values
        for program in ("apt-get", "useradd"):
            assert arguments(str(short), program) == arguments(page, program)
        assert [one for one in arguments(page, "systemctl") if one[0] == "enable"] == [
            one for one in arguments(str(short), "systemctl") if one[0] == "enable"
        ]


def test_whoever_the_service_sends_to_is_let_out_first() -> None:
    """The unit denies all but loopback, and the page on webhooks and notices says how it is widened."""
    service = section("chengxin.service", "Service")
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == (["any"], ["localhost"])
    page = (DOCS / "notices.md").read_text("utf-8")
    [let_out] = [block for block in console(page) if "IPAddressAllow=" in block]
    assert "/etc/systemd/system/chengxin.service.d/" in let_out
    assert page.index("IPAddressAllow=") < min(page.index("webhook set"), page.index("notice_email ="))
    assert ["restart", "chengxin"] in arguments(let_out, "systemctl")


def test_who_is_affected_by_a_breach_is_read_from_every_answer_that_left() -> None:
    released = {name for name, body in LEAF_TYPES.items() if issubclass(body, Answered | QueryRedelivered)}
    commands = "".join(blocks((DOCS / "breach.md").read_text("utf-8")))
    shown = [words for words in arguments(commands, "chengxin") if words[:2] == ["ledger", "show"]]
    asked = [{words[n + 1] for n, word in enumerate(words) if word == "--type"} for words in shown]
    assert asked.count(released) == 2, "for the affected, and for the regulator"


def test_what_is_not_there_is_found() -> None:
    """The checks can fail."""
    [block] = console(
        "```console\n# chengxin keys status && systemctl start chengxi\n"
        "# cat >x <<END\nchengxin no\nEND\n```\n"
    )
    assert list(simple_commands(block)) == [
        ["chengxin", "keys", "status"],
        ["systemctl", "start", "chengxi"],
        ["cat", ">", "x", "<<", "END"],
    ]
    with pytest.raises(AssertionError, match="chengxi"):
        test_units_and_files_of_deploy_that_are_named_are_there(block)
    with pytest.raises(AssertionError, match=r"nothing\.sh"):
        test_units_and_files_of_deploy_that_are_named_are_there(
            'install "$deploy/nothing.sh" /usr/local/sbin/'
        )
    with pytest.raises(AssertionError, match="loud"):
        test_commands_and_options_of_chengxin_are_those_that_there_are("chengxin keys status --loud")
