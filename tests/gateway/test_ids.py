"""Identifiers in their standard forms."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import new_operator_id, new_uuid


@given(st.binary(min_size=16, max_size=16))
def test_a_uuid_is_the_standard_librarys_of_the_same_randomness(random: bytes) -> None:
    assert new_uuid(lambda _: random) == str(UUID(bytes=random, version=4))


def test_an_operators_id_is_opaque() -> None:
    assert new_operator_id(bytes) == "op-" + "0" * 16
