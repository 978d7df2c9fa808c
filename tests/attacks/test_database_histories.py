"""Attack: the log is cut, put back to last night, or two persons are shown two of it.

A database alone that was put back is refused at the start and while it runs, which `test_publishing.py` and
`recovery/` in `tests/gateway` have at length. Where everything was put back with it, the published files and
the checkpoint outside, or where nothing had been published yet, only who kept something elsewhere can tell: a
checkpoint or a receipt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.errors import EvidenceFailed
from gateway.client.reply import Refused
from ledger.errors import Forked
from tests import databases
from tests.attacks.database import ANNA, Scene, Stage, staged
from tests.gateway import kit


@pytest.fixture(scope="module", params=databases.ENGINES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(request.param, tmp_path_factory.mktemp("histories")) as made:
        yield made


@pytest.fixture
def day(stage: Stage) -> tuple[Stage, Scene, Answer, bytes]:
    """What happened after the evening: Anna's consent was used, then withdrawn. The answer, and the
    checkpoint that was kept of it.
    """
    scene = stage.reset()
    answered = scene.query()
    assert isinstance(answered, Answer)
    scene.world.withdraw(scene.anna, scene.consent)
    return stage, scene, answered, scene.publish().note


def test_last_nights_database_is_refused(day: tuple[Stage, Scene, Answer, bytes]) -> None:
    stage, scene, _, _ = day
    stage.restore_database()
    scene.check_behind()


def test_last_nights_machine_is_known_by_a_kept_checkpoint(
    day: tuple[Stage, Scene, Answer, bytes], tmp_path: Path
) -> None:
    """It starts, answers under the consent that was withdrawn, and passes every audit but one."""
    stage, scene, answered, kept = day
    stage.reset()
    scene.check_starts()
    again = scene.query()
    assert isinstance(again, Answer)
    shorter = scene.publish()
    export = scene.export(tmp_path / "shorter")
    assert scene.found(export, regulator=True) is None
    assert scene.found(export, kept=kept) == (None, "kept")
    for _ in range(3):
        scene.check_others()
    assert scene.publish().checkpoint.size > shorter.checkpoint.size
    grown = scene.export(tmp_path / "grown")
    assert scene.found(grown, regulator=True) is None
    assert scene.found(grown, kept=kept) == (None, "kept")
    with scene.world.bank() as bank, pytest.raises(EvidenceFailed, match="does not lead"):
        bank.prove(answered.receipt)


def test_two_histories_are_told_apart_by_whoever_compares(
    day: tuple[Stage, Scene, Answer, bytes], tmp_path: Path
) -> None:
    """The bank is shown the log with its answer; an auditor one of the same length without, by the same key.
    Each is in order by itself, and neither goes on from the other's checkpoint.
    """
    stage, scene, answered, banks = day
    with scene.world.bank() as bank:
        assert not isinstance(bank.prove(answered.receipt), Refused)
    first = scene.export(tmp_path / "first")
    outside = scene.house.settings.checkpoint_copy.read_bytes()
    stage.reset()
    while scene.size() < scene.audit(first).size:
        scene.check_others()
    auditors = scene.publish().note
    second = scene.export(tmp_path / "second")
    for export, kept in ((first, auditors), (second, banks)):
        assert scene.found(export, regulator=True) is None
        assert scene.found(export, kept=kept) == (None, "kept")
    with scene.world.bank() as bank, pytest.raises(EvidenceFailed, match="does not lead"):
        bank.prove(answered.receipt)
    scene.house.settings.checkpoint_copy.write_bytes(outside)  # the bank's, kept outside of the machine
    scene.check_others()
    with pytest.raises(Forked):
        scene.publish()


def cut_back(scene: Scene, head: dict[str, Any]) -> None:
    """The tail goes, and an older head is put back, its MAC and all."""
    scene.unguard()
    scene.sql("DELETE FROM ledger_leaves WHERE idx >= ?", head["size"])
    kit.put_back(scene.house, "ledger_head", "shard", head)


def test_a_tail_cut_below_a_checkpoint_stops_everything(stage: Stage) -> None:
    scene = stage.reset()
    head, older = scene.row("ledger_head", "shard = 0"), scene.grant()
    scene.world.withdraw(scene.anna, scene.consent)
    scene.publish()
    cut_back(scene, head)
    kit.put_back(scene.house, "grants", "consent", older)
    scene.check_behind()


def test_a_tail_cut_before_it_was_published_is_seen_by_who_holds_a_receipt(
    stage: Stage, tmp_path: Path
) -> None:
    """The gateway that ran refuses; one that is started then knows of nothing, and no auditor can. The bank's
    receipt names a leaf that the log never proves.
    """
    scene = stage.reset()
    head, grant = scene.row("ledger_head", "shard = 0"), scene.grant()
    [person] = scene.sql("SELECT n, leaf_hash FROM ledger_subjects WHERE tag = ?", scene.tag(ANNA))
    answered = scene.query()
    assert isinstance(answered, Answer)
    cut_back(scene, head)
    kit.put_back(scene.house, "grants", "consent", grant)
    scene.sql("UPDATE ledger_subjects SET n = ?, leaf_hash = ? WHERE tag = ?", *person, scene.tag(ANNA))
    refused = scene.query()
    assert isinstance(refused, Refused)
    assert (refused.problem.status, refused.extra) == (503, {"why": "rolled-back"})
    scene.forget()  # it is started anew
    scene.check_starts()
    scene.check_others()
    scene.publish()
    assert scene.found(scene.export(tmp_path / "export"), regulator=True, kept=scene.kept) is None
    with scene.world.bank() as bank, pytest.raises(EvidenceFailed, match="does not lead"):
        bank.prove(answered.receipt)
