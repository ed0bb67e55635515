"""Regular expressions from outside: FHIRPath's meaning, in linear time, and a clear word where that cannot be."""

import pytest

from apothecary.errors import BudgetSpent, RegularExpressionError
from apothecary.fhir.budgets import Budget
from apothecary.fhir.regular_expressions import regular_expression


def budget() -> Budget:
    return Budget(1_000_000)


@pytest.mark.parametrize(
    ("pattern", "text", "found", "whole"),
    [
        ("b", "abc", True, False),
        ("a.c", "a\nc", True, True),
        ("^b$", "a\nb", False, False),
        ("A", "a", False, False),
        ("(?i)A", "a", True, True),
        ("", "", True, True),
        (r"\d{3}-\d+", "555-1", True, True),
        (r"\d", "٣", False, False),
        (r"\p{L}+", "été", True, True),
        ("caf\\u00e9", "un café", True, False),
        (r"a\\u00e9", r"a\u00e9", True, True),
        ("[[:alpha:]]+", "abc", True, True),
        ("a", "\ud800a", True, False),
    ],
)
def test_a_pattern_is_looked_for_in_a_text_or_held_against_all_of_it(
    pattern: str, text: str, found: bool, whole: bool
) -> None:
    assert regular_expression(pattern).found_in(text, budget()) is found
    assert regular_expression(pattern).matches(text, budget()) is whole


@pytest.mark.parametrize(
    ("pattern", "text", "substitution", "expected"),
    [
        (
            r"\b(?<month>\d{1,2})/(?<day>\d{1,2})/(?<year>\d{2,4})\b",
            "11/30/1972",
            "${day}-${month}-${year}",
            "30-11-1972",
        ),
        ("(a)(b)?", "aab", "[$2$1]", "[a][ba]"),
        ("b", "abc", r"\$1\\", r"a$1\c"),
        ("b", "abc", "", "ac"),
        ("", "ab", "-", "-a-b-"),
        ("é", "été", "e", "ete"),
        ("x", "abc", "y", "abc"),
        ("b", "abcb", "5$", "a5$c5$"),
    ],
)
def test_each_match_is_replaced_and_groups_are_put_in(
    pattern: str, text: str, substitution: str, expected: str
) -> None:
    assert regular_expression(pattern).replaced_in(text, substitution, budget()) == expected


@pytest.mark.parametrize("substitution", ["$1", "${name}", "$9"])
def test_a_group_that_the_pattern_does_not_have_is_an_error(substitution: str) -> None:
    with pytest.raises(RegularExpressionError, match="has no group"):
        regular_expression("a").replaced_in("a", substitution, budget())


@pytest.mark.parametrize(
    "pattern",
    [r"(a)\1", "(?=a)b", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?>a)", "a++", "(", "[", "*", "a{1001}", r"\pL{900}",
     "\ud800", "x" * 20_000],
)  # fmt: skip
def test_what_a_linear_engine_cannot_do_is_told_and_not_run(pattern: str) -> None:
    with pytest.raises(RegularExpressionError) as caught:
        regular_expression(pattern)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a|a)*b$",
        "(?:[A-Za-z ]|[A-Za-z ])*!",
        "(a+)+b",
        "(x+x+)+y",
        "^(a?){40}a{40}b$",
        "(.*a){20}b",
        "(a|aa)+$!",
        r"(\w+\s?)+!",
    ],
)
def test_patterns_on_which_backtracking_engines_never_end_answer_on_a_long_text(pattern: str) -> None:
    assert not regular_expression(pattern).found_in("a" * 200_000, Budget(100_000))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("[ -~]*[ABC].{1,1000}$", "A" * 1_000_000), (r"\S{1,1000}!", "a" * 1_000_000)],
)
def test_a_large_pattern_on_a_long_text_is_not_even_begun(pattern: str, text: str) -> None:
    for ask in ("found_in", "matches"):
        with pytest.raises(BudgetSpent):
            getattr(regular_expression(pattern), ask)(text, budget())
    with pytest.raises(BudgetSpent):
        regular_expression(pattern).replaced_in(text, "", budget())


@pytest.mark.parametrize(
    ("pattern", "text", "substitution"),
    [("", "a" * 1_000_000, "x"), ("a", "a" * 1_000_000, "b" * 1_000), ("a(.*b)?", "a" * 1_000_000, "")],
)
def test_a_replacement_that_grows_or_begins_anew_too_often_ends(pattern: str, text: str, substitution: str) -> None:
    with pytest.raises(BudgetSpent):
        regular_expression(pattern).replaced_in(text, substitution, budget())
