"""Opening the house, and building it the first time.

Invariant: a house opens only on a whole installation: custody unlocked, schema exactly this release's,
installation row evident, log not behind the checkpoint kept outside the database. `initialise` leaves a
whole installation or none.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from consent.policy import PolicyBundle
from gateway import db, decoy, provision, rows
from gateway.config import Settings
from gateway.custody import create_custody, discard_custody, open_custody
from gateway.decoy import Decoy
from gateway.errors import EvidenceBroken, NotReady
from gateway.evidence import EvidenceCache
from gateway.heads import is_kept, is_own
from gateway.house import SHARD, Clock, House, wall_clock
from gateway.institutions.published import publish_key
from gateway.keyring import Keyring
from gateway.policies import enact, installed
from gateway.publishing import publish, publisher_of
from gateway.query.lookup import warm
from gateway.receipts import RECEIPT_KEY, Receipts
from gateway.rotation.epochs import FIRST, NOBODYS, SEALED, sealed_keys, standing
from gateway.rows import ROW_KEY
from gateway.signers import CHECKPOINT_KEY, receipts_of
from gateway.tables import installation
from gateway.transaction import Transaction
from keys.blind import index_key_name
from keys.canonical import canonical, parse_canonical
from keys.custody import Custody, Kind
from keys.datakeys import epoch_key_name
from keys.signing import Random, ed25519_public_key, parse_public_jwk
from ledger.log import open_shard, read_head

_CUSTODY_KEYS: tuple[tuple[str, Kind], ...] = (
    (epoch_key_name(FIRST), "aead"),
    (index_key_name(FIRST), "mac"),
    (ROW_KEY, "mac"),
    (CHECKPOINT_KEY, "ed25519"),
    (RECEIPT_KEY, "ed25519"),
)


def open_house(
    settings: Settings, clock: Clock = wall_clock, random: Random = os.urandom, *, behind: bool = False
) -> House:
    """The house of an initialised installation. `NotReady` when it is none, or is behind its checkpoint.

    With `behind` it opens all the same, for `gateway.recovery` alone: it must answer nobody.
    """
    if not settings.custody_dir.is_dir():
        raise NotReady(_without_custody(settings))
    custody = open_custody(settings, random)
    engine = provision.engine_of(settings)
    try:
        return _open(settings, engine, custody, clock, random, behind=behind)
    except BaseException:
        engine.dispose()
        custody.close()
        raise


def _open(
    settings: Settings, engine: sa.Engine, custody: Custody, clock: Clock, random: Random, *, behind: bool
) -> House:
    provision.require_fit(settings, engine)
    with db.read(engine) as conn:
        logs = conn.execute(sa.select(installation).order_by(installation.c.shard)).mappings().all()
        if not logs:
            raise NotReady(_without_rows(settings))
        found = [_installed(custody, dict(row)) for row in logs][-1]
        policy, head = installed(conn, found.shard), read_head(conn, found.shard)
        epochs, sealed = standing(conn, custody, found.shard, random)
    if found.origin != settings.origin:
        raise NotReady(f"this log is {found.origin}, the settings say {settings.origin}")
    keyring = Keyring(custody, epochs.newest, random)
    house = _house(settings, engine, custody, keyring, policy, found.decoy, clock, random)
    house.shard = found.shard
    house.evidence = EvidenceCache(*(row["origin"] for row in logs))
    house.epochs, house.said_of_epochs, house.sealed_keys = epochs, epochs, sealed
    publisher = publisher_of(house)
    if not behind:
        publisher.check()
        with house.read() as conn:
            house.receipts = receipts_of(house, conn)
    if not is_own(custody, found.shard, head) and not is_kept(publisher, head):
        raise EvidenceBroken("the log's head was not written by this gateway")
    house.seen = head
    warm(house)
    return house


def newest_log(conn: sa.Connection) -> int:
    """The shard of the log that is in use: a later one continues those before it. 0 before init is done."""
    return conn.scalar(sa.select(sa.func.max(installation.c.shard))) or SHARD


def initialise(
    settings: Settings, policy: PolicyBundle, clock: Clock = wall_clock, random: Random = os.urandom
) -> House:
    """A new installation: custody and its keys, schema, decoy, and the log's first leaves, published."""
    _require_untouched(settings)
    with ExitStack() as undo:  # runs backwards when anything below fails
        undo.callback(_remove, settings)
        custody = create_custody(settings, random)
        undo.callback(custody.close)
        undo.callback(discard_custody, custody)
        for name, kind in _CUSTODY_KEYS:
            custody.generate(name, kind)
        (settings.log_dir / "tile" / "entries").mkdir(parents=True, mode=0o700)  # bundles are not public
        with provision.founding(settings):
            engine = provision.engine_of(settings)
            try:
                provision.require_fit(settings, engine)
                house = _found(settings, engine, custody, policy, clock, random)
                publish(house)
                warm(house)
            except BaseException:
                engine.dispose()
                raise
        undo.pop_all()
    return house


def _require_untouched(settings: Settings) -> None:
    """Refuse to found a log where anything of another one is left; nothing of it is ever overwritten."""
    provision.require_untouched(settings)
    for place in (settings.custody_dir, settings.log_dir, settings.checkpoint_copy):
        if place.exists():
            raise NotReady(f"{place} is there already, from an earlier init: nothing was changed")


def _found(
    settings: Settings,
    engine: sa.Engine,
    custody: Custody,
    policy: PolicyBundle,
    clock: Clock,
    random: Random,
) -> House:
    """The founding transaction. It stands before there is a head to lock, so it is not the house's own."""
    keyring = Keyring(custody, FIRST, random)
    made = decoy.make(settings.origin, random, clock())
    house = _house(settings, engine, custody, keyring, policy, made.decoy, clock, random)
    with db.writing(engine) as conn:
        open_shard(conn, SHARD)
        keyring.create(conn, NOBODYS, (SEALED,))
        house.sealed_keys = sealed_keys(conn, keyring)
        decoy.plant_decoy(house, conn, made)
        conn.execute(installation.insert(), _installation_row(settings.origin, made.decoy, custody))
        conn.commit()
    house.transact(lambda tx: _first_leaves(tx, policy), seals=False)  # with the receipt key, which it learns
    return house


def _first_leaves(tx: Transaction, policy: PolicyBundle) -> None:
    house = tx.house
    tx.append("log.opened", {"origin": house.origin})
    enact(tx, policy, replaces=None)
    for use in (CHECKPOINT_KEY, RECEIPT_KEY):
        public = ed25519_public_key(house.custody.public(use))
        publish_key(tx, use, public.jwk, public.kid, house.origin)
    tx.append("key.epoch", {"epoch": FIRST, "event": "opened"})


def _house(
    settings: Settings,
    engine: sa.Engine,
    custody: Custody,
    keyring: Keyring,
    policy: PolicyBundle,
    found: Decoy,
    clock: Clock,
    random: Random,
) -> House:
    """The house, still without receipt keys and the keys of the regulators' blobs: the caller's to add."""
    return House(
        settings=settings,
        engine=engine,
        custody=custody,
        clock=clock,
        random=random,
        origin=settings.origin,
        policy=policy,
        keyring=keyring,
        sealed_keys={},
        decoy=found,
        evidence=EvidenceCache(settings.origin),
        receipts=Receipts(settings.origin, ()),
    )


@dataclass(frozen=True, slots=True)
class _Installed:
    shard: int
    origin: str
    decoy: Decoy


def _installation_row(origin: str, found: Decoy, custody: Custody) -> dict[str, Any]:
    row = {
        "shard": SHARD,
        "origin": origin,
        "decoy_consent": found.consent,
        "decoy_subject": found.subject,
        "decoy_registrar": canonical(found.registrar.jwk).decode(),
    }
    return rows.protect(custody, installation, row, bytes(32))


def _installed(custody: Custody, row: dict[str, Any]) -> _Installed:
    if rows.protect(custody, installation, row, bytes(32))["mac"] != row["mac"]:
        raise EvidenceBroken("the installation's own row was changed")
    registrar = parse_public_jwk(parse_canonical(row["decoy_registrar"].encode()))
    decoy = Decoy(row["decoy_consent"], row["decoy_subject"], registrar)
    return _Installed(row["shard"], row["origin"], decoy)


def _without_custody(settings: Settings) -> str:
    if not _has_published(settings):
        return f"nothing is installed in {settings.home}: run `chengxin init` first"
    return (
        f"{settings.custody_dir} is not there, and its log is: the keys are lost, or a disk is not mounted. "
        "Bring them back from their copy (the runbook's lost-root-share.md; of an HSM, hsm.md)"
    )


def _without_rows(settings: Settings) -> str:
    if not _has_published(settings):
        return f"init did not finish in {settings.home}: remove that directory and run it again"
    return (
        "the database holds nothing of this log, whose files are there: remove nothing; name another in "
        "database_url, or bring it back (the runbook's restore.md)"
    )


def _has_published(settings: Settings) -> bool:
    """Whether a log lived here once: init ends with its first checkpoint, or takes all back."""
    return settings.checkpoint_copy.exists() or (settings.log_dir / "checkpoint").exists()


def _remove(settings: Settings) -> None:
    """Take back what a failed init made, so that it can simply be run again."""
    shutil.rmtree(settings.custody_dir, ignore_errors=True)
    shutil.rmtree(settings.log_dir, ignore_errors=True)
    settings.checkpoint_copy.unlink(missing_ok=True)
