"""How many of the matches of a search have each code, for parameters that have few: links that narrow the search.

https://hl7.org/fhir/R5/search.html#token. Where all matches are on the page they are counted there, which asks the
database for nothing. Else it counts those of each code, no further than a page needs to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from apothecary.errors import FhirError
from apothecary.fhir.json import JSON
from apothecary.interactions.search import prepare
from apothecary.pages.view import View
from apothecary.search.keys import owner
from apothecary.search.normalisation import FOLDED
from apothecary.search.rows import TokenRow

# A parameter of more codes has a field to type in, and no counts.
MOST_CHOICES = 20
# Matches are counted no further than this, and so many codes of a page at most.
MOST_COUNTED, MOST_ASKED = 1000, 40

# What concerns the form of the answer, and not which resources match.
_FORM = frozenset({"_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total", "_explain"})
_OWN = _FORM | {"_page", "_format", "_pretty"}

Counted = tuple[str, int | None, str]
"""A code, how many matches have it (None: many), and the address of these."""


def facets(
    view: View, fields: Sequence[dict[str, Any]], matches: Sequence[JSON], *, alone: bool
) -> list[tuple[str, list[Counted]]]:
    """For each token parameter of few codes that was not asked for, how many of the matches have each. `matches` are
    those on the page; `alone`, where there are no others.
    """
    given = dict(view.pairs)
    if len(matches) < 2 or given.keys() & {"_summary", "_elements"} or "_page" in given:
        return []
    found: list[tuple[str, list[Counted]]] = []
    left = MOST_ASKED
    for field in fields:
        if field["used"] or field["type"] != "token":
            continue
        name = field["name"]
        counted: list[Counted]
        here = _here(view, name, matches)
        if alone and here:
            counted = [(code, number, view.here((name, asked))) for code, asked, number in here]
        else:
            codes = [(one, one) for one in field["choices"]] or [(code, asked) for code, asked, _ in here]
            if len(codes) > left:
                continue
            left -= len(codes)
            counted = list(_asked(view, name, codes))
        if len(counted) > 1:
            found.append((name, counted))
    return found


def _here(view: View, name: str, matches: Sequence[JSON]) -> list[tuple[str, str, int]]:
    """The codes of a parameter in the matches on the page: the code, what asks for it, and how many have it. None where
    there are many codes, or nearly as many as matches: they would divide nothing.
    """
    registry = view.service.registry(view.version)
    parameter = registry.get(view.type, name)
    # What the index has of another release's form is not in the resource as it is shown.
    if parameter is None or owner(parameter.index) is not view.version:
        return []
    numbers: Counter[tuple[str, str]] = Counter()
    for one in matches:
        try:
            rows = {
                (row.system, row.code.removeprefix(FOLDED))
                for row in parameter.rows(one, registry.systems)
                if isinstance(row, TokenRow) and row.parameter == parameter.index
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            # What was loaded without validation may be of any form.
            return []
        numbers.update(row for row in rows if row[1])
        if len(numbers) > MOST_CHOICES:
            return []
    if len(numbers) < 2 or max(numbers.values()) < 2:
        return []
    several = Counter(code for _, code in numbers)
    told = [
        (code if several[code] == 1 else f"{system}|{code}", f"{system}|{code}" if system else code, number)
        for (system, code), number in numbers.items()
    ]
    return sorted(told, key=lambda one: (-one[2], one[0]))


def _asked(view: View, name: str, codes: Sequence[tuple[str, str]]) -> Iterator[Counted]:
    """How many matches in all have each of the codes; those that none has are left out."""
    rest = [one for one in view.pairs if one[0] not in _OWN]
    for code, asked in codes:
        pairs = [*rest, (name, asked)]
        try:
            query = prepare(view.service, view.version, view.base, view.type, pairs, strict=False).search.query
            number = view.service.reader.count_few(query, MOST_COUNTED)
        except FhirError:
            return
        if number != 0:
            yield code, number, view.here((name, asked))
