"""Texts cut into what any part of them is found by: https://hl7.org/fhir/R5/search.html#modifiercontains

Three characters that follow each other are what an index of parts has together. A text that has all of those that a
part has may have the part; whoever finds it that way looks whether it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from apothecary.search.text import KEY_LENGTH

# A longer text is indexed in pieces of so many characters, which share as many as are looked for.
PIECE = 2000
SOUGHT = KEY_LENGTH

# So many threes of a part are looked for: what else it has is seen where it is looked at.
MOST = 16

# Stands behind a text, so that its last characters begin a three as well.
_END = "\ue000\ue000"

# Signs of ASCII are written as private characters: SQLite's tokenizer would cut at them, and PostgreSQL's syntax means
# something by some.
_SIGNS = {number: chr(0xE100 + number) for number in range(128) if not chr(number).isalnum()}


Piece = tuple[str, str, str]
"""A piece of a text: the beginning of the text as it stands in an index key, what tells the piece from others of texts
that begin so, and what it says.
"""


class Sought(NamedTuple):
    """What a text with a part must have: threes; or where the part is shorter, what one of its threes begins with."""

    threes: tuple[str, ...]
    begun: bool


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text, most often one. That of a text no longer than a key is told by the key alone."""
    if len(text) <= KEY_LENGTH:
        yield text, "", text
        return
    for start in range(0, max(1, len(text) - SOUGHT), PIECE - SOUGHT):
        piece = text[start : start + PIECE]
        digest = hashlib.sha256(piece.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        yield text[:KEY_LENGTH], digest, piece


def threes(text: str) -> list[str]:
    """Every three of a piece, each once, those at its end filled up; in order."""
    padded = text.translate(_SIGNS) + _END
    return sorted({padded[start : start + 3] for start in range(len(text))})


def sought(part: str) -> Sought:
    """What is looked for in an index of threes to find a part, of which there is at least one character."""
    known = part[:SOUGHT].translate(_SIGNS)
    if len(known) < 3:
        return Sought((known,), begun=True)
    last = len(known) - 3
    step = -(-(last + 1) // MOST)
    found = (known[start : start + 3] for start in (*range(0, last, step), last))
    return Sought(tuple(dict.fromkeys(found)), begun=False)
