"""Webhooks against a real receiver: in order, until acknowledged, once each, and to nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.client.reply import Refused
from gateway.client.webhook import Inbox, verify_webhook
from gateway.errands import Errands
from gateway.errors import Rejected
from gateway.events import webhooks
from gateway.events.delivery import BURST, deliver
from gateway.events.sending import probe_body, send
from gateway.events.webhooks import (
    CLAIM_MS,
    MOST_WAIT_MS,
    PAUSE_AFTER_HOURS,
    claim_due,
    listed,
    remove_webhook,
    resume_webhook,
    set_webhook,
    settle,
)
from gateway.house import House
from keys.instant import HOUR
from keys.signing import PublicKey, ed25519_public_key
from tests.gateway import kit
from tests.gateway.certificates import certified
from tests.gateway.events.kit import beside, told
from tests.gateway.receiver import Delivered, Receiver, receiving
from tests.gateway.world import BANK, OTHER_BANK, World, new_world
from tests.ports import free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as made:
        yield made


def never() -> bool:
    return False


def consents(world: World, count: int, serial: int = 1) -> list[str]:
    """So many consents of one citizen to the bank."""
    citizen = world.citizen(kit.person(serial))
    return [world.consent(citizen) for _ in range(count)]


def go(world: World, house: House | None = None) -> int:
    """One turn of deliveries, waited for; how many events were acknowledged."""
    chosen = house or world.house
    return sum(deliver(chosen, claim, never) for claim in claim_due(chosen, []))


def receipt_keys(world: World) -> list[PublicKey]:
    return [ed25519_public_key(world.house.custody.public("receipt"))]


def state(world: World, institution: str = BANK) -> dict[str, Any]:
    return next(row for row in listed(world.house) if row["institution"] == institution)


def test_events_arrive_in_the_order_of_the_ledger(world: World, receiver: Receiver) -> None:
    set_webhook(world.house, BANK, receiver.url)
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    world.withdraw(citizen, consent)
    assert go(world) == 2
    assert receiver.told == [(1, "granted"), (2, "withdrawn")]
    asked = told(world)
    for one, event in zip(receiver.arrived, asked, strict=True):
        members = one.members
        assert members["id"] == f"{world.house.origin}/{BANK}/{event.seq}"
        assert (members["index"], members["consent_id"], members["at"]) == (event.index, consent, event.at)
    assert go(world) == 0
    assert len(receiver.arrived) == 2
    assert state(world)["waiting"] == 0


def test_only_what_happens_from_then_on_is_sent(world: World, receiver: Receiver) -> None:
    consents(world, 2)
    assert set_webhook(world.house, BANK, receiver.url) == 2
    later = consents(world, 1, serial=2)
    go(world)
    assert [one.members["consent_id"] for one in receiver.arrived] == later


def test_what_is_not_acknowledged_is_sent_again_later_and_nothing_before_it(
    world: World, receiver: Receiver
) -> None:
    answers = iter([204, 500, 302, 404])
    receiver.answer = lambda _: next(answers, 204)
    receiver.location = receiver.url
    set_webhook(world.house, BANK, receiver.url)
    consents(world, 3)
    assert go(world) == 1
    assert (state(world)["state"], state(world)["why"]) == ("failing", "status-500")
    assert go(world) == 0  # not due yet
    assert [seq for seq, _ in receiver.told] == [1, 2]
    for why in ("status-302", "status-404"):
        world.clock.offset += MOST_WAIT_MS
        assert go(world) == 0
        assert state(world)["why"] == why
    world.clock.offset += MOST_WAIT_MS
    assert go(world) == 2
    assert [seq for seq, _ in receiver.told] == [1, 2, 2, 2, 2, 3]
    assert len({one.members["id"] for one in receiver.arrived}) == 3
    assert (state(world)["state"], state(world)["why"], state(world)["attempts"]) == ("active", None, 0)


def test_it_waits_longer_each_time_but_not_for_ever(world: World) -> None:
    set_webhook(world.house, BANK, f"http://localhost:{free_port()}/")
    consents(world, 1)
    waits = []
    for _ in range(12):
        go(world)
        waits.append(state(world)["next_at"] - world.clock())
        world.clock.offset += MOST_WAIT_MS
    assert state(world)["why"] == "unreachable"
    assert waits[0] <= 2_000
    assert all(later > earlier for earlier, later in zip(waits[:7:2], waits[2:9:2], strict=True))
    assert MOST_WAIT_MS / 2 - 5_000 <= waits[-1] <= MOST_WAIT_MS


def test_who_is_away_for_days_is_paused_and_goes_on_where_it_stopped(world: World) -> None:
    port = free_port()
    set_webhook(world.house, BANK, f"http://localhost:{port}/events")
    consents(world, 2)
    go(world)
    world.clock.offset += PAUSE_AFTER_HOURS * HOUR
    go(world)
    assert (state(world)["state"], state(world)["waiting"]) == ("paused", 2)
    with receiving(Receiver(), port=port) as back:
        world.clock.offset += PAUSE_AFTER_HOURS * HOUR
        assert go(world) == 0
        assert resume_webhook(world.house, BANK) == 0
        assert go(world) == 2
        assert [seq for seq, _ in back.told] == [1, 2]


DELIVERS = """
import sys
from pathlib import Path
from gateway.config import load_settings
from gateway.events.delivery import deliver
from gateway.events.webhooks import claim_due
from gateway.opening import open_house

house = open_house(load_settings(Path(sys.argv[1])))
[claim] = claim_due(house, [])
deliver(house, claim, lambda: False)
"""


def test_killed_before_its_progress_is_written_it_sends_again_under_the_same_id(world: World) -> None:
    """A process that dies between delivery and commit doubles an event, and never loses one."""
    children: list[subprocess.Popen[bytes]] = []

    def answer(delivered: Delivered) -> int:
        if children and delivered.members["seq"] == 2:
            child = children.pop()
            child.kill()
            child.wait(60)
        return 204

    with receiving(Receiver(answer)) as receiver:
        set_webhook(world.house, BANK, receiver.url)
        consents(world, 3)
        words = [sys.executable, "-c", DELIVERS, str(world.house.settings.home)]
        child = subprocess.Popen(words, cwd=Path(__file__).parents[3])
        children.append(child)
        assert child.wait(90) == -signal.SIGKILL
        assert go(world) == 0  # still claimed by the process that died
        world.clock.offset += CLAIM_MS
        assert go(world) == 3
        assert [seq for seq, _ in receiver.told] == [1, 2, 1, 2, 3]
        inbox, keys = Inbox(), receipt_keys(world)
        when = [0, 0, CLAIM_MS, CLAIM_MS, CLAIM_MS]
        seen = [
            verify_webhook("POST", receiver.url, one.headers, one.body, keys, world.clock() - CLAIM_MS + late)
            for one, late in zip(receiver.arrived, when, strict=True)
        ]
        assert [inbox.is_new(event) for event in seen] == [True, True, False, False, True]


def test_two_processes_deliver_each_event_once_and_in_order(world: World, receiver: Receiver) -> None:
    set_webhook(world.house, BANK, receiver.url)
    with receiving(Receiver()) as other_receiver, beside(world) as other:
        set_webhook(world.house, OTHER_BANK, other_receiver.url)
        citizen = world.citizen(kit.NUMBER)
        for bank in (None, world.bank(world.other_key)):
            for _ in range(4):
                world.consent(citizen, bank)
        counted = kit.together(*[partial(go, world, house) for house in (world.house, other)] * 3)
        assert sum(counted) == 8
        for one in (receiver, other_receiver):
            assert [seq for seq, _ in one.told] == [1, 2, 3, 4]


def test_one_who_hangs_holds_up_nobody_else(world: World) -> None:
    let_go = threading.Event()

    def hang(_: Delivered) -> int:
        let_go.wait(60)
        return 204

    with ExitStack() as open_ones:
        open_ones.callback(let_go.set)
        slow = open_ones.enter_context(receiving(Receiver(hang)))
        quick = open_ones.enter_context(receiving(Receiver()))
        set_webhook(world.house, BANK, slow.url)
        set_webhook(world.house, OTHER_BANK, quick.url)
        citizen = world.citizen(kit.NUMBER)
        other = world.bank(world.other_key)
        errands = Errands(world.house)
        try:
            for bank in (None, other):
                world.consent(citizen, bank)
            assert errands.turn()
            while len(quick.arrived) < 1:
                errands.settled(0.05)
            world.consent(citizen, world.bank(world.other_key))
            while len(quick.arrived) < 2:
                assert errands.turn()
                errands.settled(0.05)
            assert not slow.arrived
            let_go.set()
            assert errands.settled(60)
        finally:
            let_go.set()
            errands.stop()
        assert [seq for seq, _ in slow.told] == [1]
        assert [seq for seq, _ in quick.told] == [1, 2]


def test_who_has_not_the_seat_runs_no_errands(world: World, receiver: Receiver) -> None:
    set_webhook(world.house, BANK, receiver.url)
    consents(world, 1)
    with beside(world) as other:
        first, second = Errands(world.house), Errands(other)
        assert first.turn()
        assert not second.turn()
        assert first.settled(60)
        first.stop()
        assert second.turn()
        second.stop()
    assert [seq for seq, _ in receiver.told] == [1]


def test_over_tls_the_receivers_name_must_be_certified(tmp_path: Path) -> None:
    tls = certified(tmp_path / "tls")
    for trusted in (True, False):
        more = {"webhook_ca_file": str(tls.authority)} if trusted else {}
        with new_world(tmp_path / f"home-{trusted}", **more) as world, receiving(Receiver(), tls) as receiver:
            set_webhook(world.house, BANK, receiver.url)
            consents(world, 1)
            assert go(world) == int(trusted)
            assert len(receiver.arrived) == int(trusted)
            assert state(world)["why"] == (None if trusted else "tls")


def test_over_tls_another_name_than_the_certified_is_refused(tmp_path: Path) -> None:
    tls = certified(tmp_path / "tls", "somebody.example")
    with (
        new_world(tmp_path / "home", webhook_ca_file=str(tls.authority)) as world,
        receiving(Receiver(), tls) as receiver,
    ):
        assert send(world.house, receiver.url, probe_body(world.house, BANK, "x")) == "tls"
        assert receiver.arrived == []


def test_set_anew_while_it_is_being_served_the_old_address_changes_nothing(
    world: World, receiver: Receiver
) -> None:
    set_webhook(world.house, BANK, "http://localhost:1/old")
    consents(world, 1)
    [claim] = claim_due(world.house, [])
    set_webhook(world.house, BANK, receiver.url)
    assert not settle(world.house, claim, 1, None)
    assert state(world)["delivered"] == 0
    assert go(world) == 1
    [again] = consents(world, 1, serial=2)
    [claim] = claim_due(world.house, [])
    remove_webhook(world.house, BANK)
    assert not settle(world.house, claim, 2, None)
    assert listed(world.house) == []
    assert told(world)[-1].consent_id == again


def test_a_long_backlog_is_sent_in_bursts_without_a_gap(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BURST > 2
    monkeypatch.setattr("gateway.events.delivery.BURST", 2)
    set_webhook(world.house, BANK, receiver.url)
    consents(world, 5)
    assert [go(world) for _ in range(4)] == [2, 2, 1, 0]
    assert [seq for seq, _ in receiver.told] == [1, 2, 3, 4, 5]


def test_told_to_stop_it_stops_after_the_event_on_its_way(world: World, receiver: Receiver) -> None:
    set_webhook(world.house, BANK, receiver.url)
    consents(world, 3)
    [claim] = claim_due(world.house, [])
    stops = iter([False, True])
    assert deliver(world.house, claim, lambda: next(stops)) == 1
    [claim] = claim_due(world.house, [])
    assert deliver(world.house, claim, lambda: True) == 0
    assert go(world) == 2


def test_nobody_has_a_webhook_who_is_not_registered(world: World) -> None:
    with pytest.raises(Rejected):
        set_webhook(world.house, "91990000DEMA00099X", "https://bank.example/")
    for act in (remove_webhook, resume_webhook, webhooks.webhook_of):
        with pytest.raises(Rejected, match="chengxin webhook set"):
            act(world.house, BANK)


def test_polling_and_webhook_tell_the_same(world: World, receiver: Receiver) -> None:
    set_webhook(world.house, BANK, receiver.url)
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    assert not isinstance(citizen.client.decline(asked.request_id, asked.document_sha256), Refused)
    world.consent(citizen)
    go(world)
    sent = [(m["seq"], m["kind"], m["consent_id"], m["index"]) for m in (o.members for o in receiver.arrived)]
    assert sent == [(e.seq, e.kind, e.consent_id, e.index) for e in told(world)]
