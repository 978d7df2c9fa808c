"""A big log in order, made straight from the formats: something to measure offline verification with.

`python -m tests.bench.biglog DIRECTORY --leaves 1000000` writes what `chengxin ledger export` would, without
sealed details, and prints the key to verify it with. The lives in it are those of a gateway at work: people
are enrolled, records come in, banks ask for consents and use them, some are declined, refused, withdrawn,
answered again. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from consent.policy import default_policy, format_policy, policy_hash
from keys.canonical import b64u, canonical, sha256_hex, unb64u
from keys.instant import DAY, format_instant
from keys.notes import format_vkey, make_vkey
from keys.sealing import generate_x25519
from keys.signing import Ed25519PrivateKey, thumbprint
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.members import ZERO_HASH
from ledger.merkle import root, root_at
from ledger.tiles import WIDTH, TileDirectory, tile_path

ORIGIN = "bench.example.cn/log0"
START = 1_795_219_200_000
BANKS, OPERATORS = 60, 8
NOTARY = "gd-notary"
ALIVE = 4_000
"""People among whom the next leaf is drawn, at most."""
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"

_OFFERS = (
    ("01", '["loan","repayment"]', "report"),
    ("02", '["judgment","loan"]', "report"),
    ("02", '["guarantee","judgment","loan","repayment"]', "report"),
    ("03", '["employment","loan"]', "report"),
    ("61", '["repayment"]', "predicate:no-overdue-90d"),
    ("61", '["enforcement"]', "predicate:no-unperformed-judgment"),
)

_MOST = {"01": 12, "02": 10, "03": 5, "61": 3}
"""Uses of a consent, by purpose."""


@dataclass(slots=True)
class Grant:
    """A consent of somebody: its leaf, what it allows, how often it was used."""

    index: int
    bank: int
    offer: int
    most: int
    uses: int = 0


@dataclass(slots=True)
class Person:
    """Somebody: their tag, the head of their chain, and what they may live through next."""

    tag: str
    left: int
    n: int = 0
    head: str = ZERO_HASH
    commitment: str = ""
    request: tuple[str, int, int] | None = None
    grant: Grant | None = None
    answer: tuple[int, int, int] | None = None


@dataclass(slots=True)
class Town:
    """The log as it grows; `leaf` numbers and chains what happens."""

    random: random.Random
    policy: str
    operators: list[list[str]] = field(default_factory=list)
    banks: list[str] = field(default_factory=list)
    source: str = ""
    clerk: str = ""
    index: int = 0
    prev: str = ZERO_HASH
    now: int = START
    at: str = ""
    sealing: str = ""

    def hex(self) -> str:
        """A hash of something."""
        return self.random.randbytes(32).hex()

    def salt(self) -> str:
        """16 bytes."""
        return b64u(self.random.randbytes(16))

    def uuid(self) -> str:
        """Some identifier."""
        text = self.random.randbytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def code(self, head: str) -> str:
        """An institution's code, in form."""
        return head + "440000" + "".join(self.random.choices(_CODE, k=10))

    def by(self, bank: int) -> str:
        """Somebody of a bank."""
        operator = self.random.choice(self.operators[bank])
        return f'"by":{{"institution":"{self.banks[bank]}","operator":"{operator}"}},'

    def leaf(
        self, kind: str, body: str, by: str = "", who: Person | None = None, sealed: bool = False
    ) -> bytes:
        """Canonical bytes of the next leaf; the heads move over it."""
        seal = f'"sealed":{{"key":"{self.sealing}","sha256":"{self.hex()}"}},' if sealed else ""
        subject = ""
        if who is not None:
            who.n += 1
            subject = f'"subject":{{"n":{who.n},"prev":"{who.head}","tag":"{who.tag}"}},'
        data = (
            f'{{"at":"{self.at}","body":{body},{by}"index":{self.index},"log":"{ORIGIN}","policy":"{self.policy}",'
            f'"prev":"{self.prev}","salt":"{self.salt()}",{seal}{subject}"type":"{kind}","v":1}}'
        ).encode()
        self.prev = hashlib.sha256(b"\0" + data).hexdigest()
        if who is not None:
            who.head = self.prev
        self.index += 1
        return data


def make_log(directory: Path, leaves: int, seed: str = "biglog") -> str:
    """Write an export of a log of so many leaves (at least 1,000) into `directory`; returns its vkey as
    text.
    """
    if leaves < 1_000:
        raise SystemExit("a log to measure with has at least 1,000 leaves")
    town = Town(random.Random(seed), policy_hash(default_policy(demo=True)))
    key = Ed25519PrivateKey(town.random.randbytes(32))
    public = unb64u(key.jwk["x"])
    stated: list[dict[str, Any]] = []
    top = _write(directory, _leaves(town, leaves, key, stated))
    (directory / "policy").mkdir()
    (directory / "policy" / f"{town.policy}.json").write_bytes(format_policy(default_policy(demo=True)))
    vkey = format_vkey(make_vkey(ORIGIN, public))
    (directory / "keys.json").write_bytes(canonical({"origin": ORIGIN, "vkey": vkey, "keys": stated}))
    (directory / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(ORIGIN, leaves, top), key.sign, public))
    return vkey


def _leaves(town: Town, leaves: int, key: Ed25519PrivateKey, stated: list[dict[str, Any]]) -> Iterator[bytes]:
    """Exactly so many leaves."""
    town.at = format_instant(town.now)
    regulator, public = generate_x25519(town.random.randbytes)
    kid = thumbprint(regulator)
    yield from _found(town, key, public, kid, stated)
    people: list[Person] = []
    day, alive = "", min(ALIVE, leaves // 100)
    while town.index < leaves:
        town.now += town.random.randrange(400)
        town.at = format_instant(town.now)
        if town.at[:10] != day:
            day = town.at[:10]
            yield _announce(town, kid)
            continue
        chance = town.random.random()
        if chance < 0.03:
            yield _stranger(town)
            continue
        at = int(town.random.random() * alive)
        if at >= len(people):
            at = len(people)
            people.append(_somebody(town))
        person = people[at]
        if person.left == 0:
            people[at] = person = _somebody(town)
        person.left -= 1
        yield _next(town, person)


def _somebody(town: Town) -> Person:
    return Person(town.salt(), town.random.randrange(6, 26))


def _next(town: Town, person: Person) -> bytes:
    """What happens to somebody next: what has to, or something of what may."""
    draw = town.random.random()
    if person.n == 0 or draw < 0.02:
        return _ingested(town, person)
    if not person.commitment:
        return _enrolled(town, person)
    if person.request is not None:
        return _decided(town, person, draw)
    if person.grant is None or person.grant.uses == person.grant.most:
        return _refused(town, person) if draw < 0.08 else _requested(town, person)
    if draw < 0.06:
        return _withdrawn(town, person)
    if draw < 0.07:
        return town.leaf("subject.read", '{"what":"accesses"}', who=person)
    if draw < 0.1:
        return _refused(town, person)
    if draw < 0.11 and person.answer is not None:
        return _again(town, person, person.answer)
    return _answered(town, person, person.grant)


def _ingested(town: Town, person: Person) -> bytes:
    count = town.random.randrange(1, 20)
    body = f'{{"batch":"{town.uuid()}","count":{count},"root":"{town.hex()}","source":"{town.source}"}}'
    by = f'"by":{{"institution":"{town.source}","operator":"{town.clerk}"}},'
    return town.leaf("record.ingested", body, by, person)


def _enrolled(town: Town, person: Person) -> bytes:
    person.commitment = town.hex()
    body = (
        f'{{"assurance":"eid","certificate_sha256":"{town.hex()}","commitment":"{person.commitment}",'
        f'"registrar":"{NOTARY}"}}'
    )
    return town.leaf("subject.enrolled", body, f'"by":{{"registrar":"{NOTARY}"}},', person, sealed=True)


def _asked(town: Town, request: tuple[str, int, int]) -> str:
    name, bank, offer = request
    purpose, categories, _ = _OFFERS[offer]
    said = f'"recipient":"{town.banks[bank]}","request":"{name}"'
    return f'{{"categories":{categories},"purpose":"{purpose}",{said}}}'


def _requested(town: Town, person: Person) -> bytes:
    person.request = (town.uuid(), town.random.randrange(BANKS), town.random.randrange(len(_OFFERS)))
    return town.leaf(
        "consent.requested", _asked(town, person.request), town.by(person.request[1]), person, sealed=True
    )


def _decided(town: Town, person: Person, draw: float) -> bytes:
    assert person.request is not None
    request, person.request = person.request, None
    if draw < 0.08:
        return town.leaf("consent.declined", _asked(town, request), who=person)
    _, bank, offer = request
    purpose, categories, answer = _OFFERS[offer]
    most = town.random.randrange(1, _MOST[purpose] + 1)
    until = format_instant(town.now + 30 * DAY)
    person.grant = Grant(town.index, bank, offer, most)
    body = (
        f'{{"answer":"{answer}","categories":{categories},"commitment":"{person.commitment}",'
        f'"consent_hash":"{town.hex()}","kind":"jws","max_uses":{most},"not_after":"{until}",'
        f'"not_before":"{town.at}","proof_sha256":"{town.hex()}","purpose":"{purpose}",'
        f'"recipient":"{town.banks[bank]}","retention_days":30}}'
    )
    return town.leaf("consent.granted", body, who=person, sealed=True)


def _answered(town: Town, person: Person, grant: Grant) -> bytes:
    purpose, categories, answer = _OFFERS[grant.offer]
    grant.uses += 1
    person.answer = (town.index, grant.bank, town.now)
    said = "" if answer == "report" else f'"predicate":"{answer.partition(":")[2]}",'
    body = (
        f'{{"categories":{categories},"commitment":"{town.hex()}","grant":{grant.index},{said}'
        f'"purpose":"{purpose}","query":"{town.uuid()}","request":"{town.hex()}","use":{grant.uses}}}'
    )
    kind = "query.predicate" if said else "query.disclosed"
    return town.leaf(kind, body, town.by(grant.bank), person, sealed=True)


def _again(town: Town, person: Person, answer: tuple[int, int, int]) -> bytes:
    """The last answer did not arrive, or leaves again."""
    index, bank, at = answer
    person.answer = None
    live = person.grant is not None and index > person.grant.index and town.now < at + DAY
    if live and town.random.random() < 0.5:
        return town.leaf("query.redelivered", f'{{"of":{index}}}', town.by(bank), person)
    return town.leaf("query.undelivered", f'{{"of":{index}}}', who=person)


def _withdrawn(town: Town, person: Person) -> bytes:
    assert person.grant is not None
    grant, person.grant = person.grant, None
    return town.leaf(
        "consent.withdrawn", f'{{"by":"citizen","grant":{grant.index}}}', who=person, sealed=True
    )


def _refused(town: Town, person: Person) -> bytes:
    body = f'{{"purpose":"02","query":"{town.uuid()}","reason":"no-consent"}}'
    return town.leaf("query.refused", body, town.by(town.random.randrange(BANKS)), person, sealed=True)


def _stranger(town: Town) -> bytes:
    """A query about somebody unknown: under a tag of its own."""
    return _refused(town, Person(town.salt(), 0))


def _found(
    town: Town, key: Ed25519PrivateKey, regulator: dict[str, str], kid: str, stated: list[dict[str, Any]]
) -> Iterator[bytes]:
    """The opening, keys and parties."""
    yield town.leaf("log.opened", f'{{"origin":"{ORIGIN}"}}')
    watch = town.code("11")
    for use, public, holder in (
        ("checkpoint", key.jwk, ORIGIN),
        ("registrar", Ed25519PrivateKey(town.random.randbytes(32)).jwk, NOTARY),
        ("regulator", regulator, watch),
    ):
        body = {"use": use, "kid": thumbprint(public), "public": public, "holder": holder}
        stated.append({**body, "index": town.index})
        yield town.leaf("key.published", canonical(body).decode())
    yield town.leaf("key.epoch", '{"epoch":1,"event":"opened"}')
    town.source = town.code("12")
    town.banks = [town.code("91") for _ in range(BANKS)]
    for code, sector, role in (
        (watch, "regulator", "audit"),
        (town.source, "source", "source"),
        *((bank, "finance", "query") for bank in town.banks),
    ):
        yield town.leaf(
            "institution.registered", f'{{"institution":"{code}","roles":["{role}"],"sector":"{sector}"}}'
        )
        staff = [f"op-{town.random.randbytes(8).hex()}" for _ in range(OPERATORS if role == "query" else 1)]
        if role == "query":
            town.operators.append(staff)
        elif role == "source":
            town.clerk = staff[0]
        for one in staff:
            yield town.leaf(
                "operator.registered", f'{{"institution":"{code}","operator":"{one}","roles":["{role}"]}}'
            )


def _announce(town: Town, regulator: str) -> bytes:
    """The sealing key of the day; nothing here is really sealed under it."""
    town.sealing = town.uuid()
    copy = f'{{"kid":"{regulator}","sealed":"{b64u(town.random.randbytes(80))}"}}'
    return town.leaf(
        "key.sealing", f'{{"id":"{town.sealing}","sealed":[{copy}],"sha256":"{sha256_hex(b"")}"}}'
    )


class _Tiles:
    """Tiles of every level, written without waiting for the disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._levels: list[list[bytes]] = [[]]
        self._done = [0]

    def add(self, bundle: list[bytes]) -> None:
        """The next bundle of leaves."""
        entries = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in bundle)
        self._put(tile_path("entries", self._done[0], len(bundle)), entries)
        self._levels[0] = [hashlib.sha256(b"\0" + leaf).digest() for leaf in bundle]
        self._flush(0)

    def finish(self) -> None:
        """The partial tiles of the upper levels."""
        for level in range(1, len(self._levels)):
            if self._levels[level]:
                self._flush(level)

    def _flush(self, level: int) -> None:
        """Write the tile that is pending at a level, and hand its root upwards when it is full."""
        hashes = self._levels[level]
        self._put(tile_path(level, self._done[level], len(hashes)), b"".join(hashes))
        if len(hashes) < WIDTH:
            return
        self._levels[level] = []
        self._done[level] += 1
        if level + 1 == len(self._levels):
            self._levels.append([])
            self._done.append(0)
        self._levels[level + 1].append(root(hashes))
        if len(self._levels[level + 1]) == WIDTH:
            self._flush(level + 1)

    def _put(self, name: str, data: bytes) -> None:
        path = self._directory / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.write_bytes(data)


def _write(directory: Path, leaves: Iterator[bytes]) -> bytes:
    """All leaves into tiles; returns the root."""
    tiles, size = _Tiles(directory), 0
    while bundle := list(islice(leaves, WIDTH)):
        size += len(bundle)
        tiles.add(bundle)
    tiles.finish()
    return root_at(TileDirectory(directory).reader(size), size)


def main() -> None:
    """Write one."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.biglog", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--seed", default="biglog")
    options = parser.parse_args()
    if options.directory.exists() and any(options.directory.iterdir()):
        raise SystemExit(f"{options.directory} is not empty")
    print(make_log(options.directory, options.leaves, options.seed))  # noqa: T201


if __name__ == "__main__":
    main()
