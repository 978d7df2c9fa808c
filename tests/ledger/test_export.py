"""Exports: the rows as they are, in files that other people's tools read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keys.canonical import b64u, canonical, sha256, sha256_hex
from keys.notes import format_vkey, parse_vkey
from ledger import merkle
from ledger.checkpoint import open_checkpoint
from ledger.errors import BrokenCheckpoint, LedgerError
from ledger.export import Exported, export
from ledger.log import Draft
from ledger.tiles import TileDirectory
from tests.ledger.kit import OPENED, ORIGIN, POLICY, VKEY, Log, new_log

JWK = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}
KID = b64u(sha256(canonical(JWK)))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = new_log(tmp_path)
    made.append(
        OPENED, Draft("key.published", {"use": "receipt", "kid": KID, "public": JWK, "holder": ORIGIN})
    )
    made.grow(300)
    made.publisher.publish()
    return made


def exported(log: Log, to: Path, **more: object) -> Exported:
    note = log.publisher.file.read_bytes()
    return export(to, note, VKEY, iter(log.leaves()), {POLICY: b"{}"}, **more)  # type: ignore[arg-type]  # test's own


def test_export_is_a_tile_directory_with_its_checkpoint(log: Log, tmp_path: Path) -> None:
    to, calls = tmp_path / "out", []
    blob = b"sealed details"
    result = exported(log, to, sealed=[(sha256_hex(blob), blob)], progress=lambda: calls.append(1))
    checkpoint = open_checkpoint((to / "checkpoint").read_bytes(), VKEY)
    assert result == Exported(checkpoint, intact=True, sealed=1)
    tiles = TileDirectory(to)
    assert tiles.size() == checkpoint.size == 302
    assert (
        tiles.root_at(302)
        == checkpoint.root
        == merkle.root([merkle.leaf_hash(leaf) for leaf in log.leaves()])
    )
    assert [tiles.leaf(index, 302) for index in range(302)] == log.leaves()
    assert (to / "policy" / f"{POLICY}.json").read_bytes() == b"{}"
    assert (to / "sealed" / sha256_hex(blob)).read_bytes() == blob
    keys = json.loads((to / "keys.json").read_bytes())
    assert keys == {
        "origin": ORIGIN,
        "vkey": format_vkey(VKEY),
        "keys": [{"use": "receipt", "kid": KID, "public": JWK, "holder": ORIGIN, "index": 1}],
    }
    assert parse_vkey(keys["vkey"]) == VKEY
    assert len(calls) == 303


def test_changed_row_is_exported_as_it_is_and_does_not_add_up(log: Log, tmp_path: Path) -> None:
    with log.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER ledger_leaves_refuse_update")
        conn.exec_driver_sql(
            "UPDATE ledger_leaves SET leaf = replace(leaf, 'receipt', 'recei') WHERE idx = 1"
        )
    to = tmp_path / "out"
    assert not exported(log, to).intact
    assert TileDirectory(to).leaf(1, 302) == log.leaves()[1]
    assert json.loads((to / "keys.json").read_bytes())["keys"] == []


def test_export_overwrites_nothing(log: Log, tmp_path: Path) -> None:
    to = tmp_path / "out"
    exported(log, to)
    before = (to / "checkpoint").stat().st_mtime_ns
    with pytest.raises(LedgerError, match="not empty"):
        exported(log, to)
    assert (to / "checkpoint").stat().st_mtime_ns == before
    with pytest.raises(LedgerError):
        exported(log, to / "checkpoint")


@pytest.mark.parametrize("name", ["../evil", "A" * 64, "", "ab" * 31])
def test_names_out_of_the_database_lead_nowhere_else(log: Log, tmp_path: Path, name: str) -> None:
    with pytest.raises(LedgerError):
        exported(log, tmp_path / "out", sealed=[(name, b"x")])
    assert not (tmp_path / "evil").exists()


def test_export_under_another_logs_checkpoint_is_refused(log: Log, tmp_path: Path) -> None:
    with pytest.raises(BrokenCheckpoint):
        export(tmp_path / "out", b"nothing\n", VKEY, [], {})
    assert not (tmp_path / "out").exists()
