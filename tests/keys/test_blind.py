from __future__ import annotations

import hmac
import traceback
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.blind import blind_index, canonical_citizen_number, canonical_uscc
from keys.custody import Custody
from keys.errors import BadIdentifier, Malformed, UnknownKeyName

# GB 11643-1999 prints 11010519491231002X and 440524188001010014 as examples.
STANDARDS_EXAMPLES = ["11010519491231002X", "440524188001010014"]
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def check_character(first: str) -> str:
    """GB 11643-1999, ISO 7064 MOD 11-2, written out."""
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(first))
    return "10X98765432"[total % 11]


NUMBERS = st.builds(
    lambda region, born, sequence: f"{region}{born:%Y%m%d}{sequence:03d}",
    st.integers(110000, 829999),
    st.dates(date(1900, 1, 1), date(2030, 12, 31)),
    st.integers(1, 999),
).map(lambda first: first + check_character(first))


@pytest.mark.parametrize("number", STANDARDS_EXAMPLES)
def test_examples_of_the_standard_are_accepted(number: str) -> None:
    assert canonical_citizen_number(number) == number


@given(NUMBERS, st.sampled_from(["", " ", "\t", "\n", "\u3000"]))
def test_spellings_of_one_number_are_one(number: str, space: str) -> None:
    assert canonical_citizen_number(f"{space}{number.lower()}{space}") == number
    assert canonical_citizen_number(canonical_citizen_number(number)) == number


@given(NUMBERS, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_any_one_wrong_character_is_noticed(number: str, place: int, character: str) -> None:
    altered = number[:place] + character + number[place + 1 :]
    if altered != number:
        with pytest.raises(BadIdentifier):
            canonical_citizen_number(altered)


@given(NUMBERS, st.integers(0, 16))
def test_two_neighbours_swapped_are_noticed(number: str, place: int) -> None:
    altered = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if altered != number:
        with pytest.raises(BadIdentifier):
            canonical_citizen_number(altered)


@pytest.mark.parametrize("first", ["11010519490231002", "11010519491331002", "11010500001231002"])
def test_a_date_that_is_none_is_refused_though_the_check_digit_holds(first: str) -> None:
    with pytest.raises(BadIdentifier):
        canonical_citizen_number(first + check_character(first))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "110105491231002",
        "11010519491231002",
        "11010519491231002X0",
        "1101051949123 1002X",
        "110105-19491231-002X",
        "１１０１０５１９４９１２３１００２X",
        "٤٤٠٥٢٤١٨٨٠٠١٠١٠٠١٤",
        "X1010519491231002X",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(BadIdentifier):
        canonical_citizen_number(text)


@pytest.mark.parametrize("tail", ["1949123100211", "1949133100211", "19491231002", "1949123l0021"])
def test_an_error_does_not_repeat_the_number(tail: str) -> None:
    with pytest.raises(BadIdentifier) as caught:
        canonical_citizen_number("11010" + tail)
    told = "".join(traceback.format_exception(caught.value))
    assert tail not in told
    assert tail[:8] not in told


@pytest.mark.parametrize("code", ["91110000600037341L", " 91110000600037341l\n"])
def test_a_social_credit_code_is_trimmed_and_upper_cased(code: str) -> None:
    assert canonical_uscc(code) == "91110000600037341L"


@given(st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_any_one_wrong_character_of_a_social_credit_code_is_noticed(place: int, character: str) -> None:
    code = "91110000600037341L"
    altered = code[:place] + character + code[place + 1 :]
    if altered != code:
        with pytest.raises(BadIdentifier):
            canonical_uscc(altered)


@pytest.mark.parametrize(
    "code", ["", "91110000600037341", "9111-0000-6000-37341L", "91110000600037341I", "９1110000600037341L"]
)
def test_other_forms_of_a_social_credit_code_are_refused(code: str) -> None:
    with pytest.raises(BadIdentifier):
        canonical_uscc(code)


def test_the_index_is_keyed_and_kept_apart_by_version_and_domain(custody: Custody) -> None:
    value = STANDARDS_EXAMPLES[0].encode()
    index = blind_index(custody, 1, "citizen-number", value)
    assert len(index) == 32
    assert index == blind_index(custody, 1, "citizen-number", value)
    others = {
        blind_index(custody, 2, "citizen-number", value),
        blind_index(custody, 1, "uscc", value),
        blind_index(custody, 1, "citizen-number", STANDARDS_EXAMPLES[1].encode()),
        hmac.digest(b"", b"citizen-number\0" + value, "sha256"),
    }
    assert index not in others
    assert len(others) == 4


def test_the_index_is_hmac_over_domain_nul_value(custody: Custody) -> None:
    assert blind_index(custody, 1, "d", b"v") == custody.mac("index-1", b"d\0v")


def test_a_domain_cannot_run_into_its_value(custody: Custody) -> None:
    with pytest.raises(Malformed):
        blind_index(custody, 1, "a\0b", b"c")
    with pytest.raises(Malformed):
        blind_index(custody, 1, "é", b"c")


def test_an_index_version_without_a_key_is_unknown(custody: Custody) -> None:
    with pytest.raises(UnknownKeyName):
        blind_index(custody, 3, "citizen-number", b"v")
