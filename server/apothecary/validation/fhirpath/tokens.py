"""FHIRPath text to tokens (https://hl7.org/fhirpath/N1/#lexical-elements)."""

from __future__ import annotations

import re
from typing import NamedTuple

from apothecary.validation.fhirpath.nodes import FhirPathError

_TOKEN = re.compile(
    r"""(?:
      (?P<space>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<open>/\*)
    | (?P<temporal>@(?:T[0-9:]+(?:\.[0-9]+)?
        |[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
         (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?))
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
    | (?P<special>\$(?:this|index|total))
    | (?P<operator><=|>=|!=|!~|[.()\[\],=~<>|&+\-*/{}])
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

# The longest of the specification has 863 characters, the longest of a published guide some 4,000.
LONGEST = 20_000
_LONGEST_NAME = 256


class Token(NamedTuple):
    """A piece of an expression: the kind is a group of the pattern, the text as it is written."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """The tokens of an expression, without white space and comments. Raises FhirPathError."""
    if len(text) > LONGEST:
        raise FhirPathError(f"an expression has at most {LONGEST} characters, this one {len(text)}")
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        kind = "open" if match is None else str(match.lastgroup)
        if match is None or kind == "open":
            # A comment that is not closed, too: what stands in it has no meaning.
            raise FhirPathError(f"{shortened(text)}: character {at + 1} is not understood")
        at = match.end()
        if kind == "space":
            continue
        if kind in ("name", "quoted", "variable") and len(match[0]) > _LONGEST_NAME:
            raise FhirPathError(f"a name has at most {_LONGEST_NAME} characters")
        found.append(Token(kind, match[0]))
    return found


def shortened(text: str) -> str:
    """An expression as a message shows it."""
    return text if len(text) <= 200 else f"{text[:197]}..."


def unescaped(literal: str) -> str:
    """What stands between the quotes of a string or a delimited identifier."""
    return _ESCAPE.sub(lambda match: _unescape(match[1], match[2]), literal[1:-1])


def _unescape(code: str | None, character: str) -> str:
    return chr(int(code, 16)) if code else _ESCAPES.get(character, character)
