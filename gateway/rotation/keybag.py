"""The keybag: keys as they were wrapped anew, outside the database, so that an old backup can be read again.

A backup of before a rotation holds keys that are wrapped under a destroyed epoch. What survived stands here
under the epoch in force; what was erased stands nowhere, and stays unreadable.

    <home>/rewrapped/epoch-N    a line for each data key, consent request and pending query
    <home>/rewrapped/sealed-N   a line for each blob of sealed details
    line = JCS {"kind","mac","name","wrapped"}

Invariant: a line is on disk before the database commits what it says, and carries a MAC of custody's over its
epoch, kind, name and content. A line that is removed is not in any file any more, nor in its old blocks.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from gateway import locks
from gateway.errors import EvidenceBroken
from gateway.rows import ROW_KEY
from keys.canonical import b64u, canonical, parse_canonical, unb64u
from keys.custody import Custody
from keys.errors import KeysError
from keys.fields import length_prefixed
from ledger.files import sync_directory

DIRECTORY: Final = "rewrapped"
_LOCK: Final = "rewrapped.lock"
_PART: Final = 1 << 20
Kind = Literal["data", "pending", "request", "sealed"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was wrapped anew. `name` is its row's; `wrapped` what stands there under the epoch."""

    kind: Kind
    name: str
    wrapped: bytes = field(repr=False)


def data_name(subject: bytes, klass: str, version: int) -> str:
    """How a data key is named here."""
    return f"{subject.hex()}:{klass}:{version}"


@dataclass(frozen=True, slots=True)
class Keybag:
    """The files of one epoch under `home`."""

    custody: Custody
    home: Path
    epoch: int

    @property
    def keys(self) -> Path:
        return self.home / DIRECTORY / f"epoch-{self.epoch}"

    @property
    def sealed(self) -> Path:
        return self.home / DIRECTORY / f"sealed-{self.epoch}"

    def add(self, lines: Iterable[Line]) -> None:
        """Have these lines on disk. A line of the same name stands in for an earlier one."""
        by_file: dict[Path, list[bytes]] = {}
        for line in lines:
            path = self.sealed if line.kind == "sealed" else self.keys
            by_file.setdefault(path, []).append(self._format(line))
        if not by_file:
            return
        with _alone(self.home):
            for path, made in by_file.items():
                _append(path, b"".join(made))

    def lines(self, *, sealed: bool = False) -> Iterator[Line]:
        """The lines of one of the two files. `EvidenceBroken` for one that this gateway did not write."""
        for raw in _whole_lines(self.sealed if sealed else self.keys):
            yield self._parse(raw)

    def remove(self) -> None:
        """The epoch is over: what is wrapped under it opens no more."""
        with _alone(self.home):
            for path in (self.keys, self.sealed):
                if path.exists():
                    _rewrite(path, lambda _raw: False)
                    path.unlink()

    def _format(self, line: Line) -> bytes:
        said = {
            "kind": line.kind,
            "mac": b64u(self._mac(line)),
            "name": line.name,
            "wrapped": b64u(line.wrapped),
        }
        return canonical(said) + b"\n"

    def _parse(self, raw: bytes) -> Line:
        try:
            said = parse_canonical(raw)
            line = Line(said["kind"], said["name"], unb64u(said["wrapped"]))
            mac = unb64u(said["mac"], 32)
        except (KeysError, KeyError, TypeError) as error:
            raise EvidenceBroken(f"a line of {DIRECTORY}/ is damaged") from error
        if not hmac.compare_digest(mac, self._mac(line)):
            raise EvidenceBroken(f"a line of {DIRECTORY}/ was not written by this gateway")
        return line

    def _mac(self, line: Line) -> bytes:
        parts = (b"rewrapped", str(self.epoch).encode(), line.kind.encode(), line.name.encode(), line.wrapped)
        return self.custody.mac(ROW_KEY, length_prefixed(*parts))


def copy_keybags(home: Path, to: Path) -> None:
    """Copy the keybags of `home` into the new directory `to`, none of them in the middle of a change."""
    if (home / DIRECTORY).is_dir():
        with _alone(home):
            shutil.copytree(home / DIRECTORY, to)


def epochs_kept(home: Path) -> list[int]:
    """The epochs that have a keybag, ascending."""
    found = (path.name.removeprefix("epoch-") for path in (home / DIRECTORY).glob("epoch-*"))
    return sorted(int(number) for number in found if number.isdecimal())


def forget_rewrapped(
    home: Path,
    erased: Mapping[bytes, Collection[str]],
    sealed: Collection[bytes] = (),
    named: Collection[str] = (),
) -> int:
    """Remove the keys of these classes of these subjects, these blobs (by SHA-256) and the lines of these
    names from every keybag.

    Called after the erasure has committed, and again when that was cut short; how many lines went.
    """
    gone = {f"{subject.hex()}:{klass}" for subject, classes in erased.items() for klass in classes}
    blobs = {digest.hex() for digest in sealed} | set(named)
    upto: dict[str, int] = {}  # a key goes with those that it replaced
    for name in named:
        key, _, version = name.rpartition(":")
        if version.isdecimal():
            upto[key] = max(upto.get(key, 0), int(version))

    def stays(raw: bytes) -> bool:
        said = parse_canonical(raw)
        name = str(said["name"])
        key, _, version = name.rpartition(":")
        replaced = said["kind"] == "data" and int(version) <= upto.get(key, 0)
        return not replaced and name not in blobs and key not in gone

    removed = 0
    if not (home / DIRECTORY).is_dir():
        return 0
    with _alone(home):
        for path in sorted((home / DIRECTORY).iterdir()):
            if path.suffix != ".new" and (blobs or path.name.startswith("epoch-")):
                removed += _rewrite(path, stays)
    return removed


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    (home / DIRECTORY).mkdir(mode=0o700, exist_ok=True)
    with locks.turn(home / _LOCK, wait=True):
        yield


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Lines without their ends; one that a kill cut short is none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for raw in file:
            if raw.endswith(b"\n"):
                yield raw[:-1]


def _append(path: Path, data: bytes) -> None:
    """Append whole lines, durably, after cutting off one that an earlier kill left unfinished."""
    new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        file.seek(_end_of_lines(file.fileno()))
        file.truncate()
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_directory(path.parent)


def _end_of_lines(descriptor: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _PART)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _rewrite(path: Path, stays: Callable[[bytes], bool]) -> int:
    """Write the file anew with the lines that stay, and blank the old one's blocks; how many lines went."""
    if all(stays(raw) for raw in _whole_lines(path)):
        return 0
    removed, temporary = 0, path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with (
        path.open("r+b") as old,
        os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as new,
    ):
        for raw in _whole_lines(path):
            if stays(raw):
                new.write(raw + b"\n")
            else:
                removed += 1
        new.flush()
        os.fsync(new.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
        _blank(old.fileno())
    return removed


def _blank(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    for start in range(0, size, _PART):
        os.pwrite(descriptor, bytes(min(_PART, size - start)), start)
    os.fsync(descriptor)
