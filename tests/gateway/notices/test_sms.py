"""Notices by short message, to a real provider's interface: once each, by number, with nothing personal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.notices.outbox import MOST_WAIT_MS, counts, send_due
from gateway.notices.templates import render
from tests.gateway import kit
from tests.gateway.receiver import Receiver, receiving
from tests.gateway.world import World, new_world

MOBILE = "+8613800000000"


@pytest.fixture
def provider() -> Iterator[Receiver]:
    with receiving(Receiver()) as made:
        yield made


@pytest.fixture
def world(engine: str, provider: Receiver, tmp_path: Path) -> Iterator[World]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "sms-token").write_text("a-token\n")
    (home / "sms-token").chmod(0o600)
    with new_world(home, notice_sms="http", sms_url=provider.url, sms_token_file="sms-token") as made:
        send_due(made.house, lambda: False)
        yield made


def go(world: World) -> int:
    return send_due(world.house, lambda: False)


def test_a_short_message_is_posted_once(world: World, provider: Receiver) -> None:
    citizen = world.citizen(kit.NUMBER)
    citizen.client.put_contact("sms", MOBILE, "zh-CN")
    world.ask(citizen)
    assert go(world) == 1
    assert go(world) == 0
    [sent] = provider.arrived
    text = render("consent-requested", "zh-CN", world.house.settings.public_url).short
    assert sent.members == {"to": MOBILE, "text": text, "id": sent.headers["idempotency-key"]}
    assert sent.headers["authorization"] == "Bearer a-token"


@pytest.mark.parametrize(
    ("status", "state"),
    [(503, "waiting"), (429, "waiting"), (401, "waiting"), (302, "waiting"), (422, "dead")],
)
def test_what_the_provider_does_not_take_is_tried_again_or_given_up(
    world: World, provider: Receiver, status: int, state: str
) -> None:
    answers = iter([status])
    provider.answer = lambda _: next(answers, 200)
    citizen = world.citizen(kit.NUMBER)
    citizen.client.put_contact("sms", MOBILE, "en")
    world.ask(citizen)
    assert go(world) == 0
    assert [row["state"] for row in counts(world.house)] == [state]
    world.clock.offset += MOST_WAIT_MS
    assert go(world) == int(state == "waiting")
    assert len({one.headers["idempotency-key"] for one in provider.arrived}) == 1


def test_a_channel_that_is_off_queues_nothing(world: World, provider: Receiver) -> None:
    citizen = world.citizen(kit.NUMBER)
    citizen.client.put_contact("email", "a@mail.example.cn", "en")
    world.ask(citizen)
    assert go(world) == 0
    assert counts(world.house) == []
    assert provider.arrived == []
