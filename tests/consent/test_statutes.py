"""A statute is exactly its row; the shipped ones say what they are and that nobody has checked them."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from consent.patterns import matches
from consent.statutes import Sector, Statute
from ledger import members as ledger_members
from tests.consent.asking import BANK, DEMO, LIVE, OTHER, with_row

NUMBERS = {
    "civil-procedure-253": "（2026）琼01执123号",
    "criminal-procedure-144": "琼公（刑）调证字〔2026〕12号",
    "tax-collection-57": "琼税稽检通〔2026〕12号",
}


def test_the_shipped_statutes_take_the_numbers_of_their_own_documents_only() -> None:
    assert {statute.code for statute in DEMO.statutes} == set(NUMBERS)
    for statute in DEMO.statutes:
        assert {code for code, number in NUMBERS.items() if matches(statute.document, number)} == {
            statute.code
        }


def test_the_shipped_statutes_have_purposes_that_no_consent_can_name() -> None:
    assert not {s.purpose for s in DEMO.statutes} & {p.code for p in DEMO.purposes}
    assert [s.code for s in DEMO.statutes if s.deferral_days] == ["criminal-procedure-144"]
    assert {s.deferral_days for s in DEMO.statutes} == {0, 30}


def test_a_statute_nobody_has_checked_is_off_outside_a_demonstration() -> None:
    for statute in DEMO.statutes:
        assert not statute.checked
        assert DEMO.statute(statute.code) == statute
        assert DEMO.statute_is_on(statute.code)
        assert not LIVE.statute_is_on(statute.code)
    live = with_row("statutes", "tax-collection-57", LIVE, checked=True)
    assert [s.code for s in live.statutes if live.statute_is_on(s.code)] == ["tax-collection-57"]
    assert live.statute("cir-28") is None
    assert not live.statute_is_on("cir-28")


def test_a_power_is_held_by_name_or_by_sector_and_by_nobody_else() -> None:
    row = DEMO.statutes[0]
    named = msgspec.structs.replace(row, institutions=(BANK,), sectors=())
    assert named.serves(BANK, "")
    assert named.serves(BANK, "finance")
    assert not named.serves(OTHER, "agency")
    by_sector = msgspec.structs.replace(row, institutions=(), sectors=("agency",))
    assert by_sector.serves(OTHER, "agency")
    assert not by_sector.serves(OTHER, "")
    nobody = msgspec.structs.replace(row, institutions=(), sectors=())
    assert not nobody.serves(BANK, "")


def test_the_sectors_are_those_that_institutions_are_registered_under() -> None:
    assert set(get_args(Sector)) == set(get_args(ledger_members.Sector))


@pytest.mark.parametrize(
    "changed",
    [
        {"code": "CPL 253"},
        {"sectors": ["court"]},
        {"sectors": ["finance", "agency"]},
        {"institutions": ["not-a-uscc"]},
        {"institutions": [BANK, BANK]},
        {"purpose": "9"},
        {"categories": []},
        {"categories": ["loan", "enforcement"]},
        {"answers": []},
        {"answers": ["score"]},
        {"document": "(a+)+"},
        {"document": "a" * 201},
        {"document": ""},
        {"deferral_days": -1},
        {"deferral_days": 367},
        {"article": ""},
        {"checked": "yes"},
    ],
    ids=lambda changed: f"{next(iter(changed))}={str(next(iter(changed.values())))[:12]}",
)
def test_a_row_that_is_out_of_form_is_refused(changed: dict[str, Any]) -> None:
    row = msgspec.to_builtins(DEMO.statutes[0])
    assert msgspec.convert(row, Statute) == DEMO.statutes[0]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(row | changed, Statute)
