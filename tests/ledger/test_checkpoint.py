"""Checkpoints: the three lines of C2SP tlog-checkpoint, signed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.notes import make_vkey, sign_note
from ledger.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.errors import BrokenCheckpoint
from tests.ledger.bodies import origins
from tests.ledger.kit import ORIGIN, PUBLIC, VKEY, sign

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"  # the example of the specification

checkpoints = st.builds(Checkpoint, origins, st.integers(0, 2**53 - 1), st.binary(min_size=32, max_size=32))


def test_the_specifications_example_is_read() -> None:
    expected = Checkpoint("example.com/behind-the-sofa", 20_852_163, base64.b64decode(ROOT))
    assert parse_checkpoint(TEXT) == expected
    assert format_checkpoint(expected) == TEXT


@given(checkpoints)
def test_checkpoints_read_as_they_were_written(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@given(checkpoints, st.data())
def test_changed_text_is_another_checkpoint_or_none(checkpoint: Checkpoint, data: st.DataObject) -> None:
    text = format_checkpoint(checkpoint)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters()) + text[at + 1 :]
    try:
        assert format_checkpoint(parse_checkpoint(changed)) == changed
    except BrokenCheckpoint:
        assert changed != text


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "an extension line\n",
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", "+1"),
        TEXT.replace("20852163", "٣"),
        TEXT.replace("20852163", str(2**53)),
        TEXT.replace("20852163\n", ""),
        TEXT.replace(ROOT, ROOT[:-1]),
        TEXT.replace(ROOT, ROOT[:-2] + "J="),
        TEXT.replace(ROOT, ROOT[:-4]),
        TEXT.replace("/behind", "+behind"),
        TEXT.replace("/behind", " behind"),
        TEXT.replace("example.com/behind-the-sofa", ""),
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_other_text_is_no_checkpoint(text: str) -> None:
    with pytest.raises(BrokenCheckpoint):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("a b", 1, bytes(32)),
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
    ],
)
def test_what_is_no_checkpoint_is_not_signed(checkpoint: Checkpoint) -> None:
    with pytest.raises(BrokenCheckpoint):
        sign_checkpoint(checkpoint, sign, PUBLIC)


def test_signed_checkpoint_opens_with_its_key_alone() -> None:
    checkpoint = Checkpoint(ORIGIN, 5, bytes(32))
    note = sign_checkpoint(checkpoint, sign, PUBLIC)
    assert open_checkpoint(note, VKEY) == checkpoint
    stranger = make_vkey("another.example/log", PUBLIC)
    for bad in (
        note.replace(b"\n5\n", b"\n6\n"),
        note[:-8] + b"AAAAAA==\n"[-8:],
        b"",
        note.split(b"\n\n")[0],
    ):
        with pytest.raises(BrokenCheckpoint):
            open_checkpoint(bad, VKEY)
    with pytest.raises(BrokenCheckpoint):
        open_checkpoint(note, stranger)


def test_checkpoint_of_another_log_is_refused_though_the_key_signed_it() -> None:
    text = format_checkpoint(Checkpoint("another.example/log", 5, bytes(32)))
    with pytest.raises(BrokenCheckpoint, match="another log"):
        open_checkpoint(sign_note(text, ORIGIN, sign, PUBLIC), VKEY)


def test_extension_lines_are_refused_though_the_key_signed_them() -> None:
    text = format_checkpoint(Checkpoint(ORIGIN, 5, bytes(32))) + "extension\n"
    with pytest.raises(BrokenCheckpoint):
        open_checkpoint(sign_note(text, ORIGIN, sign, PUBLIC), VKEY)
