"""Makes `home.tar.xz` beside it, with the code of the first release (see README.md here).

    git worktree add ../part1 3a31ec3
    PYTHONPATH=../part1 python tests/data/part1/make.py

Everybody in it is synthetic. The keys stand in it in clear because they are nobody's.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
import tempfile
from pathlib import Path

from gateway.client.reply import Refused
from keys.signing import private_jwk
from tests.gateway import kit
from tests.gateway.world import World, new_world

HERE = Path(__file__).parent
KEPT = ("passphrase", "custody", "log", "outside", "gateway.db", "people.json")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with new_world(home) as world:
            people = live(world)
            people["origin"], people["made_at"] = world.house.origin, world.clock()
            people["policy"] = world.house.policy_hash
            world.publishing.publish_now()
        with sqlite3.connect(home / "gateway.db") as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            conn.execute("PRAGMA journal_mode = DELETE")
        (home / "people.json").write_text(json.dumps(people, indent=1) + "\n")
        pack(home)


def live(world: World) -> dict[str, object]:
    """What had happened by the day of the upgrade."""
    first, second = world.citizen(kit.NUMBER, "测试人"), world.citizen(kit.OTHER_NUMBER, "另一人")
    third = kit.person(7)  # imported, never enrolled
    assert world.import_records(
        [kit.loan(), kit.job(), kit.loan(kit.OTHER_NUMBER, "T-2"), kit.loan(third, "T-3")]
    )
    granted = world.consent(first, max_uses=5, categories=("employment", "loan"))
    used = world.consent(second, max_uses=2)
    assert not isinstance(world.query(used), Refused)
    withdrawn = world.consent(second)
    world.withdraw(second, withdrawn)
    assert isinstance(world.query(withdrawn), Refused)
    asked = world.ask(first)
    return {
        "granted": granted,
        "used": used,
        "withdrawn": withdrawn,
        "open": {"request": asked.request_id, "consent": asked.consent_id},
        "citizens": [
            {"number": one.number, "name": one.name, "key": private_jwk(one.key)} for one in (first, second)
        ],
        "imported_only": third,
        "bank_key": private_jwk(world.bank_key),
        "other_key": private_jwk(world.other_key),
        "operators": world.operators,
        "regulator": world.regulator_private,
        "registrar": {
            "key": private_jwk(world.registrar.key),
            "officers": {name: private_jwk(key) for name, key in world.registrar.officers.items()},
        },
    }


def pack(home: Path) -> None:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(HERE / "home.tar.xz", "w:xz", preset=9) as archive:
        for name in KEPT:
            archive.add(home / name, arcname=name, filter=plain)


if __name__ == "__main__":
    main()
