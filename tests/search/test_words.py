"""Words, passages and resemblance: what the index of full text is made of."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apothecary.search.words import (
    BOUNDARY,
    OVERLAP,
    PASSAGE_CHARACTERS,
    PASSAGE_REPEATS,
    PASSAGE_WORDS,
    PIECE,
    WORD_LENGTH,
    Passage,
    passages,
    trigrams,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Klonopin 0.5 MG", ["klonopin", "0", "5", "mg"]),
        ("co-codamol; don't", ["co", "codamol", "don", "t"]),
        ("Muñoz  CAÑADAS", ["munoz", "canadas"]),
        ("Straße ﬁve", ["strasse", "five"]),
        ("snake_case", ["snake", "case"]),
        ("治疗药", ["治", "疗", "药"]),
        ("mg治x", ["mg", "治", "x"]),
        ("— … !", []),
        ("x" * 300, ["x" * WORD_LENGTH]),
    ],
)
def test_words_are_runs_of_letters_and_digits_without_case_and_accents(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


@given(st.text())
@example("a\x01b")
def test_no_word_has_a_character_that_a_query_language_knows(text: str) -> None:
    assert all(word.isalnum() for word in words(text))


def test_texts_share_a_passage_and_no_phrase_crosses_them() -> None:
    (one,) = passages(["bone pain", "...", "liver"])
    assert one.words == f"bone pain {BOUNDARY} liver"
    assert one.length == 3
    assert list(passages(["", "-"])) == []


@given(st.lists(st.text(st.sampled_from("aZ0 .-_\t\x01\x1f~\x7f"), max_size=6), max_size=8))
@example(["x" * WORD_LENGTH, "y" * (WORD_LENGTH + 1)])
@example(["."] * 400)
@example(["a"] * PASSAGE_REPEATS)
@example(["a", "", "\x01", "b", "é"])
def test_texts_that_are_taken_apart_together_have_the_words_of_each(texts: list[str]) -> None:
    found = [words(text) for text in texts]
    every = [word for some in found for word in some]
    expected = f" {BOUNDARY} ".join(" ".join(some) for some in found if some)
    passage = list(passages(texts))
    if len(passage) < 2:
        assert passage == ([Passage(expected, len(every))] if every else [])
    else:
        assert len(every) + sum(map(bool, found)) > PASSAGE_REPEATS


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"w{number}" for number in range(PASSAGE_WORDS * 2)),
        " ".join(["again"] * PASSAGE_REPEATS * 3),
        " ".join(f"{number}".rjust(WORD_LENGTH, "x") for number in range(PASSAGE_CHARACTERS // 100)),
    ],
    ids=["many words", "one word often", "long words"],
)
def test_a_long_text_is_cut_so_that_every_short_phrase_is_whole_in_some_passage(text: str) -> None:
    pieces = list(passages([text]))
    found = [one.words.removeprefix(f"{PIECE} ").split() for one in pieces]
    assert len(found) > 1
    assert all(one.words.startswith(PIECE) for one in pieces)
    assert [one.length for one in pieces] == list(map(len, found))
    assert all(len(one) <= PASSAGE_WORDS for one in found)
    assert all(sum(map(len, one)) <= PASSAGE_CHARACTERS for one in found)
    assert all(max(map(one.count, set(one[:50]))) <= PASSAGE_REPEATS for one in found)
    whole = found[0] + [word for one in found[1:] for word in one[OVERLAP:]]
    assert tuple(whole) == words(text)


@pytest.mark.parametrize(
    ("one", "other", "shared", "of"), [("klonopin", "klonipin", 6, 12), ("a", "a", 2, 2), ("ab", "cd", 0, 6)]
)
def test_resemblance_counts_the_trigrams_of_both(one: str, other: str, shared: int, of: int) -> None:
    assert len(trigrams(one) & trigrams(other)) == shared
    assert len(trigrams(one) | trigrams(other)) == of
