"""Secret files: readable by their owner alone, written whole or not at all.

Invariant: after `create_file` returns, the file is on disk with all its bytes, in a directory entry that
survives a power cut; if it is interrupted at any step, the name either does not exist or holds all the bytes.
Nothing here overwrites. What is read was a regular file, no link, owned by this user, closed to group and
others.
"""

from __future__ import annotations

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
    except FileExistsError:
        check_directory(path)
        return
    except OSError as error:
        raise CustodyError("the directory cannot be made") from error
    path.chmod(DIRECTORY_MODE)  # mkdir's mode was cut by the umask
    _sync_directory(path.parent)


def check_directory(path: Path) -> None:
    """Raise CustodyPermissions unless `path` is a directory of ours, no link, with mode 0700 or less."""
    try:
        found = path.lstat()
    except OSError as error:
        raise CustodyError("the directory cannot be read") from error
    if not stat.S_ISDIR(found.st_mode):
        raise CustodyPermissions("a custody is a directory, not a link or a file")
    _check_owner_and_mode(found, DIRECTORY_MODE)


def read_file(path: Path, limit: int) -> bytes:
    """All bytes of a secret file of at most `limit` bytes.

    Raises CustodyPermissions for a link, another owner, or a mode beyond 0600; CustodyError when it cannot be
    read. Checks are made on the open descriptor, so the file cannot be exchanged between check and read.
    """
    try:
        # O_NONBLOCK: opening a pipe put in the file's place must not hang before it is refused
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise CustodyPermissions("a secret file may not be a link") from error
        raise CustodyError("a secret file cannot be read") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CustodyPermissions("a secret file is a regular file")
        _check_owner_and_mode(found, FILE_MODE)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CustodyError("a secret file is too long")
    return data


def create_file(path: Path, data: bytes, random: Callable[[int], bytes]) -> None:
    """Write a new file with mode 0600. Raises KeyNameTaken if the name stands.

    Written under a temporary name, synced, then linked: link refuses an existing name where rename would
    replace it.
    """
    temporary = path.parent / f"{_TEMPORARY}{random(8).hex()}"
    try:
        _write_synced(temporary, data)
        try:
            os.link(temporary, path, follow_symlinks=False)
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise KeyNameTaken("a key of that name stands already") from error
    except OSError as error:
        raise CustodyError("a secret file cannot be written") from error


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
        raise CustodyError("a secret file cannot be removed") from error


def _check_owner_and_mode(found: os.stat_result, mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise CustodyPermissions("a secret belongs to the user who runs the gateway")
    if stat.S_IMODE(found.st_mode) & ~mode:
        raise CustodyPermissions(f"a secret {'directory' if mode & 0o100 else 'file'} has mode {mode:04o}")


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
