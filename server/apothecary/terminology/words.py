"""The words of a text filter: https://hl7.org/fhir/R5/valueset-operation-expand.html (filter)

Each word that is asked for is the beginning of a word of the text, without regard to case and accents: left matching,
as that page suggests it (`acut ast` finds acute asthma). A word of a text begins at a letter or digit behind anything
else, and goes on to the next white space: `0.5mg/ml` is found by `0.5`, `5mg`, `5mg/m` and `ml`. Of scripts without
spaces between words each character begins one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

# Characters of a word that are told from others, and of the texts of a concept that are looked into: an index has a
# bound as well (a tsvector of PostgreSQL has one megabyte).
LENGTH = 32
MOST = 4_000
# Words that one filter may have.
MOST_WORDS = 50

_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_START = re.compile(rf"(?<![^\W_])[^\W_]|(?=[^\W_])[{_UNSPACED}]")
_EDGES = re.compile(r"[^\W_](?:.*[^\W_])?", re.DOTALL)


def fold(text: str) -> str:
    """Text as filters compare it: without case and accents."""
    if text.isascii():
        return text.casefold()
    # Folding may take compatibility characters apart into capitals, and those into others.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(one for one in plain if not unicodedata.combining(one))


def asked(text: str) -> tuple[str, ...] | None:
    """The words of a filter, without the signs around them; none for a blank one. None for one of signs only, which
    finds nothing.
    """
    parts = fold(text).split()
    found = dict.fromkeys(match[0][:LENGTH] for part in parts if (match := _EDGES.search(part)) is not None)
    return tuple(found) if found or not parts else None


def folded(texts: Iterable[str]) -> Iterator[str]:
    """The texts as they are looked into: folded, and of all of them no more than the first `MOST` characters."""
    left = MOST
    for text in texts:
        plain = fold(text[:left])[:left]
        left -= len(plain)
        yield plain


def meets(texts: Iterable[str], words: Iterable[str]) -> bool:
    """Whether all of `words` (`asked`) begin a word of one of the texts (`folded`)."""
    plain = "\n".join(texts)
    return all(_begins(plain, word) for word in words)


def _begins(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        if _START.match(text, at):
            return True
        at = text.find(word, at + 1)
    return False


def beginnings(texts: Iterable[str]) -> Iterator[str]:
    """What stands in an index for texts (`folded`): a word is found in them that is the beginning of one of these."""
    for text in texts:
        for part in text.split():
            for match in _START.finditer(part):
                yield part[match.start() : match.start() + LENGTH]
