"""Copies of the state for the insider to edit, and the two who look at what became of them.

Invariant: the state itself is only read. A copy is a whole installation: the gateway opens it as its own,
with its custody, and the verifier sees an export of exactly its rows.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import httpx
import sqlalchemy as sa

from gateway.client import Answer, BankClient, Pins, Refused
from gateway.config import load_settings
from gateway.demo.database import Kept, leave, stand_on, unguarded
from gateway.demo.failure import DemoFailed
from gateway.export import export_ledger
from gateway.house import House
from gateway.http.app import create_app
from gateway.opening import open_house
from gateway.publishing import PublishingThread
from gateway.recovery.backup import copy_log
from gateway.signers import log_keys
from keys.signing import PrivateKey
from ledger.errors import Finding
from ledger.publish import read_published
from ledger.verify.auditor import Trust, audit

_FILES: Final = ("config.toml", "passphrase")
_FOLDERS: Final = ("custody", "outside", "rewrapped")
"""Before the log: what is kept outside of it may be older than the log's tiles, never newer."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the insider goes after. Indexes are of the ledger; `trust` is what the auditor pinned.

    `before_withdrawal` is None where nobody kept an older database.
    """

    home: Path
    trust: Trust
    pins: Pins
    operator: PrivateKey
    by: Mapping[str, str]
    purpose: str
    category: str
    withdrawn: str
    answered_at: int
    withdrawn_at: int
    live: str
    now: Kept
    before_withdrawal: Kept | None


@dataclass(frozen=True, slots=True)
class Caught:
    """Who noticed: `who` names the line `caught.<who>`. `problem` is the gateway's, `finding` a message."""

    who: str
    index: int | None = None
    finding: str | None = None
    problem: Refused | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the state for one edit."""

    path: Path
    target: Target
    export: Path

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """The database, opened as an insider would: past the gateway, the triggers out of the way."""
        return unguarded(self.path)

    def restore(self, kept: Kept) -> None:
        """Put an older database in the place of the copy's."""
        stand_on(self.path, kept)

    @contextmanager
    def opened(self) -> Iterator[House]:
        """The gateway, started on the copy."""
        with opened(self.path) as house:
            yield house

    def query(self, consent: str) -> Answer | Refused:
        """The bank's client against the copy's own gateway, without a network between them."""
        target = self.target
        with self.opened() as house, bank_of(house, target.operator, target.pins) as bank:
            return bank.query(str(uuid.uuid4()), consent, target.purpose, [target.category])

    def verified(self, house: House) -> Caught:
        """What the verifier finds in an export of the copy."""
        with house.read() as conn:
            published = read_published(conn, house.shard, log_keys(house, conn))
        if published is None:
            raise DemoFailed("the copy has no checkpoint")
        export_ledger(house, published, self.export)
        try:
            audit(self.export, self.target.trust)
        except Finding as finding:
            return Caught("verifier", finding.index, finding.message)
        raise DemoFailed("the verifier found nothing wrong in an edited copy")


@contextmanager
def opened(home: Path, *, behind: bool = False) -> Iterator[House]:
    """The gateway of the installation in `home`; one whose database is `behind` is opened to recover it."""
    house = open_house(load_settings(home), behind=behind)
    try:
        yield house
    finally:
        house.engine.dispose()
        house.custody.close()


@contextmanager
def bank_of(house: House, operator: PrivateKey, pins: Pins) -> Iterator[BankClient]:
    """The bank's client against a gateway of this process, without a network between them."""
    transport = httpx.WSGITransport(app=_like_gunicorn(create_app(house, PublishingThread(house))))
    with httpx.Client(transport=transport) as http:
        yield BankClient(house.settings.public_url, operator, pins.vkey, pins.receipt_key, http=http)


def _like_gunicorn(app: WSGIApplication) -> WSGIApplication:
    """The application with the raw request target that gunicorn hands on, which signatures cover."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app({**environ, "RAW_URI": environ["PATH_INFO"]}, start_response)

    return call


def copy_home(home: Path, to: Path) -> None:
    """Everything of a running installation but its database, into a new directory."""
    to.mkdir(mode=0o700, parents=True)
    for file in _FILES:
        shutil.copy2(home / file, to / file)
    for part in _FOLDERS:
        if (home / part).is_dir():
            shutil.copytree(home / part, to / part)
    copy_log(load_settings(home), to / "log")


@contextmanager
def copied(target: Target, folder: Path, name: str) -> Iterator[Copy]:
    """A copy of the running gateway's state, taken as a backup would be; only an export of it is kept."""
    to = folder / f"copy-{name}"
    copy_home(target.home, to)
    stand_on(to, target.now)
    try:
        yield Copy(to, target, folder / name)
    finally:
        leave(to)
        shutil.rmtree(to)
