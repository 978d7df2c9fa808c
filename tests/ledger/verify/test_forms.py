"""The auditor's matcher agrees with the gateway's on all forms that a policy may state, and none slows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.patterns import check_pattern, matches
from consent.policy import default_policy
from ledger.verify.forms import NoForm, fits

PIECES = ["a", "b", "[ab]", "[a-c\\]]", "(a)", "(?:a|bc)", "(a?b|a)", "|", "(", ")", "\\.", "\\-"]
REPEATS = ["", "", "", "?", "*", "+", "{2}", "{0,3}", "{2,}", "{1,99}"]


@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(REPEATS)), min_size=1, max_size=6),
    st.text("abc.-]", max_size=12) | st.integers(0, 64).map("a".__mul__),
)
def test_it_agrees_on_what_a_policy_may_state(parts: list[tuple[str, str]], number: str) -> None:
    form = "".join(piece + repeat for piece, repeat in parts)
    try:
        check_pattern(form)
    except ValueError:
        return
    assert fits(form, number) == matches(form, number)


def test_it_reads_the_shipped_forms() -> None:
    statutes = default_policy(demo=True).statutes
    assert statutes
    for statute in statutes:
        check_pattern(statute.document)
        assert not fits(statute.document, "\u0000")


@pytest.mark.parametrize(
    ("form", "number", "fit"),
    [
        ("((((){999}){999}){999}){999}", "", True),
        ("(?:(?:(?:(?:){999}){999}){999}){999}x", "x", True),
        ("(a*)*b", "a" * 64, False),
        ("(?:(?:(?:a|a)*)*)*b", "a" * 64, False),
        ("((((a?){999}){999}){999}){999}b", "a" * 64, False),
        ("a?" * 60 + "a" * 60, "a" * 60, True),
        ("(" * 66 + "a" + ")*" * 66, "a" * 64, True),
    ],
)
def test_what_would_run_away_elsewhere_is_answered(form: str, number: str, fit: bool) -> None:
    """An operator publishes its own policy: were these given to `re`, the audit would never end."""
    assert fits(form, number) == fit


@pytest.mark.parametrize(
    "form", ["(a", "a)", "*a", "a**", "a+?", "a{3,2}", "(?=a)", "(a)\\1", ".", "[^a]", "[z-a]", "a" * 201]
)
def test_what_policies_may_not_state_is_no_form(form: str) -> None:
    with pytest.raises(NoForm):
        fits(form, "a")


def test_a_form_is_for_the_whole_number() -> None:
    assert re.fullmatch("[(]20[0-9]{2}[)][0-9]{1,4}", "(2026)17")
    assert fits("[(]20[0-9]{2}[)][0-9]{1,4}", "(2026)17")
    assert not fits("[(]20[0-9]{2}[)][0-9]{1,4}", "(2026)17\n")
    assert not fits("[(]20[0-9]{2}[)][0-9]{1,4}", "(2026)17345")
