"""Every page of the runbook, followed step by step: its own commands, in order, in an empty directory.

A page's ```sh blocks are one shell session that ends at the first command that fails. What a page needs of an
administrator (packages, system services) stands in ```console blocks, which are not run here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.runbooks import tools

DOCS = Path(__file__).parents[2] / "deploy" / "docs"
PAGES = tuple(sorted(page.name for page in DOCS.glob("*.md")))
REHEARSED = tuple(name for name in PAGES if "```sh" in (DOCS / name).read_text("utf-8"))
TO_READ = {"README.md", "impact-assessment.md", "monitoring.md"}
"""Pages that tell what to know or to fill in, not what to type."""
LIMIT_S = 480

pytestmark = pytest.mark.slow


def test_every_other_page_is_followed_here() -> None:
    assert set(PAGES) - TO_READ == set(REHEARSED)


@pytest.mark.parametrize("page", REHEARSED)
def test_a_page_can_be_followed(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text("utf-8")
    with tools.surroundings(text, tmp_path) as environment:
        script = tmp_path / "page.sh"
        script.write_text("set -eux\n" + "\n".join(blocks(text)), "utf-8")
        place = tmp_path / "machine"
        place.mkdir()
        shell = subprocess.Popen(
            ["sh", str(script)],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = shell.communicate(timeout=LIMIT_S)
            left = _running(shell.pid)
        finally:
            _end(shell.pid)
        assert shell.returncode == 0, f"{page} stops here:\n{said[-4000:]}"
        assert not left, f"{page} leaves processes running: {left}"


def blocks(text: str) -> list[str]:
    """The commands of a page, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _running(session: int) -> list[str]:
    """Command lines of what still runs in the page's session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended while we looked
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(command)
    return found


def _end(session: int) -> None:
    """Stop whatever a failed page left behind."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_the_blocks_are_those_for_a_shell() -> None:
    page = "a\n```sh\none\n```\n```console\nnot this\n```\n```sh\ntwo\n```\n"
    assert blocks(page) == ["one\n", "two\n"]
