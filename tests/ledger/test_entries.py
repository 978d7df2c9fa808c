"""Every type of leaf has one spelling, and nothing but that spelling is read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.canonical import canonical
from keys.signing import thumbprint
from ledger.bodies import LEAF_TYPES
from ledger.entries import (
    MAX_LEAF,
    By,
    Leaf,
    Sealed,
    Subject,
    format_leaf,
    parse_body,
    parse_by,
    parse_leaf,
)
from ledger.errors import LedgerError, MalformedLeaf
from ledger.members import ZERO_HASH
from tests.ledger.bodies import BODIES, leaves

HEX = "ab" * 32
UUID = "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111"
TAG = "AAAAAAAAAAAAAAAAAAAAAA"
BANK = By(institution="91110000600037341L", operator="op-0123456789abcdef")
DISCLOSED: dict[str, Any] = {
    "query": UUID,
    "grant": 3,
    "purpose": "02",
    "categories": ["judgment", "loan"],
    "use": 1,
    "commitment": HEX,
    "request": HEX,
}


def leaf(type_: str = "query.disclosed", body: dict[str, Any] | None = None, **members: Any) -> Leaf:
    given_: dict[str, Any] = {
        "log": "credit.example.cn/log0",
        "index": 7,
        "prev": HEX,
        "at": "2026-11-21T08:00:00.000Z",
        "salt": TAG,
        "type": type_,
        "body": parse_body(type_, DISCLOSED if body is None else body),
        "policy": HEX,
        "subject": Subject(TAG, 3, HEX),
        "by": BANK,
        "sealed": Sealed(UUID, HEX),
    }
    return Leaf(**(given_ | members))


def members() -> dict[str, Any]:
    return dict(json.loads(format_leaf(leaf())))


def test_leaf_has_these_bytes() -> None:
    body = (
        '{"categories":["judgment","loan"],"commitment":"HEX","grant":3,"purpose":"02",'
        '"query":"3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111","request":"HEX","use":1}'
    )
    expected = (
        '{"at":"2026-11-21T08:00:00.000Z","body":' + body + ","
        '"by":{"institution":"91110000600037341L","operator":"op-0123456789abcdef"},"index":7,'
        '"log":"credit.example.cn/log0","policy":"HEX","prev":"HEX","salt":"AAAAAAAAAAAAAAAAAAAAAA",'
        '"sealed":{"key":"3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111","sha256":"HEX"},'
        '"subject":{"n":3,"prev":"HEX","tag":"AAAAAAAAAAAAAAAAAAAAAA"},"type":"query.disclosed","v":1}'
    )
    assert format_leaf(leaf()) == expected.replace("HEX", HEX).encode()


def test_every_type_of_leaf_is_generated_here() -> None:
    assert set(BODIES) == set(LEAF_TYPES)


@pytest.mark.parametrize("type_", sorted(LEAF_TYPES))
@settings(max_examples=25)
@given(data=st.data())
def test_every_type_reads_what_it_writes(type_: str, data: st.DataObject) -> None:
    made = data.draw(leaves(st.just(type_)))
    written = format_leaf(made)
    assert parse_leaf(written) == made
    assert format_leaf(parse_leaf(written)) == written
    assert rfc8785.dumps(json.loads(written)) == written


@pytest.mark.parametrize("type_", sorted(LEAF_TYPES))
@settings(max_examples=10)
@given(data=st.data())
def test_body_with_a_member_more_or_less_is_refused(type_: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[type_])
    with pytest.raises(MalformedLeaf):
        parse_body(type_, body | {"note": "x"})
    with pytest.raises(MalformedLeaf):
        parse_body(type_, {})
    for name in LEAF_TYPES[type_].__struct_fields__:
        if name in body:
            with pytest.raises(MalformedLeaf):
                parse_body(type_, body | {name: {"nothing": "of the kind"}})
            with pytest.raises(MalformedLeaf):
                parse_body(type_, body | {name: False})


@given(leaves(), st.data())
def test_changed_bytes_are_another_leaf_or_none(made: Leaf, data: st.DataObject) -> None:
    written = bytearray(format_leaf(made))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    try:
        other = parse_leaf(bytes(written))
    except MalformedLeaf:
        return
    assert other != made
    assert format_leaf(other) == bytes(written)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode())
)
def test_what_is_no_leaf_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(MalformedLeaf):
        parse_leaf(data)


@pytest.mark.parametrize(
    "type_", ["query.predicate", "consent.grant", "", "query", "QUERY.DISCLOSED", "query.disclosed "]
)
def test_unknown_type_is_refused(type_: str) -> None:
    with pytest.raises(MalformedLeaf):
        parse_leaf(canonical(members() | {"type": type_}))
    with pytest.raises(MalformedLeaf):
        parse_body(type_, DISCLOSED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("v", "1"),
        ("v", True),
        ("log", ""),
        ("log", "a+b"),
        ("log", "a b"),
        ("index", -1),
        ("index", 2**53),
        ("index", "7"),
        ("prev", HEX.upper()),
        ("prev", HEX[:-1]),
        ("at", "2026-11-21T08:00:00Z"),
        ("at", "2026-02-30T08:00:00.000Z"),
        ("at", "2026-11-21T08:00:60.000Z"),
        ("at", "2026-11-21T08:00:00.000Z\n"),
        ("salt", TAG + "="),
        ("salt", TAG[:-1] + "B"),
        ("salt", TAG[:-1]),
        ("policy", HEX + "\n"),
        ("note", "x"),
        ("subject", {"tag": TAG, "n": 0, "prev": ZERO_HASH}),
        ("subject", {"tag": TAG, "n": 1}),
        ("subject", {"tag": TAG, "n": 1, "prev": ZERO_HASH, "name": "x"}),
        ("by", {}),
        ("by", {"operator": BANK.operator}),
        ("by", {"institution": BANK.institution}),
        ("by", {"registrar": "registrar-1"}),
        ("by", {"institution": BANK.institution, "operator": BANK.operator, "registrar": "registrar-1"}),
        ("by", {"institution": "91110000600037341I", "operator": BANK.operator}),
        ("by", {"institution": BANK.institution, "operator": "op-0123456789ABCDEF"}),
        ("sealed", {"key": UUID.upper(), "sha256": HEX}),
        ("sealed", {"key": UUID}),
    ],
)
def test_member_out_of_its_form_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MalformedLeaf):
        parse_leaf(json.dumps(members() | {name: value}, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("name", [*sorted(set(Leaf.__struct_fields__) - {"sealed"}), "v"])
def test_leaf_without_a_member_is_refused(name: str) -> None:
    rest = members()
    del rest[name]
    with pytest.raises(MalformedLeaf):
        parse_leaf(canonical(rest))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("categories", []),
        ("categories", ["loan", "judgment"]),
        ("categories", ["loan", "loan"]),
        ("categories", ["Loan"]),
        ("categories", ["loan\n"]),
        ("purpose", "2"),
        ("purpose", "002"),
        ("purpose", "٠٢"),
        ("use", 0),
        ("use", 1.0),
        ("use", True),
        ("grant", -1),
        ("query", UUID.replace("-", "")),
        ("commitment", HEX[2:]),
    ],
)
def test_body_out_of_its_form_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MalformedLeaf):
        parse_body("query.disclosed", DISCLOSED | {name: value})


@pytest.mark.parametrize(
    "respelled",
    [
        lambda data: data + b"\n",
        lambda data: b" " + data,
        lambda data: data.replace(b'":', b'": ', 1),
        lambda data: data.replace(b'"index":7', b'"index":7,"index":7'),
        lambda data: data.replace(b'"use":1', b'"use":1.0'),
        lambda data: data.replace(b'"use":1', b'"use":1e0'),
        lambda data: data.replace(b"judgment", b"\\u006audgment"),
        lambda data: data.replace(b"credit.example.cn/log0", b"credit.example.cn\\/log0"),
        lambda data: data.replace(b',"v":1}', b"}").replace(b"{", b'{"v":1,', 1),
        lambda data: (
            data.replace(b',"v":1}', b',"sealed":null,"v":1}') if b"sealed" not in data else data[:-1]
        ),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
    ],
)
def test_other_spelling_of_a_leaf_is_refused(respelled: Any) -> None:
    data = format_leaf(leaf(sealed=None))
    other = respelled(data)
    assert other != data
    with pytest.raises(MalformedLeaf):
        parse_leaf(other)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=43, max_size=43))
def test_free_text_in_a_leaf_is_spelt_as_rfc_8785_spells_it(text: str) -> None:
    """A published key's coordinate is the one member whose characters no pattern bounds."""
    public = {"kty": "OKP", "crv": "Ed25519", "x": text}
    body = {"use": "receipt", "kid": thumbprint(public), "public": public, "holder": "credit.example.cn/log0"}
    written = format_leaf(leaf("key.published", body, subject=None, by=None, sealed=None))
    assert rfc8785.dumps(json.loads(written)) == written


def test_null_is_not_an_absent_member() -> None:
    body = {"institution": BANK.institution, "reason": "misuse"}
    written = format_leaf(leaf("institution.suspended", body, subject=None))
    with pytest.raises(MalformedLeaf):
        parse_leaf(written.replace(b'"misuse"', b'"misuse","until":null'))


@given(leaves())
def test_tag_stands_on_leaves_about_a_person_and_on_no_other(made: Leaf) -> None:
    other = None if made.subject is not None else Subject(TAG, 1, ZERO_HASH)
    with pytest.raises(MalformedLeaf):
        format_leaf(msgspec.structs.replace(made, subject=other))


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        ("subject.enrolled", None),
        ("subject.enrolled", BANK),
        ("consent.granted", BANK),
        ("consent.withdrawn", BANK),
        ("consent.declined", By(registrar="registrar-1")),
        ("consent.requested", None),
        ("query.disclosed", None),
        ("query.predicate", None),
        ("query.pending", None),
        ("query.redelivered", None),
        ("query.throttled", BANK),
        ("query.unsealed", BANK),
        ("query.refused", By(registrar="registrar-1")),
        ("log.opened", By(registrar="registrar-1")),
    ],
)
@settings(max_examples=5)
@given(data=st.data())
def test_leaf_in_the_name_of_the_wrong_kind_of_actor_is_refused(
    type_: str, wrong: By | None, data: st.DataObject
) -> None:
    made = data.draw(leaves(st.just(type_)))
    with pytest.raises(MalformedLeaf):
        format_leaf(msgspec.structs.replace(made, by=wrong))


@given(BODIES["key.published"], BODIES["key.published"])
def test_key_under_another_keys_name_is_refused(body: dict[str, Any], other: dict[str, Any]) -> None:
    if body["kid"] != other["kid"]:
        with pytest.raises(MalformedLeaf):
            parse_body("key.published", body | {"kid": other["kid"]})
    with pytest.raises(MalformedLeaf):
        parse_body("key.published", body | {"public": body["public"] | {"d": "AAAA"}})


def test_leaf_that_a_bundle_could_not_hold_is_refused() -> None:
    names = [f"c{number:031}" for number in range(256)]
    big = {
        "id": UUID,
        "sha256": HEX,
        "sealed": [{"kid": f"{number:042}A", "sealed": "A" * 1024} for number in range(59)],
    }
    assert len(format_leaf(leaf("key.sealing", big, subject=None))) <= MAX_LEAF
    assert format_leaf(leaf(body=DISCLOSED | {"categories": names}))
    big["sealed"] = [{"kid": f"{number:042}A", "sealed": "A" * 1024} for number in range(61)]
    with pytest.raises(MalformedLeaf, match="65,535"):
        format_leaf(leaf("key.sealing", big, subject=None))
    with pytest.raises(MalformedLeaf, match="65,535"):
        parse_leaf(b" " * (MAX_LEAF + 1))


def test_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(MalformedLeaf) as refused:
        parse_body("subject.read", {"what": "110101199003070011"})
    assert "110101199003070011" not in str(refused.value)
    with pytest.raises(MalformedLeaf) as refused:
        parse_by({"institution": "110101199003070011", "operator": "x"})
    assert "110101199003070011" not in str(refused.value)


def test_one_root_catches_what_the_ledger_raises() -> None:
    assert issubclass(MalformedLeaf, LedgerError)
    assert leaf().instant == 1_795_248_000_000


def test_a_draft_with_half_a_surrogate_pair_is_refused() -> None:
    half = "\ud800"
    with pytest.raises(MalformedLeaf):
        parse_by({"institution": BANK.institution or "", half: "x"})
    with pytest.raises(MalformedLeaf):
        parse_body("query.disclosed", DISCLOSED | {half: "x"})
