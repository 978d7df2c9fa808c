"""A rotation in a process of its own, in chunks of one, a line for each: `python -m ... HOME KIND`."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.config import load_settings
from gateway.opening import open_house
from gateway.rotation import blobs, wrapped
from gateway.rotation.data import rotate_data
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.index import rotate_index

KINDS = {"epoch": rotate_epoch, "index": rotate_index, "data": rotate_data}


def tell(done: int, total: int) -> None:
    """Say how far it is, and wait to be told to go on: so the parent knows where it ends."""
    sys.stdout.write(f"{done} {total}\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    wrapped.CHUNK = blobs.CHUNK = 1
    house = open_house(load_settings(Path(sys.argv[1])))
    KINDS[sys.argv[2]](house, tell)
    sys.stdout.write("ended\n")
