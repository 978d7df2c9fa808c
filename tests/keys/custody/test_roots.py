"""The root of a custody: replaced step by step, and given back by shares; whole after a kill at any step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keys.custody import storage
from keys.custody.copies import CustodyCopy, copy_custody, epochs_in, format_copy, parse_copy
from keys.custody.file import create_file_custody, open_file_custody
from keys.custody.roots import open_roots, restore_custody, rotate_root
from keys.custody.sealed_file import LEAST
from keys.errors import BadShare, CustodyError, CustodyLocked

PASSPHRASE, OTHER = b"a passphrase for tests", b"another passphrase here"
NAMES = ("epoch-1", "index-1", "receipt")
COPY = "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    custody = create_file_custody(tmp_path / "custody", PASSPHRASE, cost=LEAST)
    for name, kind in zip(NAMES, ("aead", "mac", "ed25519"), strict=True):
        custody.generate(name, kind)  # type: ignore[arg-type]
    custody.close()
    return tmp_path / "custody"


def seen(place: Path, passphrase: bytes = PASSPHRASE) -> tuple[bytes, bytes]:
    """What the keys do, whichever root they stand under."""
    custody = open_file_custody(place, passphrase)
    assert custody.names() == NAMES
    blob = custody.wrap("epoch-1", b"secret", b"")
    assert custody.unwrap("epoch-1", blob, b"") == b"secret"
    found = custody.mac("index-1", b"m"), custody.public("receipt")
    custody.close()
    return found


def rotate(place: Path) -> int:
    return rotate_root(place, PASSPHRASE, os.urandom, lambda _done, _total: None)


def test_a_root_is_replaced_and_the_keys_stay_the_same(place: Path) -> None:
    before, old = seen(place), open_roots(place, PASSPHRASE).current
    assert rotate(place) == 3
    assert seen(place) == before
    assert open_roots(place, PASSPHRASE).current != old
    assert sorted(path.name for path in place.iterdir()) == ["keys", "root"]
    with pytest.raises(BadShare):
        restore_custody(place, old, OTHER, None, os.urandom, LEAST)


CHILD = """
import os, sys
from pathlib import Path
from keys.custody import roots, storage
steps = 0
def told(real):
    def act(*given):
        global steps
        print("step", flush=True)
        sys.stdin.readline()
        return real(*given)
    return act
for name in ("create_file", "replace_file", "remove_file"):
    setattr(storage, name, told(getattr(storage, name)))
roots.rotate_root(Path(sys.argv[1]), sys.argv[2].encode(), os.urandom, lambda d, t: None)
print("ended", flush=True)
"""


@pytest.mark.parametrize("steps", range(1, 7))
def test_a_kill_at_any_step_leaves_a_custody_that_opens_and_the_next_run_ends_it(
    place: Path, steps: int
) -> None:
    """Before each file that is written or removed: root-next, three keys, root, root-next again."""
    before, old = seen(place), open_roots(place, PASSPHRASE).current
    words = [sys.executable, "-c", CHILD, str(place), PASSPHRASE.decode()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for step in range(steps):
            assert child.stdout.readline() == "step\n"
            if step < steps - 1:
                child.stdin.write("\n")
                child.stdin.flush()
        child.kill()
        child.wait()
    assert seen(place) == before
    restore_custody(place, open_roots(place, PASSPHRASE).current, PASSPHRASE, None, os.urandom, LEAST)
    assert seen(place) == before  # shares of the root that stands there serve in the middle too
    custody = open_file_custody(place, PASSPHRASE)
    custody.generate("made-meanwhile", "mac")
    custody.destroy("made-meanwhile")
    rotate(place)
    assert seen(place) == before
    assert open_roots(place, PASSPHRASE).current != old
    assert not (place / "root-next").exists()


def test_no_key_is_made_under_a_root_that_was_replaced(place: Path) -> None:
    custody = open_file_custody(place, PASSPHRASE)
    assert custody.mac("index-1", b"m")
    rotate(place)
    assert custody.mac("index-1", b"m")  # what was opened before stays open
    with pytest.raises(CustodyError, match="replaced since"):
        custody.generate("epoch-2", "aead")
    with pytest.raises(CustodyError, match="restart"):
        custody.public("receipt")


def test_a_lost_passphrase_is_replaced_by_the_root(place: Path) -> None:
    before, root = seen(place), open_roots(place, PASSPHRASE).current
    with pytest.raises(BadShare):
        restore_custody(place, bytes(32), OTHER, None, os.urandom, LEAST)
    assert seen(place) == before
    assert restore_custody(place, root, OTHER, None, os.urandom, LEAST) == NAMES
    assert seen(place, OTHER) == before
    with pytest.raises(CustodyLocked):
        open_file_custody(place, PASSPHRASE)


def test_a_lost_custody_is_rebuilt_from_its_copy(place: Path, tmp_path: Path) -> None:
    before, root = seen(place), open_roots(place, PASSPHRASE).current
    copy = copy_custody(place, root, "credit.example.cn/log0", COPY)
    assert parse_copy(format_copy(copy)) == copy
    assert epochs_in(copy.keys) == (1,)
    anew = tmp_path / "anew"
    anew.mkdir(mode=0o700)
    assert restore_custody(anew, root, OTHER, copy, os.urandom, LEAST) == NAMES
    assert seen(anew, OTHER) == before
    with pytest.raises(CustodyError, match="holds keys already"):
        restore_custody(anew, root, OTHER, copy, os.urandom, LEAST)


def test_a_restore_that_fails_leaves_nothing_half_made(place: Path, tmp_path: Path) -> None:
    root = open_roots(place, PASSPHRASE).current
    copy = copy_custody(place, root, "credit.example.cn/log0", COPY)
    short = CustodyCopy(copy.origin, copy.copy, {"epoch-1": copy.keys["epoch-1"]}, copy.mac)
    for wrong, held in ((bytes(32), copy), (root, short)):
        with pytest.raises(BadShare):
            restore_custody(tmp_path / "anew", wrong, OTHER, held, os.urandom, LEAST)
    with pytest.raises(CustodyError, match="give the copy"):
        restore_custody(tmp_path / "anew", root, OTHER, None, os.urandom, LEAST)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["custody"]


def test_a_copy_of_another_form_is_refused(place: Path) -> None:
    root = open_roots(place, PASSPHRASE).current
    data = format_copy(copy_custody(place, root, "credit.example.cn/log0", COPY))
    said = json.loads(data)
    for wrong in (b"", data + b"\n", data[:-1], data.replace(b"custody-copy/v1", b"custody-copy/v2")):
        with pytest.raises(CustodyError, match="no copy"):
            parse_copy(wrong)
    said["keys"]["../root"] = said["keys"].pop("epoch-1")
    from keys.canonical import canonical

    with pytest.raises(CustodyError, match="no copy"):
        parse_copy(canonical(said))


def test_a_replaced_file_is_the_old_or_the_new(tmp_path: Path) -> None:
    file = tmp_path / "file"
    storage.create_file(file, b"old", os.urandom)
    storage.replace_file(file, b"new", os.urandom)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
