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
from gateway.decoy import Decoy
from gateway.errors import EvidenceBroken, NotReady
from gateway.evidence import EvidenceCache
from gateway.heads import is_kept, is_own
from gateway.house import SHARD, Clock, House, wall_clock
from gateway.institutions.published import publish_key
from gateway.keyring import Keyring
from gateway.people.subjects import INDEX_VERSION
from gateway.policies import enact, installed
from gateway.publishing import CHECKPOINT_KEY, publish, publisher_of
from gateway.query.lookup import warm
from gateway.receipts import RECEIPT_KEY, Receipts, custody_signer
from gateway.rows import ROW_KEY
from gateway.tables import data_keys, installation
from gateway.transaction import Transaction
from keys.blind import index_key_name
from keys.canonical import canonical, parse_canonical
from keys.custody import Custody, Kind
from keys.custody.file import create_file_custody, open_file_custody, read_passphrase
from keys.datakeys import epoch_key_name
from keys.signing import Random, ed25519_public_key, parse_public_jwk
from ledger.log import open_shard, read_head

EPOCH = 1
SEALED = "sealed"
NOBODYS = bytes(16)  # the subject of keys that are no person's

_CUSTODY_KEYS: tuple[tuple[str, Kind], ...] = (
    (epoch_key_name(EPOCH), "aead"),
    (index_key_name(INDEX_VERSION), "mac"),
    (ROW_KEY, "mac"),
    (CHECKPOINT_KEY, "ed25519"),
    (RECEIPT_KEY, "ed25519"),
)


def open_house(settings: Settings, clock: Clock = wall_clock, random: Random = os.urandom) -> House:
    """The house of an initialised installation. `NotReady` when it is none, or is behind its checkpoint."""
    if not settings.custody_dir.is_dir():
        raise NotReady(f"nothing is installed in {settings.home}: run `chengxin init` first")
    custody = open_file_custody(settings.custody_dir, read_passphrase(settings.passphrase_file), random)
    engine = provision.engine_of(settings)
    try:
        return _open(settings, engine, custody, clock, random)
    except BaseException:
        engine.dispose()
        custody.close()
        raise


def _open(settings: Settings, engine: sa.Engine, custody: Custody, clock: Clock, random: Random) -> House:
    provision.require_fit(settings, engine)
    with db.read(engine) as conn:
        row = conn.execute(sa.select(installation)).mappings().one_or_none()
        if row is None:
            raise NotReady(f"init did not finish in {settings.home}: remove that directory and run it again")
        found = _installed(custody, dict(row))
        policy, head = installed(conn, SHARD), read_head(conn, SHARD)
        sealed = conn.execute(sa.select(data_keys).where(data_keys.c.subject == NOBODYS)).one()
    if found.origin != settings.origin:
        raise NotReady(f"this log is {found.origin}, the settings say {settings.origin}")
    keyring = Keyring(custody, EPOCH, random)
    house = _house(settings, engine, custody, keyring, policy, found.decoy, clock, random)
    house.sealed_key = keyring.unwrap(NOBODYS, SEALED, sealed.version, sealed.epoch, sealed.wrapped)
    publisher = publisher_of(house)
    publisher.check()
    if not is_own(custody, SHARD, head) and not is_kept(publisher, head):
        raise EvidenceBroken("the log's head was not written by this gateway")
    house.seen = head
    warm(house)
    return house


def initialise(
    settings: Settings, policy: PolicyBundle, clock: Clock = wall_clock, random: Random = os.urandom
) -> House:
    """A new installation: custody and its keys, schema, decoy, and the log's first leaves, published."""
    _require_untouched(settings)
    passphrase = read_passphrase(settings.passphrase_file)
    with ExitStack() as undo:  # runs backwards when anything below fails
        undo.callback(_remove, settings)
        custody = create_file_custody(settings.custody_dir, passphrase, random)
        undo.callback(custody.close)
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
    keyring = Keyring(custody, EPOCH, random)
    made = decoy.make(settings.origin, random, clock())
    house = _house(settings, engine, custody, keyring, policy, made.decoy, clock, random)
    with db.writing(engine) as conn:
        open_shard(conn, SHARD)
        house.sealed_key = keyring.create(conn, NOBODYS, (SEALED,))[SEALED]
        decoy.plant_decoy(house, conn, made)
        conn.execute(installation.insert(), _installation_row(settings.origin, made.decoy, custody))
        conn.commit()
    house.transact(lambda tx: _first_leaves(tx, policy), seals=False)
    return house


def _first_leaves(tx: Transaction, policy: PolicyBundle) -> None:
    house = tx.house
    tx.append("log.opened", {"origin": house.origin})
    enact(tx, policy, replaces=None)
    for use in (CHECKPOINT_KEY, RECEIPT_KEY):
        public = ed25519_public_key(house.custody.public(use))
        publish_key(tx, use, public.jwk, public.kid, house.origin)
    tx.append("key.epoch", {"epoch": EPOCH, "event": "opened"})


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
    """The house, its `sealed_key` still a fresh one that the caller replaces with the stored one."""
    return House(
        settings=settings,
        engine=engine,
        custody=custody,
        clock=clock,
        random=random,
        origin=settings.origin,
        policy=policy,
        keyring=keyring,
        sealed_key=keyring.fresh(NOBODYS, SEALED)[0],
        decoy=found,
        evidence=EvidenceCache(settings.origin),
        receipts=Receipts(settings.origin, custody_signer(custody, RECEIPT_KEY)),
    )


@dataclass(frozen=True, slots=True)
class _Installed:
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
    return _Installed(row["origin"], Decoy(row["decoy_consent"], row["decoy_subject"], registrar))


def _remove(settings: Settings) -> None:
    """Take back what a failed init made, so that it can simply be run again."""
    shutil.rmtree(settings.custody_dir, ignore_errors=True)
    shutil.rmtree(settings.log_dir, ignore_errors=True)
    settings.checkpoint_copy.unlink(missing_ok=True)
