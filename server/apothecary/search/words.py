"""Texts cut into words, the same for what is stored and what is asked for: https://hl7.org/fhir/R5/search.html#_content

Databases are given words that are cut and folded already, so that two engines cannot disagree about what a word is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apothecary.fhir.caches import short_cache
from apothecary.search.text import fold

# Letters and digits. Scripts without spaces between words (Thai, Lao, Khmer, Kana, Han) are cut into single characters:
# a run of them is then found as a phrase.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(rf"(?=[^\W_])[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")

# Longest word that is told from others; PostgreSQL takes no lexeme past 2,046 bytes.
WORD_LENGTH = 255

# Stands between texts, so that no phrase is found across them: a private character that is in no word.
BOUNDARY = "\ue000"

# Stands before each passage of several: what looks for words that may stand in different ones finds them by it.
PIECE = "\ue002"

# A passage holds no more words, characters, or occurrences of one word than PostgreSQL keeps positions for in a
# tsvector (16,383 positions, 1 MB, 255 of one word).
PASSAGE_WORDS = 10_000
PASSAGE_CHARACTERS = 150_000
PASSAGE_REPEATS = 250

# Words that a passage shares with the one before it, so that a phrase no longer than this is whole in one of them.
OVERLAP = 16


class Passage(NamedTuple):
    """A part of a text: its words with spaces between them, and how many they are."""

    words: str
    length: int


@short_cache(16384, longest=200)
def words(text: str) -> tuple[str, ...]:
    """The words of `text` in order, without case and accents. A text stands in several rows of a resource, and in many
    resources.
    """
    return tuple(_words(text))


def _words(text: str) -> list[str]:
    if text.isascii() and len(text) <= WORD_LENGTH and _APART not in text:
        return text.encode("ascii").translate(_PLAIN).decode("ascii").split()
    return [word[:WORD_LENGTH] for word in WORD.findall(fold(text))]


# Stands between texts of ASCII, and in none of them.
_APART = "\x01"

# What WORD finds in folded ASCII stands between blanks in what this makes of it, in a fraction of the time.
# Bytes are translated several times faster than text.
_PLAIN = bytes(
    ord(sign.lower()) if sign.isalnum() or sign == _APART else ord(" ") for sign in map(chr, range(128))
).ljust(256)


def passages(texts: Iterable[str]) -> Iterator[Passage]:
    """All words of `texts`, in as few passages as the limits allow; none where there is no word. Of several each begins
    with the mark of a `PIECE`.
    """
    given = list(texts)
    if not given:
        return
    short = _alone(given[0]) if len(given) == 1 else _short(given)
    if short is not None:
        if short.length:
            yield short
        return
    every: list[str] = []
    for text in given:
        if found := _words(text):
            every += [BOUNDARY, *found] if every else found
    if len(every) <= PASSAGE_REPEATS:
        # No limit can be reached.
        if every:
            yield _passage(every)
        return
    pieces = list(_cut(every))
    for piece in pieces:
        yield _passage(piece if len(pieces) == 1 else [PIECE, *piece])


@short_cache(16384, longest=200)
def _alone(text: str) -> Passage | None:
    """The passage of one text, such as a name, which stands in several resources."""
    return _short([text])


def _short(texts: list[str]) -> Passage | None:
    """The passage of a few texts of ASCII, taken apart all at once; None for others."""
    together = f" {_APART} ".join(texts)
    between = len(texts) - 1
    if not together.isascii() or together.count(_APART) != between:
        return None
    found = together.encode("ascii").translate(_PLAIN).decode("ascii").split()
    # No word is longer than the text that it is of.
    if len(found) > PASSAGE_REPEATS or (
        max(map(len, texts)) > WORD_LENGTH and max(map(len, found), default=0) > WORD_LENGTH
    ):
        return None
    words = " ".join(found)
    while _EMPTY in words:
        words = words.replace(_EMPTY, _APART)
    return Passage(words.strip(f" {_APART}").replace(_APART, BOUNDARY), len(found) - between)


# A text without words, between two others.
_EMPTY = f"{_APART} {_APART}"


def _cut(every: Iterable[str]) -> Iterator[list[str]]:
    """Words in as few pieces as the limits allow."""
    current: list[str] = []
    counts: Counter[str] = Counter()
    characters = 0
    for word in every:
        full = len(current) >= PASSAGE_WORDS or characters + len(word) > PASSAGE_CHARACTERS
        if word != BOUNDARY and (full or counts[word] >= PASSAGE_REPEATS):
            yield current
            current = current[-OVERLAP:]
            counts = Counter(current)
            characters = sum(map(len, current))
        current.append(word)
        counts[word] += 1
        characters += len(word) + 1
    yield current


def _passage(found: list[str]) -> Passage:
    return Passage(" ".join(found), len(found) - found.count(BOUNDARY) - found.count(PIECE))


# -- resemblance, for words that may be misspelt

# How alike two words must be: the share of the trigrams of either that both have, in millionths.
ALIKE = 300_000

# How many words an inexact one may stand for.
SIMILAR = 10


def trigrams(word: str) -> frozenset[str]:
    """The sequences of three characters in `word`, two spaces before it and one after."""
    padded = f"  {word} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))
