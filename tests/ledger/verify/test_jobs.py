"""However many processes read a log, what is found is the same; and the tree can be checked alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from keys.canonical import parse_canonical
from keys.notes import parse_vkey
from ledger.errors import Finding
from ledger.tiles import WIDTH, parse_bundle, tile_path
from ledger.verify import Summary, Trust, audit
from ledger.verify.__main__ import main
from ledger.verify.parts import RUN
from tests.bench.biglog import make_log

LEAVES = 2 * RUN * WIDTH + 3 * WIDTH + 100
"""Three runs, the last with a partial bundle."""
JOBS = (1, 3)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("big") / "log"
    vkey = make_log(directory, LEAVES)
    (directory.parent / "vkey").write_text(vkey)
    return directory


@pytest.fixture(scope="module")
def vkey(log: Path) -> str:
    return (log.parent / "vkey").read_text()


def verdict(directory: Path, vkey: str, jobs: int, replayed: bool = True) -> Summary | tuple[object, ...]:
    try:
        return audit(directory, Trust(parse_vkey(vkey)), jobs=jobs, replayed=replayed)
    except Finding as found:
        return (found.index, found.rule, found.message)


def test_a_log_in_order_is_summed_up_alike(log: Path, vkey: str) -> None:
    first, second = (verdict(log, vkey, jobs) for jobs in JOBS)
    assert isinstance(first, Summary)
    assert first == second
    assert sum(first.counts.values()) == LEAVES


@pytest.mark.parametrize(
    ("level", "bundle", "width", "change", "rule"),
    [
        ("entries", 2 * RUN, WIDTH, lambda data: data[:90] + bytes([data[90] ^ 1]) + data[91:], "tile-hash"),
        ("entries", RUN + 1, WIDTH, lambda data: data[:-20], "bundle"),
        ("entries", 3, WIDTH, lambda _: None, "tile-missing"),
        (0, RUN - 1, WIDTH, lambda data: data[:-32], "tile-width"),
        (0, 2 * RUN + 3, 100, lambda data: data[:64] + bytes(32) + data[96:], "tile-hash"),
    ],
    ids=["flipped", "cut", "missing", "narrow", "hash"],
)  # fmt: skip
def test_damage_is_found_alike(
    log: Path, vkey: str, tmp_path: Path, level, bundle, width, change, rule
) -> None:
    """And with the tree alone, the same."""
    shutil.copytree(log, tmp_path / "log")
    path = tmp_path / "log" / tile_path(level, bundle, width)
    damaged = change(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    found = {verdict(tmp_path / "log", vkey, jobs, replayed) for jobs in JOBS for replayed in (True, False)}
    assert len(found) == 1
    index, named, _ = found.pop()  # type: ignore[misc]  # a Finding's members: damage is never summed up
    assert named == rule
    assert index // WIDTH == bundle


def made_log(directory: Path, monkeypatch: pytest.MonkeyPatch, doubled: int | None) -> str:
    """A log with this leaf twice, tree and signature made anew; its key."""
    from tests.bench import biglog

    leaves = biglog._leaves

    def twice(*given):
        for index, leaf in enumerate(leaves(*given)):
            yield leaf
            if index == doubled:
                yield leaf

    size = 0 if doubled is None else 1
    with monkeypatch.context() as patched:
        patched.setattr(biglog, "_leaves", lambda town, many, *rest: twice(town, many - size, *rest))
        return biglog.make_log(directory, LEAVES)


@pytest.mark.parametrize("faulty", [(RUN - 1, RUN), (RUN, RUN + 1), (2 * RUN - 1, 2 * RUN, 2 * RUN + 2)])
@pytest.mark.parametrize("doubled", [None, RUN * WIDTH - 1, 2 * RUN * WIDTH - 200])
def test_of_several_faults_around_a_border_the_first_is_found_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faulty: tuple[int, ...], doubled: int | None
) -> None:
    """Of files, and of a leaf that replay alone finds wrong, whichever process sees its own first."""
    vkey = made_log(tmp_path / "log", monkeypatch, doubled)
    for bundle in faulty:
        path = tmp_path / "log" / tile_path("entries", bundle)
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    first = WIDTH * faulty[0] + WIDTH - 1
    expected = (first, "tile-hash") if doubled is None or first <= doubled else (doubled + 1, "index")
    for replayed in (True, False):
        (said,) = {verdict(tmp_path / "log", vkey, jobs, replayed) for jobs in JOBS}
        assert isinstance(said, tuple)
        assert said[:2] == expected


@pytest.mark.parametrize("doubled", [5_000, RUN * WIDTH - 1, RUN * WIDTH + 700])
def test_a_leaf_twice_is_found_alike_with_tree_and_signature_made_anew(
    vkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doubled: int
) -> None:
    """At the border of two runs too; with the tree alone, because it stands at another index."""
    assert made_log(tmp_path / "log", monkeypatch, doubled) == vkey
    for replayed in (True, False):
        for jobs in JOBS:
            said = verdict(tmp_path / "log", vkey, jobs, replayed)
            assert isinstance(said, tuple)
            assert said[:2] == (doubled + 1, "index")


def test_the_tree_alone_says_what_it_left_out(log: Path, vkey: str, capsys: pytest.CaptureFixture) -> None:
    assert (
        main([str(log), "--vkey", vkey, "--no-replay", "--jobs", "2", "--kept", str(log / "checkpoint")]) == 0
    )
    out = capsys.readouterr().out
    assert "NOT checked: replay (--no-replay): what leaves say, their form" in out
    assert "checked: checkpoint signature, tiles, root, and that each leaf names the one before it" in out
    assert "every answer replayed" not in out
    assert main([str(log), "--vkey", vkey, "--no-replay", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["replayed"], said["counts"]) == (False, {})


def test_the_tree_alone_finds_a_chain_that_breaks(log: Path, vkey: str) -> None:
    """Leaves whose `prev` is another's are found without replay: see `parts`."""
    from ledger.verify.parts import Bundle, _Reading, runs

    run = next(iter(runs(log, "bench.example.cn/log0", LEAVES, "linked")))
    leaves = list(parse_bundle((log / tile_path("entries", 1)).read_bytes()))
    reading, said = _Reading(run), Bundle([])
    said.hashes = (log / tile_path(0, 1)).read_bytes()
    leaves[7] = leaves[7].replace(b'"prev":"', b'"prev":"0', 1)
    reading._link(said, WIDTH, leaves)
    assert said.fault is not None
    assert said.fault[:2] == (WIDTH + 7, "prev")


def test_replay_cannot_be_left_out_where_details_are_to_be_opened(
    log: Path, vkey: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "key").write_text(
        json.dumps(parse_canonical((log / "keys.json").read_bytes())["keys"][1]["public"])
    )
    assert main([str(log), "--vkey", vkey, "--no-replay", "--registrar", f"gd-notary={tmp_path}/key"]) == 2
    assert "--no-replay looks into no leaf" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "257", "1.5"])
def test_a_number_of_jobs_that_is_none_is_refused(log: Path, vkey: str, jobs: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main([str(log), "--vkey", vkey, f"--jobs={jobs}"])
    assert refused.value.code == 2


def test_progress_is_shown_where_it_is_asked_for(
    log: Path, vkey: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.verify.__main__.LINE_SECONDS", 0.0)
    assert main([str(log), "--vkey", vkey, "--progress", "--no-replay", "--jobs", "1"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" leaves")[0] for line in lines] == [
        f"{min(LEAVES, done + WIDTH):,} of {LEAVES:,}" for done in range(0, LEAVES, WIDTH)
    ]
    assert all("/s, 0:" in line and line.endswith(" left") for line in lines)
