"""The upgrade to this release: a backup first, then schema and rights, then one look whether it all opens.

Invariant: the schema is touched only after a backup of it stands, and no server runs meanwhile. The change of
schema is one transaction: a kill leaves the old one or the new one, and the command is simply run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import db, provision
from gateway.locks import sole_publisher
from gateway.opening import open_house
from gateway.recovery.backup import Backup, take_backup
from gateway.recovery.snapshot import Progress

if TYPE_CHECKING:
    from gateway.config import Settings


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The backup of before, the schema then and now, and the leaves of the log that opened."""

    backup: Backup
    before: str
    after: str
    size: int


def upgrade(settings: Settings, to: Path, at: int, progress: Progress | None = None) -> Upgraded:
    """Back up into `to`, migrate, and open the gateway once. `NotReady` while a server runs on this home."""
    with sole_publisher(settings.home):
        made = take_backup(settings, to, at, progress, owner=True)
        provision.migrate(settings)
        house = open_house(settings)
        try:
            size = 0 if house.seen is None else house.seen.size
        finally:
            house.engine.dispose()
            house.custody.close()
    return Upgraded(made, made.manifest.schema, db.newest_revision(), size)
