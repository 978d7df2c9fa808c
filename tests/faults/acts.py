"""What the gateway is at when a fault strikes, and what must be true afterwards, act by act.

prepare   what the act needs, done while all is well
attempt   the act, in a process with a trap
judge     what stands right after the fault, before anybody tries again
again     the same once more: in the same process if it lives, in a new one if it died
settled   what stands in the end
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import httpx

from gateway.events.webhooks import CLAIM_MS, listed
from keys.canonical import parse_canonical
from tests.faults.processes import Died, Running
from tests.faults.town import Town
from tests.gateway import kit
from tests.gateway.rotation.kit import epochs_of
from tests.gateway.world import BANK

UNAVAILABLE = 503


class Act(Protocol):
    """One act; `offset` is how long after (ms) it is tried again."""

    offset: ClassVar[int]

    def prepare(self, town: Town) -> None: ...
    def attempt(self, process: Running) -> bool: ...
    def judge(self, town: Town, *, written: bool) -> None: ...
    def again(self, process: Running) -> None: ...
    def settled(self, town: Town) -> None: ...


@dataclass
class _Told:
    """An act that a process is told to do down its pipe."""

    offset: ClassVar[int] = 0
    said: ClassVar[str]

    def arguments(self) -> tuple[Any, ...]:
        return ()

    def attempt(self, process: Running) -> bool:
        """Whether the act succeeded, as far as whoever asked for it was told."""
        try:
            what, _ = process.call(self.said, *self.arguments())
        except Died:
            return False
        return what == "done"

    def again(self, process: Running) -> None:
        process.done(self.said, *self.arguments())

    def judge(self, town: Town, *, written: bool) -> None:
        """Nothing to be said before it is tried again."""


@dataclass
class Query:
    """A bank's query over HTTP: answered with its entry standing, or not answered."""

    offset: ClassVar[int] = 0

    def prepare(self, town: Town) -> None:
        self.world, self.pins = town.world, kit.pins_of(town.world)
        self.body = kit.query_body(town.consent)
        self.first = self.signed()
        self.before = kit.size(self.world.house)
        self.answered: list[tuple[int, str]] = []
        town.close()  # its port is the process's

    def attempt(self, process: Running) -> bool:
        try:
            process.done("serve")
            reply = self.first.send()
        except httpx.HTTPError:
            return False
        return self._heard(reply)

    def judge(self, town: Town, *, written: bool) -> None:
        found = self.disclosed()
        assert len(found) == int(written)
        assert self._spent() == written
        if not written:
            assert kit.size(self.world.house) == self.before
        for index, leaf in self.answered:
            self._check_entry(index, leaf)

    def again(self, process: Running) -> None:
        if process.exit is None and not self._answers():
            process.done("serve")
        stood = bool(self.disclosed())
        replayed = self.first.send()
        if stood:
            kit.check_problem(replayed, 401, "replayed-nonce")
        else:
            assert self._heard(replayed)
        assert self._heard(self.signed().send())

    def settled(self, town: Town) -> None:
        assert len(self.disclosed()) == 1
        for index, leaf in self.answered:
            self._check_entry(index, leaf)

    def signed(self) -> kit.Prepared:
        """The query, with a fresh nonce, by the bank's clock."""
        return kit.prepare(self.world, self.world.bank_key, "POST", "/v1/queries", self.body)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.world.url}/healthz", trust_env=False).status_code == 200
        except httpx.ConnectError:
            return False

    def _heard(self, reply: httpx.Response) -> bool:
        """Whether it is an answer, whose receipt then verifies; all else says plainly that it is none."""
        if reply.status_code != 200:
            assert reply.status_code == UNAVAILABLE, reply.text
            kit.name_of(reply)
            return False
        said: dict[str, Any] = parse_canonical(reply.content)
        signed = self.pins.disclosure(said["receipt"], self.body["query_id"], said["answer"])
        self.answered.append((signed.receipt.index, signed.receipt.leaf))
        return True

    def disclosed(self) -> list[int]:
        """The entries that say that it was answered."""
        told = [
            leaf for leaf in kit.of_type(self.world.house, "query.disclosed") if leaf.index >= self.before
        ]
        return [leaf.index for leaf in told if leaf.body.query == self.body["query_id"]]

    def _spent(self) -> bool:
        nonce = self.first.headers["Signature-Input"].split('nonce="')[1].split('"')[0]
        return bool(kit.insider(self.world.house, "SELECT 1 FROM request_nonces WHERE nonce = ?", [nonce]))

    def _check_entry(self, index: int, leaf: str) -> None:
        row = kit.row_of(self.world.house, "ledger_leaves", "idx = ?", index)
        assert row["leaf_hash"].hex() == leaf


class Publish(_Told):
    """The publisher: tiles, checkpoint, its copy outside, the file that the world reads."""

    said = "publish"

    def prepare(self, town: Town) -> None:
        town.world.import_records([kit.loan(town.number(), f"P-{next(town.serials)}")])
        town.keep()

    def judge(self, town: Town, *, written: bool) -> None:
        town.keep()  # whatever the world could see meanwhile

    def settled(self, town: Town) -> None:
        settings = town.world.house.settings
        assert (settings.log_dir / "checkpoint").read_bytes() == settings.checkpoint_copy.read_bytes()


class Rotation(_Told):
    """A rotation of the epoch, in chunks."""

    said = "rotation"

    def prepare(self, town: Town) -> None:
        self.epoch = max(epochs_of(town.world.house))

    def settled(self, town: Town) -> None:
        said = [leaf.body for leaf in kit.of_type(town.world.house, "key.epoch")]
        opened = [body.epoch for body in said if body.event == "opened"]
        assert opened == list(range(1, max(opened) + 1))  # each once
        assert max(opened) > self.epoch
        assert epochs_of(town.world.house) == {max(opened)}
        assert [body.epoch for body in said if body.event == "rewrapped"][-1] == max(opened)


class Shredding(_Told):
    """Everything of a person shredded; what stands elsewhere forgotten after the commit."""

    said = "shredding"

    def prepare(self, town: Town) -> None:
        self.number = town.number()
        references = (f"S-{next(town.serials)}" for _ in range(3))
        town.world.import_records([kit.loan(self.number, one) for one in references])
        citizen = town.world.citizen(self.number)
        consent = town.world.consent(citizen)
        with town.world.bank() as bank:
            town.world.query(consent, bank)  # details sealed to the regulator are to be emptied too
        self.erased = len(kit.of_type(town.world.house, "record.erased"))

    def arguments(self) -> tuple[Any, ...]:
        return (self.number,)

    def settled(self, town: Town) -> None:
        house = town.world.house
        assert len(kit.of_type(house, "record.erased")) == self.erased + 1
        assert kit.insider(house, "SELECT erasure FROM erasures WHERE todo IS NOT NULL") == []
        keyless = "SELECT 1 FROM records WHERE subject NOT IN (SELECT subject FROM data_keys)"
        assert kit.insider(house, keyless) == []


class Import(_Told):
    """An import of several chunks: each is stored whole or not at all, and a second run changes nothing."""

    said = "imported"
    STORED = "SELECT count(*) FROM records"

    def prepare(self, town: Town) -> None:
        serials = [next(town.serials) for _ in range(4)]
        self.records = [kit.loan(kit.person(serial), f"I-{serial}") for serial in serials]
        self.before = self._stored(town)

    def arguments(self) -> tuple[Any, ...]:
        return (self.records,)

    def judge(self, town: Town, *, written: bool) -> None:
        assert self._stored(town) - self.before == (4 if written else 2)

    def settled(self, town: Town) -> None:
        assert self._stored(town) - self.before == 4

    def _stored(self, town: Town) -> int:
        return int(kit.insider(town.world.house, self.STORED)[0][0])


class Webhook(_Told):
    """Events on their way to a bank: in order, none left out, and twice only if a process died in between."""

    said = "webhook"
    offset = CLAIM_MS + 60_000

    def prepare(self, town: Town) -> None:
        self.receiver = town.receiver
        for _ in range(2):
            town.world.consent(town.citizen)
        self.receiver.arrived.clear()
        self.expected = [seq for (seq,) in kit.insider(town.world.house, self.WAITING, [BANK])]
        assert self.expected

    WAITING = (
        "SELECT seq FROM events e WHERE institution = ? AND seq > "
        "(SELECT delivered FROM webhooks w WHERE w.institution = e.institution) ORDER BY seq"
    )

    def settled(self, town: Town) -> None:
        [row] = [row for row in listed(town.world.house) if row["institution"] == BANK]
        assert (row["waiting"], row["state"]) == (0, "active"), row
        told = [seq for seq, _ in self.receiver.told]
        assert sorted(set(told)) == self.expected
        rounds = [told[at : at + len(self.expected)] for at in range(0, len(told), len(self.expected))]
        assert rounds == [self.expected] * len(rounds)
        assert len(rounds) <= 2


ACTS: dict[str, type[Any]] = {
    "query": Query,
    "publish": Publish,
    "rotation": Rotation,
    "shredding": Shredding,
    "import": Import,
    "webhook": Webhook,
}
