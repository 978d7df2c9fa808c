"""Two worker processes, one log: uses, nonces, withdrawals and policies hold across them, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.client.bank import Answer, BankClient
from gateway.client.errors import ClientError
from gateway.client.reply import Refused
from gateway.export import export_ledger
from gateway.house import House
from gateway.policies import apply_policy
from keys.canonical import sha256_hex
from keys.notes import format_vkey
from ledger.entries import Leaf
from ledger.proof import parse_proof
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.policies import checked
from tests.gateway.test_leaf_types import pins
from tests.gateway.workers.served import Town, send, start, until
from tests.gateway.world import World
from tests.ports import free_port

pytestmark = pytest.mark.slow
ASKED, ALLOWED, CLIENTS = 220, 150, 20


def check_whole(world: World, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The chain has no gap and an auditor with a copy finds nothing."""
    leaves = kit.leaves(world.house)
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    published = world.publishing.publish_now()
    assert published is not None
    assert published.checkpoint.size == len(leaves)
    assert export_ledger(world.house, published, folder / "export").intact
    capsys.readouterr()
    vkey = format_vkey(world.bank().pins.vkey)
    status = verify([str(folder / "export"), "--vkey", vkey, "--json", *pins(world, folder / "pins")])
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said


def bank_on(world: World, http: httpx.Client) -> BankClient:
    """The bank's client on this connection."""
    return BankClient(world.url, world.bank_key, **world.pins(), http=http)


def ask_in_turn(world: World, consent: str, times: int, http: httpx.Client) -> list[Any]:
    """So many queries on one connection; what the network broke stands as its error."""
    got: list[Any] = []
    bank = bank_on(world, http)
    for _ in range(times):
        try:
            got.append(world.query(consent, bank))
        except ClientError as error:
            got.append(error)
    return got


def crowd(served: Town, consent: str, times: int = ASKED, clients: int = CLIENTS) -> list[Any]:
    """So many queries by clients that start together, as many of them at each worker."""
    pinned = [http for _ in range(clients // 2) for http in served.server.each()]
    work = [partial(ask_in_turn, served.world, consent, times // clients, http) for http in pinned]
    return [one for got in kit.Crowd().run(work) for one in got]


def disclosed_under(house: House, consent: str) -> list[Leaf]:
    [row] = kit.insider(house, "SELECT grant_index FROM grants WHERE consent = ?", [consent])
    return [leaf for leaf in kit.of_type(house, "query.disclosed") if leaf.body.grant == row[0]]


def key_ids(leaves: Sequence[Leaf]) -> set[str]:
    """The sealing keys in these leaves: each worker process has one of its own."""
    return {leaf.sealed.key for leaf in leaves if leaf.sealed is not None}


def test_a_consent_is_used_exactly_as_often_as_it_allows(
    served: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = served.world
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=ALLOWED)
    before = served.server.metrics()
    got = crowd(served, consent)
    assert sum(isinstance(one, Answer) for one in got) == ALLOWED
    refused = [one.problem.name for one in got if isinstance(one, Refused)]
    assert refused == ["exhausted"] * (ASKED - ALLOWED)
    leaves = disclosed_under(world.house, consent)
    assert [leaf.body.use for leaf in leaves] == list(range(1, ALLOWED + 1))
    assert len(key_ids(leaves)) == 2, "one worker did all of it"
    after = served.server.metrics()
    for decision, reason, count in (("disclosed", "", ALLOWED), ("refused", "exhausted", ASKED - ALLOWED)):
        name = f'chengxin_decisions_total{{decision="{decision}",kind="query",reason="{reason}"}}'
        assert after[name] - before.get(name, 0) == count  # both workers' figures, added up
    check_whole(world, tmp_path, capsys)


def test_a_signed_request_serves_once_whichever_worker_hears_it(served: Town) -> None:
    world = served.world
    consent = world.consent(world.citizen(kit.person(1)), max_uses=9)
    for first, second in (served.server.each(), reversed(served.server.each())):
        request = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
        assert send(first, request).status_code == 200
        for again in (second, first):
            kit.check_problem(send(again, request), 401, "replayed-nonce")
    assert len(disclosed_under(world.house, consent)) == 2


def test_one_request_sent_to_both_at_once_is_answered_once(served: Town) -> None:
    world = served.world
    consent = world.consent(world.citizen(kit.person(2)), max_uses=50)
    pairs = [served.server.each() for _ in range(3)]
    for clients in pairs:
        request = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
        got = kit.together(*[partial(send, one, request) for one in clients])
        assert sorted(reply.status_code for reply in got) == [200, 401]
    assert len(disclosed_under(world.house, consent)) == len(pairs)


def test_once_a_withdrawal_returned_no_worker_discloses(served: Town) -> None:
    world = served.world
    citizen = world.citizen(kit.person(3))
    consent = world.consent(citizen, max_uses=1_000)
    enough = threading.Event()
    asked: list[Any] = []

    def ask_on(http: httpx.Client) -> None:
        bank = bank_on(world, http)
        while not enough.is_set():
            asked.append(world.query(consent, bank))

    clients = [http for _ in range(4) for http in served.server.each()]
    threads = [threading.Thread(target=ask_on, args=(http,)) for http in clients]
    for thread in threads:
        thread.start()
    until(lambda: sum(isinstance(one, Answer) for one in asked) > 20, "answers")
    withdrawn = world.withdraw(citizen, consent)
    seen = len(asked)
    until(lambda: len(asked) > seen + 30, "refusals")
    enough.set()
    for thread in threads:
        thread.join(60)
    index = withdrawn.signed.receipt.index
    assert max(leaf.index for leaf in disclosed_under(world.house, consent)) < index
    later = [leaf for leaf in kit.of_type(world.house, "query.refused") if leaf.index > index]
    assert {leaf.body.reason for leaf in later} == {"withdrawn"}
    assert len(key_ids(later)) == 2, "one worker did all of it"


def test_what_one_worker_wrote_another_proves_at_once(served: Town) -> None:
    world = served.world
    consent = world.consent(world.citizen(kit.person(4)), max_uses=9)
    one, other = served.server.each()
    for writer, prover in ((one, other), (other, one)):
        request = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
        assert send(writer, request).status_code == 200
        index = kit.size(world.house) - 1
        reply = prover.get(f"{world.url}/v1/ledger/proofs/{index}")
        assert reply.status_code == 200
        assert parse_proof(reply.content).index == index


def test_many_who_want_proofs_from_both_workers_fork_nothing(
    served: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each asks for a leaf of its own: every one of them publishes, in whichever worker it landed."""
    world = served.world
    consent = world.consent(world.citizen(kit.person(5)), max_uses=1_000)

    def ask_and_prove() -> int:
        with world.bank() as bank, httpx.Client(trust_env=False, timeout=60) as http:
            for _ in range(5):
                answer = world.query(consent, bank)
                assert isinstance(answer, Answer)
                reply = http.get(f"{world.url}/v1/ledger/proofs/{answer.receipt.index}")
                assert reply.status_code == 200, reply.text
        return 5

    assert sum(kit.Crowd().run([ask_and_prove] * 8)) == 40
    assert served.server.said("publish.failed") == 0
    check_whole(world, tmp_path, capsys)


def test_a_policy_applied_beside_the_server_is_in_force_in_every_worker(served: Town) -> None:
    world = served.world
    consent = world.consent(world.citizen(kit.person(6)), max_uses=100)
    first = world.house.policy
    clients = served.server.each()

    def ask(http: httpx.Client) -> str:
        body = kit.query_body(consent)
        reply = send(http, kit.prepare(world, world.bank_key, "POST", "/v1/queries", body))
        return "answered" if reply.status_code == 200 else kit.name_of(reply)

    assert [ask(http) for http in clients] == ["answered"] * 2
    stricter = checked(first, but_purpose="02")
    entry = apply_policy(world.house, stricter)
    assert [ask(http) for http in clients] == ["purpose-off"] * 2
    late = [leaf for leaf in kit.leaves(world.house) if leaf.index >= entry.index]
    assert {leaf.policy for leaf in late} == {world.house.policy_hash}
    for http in clients:
        served_bundle = http.get(f"{world.url}/ledger/policy/{world.house.policy_hash}").content
        assert sha256_hex(served_bundle) == world.house.policy_hash
    apply_policy(world.house, checked(first))
    assert [ask(http) for http in clients] == ["answered"] * 2


def test_a_second_server_on_the_same_home_is_refused(served: Town, tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    elsewhere = {"CHENGXIN_PORT": str(port), "CHENGXIN_METRICS_PORT": str(metrics)}
    second = start(served.world.house.settings, tmp_path / "second.out", **elsewhere)
    assert second.process.wait(90) == 1
    [line] = second.log.read_text().splitlines()
    assert "a server is running on this home" in line
    state = served.server.state()
    assert state is not None
    assert state["pid"] == served.server.pid
    assert served.server.metrics()["chengxin_ledger_head_size"] > 0  # its files were left alone


def test_a_worker_that_is_killed_is_replaced_and_the_log_stays_whole(
    served: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, server = served.world, served.server
    consent = world.consent(world.citizen(kit.person(7)), max_uses=1_000)
    victim, survivor = sorted(server.workers)
    got: list[Any] = []

    def load() -> None:
        got.extend(crowd(served, consent, 160, 8))

    asking = threading.Thread(target=load)
    asking.start()
    until(lambda: len(disclosed_under(world.house, consent)) > 10, "answers")
    os.kill(victim, signal.SIGKILL)  # a child of the server that this test started
    assert isinstance(world.query(consent), Answer)
    asking.join(120)
    [fresh] = until(lambda: server.workers - {victim, survivor}, "a new worker")
    until(lambda: server.said("serving") >= 3, "it serves")
    request = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
    assert send(server.pinned(fresh), request).status_code == 200
    answered = sum(isinstance(one, Answer) for one in got)
    assert all(isinstance(one, Answer | ClientError) for one in got), got
    leaves = disclosed_under(world.house, consent)
    assert [leaf.body.use for leaf in leaves] == list(range(1, len(leaves) + 1))
    assert answered + 2 <= len(leaves) <= len(got) + 2  # log before release, never the other way round
    check_whole(world, tmp_path, capsys)
