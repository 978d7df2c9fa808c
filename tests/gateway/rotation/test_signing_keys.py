"""Receipt and checkpoint keys are rotated under load: each signature is by the key of its index."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.client import BankClient, Pins, published_keys
from gateway.client.bank import Answer
from gateway.client.errors import EvidenceFailed
from gateway.client.following import Signatures
from gateway.errors import NotReady, Rejected
from gateway.export import export_ledger
from gateway.house import House
from gateway.institutions.published import listed
from gateway.publishing import publish, publisher_of, vkey_of
from gateway.rotation.own import GRACE_MS, Replaced, replace_own, retire_ended, rotate_own, unfinished
from gateway.signers import OwnUse, log_keys, names_of, signers_of
from keys.errors import UnknownKeyName
from keys.jws import peek_kid
from keys.notes import Vkey
from keys.rotation import rotate
from keys.signing import Ed25519PrivateKey
from ledger.errors import BrokenCheckpoint, Finding
from ledger.log import Entry
from ledger.logkeys import LogKeys
from ledger.publish import read_note
from ledger.verify import Trust, audit
from tests.gateway import kit
from tests.gateway.test_policies import another
from tests.gateway.world import World

ANY_ID = "00000000-0000-4000-8000-000000000000"


def rows_of(house: House, use: str) -> list[Any]:
    with house.read() as conn:
        return listed(house, conn, use)


def key_at(house: House, use: str, index: int) -> str:
    """Thumbprint of the key that counts for a leaf at this index."""
    [kid] = [
        row["kid"]
        for row in rows_of(house, use)
        if row["since"] <= index and (row["ended_index"] is None or index < row["ended_index"])
    ]
    return str(kid)


def exported(world: World, folder: Path) -> Path:
    published = world.publishing.publish_now()
    assert published is not None
    assert export_ledger(world.house, published, folder).intact
    return folder


def served(house: House) -> bytes:
    return (house.settings.log_dir / "checkpoint").read_bytes()


def last_entry(world: World) -> Entry:
    return world.house.transact(lambda tx: tx.entry(kit.size(world.house) - 1), seals=False)


def finish(world: World) -> int:
    world.publishing.publish_now()
    return retire_ended(world.house, idle=True)


def test_rotation_under_load(world: World, tmp_path: Path) -> None:
    """Clients who pinned the first keys, and never anything else, are answered throughout."""
    citizen = world.citizen(kit.NUMBER)
    consents = [world.consent(citizen, max_uses=10) for _ in range(2)]
    first, pins = vkey_of(world.house), world.pins()
    kept: dict[str, bytes] = {"before": served(world.house)}
    answers: list[Answer] = []

    def ask(consent: str) -> None:
        with BankClient(world.url, world.bank_key, **pins) as bank:
            for _ in range(10):
                answer = world.query(consent, bank)
                assert isinstance(answer, Answer), answer
                bank.prove(answer.receipt)
                answers.append(answer)

    def rotate() -> None:
        for turn in range(3):
            rotate_own(world.house, "receipt")
            rotate_own(world.house, "checkpoint")
            world.publishing.publish_now()
            kept[f"after {turn}"] = served(world.house)
            finish(world)

    kit.together(partial(ask, consents[0]), rotate, partial(ask, consents[1]))
    assert len(answers) == 20
    for answer in answers:
        assert peek_kid(answer.signed.token) == key_at(world.house, "receipt", answer.receipt.index)
    finish(world)
    assert [names_of(world.house.custody, use) for use in ("receipt", "checkpoint")] == [
        ["receipt-4"],
        ["checkpoint-4"],
    ]
    directory = exported(world, tmp_path / "export")
    with world.house.read() as conn:
        every = log_keys(world.house, conn)
    assert every.keys[0].vkey == first
    for key in every.keys:  # whichever an auditor pinned
        assert audit(directory, Trust(key.vkey, kept=kept)).kept == len(kept)


def test_a_checkpoint_counts_by_the_key_of_its_own_size_alone(world: World) -> None:
    world.publishing.stop()
    publish(world.house)
    before = served(world.house)
    index = rotate_own(world.house, "checkpoint").index
    publish(world.house)
    with world.house.read() as conn:
        keys = log_keys(world.house, conn)
    old, new = (key.vkey for key in keys.keys)
    assert (keys.at(index), keys.at(index + 1)) == (old, new)
    assert keys.open(before).size <= index < keys.open(served(world.house)).size
    copy = read_note(world.house.settings.checkpoint_copy, keys)
    assert copy is not None
    assert copy.note == served(world.house)


def test_a_rotation_that_commits_while_a_publisher_reads_is_not_signed_by_the_old_key(world: World) -> None:
    """Keys and head are of one moment: else the old key would sign a size that is the new one's."""
    house = world.house
    world.publishing.stop()

    def overtaken(conn: Connection) -> LogKeys:
        keys = log_keys(house, conn)
        rotate_own(house, "checkpoint")
        return keys

    world.consent(world.citizen(kit.NUMBER))
    published = dataclasses.replace(publisher_of(house), keys=overtaken).publish()
    assert published is not None
    assert published.checkpoint.size < kit.size(house)
    publish(house)
    with house.read() as conn:
        assert log_keys(house, conn).open(served(house)).size == kit.size(house)


def test_a_worker_that_was_not_told_signs_by_the_new_key(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    with another(world) as other:
        kit.ask_house(world, consent, other)
        rotated = rotate_own(world.house, "receipt")
        token = kit.ask_house(world, consent, other).receipt
        assert peek_kid(token) == rotated.kid == key_at(world.house, "receipt", kit.size(world.house) - 1)


def test_an_entry_of_before_the_rotation_is_still_receipted_by_its_own_key(world: World) -> None:
    """A request that was on its way, and one that comes back for its receipt after the old key is gone."""
    house = world.house
    old = key_at(house, "receipt", kit.size(house) - 1)
    entry = last_entry(world)
    new = rotate_own(house, "receipt").kid
    assert peek_kid(house.receipts.of_consent(entry, ANY_ID, "granted")) == old
    assert finish(world) == 1
    assert peek_kid(house.receipts.of_consent(entry, ANY_ID, "granted")) == new


def test_an_old_receipt_key_waits_for_what_is_on_its_way(world: World) -> None:
    rotate_own(world.house, "receipt")
    assert retire_ended(world.house) == 0
    world.clock.offset += GRACE_MS
    assert (retire_ended(world.house), retire_ended(world.house)) == (1, 0)


def test_an_old_checkpoint_key_waits_for_the_first_note_by_the_new_one(world: World) -> None:
    world.publishing.stop()
    publish(world.house)
    rotate_own(world.house, "checkpoint")
    assert retire_ended(world.house, idle=True) == 0
    publish(world.house)
    assert retire_ended(world.house) == 1


# Every step is cut short twice, before it and right after; the same command again ends in the same state.


class Killed(Exception):
    """The process is gone."""


STEPS = ("generate", "transact", "destroy")


def cut_at(step: str, *, done: bool, house: House, patch: pytest.MonkeyPatch) -> None:
    owner: Any = house if step == "transact" else house.custody
    real: Callable[..., Any] = getattr(owner, step)

    def cut(*args: Any, **named: Any) -> Any:
        if done:
            real(*args, **named)
        raise Killed

    patch.setattr(type(owner), step, lambda _self, *args, **named: cut(*args, **named))


@pytest.mark.parametrize("use", ["receipt", "checkpoint"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("act", [rotate_own, lambda house, use: replace_own(house, use, "lost")])
def test_killed_at_any_step_it_goes_on_when_it_is_run_again(
    world: World,
    use: OwnUse,
    step: str,
    done: bool,
    act: Callable[[House, OwnUse], Replaced],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.publishing.stop()
    before = len(rows_of(world.house, use))

    def run(house: House) -> None:
        act(house, use)
        publish(house)
        retire_ended(house, idle=True)

    with monkeypatch.context() as patch:
        cut_at(step, done=done, house=world.house, patch=patch)
        with pytest.raises(Killed):
            run(world.house)
    finished = step == "destroy" and done
    with another(world) as house:  # opened anew, as the command is
        if not finished:
            run(house)
        rows = rows_of(house, use)
        assert len(rows) == before + 1
        [name] = names_of(house.custody, use)
        assert list(signers_of(house.custody, use)) == [rows[-1]["kid"]]
        assert name == f"{use}-2"
        assert not unfinished(house, use)
        publish(house)


def test_a_lost_key_is_replaced_and_nobody_follows_by_themselves(world: World, tmp_path: Path) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    bank, first = world.bank(), vkey_of(world.house)
    for use in ("receipt", "checkpoint"):
        world.house.custody.destroy(use)
        with pytest.raises(Rejected, match="keys revoke"):
            rotate_own(world.house, use)
    with another(world) as opened, pytest.raises(NotReady, match="keys revoke receipt"):
        opened.receipts.require_usable()
    for use in ("receipt", "checkpoint"):
        replace_own(world.house, use, "lost")
    with pytest.raises(EvidenceFailed):
        world.query(consent, bank)
    assert isinstance(world.query(consent, world.bank()), Answer)
    directory = exported(world, tmp_path / "export")
    with pytest.raises(Finding) as found:
        audit(directory, Trust(first))
    assert found.value.rule == "checkpoint"
    assert audit(directory, Trust(vkey_of(world.house))).size


def test_published_keys_have_ranges_and_lead_from_any_pin_to_every_other(world: World) -> None:
    first = world.bank().pins
    first = Pins(first.vkey, first.receipt_key)
    for _ in range(2):
        rotate_own(world.house, "receipt")
        rotate_own(world.house, "checkpoint")
        assert finish(world) == 2
    with httpx.Client() as http:
        said = published_keys(world.url, http)
    receipts = [key for key in said.keys if key.use == "receipt"]
    assert [key.ended for key in receipts] == [receipts[1].index, receipts[2].index, None]
    first.learn(said)
    assert [first.receipt_key.kid, *(key.kid for key in receipts[1:])] == [key.kid for key in receipts]
    stranger, another_one = (Ed25519PrivateKey(bytes(31) + end) for end in (b"1", b"2"))
    made = rotate(said.origin, "receipt", said.origin, stranger, another_one)
    assert receipts[1].signatures is not None
    both = Signatures(receipts[1].signatures.old, made.new)
    forged = replace(receipts[1], kid=another_one.kid, public=another_one.jwk, signatures=both)
    with pytest.raises(EvidenceFailed):
        first.learn(replace(said, keys=(receipts[0], forged)))
    unsigned = replace(receipts[1], signatures=None)
    first.learn(replace(said, keys=(receipts[0], unsigned)))
    with pytest.raises(EvidenceFailed, match="nor by one rotated to"):
        first.receipt(world.house.receipts.of_consent(last_entry(world), ANY_ID, "granted"))


def test_a_receipt_by_a_key_that_had_ended_is_refused(world: World) -> None:
    """A thief of the old key, after its end."""
    house, pins = world.house, world.bank().pins
    stolen = house.receipts
    rotate_own(house, "receipt")
    entry = last_entry(world)
    forged = stolen.of_consent(entry, ANY_ID, "granted")
    with httpx.Client() as http:
        pins.learn(published_keys(world.url, http))
    with pytest.raises(EvidenceFailed, match="ended"):
        pins.receipt(forged)


def test_a_log_without_a_key_in_force_signs_nothing(world: World) -> None:
    world.publishing.stop()
    world.house.custody.destroy("checkpoint")
    kit.size(world.house)
    world.house.transact(lambda tx: tx.append("log.closed", {"reason": "test"}), seals=False)
    with pytest.raises((UnknownKeyName, BrokenCheckpoint)):
        publish(world.house)
    assert isinstance(vkey_of(world.house), Vkey)
