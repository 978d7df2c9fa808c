"""Secret files: readable by their owner alone, written whole or not at all.

Invariant: after `create_file` returns, the file is on disk with all its bytes, in a directory entry
that survives a power cut; if it is interrupted at any step, the name either does not exist or holds
all the bytes. Nothing here overwrites. What is read was a regular file, no link, owned by this
user, closed to group and others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from keys.errors import CustodyError, CustodyPermissions, KeyNameTaken

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_TEMPORARY = ".new-"


def make_directory(path: Path) -> None:
    """Create `path` with mode 0700, durably; an existing one must pass `check_directory`."""
    try:
        path.mkdir(mode=DIRECTORY_MODE)
        path.chmod(DIRECTORY_MODE)  # mkdir's mode was cut by the umask
        _sync_directory(path.parent)
    except FileExistsError:
        check_directory(path)
    except OSError as error:
        raise CustodyError(f"{path}: the directory cannot be made: {error.strerror}") from error


def check_directory(path: Path) -> None:
    """Raise CustodyPermissions unless `path` is a directory of ours, no link, with mode 0700 or less."""
    try:
        found = path.lstat()
    except OSError as error:
        raise CustodyError(f"{path}: the directory cannot be read: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise CustodyPermissions(f"{path}: must be a directory, no link")
    _check_owner_and_mode(path, found, DIRECTORY_MODE)


def read_file(path: Path, limit: int) -> bytes:
    """All bytes of a secret file of at most `limit` bytes.

    Raises CustodyPermissions for a link, another owner, or a mode beyond 0600; CustodyError when it cannot be
    read. Checks are made on the open descriptor: the file cannot be exchanged between check and read.
    """
    try:
        # O_NONBLOCK: opening a pipe put in the file's place must not hang before it is refused
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CustodyPermissions(f"{path}: must be a file, no link") from error
        raise CustodyError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CustodyPermissions(f"{path}: must be a regular file")
        _check_owner_and_mode(path, found, FILE_MODE)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise CustodyError(f"{path}: is longer than {limit} bytes")
    return data


def read_line(path: Path, least: int, most: int, what: str) -> bytes:
    """The one line of a secret file, of `least` to `most` bytes, its final newline left off.

    Raises as `read_file` does; CustodyError, which calls it `what`, for other content.
    """
    line = read_file(path, most + 2).removesuffix(b"\n").removesuffix(b"\r")
    if any(byte in line for byte in b"\r\n\0"):
        raise CustodyError(f"the {what} file holds one line")
    if not least <= len(line) <= most:
        raise CustodyError(f"a {what} has {least} to {most} bytes")
    return line


def create_file(path: Path, data: bytes, random: Callable[[int], bytes]) -> None:
    """Write a new file with mode 0600. Raises KeyNameTaken if the name stands.

    Written under a temporary name, synced, then linked: rename would replace an existing name.
    """
    temporary = path.parent / f"{_TEMPORARY}{random(8).hex()}"
    try:
        _write_synced(temporary, data)
        os.link(temporary, path, follow_symlinks=False)
        temporary.unlink()
        _sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise KeyNameTaken(f"{path}: stands already") from error
        raise CustodyError(f"{path}: cannot be written: {error.strerror}") from error


def replace_file(path: Path, data: bytes, random: Callable[[int], bytes]) -> None:
    """Put other bytes under a name, mode 0600: at every instant it holds all the old ones or all the new."""
    temporary = path.parent / f"{_TEMPORARY}{random(8).hex()}"
    try:
        _write_synced(temporary, data)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CustodyError(f"{path}: cannot be written: {error.strerror}") from error


def move_directory(made: Path, path: Path) -> None:
    """Give a finished directory its name, durably; only an empty one may stand there."""
    try:
        made.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise CustodyError(
            f"{path}: the directory is not empty, or cannot be made: {error.strerror}"
        ) from error


def remove_file(path: Path) -> None:
    """Unlink, durably.

    A `create_file` cut short may have left the same file under its temporary name too, so every such name
    goes first: a key that is destroyed has no second name.
    """
    try:
        for leftover in path.parent.glob(f"{_TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        path.unlink()
        _sync_directory(path.parent)
    except OSError as error:
        raise CustodyError(f"{path}: cannot be removed: {error.strerror}") from error


def _check_owner_and_mode(path: Path, found: os.stat_result, mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise CustodyPermissions(f"{path}: must belong to the user who runs this command")
    if stat.S_IMODE(found.st_mode) & ~mode:
        raise CustodyPermissions(f"{path}: must have mode {mode:04o} (chmod {mode:o})")


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE_MODE)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
