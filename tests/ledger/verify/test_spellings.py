"""What a pattern matches is a leaf, letter by letter, and the members it hands on are the leaf's own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.instant import LAST_INSTANT, format_instant
from ledger.entries import By, Leaf, Sealed, Subject, format_leaf, parse_body, parse_leaf
from ledger.errors import MalformedLeaf
from ledger.verify.spellings import (
    AT,
    BY,
    FORMS,
    INDEX,
    POLICY,
    PREV,
    SEALING,
    SUBJECT_PREV,
    TAG,
    Form,
    N,
    categories,
    match,
    read,
    sound,
    spellings,
    type_of,
)
from tests.ledger.bodies import BODIES, leaves

LOG = "credit.example.cn/log0"
KNOWN = spellings(LOG)
HEX = "ab" * 32
TAGGED = "AAAAAAAAAAAAAAAAAAAAAA"
UUID = "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111"
ACTORS = {
    "institution": By(institution="91110000600037341L", operator="op-0123456789abcdef"),
    "registrar": By(registrar="gd-notary"),
    "": None,
}


def common(form: Form, body: dict[str, Any], at: str = "2026-11-21T08:00:00.000Z", index: int = 7) -> Leaf:
    """A leaf of the common form, around a body that may have more or fewer members than that."""
    for name, values in form.fixed:
        body = body | {name: body[name] if body.get(name) in values else values[0]}
    if form.options:
        body = {k: v for k, v in body.items() if k != "statute"} | {"grant": 3, "use": 2}
    body.pop("pending", None)
    return Leaf(
        log=LOG,
        index=index,
        prev=HEX,
        at=at,
        salt=TAGGED,
        type=form.type,
        body=parse_body(form.type, body),
        policy=HEX,
        subject=Subject(TAGGED, 3, HEX),
        by=ACTORS[form.by.rstrip("?")],
        sealed=Sealed(UUID, HEX) if form.sealed else None,
    )


def check(data: bytes) -> bool:
    """Whether a pattern matched; then `parse_leaf` reads the same. Skimmed and looked at, it matches too."""
    found, how = read(data, KNOWN), KNOWN.get(type_of(data))
    skimmed = None if how is None else match(data, how.skim, how)
    if how is not None and skimmed is not None and not sound([(group,) for group in skimmed], how):
        skimmed = None
    assert skimmed == (None if found is None else found[1])
    if found is None:
        return False
    number, groups = found
    leaf, form = parse_leaf(data), FORMS[number]
    assert leaf.type == form.type
    assert groups[AT] == leaf.at.encode()
    assert (int(groups[INDEX]), groups[PREV], groups[POLICY]) == (
        leaf.index,
        leaf.prev.encode(),
        leaf.policy.encode(),
    )
    assert leaf.subject is not None
    assert (int(groups[N]), groups[SUBJECT_PREV].decode(), groups[TAG].decode()) == (
        leaf.subject.n,
        leaf.subject.prev,
        leaf.subject.tag,
    )
    assert (groups[SEALING] or b"").decode() == ("" if leaf.sealed is None else leaf.sealed.key)
    by = msgspec.json.decode(groups[BY], type=By) if groups[BY] else None
    assert by == leaf.by
    for name, group in zip(form.keep, groups[1:], strict=False):
        said = getattr(leaf.body, name)
        if name == "categories":
            assert categories(group) == said
        else:
            assert group.decode() == str(said)
    return True


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.type)
@given(data=st.data())
def test_every_leaf_of_a_common_form_is_matched(form: Form, data: st.DataObject) -> None:
    made = common(form, data.draw(BODIES[form.type]), index=data.draw(st.integers(0, 10**15 - 1)))
    big = any(isinstance(v, int) and v >= 10**15 for v in msgspec.structs.asdict(made.body).values())
    assert check(format_leaf(made)) is not big


@given(st.integers(0, LAST_INSTANT).map(format_instant))
def test_every_time_that_exists_is_matched_but_the_29_february(at: str) -> None:
    body = {"query": UUID, "reason": "no-consent", "purpose": "02"}
    assert check(format_leaf(common(FORMS[2], body, at))) is (at[5:10] != "02-29")


@given(leaves(), st.data())
def test_what_is_matched_after_any_change_is_a_leaf_still(made: Leaf, data: st.DataObject) -> None:
    written = bytearray(format_leaf(msgspec.structs.replace(made, log=LOG)))
    check(bytes(written))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    check(bytes(written))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.type)
@given(data=st.data())
def test_what_is_matched_after_a_splice_is_a_leaf_still(form: Form, data: st.DataObject) -> None:
    """Pieces taken out, doubled or put elsewhere: duplicates, other orders, members of other types."""
    written = format_leaf(common(form, data.draw(BODIES[form.type])))
    places = sorted(data.draw(st.lists(st.integers(0, len(written)), min_size=3, max_size=3)))
    a, b, c = places
    for other in (
        written[:a] + written[b:],
        written[:b] + written[a:],
        written[:a] + written[b:c] + written[a:b] + written[c:],
        written[:a] + b'"' + written[a:],
        written[:a] + b" " + written[a:],
    ):
        check(other)


@pytest.mark.parametrize(
    "listed",
    [b"[]", b'["b","a"]', b'["a","a"]', b'["a",]', b'["a" ,"b"]', b"[a]", b'["A"]', b'["1a"]', b'[""]',
     b'["' + b"a" * 33 + b'"]', b'["a""b"]'],
)  # fmt: skip
def test_a_list_that_no_leaf_may_have_is_left_to_the_rules(listed: bytes) -> None:
    assert categories(listed) is None


def test_a_leaf_of_another_log_is_left_to_the_rules() -> None:
    body = {"query": UUID, "reason": "no-consent", "purpose": "02"}
    data = format_leaf(msgspec.structs.replace(common(FORMS[2], body), log="credit.example.cn/log1"))
    assert read(data, KNOWN) is None


def test_no_pattern_matches_what_is_no_leaf() -> None:
    body = {"query": UUID, "reason": "no-consent", "purpose": "02"}
    data = format_leaf(common(FORMS[2], body))
    for wrong in (
        data + b"\n",
        data.replace(b"2026-11-21", b"2026-02-30"),
        data.replace(b'"index":7', b'"index":07'),
    ):
        with pytest.raises(MalformedLeaf):
            parse_leaf(wrong)
        assert read(wrong, KNOWN) is None
