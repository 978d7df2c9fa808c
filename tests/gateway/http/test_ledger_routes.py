"""The public log over HTTP, and the part of it that is not public."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.institutions.register import add_operator, suspend
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.world import REGULATOR, World, fresh_key, new_world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("http") / "home") as made:
        yield made


def tile(world: World, kind: str) -> str:
    published = world.publishing.publish_now()
    assert published is not None
    return f"/ledger/tile/{kind}/000.p/{published.checkpoint.size}"


def test_hash_tiles_and_proofs_are_anybodys(shared: World) -> None:
    reply = httpx.get(shared.url + tile(shared, "0"))
    assert reply.status_code == 200
    assert len(reply.content) == 32 * int(str(reply.url).rsplit("/", 1)[1])
    assert "immutable" in reply.headers["Cache-Control"]
    proof = httpx.get(shared.url + "/v1/ledger/proofs/0")
    assert proof.text.startswith("c2sp.org/tlog-proof@v1")
    kit.check_problem(httpx.get(shared.url + "/v1/ledger/proofs/999999"), 404, "not-found")


def test_entry_bundles_are_only_a_regulators_auditors(shared: World) -> None:
    path = tile(shared, "entries")
    auditor, administrator = fresh_key(), fresh_key()
    operator, _ = add_operator(shared.house, REGULATOR, parse_public_jwk(auditor.jwk), ["audit"])
    add_operator(shared.house, REGULATOR, parse_public_jwk(administrator.jwk), ["admin"])
    citizen = shared.citizen(kit.OTHER_NUMBER)
    kit.check_problem(httpx.get(shared.url + path), 401, "not-signed")
    for key in (shared.bank_key, administrator):
        kit.check_problem(kit.prepare(shared, key, "GET", path).send(), 404, "not-found")
    assert kit.citizens_request(shared, citizen.key, "GET", path).send().status_code == 401
    prepared = kit.prepare(shared, auditor, "GET", path)
    reply = prepared.send()
    assert reply.status_code == 200
    assert b'"log.opened"' in reply.content
    assert "private" in reply.headers["Cache-Control"]
    kit.check_problem(prepared.send(), 401, "replayed-nonce")
    suspend(shared.house, "operator", operator, "left")
    kit.check_problem(kit.prepare(shared, auditor, "GET", path).send(), 404, "not-found")


def test_the_published_keys_are_those_of_the_log(shared: World) -> None:
    body = httpx.get(shared.url + "/v1/keys").json()
    leaves = {leaf.index: leaf.body for leaf in kit.of_type(shared.house, "key.published")}
    assert body["vkey"].startswith(shared.house.origin + "+")
    assert {key["index"] for key in body["keys"]} == leaves.keys()
    for key in body["keys"]:
        leaf = leaves[key["index"]]
        assert (key["use"], key["kid"], key["public"], key["holder"]) == (
            leaf.use,
            leaf.kid,
            leaf.public,
            leaf.holder,
        )
    assert {key["use"] for key in body["keys"]} == {"checkpoint", "receipt", "registrar", "regulator"}


def test_accesses_after_nonsense_are_400(shared: World) -> None:
    citizen = shared.citizen(kit.person(5))
    for after in ("-1", "x", "1" * 16):
        reply = kit.citizens_request(shared, citizen.key, "GET", f"/v1/me/accesses?after={after}").send()
        kit.check_problem(reply, 400, "malformed-body")
