"""The query language of full text, read into predicates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.search.advanced import DEPTH, predicate
from apothecary.search.predicates import And, Compare, Not, Nothing, Or, Phrase, Predicate, Row


def shown(node: Predicate) -> object:
    """A predicate in few words: a phrase as its text, a prefix with a star, a likeness with its weight."""
    match node:
        case Row("text", "p", Compare("words", "matches", Phrase(found, prefix, weight))):
            return " ".join(found) + ("*" if prefix else "") + (f"~{weight}" if weight != 1_000_000 else "")
        case And(of):
            return ("and", *map(shown, of))
        case Or(of):
            return ("or", *map(shown, of))
        case Not(inner):
            return ("not", shown(inner))
    return node


def alike(word: str) -> list[tuple[str, int]]:
    return [("klonopin", 500_000), ("clonidine", 310_000)] if word == "klonipin" else []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bone", "bone"),
        ("Bone  Pain", ("and", "bone", "pain")),
        ("bone AND pain", ("and", "bone", "pain")),
        ('"bone pain"', "bone pain"),
        ('"and"', "and"),
        ("0.5", "0 5"),
        ("co-codamol tablet", ("and", "co codamol", "tablet")),
        ("(bone OR liver) and metastases", ("and", ("or", "bone", "liver"), "metastases")),
        ("bone OR liver metastases", ("or", "bone", ("and", "liver", "metastases"))),
        ("a OR b OR c", ("or", "a", "b", "c")),
        ("NOT a b", ("and", ("not", "a"), "b")),
        ("a AND NOT (b OR c)", ("and", "a", ("not", ("or", "b", "c")))),
        ("not not a", ("not", ("not", "a"))),
        ("metast*", "metast*"),
        ("co-cod*", "co cod*"),
        ("klonipin~", ("or", "klonopin~500000", "clonidine~310000")),
        ("KLONIPIN~ tablet", ("and", ("or", "klonopin~500000", "clonidine~310000"), "tablet")),
        ("zzz~", Nothing()),
        ("a\\,b", "a b"),
    ],
)
def test_a_query_means_what_its_words_and_operators_say(text: str, expected: object) -> None:
    assert shown(predicate("p", text, alike)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "AND", "a AND", "OR a", "a OR", "NOT", "(", "()", "(a", "a)", "a (b OR)", '"', 'a "b', '""', '"."'),
        *(
            "-",
            "&",
            "-a",
            "*",
            "a*b",
            "*a",
            "a**b*",
            "a~b~",
            "~",
            "a b~ (",
            "co-codamol~",
            "a*~",
            '"a b*"',
            "a~b",
            '"a~"',
            "\\",
        ),
        "(" * (DEPTH + 1) + "a" + ")" * (DEPTH + 1),
        "NOT " * (DEPTH + 1) + "a",
        '"' + "w " * 17 + '"',
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        predicate("p", text, alike)


def test_resemblance_is_refused_where_the_parameter_has_none() -> None:
    with pytest.raises(ValueError, match="no inexact search"):
        predicate("p", "klonipin~")


@given(st.text(st.sampled_from('ab "()*~-.\\') | st.characters(exclude_categories=("Cs",)), max_size=30))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        found = predicate("p", text, alike)
    except ValueError:
        return
    assert isinstance(found, Row | And | Or | Not | Nothing)
