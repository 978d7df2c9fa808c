"""Attack: the ledger's own rows are edited, deleted, reordered or cut by whoever owns them, triggers off.

The query path reads few leaves and cannot miss what it does not read. The publisher signs nothing that is not
one chain with what it published before; in what was published an auditor finds every change, by index. Beyond
that stand the columns beside a leaf, which no hash covers: blanked, they make the gateway believe an older
row, and then it is replay that shows the answer. One thing no rule shows for as long as nobody corrects or
erases what is held: records that are hidden so (`test_records_hidden_with_their_leaf`).

What a stranger appends is in `tests/gateway/test_heads.py`, what is cut or put back in
`test_database_histories.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway.client.bank import Answer
from gateway.client.errors import EvidenceFailed
from gateway.client.reply import Refused
from gateway.errors import EvidenceBroken
from gateway.institutions.register import suspend
from gateway.transaction import Transaction
from ledger.bodies import QueryDisclosed
from ledger.errors import Forked, LogBusy
from ledger.merkle import leaf_hash
from tests import databases
from tests.attacks.database import ANNA, CLARA, Scene, Stage, held, staged
from tests.gateway import kit
from tests.gateway.world import BANK

BUNDLE = 256
"""Leaves of a full entry bundle, which the publisher does not read again."""


@pytest.fixture(scope="module", params=databases.ENGINES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(request.param, tmp_path_factory.mktemp("ledger")) as made:
        yield made


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """The evening's state, and an insider for whom no trigger fires."""
    made = stage.reset()
    made.unguard()
    return made


def edit(scene: Scene, index: int, said: bytes, says: bytes) -> None:
    """A leaf says something else, and its stored hash is made to fit."""
    leaf = bytes(scene.row("ledger_leaves", "idx = ?", index)["leaf"])
    assert leaf.count(said) == 1
    leaf = leaf.replace(said, says)
    scene.sql("UPDATE ledger_leaves SET leaf = ?, leaf_hash = ? WHERE idx = ?", leaf, leaf_hash(leaf), index)


def index_of(scene: Scene, kind: str) -> int:
    """Index of the newest leaf of a type."""
    return kit.of_type(scene.house, kind)[-1].index


# --- leaves that were published


def test_an_edited_leaf_is_found_by_publisher_and_auditor(scene: Scene, tmp_path: Path) -> None:
    """The query path decides nothing on that leaf. Without the regulator's key it shows at the next leaf."""
    index = scene.answered.receipt.index
    body = kit.leaves(scene.house)[index].body
    assert isinstance(body, QueryDisclosed)
    edit(scene, index, body.commitment.encode(), body.commitment[::-1].encode())
    scene.check_others()
    with pytest.raises(Forked, match="not the one that was published"):
        scene.publish()
    scene.check_starts()
    export = scene.export(tmp_path / "export")
    assert scene.found(export) == (index + 1, "prev")
    assert scene.found(export, regulator=True) == (index, "revisions")
    assert scene.found(scene.tiles(tmp_path / "tiles"), kept=scene.kept) is None


def test_an_edited_leaf_that_says_what_is_held_refuses_the_query(scene: Scene, tmp_path: Path) -> None:
    """One record fewer is held, and one row fewer there: the rows' MACs are over another leaf."""
    [index] = [leaf.index for leaf in kit.of_type(scene.house, "record.ingested")][:1]
    scene.sql("DELETE FROM records WHERE idx = ? AND category = 'repayment'", index)
    edit(scene, index, b'"count":2', b'"count":1')
    scene.check_refused()
    assert scene.found(scene.export(tmp_path / "export")) == (index + 1, "prev")


def test_reordered_leaves_are_found_by_all_three(scene: Scene, tmp_path: Path) -> None:
    """The answer and the leaf before it change places: Anna's row names a leaf that is another now."""
    index = scene.answered.receipt.index
    for old, new in ((index, -1), (index - 1, index), (-1, index - 1)):
        scene.sql("UPDATE ledger_leaves SET idx = ? WHERE idx = ?", new, old)
    scene.check_refused()
    with pytest.raises(Forked, match="not the one that was published"):
        scene.publish()
    assert scene.found(scene.export(tmp_path / "export")) == (index - 1, "index")


def test_a_deleted_withdrawal_stops_publication_and_export(scene: Scene, tmp_path: Path) -> None:
    """The leaf is gone and the row of before is back: the query path believes it, for want of the later leaf.
    Nothing is published from then on, so that the answer has no proof.
    """
    older = scene.grant()
    scene.world.withdraw(scene.anna, scene.consent)
    scene.publish()
    scene.sql("DELETE FROM ledger_leaves WHERE idx = ?", index_of(scene, "consent.withdrawn"))
    kit.put_back(scene.house, "grants", "consent", older)
    assert isinstance(scene.query(), Answer)
    for act in (scene.publish, partial(scene.export, tmp_path / "export")):
        with pytest.raises(LogBusy, match="not there"):
            act()
    assert isinstance(scene.anna.client.accesses(), Refused)
    assert scene.found(scene.tiles(tmp_path / "tiles"), kept=scene.kept) is None


def test_a_withdrawal_deleted_long_after_is_found_in_the_bundles(scene: Scene, tmp_path: Path) -> None:
    """Its bundle is full, so the publisher does not read it again and signs; an export of the rows fails, the
    citizen's list has a hole, and the bundles in service still hold the withdrawal.
    """
    older = scene.grant()
    scene.world.withdraw(scene.anna, scene.consent)
    gone = index_of(scene, "consent.withdrawn")
    clara = scene.tag(CLARA)

    def read_often(tx: Transaction) -> None:
        for _ in range(BUNDLE):
            tx.append("subject.read", {"what": "report"}, tag=clara)

    scene.house.transact(read_often, seals=False)
    scene.publish()
    scene.sql("DELETE FROM ledger_leaves WHERE idx = ?", gone)
    kit.put_back(scene.house, "grants", "consent", older)
    answered = scene.query()
    assert isinstance(answered, Answer)
    scene.publish()
    scene.check_starts()
    with pytest.raises(LogBusy):
        scene.export(tmp_path / "export")
    with pytest.raises(EvidenceFailed, match="left out"):
        scene.anna.client.accesses()
    assert scene.found(scene.tiles(tmp_path / "tiles")) == (answered.receipt.index, "grant-live")


@pytest.mark.parametrize("moved", [1, -1], ids=["ahead", "back"])
def test_a_persons_head_that_was_moved_is_seen_by_citizen_and_auditor(
    scene: Scene, tmp_path: Path, moved: int
) -> None:
    """The next leaf about that person is numbered wrongly, or cannot be written at all."""
    scene.sql("UPDATE ledger_subjects SET n = n + ? WHERE tag = ?", moved, scene.tag(ANNA))
    answered = scene.query()
    scene.check_others()
    if moved < 0:
        assert isinstance(answered, Refused)
        assert answered.problem.name == "ledger-unavailable"
        return
    assert isinstance(answered, Answer)
    scene.publish()
    assert scene.found(scene.export(tmp_path / "export")) == (answered.receipt.index, "subject-number")
    with pytest.raises(EvidenceFailed, match="left out"):
        scene.anna.client.accesses()


# --- the column beside a leaf that says which row it is about: in no hash, and blanked


def forget(scene: Scene, kind: str) -> None:
    """The newest leaf of this type is about nothing."""
    scene.sql("UPDATE ledger_leaves SET about = NULL WHERE idx = ?", index_of(scene, kind))


def use_forgotten(scene: Scene) -> str:
    """The use that was counted, and the row of before it."""
    older = scene.grant()
    assert isinstance(scene.query(), Answer)
    forget(scene, "query.disclosed")
    kit.put_back(scene.house, "grants", "consent", older)
    return "use-number"


def withdrawal_forgotten(scene: Scene) -> str:
    """The withdrawal, and the row of before it."""
    older = scene.grant()
    scene.world.withdraw(scene.anna, scene.consent)
    forget(scene, "consent.withdrawn")
    kit.put_back(scene.house, "grants", "consent", older)
    return "grant-live"


def _suspension_forgotten(scene: Scene, noun: str, name: str) -> str:
    active = scene.row(f"{noun}s", f"{noun} = ?", name)
    suspend(scene.house, noun, name, "audit-failed")
    forget(scene, f"{noun}.suspended")
    kit.put_back(scene.house, f"{noun}s", noun, active)
    return "actor-standing"


def operators_suspension_forgotten(scene: Scene) -> str:
    """The suspension of who asks, and the row of before it."""
    return _suspension_forgotten(scene, "operator", scene.world.operators[BANK])


def institutions_suspension_forgotten(scene: Scene) -> str:
    """The suspension of the bank, and the row of before it."""
    return _suspension_forgotten(scene, "institution", BANK)


FORGOTTEN = (
    use_forgotten,
    withdrawal_forgotten,
    operators_suspension_forgotten,
    institutions_suspension_forgotten,
)


@pytest.mark.parametrize("way", FORGOTTEN, ids=lambda way: way.__name__)
def test_an_older_row_that_counts_again_is_found_by_replay_alone(
    scene: Scene, tmp_path: Path, way: Callable[[Scene], str]
) -> None:
    """The gateway answers, starts and signs; any auditor names the answer, without anybody's key."""
    rule = way(scene)
    answered = scene.query()
    assert isinstance(answered, Answer)
    scene.publish()
    scene.check_starts()
    assert scene.found(scene.export(tmp_path / "export")) == (answered.receipt.index, rule)


def test_records_hidden_with_their_leaf(scene: Scene, tmp_path: Path) -> None:
    """The records and the column of the leaf that ingested them: an empty file is answered, and no rule of
    gateway or auditor is broken. Her list still holds the entry, with its count, and her report nothing; the
    source that sends its file again is told that they are new; and once a correction of hers has stated what
    is held, an auditor counts.
    """
    [first, *_] = kit.of_type(scene.house, "record.ingested")
    scene.sql("DELETE FROM records WHERE idx = ?", first.index)
    scene.sql("UPDATE ledger_leaves SET about = NULL WHERE idx = ?", first.index)
    answered = scene.query()
    assert isinstance(answered, Answer)
    assert answered.answer["records"] == {"loan": [], "repayment": []}
    scene.publish()
    scene.check_starts()
    export = scene.export(tmp_path / "export")
    assert scene.found(export, regulator=True, kept=scene.kept) is None
    report, listed = scene.anna.client.report(), scene.anna.client.accesses()
    assert not isinstance(report, Refused)
    assert not isinstance(listed, Refused)
    assert report["records"] == {}
    assert first.index in [one.index for one in listed]
    assert scene.world.import_records(held(ANNA)).accepted == 2
    scene.correct_loan()
    scene.publish()
    stated = index_of(scene, "record.restated")
    assert scene.found(scene.export(tmp_path / "later")) == (stated, "restated-count")


# --- leaves that were not published yet


def test_a_leaf_edited_before_it_was_published_is_not_signed(scene: Scene) -> None:
    """In the second between commit and checkpoint: the head names another leaf than the row holds."""
    answered = scene.query()
    assert isinstance(answered, Answer)
    edit(scene, answered.receipt.index, b'"purpose":"02"', b'"purpose":"03"')
    with pytest.raises(Forked, match="the head names"):
        scene.publish()
    with pytest.raises(EvidenceBroken, match="the head names"):
        scene.check_starts()
    scene.check_others()
    with pytest.raises(Forked, match="does not name the one before"):
        scene.publish()
