"""Fixed statements: one text for all values, and values as the engine takes them."""

from __future__ import annotations

import struct

import pytest
import sqlalchemy as sa

from ledger.fixed import Both
from ledger.sets import both, same, to_insert
from ledger.tables import ledger_leaves, ledger_subjects

TAGS = both(
    lambda among: sa.select(ledger_subjects.c.tag, ledger_subjects.c.n).where(
        ledger_subjects.c.shard == sa.bindparam("of"), among(ledger_subjects.c.tag, "tags")
    )
)
PAIRS = both(
    lambda among: sa.select(ledger_subjects.c.n).where(
        among((ledger_subjects.c.shard, ledger_subjects.c.tag), "wanted")
    )
)


@pytest.mark.parametrize(("count", "spelt"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (256, 256), (300, 300)])
def test_lists_are_spelt_out_up_to_the_next_power_of_two(count: int, spelt: int) -> None:
    tags = [b"%016d" % number for number in range(count)]
    text, values = TAGS.on_sqlite.spell({"of": 7, "tags": tags})
    assert text.count("?") == len(values) == spelt + 1
    assert values[0] == 7
    assert set(values[1:]) == set(tags)


def test_few_texts_serve_all_lengths() -> None:
    texts = {TAGS.on_sqlite.spell({"of": 7, "tags": [b"x"] * count})[0] for count in range(1, 65)}
    assert len(texts) == 7


def test_pairs_are_spelt_out_one_after_the_other() -> None:
    text, values = PAIRS.on_sqlite.spell({"wanted": [(1, b"a"), (2, b"b"), (3, b"c")]})
    assert text.count("(?, ?)") == 4
    assert values == [1, b"a", 2, b"b", 3, b"c", 3, b"c"]


def test_a_servers_text_has_numbers_for_values_and_hides_lists_from_the_planner() -> None:
    form = TAGS.on_postgresql
    assert "shard = $1::INTEGER" in form.text
    assert "ANY (CAST((SELECT $2::BYTEA[]" in form.text
    assert form.values({"of": -1, "tags": [b"ab", b""]}) == [
        struct.pack(">i", -1),
        struct.pack(">iiIii", 1, 0, 17, 2, 1) + struct.pack(">i2si", 2, b"ab", 0),
    ]


def test_a_value_that_the_statement_itself_holds_need_not_be_given() -> None:
    form = same(sa.select(ledger_leaves.c.leaf).where(ledger_leaves.c.type == "key.epoch"))
    assert form.on_postgresql.values({}) == [b"key.epoch"]
    assert form.on_sqlite.spell({})[1] == ["key.epoch"]


def test_nothing_is_null() -> None:
    form = same(sa.select(ledger_leaves.c.leaf).where(ledger_leaves.c.n == sa.bindparam("n")))
    assert form.on_postgresql.values({"n": None}) == [None]
    assert form.on_sqlite.spell({"n": None})[1] == [None]


def test_a_list_that_a_server_would_have_to_be_spelt_is_refused() -> None:
    statement = sa.select(ledger_leaves.c.leaf).where(ledger_leaves.c.idx.in_([1, 2]))
    with pytest.raises(TypeError, match="among"):
        _ = Both(statement, statement).on_postgresql


def test_each_statement_has_a_name_of_its_own() -> None:
    assert TAGS.on_postgresql.name != PAIRS.on_postgresql.name
    assert TAGS.on_postgresql is TAGS.on_postgresql


def test_rows_are_tuples_whose_columns_are_attributes() -> None:
    row = TAGS.on_sqlite.make_row((b"tag", 3))
    assert (row.tag, row.n) == row == (b"tag", 3)
    assert row.as_dict() == {"tag": b"tag", "n": 3}


def test_no_rows_are_no_statement() -> None:
    with sa.create_engine("sqlite://").connect() as conn:
        assert to_insert(conn, ledger_subjects, []) == []
