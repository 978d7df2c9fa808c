"""Offline proofs: the text of C2SP tlog-proof@v1, and what it does not prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import BrokenCheckpoint, ProofFailed
from ledger.proof import Proof, format_proof, parse_proof, verify_proof
from tests.ledger.kit import ORIGIN, PUBLIC, VKEY, sign

HASHES = [merkle.leaf_hash(b"leaf %d" % number) for number in range(7)]
CHECKPOINT = Checkpoint(ORIGIN, 7, merkle.root(HASHES))
NOTE = sign_checkpoint(CHECKPOINT, sign, PUBLIC)


def proof_of(index: int, extra: bytes | None = None) -> Proof:
    return Proof(index, merkle.inclusion_proof(merkle.reader_over(HASHES), 7, index), NOTE, extra)


def test_proof_has_these_lines() -> None:
    text = format_proof(proof_of(6, b"extra")).decode()
    lines = text.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra ZXh0cmE=", "index 6"]
    assert len(lines[3]) == len(lines[4]) == 44
    assert lines[5:8] == ["", ORIGIN, "7"]
    assert text.endswith(NOTE.decode())


@pytest.mark.parametrize("index", range(7))
def test_proof_leads_from_its_leaf_to_the_checkpoint(index: int) -> None:
    proof = parse_proof(format_proof(proof_of(index)))
    assert verify_proof(proof, HASHES[index], VKEY) == CHECKPOINT
    with pytest.raises(ProofFailed):
        verify_proof(proof, HASHES[index - 1], VKEY)


def test_only_leaf_of_a_log_has_a_proof_without_a_path() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, HASHES[0]), sign, PUBLIC)
    proof = Proof(0, (), note)
    assert parse_proof(format_proof(proof)) == proof
    assert verify_proof(proof, HASHES[0], VKEY).size == 1


@given(
    st.builds(
        Proof,
        st.integers(0, 2**53 - 1),
        st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
        st.binary(min_size=1, max_size=200),
        st.none() | st.binary(min_size=1, max_size=80),
    )
)
def test_proofs_read_as_they_were_written(proof: Proof) -> None:
    assert parse_proof(format_proof(proof)) == proof


@given(st.data())
def test_changed_proof_is_refused(data: st.DataObject) -> None:
    good = format_proof(proof_of(3))
    signed = good.index(b"\n\n", good.index(b"\n\n") + 2)  # beyond it, unknown signatures are ignored
    at = data.draw(st.integers(0, signed))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BrokenCheckpoint, ProofFailed)):
        verify_proof(parse_proof(bytes(bad)), HASHES[3], VKEY)


def test_proof_under_a_checkpoint_that_the_log_did_not_sign_is_refused() -> None:
    unsigned = NOTE.replace(b"\n7\n", b"\n8\n")
    with pytest.raises(BrokenCheckpoint):
        verify_proof(Proof(3, proof_of(3).path, unsigned), HASHES[3], VKEY)


GOOD = format_proof(proof_of(3, b"extra"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"index 3", b"index 03"),
        GOOD.replace(b"index 3", b"index -3"),
        GOOD.replace(b"index 3", b"index  3"),
        GOOD.replace(b"index 3\n", b""),
        GOOD.replace(b"extra ZXh0cmE=", b"extra "),
        GOOD.replace(b"extra ZXh0cmE=", b"extra ZXh0cmF="),
        GOOD.replace(b"extra ZXh0cmE=", b"extra ?"),
        GOOD.replace(b"extra ZXh0cmE=\n", b"extra ZXh0cmE=\nextra ZXh0cmE=\n"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.split(b"\n\n", maxsplit=1)[0],
        GOOD.split(b"\n\n", maxsplit=1)[0] + b"\n\n",
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        b"\xff" + GOOD,
        GOOD + b"x" * (1 << 20),
    ],
)
def test_other_text_is_no_proof(data: bytes) -> None:
    with pytest.raises(BrokenCheckpoint):
        parse_proof(data)


@pytest.mark.parametrize(
    "proof",
    [
        Proof(-1, (), NOTE),
        Proof(0, (b"short",), NOTE),
        Proof(0, (bytes(32),) * 64, NOTE),
        Proof(0, (), b""),
        Proof(0, (), NOTE, b""),
    ],
)
def test_what_is_no_proof_is_not_written(proof: Proof) -> None:
    with pytest.raises(BrokenCheckpoint):
        format_proof(proof)
