"""Values of the hot path say nothing of what they hold, in whatever way they are shown."""

from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from gateway.keyring import DataKey
from gateway.query import answer, minimise, record_leaf, redeliver, request, ruled
from gateway.records import store
from keys.values import Value
from ledger import drafts

SHAPES = [
    shape
    for module in (answer, minimise, record_leaf, redeliver, request, ruled, store, drafts)
    for shape in vars(module).values()
    if isinstance(shape, type) and issubclass(shape, Value) and shape is not Value
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_no_value_of_a_query_shows_itself(shape: type[Value]) -> None:
    assert shape.__repr__ is Value.__repr__
    assert shape.__rich_repr__ is Value.__rich_repr__


def test_a_data_key_does_not_show_its_key() -> None:
    key = DataKey(b"subject", b"k" * 32, 1, bytes)
    assert b"k" * 32 not in repr(key).encode()
    assert "kkkk" not in pretty_repr(key)
