"""The story as a stranger sees it: told twice in one home, against the real server, then all of it checked.

One home for the whole file: the first telling is English, the main story on SQLite, and leaves its server
running; the second is Chinese, has every chapter, stands on a PostgreSQL of its own with two workers, stops
the first one's server and ends with its own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from gateway.demo import server_process
from gateway.demo.home import Home
from gateway.demo.postgres_server import HOW_TO_ENABLE, find_postgres
from tests.databases import WHY

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE_S = 240.0


def interpreters() -> tuple[str, ...]:
    """How a line that runs our commands begins: by the whole path, or by the one within the checkout."""
    folder = Path(sys.executable).parent
    within = [str(folder.relative_to(CHECKOUT))] if folder.is_relative_to(CHECKOUT) else []
    return (str(folder), *within)


INTERPRETERS: Final = interpreters()
SECOND_ENGINE: Final = "postgresql" if find_postgres() else "sqlite"


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CHENGXIN_", "DEMO_"))}


def run(words: list[str], **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=CHECKOUT,
        env=clean_environment() | extra,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def tell(home: Path, *options: str, **extra: str) -> str:
    told = run([sys.executable, "-m", "gateway.cli", "--home", str(home), "demo", *options], **extra)
    assert told.returncode == 0, told.stderr + told.stdout
    assert told.stderr == ""
    return told.stdout


@dataclass(frozen=True)
class Tellings:
    """What both tellings printed, and what was found while the first one's server was running."""

    home: Home
    english: str
    first_server: int
    replies: dict[str, int]
    after: dict[str, subprocess.CompletedProcess[str]]
    chinese: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tellings]:
    home = Home((tmp_path_factory.mktemp("demo") / "home").resolve())
    try:
        english = tell(home.path)
        (first,) = server_process.earlier(home)
        urls = [line for line in english.splitlines() if line.startswith("http://")]
        replies = {url: httpx.get(url, trust_env=False).status_code for url in urls}
        after = {}
        for line in english.splitlines():
            if line.startswith(INTERPRETERS):
                after[line] = run(shlex.split(line))
        everything = ("--once", "--chapter", "all", "--database", SECOND_ENGINE)
        chinese = tell(home.path, *everything, DEMO_LANG="zh_CN.UTF-8")
        yield Tellings(home, english, first, replies, after, chinese)
    finally:
        for pid in server_process.earlier(home):
            server_process.stop_earlier(pid, home)


def test_story_tells_consent_query_refusal_and_withdrawal(told: Tellings) -> None:
    plain = " ".join(told.english.split())
    for said in (
        "The source sends a file of 1,000 applicants.",
        "Enrolled: 20 citizens.",
        "Answered with 3 records, in Employment, Loan, Repayment and nothing else:",
        "Refused: A category goes beyond the consent.",
        "Demo Bank was refused: A category goes beyond the consent",
        "Refused: The consent was withdrawn.",
    ):
        assert said in plain


def test_import_names_each_column_that_nothing_allows(told: Tellings) -> None:
    plain = " ".join(told.english.split())
    assert re.search(r"nothing authorises collecting it: personal_status_and_sex, .*foreign_worker\.", plain)
    assert re.search(r"separate written consent: .*savings_account_and_bonds, .*property, housing\.", plain)
    assert "judgement of a person and not a record: creditability." in plain
    assert "creditability" in (told.home.source / "import-report.txt").read_text("utf-8")


def test_each_edit_of_the_insider_is_caught_by_the_one_who_should(told: Tellings) -> None:
    plain = " ".join(told.english.split())
    caught = re.findall(r"→ Caught by the (\w+),", plain)
    assert caught == ["verifier", "gateway", "gateway", "gateway", "gateway", "verifier"]
    assert re.search(r"1\. Rewrites entry (\d+),.*?at entry \1:", plain)


def test_every_printed_command_works_when_it_is_pasted(told: Tellings) -> None:
    forged = [line for line in told.after if "insider" in line]
    failed = {
        line: done.stderr for line, done in told.after.items() if done.returncode and line not in forged
    }
    assert failed == {}
    assert len(told.after) == 9
    assert [told.after[line].returncode for line in forged] == [1]
    assert told.after[forged[0]].stdout.startswith("WRONG: ")


def test_printed_verify_line_pins_registrar_and_regulator(told: Tellings) -> None:
    (line,) = [line for line in told.after if "ledger.verify" in line and "insider" not in line]
    assert "--registrar" in line
    assert "--regulator-key" in line
    assert "checked: registrars' certificates, against the pinned keys" in told.after[line].stdout


def test_server_answers_by_name_and_on_every_loopback_address(told: Tellings) -> None:
    assert set(told.replies.values()) == {200}
    hosts = {httpx.URL(url).host for url in told.replies}
    assert hosts == {"localhost", "127.0.0.1"} | ({"::1"} if server_process.has_ipv6() else set())


def test_second_demo_stops_the_first_and_leaves_nothing_running(told: Tellings) -> None:
    assert f"进程 {told.first_server}" in told.chinese
    assert server_process.earlier(told.home) == ()
    assert not server_process.serves(told.first_server, told.home)
    for url in told.replies:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_story_is_told_in_chinese(told: Tellings) -> None:
    assert "被拒绝：信息类别超出授权范围" in told.chinese
    assert "1,000 名申请人" in told.chinese
    assert "Refused" not in told.chinese
    titles = [re.findall(r"^ ?(\d+) ", text, re.MULTILINE) for text in (told.english, told.chinese)]
    assert titles[0] == [str(number) for number in range(1, 13)]
    assert titles[1] == [str(number) for number in range(1, 16)]


def test_chapters_tell_of_the_statute_and_of_the_yes_or_no(told: Tellings) -> None:
    plain = "".join(told.chinese.split())
    for said in (
        "被拒绝：该用户的角色不允许此操作",
        "示范法院依法查询：《中华人民共和国民事诉讼法》第二百五十三条",
        "被拒绝：机构不具备所称的法定查询权",
        "被拒绝：该查询原因只需是否应答，不得调取原始记录",
        "：是。除此之外什么也没有给出",
        "：否。除此之外什么也没有给出",
        "导出的账本校验无误",
    ):
        assert said in plain
    assert len(re.findall("→被(核验程序|网关)发现", plain)) == 6


def test_second_telling_stands_on_postgresql_with_two_workers(told: Tellings) -> None:
    if SECOND_ENGINE != "postgresql":
        pytest.skip(f"{WHY}: {HOW_TO_ENABLE}")
    assert "2 个工作进程共写一本账" in "".join(told.chinese.split("\n   "))
    settings = tomllib.loads((told.home.path / "config.toml").read_text("utf-8"))
    assert settings["workers"] == 2
    assert settings["database_url"].startswith("postgresql+psycopg://demo_gateway@")
    assert not (told.home.path / "gateway.db").exists()


def test_private_keys_are_readable_by_their_owner_alone(told: Tellings) -> None:
    private = sorted(told.home.keys.rglob("*.jwk"))
    assert len(private) == 3 + 1 + 1 + 20 + 2
    for path in (*private, *told.home.keys.rglob("person.txt"), told.home.source / "applicants.csv"):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_log_of_the_story_and_of_its_server_name_nobody(told: Tellings) -> None:
    number, name = (told.home.keys / "citizens" / "01" / "person.txt").read_text("utf-8").split()
    logs = told.home.server_log.read_text("utf-8") + told.home.own_log.read_text("utf-8")
    assert "evidence.broken" in logs
    assert number not in logs
    assert name not in logs


def test_setting_from_outside_does_not_reach_the_demo(tmp_path: Path) -> None:
    outside = tmp_path / "somebody.db"
    words = [sys.executable, "-m", "gateway.cli", "--home", str(tmp_path / "home"), "demo", "--once"]
    refused = run(words, CHENGXIN_DATABASE_URL=f"sqlite:///{outside}")
    assert refused.returncode == 1
    assert refused.stderr == "chengxin: the demo makes its own settings: unset CHENGXIN_DATABASE_URL first\n"
    assert not outside.exists()


def test_home_that_is_no_demos_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"somebody's")
    refused = run([sys.executable, "-m", "gateway.cli", "--home", str(tmp_path), "demo", "--once"])
    assert refused.returncode == 1
    assert "holds something that no demo made" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (tmp_path / "gateway.db").read_bytes() == b"somebody's"
