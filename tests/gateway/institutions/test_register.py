"""Standing: who may act, from which leaf on, until when; every change an entry."""

from __future__ import annotations

import uuid

import pytest

from gateway.client.bank import Answer
from gateway.demo.people import synthetic_uscc
from gateway.errors import Rejected
from gateway.institutions.register import (
    NewInstitution,
    add_institution,
    add_operator,
    listed,
    reinstate,
    suspend,
)
from keys.errors import BadIdentifier
from keys.instant import format_instant
from keys.sealing import generate_x25519
from keys.signing import PublicKey, parse_public_jwk
from tests.gateway import kit
from tests.gateway.world import BANK, OTHER_BANK, REGULATOR, SOURCE, World, fresh_key

NEW = synthetic_uscc(77)
HOUR_MS = 3_600_000


def public(alg: str = "Ed25519") -> PublicKey:
    return parse_public_jwk(fresh_key(alg).jwk)


def test_a_suspended_operator_is_refused_on_the_next_query_and_others_are_not(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    colleague = fresh_key()
    add_operator(world.house, BANK, parse_public_jwk(colleague.jwk), ["query"])
    assert isinstance(world.query(consent), Answer)
    suspended = suspend(world.house, "operator", world.operators[BANK], "left")
    leaf = kit.check_refused(world, world.query(consent), "operator-suspended")
    assert leaf.index > suspended.index
    assert isinstance(world.query(consent, world.bank(colleague)), Answer)
    suspend(world.house, "institution", BANK, "audit-failed")
    kit.check_refused(world, world.query(consent, world.bank(colleague)), "institution-suspended")


def test_a_suspension_until_a_time_lapses_by_itself_without_a_leaf(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    until = world.clock() + HOUR_MS
    entry = suspend(world.house, "institution", BANK, "audit-failed", until)
    assert kit.leaves(world.house)[entry.index].body.until == format_instant(until)
    kit.check_refused(world, world.query(consent), "institution-suspended")
    world.clock.offset += HOUR_MS + 1_000
    before = kit.size(world.house)
    assert isinstance(world.query(consent), Answer)
    new = {leaf.type for leaf in kit.leaves(world.house)[before:]}
    assert new - {"key.sealing"} == {"query.disclosed"}  # past midnight the day's sealing key comes first
    with pytest.raises(Rejected):
        reinstate(world.house, "institution", BANK, "late")
    suspend(world.house, "institution", BANK, "again")
    kit.check_refused(world, world.query(consent), "institution-suspended")


def test_an_operator_of_another_bank_gets_nothing_under_this_banks_consent(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    kit.check_refused(world, world.query(consent, world.bank(world.other_key)), "no-consent")


def test_an_unregistered_key_is_401_and_leaves_nothing(world: World) -> None:
    before = kit.size(world.house)
    reply = kit.post_query(world, kit.query_body(str(uuid.uuid4())), fresh_key())
    assert (reply.status_code, kit.name_of(reply)) == (401, "unknown-key")
    assert kit.size(world.house) == before


def test_a_citizens_key_is_no_operators(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    assert kit.name_of(kit.post_query(world, kit.query_body(consent), citizen.key)) == "unknown-key"


@pytest.mark.parametrize("roles", [["admin", "query"], ["admin", "approve"], ["admin", "audit"], []])
def test_roles_that_no_operator_has_together_are_refused(world: World, roles: list[str]) -> None:
    with pytest.raises(Rejected):
        add_operator(world.house, BANK, public(), roles)


def test_an_operator_has_only_roles_of_its_institution(world: World) -> None:
    for institution, roles in (
        (BANK, ["audit"]),
        (SOURCE, ["query"]),
        (REGULATOR, ["query"]),
        (BANK, ["source"]),
    ):
        with pytest.raises(Rejected):
            add_operator(world.house, institution, public(), roles)


def test_only_who_may_query_has_approvers(world: World) -> None:
    key = public()
    with pytest.raises(Rejected, match="allows its operators"):
        add_operator(world.house, SOURCE, key, ["approve"])
    operator, _ = add_operator(world.house, BANK, key, ["approve", "query"])
    assert kit.row_of(world.house, "operators", "operator = ?", operator)["roles"] == "approve query"


def test_one_key_is_one_operators(world: World) -> None:
    key = parse_public_jwk(world.bank_key.jwk)
    with pytest.raises(Rejected):
        add_operator(world.house, OTHER_BANK, key, ["query"])


def test_an_operator_signs_with_ed25519(world: World) -> None:
    with pytest.raises(Rejected):
        add_operator(world.house, BANK, public("ES256"), ["query"])


def test_who_is_not_registered_has_no_operators_and_no_standing_to_change(world: World) -> None:
    for act in (
        lambda: add_operator(world.house, NEW, public(), ["query"]),
        lambda: suspend(world.house, "institution", NEW, "gone"),
        lambda: reinstate(world.house, "operator", "op-0000000000000000", "back"),
    ):
        with pytest.raises(Rejected):
            act()


REFUSED = {
    "a-sector-of-nobody": NewInstitution(NEW, "银行", "church", ("query",)),
    "a-role-of-another-sector": NewInstitution(NEW, "银行", "finance", ("audit",)),
    "no-role": NewInstitution(NEW, "银行", "finance", ()),
    "a-source-that-would-query": NewInstitution(NEW, "信源", "source", ("query",)),
    "a-registrar-without-its-key": NewInstitution(NEW, "核验", "registrar", ("registrar",)),
    "a-regulator-without-its-key": NewInstitution(NEW, "监管", "regulator", ("audit",)),
    "a-bank-with-a-registrars-key": NewInstitution(
        NEW, "银行", "finance", ("query",), registrar_key=public()
    ),
    "a-bank-with-a-sealing-key": NewInstitution(
        NEW, "银行", "finance", ("query",), regulator_key=generate_x25519(bytes)[1]
    ),
    "no-name": NewInstitution(NEW, "  ", "finance", ("query",)),
    "a-name-with-a-line-break": NewInstitution(NEW, "银\n行", "finance", ("query",)),
    "registered-already": NewInstitution(BANK, "银行", "finance", ("query",)),
}


@pytest.mark.parametrize("new", REFUSED.values(), ids=REFUSED.keys())
def test_an_institution_that_is_not_in_order_is_not_registered(world: World, new: NewInstitution) -> None:
    before = kit.size(world.house)
    with pytest.raises(Rejected):
        add_institution(world.house, new)
    assert kit.size(world.house) == before
    assert len(listed(world.house, "institution")) == 5


def test_a_code_with_a_wrong_check_character_is_not_registered(world: World) -> None:
    with pytest.raises(BadIdentifier):
        add_institution(world.house, NewInstitution(NEW[:-1] + "0", "银行", "finance", ("query",)))


def test_a_second_registrar_with_the_same_key_leaves_nothing_of_itself(world: World) -> None:
    """The institution's own leaf is undone with the key that could not be published."""
    before = kit.size(world.house)
    key = parse_public_jwk(world.registrar.key.jwk)
    with pytest.raises(Rejected):
        add_institution(
            world.house, NewInstitution(NEW, "核验", "registrar", ("registrar",), registrar_key=key)
        )
    assert kit.size(world.house) == before
    assert NEW not in {one["institution"] for one in listed(world.house, "institution")}


def test_standing_changes_once(world: World) -> None:
    with pytest.raises(Rejected):
        reinstate(world.house, "institution", BANK, "never-suspended")
    suspend(world.house, "institution", BANK, "audit-failed")
    with pytest.raises(Rejected):
        suspend(world.house, "institution", BANK, "again")
    with pytest.raises(Rejected):
        suspend(world.house, "institution", OTHER_BANK, "too-late", until=world.clock() - 1)


def test_the_list_shows_standing_and_no_keys(world: World) -> None:
    suspend(world.house, "operator", world.operators[BANK], "left")
    shown = {one["operator"]: one for one in listed(world.house, "operator")}
    assert shown[world.operators[BANK]]["state"] == "suspended"
    assert shown[world.operators[OTHER_BANK]]["state"] == "active"
    assert all(not {"jwk", "kid", "mac"} & one.keys() for one in shown.values())


def test_however_their_keys_sort_every_regulator_is_sealed_to(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    for serial in range(5):
        key = generate_x25519(lambda count, first=serial: bytes(range(first, first + count)))[1]
        add_institution(
            world.house,
            NewInstitution(synthetic_uscc(80 + serial), "监管", "regulator", ("audit",), regulator_key=key),
        )
        assert isinstance(world.query(consent), Answer)
        listed_to = [one.kid for one in kit.of_type(world.house, "key.sealing")[-1].body.sealed]
        assert len(listed_to) == serial + 2
        assert listed_to == sorted(listed_to)


def test_a_new_regulator_gets_a_new_sealing_key_before_the_next_sealed_leaf(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    world.query(consent)
    key = generate_x25519(lambda count: bytes(range(count)))[1]
    add_institution(world.house, NewInstitution(NEW, "二号监管", "regulator", ("audit",), regulator_key=key))
    world.query(consent)
    first, second = kit.of_type(world.house, "key.sealing")[-2:]
    assert (len(first.body.sealed), len(second.body.sealed)) == (1, 2)
    answers = kit.of_type(world.house, "query.disclosed")
    assert [leaf.sealed.key for leaf in answers] == [first.body.id, second.body.id]
