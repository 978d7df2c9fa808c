"""An insider lends a registered row a key of their own for as long as a request is being authenticated."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

from gateway.lane import Lane
from keys.canonical import canonical
from tests.gateway import kit
from tests.gateway.world import BANK, World, fresh_key


def test_an_insider_cannot_lend_an_operators_row_a_key(world: World) -> None:
    """The row is put back while the request waits for the lock: there its key is not the one that signed."""
    consent = world.consent(world.citizen(kit.NUMBER))
    genuine = kit.row_of(world.house, "operators", "operator = ?", world.operators[BANK])
    stranger = fresh_key()
    body = kit.query_body(consent)
    forged = kit.prepare(world, stranger, "POST", "/v1/queries", body)
    held, waiting = threading.Event(), threading.Event()
    submit_all = Lane.submit_all

    def wait_for_the_row(lane: Lane, *work: Any) -> Any:
        if lane is world.house.lane:
            waiting.set()
            assert held.wait(30)
        return submit_all(lane, *work)

    kit.insider(
        world.house,
        "UPDATE operators SET kid = ?, jwk = ? WHERE operator = ?",
        [stranger.kid, canonical(dict(stranger.jwk)).decode(), genuine["operator"]],
    )
    with patch.object(Lane, "submit_all", wait_for_the_row), ThreadPoolExecutor(1) as pool:
        reply = pool.submit(forged.send)
        assert waiting.wait(30)
        kit.put_back(world.house, "operators", "operator", genuine)
        held.set()
        answered = reply.result(30)
    kit.check_refusal(world, answered, "operator-suspended", body["query_id"])
