"""Tiles on disk: the paths and bytes of C2SP tlog-tiles, written once, whatever crashes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle, tiles
from ledger.errors import BrokenTree, MalformedTile
from ledger.tiles import (
    Level,
    MissingTile,
    TileDirectory,
    format_bundle,
    format_tile,
    parse_bundle,
    parse_tile,
    parse_tile_path,
    tile_path,
)

levels = st.just("entries") | st.integers(0, 63)


def leaves_of(start: int, end: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(start, end)]


def root_of(size: int) -> bytes:
    return merkle.root([merkle.leaf_hash(leaf) for leaf in leaves_of(0, size)])


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        ((0, 1234067, 256), "tile/0/x001/x234/067"),
        ((0, 1234067, 5), "tile/0/x001/x234/067.p/5"),
        (("entries", 0, 1), "tile/entries/000.p/1"),
        ((63, 999, 255), "tile/63/999.p/255"),
        ((1, 1000, 256), "tile/1/x001/000"),
    ],
)
def test_paths_are_those_of_the_specification(tile: tuple[Level, int, int], path: str) -> None:
    assert tile_path(*tile) == path
    assert parse_tile_path(path) == tile


@given(levels, st.integers(0, 2**53), st.integers(1, 256))
def test_every_path_reads_as_it_was_written(level: Level, index: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, index, width)) == (level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/0/000.p/999",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/entries/../../secret",
        "tile/0/001/000",
        "tile/data/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0//000",
        "tile/0/x001/x000",
        "tile/x/000",
        "TILE/0/000",
        "tile/0/" + "x001/" * 6 + "000",
        "tile/0/" + "x001/" * 2_000 + "000",
    ],
)
def test_no_other_path_is_a_tiles(path: str) -> None:
    with pytest.raises(MalformedTile):
        parse_tile_path(path)


@given(st.text(max_size=30) | st.text("tile/0123456789x.p", max_size=30).map("tile/{}".format))
def test_path_that_is_read_is_the_one_that_would_be_written(path: str) -> None:
    try:
        tile = parse_tile_path(path)
    except MalformedTile:
        return
    assert tile_path(*tile) == path


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_read_as_they_were_written(leaves: list[bytes]) -> None:
    data = format_bundle(leaves)
    assert parse_bundle(data) == tuple(leaves)
    assert data[:2] == len(leaves[0]).to_bytes(2, "big")
    with pytest.raises(MalformedTile):
        parse_bundle(data + b"\x00")
    with pytest.raises(MalformedTile):
        parse_bundle(data + b"\x00\x05four")


@given(st.binary(max_size=2_000))
def test_bundle_that_is_read_is_the_one_that_would_be_written(data: bytes) -> None:
    try:
        leaves = parse_bundle(data)
    except MalformedTile:
        return
    assert format_bundle(leaves) == data


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=256))
def test_hash_tiles_read_as_they_were_written(hashes: list[bytes]) -> None:
    assert parse_tile(format_tile(hashes)) == tuple(hashes)


def test_tiles_of_no_size_are_refused() -> None:
    for wrong in (b"", b"\x00" * 33, b"\x00" * 32 * 257):
        with pytest.raises(MalformedTile):
            parse_tile(wrong)
    for data in (b"", b"\x00", b"\x00\x00" * 257):
        with pytest.raises(MalformedTile):
            parse_bundle(data)
    with pytest.raises(MalformedTile):
        format_bundle([b"x" * 65_536])
    with pytest.raises(MalformedTile):
        format_tile([b"x" * 31])


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257), (0, 10**18, 1)]
)
def test_impossible_tile_has_no_path(level: int, index: int, width: int) -> None:
    with pytest.raises(MalformedTile):
        tile_path(level, index, width)


def test_tree_of_seventy_thousand_has_the_tiles_of_the_specification(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    root = directory.extend(0, leaves_of(0, 70_000))
    assert root == root_of(70_000)
    found = set(files(tmp_path))
    for level in ("0", "entries"):
        assert sum(name.startswith(f"tile/{level}/") for name in found) == 274
        assert f"tile/{level}/272" in found
        assert f"tile/{level}/273.p/112" in found
    assert {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} <= found
    assert len(found) == 2 * 274 + 3
    assert directory.size() == 70_000
    assert directory.leaf(69_999, 70_000) == b"leaf 69999"
    read = directory.reader(70_000)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        proof = merkle.inclusion_proof(read, 70_000, index)
        merkle.check_inclusion(proof, 70_000, root, index, merkle.leaf_hash(b"leaf %d" % index))
    for old in (1, 255, 256, 257, 65_536, 65_537, 69_888, 69_999):
        proof = merkle.consistency_proof(read, old, 70_000)
        merkle.check_consistency(proof, old, 70_000, directory.root_at(old), root)


def test_tree_of_256_has_a_full_tile_and_one_above_it(tmp_path: Path) -> None:
    TileDirectory(tmp_path).extend(0, leaves_of(0, 256))
    assert set(files(tmp_path)) == {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}


@settings(max_examples=15)  # each makes a directory of files
@given(steps=st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_tiles_grow_to_the_same_files_in_any_steps(
    steps: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("tiles")
    grown, size = TileDirectory(base / "grown"), 0
    for step in steps:
        root = grown.extend(size, leaves_of(size, size + step))
        size += step
        assert root == root_of(size) == grown.root_at(size)
        assert grown.size() == size
    TileDirectory(base / "at once").extend(0, leaves_of(0, size))
    at_once, in_steps = files(base / "at once"), files(base / "grown")
    assert at_once.items() <= in_steps.items()
    for name in (
        in_steps.keys() - at_once.keys()
    ):  # partial tiles of the sizes on the way, prefixes of what followed
        level, index, width = parse_tile_path(name)
        assert width < 256
        assert tile_path(level, index) not in in_steps
    for old in range(0, size, 37):
        assert grown.root_at(old) == root_of(old)


def test_partial_tiles_go_only_with_their_full_one(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, 200))
    directory.extend(200, leaves_of(200, 255))
    assert {"tile/0/000.p/200", "tile/0/000.p/255"} <= set(files(tmp_path))
    directory.extend(255, leaves_of(255, 256))
    assert not any(".p/" in name and "/000.p" in name and "tile/1/" not in name for name in files(tmp_path))
    assert directory.root_at(200) == root_of(200)


@settings(max_examples=15)
@given(size=st.integers(1, 600), cut=st.integers(0, 600))
def test_extending_again_changes_nothing(
    size: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("tiles")
    directory = TileDirectory(base)
    directory.extend(0, leaves_of(0, size))
    before = files(base)
    start = min(cut, size) // 256 * 256
    assert directory.extend(start, leaves_of(start, size)) == root_of(size)
    assert files(base) == before


@pytest.mark.parametrize("size", [10, 256, 300])
def test_tile_is_never_written_with_other_bytes(tmp_path: Path, size: int) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, size))
    before = files(tmp_path)
    changed = [*leaves_of(0, size - 1), b"another"]
    with pytest.raises(BrokenTree, match="other bytes"):
        directory.extend(0, changed)
    assert files(tmp_path) == before


def test_missing_tile_is_named_not_guessed(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, 300))
    (tmp_path / "tile/0/000").unlink()
    with pytest.raises(MissingTile, match="tile/0/000"):
        directory.hashes(0, 0, 256)
    with pytest.raises(MissingTile):
        directory.reader(300)(0, 0)
    with pytest.raises(MissingTile):
        TileDirectory(tmp_path / "nowhere").root_at(1)
    assert TileDirectory(tmp_path / "nowhere").size() == 0


def test_tile_of_another_width_than_its_name_is_refused(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, 10))
    file = tmp_path / "tile/0/000.p/10"
    file.write_bytes(file.read_bytes()[32:])
    with pytest.raises(MalformedTile):
        directory.root_at(10)


def test_reader_gives_only_complete_subtrees(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, 300))
    read = directory.reader(257)
    assert read(8, 0) == root_of(256)
    for level, index in ((0, 257), (1, 128), (9, 0), (-1, 0), (0, -1)):
        with pytest.raises(BrokenTree):
            read(level, index)
    with pytest.raises(BrokenTree):
        directory.leaf(257, 257)


def test_file_half_written_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = TileDirectory(tmp_path)
    directory.extend(0, leaves_of(0, 10))
    before = files(tmp_path)

    def no_space(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr("ledger.files.os.fsync", no_space)
        with pytest.raises(OSError, match="no space"):
            directory.extend(10, leaves_of(10, 20))
    assert files(tmp_path) == before
    assert directory.extend(10, leaves_of(10, 20)) == root_of(20)
    assert tiles.TileDirectory(tmp_path).size() == 20


def test_a_tile_that_fills_up_while_it_is_read_is_found(tmp_path: Path) -> None:
    """A reader in another process looks for a partial, and by then the full tile has taken its place."""

    class Overtaken(TileDirectory):
        def _partials(self, level: Level, index: int) -> list[int]:
            found = super()._partials(level, index)
            TileDirectory(self.path).extend(10, leaves_of(10, 256))
            return found

    TileDirectory(tmp_path).extend(0, leaves_of(0, 10))
    assert Overtaken(tmp_path).entries(0, 7) == tuple(leaves_of(0, 7))
