"""A second place for an installation: its custody, log and outside checkpoint, and an empty database."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.config import Settings, load_settings
from gateway.house import House
from tests import databases

PARTS = ("custody", "log", "outside", "rewrapped")


@contextmanager
def moved(house: House, home: Path, **changes: Any) -> Iterator[Settings]:
    """Settings of a copy in `home` whose database is a new, empty one; `changes` go into its config.toml."""
    home.mkdir(mode=0o700)
    shutil.copy2(house.settings.passphrase_file, home / "passphrase")
    for part in PARTS:
        if (house.settings.home / part).exists():
            shutil.copytree(house.settings.home / part, home / part)
    values = tomllib.loads((house.settings.home / "config.toml").read_text("utf-8"))
    values = {name: value for name, value in values.items() if not name.startswith("database_")}
    with databases.fresh() as where:
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in (values | where | changes).items()]
        (home / "config.toml").write_text("".join(lines), "utf-8")
        yield load_settings(home)


def bare(settings: Settings) -> None:
    """Nothing is left of the machine but its custody: neither log nor the checkpoint outside."""
    for place in (settings.log_dir, settings.checkpoint_copy.parent, settings.home / "rewrapped"):
        if place.exists():
            shutil.rmtree(place)
