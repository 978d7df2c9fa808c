"""A crash table: every step of a durable write fails once, and what stands afterwards is whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keys.errors import CustodyError, KeyNameTaken, UnknownKeyName
from tests.keys.conftest import Provider

STEPS = ["open", "fchmod", "fsync", "link", "unlink", "directory open", "directory fsync"]


class Crash(BaseException):
    """Power is gone: nothing after this runs but what the next process does."""


class CrashPlan:
    """Lets one call of one system call crash, before it had its effect or after."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def arm(self, step: str, effective: bool) -> None:
        name = step.rsplit(" ", maxsplit=1)[-1]
        real = getattr(os, name)
        countdown = iter(["crash"] if name == step else ["pass", "crash"])

        def crashing(*arguments: Any, **named: Any) -> Any:
            due = next(countdown, "pass") == "crash"
            if due and not effective:
                raise Crash
            outcome = real(*arguments, **named)
            if due:
                raise Crash
            return outcome

        self._patch.setattr(os, name, crashing)

    def disarm(self) -> None:
        self._patch.undo()


@pytest.fixture
def crash() -> Iterator[CrashPlan]:
    with pytest.MonkeyPatch.context() as patch:
        yield CrashPlan(patch)


@pytest.mark.parametrize("effective", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_key_is_whole_or_absent_after_a_crash_at_any_step(
    tmp_path: Path, crash: CrashPlan, step: str, effective: bool, provider: Provider
) -> None:
    custody = provider.create(tmp_path / "c")
    crash.arm(step, effective)
    with pytest.raises(Crash):
        custody.generate("epoch-1", "aead")
    crash.disarm()
    after = provider.open(tmp_path / "c")
    if after.has("epoch-1"):
        with pytest.raises(KeyNameTaken):
            after.generate("epoch-1", "aead")
    else:
        assert after.names() == ()
        after.generate("epoch-1", "aead")
    assert after.unwrap("epoch-1", after.wrap("epoch-1", b"secret", b""), b"") == b"secret"


@pytest.mark.parametrize("effective", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_key_destroyed_after_a_crash_leaves_no_second_name(
    tmp_path: Path, crash: CrashPlan, step: str, effective: bool, provider: Provider
) -> None:
    """A write cut short between link and unlink leaves two names for one key: erasure must reach both."""
    custody = provider.create(tmp_path / "c")
    crash.arm(step, effective)
    with pytest.raises(Crash):
        custody.generate("epoch-1", "aead")
    crash.disarm()
    if not custody.has("epoch-1"):
        custody.generate("epoch-1", "aead")
    custody.destroy("epoch-1")
    assert list((tmp_path / "c" / "keys").iterdir()) == []
    with pytest.raises(UnknownKeyName):
        custody.wrap("epoch-1", b"", b"")


@pytest.mark.parametrize("effective", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["fchmod", "fsync", "link"])
def test_a_custody_is_whole_or_can_be_created_again(
    tmp_path: Path, crash: CrashPlan, step: str, effective: bool, provider: Provider
) -> None:
    crash.arm(step, effective)
    with pytest.raises(Crash):
        provider.create(tmp_path / "c")
    crash.disarm()
    try:
        provider.create(tmp_path / "c")
    except KeyNameTaken:
        assert (step, effective) == ("link", True)
    again = provider.open(tmp_path / "c")
    again.generate("epoch-1", "aead")
    assert again.names() == ("epoch-1",)


def test_a_full_disk_is_a_custody_error_and_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    custody = provider.create(tmp_path / "c")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CustodyError):
            custody.generate("epoch-1", "aead")
    assert custody.names() == ()
    custody.generate("epoch-1", "aead")
    assert custody.names() == ("epoch-1",)


def test_a_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    """The order of the system calls: the file synced, then linked, then its directory synced."""
    custody = provider.create(tmp_path / "c")
    done: list[str] = []
    real_fsync, real_link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        done.append("sync " + ("directory" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"))
        real_fsync(descriptor)

    def link(*arguments: Any, **named: Any) -> None:
        done.append("link")
        real_link(*arguments, **named)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    custody.generate("epoch-1", "aead")
    assert done == ["sync file", "link", "sync directory"]
