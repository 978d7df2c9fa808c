"""How a server with several workers begins and ends; what outlives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.signers import log_keys
from ledger.publish import read_note
from tests.gateway import kit
from tests.gateway.workers.served import Town, send, start, town

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Town]:
    """A town whose server the test stops, and perhaps starts again."""
    with town(tmp_path / "home") as made:
        yield made


def test_a_spent_nonce_is_spent_after_a_restart(stopped: Town) -> None:
    """And everything else is as it was left: the checkpoint covers the log, no process stays behind."""
    world, server = stopped.world, stopped.server
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=9)
    ahead = world.clock() + 40_000  # signed for later, so that it is still fresh after the restart
    request = kit.prepare(
        world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent), created_ms=ahead
    )
    assert send(server.each()[0], request).status_code == 200
    workers = server.workers
    assert len(workers) == 2
    assert server.stop() == 0
    assert server.state() is None
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    with world.house.read() as conn:
        keys = log_keys(world.house, conn)
    served = read_note(world.house.settings.log_dir / "checkpoint", keys)
    assert served is not None
    assert served.checkpoint.size == kit.size(world.house)

    before = kit.size(world.house)
    stopped.server = start(world.house.settings, world.house.settings.home / "again.out")
    stopped.server.wait_until_ready()
    kit.check_problem(send(stopped.server.each()[0], request), 401, "replayed-nonce")
    assert {leaf.type for leaf in kit.leaves(world.house)[before:]} <= {"key.sealing"}
    counted = stopped.server.metrics()
    assert counted['chengxin_signature_failures_total{problem="replayed-nonce"}'] == 1
    name = 'chengxin_decisions_total{decision="disclosed",kind="query",reason=""}'
    assert name not in counted, "what the earlier server counted was counted again"
