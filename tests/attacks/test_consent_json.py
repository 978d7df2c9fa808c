"""A consent whose JSON reads two ways is read in neither: duplicate members, big numbers, trailing data.

What the citizen signed is the honest document. What is sent is meant to be that to whoever verifies, and
something else to whoever acts: a longer reader, a wider number, the first or the last of two members. Only a
body that has one reading is heard (RFC 8259 section 4 leaves the others open).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from keys.canonical import canonical
from tests.attacks.lure import Lure
from tests.attacks.siege import Attack, Attacks, besieged, check_refused, nothing_given, somebody
from tests.gateway.world import Citizen, World

NEXT = count(100)
ATTACKS = Attacks()
malformed = ATTACKS.refused(400, "malformed-body")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


def honest(lure: Lure) -> bytes:
    return canonical(lure.body())


def with_uses(lure: Lure, written: bytes) -> bytes:
    """The honest body, its `max_uses` of 3 written otherwise."""
    body = honest(lure)
    assert body.count(b'"max_uses":3') == 1
    return body.replace(b'"max_uses":3', b'"max_uses":' + written)


# --- members that are there twice


@malformed
def two_documents(lure: Lure) -> bytes:
    wider = canonical(lure.document(categories=["employment", "loan", "repayment"]))
    return b'{"document":' + wider + b"," + honest(lure)[1:]


@malformed
def two_documents_the_honest_first(lure: Lure) -> bytes:
    return honest(lure)[:-1] + b',"document":' + canonical(lure.document(purpose="03")) + b"}"


@malformed
def two_proofs(lure: Lure) -> bytes:
    return b'{"proof":"x",' + honest(lure)[1:]


@malformed
def a_member_twice_inside_the_document(lure: Lure) -> bytes:
    return with_uses(lure, b'3,"max_uses":10')


@malformed
def the_same_member_twice_with_one_value(lure: Lure) -> bytes:
    return with_uses(lure, b'3,"max_uses":3')


@malformed
def a_member_twice_by_an_escape(lure: Lure) -> bytes:
    return with_uses(lure, b'3,"max\\u005fuses":10')


@malformed
def a_member_twice_by_its_case(lure: Lure) -> bytes:
    return with_uses(lure, b'3,"Max_uses":10')


@malformed
def a_member_of_the_language(lure: Lure) -> bytes:
    """What pollutes the prototype of a reader in JavaScript."""
    return with_uses(lure, b'3,"__proto__":{"max_uses":10}')


# --- numbers


@malformed
def a_number_beyond_2_to_the_53(lure: Lure) -> bytes:
    """A reader with doubles takes 2^53 + 1 for 2^53."""
    return with_uses(lure, b"9007199254740993")


@malformed
def a_number_that_wraps_to_three(lure: Lure) -> bytes:
    """3 to a reader with 64 bits."""
    return with_uses(lure, b"18446744073709551619")


@malformed
def a_number_of_ten_thousand_digits(lure: Lure) -> bytes:
    return with_uses(lure, b"3" * 10_000)


@malformed
def a_float(lure: Lure) -> bytes:
    return with_uses(lure, b"3.0")


@malformed
def a_float_that_rounds_to_three(lure: Lure) -> bytes:
    return with_uses(lure, b"3.0000000000000000000001")


@malformed
def an_exponent(lure: Lure) -> bytes:
    return with_uses(lure, b"3e0")


@malformed
def an_infinite_number(lure: Lure) -> bytes:
    return with_uses(lure, b"1e999")


@malformed
def a_word_for_a_number(lure: Lure) -> bytes:
    return with_uses(lure, b"Infinity")


@malformed
def a_leading_nought(lure: Lure) -> bytes:
    return with_uses(lure, b"03")


@malformed
def a_number_in_quotes(lure: Lure) -> bytes:
    return with_uses(lure, b'"3"')


@malformed
def a_truth_for_a_number(lure: Lure) -> bytes:
    """`true` is 1 to many a reader."""
    return with_uses(lure, b"true")


@malformed
def a_null_for_a_number(lure: Lure) -> bytes:
    return with_uses(lure, b"null")


# --- more than one value, or another encoding


@malformed
def trailing_data(lure: Lure) -> bytes:
    return honest(lure) + honest(Lure(lure.world, lure.citizen))


@malformed
def a_trailing_brace(lure: Lure) -> bytes:
    return honest(lure) + b"}"


@malformed
def a_trailing_nought_byte(lure: Lure) -> bytes:
    return honest(lure) + b"\0"


@malformed
def a_trailing_comma(lure: Lure) -> bytes:
    return honest(lure)[:-1] + b",}"


@malformed
def a_comment(lure: Lure) -> bytes:
    return with_uses(lure, b'/*3,"max_uses":*/3')


@malformed
def a_byte_order_mark(lure: Lure) -> bytes:
    return b"\xef\xbb\xbf" + honest(lure)


@malformed
def utf_16(lure: Lure) -> bytes:
    return honest(lure).decode().encode("utf-16")


@malformed
def an_overlong_letter(lure: Lure) -> bytes:
    """`/` in two bytes, which RFC 3629 forbids."""
    return honest(lure).replace(b"/v1", b"\xc0\xafv1", 1)


@malformed
def a_lone_surrogate(lure: Lure) -> bytes:
    return honest(lure).replace(b'"loan"', b'"loan\\ud800"', 1)


@malformed
def a_nought_inside_a_word(lure: Lure) -> bytes:
    """Where a reader in C would stop."""
    return honest(lure).replace(b'"loan"', b'"loan\\u0000"', 1)


@malformed
def a_list_of_one_body(lure: Lure) -> bytes:
    return b"[" + honest(lure) + b"]"


@malformed
def a_body_in_quotes(lure: Lure) -> bytes:
    return json.dumps(honest(lure).decode()).encode()


@malformed
def a_document_in_quotes(lure: Lure) -> bytes:
    return canonical({**lure.body(), "document": canonical(lure.document()).decode()})


@malformed
def categories_twice_and_unsorted(lure: Lure) -> bytes:
    return canonical(lure.body(lure.document(categories=["repayment", "loan", "loan"])))


@ATTACKS.each
def test_a_body_is_not_heard(world: World, victim: Citizen, attack: Attack) -> None:
    lure = Lure(world, victim)
    content = attack.make(lure)
    with nothing_given(world):
        check_refused(lure.send(content), attack, victim)
    lure.check_honest_serves()


def test_the_same_body_in_another_layout_is_heard(world: World, victim: Citizen) -> None:
    """White space, the order of members and escapes leave one reading, and are free."""
    lure = Lure(world, victim)
    body = lure.body()
    turned = {name: body[name] for name in sorted(body, reverse=True)}
    content = json.dumps(turned, indent=2).replace('"loan"', '"lo\\u0061n"')
    assert lure.send(content.encode()).status_code == 201
