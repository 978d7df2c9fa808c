"""The story as a stranger sees it: told twice in one home, on the real server, then all of it checked.

One home for the whole file: the first telling is English, the main story alone, and leaves its server
running; the second is Chinese, stops that server and ends with its own, which the printed command starts
again. Where TEST_ENGINES=all, the second has every chapter, and so has a third, which stands on a PostgreSQL
of its own with two workers and stops the one that was started again.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from gateway.config import load_settings
from gateway.demo import server_process
from gateway.demo.home import Home
from gateway.demo.postgres_server import HOW_TO_ENABLE, find_postgres
from gateway.demo.run import CHAPTERS
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
IN_FULL: Final = os.environ.get("TEST_ENGINES") == "all"
chapter = pytest.mark.skipif(not IN_FULL, reason="the demo's chapters: make test ENGINES=all")


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


Pasted = dict[str, subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Tellings:
    """What the tellings printed, and what became of their commands while each one's state was there."""

    home: Home
    english: str
    first_server: int
    replies: dict[str, int]
    after_english: Pasted
    chinese: str
    after_chinese: Pasted
    started_again: int
    on_postgresql: str | None
    after_postgresql: Pasted

    @property
    def in_chinese(self) -> tuple[str, ...]:
        """The tellings in Chinese."""
        return (self.chinese,) if self.on_postgresql is None else (self.chinese, self.on_postgresql)

    @property
    def whole(self) -> tuple[str, ...]:
        """The tellings that have every chapter, all of them Chinese."""
        assert IN_FULL
        return self.in_chinese


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tellings]:
    home = Home((tmp_path_factory.mktemp("demo") / "home").resolve())
    every = ("--once", "--chapter", "all" if IN_FULL else "main")
    try:
        english = tell(home.path)
        (first,) = server_process.earlier(home)
        replies = {url: httpx.get(url, trust_env=False).status_code for url in addresses(english)}
        after_english = paste(english)
        chinese = tell(home.path, *every, DEMO_LANG="zh_CN.UTF-8")
        after_chinese = paste(chinese)
        with started_by(chinese, home) as server:
            third = None
            if IN_FULL and find_postgres():
                third = tell(home.path, *every, "--database", "postgresql", DEMO_LANG="zh")
        yield Tellings(
            home=home,
            english=english,
            first_server=first,
            replies=replies,
            after_english=after_english,
            chinese=chinese,
            after_chinese=after_chinese,
            started_again=server.pid,
            on_postgresql=third,
            after_postgresql=paste(third or ""),
        )
    finally:
        for pid in server_process.earlier(home):
            server_process.stop_earlier(pid, home)


def addresses(text: str) -> list[str]:
    """The printed URLs, and the index page at each address that the server is said to listen on."""
    urls = [line for line in text.splitlines() if line.startswith("http://")]
    listening = re.search(r"The server is running on (.+):\n", text)
    port = httpx.URL(urls[0]).port
    assert listening is not None
    assert port is not None
    return [*urls, *(f"{server_process.base_url(at, port)}/" for at in listening[1].split(", "))]


def commands(text: str) -> list[str]:
    """The printed lines that a shell takes, but for `kill`."""
    return [line for line in text.splitlines() if line.startswith(INTERPRETERS)]


def paste(text: str) -> Pasted:
    """Every printed command, run as it stands; `serve` has no end, see `started_by`."""
    return {line: run(shlex.split(line)) for line in commands(text) if not line.endswith(" serve")}


@contextmanager
def started_by(text: str, home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """The server that the printed `serve` starts; whoever is told here stops it."""
    (line,) = [line for line in commands(text) if line.endswith(" serve")]
    words = shlex.split(line)
    with subprocess.Popen(
        words,
        cwd=CHECKOUT,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            assert server_process.wait_until_ready(server, home, load_settings(home.path))
            yield server
        finally:
            server_process.stop(server)


def main_of(text: str) -> str:
    """What the main story alone would print: the welcome, its steps, and the end; gaps set chapters apart."""
    welcome, story, *_chapters, end = text.split("\n\n")
    return f"{welcome}\n\n{story}\n\n{end}"


def plain_of(text: str) -> str:
    """Chinese without its line breaks."""
    return "".join(text.split())


def test_main_story_is_read_in_a_minute(told: Tellings) -> None:
    """Everything is counted: commands and hints too. English is read at 250 words a minute and more."""
    assert len(told.english.split()) <= 300
    assert len(re.findall("[\u4e00-\u9fff]", main_of(told.chinese))) <= 600


def test_main_story_tells_consent_query_withdrawal_and_refusal(told: Tellings) -> None:
    plain = " ".join(told.english.split())
    for said in (
        "Statlog (German Credit Data), H. Hofmann, UCI Machine Learning Repository, CC BY 4.0",
        "The people are invented.",
        "4,093 records about 1,000 people, encrypted field by field; 11 forbidden columns refused.",
        "and 19 others make them; Demo Identity Office certifies.",
        "Demo Bank wants Employment, Loan, Repayment, Residence.",
        "signs for all but Residence: ledger entry ",
        "3 records, in Employment, Loan, Repayment and nothing else.",
        "The bank's next query is refused: The consent was withdrawn (entry ",
        "entries verify, without the gateway or its secrets:",
        ", the consent was withdrawn before.",
        f"More: make demo CHAPTER=all (or {', '.join(name for name in CHAPTERS if name != 'main')})",
    ):
        assert said in plain
    assert ("CHAPTER=" in told.chinese) is not IN_FULL


@chapter
def test_evidence_tells_the_life_of_a_consent_at_length(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
        for said in (
            "4,093条记录不变，没有新增。其中不良记录381条",
            "20名公民在自己的设备上生成密钥。",
            "答复了3条记录，仅限职业信息、信贷信息、还款信息：",
            "拒绝：信息类别超出授权范围。没有披露任何内容",
            "示范银行被拒绝：信息类别超出授权范围",
            "拒绝：授权已被撤回。",
            "条附有密封的详情，全部可以打开。",
        ):
            assert said in plain


@chapter
def test_evidence_names_each_column_that_nothing_allows(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
        assert re.search(r"没有法律授权采集：personal_status_and_sex、.*、foreign_worker。", plain)
        assert re.search(r"本人另行书面同意：.*、savings_account_and_bonds、.*、property、housing。", plain)
        assert "这是对人的评判，而不是信用记录：creditability。" in plain
    assert "creditability" in told.home.import_report.read_text("utf-8")


@chapter
def test_each_edit_of_the_insider_is_caught_by_the_one_who_should(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
        caught = re.findall("→被(核验程序|网关)发现", plain)
        assert caught == ["核验程序", "网关", "网关", "网关", "网关", "核验程序"]
        assert re.search(r"1\.改写第(\d+)条，.*?→被核验程序发现，在第\1条：", plain)
        assert "网关拒绝启动：" in plain


def test_every_printed_command_works_when_it_is_pasted(told: Tellings) -> None:
    pasted = (told.after_english, told.after_chinese, told.after_postgresql)
    on_postgresql = 0 if told.on_postgresql is None else 7
    assert [len(after) for after in pasted] == [5, 9 if IN_FULL else 4, on_postgresql]
    for line, done in (item for after in pasted for item in after.items()):
        forged = "insider" in line
        assert done.returncode == forged, (line, done.stderr)
        assert done.stdout.startswith("WRONG: ") == forged, line


def test_printed_verify_line_pins_registrar_and_regulator(told: Tellings) -> None:
    chinese = 3 if IN_FULL else 1
    for after, count in ((told.after_english, 1), (told.after_chinese, chinese), (told.after_postgresql, 3)):
        lines = [line for line in after if "ledger.verify" in line and "insider" not in line]
        assert len(lines) == (count if after else 0)
        for line in lines:
            for pin in ("--registrar", "--regulator-key", "--kept"):
                assert pin in line
            assert "checked: registrars' certificates, against the pinned keys" in after[line].stdout


def test_server_answers_by_name_and_on_every_loopback_address(told: Tellings) -> None:
    assert set(told.replies.values()) == {200}
    hosts = {httpx.URL(url).host for url in told.replies}
    assert hosts == {"localhost", "127.0.0.1"} | ({"::1"} if server_process.has_ipv6() else set())
    assert f"\nkill {told.first_server}\n" in told.english


def test_next_demo_stops_the_one_before_and_the_last_leaves_nothing_running(told: Tellings) -> None:
    assert f"进程 {told.first_server}" in told.chinese
    if told.on_postgresql is not None:
        assert f"进程 {told.started_again}" in told.on_postgresql
    assert server_process.earlier(told.home) == ()
    for pid in (told.first_server, told.started_again):
        assert not server_process.serves(pid, told.home)
    for url in told.replies:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_story_is_told_in_chinese(told: Tellings) -> None:
    for text in told.in_chinese:
        assert "银行再查即被拒绝：授权已被撤回" in plain_of(text)
        assert "1,000 人的 4,093 条记录" in text
        assert "Refused" not in text


def test_steps_are_numbered_through(told: Tellings) -> None:
    chapters = 12 + 2 + 5 + 1 if IN_FULL else 0
    for text, steps in ((told.english, 7), *((text, 7 + chapters) for text in told.in_chinese)):
        numbers = re.findall(r"^ ?(\d+) ", text, re.MULTILINE)
        assert numbers == [str(number) for number in range(1, steps + 1)]


@chapter
def test_chapters_tell_of_the_statute_and_of_the_yes_or_no(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
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


@chapter
def test_keys_are_replaced_while_every_query_is_answered(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
        counted = re.search(r"(\d+)次查询全部得到答复，无一失败。.*?：旧密钥(\d+)张，新密钥(\d+)张。", plain)
        assert counted is not None
        answered, before, after = map(int, counted.groups())
        assert answered == before + after
        assert min(before, after) >= 4


@chapter
def test_lost_key_ends_at_the_counter_and_an_old_database_does_not_undo_it(told: Tellings) -> None:
    for plain in map(plain_of, told.whole):
        for said in (
            "凭两名柜台人员签署的指令，两份授权均告撤回",
            "示范银行随即查询。被拒绝：授权已被撤回",
            "72小时异议期满后，自",
            "柜台撤回的授权依旧不能查询：授权已被撤回",
        ):
            assert said in plain
        assert plain.count("网关拒绝启动：") == 2
    assert not (told.home.path / "restored").exists()


@chapter
def test_erasure_is_held_by_a_case_and_then_certified_offline(told: Tellings) -> None:
    plain = plain_of(told.whole[-1])
    gone = re.search(r"不得删除。案件办结（第\d+条）。(\d+)条记录连同其密钥一并删除", plain)
    assert gone is not None
    assert f"网关这才证明：{gone[1]}条记录已从所有备份中消失" in plain
    after = told.after_postgresql or told.after_chinese
    (check,) = [done for line, done in after.items() if "verify-certificate" in line]
    assert check.stdout.startswith("holds: erasure ")
    assert f" of {gone[1]} records " in check.stdout


def test_last_telling_stands_on_the_database_that_was_asked_for(told: Tellings) -> None:
    """On one of its own and PostgreSQL's, with two workers, where every engine is tested."""
    settings = tomllib.loads((told.home.path / "config.toml").read_text("utf-8"))
    if told.on_postgresql is not None:
        assert "2 个工作进程共写一本账" in "".join(told.on_postgresql.split("\n   "))
        assert settings["workers"] == 2
        assert settings["database_url"].startswith("postgresql+psycopg://demo_gateway@")
    elif IN_FULL:
        pytest.skip(f"{WHY}: {HOW_TO_ENABLE}")
    assert (told.home.path / "gateway.db").exists() == ("database_url" not in settings)


def test_private_keys_are_readable_by_their_owner_alone(told: Tellings) -> None:
    private = sorted(told.home.keys.rglob("*.jwk"))
    assert len(private) == 3 + 1 + 1 + 20 + (2 if IN_FULL else 0)
    for path in (*private, *told.home.keys.rglob("person.txt"), told.home.sent_file):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_log_of_the_story_and_of_its_server_name_nobody(told: Tellings) -> None:
    number, name = (told.home.keys / "citizens" / "01" / "person.txt").read_text("utf-8").split()
    logs = told.home.server_log.read_text("utf-8") + told.home.own_log.read_text("utf-8")
    assert ("evidence.broken" in logs) is IN_FULL  # the insider's edits are a chapter's
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
