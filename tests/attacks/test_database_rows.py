"""Attack: rows of the database are moved, swapped, put back or edited by whoever may write to it.

Each is noticed by the first query that would be decided on it: that ask is refused with a signed receipt, an
alert is raised, and whoever has no part in it is answered. Nothing was disclosed, so the gateway starts, the
publisher signs, and an auditor with the regulator's key finds the log in order. `tests/gateway/test_rows.py`
has the single columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consent.policy import default_policy, format_policy
from gateway.client.bank import Answer
from gateway.errors import EvidenceBroken
from gateway.institutions.register import suspend
from tests import databases
from tests.attacks.database import ANNA, BORIS, Scene, Stage, fresh_id, staged
from tests.gateway import kit
from tests.gateway.world import BANK


@pytest.fixture(scope="module", params=databases.ENGINES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(request.param, tmp_path_factory.mktemp("rows")) as made:
        yield made


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return stage.reset()


LOAN_AND_LATE = ("loan", "repayment")
OF = "subject = ? AND category = 'repayment'"


def record_moved_to_another_person(scene: Scene) -> None:
    """Anna's late repayment becomes Boris's."""
    scene.sql(f"UPDATE records SET subject = ? WHERE {OF}", scene.subject(BORIS), scene.subject(ANNA))


def another_persons_ciphertext(scene: Scene) -> None:
    """Anna's row holds what Boris's held, hash and all."""
    boris = scene.row("records", OF, scene.subject(BORIS))
    scene.sql(
        f"UPDATE records SET body = ?, revision_hash = ?, content_mac = ? WHERE {OF}",
        *(boris[name] for name in ("body", "revision_hash", "content_mac")),
        scene.subject(ANNA),
    )


def ciphertexts_of_two_records_swapped(scene: Scene) -> None:
    """Both of Anna's records are there, each in the place of the other."""
    anna = scene.subject(ANNA)
    loan, late = (scene.row("records", "subject = ? AND category = ?", anna, one) for one in LOAN_AND_LATE)
    for row, other in ((loan, late), (late, loan)):
        scene.sql("UPDATE records SET body = ? WHERE record = ?", other["body"], row["record"])


def columns_of_a_consent_swapped(scene: Scene) -> None:
    """Document and proof change places."""
    scene.sql("UPDATE grants SET document = proof, proof = document WHERE consent = ?", scene.consent)


def older_record_put_back(scene: Scene) -> None:
    """The row of before a correction, whole, its MAC and all."""
    anna = scene.subject(ANNA)
    older = scene.row("records", "subject = ? AND category = 'loan'", anna)
    scene.correct_loan()
    kit.put_back(scene.house, "records", "record", older)


def another_consent_of_hers_in_its_place(scene: Scene) -> None:
    """A wider consent that Anna did sign, under the name of this one."""
    wider = scene.grant(scene.world.consent(scene.anna, max_uses=9))
    scene.sql(
        "UPDATE grants SET document = ?, proof = ? WHERE consent = ?",
        wider["document"],
        wider["proof"],
        scene.consent,
    )


def consent_edited(scene: Scene) -> None:
    """One bit of the document as it is stored."""
    document = bytearray(scene.grant()["document"])
    document[-1] ^= 1
    scene.sql("UPDATE grants SET document = ? WHERE consent = ?", bytes(document), scene.consent)


def use_count_lowered(scene: Scene) -> None:
    """The one use that was taken."""
    scene.sql("UPDATE grants SET uses = 0 WHERE consent = ?", scene.consent)


def row_of_before_the_use_put_back(scene: Scene) -> None:
    """Whole, its MAC and all."""
    older = scene.grant()
    assert isinstance(scene.query(), Answer)
    kit.put_back(scene.house, "grants", "consent", older)


def withdrawal_deleted(scene: Scene) -> None:
    """The row of before the withdrawal is put back, its MAC and all."""
    older = scene.grant()
    scene.world.withdraw(scene.anna, scene.consent)
    kit.put_back(scene.house, "grants", "consent", older)


WAYS = (
    record_moved_to_another_person,
    another_persons_ciphertext,
    ciphertexts_of_two_records_swapped,
    columns_of_a_consent_swapped,
    older_record_put_back,
    another_consent_of_hers_in_its_place,
    consent_edited,
    use_count_lowered,
    row_of_before_the_use_put_back,
    withdrawal_deleted,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_query_path_refuses(scene: Scene, tmp_path: Path, way: Callable[[Scene], None]) -> None:
    way(scene)
    scene.check_refused()
    check_in_order(scene, tmp_path)


def test_a_consent_that_only_a_row_speaks_of_is_refused(scene: Scene, tmp_path: Path) -> None:
    """The insider's own consent: a row that no leaf granted, made of what there was."""
    row = scene.grant() | {"consent": fresh_id(), "uses": 0}
    names = ", ".join(f'"{name}"' for name in row)
    scene.sql(f"INSERT INTO grants ({names}) VALUES ({', '.join('?' * len(row))})", *row.values())
    scene.check_refused(consent=row["consent"])
    check_in_order(scene, tmp_path)


@pytest.mark.parametrize("noun", ["operator", "institution"])
def test_a_reinstatement_by_sql_reinstates_nobody(scene: Scene, tmp_path: Path, noun: str) -> None:
    """Neither a state written over, nor the row of before the suspension with its MAC."""
    name = scene.world.operators[BANK] if noun == "operator" else BANK
    active = scene.row(f"{noun}s", f"{noun} = ?", name)
    suspend(scene.house, noun, name, "audit-failed")
    suspended = scene.row(f"{noun}s", f"{noun} = ?", name)
    for row in (active, suspended | {"state": "active"}):
        kit.put_back(scene.house, f"{noun}s", noun, row)
        scene.check_refused(f"{noun}-suspended")
    check_in_order(scene, tmp_path, refused=2)


def test_an_edited_policy_is_followed_by_nobody(scene: Scene, tmp_path: Path) -> None:
    """The gateway that runs goes on by the policy that the ledger names; none starts on the edited one."""
    scene.sql("UPDATE policies SET body = ?", format_policy(default_policy(demo=False)))
    scene.check_others()
    with pytest.raises(EvidenceBroken, match="policy"):
        scene.check_starts()
    scene.publish()
    assert scene.found(scene.export(tmp_path / "export")) == (0, "policy-published")


def check_in_order(scene: Scene, place: Path, refused: int = 1) -> None:
    """The start, the publisher and the auditor: nothing was disclosed, so nothing is wrong."""
    scene.check_starts()
    scene.publish()
    summary = scene.audit(scene.export(place / "export"), regulator=True, kept=scene.kept)
    assert summary.counts["query.refused"] == refused
