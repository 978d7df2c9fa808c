"""A leaf that is made in two steps has the bytes of one that is spelt at once, and is refused alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.canonical import unb64u
from keys.instant import parse_instant
from ledger.bodies import LEAF_TYPES
from ledger.bodies.plain import spell_plain
from ledger.drafts import Closed, Draft, Ready, Sealing, close, frame_of, make_ready
from ledger.entries import By, Leaf, format_leaf, parse_body, spell_sealed
from ledger.errors import MalformedLeaf
from tests.ledger.bodies import BODIES, leaves
from tests.ledger.kit import BANK, NOON, ORIGIN, POLICY, UUID, Counter, refused, seal, wrap

HEX = "ab" * 32
TAG = b"anna tag 16 byte"
SEALING = Sealing(seal, wrap, 1)
ANSWER: dict[str, Any] = {
    "query": UUID,
    "grant": 3,
    "purpose": "02",
    "categories": ["judgment", "loan"],
    "use": 1,
    "commitment": HEX,
    "request": HEX,
}
PLAIN: dict[str, dict[str, Any]] = {
    "query.disclosed": ANSWER,
    "query.predicate": ANSWER | {"predicate": "clean"},
    "query.redelivered": {"of": 7},
    "query.refused": {"query": UUID, "reason": "no-consent", "purpose": "02"},
}


def spelt(body: dict[str, Any], type_: str) -> bytes:
    """As it is read and spelt member by member."""
    return msgspec.json.encode(parse_body(type_, body), order="sorted")


def in_two_steps(leaf: Leaf) -> bytes:
    """The same leaf, made ready and then put in its place."""
    by, about, sealed = leaf.by, leaf.subject, leaf.sealed
    draft = Draft(
        type=leaf.type,
        body=msgspec.to_builtins(leaf.body),
        tag=None if about is None else unb64u(about.tag),
        by=None if by is None else msgspec.to_builtins(by),
        details=None if sealed is None else {"sealed": "elsewhere"},
    )
    ready = make_ready(draft, lambda _size: unb64u(leaf.salt), SEALING)
    if sealed is not None and ready.closed is not None:
        stand_in = spell_sealed(ready.closed.key, ready.closed.sha256)
        member = spell_sealed(sealed.key, bytes.fromhex(sealed.sha256))
        ready = msgspec.structs.replace(ready, salted=ready.salted.replace(stand_in, member))
    frame = frame_of(leaf.log, parse_instant(leaf.at), leaf.policy)
    before = bytes.fromhex(leaf.prev)
    if about is None:
        return frame.leaf(ready, leaf.index, before)
    return frame.leaf_about(ready, leaf.index, before, about.n, bytes.fromhex(about.prev))


@pytest.mark.parametrize("type_", sorted(LEAF_TYPES))
@settings(max_examples=25)
@given(data=st.data())
def test_a_leaf_of_two_steps_is_the_leaf_spelt_at_once(type_: str, data: st.DataObject) -> None:
    made = data.draw(leaves(st.just(type_)))
    assert in_two_steps(made) == format_leaf(made)


@pytest.mark.parametrize("type_", sorted(PLAIN))
@settings(max_examples=50)
@given(data=st.data())
def test_a_plain_body_is_spelt_as_one_that_was_read(type_: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[type_] | st.just(PLAIN[type_]))
    assert spell_plain(type_, body) in (None, spelt(body, type_))


@pytest.mark.parametrize("type_", sorted(PLAIN))
def test_the_common_bodies_are_plain(type_: str) -> None:
    body = PLAIN[type_]
    assert spell_plain(type_, body) == spelt(body, type_)
    assert spell_plain(type_, dict(reversed(body.items()))) == spelt(body, type_)


@pytest.mark.parametrize("type_", sorted(PLAIN))
@given(data=st.data())
def test_what_is_plain_would_not_have_been_refused(type_: str, data: st.DataObject) -> None:
    """A body with one member that is anything: it is plain only if reading it gives the same bytes."""
    name = data.draw(st.sampled_from([*PLAIN[type_], "note"]))
    value = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        | st.sampled_from([HEX, HEX + "\n", HEX.upper(), UUID, "02", "02\n", "02\0", "clean", '"'])
        | st.sampled_from([1, 2**53, -1, 1.0])
        | st.lists(st.sampled_from(["judgment", "loan", "Loan", "", "loan\n", '","', "a"]), max_size=3)
    )  # fmt: skip
    body = PLAIN[type_] | {name: value}
    found = spell_plain(type_, body)
    if found is not None:
        assert found == spelt(body, type_)


@pytest.mark.parametrize(
    "categories",
    [[], ["loan", "judgment"], ["loan", "loan"], ["Loan"], ["loan", ""], "loan", ["a" * 33], [["loan"]]],
    ids=str,
)
def test_categories_that_are_no_set_are_refused(categories: Any) -> None:
    body = ANSWER | {"categories": categories}
    assert spell_plain("query.disclosed", body) is None
    with pytest.raises(MalformedLeaf):
        make_ready(Draft("query.disclosed", body, tag=TAG, by=BANK), Counter())


@pytest.mark.parametrize("by", [{"operator": []}, {"operator": BANK["operator"]}, BANK | {"note": "x"}, {}])
def test_an_actor_that_is_none_is_refused_each_time(by: Any) -> None:
    for _ in range(2):
        with pytest.raises(MalformedLeaf, match=r"^by: "):
            make_ready(msgspec.structs.replace(refused(TAG), by=by), Counter())


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": {"registrar": "gd-notary"}},
        {"tag": None},
        {"tag": TAG[:-1]},
        {"type": "log.closed"},
        {"body": {}},
    ],
    ids=str,
)
def test_a_draft_that_could_never_be_a_leaf_is_refused_before_the_lock(wrong: dict[str, Any]) -> None:
    make_ready(refused(TAG), Counter())
    with pytest.raises(MalformedLeaf):
        make_ready(msgspec.structs.replace(refused(TAG), **wrong), Counter())


def test_a_salt_of_another_length_is_refused() -> None:
    with pytest.raises(MalformedLeaf):
        make_ready(refused(TAG), lambda size: bytes(size - 1))


@pytest.mark.parametrize(
    ("origin", "policy"), [("a b", POLICY), (ORIGIN, POLICY[:-1]), (ORIGIN, HEX.upper())]
)
def test_a_frame_that_no_leaf_could_have_is_refused(origin: str, policy: str) -> None:
    frame_of(ORIGIN, NOON, POLICY)
    with pytest.raises(MalformedLeaf):
        frame_of(origin, NOON, policy)


def test_a_sealing_key_without_a_proper_id_is_refused() -> None:
    draft = refused(TAG, details={"request": {}})
    with pytest.raises(MalformedLeaf):
        make_ready(draft, Counter(), Sealing(lambda details, _salt: ("no id", details), wrap, 1))
    with pytest.raises(MalformedLeaf):
        make_ready(draft, Counter())


def test_details_are_kept_as_they_stand_in_the_leaf() -> None:
    ready: Ready = make_ready(refused(TAG, details={"request": {}}), Counter(), Sealing(seal, wrap, 7))
    assert isinstance(ready.closed, Closed)
    assert (ready.closed.key, ready.closed.epoch) == (UUID, 7)
    assert ready.closed.blob.startswith(b"wrapped:" + ready.closed.sha256)
    assert ready.closed.sha256.hex().encode() in ready.salted


def test_details_closed_beforehand_are_the_leafs_own_with_their_salt() -> None:
    closed = close({"request": {}}, Counter(), SEALING)
    early = make_ready(refused(TAG, details=closed), Counter())
    late = make_ready(refused(TAG, details={"request": {}}), Counter(), SEALING)
    assert early.salt == closed.salt
    assert (early.salted, early.acted, early.ending) == (late.salted, late.acted, late.ending)
    assert early.closed == late.closed


def test_a_hash_of_another_length_is_no_member() -> None:
    with pytest.raises(MalformedLeaf):
        spell_sealed(UUID, bytes(31))


def test_only_the_new_policy_of_its_own_leaf_is_told() -> None:
    changed = make_ready(Draft("policy.changed", {"policy": HEX, "replaces": POLICY}), Counter())
    assert (changed.policy, make_ready(refused(TAG), Counter()).policy) == (HEX, None)


def test_who_acts_is_spelt_as_it_was_read() -> None:
    ready = make_ready(refused(TAG), Counter())
    assert b',"by":' + msgspec.json.encode(By(**BANK)) + b"," in ready.acted
