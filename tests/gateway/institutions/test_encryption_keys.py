"""An institution with an encryption key gets its answers under that key and never in clear."""

from __future__ import annotations

import os
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from gateway.client.bank import Answer, BankClient
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.demo.people import synthetic_uscc
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.published import UNUSABLE, encryption_keys_of, published
from gateway.institutions.register import NewInstitution, add_institution, set_encryption_key
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.errors import Malformed
from keys.jwe import open_answer
from keys.sealing import generate_x25519
from keys.signing import thumbprint
from tests.gateway import kit
from tests.gateway.world import BANK, OTHER_BANK, REGULATOR, SOURCE, Citizen, World

PRIVATE, PUBLIC = generate_x25519(os.urandom)
NEWER, NEWER_PUBLIC = generate_x25519(os.urandom)


@pytest.fixture
def citizen(world: World) -> Citizen:
    made = world.citizen(kit.NUMBER)
    world.import_records([kit.loan()])
    return made


def keys_in_use(world: World, *institutions: str) -> dict[str, Any]:
    return world.house.transact(lambda tx: encryption_keys_of(tx, institutions), seals=False)


def bank(world: World, key: dict[str, str]) -> BankClient:
    return BankClient(world.url, world.bank_key, **world.pins(), encryption_key=key)


# --- registering ---


def test_registering_a_key_is_an_entry_that_says_which(world: World) -> None:
    entry = set_encryption_key(world.house, BANK, PUBLIC)
    leaf = kit.leaves(world.house)[entry.index]
    assert leaf.type == "key.published"
    assert (leaf.body.use, leaf.body.holder) == ("encryption", BANK)
    assert (leaf.body.kid, leaf.body.public) == (thumbprint(PUBLIC), PUBLIC)


def test_an_institution_may_bring_its_key_when_it_is_registered(world: World) -> None:
    other = synthetic_uscc(40)
    new = NewInstitution(other, "某银行", "finance", ("query",), encryption_key=PUBLIC)
    add_institution(world.house, new)
    assert keys_in_use(world, other, BANK) == {other: PUBLIC}


def test_the_newest_key_wins_and_the_same_one_twice_is_refused(world: World) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    set_encryption_key(world.house, BANK, NEWER_PUBLIC)
    assert keys_in_use(world, BANK) == {BANK: NEWER_PUBLIC}
    with pytest.raises(Rejected, match="published already"):
        set_encryption_key(world.house, BANK, PUBLIC)
    listed = httpx.get(world.url + "/v1/keys").json()["keys"]
    assert [key["kid"] for key in listed if key["use"] == "encryption"] == [thumbprint(NEWER_PUBLIC)]


def test_one_key_is_one_institutions(world: World) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    with pytest.raises(Rejected, match="published already"):
        set_encryption_key(world.house, OTHER_BANK, PUBLIC)


@pytest.mark.parametrize("institution", [REGULATOR, SOURCE])
def test_who_asks_nothing_needs_no_key(world: World, institution: str) -> None:
    with pytest.raises(Rejected, match="queries"):
        set_encryption_key(world.house, institution, PUBLIC)


def test_a_key_that_is_none_is_refused_without_a_leaf(world: World) -> None:
    before = kit.size(world.house)
    with pytest.raises(Malformed):
        set_encryption_key(world.house, BANK, world.bank_key.jwk)
    with pytest.raises(Rejected):
        set_encryption_key(world.house, "91990000DEMA99999X", PUBLIC)
    assert kit.size(world.house) == before


# --- answering ---


def test_an_answer_is_under_the_institutions_key_and_the_receipt_covers_what_is_inside(
    world: World, citizen: Citizen
) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    body = kit.query_body(world.consent(citizen))
    reply = kit.post_query(world, body)
    assert reply.json().keys() == {"jwe", "receipt"}
    assert "education" not in reply.text
    inside = open_answer(reply.json()["jwe"], PRIVATE)
    content = parse_canonical(inside)
    assert "education" in inside.decode()
    signed = kit.pins_of(world).disclosure(reply.json()["receipt"], body["query_id"], content)
    assert signed.receipt.answer_sha256 == sha256_hex(inside) == sha256_hex(canonical(content))


def test_another_institution_goes_on_in_clear(world: World, citizen: Citizen) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    with world.bank(world.other_key) as other:
        assert isinstance(world.query(world.consent(citizen, other), other), Answer)


def test_the_banks_client_opens_and_verifies(world: World, citizen: Citizen) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    with bank(world, PRIVATE) as client:
        answered = world.query(world.consent(citizen), client)
    assert isinstance(answered, Answer)
    assert answered.answer["records"]["loan"]


def test_an_answer_given_again_is_encrypted_too_and_to_the_key_of_then(
    world: World, citizen: Citizen
) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    body = kit.query_body(world.consent(citizen))
    first = kit.post_query(world, body).json()
    set_encryption_key(world.house, BANK, NEWER_PUBLIC)
    again = kit.post_query(world, body).json()
    assert open_answer(again["jwe"], NEWER) == open_answer(first["jwe"], PRIVATE)


def test_the_client_refuses_an_answer_in_clear_where_it_was_promised_none(
    world: World, citizen: Citizen
) -> None:
    with bank(world, PRIVATE) as client, pytest.raises(UnexpectedReply, match="not encrypted"):
        world.query(world.consent(citizen), client)


def test_a_client_without_the_key_says_that_it_needs_one(world: World, citizen: Citizen) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    with world.bank() as client, pytest.raises(UnexpectedReply, match="encrypted"):
        world.query(world.consent(citizen), client)
    with bank(world, NEWER) as client, pytest.raises(EvidenceFailed, match="does not open"):
        world.query(world.consent(citizen), client)


# --- an insider ---


def undelivered(world: World, consent: str) -> None:
    """The query is recorded, nothing leaves, and the ledger says that too."""
    reply = kit.post_query(world, kit.query_body(consent))
    kit.check_problem(reply, 503, "undelivered")
    disclosed, said = kit.leaves(world.house)[-2:]
    assert (disclosed.type, said.type) == ("query.disclosed", "query.undelivered")
    assert said.body.of == disclosed.index


def test_a_key_row_that_was_taken_away_does_not_bring_answers_in_clear(
    world: World, citizen: Citizen
) -> None:
    consent = world.consent(citizen)
    set_encryption_key(world.house, BANK, PUBLIC)
    kit.insider(world.house, "DELETE FROM published_keys WHERE use = 'encryption'")
    assert keys_in_use(world, BANK) == {BANK: UNUSABLE}
    undelivered(world, consent)


def test_an_older_key_does_not_come_back_when_the_newer_is_taken_away(world: World, citizen: Citizen) -> None:
    consent = world.consent(citizen)
    set_encryption_key(world.house, BANK, PUBLIC)
    entry = set_encryption_key(world.house, BANK, NEWER_PUBLIC)
    kit.insider(world.house, "DELETE FROM published_keys WHERE changed_index = ?", [entry.index])
    undelivered(world, consent)


def test_a_key_put_in_place_of_the_institutions_own_is_not_encrypted_to(
    world: World, citizen: Citizen
) -> None:
    consent = world.consent(citizen)
    set_encryption_key(world.house, BANK, PUBLIC)
    kit.insider(
        world.house,
        "UPDATE published_keys SET public = ? WHERE use = 'encryption'",
        [canonical(NEWER_PUBLIC).decode()],
    )
    undelivered(world, consent)


def test_another_institutions_key_does_not_serve_under_a_foreign_name(world: World, citizen: Citizen) -> None:
    consent = world.consent(citizen)
    set_encryption_key(world.house, BANK, PUBLIC)
    set_encryption_key(world.house, OTHER_BANK, NEWER_PUBLIC)
    kit.insider(world.house, "UPDATE published_keys SET holder = ? WHERE holder = ?", [BANK, OTHER_BANK])
    assert keys_in_use(world, OTHER_BANK) == {OTHER_BANK: UNUSABLE}
    assert isinstance(
        open_answer(kit.post_query(world, kit.query_body(consent)).json()["jwe"], PRIVATE), bytes
    )


def test_the_keys_of_a_whole_batch_take_one_statement(world: World) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    def read(tx: Any) -> dict[str, Any]:
        event.listen(world.house.engine, "before_cursor_execute", note)
        try:
            return encryption_keys_of(tx, [BANK, OTHER_BANK, str(uuid.uuid4())])
        finally:
            event.remove(world.house.engine, "before_cursor_execute", note)

    assert world.house.transact(read, seals=False) == {BANK: PUBLIC}
    assert len(statements) == 1


def test_a_key_that_is_gone_from_its_row_is_not_listed_as_published(world: World) -> None:
    set_encryption_key(world.house, BANK, PUBLIC)
    kit.insider(world.house, "UPDATE published_keys SET kid = 'x' WHERE use = 'encryption'")
    with world.house.read() as conn, pytest.raises(EvidenceBroken):
        published(world.house, conn, "encryption")
