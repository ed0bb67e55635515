"""Whatever part of a text is asked for, the threes that it is looked for by are among those of a piece of the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.search.parts import MOST, PIECE, SOUGHT, pieces, sought, threes
from apothecary.search.text import KEY_LENGTH

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.text("ab' \\\"é", min_size=1, max_size=400)


def found(text: str, part: str) -> bool:
    asked = sought(part)
    for _, _, piece in pieces(text):
        known = threes(piece)
        if asked.begun and any(three.startswith(asked.threes[0]) for three in known):
            return True
        if not asked.begun and set(asked.threes) <= set(known):
            return True
    return False


@given(TEXTS, st.data())
def test_a_part_is_found_wherever_it_stands(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert found(text, text[start:end])


@pytest.mark.parametrize("start", [0, 1, PIECE - SOUGHT, PIECE - 3, PIECE - 1, PIECE, 2 * PIECE, 3 * PIECE - 700])
@pytest.mark.parametrize("length", [1, 2, 3, SOUGHT, 2 * SOUGHT])
def test_a_part_of_a_long_text_is_found_across_its_pieces(start: int, length: int) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(3 * PIECE))
    assert found(text, text[start : start + length])


def test_what_is_not_there_is_rarely_looked_at() -> None:
    assert not found("amoxicillin 500 mg", "oxycillin")
    assert not found("amoxicillin 500 mg", "zq")
    assert not found("amoxicillin", "ø")


@pytest.mark.parametrize("part", ["abc", "abcd", "x" * 50, "abcdefghij" * 50])
def test_no_more_than_some_threes_are_looked_for(part: str) -> None:
    assert 1 <= len(sought(part).threes) <= MOST + 1
    assert sought(part).threes[-1] == part[:SOUGHT][-3:]


def test_a_short_text_is_told_by_itself_and_a_long_one_by_what_it_says() -> None:
    assert [one[:2] for one in pieces("short")] == [("short", "")]
    assert list(pieces("")) == [("", "", "")]
    one, other = (list(pieces("a" * KEY_LENGTH + end)) for end in ("b", "c"))
    assert one[0][0] == other[0][0]
    assert one[0][1] != other[0][1]
