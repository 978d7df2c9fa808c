"""The insider at the database: write access as the owner of its tables, triggers off, and no key at all.

Invariant: an attack here is SQL and nothing else; custody, code, the published files and the checkpoint
outside stay the gateway's, unless a test says that they were put back too. Whoever holds the keys as well is
`tests.attacks.insider`. Beside the insider stand those who may notice: the query path, the start, the
publisher, who kept a receipt or a checkpoint, and an auditor with an export.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway import metrics
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.evidence import EvidenceCache
from gateway.export import export_ledger
from gateway.house import House
from gateway.people.subjects import find_by_number
from gateway.publishing import publisher_of, vkey_of
from gateway.records.correct import correct
from gateway.records.rows import Record
from gateway.signers import log_keys
from keys.signing import parse_public_jwk
from ledger.checkpoint import open_checkpoint
from ledger.entries import Leaf
from ledger.errors import Finding, HeadBehind
from ledger.export import export
from ledger.publish import Published, read_published
from ledger.tiles import TileDirectory
from ledger.verify import Summary, Trust, audit
from tests import databases
from tests.gateway import kit
from tests.gateway.world import REGISTRAR, SOURCE, Citizen, World, new_world

ANNA, BORIS, CLARA = (kit.person(serial) for serial in (601, 602, 603))
"""Numbers of the one who is wronged, of the one whose rows are taken for it, and of one who has no part."""

Found: TypeAlias = tuple[int | None, str]
"""Index of the leaf, None where the fault is the whole log's, and name of the rule."""


@dataclass
class Scene:
    """A world after an honest day: three persons with consents, Anna's used once, everything published."""

    world: World
    anna: Citizen
    boris: Citizen
    consent: str
    clara: str
    """Anna's consent for the bank, and Clara's for another bank."""
    answered: Answer
    kept: bytes
    """The answer under Anna's consent, and the checkpoint of that evening, as somebody outside kept it."""
    _files: Path
    _remembered: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        house = self.world.house
        for place in self._places():
            shutil.copytree(place, self._files / place.name)
        names = ("seen", "sealing", "policy", "epochs", "said_of_epochs", "receipts")
        self._remembered = {name: getattr(house, name) for name in names}

    @property
    def house(self) -> House:
        return self.world.house

    def put_files_back(self) -> None:
        """Tiles, served checkpoint and the copy outside as they were that evening."""
        for place in self._places():
            shutil.rmtree(place)
            shutil.copytree(self._files / place.name, place)

    def forget(self) -> None:
        """The running gateway knows what it knew that evening, as one that was started then."""
        for name, value in self._remembered.items():
            setattr(self.house, name, value)
        self.house.registrars.clear()
        self.house.evidence = EvidenceCache(self.house.origin)

    def _places(self) -> tuple[Path, Path]:
        return self.house.settings.log_dir, self.house.settings.checkpoint_copy.parent

    def correct_loan(self) -> None:
        """Anna's source says another amount than before; what is held of her is stated anew."""
        [loan, _] = held(ANNA)
        said = replace(loan, fields={**loan.fields, "amount": 77})
        done = correct(self.house, SOURCE, [said], "source-error", lambda _: None)
        assert (done.accepted, done.refused) == (1, 0)

    # --- the insider ---

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """One statement past the gateway."""
        return kit.insider(self.house, statement, parameters)

    def row(self, table: str, where: str, *parameters: Any) -> dict[str, Any]:
        """One row as it is stored."""
        return kit.row_of(self.house, table, where, *parameters)

    def grant(self, consent: str | None = None) -> dict[str, Any]:
        """The row of a grant, Anna's unless told otherwise."""
        return self.row("grants", "consent = ?", consent or self.consent)

    def subject(self, number: str) -> bytes:
        """What a person's own rows are kept under."""
        with self.house.read() as conn:
            return find_by_number(self.house, conn, number).subject

    def tag(self, number: str) -> bytes:
        """What the ledger calls a person."""
        with self.house.read() as conn:
            return find_by_number(self.house, conn, number).tag

    def size(self) -> int:
        """How many leaves the log has."""
        return kit.size(self.house)

    def unguard(self) -> None:
        """As the owner of the tables: every trigger off."""
        if self.house.settings.database_file is not None:
            for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                self.sql(f"DROP TRIGGER {name}")
            return
        name = databases.name_of(self.house.settings.database_url)
        with databases.postgres().connect(name, databases.OWNER) as conn:
            for table in ("ledger_leaves", "ledger_sealed", "ledger_head", "ledger_subjects"):
                conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")

    # --- who may notice ---

    def query(self, consent: str | None = None, **changes: Any) -> Answer | Refused:
        """The bank asks about Anna."""
        return self.world.query(consent or self.consent, **changes)

    def check_others(self) -> None:
        """Whoever has no part in it is answered as before."""
        with self.world.bank(self.world.other_key) as other:
            assert isinstance(self.world.query(self.clara, other), Answer)

    def check_refused(self, reason: str = "evidence-broken", **asked: Any) -> Leaf:
        """The query path: refused with a signed receipt and a leaf, an alert raised, others answered."""
        with alerted():
            refused = self.query(**asked)
        leaf = kit.check_refused(self.world, refused, reason)
        self.check_others()
        return leaf

    def check_starts(self) -> None:
        """A gateway started now opens; raises what it refuses with."""
        house = self.world.reopen()
        house.engine.dispose()
        house.custody.close()

    def check_behind(self) -> None:
        """A log that went back: the gateway that runs answers nobody, none starts, nothing is signed."""
        for refused in (self.query(), self.query(self.clara)):
            assert isinstance(refused, Refused)
            assert (refused.problem.status, refused.extra) == (503, {"why": "rolled-back"})
        with pytest.raises(HeadBehind):
            self.check_starts()
        with pytest.raises(HeadBehind):
            self.publish()

    def publish(self) -> Published:
        """The publisher's next turn; raises what it refuses with."""
        publisher_of(self.house).publish()
        published = self.published()
        assert published is not None
        return published

    def published(self) -> Published | None:
        """The newest checkpoint in the database."""
        with self.house.read() as conn:
            return read_published(conn, self.house.shard, log_keys(self.house, conn))

    def export(self, to: Path) -> Path:
        """What `chengxin ledger export` hands an auditor: the rows as they stand under that checkpoint."""
        published = self.published()
        assert published is not None
        export_ledger(self.house, published, to)
        return to

    def tiles(self, to: Path) -> Path:
        """What an auditor who follows the log has fetched: its bundles, whatever the rows say now."""
        folder = self.house.settings.log_dir
        tiles, note = TileDirectory(folder), (folder / "checkpoint").read_bytes()
        size = open_checkpoint(note, vkey_of(self.house)).size
        policies = {file.stem: file.read_bytes() for file in (folder / "policy").iterdir()}
        export(to, note, vkey_of(self.house), (tiles.leaf(at, size) for at in range(size)), policies)
        return to

    def audit(self, export: Path, *, regulator: bool = False, kept: bytes | None = None) -> Summary:
        """`ledger.verify` with the log's key and the registrar's; more if the auditor has more."""
        pins = {REGISTRAR: (parse_public_jwk(self.world.registrar.key.jwk),)}
        private = self.world.regulator_private if regulator else None
        notes = {} if kept is None else {"kept": kept}
        return audit(export, Trust(vkey_of(self.house), pins, private, notes))

    def found(self, export: Path, **brought: Any) -> Found | None:
        """What the auditor finds first; None when the log is in order."""
        try:
            self.audit(export, **brought)
        except Finding as finding:
            return finding.index, finding.rule
        return None


@contextmanager
def alerted() -> Iterator[None]:
    """`chengxin_evidence_broken_total`, for which an alert pages, counts inside the block."""
    before = _alerts()
    yield
    assert _alerts() > before, "nobody was alerted"


def _alerts() -> float:
    [metric] = metrics.EVIDENCE_BROKEN.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_total"))


def record(number: str, category: str, **fields: str | int) -> Record:
    """A record of this category; a late repayment is an adverse one."""
    late = category == "repayment"
    told = date(2024, 2, 2) if late else None
    name, day = f"{number}/{category}", date(2024, 1, 2)
    return Record(2, number, "测试人", category, SOURCE, name, day, told, None, late, fields)


def held(number: str) -> list[Record]:
    """A loan, and that it was paid back late."""
    loan: dict[str, str | int] = {
        "purpose": "education",
        "amount": 2096,
        "currency": "DEM",
        "duration_months": 12,
    }
    return [record(number, "loan", **loan), record(number, "repayment", history="delay")]


@dataclass
class Stage:
    """A scene that each attack finds as it was."""

    scene: Scene
    restore_database: Callable[[], None]

    def reset(self) -> Scene:
        """Put database, files and memory back."""
        self.restore_database()
        self.scene.put_files_back()
        self.scene.forget()
        return self.scene


@contextmanager
def staged(engine: str, home: Path) -> Iterator[Stage]:
    """An honest day on this engine, to be attacked again and again; its publisher acts when told to."""
    with databases.using(engine), new_world(home / "home") as world:
        world.publishing.stop()
        imported = world.import_records([one for who in (ANNA, BORIS, CLARA) for one in held(who)])
        assert imported.accepted == 6
        anna, boris, clara = (world.citizen(number) for number in (ANNA, BORIS, CLARA))
        consent = world.consent(anna)
        claras = world.consent(clara, world.bank(world.other_key), max_uses=10)
        answered = world.query(consent)
        assert isinstance(answered, Answer)
        assert isinstance(world.query(claras, world.bank(world.other_key)), Answer)
        published = world.publishing.publish_now()
        assert published is not None
        (home / "files").mkdir()
        scene = Scene(world, anna, boris, consent, claras, answered, published.note, home / "files")
        with databases.snapshot(world.house, home / "evening.db") as restore:
            yield Stage(scene, restore)
            restore()


def fresh_id() -> str:
    """A UUID of nothing."""
    return str(uuid.uuid4())
