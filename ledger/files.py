"""Durable files: what `write_atomic` wrote is on disk whole, and no reader ever sees a part of it.

Write beside, fsync, rename, fsync the directory: a crash leaves the old file or the new one.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path`, durably and in one step; makes missing directories (durably too)."""
    make_directory(path.parent)
    beside = path.parent / f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_if_there(path: Path) -> bytes | None:
    """The file's bytes, or None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def make_directory(path: Path) -> None:
    """Make a directory and its missing parents, each entry durable before anything is put inside."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and creations in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
