"""The auditor's command: what it prints, how it exits, and that it needs nothing of the gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.verify.__main__ import main
from tests.ledger.verify.corruptions_enforcement import ENFORCEMENT
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import NOTARY
from tests.ledger.verify.story import OVERSEER, REGISTRAR, tell


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


@pytest.fixture(scope="module")
def log(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story.write(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    (directory / "notary.json").write_text(json.dumps(REGISTRAR.key.jwk, indent=2))
    (directory / "regulator.json").write_text(json.dumps(OVERSEER.private))
    return directory


@pytest.fixture
def broken(story: Story, tmp_path: Path) -> tuple[Story, Path]:
    spoiled = story.copy()
    next(each for each in ENFORCEMENT if each.name == "answer_after_withdrawal").spoil(spoiled)
    return spoiled, spoiled.write(tmp_path / "broken")


def test_a_log_in_order_is_summed_up(
    story: Story, log: Path, keys: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ["--registrar", f"{NOTARY}={keys}/notary.json", "--regulator-key", f"{keys}/regulator.json"]
    assert main([str(log), "--vkey", story.vkey, "--kept", str(log / "checkpoint"), *options]) == 0
    out, err = capsys.readouterr()
    assert f"in order: {story.origin}, {len(story.drafts)} leaves, root " in out
    disclosed = sum(draft.type == "query.disclosed" for draft in story.drafts)
    assert f"  query.disclosed         {disclosed}\n" in out
    assert "every statutory answer against its statute" in out
    assert "every ask counted against the quotas" in out
    assert "registrars' certificates, against the pinned keys" in out
    assert "NOT checked" not in out
    assert err == ""


def test_what_was_not_checked_is_said(
    story: Story, log: Path, keys: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([str(log), "--vkey", story.vkey]) == 0
    out = capsys.readouterr().out
    assert (
        "NOT checked: citizens' signatures, requests and registrars' certificates (no --regulator-key" in out
    )
    assert "NOT checked: registrars' certificates (no --registrar" in out
    assert "NOT checked: other histories (no --kept" in out
    assert main([str(log), "--vkey", story.vkey, "--regulator-key", f"{keys}/regulator.json"]) == 0
    out = capsys.readouterr().out
    assert "NOT checked: registrars' certificates (no --registrar" in out


def test_queries_that_are_still_hidden_are_said(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    cut = story.copy()
    del cut.drafts[cut.index("unsealed-nobody") :]
    assert main([str(cut.write(tmp_path)), "--vkey", cut.vkey]) == 0
    assert (
        "NOT checked: 2 deferred statutory queries: their persons are not told yet" in capsys.readouterr().out
    )


def test_the_first_thing_wrong_is_printed_with_its_leaf(
    broken: tuple[Story, Path], capsys: pytest.CaptureFixture
) -> None:
    story, directory = broken
    assert main([str(directory), "--vkey", story.vkey]) == 1
    index = story.index("answer-3")
    said = f"WRONG: leaf {index}: grant-live: the consent was withdrawn before\n"
    assert capsys.readouterr().out == said


def test_json_says_the_same(
    story: Story, log: Path, broken: tuple[Story, Path], capsys: pytest.CaptureFixture
) -> None:
    assert main([str(log), "--vkey", story.vkey, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["ok"], summary["size"], summary["opened"]) == (True, len(story.drafts), None)
    assert summary["counts"]["log.opened"] == 1
    assert len(summary["not_checked"]) == 3
    spoiled, directory = broken
    assert main([str(directory), "--vkey", spoiled.vkey, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "ok": False,
        "index": spoiled.index("answer-3"),
        "rule": "grant-live",
        "message": "the consent was withdrawn before",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        ["--vkey", "not a vkey"],
        ["--registrar", "no-file"],
        ["--registrar", "gd-notary=missing.json"],
        ["--registrar", "gd-notary={keys}/regulator.json"],
        ["--regulator-key", "missing.json"],
        ["--regulator-key", "{keys}/notary.json"],
        ["--regulator-key", "{log}/checkpoint"],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_exits_with_two(
    wrong: list[str], story: Story, log: Path, keys: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [option.format(keys=keys, log=log) for option in wrong]
    assert main([str(log), "--vkey", story.vkey, *options]) == 2
    assert capsys.readouterr().err.startswith("cannot verify: ")


def test_a_directory_that_is_not_there_exits_with_two(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([str(tmp_path / "nowhere"), "--vkey", story.vkey]) == 2
    assert "is no directory" in capsys.readouterr().err


def test_a_missing_vkey_exits_with_two(log: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(log)])
    assert exit_.value.code == 2


def test_a_terminal_sees_progress_and_a_pipe_does_not(
    story: Story, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("ledger.verify.__main__.PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", "yes".__len__, raising=False)
    assert main([str(log), "--vkey", story.vkey]) == 0
    err = capsys.readouterr().err
    assert f"{len(story.drafts)} of {len(story.drafts)} leaves, " in err
    assert err.endswith("\r\x1b[K")


def test_the_verifier_stands_alone(story: Story, log: Path) -> None:
    """A process that runs it loads neither database nor web nor any other package of the house."""
    program = (
        "import sys\n"
        "from ledger.verify.__main__ import main\n"
        f"assert main([{str(log)!r}, '--vkey', {story.vkey!r}]) == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for name in ("sqlalchemy", "flask", "gateway", "consent", "httpx", "structlog"):
        assert f"'{name}'" not in loaded


def test_it_runs_as_a_module(story: Story, log: Path) -> None:
    command = [sys.executable, "-m", "ledger.verify", str(log), "--vkey", story.vkey]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("in order: ")
