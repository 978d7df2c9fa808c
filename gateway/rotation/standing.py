"""How far rotations are, for people: epochs, versions of the index, and what to run next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.rotation.index import Indexes, read_indexes
from gateway.rotation.waiting import FOUND_BY, UNDER, by_epoch, by_version

if TYPE_CHECKING:
    from gateway.house import House


def describe(house: House, conn: sa.Connection) -> dict[str, Any]:
    """`epochs` and `indexes`, each a list of plain members; what waits is counted."""
    held, under = house.epochs, by_epoch(conn)
    epochs = [
        {
            "epoch": epoch,
            "state": _state(house, epoch),
            **{words: under.get(epoch, {}).get(words, 0) for words in UNDER},
        }
        for epoch in range(1, held.newest + 1)
    ]
    said, rows = read_indexes(conn, house.shard), by_version(conn)
    indexes = [
        {
            "version": version,
            "state": _index_state(said, version),
            **{words: rows.get(version, {}).get(words, 0) for words in FOUND_BY.values()},
        }
        for version in range(1, said.newest + 1)
    ]
    return {"epochs": epochs, "indexes": indexes}


def _index_state(said: Indexes, version: int) -> str:
    if version <= said.destroyed:
        return "destroyed"
    if version == said.newest:
        return "in force" if said.completed == version else "being written"
    return "being left"


def _state(house: House, epoch: int) -> str:
    held = house.epochs
    if epoch in held.destroyed:
        return "destroyed"
    if epoch < held.newest:
        return "closed" if held.rewrapped else "being rewrapped"
    return "in force"


def advice(rotation: dict[str, Any]) -> list[str]:
    """What to run next, a line each; nothing when nothing waits."""
    said = []
    states = {epoch["state"] for epoch in rotation["epochs"]}
    if "being rewrapped" in states:
        said.append("a rotation of the epoch is not finished: run `chengxin keys rotate epoch` again")
    for epoch in rotation["epochs"]:
        if epoch["state"] == "closed":
            number = epoch["epoch"]
            said.append(
                f"epoch {number} is closed: when its copies are gone, `chengxin keys destroy-epoch {number}`"
            )
    if "being left" in {index["state"] for index in rotation["indexes"]}:
        said.append("a rotation of the index is not finished: run `chengxin keys rotate index` again")
    return said
