"""The tree against RFC 6962's recursive definitions, written out, and Certificate Transparency's vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import BrokenTree, ProofFailed

Leaves = Sequence[bytes]


def mth(d: Leaves) -> bytes:
    """RFC 6962, 2.1: Merkle Tree Hash."""
    n = len(d)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return hashlib.sha256(b"\x00" + d[0]).digest()
    k = split(n)
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, d: Leaves) -> list[bytes]:
    """RFC 6962, 2.1.1: PATH(m, D[n])."""
    n = len(d)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: Leaves) -> list[bytes]:
    """RFC 6962, 2.1.2: PROOF(m, D[n])."""
    return subproof(m, d, True)


def subproof(m: int, d: Leaves, b: bool) -> list[bytes]:
    n = len(d)
    if m == n:
        return [] if b else [mth(d)]
    k = split(n)
    if m <= k:
        return [*subproof(m, d[:k], b), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


def leaves_of(n: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(n)]


def hashes_of(n: int) -> list[bytes]:
    return [merkle.leaf_hash(leaf) for leaf in leaves_of(n)]


CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {  # (index, size) -> audit path
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY = {  # (old, new) -> proof
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root([merkle.leaf_hash(leaf) for leaf in CT_LEAVES[:size]]).hex() == CT_ROOTS[size - 1]


@pytest.mark.parametrize(("case", "expected"), CT_INCLUSION.items())
def test_inclusion_proofs_are_those_of_certificate_transparency(
    case: tuple[int, int], expected: list[str]
) -> None:
    index, size = case
    hashes = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES[:size]]
    assert [h.hex() for h in merkle.inclusion_proof(merkle.reader_over(hashes), size, index)] == expected


@pytest.mark.parametrize(("case", "expected"), CT_CONSISTENCY.items())
def test_consistency_proofs_are_those_of_certificate_transparency(
    case: tuple[int, int], expected: list[str]
) -> None:
    hashes = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES]
    assert [h.hex() for h in merkle.consistency_proof(merkle.reader_over(hashes), *case)] == expected


def test_empty_root_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT == mth([])
    assert merkle.EMPTY_ROOT.hex().startswith("e3b0c442")


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_every_small_tree_is_the_definitions(size: int) -> None:
    leaves, hashes = leaves_of(size), hashes_of(size)
    read, root = merkle.reader_over(hashes), merkle.root(hashes)
    assert root == mth(leaves)
    for index in range(size):
        found = merkle.inclusion_proof(read, size, index)
        assert list(found) == path(index, leaves)
        merkle.check_inclusion(found, size, root, index, hashes[index])
    for old in range(1, size + 1):
        found = merkle.consistency_proof(read, old, size)
        assert list(found) == proof(old, leaves)
        merkle.check_consistency(found, old, size, merkle.root(hashes[:old]), root)


@given(st.data())
def test_proofs_of_larger_trees_are_the_definitions(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    leaves, hashes = leaves_of(size), hashes_of(size)
    read, root = merkle.reader_over(hashes), mth(leaves)
    included = merkle.inclusion_proof(read, size, index)
    assert list(included) == path(index, leaves)
    merkle.check_inclusion(included, size, root, index, hashes[index])
    consistent = merkle.consistency_proof(read, old, size)
    assert list(consistent) == proof(old, leaves)
    merkle.check_consistency(consistent, old, size, mth(leaves[:old]), root)


@st.composite
def mutated(draw: st.DrawFn, hashes: Sequence[bytes]) -> list[bytes]:
    """The proof with one hash changed, left out, doubled or added, or two of them swapped."""
    out = list(hashes)
    how = draw(st.sampled_from(["flip", "drop", "add", "swap"] if out else ["add"]))
    at = draw(st.integers(0, max(0, len(out) - 1)))
    if how == "flip":
        bit = draw(st.integers(0, 255))
        out[at] = (int.from_bytes(out[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    elif how == "drop":
        del out[at]
    elif how == "add":
        out.insert(at, draw(st.binary(min_size=32, max_size=32)))
    else:
        other = draw(st.integers(0, len(out) - 1))
        out[at], out[other] = out[other], out[at]
    return out


@given(st.data())
def test_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    hashes = hashes_of(size)
    good = merkle.inclusion_proof(merkle.reader_over(hashes), size, index)
    bad = data.draw(mutated(good).filter(lambda proof: tuple(proof) != good))
    with pytest.raises(ProofFailed):
        merkle.check_inclusion(bad, size, merkle.root(hashes), index, hashes[index])


@given(st.data())
def test_changed_consistency_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    old = data.draw(st.integers(1, size))
    hashes = hashes_of(size)
    good = merkle.consistency_proof(merkle.reader_over(hashes), old, size)
    bad = data.draw(mutated(good).filter(lambda proof: tuple(proof) != good))
    with pytest.raises(ProofFailed):
        merkle.check_consistency(bad, old, size, merkle.root(hashes[:old]), merkle.root(hashes))


@given(st.data())
def test_proof_serves_no_other_leaf_index_or_root(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 300))
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    hashes = hashes_of(size)
    root = merkle.root(hashes)
    good = merkle.inclusion_proof(merkle.reader_over(hashes), size, index)
    with pytest.raises(ProofFailed):
        merkle.check_inclusion(good, size, root, index, hashes[other])
    with pytest.raises(ProofFailed):
        merkle.check_inclusion(good, size, root, other, hashes[index])
    with pytest.raises(ProofFailed):
        merkle.check_inclusion(good, size, hashes[0], index, hashes[index])


@given(st.integers(1, 300), st.integers(0, 299))
def test_rewritten_history_has_no_consistency_proof(size: int, at: int) -> None:
    old = max(1, size // 2)
    honest = hashes_of(size)
    rewritten = list(honest)
    rewritten[at % old] = merkle.leaf_hash(b"rewritten")
    found = merkle.consistency_proof(merkle.reader_over(rewritten), old, size)
    with pytest.raises(ProofFailed):
        merkle.check_consistency(found, old, size, merkle.root(honest[:old]), merkle.root(rewritten))


def test_every_tree_continues_the_empty_one_and_itself() -> None:
    root = merkle.root(hashes_of(5))
    merkle.check_consistency((), 0, 5, merkle.EMPTY_ROOT, root)
    merkle.check_consistency((), 5, 5, root, root)
    merkle.check_consistency((), 0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)
    for old, new, old_root, new_root in [
        (0, 5, root, root),
        (5, 5, merkle.EMPTY_ROOT, root),
        (0, 0, merkle.EMPTY_ROOT, root),
        (0, 0, root, root),
        (6, 5, root, root),
        (-1, 5, merkle.EMPTY_ROOT, root),
    ]:
        with pytest.raises(ProofFailed):
            merkle.check_consistency((), old, new, old_root, new_root)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hash_of_another_length_is_refused(length: int) -> None:
    hashes = hashes_of(4)
    root = merkle.root(hashes)
    good = list(merkle.inclusion_proof(merkle.reader_over(hashes), 4, 1))
    with pytest.raises(ProofFailed):
        merkle.check_inclusion([bytes(length), *good[1:]], 4, root, 1, hashes[1])
    with pytest.raises(ProofFailed):
        merkle.check_inclusion(good, 4, root, 1, bytes(length))
    with pytest.raises(ProofFailed):
        merkle.check_consistency([bytes(length)], 2, 4, merkle.root(hashes[:2]), root)


def test_nothing_is_proved_about_what_the_tree_has_not() -> None:
    read = merkle.reader_over(hashes_of(4))
    for index in (-1, 4):
        with pytest.raises(BrokenTree):
            merkle.inclusion_proof(read, 4, index)
        with pytest.raises(ProofFailed):
            merkle.check_inclusion((), 4, merkle.EMPTY_ROOT, index, hashes_of(1)[0])
    with pytest.raises(BrokenTree):
        merkle.consistency_proof(read, 5, 4)
    with pytest.raises(BrokenTree):
        merkle.root_at(read, 5)
    with pytest.raises(BrokenTree):
        merkle.root_at(read, -1)
