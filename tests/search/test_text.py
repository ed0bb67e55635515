"""Escapes and folding: https://hl7.org/fhir/R5/search.html#escaping"""

from __future__ import annotations

import pytest

from apothecary.search.text import KEY_LENGTH, escape, fold, key, split, unescape, wanted


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
        (" ", ""),
    ],
)
def test_folding_leaves_letters_only(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_text_of_which_nothing_is_left_cannot_be_searched() -> None:
    with pytest.raises(ValueError, match="look for"):
        wanted("\u0301 ")


def test_keys_stay_short_and_tell_long_texts_apart() -> None:
    long = "x" * 5000
    assert key("short") == "short"
    assert len(key(long)) <= KEY_LENGTH
    assert key(long) != key(long + "y")
