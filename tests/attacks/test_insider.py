"""Attack: whoever holds every secret of the gateway, and its database, enrols a person or makes a consent.

Each way is taken to its end: where the gateway's own code or rows are in the way they are bent, and where
the point of it is an answer, the gateway gives that answer. Then the log is exported and audited with what
an auditor brings along: the log's key, the registrar's pinned key, the regulator's key. Every way is found,
at the leaf that did it.

What stays possible, because nobody outside can tell: records of one person attached to the tag of another
who is an accomplice with an honest certificate. Where a bank says whom it means (`person_check`), that is
found too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer, Person
from gateway.publishing import vkey_of
from keys.signing import parse_public_jwk
from ledger.entries import parse_leaf
from ledger.errors import Finding
from ledger.rows import read_head, read_leaves
from ledger.verify import Trust, audit
from tests.attacks import ways_to_consent, ways_to_enrol
from tests.attacks.insider import ANNA, BORIS, Found, Insider, Snapshot, export_of, rechained
from tests.gateway.kit import loan
from tests.gateway.world import REGISTRAR, World, new_registrar


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[tuple[Snapshot, Any, str]]:
    """Honest beginnings: Anna with records, a key and a consent, used once; Boris with records only."""
    world.publishing.stop()  # nothing of what an attack leaves is ever published here
    assert world.import_records([loan(ANNA, "A-1"), loan(BORIS, "B-1")]).accepted == 2
    anna = world.citizen(ANNA)
    honest = world.consent(anna)
    assert isinstance(world.query(honest, person_check=Person(ANNA)), Answer)
    snapshot = Snapshot(world)
    yield snapshot, anna, honest
    snapshot.restore()
    snapshot.copy.close()


@pytest.fixture
def insider(base: tuple[Snapshot, Any, str], monkeypatch: pytest.MonkeyPatch) -> Insider:
    snapshot, anna, honest = base
    snapshot.restore()
    return Insider(snapshot.world, monkeypatch, anna, honest)


def trust(world: World, *, pinned: bool = True, opened: bool = True) -> Trust:
    """What the auditor brings along."""
    key = parse_public_jwk(world.registrar.key.jwk)
    pins = {REGISTRAR: (key,)} if pinned else None
    return Trust(vkey_of(world.house), pins, world.regulator_private if opened else None)


def leaves_of(world: World) -> list[bytes]:
    with world.house.read() as conn:
        return list(read_leaves(conn, world.house.shard, 0, read_head(conn, world.house.shard).size))


def test_the_honest_log_passes(insider: Insider, tmp_path: Path) -> None:
    world = insider.world
    insider.must_answer(insider.honest)
    world.withdraw(insider.anna, insider.honest)
    summary = audit(export_of(world, tmp_path / "export"), trust(world))
    assert summary.size == len(leaves_of(world))
    assert (summary.counts["query.disclosed"], summary.counts["consent.withdrawn"]) == (2, 1)
    assert summary.opened
    assert summary.not_ours == 0


@pytest.mark.parametrize("way", [*ways_to_enrol.WAYS, *ways_to_consent.WAYS], ids=lambda way: way.__name__)
def test_the_audit_names_the_leaf(insider: Insider, tmp_path: Path, way: Callable[[Insider], Found]) -> None:
    index, rule = way(insider)
    with pytest.raises(Finding) as found:
        audit(export_of(insider.world, tmp_path / "export"), trust(insider.world))
    assert (found.value.index, found.value.rule) == (index, rule)


def test_a_history_written_anew_around_another_registrars_key_is_found(
    insider: Insider, tmp_path: Path
) -> None:
    """From the first leaf on the log has the insider's key where the registrar's was: in order, but for the
    pin.
    """
    world, rogue = insider.world, new_registrar().key
    leaves = leaves_of(world)
    [index] = [n for n, leaf in enumerate(leaves) if getattr(parse_leaf(leaf).body, "use", "") == "registrar"]
    written = rechained(leaves, {index: {"kid": rogue.kid, "public": rogue.jwk}})
    exported = export_of(world, tmp_path / "export", written)
    with pytest.raises(Finding) as found:
        audit(exported, trust(world))
    assert (found.value.index, found.value.rule) == (index, "key-pinned")
    audit(exported, trust(world, pinned=False))


@pytest.mark.parametrize(
    "way",
    [ways_to_enrol.own_registrar, ways_to_enrol.registrars_row_replaced, ways_to_enrol.officers_of_ones_own],
    ids=lambda way: way.__name__,
)
def test_without_the_pin_the_gateways_word_would_be_believed(
    insider: Insider, tmp_path: Path, way: Callable[[Insider], Found]
) -> None:
    """It is the pin that convicts: the log is in order in every other respect."""
    way(insider)
    exported = export_of(insider.world, tmp_path / "export")
    assert audit(exported, trust(insider.world, pinned=False)).pinned is False
    with pytest.raises(Finding):
        audit(exported, trust(insider.world))


def test_an_accomplice_with_an_honest_certificate_is_found_only_where_the_bank_said_whom_it_meant(
    insider: Insider, tmp_path: Path
) -> None:
    """The limit of what a ledger without names can show: to the auditor the tag is the accomplice's."""
    consent = ways_to_enrol.accomplices_consent(insider)
    insider.must_answer(consent)
    audit(export_of(insider.world, tmp_path / "unsaid"), trust(insider.world))
    index = insider.must_answer(consent, person_check=Person(BORIS))
    with pytest.raises(Finding) as found:
        audit(export_of(insider.world, tmp_path / "said"), trust(insider.world))
    assert (found.value.index, found.value.rule) == (index, "request-person")


def test_without_the_regulators_key_a_forged_signature_is_not_seen(insider: Insider, tmp_path: Path) -> None:
    """What only a regulator can open, only a regulator can check; the summary says so."""
    ways_to_consent.signed_by_the_operator(insider)
    exported = export_of(insider.world, tmp_path / "export")
    assert audit(exported, trust(insider.world, opened=False)).opened is None
    with pytest.raises(Finding):
        audit(exported, trust(insider.world))
