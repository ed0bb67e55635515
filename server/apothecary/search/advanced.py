"""The query language of full text: https://hl7.org/fhir/R5/search.html#modifiertextadvanced

    bone metastases             both words, in any order
    "bone metastases"           the words side by side
    (bone OR liver) AND NOT x   AND, OR and NOT in capitals or not; quoted, they are words like others
    metast*                     words that begin so
    klonipin~                   words that look alike, where the parameter is searched by word

NOT binds tightest, then AND (also between words with nothing between them), then OR. A query is about all texts of a
parameter together: its words may stand in different displays of one code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from apothecary.search.predicates import Compare, Not, Nothing, Phrase, Predicate, Row, all_of, any_of
from apothecary.search.text import unescape
from apothecary.search.words import OVERLAP, words

# Gives words of the content that look like one, and how much: 1,000,000 is the word itself.
Similar = Callable[[str], Sequence[tuple[str, int]]]

_TOKEN = re.compile(r'\s*(?:(?P<phrase>"[^"]*")|(?P<sign>[()])|(?P<term>[^\s()"]+))')
_OPERATORS = ("and", "or", "not")

# How deep parentheses and NOT may nest.
DEPTH = 20


def predicate(parameter: str, text: str, similar: Similar | None = None) -> Predicate:
    """What `text` (still escaped) asks of the texts of a parameter. Raises ValueError for what is no query."""
    return _Parser(parameter, unescape(text), similar).parse()


class _Parser:
    """A recursive-descent parser over one query."""

    def __init__(self, parameter: str, text: str, similar: Similar | None) -> None:
        self.parameter = parameter
        self.similar = similar
        self.tokens: list[str] = []
        self.depth = 0
        position, stripped = 0, text.strip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise ValueError('a quotation mark (") opens a phrase that does not end')
            self.tokens.append(match.group().strip())
            position = match.end()
        self.tokens.reverse()

    def parse(self) -> Predicate:
        found = self._any()
        if self.tokens:
            raise ValueError(f"{self.tokens[-1]} closes a parenthesis that was not opened")
        return found

    def _next(self) -> str:
        """The coming token; operators in lower case."""
        token = self.tokens[-1] if self.tokens else ""
        return token.lower() if token.lower() in _OPERATORS else token

    def _any(self) -> Predicate:
        found = [self._all()]
        while self._next() == "or":
            self.tokens.pop()
            found.append(self._all())
        return any_of(found)

    def _all(self) -> Predicate:
        found = [self._not()]
        while self._next() not in ("", ")", "or"):
            if self._next() == "and":
                self.tokens.pop()
            found.append(self._not())
        return all_of(found)

    def _not(self) -> Predicate:
        if self._next() not in ("not", "("):
            return self._leaf()
        self.depth += 1
        if self.depth > DEPTH:
            raise ValueError(f"parentheses and NOT may nest {DEPTH} deep at most")
        if self.tokens.pop() == "(":
            found = self._any()
            if self._next() != ")":
                raise ValueError("a parenthesis is not closed")
            self.tokens.pop()
        else:
            found = Not(self._not())
        self.depth -= 1
        return found

    def _leaf(self) -> Predicate:
        token = self._next()
        if not token or token == ")" or token in _OPERATORS:
            raise ValueError("words are missing" + (f" before {token}" if token else " at the end"))
        self.tokens.pop()
        if token.startswith("-"):
            raise ValueError(f"{token}: to exclude a word write NOT {token[1:]}")
        if token.endswith("~"):
            return self._alike(token[:-1])
        prefix = token.endswith("*")
        found = words(token)
        if not found:
            raise ValueError(f"{token} has no letter or digit to look for")
        if "*" in token[:-1] or "~" in token:
            raise ValueError(f"{token}: a star or ~ stands at the end of a word, outside quotation marks")
        if len(found) > OVERLAP:
            raise ValueError(f"a phrase may have {OVERLAP} words")
        return self._row(Phrase(tuple(found), prefix))

    def _alike(self, word: str) -> Predicate:
        if self.similar is None:
            raise ValueError(f"{word}~: {self.parameter} has no inexact search; leave out the ~")
        found = words(word)
        if len(found) != 1 or "*" in word:
            raise ValueError(f"{word}~: write ~ after one word")
        rows: list[Predicate] = [self._row(Phrase((one,), weight=likeness)) for one, likeness in self.similar(found[0])]
        return any_of(rows) if rows else Nothing()

    def _row(self, phrase: Phrase) -> Row:
        return Row("text", self.parameter, Compare("words", "matches", phrase))
