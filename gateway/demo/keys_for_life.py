"""The chapter of the keys: all are replaced, one is lost, one is destroyed, and an old database comes back.

Invariant: as of the chapters; everything is done on the running server or beside it, but for the restored
database, which stands in a home of its own that is gone afterwards. The 72 hours of a second key are not
waited for: the story tells when they end.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from consent.counter import CounterListing, CounterRevocation, CounterWithdrawal, SignedOrder
from gateway.cli.publication import newest_checkpoint
from gateway.client import Answer, BankClient, CounterClient, Refused, new_http, pins_from, published_keys
from gateway.client.certificate import verify_certificate
from gateway.config import load_settings
from gateway.demo import acts
from gateway.demo.checks import export
from gateway.demo.copies import bank_of, copy_home, opened
from gateway.demo.database import leave, stand_on_nothing
from gateway.demo.failure import DemoFailed
from gateway.demo.load import Load
from gateway.demo.parties import BANK, REGISTRAR, Citizen
from gateway.demo.stage import Stage, accepted, chengxin, refused, shown
from gateway.erasure.certificate import certify
from gateway.erasure.forget import forget_erased
from gateway.erasure.holds import lift_hold, place_hold
from gateway.erasure.order import Erased, erase_classes
from gateway.erasure.refused import ErasureRefused
from gateway.ids import new_uuid
from gateway.institutions.register import add_operator
from gateway.publishing import publish
from gateway.recovery.backup import take_backup
from gateway.recovery.replay import recover
from gateway.recovery.restore import restore_backup
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.own import Replaced, retire_ended, rotate_own
from keys.instant import HOUR
from keys.jws import peek_kid
from keys.notes import format_vkey
from keys.signing import generate_key, parse_public_jwk
from ledger.errors import HeadBehind

TELLERS = 4
GROUND = "demanded"
"""On which records are erased here (PIPL, 个人信息保护法, art. 47)."""


def keys_for_life(stage: Stage) -> None:
    """Replaced, lost, erased with, destroyed, put back: what a key goes through while the gateway serves."""
    loser, leaver, *others = stage.citizens[6:]
    _rotated(stage, others[:TELLERS])
    consents = [_agreed(stage, loser), _agreed(stage, loser)]
    backup = take_backup(stage.settings, stage.home.path / "backups", stage.house.clock()).path
    _lost(stage, loser, consents)
    erased = _erased(stage, leaver)
    _certified(stage, erased)
    _put_back(stage, backup, consents[0])


@dataclass(slots=True)
class _Teller:
    """One of the bank's operators, who asks about one citizen, and for consent whenever it is used up."""

    stage: Stage
    citizen: Citizen
    bank: BankClient
    consent: str = ""
    uses: int = field(default=0)

    def __call__(self) -> Answer:
        if not self.uses:
            request = acts.ask(self.stage, self.citizen, self.bank)
            acts.sign(self.stage, self.citizen, request)
            self.consent, self.uses = request.consent_id, acts.USES
        self.uses -= 1
        return acts.query(self.bank, self.consent)


def _teller(stage: Stage, citizen: Citizen) -> _Teller:
    key = generate_key("Ed25519", os.urandom)
    add_operator(stage.house, BANK.uscc, parse_public_jwk(key.jwk), ["query"])
    bank = BankClient(stage.settings.public_url, key, stage.pins.vkey, stage.pins.receipt_key)
    return _Teller(stage, citizen, bank)


def _rotated(stage: Stage, citizens: list[Citizen]) -> None:
    """The keys of receipts, of checkpoints and of the epoch are replaced while the bank asks."""
    tell, house = stage.tell, stage.house
    tell.chapter("rotated")
    tellers = [_teller(stage, citizen) for citizen in citizens]
    with Load(tellers) as load:
        load.wait_for_more()
        receipt = rotate_own(house, "receipt")
        load.wait_for_more()
        checkpoint = rotate_own(house, "checkpoint")
        newest_checkpoint(house)
        retire_ended(house)
        epoch = rotate_epoch(house, _silent)
        destroyed = destroy_epoch(house, epoch.epoch - 1)
        load.wait_for_more()
    for teller in tellers:
        accepted(teller.bank.prove(load.answers[-1].receipt))
        teller.bank.close()
    tell.line(
        "rotated.done",
        tellers=TELLERS,
        receipt=receipt.index,
        checkpoint=checkpoint.index,
        epoch=epoch.epoch,
        keys=f"{epoch.count:,}",
        destroyed=destroyed,
    )
    before = _by_the_key_of_their_index(stage, receipt, load.answers)
    tell.line("rotated.load", answered=len(load.answers), before=before, after=len(load.answers) - before)


def _silent(_done: int, _total: int) -> None:
    """No bar: the story is told in lines."""


def _by_the_key_of_their_index(stage: Stage, receipt: Replaced, answers: list[Answer]) -> int:
    """How many receipts are by the old key: those of entries before the rotation, and no other."""
    old = stage.pins.receipt_key.kid
    for answer in answers:
        wanted = old if answer.receipt.index < receipt.index else receipt.kid
        if peek_kid(answer.signed.token) != wanted:
            raise DemoFailed("a receipt is not by the key of its index")
    return sum(answer.receipt.index < receipt.index for answer in answers)


def _agreed(stage: Stage, citizen: Citizen) -> str:
    """A consent that the citizen gave to the bank."""
    request = acts.ask(stage, citizen)
    acts.sign(stage, citizen, request)
    return request.consent_id


def _lost(stage: Stage, citizen: Citizen, consents: list[str]) -> None:
    """The counter ends what a citizen without a key cannot, and a new key waits for its time."""
    tell, number = stage.tell, citizen.person.citizen_number
    tell.chapter("lost")
    with new_http() as http:
        url = stage.settings.public_url
        pins = pins_from(published_keys(url, http), format_vkey(stage.pins.vkey))
        counter = CounterClient(url, pins, http)
        listed = accepted(counter.consents(_order(stage, citizen, CounterListing), number))
        if {one["consent_id"] for one in listed["consents"]} != set(consents):
            raise DemoFailed("the counter was not told of exactly what this citizen agreed to")
        orders = [_order(stage, citizen, CounterWithdrawal, consent_id=one) for one in consents]
        withdrawn = [accepted(counter.withdraw(order, number)).signed.receipt.index for order in orders]
        [key] = accepted(counter.revoke(_order(stage, citizen, CounterRevocation, cause="lost"), number))
        tell.line(
            "lost.done",
            citizen=citizen.person.name,
            registrar=stage.name(REGISTRAR),
            withdrawn=", ".join(map(str, withdrawn)),
            revoked=key.index,
        )
        why, index = acts.query_in_vain(stage, consents[0], "withdrawn")
        tell.line("lost.refused", bank=stage.name(BANK), reason=stage.reason(why), index=index)
        enrolled = _second_key(stage, citizen)
        keys = accepted(counter.consents(_order(stage, citizen, CounterListing), number))["keys"]
        [effective] = [one["effective"] for one in keys if one["state"] == "live"]
    tell.line(
        "lost.second",
        index=enrolled,
        hours=stage.house.policy.enrolment.second_key_hours,
        effective=effective[:16].replace("T", " "),
    )


def _order(
    stage: Stage,
    citizen: Citizen,
    kind: type[CounterListing | CounterRevocation | CounterWithdrawal],
    **members: str,
) -> SignedOrder:
    registrar, gateway = stage.cast.registrar, stage.house.origin
    return registrar.order(kind, gateway, citizen.person.citizen_number, stage.house.clock(), **members)


def _second_key(stage: Stage, citizen: Citizen) -> int:
    """A new key for the one that was lost; the entry of its enrolment. It does not act yet."""
    key, number = generate_key("Ed25519", os.urandom), citizen.person.citizen_number
    wait = stage.house.policy.enrolment.second_key_hours * HOUR
    at = stage.house.clock()
    certificate = stage.cast.registrar.certify(stage.house.origin, number, key, at, wait)
    with stage.citizen(Citizen(citizen.person, key, certificate, citizen.folder)) as client:
        index = accepted(client.enrol(certificate, number))
        if not isinstance(client.keys(), Refused):
            raise DemoFailed("a second key acts before its wait is over")
    return index


def _erased(stage: Stage, citizen: Citizen) -> Erased:
    """An open case holds what a citizen demands back; once it is closed, every record of theirs goes."""
    tell, house, number = stage.tell, stage.house, citizen.person.citizen_number
    classes = {category.klass for category in house.policy.categories}
    tell.chapter("erased")
    case = new_uuid(house.random)
    held = place_hold(house, case, number, "investigation")
    try:
        erase_classes(house, number, classes, GROUND)
    except ErasureRefused as why:
        if case not in str(why):
            raise
    else:
        raise DemoFailed("records were erased that an open case is about")
    tell.line("erased.held", citizen=citizen.person.name, index=held.index)
    lifted = lift_hold(house, case, "no-further-action")
    erased = erase_classes(house, number, classes, GROUND)
    forget_erased(house)
    with stage.citizen(citizen) as client:
        if any(accepted(client.report())["records"].values()):
            raise DemoFailed("records are reported that were erased")
    if _certificate(stage, erased) is not None:
        raise DemoFailed("an erasure was certified that an old backup undoes")
    tell.line(
        "erased.done",
        closed=lifted.index,
        records=erased.count,
        index=erased.index,
        epoch=erased.epoch,
    )
    return erased


def _certificate(stage: Stage, erased: Erased) -> str | None:
    """The signed certificate of an erasure, None while it may not be made yet."""
    with stage.house.read() as conn:
        try:
            return certify(stage.house, conn, erased.erasure)
        except ErasureRefused:
            return None


def _certified(stage: Stage, erased: Erased) -> None:
    """The old epoch's key is destroyed, and a certificate says so that holds without the gateway."""
    tell = stage.tell
    tell.chapter("certified")
    rotate_epoch(stage.house, _silent)
    destroyed = destroy_epoch(stage.house, erased.epoch)
    newest_checkpoint(stage.house)
    token = _certificate(stage, erased)
    if token is None:
        raise DemoFailed("the certificate of an erasure is refused, though its epoch's key is destroyed")
    file, directory = stage.home.path / "erasure-certificate.jws", stage.home.path / "export-of-erasure"
    file.write_text(f"{token}\n", "ascii")
    export(stage, directory)
    found = verify_certificate(token, directory, stage.pins.vkey)
    tell.line("certified.done", epoch=erased.epoch, index=destroyed, records=found.count)
    words = ("erasure", "verify-certificate", shown(file), "--export", shown(directory))
    tell.command(chengxin(stage.home, *words, "--vkey", format_vkey(stage.pins.vkey)))


def _put_back(stage: Stage, backup: Path, withdrawn: str) -> None:
    """The backup of before all this, put back beside today's custody and log: refused, then recovered."""
    tell = stage.tell
    tell.chapter("restored")
    home = stage.home.path / "restored"
    copy_home(stage.home.path, home)
    try:
        stand_on_nothing(home)
        restored = restore_backup(load_settings(home), backup)
        tell.line("restored.done", size=restored.manifest.size, keys=restored.applied.unreadable)
        tell.line("restored.refused", finding=_refusal_of(home))
        with opened(home, behind=True) as house:
            done = recover(house)
            publish(house)
        with opened(home) as house, bank_of(house, stage.cast.operator, stage.pins) as bank:
            outcome = bank.query(str(uuid.uuid4()), withdrawn, acts.PURPOSE, acts.AGREED)
        why, index = refused(outcome, "withdrawn")
        count = done.size - done.since
        tell.line("restored.recovered", count=count, reason=stage.reason(why), index=index)
    finally:
        leave(home)
        shutil.rmtree(home)


def _refusal_of(home: Path) -> str:
    """Why the gateway does not start on this home."""
    try:
        with opened(home):
            pass
    except HeadBehind as behind:
        return str(behind)
    raise DemoFailed("the gateway started on an older database")
