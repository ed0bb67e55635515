"""Regular expressions that a request, a resource or a package brings, matched in linear time by RE2.

The syntax is RE2's (https://github.com/google/re2/wiki/Syntax). It has what FHIRPath and FHIR ask for: case counts,
texts are Unicode, and `.` matches a line break too (https://hl7.org/fhirpath/N1/#matchesregex-string-boolean). What no
linear engine can do, references back and looking around, is a RegularExpressionError that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apothecary.errors import RegularExpressionError
from apothecary.fhir.budgets import Budget
from apothecary.fhir.caches import short_cache

# The library keeps the last 128 patterns, as this module does, each with at most this many bytes.
_MEMORY = 1 << 20
_LONGEST = 10_000
# RE2 takes at most about two nanoseconds for each character and instruction of the program.
_WORK_IN_A_STEP = 500
# Texts that are made are paid for by their length, since they are kept until the end.
_TEXT_IN_A_STEP = 16
_ESCAPES = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_SUBSTITUTES = re.compile(r"\\(.)|\$(?:\{(\w+)\}|(\d))", re.DOTALL)


class RegularExpression:
    """A compiled pattern. What it does to a text, it takes from a budget before it does it; raises BudgetSpent."""

    __slots__ = ("_compiled", "_size")

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._size: int = compiled.programsize

    def found_in(self, text: str, budget: Budget) -> bool:
        """Whether the pattern matches some part of `text`: FHIRPath's matches()."""
        budget.spend(self._cost(len(text)))
        return self._compiled.search(_whole(text)) is not None

    def matches(self, text: str, budget: Budget) -> bool:
        """Whether the pattern matches all of `text`: FHIRPath's matchesFull(), and every pattern of an element."""
        budget.spend(self._cost(len(text)))
        return self._compiled.fullmatch(_whole(text)) is not None

    def replaced_in(self, text: str, substitution: str, budget: Budget) -> str:
        """`text` with every match replaced: FHIRPath's replaceMatches(). `$1` and `${name}` are what a group matched,
        and `\\` takes the meaning from the character that follows it.
        """
        parts = self._parts(substitution)
        return "".join(self._pieces(_whole(text), parts, budget))

    def _pieces(self, text: str, parts: list[str | int], budget: Budget) -> Iterator[str]:
        budget.spend(self._cost(len(text)))
        at = 0
        for match in self._compiled.finditer(text):
            yield text[at : match.start()]
            pieces = [part if isinstance(part, str) else match.group(part) or "" for part in parts]
            at = match.end()
            # The search for the next match may look at all that is left.
            budget.spend(self._cost(len(text) - at) + sum(map(len, pieces)) // _TEXT_IN_A_STEP)
            yield from pieces
        yield text[at:]

    def _parts(self, substitution: str) -> list[str | int]:
        """The texts and the numbers of groups that a substitution consists of."""
        parts: list[str | int] = []
        at = 0
        for match in _SUBSTITUTES.finditer(substitution):
            parts.append(substitution[at : match.start()])
            at = match.end()
            literal, name, number = match.groups()
            parts.append(literal if literal is not None else self._group(name or number))
        return [*parts, substitution[at:]]

    def _group(self, name: str) -> int:
        number: int = int(name) if name.isascii() and name.isdigit() else self._compiled.groupindex.get(name, -1)
        if not 0 <= number <= self._compiled.groups:
            raise RegularExpressionError(f"the pattern has no group {name}")
        return number

    def _cost(self, length: int) -> int:
        return 1 + length * self._size // _WORK_IN_A_STEP


@short_cache(128)
def regular_expression(text: str) -> RegularExpression:
    """`text` compiled. Raises RegularExpressionError for what is none, too large, or not to be run in linear time."""
    if len(text) > _LONGEST:
        raise RegularExpressionError(f"a regular expression has at most {_LONGEST} characters, this one {len(text)}")
    import re2  # Imported here: most validations meet no such expression.

    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.dot_nl = True
    try:
        return RegularExpression(re2.compile(_ESCAPES.sub(_spelt, text), options))
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0]
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)
        raise RegularExpressionError(f"{_short(text)} is not evaluated as a regular expression: {said}") from None


def _spelt(escape: re.Match[str]) -> str:
    r"""`\u00e9` as RE2 writes it."""
    return f"\\x{{{escape[1]}}}" if escape[1] else escape[0]


def _whole(text: str) -> str:
    """`text` without halves of surrogate pairs, which UTF-8 cannot write."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
