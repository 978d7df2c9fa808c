"""Damaged files are found before anybody looks at what the leaves say, and tiles of every level count."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import sha256, sha256_hex, unb64u
from keys.notes import make_vkey, parse_vkey
from keys.signing import Ed25519PrivateKey, parse_public_jwk
from ledger.errors import Finding
from ledger.export import export
from ledger.merkle import EMPTY_ROOT
from ledger.tiles import TileDirectory, tile_path
from ledger.verify import Trust, audit
from tests.ledger.verify.corruptions_files import DAMAGES, Damage
from tests.ledger.verify.forge import Story
from tests.ledger.verify.people import COURT, NOTARY
from tests.ledger.verify.story import OVERSEER, REGISTRAR, tell

LONG = 600
PINS = {NOTARY: (parse_public_jwk(REGISTRAR.key.jwk),)}


@pytest.fixture(scope="module")
def story() -> Story:
    return tell()


@pytest.fixture(scope="module")
def long_story() -> Story:
    """Two full bundles, a partial one, and a tile of level 1."""
    story = tell()
    story.remove("end")
    while len(story.drafts) < LONG:
        number = len(story.drafts)
        body = {"batch": story.source.uuid(), "source": COURT, "count": 1, "root": sha256_hex(b"root")}
        story.insert("ingested", f"more-{number}", "record.ingested", body, who=f"person-{number % 50}")
    return story


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damage_is_found(damage: Damage, story: Story, tmp_path: Path) -> None:
    damage.spoil(story, story.copy().write(tmp_path))
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(parse_vkey(story.vkey)))
    index = damage.index
    if index is not None and index < 0:
        index += len(story.drafts)
    assert (found.value.rule, found.value.index) == (damage.rule, index)


def test_a_wrong_vkey_is_refused(story: Story, tmp_path: Path) -> None:
    story.copy().write(tmp_path)
    stranger = Ed25519PrivateKey(sha256(b"stranger"))
    other = make_vkey(story.origin, unb64u(stranger.jwk["x"]))
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(other))
    assert (found.value.rule, found.value.index) == ("checkpoint", None)


@pytest.fixture(scope="module")
def written(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story.copy().write(tmp_path_factory.mktemp("written"))


@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(story: Story, written: Path, data: st.DataObject) -> None:
    """In whatever file of the export: the auditor with every key neither passes it nor stumbles over it."""
    files = sorted(path for path in written.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(before) - 1))
    after = bytearray(before)
    after[bit // 8] ^= 1 << bit % 8
    path.write_bytes(after)
    try:
        with pytest.raises(Finding):
            audit(written, Trust(parse_vkey(story.vkey), PINS, OVERSEER.private))
    finally:
        path.write_bytes(before)


def test_an_empty_log_was_never_opened(story: Story, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(story.note(0, EMPTY_ROOT))
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(parse_vkey(story.vkey)))
    assert (found.value.rule, found.value.index) == ("opened-first", None)


def test_what_the_house_exports_verifies(story: Story, tmp_path: Path) -> None:
    """The same leaves through `ledger.export`."""
    written = story.copy()
    directory = written.write(tmp_path / "written")
    leaves = TileDirectory(directory).entries(0, len(story.drafts))
    note = (directory / "checkpoint").read_bytes()
    to = tmp_path / "exported"
    vkey = parse_vkey(story.vkey_of(story.signer(len(leaves))))
    export(to, note, vkey, leaves, written.policies, written.blobs.items())
    assert audit(to, Trust(parse_vkey(story.vkey), PINS, OVERSEER.private)).size == len(leaves)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (10, 30), (40, 41)])
def test_reordered_leaves_are_found_at_the_first(
    first: int, second: int, story: Story, tmp_path: Path
) -> None:
    """Tiles, root and signature made anew over leaves that changed places."""
    spoiled = story.copy()

    def swap(leaves: list[bytes]) -> list[bytes]:
        leaves[first], leaves[second] = leaves[second], leaves[first]
        return leaves

    spoiled.reorder = swap
    with pytest.raises(Finding) as found:
        audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey)))
    assert (found.value.rule, found.value.index) == ("index", first)


def test_last_leaves_cut_off_unseen_only_without_the_newer_checkpoint(story: Story, tmp_path: Path) -> None:
    """Truncation, signed anew, is a shorter log in order: a checkpoint that somebody kept finds it."""
    spoiled = story.copy()
    for name in ("end", "read-in-the-end"):
        spoiled.remove(name)
    summary = audit(spoiled.write(tmp_path), Trust(parse_vkey(spoiled.vkey)))
    assert summary.size == len(story.drafts) - 2


def test_a_long_log_verifies_and_its_older_partial_tiles_may_stay(long_story: Story, tmp_path: Path) -> None:
    long_story.copy().write(tmp_path)
    tiles = TileDirectory(tmp_path)
    for level in ("entries", 0):
        data = tiles.read(level, 2, LONG - 512)
        assert data is not None
    narrow = tiles.hashes(0, 2, LONG - 512)[:10]
    (tmp_path / tile_path(0, 2, 10)).write_bytes(b"".join(narrow))
    entries = tiles.entries(2, LONG - 512)[:10]
    bundle = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in entries)
    (tmp_path / tile_path("entries", 2, 10)).write_bytes(bundle)
    assert audit(tmp_path, Trust(parse_vkey(long_story.vkey))).size == LONG


@pytest.mark.parametrize(
    ("level", "tile", "width", "byte", "rule", "index"),
    [
        (0, 1, 256, 32 * 9, "tile-hash", 256 + 9),
        (0, 2, LONG - 512, 0, "tile-hash", 512),
        (1, 0, 2, 0, "tile-hash", 0),
        (1, 0, 2, 32, "tile-hash", 256),
    ],
)
def test_flipped_bit_in_any_hash_tile(
    long_story: Story, tmp_path: Path, level: int, tile: int, width: int, byte: int, rule: str, index: int
) -> None:
    path = long_story.copy().write(tmp_path) / tile_path(level, tile, width)
    data = bytearray(path.read_bytes())
    data[byte] ^= 1
    path.write_bytes(data)
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(parse_vkey(long_story.vkey)))
    assert (found.value.rule, found.value.index) == (rule, index)


@pytest.mark.parametrize(
    ("level", "tile", "width", "index"), [("entries", 1, 256, 256), (0, 0, 256, 0), (1, 0, 2, 0)]
)
def test_missing_tile_of_any_level(
    long_story: Story, tmp_path: Path, level: int, tile: int, width: int, index: int
) -> None:
    (long_story.copy().write(tmp_path) / tile_path(level, tile, width)).unlink()
    with pytest.raises(Finding) as found:
        audit(tmp_path, Trust(parse_vkey(long_story.vkey)))
    assert (found.value.rule, found.value.index) == ("tile-missing", index)
