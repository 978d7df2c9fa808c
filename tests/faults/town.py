"""A world for the crash table: one installation, a server that goes on beside, and what must be whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from gateway.client.bank import Answer
from gateway.events.webhooks import set_webhook
from gateway.export import export_ledger
from gateway.publishing import PublishingThread, publish
from gateway.signers import log_keys
from keys.signing import parse_public_jwk
from ledger.publish import read_published
from ledger.verify.auditor import Trust, audit
from tests import databases
from tests.faults.cluster import Cluster, cluster
from tests.faults.processes import Running, running
from tests.faults.trap import Trap
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.receiver import Receiver, receiving
from tests.gateway.workers.served import TidyWorld
from tests.gateway.world import BANK, REGISTRAR, SettableClock, World, _people, new_house


@dataclass
class Town:
    """An installation and everybody around it; `world.house` is the test's own process on it."""

    world: World
    receiver: Receiver
    cluster: Cluster | None
    serials: Iterator[int] = field(default_factory=lambda: count(1))
    kept: dict[str, bytes] = field(default_factory=dict)
    _server: Running | None = None
    _ending: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.serve()
        number = self.number()
        self.world.import_records([kit.loan(number, "usual")])
        self.citizen = self.world.citizen(number)
        self.consent = self.world.consent(self.citizen, max_uses=1_000)
        set_webhook(self.world.house, BANK, self.receiver.url)

    def number(self) -> str:
        """The citizen number of somebody who is not known yet."""
        return kit.person(next(self.serials))

    def serve(self) -> Running:
        """The server that is asked when no fault is meant; started where none is."""
        if self._server is None:
            self._server = self._ending.enter_context(running(self.world.house.settings.home))
            self._server.done("serve")
        return self._server

    def close(self) -> None:
        """End that server, in good order."""
        self._ending.close()
        self._server = None

    @contextmanager
    def process(self, trap: Trap | None = None, offset: int = 0) -> Iterator[Running]:
        """One more process of the gateway."""
        with running(self.world.house.settings.home, trap, offset) as made:
            yield made

    def revive(self) -> None:
        """Start PostgreSQL again, if it was killed; nothing else is done for anybody."""
        if self.cluster is not None:
            self.cluster.revive()

    def keep(self) -> None:
        """Keep the checkpoints that the world can see by now: whatever comes must continue them."""
        settings = self.world.house.settings
        for file in (settings.checkpoint_copy, settings.log_dir / "checkpoint"):
            note = file.read_bytes()
            if note not in self.kept.values():
                self.kept[f"checkpoint-{len(self.kept)}"] = note

    def check_whole(self, folder: Path) -> None:
        """It is ready and answers, the log is one, and an auditor with a copy and all seen agrees."""
        self.serve()
        ready = httpx.get(f"{self.world.url}/readyz", trust_env=False, timeout=60)
        assert ready.status_code == 200, ready.text
        with self.world.bank() as bank:
            assert isinstance(self.world.query(self.consent, bank), Answer)
        house = self.world.house
        publish(house)
        with house.read() as conn:
            published = read_published(conn, house.shard, log_keys(house, conn))
        assert published is not None
        assert published.checkpoint.size == kit.size(house)
        self.keep()
        assert list(self.kept.values())[-1] == published.note
        assert export_ledger(house, published, folder / "export").intact
        audit(folder / "export", self.trust())
        self._check_rows()

    def trust(self) -> Trust:
        """What an auditor brings along."""
        registrar = parse_public_jwk(self.world.registrar.key.jwk)
        vkey = kit.pins_of(self.world).vkey
        kept = dict(self.kept)
        return Trust(vkey, {REGISTRAR: (registrar,)}, self.world.regulator_private, kept)

    def _check_rows(self) -> None:
        """No row tells of what the log does not, and the log of nothing that the rows do not."""
        for what, wrong in HALVES.items():
            assert kit.insider(self.world.house, wrong) == [], what


HALVES = {
    "a leaf beyond the head, or none before it":
        "SELECT h.size FROM ledger_head h WHERE h.shard = 0 AND "
        "(h.size <> (SELECT count(*) FROM ledger_leaves) "
        "OR h.size <> (SELECT max(idx) + 1 FROM ledger_leaves))",
    "sealed details of no leaf":
        "SELECT idx FROM ledger_sealed WHERE idx NOT IN (SELECT idx FROM ledger_leaves)",
    "a query remembered without its leaf":
        "SELECT query FROM queries WHERE idx NOT IN "
        "(SELECT idx FROM ledger_leaves WHERE type LIKE 'query.%')",
    "uses that are not as many as the answers":
        "SELECT g.consent FROM grants g WHERE g.uses <> (SELECT count(*) FROM ledger_leaves l "
        "WHERE l.type IN ('query.disclosed', 'query.predicate') AND l.about LIKE '%' || g.consent)",
    "a record without its leaf, or whose person has no key":
        "SELECT r.idx FROM records r WHERE r.idx NOT IN (SELECT idx FROM ledger_leaves WHERE type = "
        "'record.ingested') OR r.subject NOT IN (SELECT subject FROM data_keys WHERE klass = 'link')",
    "a person half enrolled":
        "SELECT s.shard FROM subjects s WHERE s.subject NOT IN (SELECT decoy_subject FROM installation) AND "
        "(s.subject NOT IN (SELECT subject FROM subject_index) OR s.subject NOT IN "
        "(SELECT subject FROM data_keys WHERE klass = 'identity'))",
    "an event of no leaf": "SELECT seq FROM events WHERE idx NOT IN (SELECT idx FROM ledger_leaves)",
    "a person's chain that ends elsewhere":
        "SELECT s.n FROM ledger_subjects s WHERE s.n <> "
        "(SELECT count(*) FROM ledger_leaves l WHERE l.tag = s.tag)",
}  # fmt: skip
"""What would be half stored, by the query that finds it."""


@contextmanager
def town(home: Path, engine: str) -> Iterator[Town]:
    """A town on an engine; on PostgreSQL, on a cluster of its own that can be killed."""
    if engine == "postgresql":
        databases.postgres()  # says why where there is none
    with (
        cluster() if engine == "postgresql" else nullcontext() as own,
        databases.using(engine),
        databases.fresh() as where,
        receiving(Receiver()) as receiver,
        ExitStack() as ending,
    ):
        clock = SettableClock()
        settings: dict[str, Any] = {"host": "127.0.0.1", **where}
        house = new_house(home, clock, generous(), **settings)
        ending.callback(house.custody.close)
        ending.callback(house.engine.dispose)
        people = _people(house, PublishingThread(house), None, clock)  # type: ignore[arg-type]
        world = TidyWorld(**{one.name: getattr(people, one.name) for one in fields(World) if one.init})
        ending.enter_context(world.closing)
        made = Town(world, receiver, own)
        ending.callback(made.close)
        made.keep()
        yield made
