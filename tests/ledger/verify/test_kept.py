"""An auditor who kept a checkpoint sees a history that was cut, or written again and signed with the log's
own key.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.tiles import TileDirectory
from ledger.verify import Trust, audit
from ledger.verify.__main__ import main
from tests.ledger.verify.forge import Story
from tests.ledger.verify.story import tell


def kept_of(story: Story, log: Path, size: int) -> bytes:
    """The checkpoint that the log signed when it had `size` leaves."""
    return story.note(size, TileDirectory(log).root_at(size))


def finding(directory: Path, story: Story, kept: bytes) -> tuple[str, int | None]:
    with pytest.raises(Finding) as found:
        audit(directory, Trust(parse_vkey(story.vkey), kept={"kept": kept}))
    return found.value.rule, found.value.index


def without_the_last(story: Story) -> Story:
    shorter = story.copy()
    shorter.drafts.pop()
    return shorter


def test_a_log_that_grew_continues_every_checkpoint_kept(tmp_path: Path) -> None:
    story = tell()
    log, size = story.write(tmp_path / "log"), len(story.drafts)
    kept = {str(earlier): kept_of(story, log, earlier) for earlier in (1, size // 2, size)}
    assert audit(log, Trust(parse_vkey(story.vkey), kept=kept)).kept == 3


def test_a_log_that_was_cut_is_found(tmp_path: Path) -> None:
    story = tell()
    log = story.write(tmp_path / "log")
    cut = without_the_last(story).write(tmp_path / "cut")
    audit(cut, Trust(parse_vkey(story.vkey)))  # in order by itself
    assert finding(cut, story, kept_of(story, log, len(story.drafts))) == ("kept", None)


def test_a_history_written_again_in_good_order_is_found(tmp_path: Path) -> None:
    story = tell()
    log = story.write(tmp_path / "log")
    again = story.copy().write(tmp_path / "again")  # the same drafts and the same key, other salts
    audit(again, Trust(parse_vkey(story.vkey)))  # in order by itself
    assert finding(again, story, kept_of(story, log, len(story.drafts) - 3)) == ("kept", None)


def test_the_command_takes_kept_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = tell()
    log = story.write(tmp_path / "log")
    cut = without_the_last(story).write(tmp_path / "cut")
    arguments = ["--vkey", story.vkey, "--kept", str(log / "checkpoint")]
    assert main([str(log), *arguments]) == 0
    assert "continues the 1 checkpoints that were kept" in capsys.readouterr().out
    assert main([str(cut), *arguments]) == 1
    assert "WRONG: log: kept:" in capsys.readouterr().out
    (tmp_path / "noise").write_text("no checkpoint")
    assert main([str(log), "--vkey", story.vkey, "--kept", str(tmp_path / "noise")]) == 2
