"""A backup: everything of an installation but its secrets, taken while it runs.

    DIR/manifest.json    JCS {"at","files":{path:{"bytes","sha256"}},"origin","rows","schema","size","v":1,
                         "version"}; written last: a directory without one is no backup
    DIR/database.db      all rows (gateway.recovery.snapshot)
    DIR/log/...          tiles, entry bundles, checkpoint
    DIR/rewrapped/...    data keys wrapped anew, where epochs were rotated
    DIR/config.toml      the settings file, which holds no secret

Invariant: no key of custody, no passphrase and no password is in it; and not the checkpoint kept outside, for
a backup must never bring along what it will be compared with. The log is copied before the database is read,
so that a backup's database is never behind its own tiles. `<home>/backed-up.json` says when the last one was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from gateway import locks, provision
from gateway.config import CONFIG_NAME, config_file
from gateway.errors import NotReady
from gateway.recovery.snapshot import Progress, require_known, write_snapshot
from gateway.rotation.keybag import DIRECTORY as REWRAPPED
from gateway.rotation.keybag import copy_keybags
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from ledger.files import sync_directory, write_atomic

if TYPE_CHECKING:
    from gateway.config import Settings

MANIFEST = "manifest.json"
DATABASE = "database.db"
LOG = "log"
LAST = "backed-up.json"
_PREFIX = "chengxin-"
_FORM = "%Y%m%dT%H%M%S.%fZ"
_PARTIAL = ".p"

Hex = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup: its length and SHA-256 (hex)."""

    bytes: int
    sha256: Hex


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is of. `at` is ms since the epoch, `size` the number of leaves in its database."""

    v: int
    origin: str
    at: int
    schema: str
    version: str
    size: int
    rows: int
    files: dict[str, File]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup on disk."""

    path: Path
    manifest: Manifest


def take_backup(
    settings: Settings,
    to: Path,
    at: int,
    progress: Progress | None = None,
    keep: int | None = None,
    *,
    owner: bool = False,
) -> Backup:
    """Back up the installation into a new directory under `to`, named by its time; the server may be running.

    `keep` is how many backups of this log may be there afterwards: the oldest go, once the new one is whole.
    `owner` reads as the owner of the tables, where the gateway's login has this release's rights not yet.
    """
    _require_installed(settings)
    for ours in (settings.log_dir, settings.custody_dir):
        if to.resolve().is_relative_to(ours):
            raise NotReady(f"{to} is inside {ours}: choose a directory elsewhere, best on another machine")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = _PREFIX + datetime.fromtimestamp(at / 1000, UTC).strftime(_FORM)
    path = to / name
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        raise NotReady(f"{path} is there already: nothing was changed") from None
    try:
        made = _fill(settings, path, at, progress, owner=owner)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    sync_directory(to)
    write_atomic(settings.home / LAST, canonical({"at": at, "size": made.manifest.size}))
    if keep is not None:
        for old in backups_in(to, settings.origin)[:-keep]:
            (old / MANIFEST).unlink()  # what is half removed is no backup any more
            shutil.rmtree(old)
    return made


def last_backup(home: Path) -> int:
    """When the last backup of this home was taken, in ms since the epoch; 0 when none is known."""
    try:
        at = parse_canonical((home / LAST).read_bytes())["at"]
    except (OSError, KeysError, KeyError, TypeError):
        return 0  # a note for the alert only: what cannot be read counts as no backup
    return at if isinstance(at, int) else 0


def backups_in(folder: Path, origin: str) -> list[Path]:
    """The backups of one log in a directory that have a manifest, oldest first."""
    found = []
    for manifest in sorted(folder.glob(f"{_PREFIX}*/{MANIFEST}")):
        try:
            mine = read_manifest(manifest.parent).origin == origin
        except NotReady:
            continue  # of nobody we know: not ours to remove
        if mine:
            found.append(manifest.parent)
    return found


def read_backup(path: Path) -> Backup:
    """A backup whose every file is what the manifest says. `NotReady` names the first that is not."""
    manifest = read_manifest(path)
    require_known(manifest.schema)
    for name, said in manifest.files.items():
        file = path / name
        if not file.resolve().is_relative_to(path.resolve()) or not file.is_file():
            raise NotReady(f"{file} is missing: this backup is not whole")
        if _described(file) != said:
            raise NotReady(f"{file} is not what was backed up: take another backup")
    known = {path / MANIFEST, *(path / name for name in manifest.files)}
    for file in path.rglob("*"):
        if file.is_symlink() or (not file.is_dir() and file not in known):
            raise NotReady(f"{file} was not backed up, and nothing is restored beside what was: remove it")
    return Backup(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the backup at `path`. `NotReady` where there is none that this release can read."""
    file = path / MANIFEST
    try:
        found = msgspec.convert(parse_canonical(file.read_bytes()), Manifest)
    except FileNotFoundError:
        raise NotReady(f"{path} holds no backup: there is no {MANIFEST} in it") from None
    except (KeysError, msgspec.ValidationError) as error:
        raise NotReady(f"{file} is damaged, or of a later release") from error
    if found.v != 1 or DATABASE not in found.files:
        raise NotReady(f"{file} is of a later release, or not whole")
    return found


def format_manifest(manifest: Manifest) -> bytes:
    """JCS of a manifest."""
    members: dict[str, Any] = msgspec.to_builtins(manifest)
    return canonical(members)


def _fill(settings: Settings, path: Path, at: int, progress: Progress | None, *, owner: bool) -> Backup:
    copy_log(settings, path / LOG)
    copy_keybags(settings.home, path / REWRAPPED)
    config = config_file(settings.home)
    if config.is_file():
        shutil.copyfile(config, path / CONFIG_NAME)
    engine = provision.owner_engine(settings) if owner else provision.engine_of(settings)
    try:
        copied = write_snapshot(engine, path / DATABASE, progress)
    finally:
        engine.dispose()
    files = {str(file.relative_to(path)): _described(file) for file in _files(path)}
    manifest = Manifest(
        v=1,
        origin=settings.origin,
        at=at,
        schema=copied.schema,
        version=_version(),
        size=copied.size,
        rows=copied.rows,
        files=files,
    )
    for made in path.rglob("*"):
        made.chmod(0o700 if made.is_dir() else 0o600)
        sync_directory(made) if made.is_dir() else _sync(made)
    write_atomic(path / MANIFEST, format_manifest(manifest))
    (path / MANIFEST).chmod(0o600)
    return Backup(path, manifest)


def copy_log(settings: Settings, to: Path) -> None:
    """Copy tiles and checkpoint as they stand between two publications.

    Full tiles never change: they are copied first and hold up nobody. What is left is little.
    """
    _copy_missing(settings.log_dir, to, _is_full_tile)
    with locks.turn(settings.home / locks.TURN, wait=True):
        _copy_missing(settings.log_dir, to, lambda _file: True)


def _copy_missing(source: Path, to: Path, wanted: Callable[[Path], bool]) -> None:
    to.mkdir(mode=0o700, exist_ok=True)
    for file in _files(source):
        copy = to / file.relative_to(source)
        if not file.name.startswith(".") and not copy.exists() and wanted(file.relative_to(source)):
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _is_full_tile(file: Path) -> bool:
    return file.parts[0] == "tile" and file.parent.suffix != _PARTIAL


def _require_installed(settings: Settings) -> None:
    """`NotReady` before SQLite makes an empty database of a name that is wrong."""
    file = settings.database_file
    if file is not None and not file.exists():
        raise NotReady(f"{file} is not there: run `chengxin init` first")


def _files(path: Path) -> Iterator[Path]:
    return (file for file in sorted(path.rglob("*")) if file.is_file())


def _described(file: Path) -> File:
    with file.open("rb") as content:
        return File(file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest())


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _version() -> str:
    try:
        return version("chengxin-gateway")
    except PackageNotFoundError:
        return "unknown"
