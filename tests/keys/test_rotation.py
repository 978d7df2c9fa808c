"""A rotation is believed only by both keys' signatures over one statement, of this log, use and holder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import BadSignature, KeysError, Malformed
from keys.rotation import (
    USES,
    format_rotation,
    format_statement,
    parse_rotation,
    parse_statement,
    rotate,
    verify_rotation,
)
from keys.signing import Ed25519PrivateKey, generate_key, parse_public_jwk

OLD, NEW, STRANGER = (Ed25519PrivateKey(bytes(31) + end) for end in (b"o", b"n", b"s"))
PUBLIC = parse_public_jwk(OLD.jwk)
MADE = rotate("credit.example.cn/log0", "receipt", "credit.example.cn/log0", OLD, NEW)


@given(
    st.sampled_from(USES),
    st.text("abcdefgh./0123456789", min_size=1, max_size=40),
    st.text("ABCDEFGH0123456789", min_size=1, max_size=18),
)
def test_parse_and_format_are_each_others_inverse(use: str, log: str, holder: str) -> None:
    made = rotate(log, use, holder, OLD, generate_key("ES256", lambda size: bytes(range(1, size + 1))))
    assert parse_statement(format_statement(made.statement)) == made.statement
    assert parse_rotation(format_rotation(made)) == made
    assert verify_rotation(made, PUBLIC).kid == made.statement.to


@pytest.mark.parametrize(
    "changes",
    [
        {"log": "other.example.cn/log0"},
        {"use": "checkpoint"},
        {"holder": "somebody else"},
        {"from_": STRANGER.kid},
        {"to": STRANGER.kid, "public": STRANGER.jwk},
    ],
    ids="-".join,
)
def test_signatures_over_another_statement_do_not_count(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        verify_rotation(replace(MADE, statement=replace(MADE.statement, **changes)), PUBLIC)


def test_one_signature_is_not_enough() -> None:
    for alone in (replace(MADE, old=MADE.new), replace(MADE, new=MADE.old)):
        with pytest.raises(KeysError):
            verify_rotation(alone, PUBLIC)


def test_a_rotation_of_another_key_does_not_count() -> None:
    with pytest.raises(BadSignature):
        verify_rotation(MADE, parse_public_jwk(STRANGER.jwk))


def test_a_key_is_not_rotated_to_itself() -> None:
    with pytest.raises(Malformed):
        rotate("log", "receipt", "log", OLD, OLD)


@pytest.mark.parametrize("noise", [b"{}", b"[]", b'{"signatures":{},"statement":{}}', b" "])
def test_noise_is_no_rotation(noise: bytes) -> None:
    with pytest.raises(Malformed):
        parse_rotation(noise)
    with pytest.raises(Malformed):
        parse_statement(noise)
