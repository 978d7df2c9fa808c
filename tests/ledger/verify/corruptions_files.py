"""Named corruptions of the files themselves: bytes flipped, cut or added, hashes and signatures that do not
fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keys.canonical import canonical, parse_canonical, sha256
from keys.signing import Ed25519PrivateKey
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.tiles import parse_bundle, tile_path
from tests.ledger.verify.forge import Story


@dataclass(frozen=True)
class Damage:
    """`spoil` changes the written directory of `story`; `rule` must then break at leaf `index`, negative from
    the end.
    """

    name: str
    rule: str
    index: int | None
    spoil: Callable[[Story, Path], object]


def _bundle(story: Story, directory: Path) -> Path:
    return directory / tile_path("entries", 0, len(story.drafts))


def _tile(story: Story, directory: Path) -> Path:
    return directory / tile_path(0, 0, len(story.drafts))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _flip_leaf(story: Story, directory: Path) -> None:
    """One bit in the salt of leaf 5."""
    path = _bundle(story, directory)
    leaves = parse_bundle(path.read_bytes())
    _flip(path, sum(2 + len(leaf) for leaf in leaves[:5]) + 2 + 40)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def _checkpoint(
    story: Story, directory: Path, key: Ed25519PrivateKey | None = None, **changes: object
) -> None:
    """Sign another tree head: other members, or with another key under the log's name."""
    signed = {"origin": story.origin, "size": len(story.drafts), "root": sha256(b"another")} | changes
    signer = key or story.key
    public = bytes(signer._key.verify_key)
    note = sign_checkpoint(Checkpoint(**signed), signer.sign, public)  # type: ignore[arg-type]  # members by name
    (directory / "checkpoint").write_bytes(note)


def _stranger() -> Ed25519PrivateKey:
    return Ed25519PrivateKey(sha256(b"stranger"))


def _keys(change: Callable[[dict], object]) -> Callable[[Story, Path], object]:
    def spoil(_: Story, directory: Path) -> None:
        path = directory / "keys.json"
        stated = parse_canonical(path.read_bytes())
        change(stated)
        path.write_bytes(canonical(stated))

    return spoil


def _append(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


DAMAGES = (
    Damage("flipped_bit_in_a_leaf", "tile-hash", 5, _flip_leaf),
    Damage("flipped_bit_in_a_hash_tile", "tile-hash", 7, lambda s, d: _flip(_tile(s, d), 7 * 32 + 3)),
    Damage(
        "truncated_bundle",
        "bundle",
        -1,
        lambda s, d: _bundle(s, d).write_bytes(_bundle(s, d).read_bytes()[:-1]),
    ),
    Damage(
        "bundle_without_its_last_leaf",
        "bundle",
        -1,
        lambda s, d: _bundle(s, d).write_bytes(
            _bundle(s, d).read_bytes()[: -2 - len(parse_bundle(_bundle(s, d).read_bytes())[-1])]
        ),
    ),
    Damage("bundle_that_goes_on", "bundle", -1, lambda s, d: _append(_bundle(s, d), b"\0\2{}")),
    Damage("bundle_missing", "tile-missing", 0, lambda s, d: _bundle(s, d).unlink()),
    Damage("hash_tile_missing", "tile-missing", 0, lambda s, d: _tile(s, d).unlink()),
    Damage("hash_tile_too_wide", "tile-width", 0, lambda s, d: _append(_tile(s, d), bytes(32))),
    Damage(
        "tile_beyond_the_checkpoint",
        "tile-extra",
        0,
        lambda s, d: _copy(_tile(s, d), d / tile_path(0, 0, len(s.drafts) + 1)),
    ),
    Damage(
        "older_tile_of_another_history",
        "tile-extra",
        0,
        lambda s, d: (d / tile_path(0, 0, 3)).write_bytes(bytes(96)),
    ),
    Damage(
        "older_bundle_of_another_history",
        "tile-extra",
        0,
        lambda s, d: (d / tile_path("entries", 0, 1)).write_bytes(b"\0\2{}"),
    ),
    Damage("stray_file", "tile-extra", None, lambda s, d: (d / "tile" / "notes.txt").write_bytes(b"hello")),
    Damage("checkpoint_missing", "checkpoint", None, lambda s, d: (d / "checkpoint").unlink()),
    Damage(
        "checkpoint_signed_by_another_key",
        "checkpoint",
        None,
        lambda s, d: _checkpoint(s, d, key=_stranger()),
    ),
    Damage(
        "checkpoint_of_another_log",
        "checkpoint",
        None,
        lambda s, d: _checkpoint(s, d, origin="other.example.cn/log0"),
    ),
    Damage("checkpoint_of_another_root", "root", None, _checkpoint),
    Damage("checkpoint_of_an_empty_log", "root", None, lambda s, d: _checkpoint(s, d, size=0)),
    Damage("checkpoint_of_more_leaves", "tile-missing", 0, lambda s, d: _checkpoint(s, d, size=10**15)),
    Damage("keys_file_missing", "keys-file", None, lambda s, d: (d / "keys.json").unlink()),
    Damage("keys_file_no_json", "keys-file", None, lambda s, d: (d / "keys.json").write_bytes(b"{")),
    Damage("keys_file_of_something_else", "keys-file", 2, lambda s, d: (d / "keys.json").write_bytes(b"[]")),
    Damage("published_key_left_out", "keys-file", 3, _keys(lambda stated: stated["keys"].pop(1))),
    Damage(
        "key_never_published",
        "keys-file",
        None,
        _keys(lambda s: s["keys"].append(s["keys"][0] | {"index": 9})),
    ),
)
