"""Escapes and folding: https://hl7.org/fhir/R5/search.html#escaping"""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apothecary.search.text import KEY_LENGTH, bare, escape, fold, key, split, unescape, wanted


@pytest.mark.parametrize(
    ("text", "separator", "parts"),
    [
        ("a,b", ",", ["a", "b"]),
        (r"a\,b,c", ",", [r"a\,b", "c"]),
        (r"a\\,b", ",", [r"a\\", "b"]),
        (r"s|a\|b", "|", ["s", r"a\|b"]),
        ("", ",", [""]),
        (",", ",", ["", ""]),
    ],
)
def test_a_list_is_cut_where_no_backslash_escapes(text: str, separator: str, parts: list[str]) -> None:
    assert split(text, separator) == parts


@pytest.mark.parametrize(("text", "meant"), [(r"a\,b", "a,b"), (r"\|\$\\", r"|$\ ".strip()), ("plain", "plain")])
def test_escapes_stand_for_characters(text: str, meant: str) -> None:
    assert unescape(text) == meant
    assert unescape(escape(meant)) == meant


@pytest.mark.parametrize("text", ["a\\", r"a\b", r"\:"])
def test_any_other_backslash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="backslash"):
        unescape(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Muñoz  Cañadas", "munoz canadas"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("İ", "i"),
        ("Łódź Ærø cœur Đorđe Þór", "lodz aero coeur dorde thor"),
        ("Ǿ", "o"),
        ("O'Neill", "o'neill"),
        (" ", ""),
    ],
)
def test_folding_leaves_letters_only(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("O'Neill", "oneill"),
        ("O’Neill", "oneill"),
        ("Co-trimoxazole", "cotrimoxazole"),
        ("co\u2011trimoxazole", "cotrimoxazole"),
        ("St. John's wort", "st johns wort"),
        ("amoxicillin/clavulanate", "amoxicillin clavulanate"),
        ("amoxicillin / clavulanate", "amoxicillin clavulanate"),
        ("Smith,John", "smith john"),
        ("(R)-salbutamol", "r salbutamol"),
        ("snake_case", "snake case"),
        ("5 % + 2", "5 + 2"),
        ("¿Qué?", "que"),
        ("---", ""),
    ],
)
def test_punctuation_is_not_compared(text: str, compared: str) -> None:
    assert bare(text) == compared


@pytest.mark.parametrize("text", ["1.5 mg", "0,5 ml", "12-14", "1/2", "10:30", "1.-5", "5+"])
def test_what_stands_between_digits_is_no_punctuation(text: str) -> None:
    assert bare(text) == text


@given(st.text(alphabet="aß1 2.-'/+_%é\u00b7Ł", max_size=12))
def test_what_was_compared_once_is_compared_alike(text: str) -> None:
    assert bare(bare(text)) == bare(text)


@given(st.text(alphabet="aB1 2.-'/+_%", max_size=12))
@example("11111111_+1")
@example("1+.1")
def test_any_part_of_a_text_is_found_in_it(text: str) -> None:
    whole = bare(text)
    for start, end in combinations(range(len(text) + 1), 2):
        assert bare(text[start:end]) in whole


def test_a_text_of_which_nothing_is_left_cannot_be_searched() -> None:
    with pytest.raises(ValueError, match="look for"):
        wanted("\u0301 ")


def test_keys_stay_short_and_tell_long_texts_apart() -> None:
    long = "x" * 5000
    assert key("short") == "short"
    assert len(key(long)) <= KEY_LENGTH
    assert key(long) != key(long + "y")
