"""Restoring a backup: its rows into an empty database, its log where there is none.

Invariant: nothing that stands is overwritten, and nothing is written before the backup was opened, in a copy,
with the custody that is here. The log on disk and the checkpoint outside are newer than any backup and
stay as they are: what the database lacks against them is found when the gateway opens, and comes back by
`chengxin ledger recover`, never by forgetting it. A restore that fails leaves no database behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import db, provision
from gateway.custody import open_custody
from gateway.database_url import SQLITE
from gateway.errors import NotReady
from gateway.locks import sole_publisher
from gateway.opening import newest_log, open_house
from gateway.publishing import publisher_of
from gateway.recovery.backup import DATABASE, LOG, Manifest, read_backup
from gateway.recovery.snapshot import Progress, read_snapshot
from gateway.rotation.keybag import DIRECTORY as REWRAPPED
from gateway.rotation.restored import Applied, apply_rewrapped
from keys.errors import KeysError
from keys.notes import Vkey
from ledger.checkpoint import open_checkpoint
from ledger.errors import BrokenCheckpoint
from ledger.files import read_if_there, sync_directory, write_atomic
from ledger.logkeys import LogKeys, claimed

if TYPE_CHECKING:
    from gateway.config import Settings

_COMING = ".restoring"


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest checkpoint that anybody kept (a signed note), and its key where the backup lacks it."""

    note: bytes
    vkey: Vkey | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: the backup's manifest, its rows, whether the log on disk is its own, what opens."""

    manifest: Manifest
    rows: int
    log_restored: bool
    applied: Applied


def restore_backup(
    settings: Settings, path: Path, newest: Newest | None = None, progress: Progress | None = None
) -> Restored:
    """Restore the backup at `path` into the empty database of `settings`, and the log if there is none.

    `newest` is for an installation whose own copy of the checkpoint outside is lost, or older. It may be run
    again when it was cut short.
    """
    backup = read_backup(path)
    _require_place(settings, backup.manifest, newest)
    with sole_publisher(settings.home), tempfile.TemporaryDirectory(dir=settings.home) as scratch:
        copy = Path(scratch) / DATABASE
        shutil.copyfile(path / DATABASE, copy)
        db.migrate(f"{SQLITE}{copy}")  # an older schema is brought up to date there, not in the backup
        applied = _rewrap(settings, copy, path)
        _prove(settings, copy, newest)
        log_restored = _put(path / LOG, settings.log_dir)
        _put(path / REWRAPPED, settings.home / REWRAPPED)
        _keep(settings, newest)
        with provision.founding(settings), provision.as_owner(settings) as engine:
            rows = read_snapshot(copy, engine, progress)
    return Restored(backup.manifest, rows, log_restored, applied)


def _require_place(settings: Settings, manifest: Manifest, newest: Newest | None) -> None:
    if manifest.origin != settings.origin:
        raise NotReady(f"the backup is of {manifest.origin}, the settings say {settings.origin}")
    if not settings.custody_dir.is_dir():
        raise NotReady(
            f"{settings.custody_dir} is not there: put the custody back first (`chengxin keys restore`)"
        )
    file = settings.database_file
    if file is not None and file.exists():
        raise NotReady(f"{file} is there, and nothing is overwritten: move it away first")
    if newest is None and read_if_there(settings.checkpoint_copy) is None:
        # What is restored is compared with the newest checkpoint: one has to be there.
        raise NotReady(
            f"{settings.checkpoint_copy} is not there, and nothing else tells whether this backup is the "
            "newest: give the newest checkpoint that anybody kept with --checkpoint FILE"
        )


def _rewrap(settings: Settings, copy: Path, backup: Path) -> Applied:
    """Give the rows their keys as they stand since the last rotation of the epoch: here, or in the backup."""
    home = settings.home if _stands(settings.home / REWRAPPED) else backup
    custody = open_custody(settings, os.urandom)
    engine = db.open_engine(f"{SQLITE}{copy}")
    try:
        with db.read(engine) as connection:
            shard = newest_log(connection)
        return apply_rewrapped(engine, custody, home, shard)
    finally:
        engine.dispose()
        custody.close()


def _prove(settings: Settings, copy: Path, newest: Newest | None) -> None:
    """That this custody opens the backup, and that the log's own key signed what was said to be newest."""
    url = f"{SQLITE}{copy}"
    there = settings.model_copy(update={"database_url": url, "database_owner_url": url})
    house = open_house(there, behind=True)
    try:
        with house.read() as connection:
            keys = publisher_of(house).keys(connection)
    finally:
        house.engine.dispose()
        house.custody.close()
    if newest is not None:
        _verify(newest, keys)


def _verify(newest: Newest, keys: LogKeys) -> None:
    try:
        if newest.vkey is None:
            keys.open(newest.note)
        else:
            open_checkpoint(newest.note, newest.vkey)
    except (BrokenCheckpoint, KeysError) as error:
        raise NotReady(
            "this checkpoint is not signed by the log's key as the backup knows it: give another, or, where "
            "the key was rotated since, the newer key with --vkey"
        ) from error


def _put(source: Path, place: Path) -> bool:
    """Put a directory of the backup in its place, in one step, unless one with anything in it is there."""
    if not source.is_dir() or _stands(place):
        return False
    coming = place.with_name(place.name + _COMING)
    if coming.exists():  # of a restore that was cut short
        shutil.rmtree(coming)
    shutil.copytree(source, coming)
    coming.chmod(0o700)
    os.sync()  # every file of it, before its name says that it is whole
    coming.replace(place)
    sync_directory(place.parent)
    return True


def _stands(place: Path) -> bool:
    return place.is_dir() and any(place.iterdir())


def _keep(settings: Settings, newest: Newest | None) -> None:
    """Put the newest checkpoint outside, unless one of more leaves is kept there."""
    kept = read_if_there(settings.checkpoint_copy)
    if newest is not None and (kept is None or claimed(kept).size < claimed(newest.note).size):
        write_atomic(settings.checkpoint_copy, newest.note)
