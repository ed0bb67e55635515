"""Whether a table seems to be a list of interactions, and what its columns are then.

Two columns make one: alike but for a number or a letter (`Drug A`, `Drug B`), or of which one says by its name that it
is the other side. A table of drugs has such pairs, too, for the second ingredient; so there is also to be a column that
says how bad it is, what happens, or what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from apothecary.importers.table.cells import Cell, folded

# By the name of a column and what stands in it, the system that it seems to have codes of; None for no codes.
System = Callable[[str, Sequence[Cell]], str | None]

_FIRST, _SECOND = ("a", "1", "i", "first", "erster", "erste"), ("b", "2", "ii", "second", "zweiter", "zweite")
_ANY = "|".join((*_FIRST, *_SECOND))
_BEHIND = re.compile(rf"(?P<stem>.*?)(?:[\W_]+(?P<word>{_ANY})|(?<=[^\W\d])(?P<glued>[12]))\W*")
_BEFORE = re.compile(rf"(?P<word>{_ANY})[\W_]+(?P<stem>.+)")
_OTHER = re.compile(
    r"interactant|interacting|interacts? with|precipitant|perpetrator|interaktionspartner|interagi\w+ (mit|avec|con)"
)
_ONE = re.compile(
    r"\bsubject\b|\bobject\b|affected|victim|drug|m[eé]dic|ingredient|substance|wirkstoff|arzneimittel|\batc\b|rxcui"
)

# What columns are called: English, German, French, Spanish, Italian, Dutch, Portuguese. The first that fits is taken.
_NAMES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), element)
    for pattern, element in (
        (r"\burl\b|\blink\b|web ?(site|address)|\bdoi\b", "source address"),
        (r"sever|\blevel\b|\bgrade\b|\brisk\b|schwere|gravit|gravedad|gravidade|\bernst", "severity"),
        (
            r"manag|recommend|what to do|\baction|advice|massnahme|empfehl|conduite|manejo|recomend|gestione|advies",
            "management",
        ),
        (r"inciden|frequen|häufigkeit|fréquence", "incidence"),
        (r"source|reference|citation|quelle|literatur|référence|fuente|referencia|fonte|\bbron\b", "source"),
        (r"effect|consequence|happens|interaction|description|effekt|wirkung|interaktion|effet|efecto|effetto|gevolg|efeito",
         "effect"),
    )
)  # fmt: skip
_TELLING = {"severity", "effect", "management"}
# Words for how bad it is whose place among FHIR's three nobody doubts.
_SEVERITIES = {
    **dict.fromkeys(("contraindicated", "severe", "major", "high", "kontraindiziert", "schwerwiegend"), "high"),
    **dict.fromkeys(("moderate", "medium", "mittelschwer", "modéré", "moderado"), "moderate"),
    **dict.fromkeys(("minor", "mild", "low", "geringfügig", "mineur", "leve"), "low"),
}
_MOST_WORDS = 20
# A longer text is no name of a column.
_LONGEST = 100
# What a statement may have several of.
_SEVERAL = {"management", "source"}


def interactions(
    names: Sequence[str], samples: Sequence[Sequence[Cell]], system: System
) -> tuple[dict[str, Any], list[str]] | None:
    """What the columns of a list of interactions are, and those that say nothing of any; None for another table."""
    looked = [folded(name) if samples[place] and len(name) <= _LONGEST else "" for place, name in enumerate(names)]
    sides = _sides(looked)
    told = {place: _told(name) for place, name in enumerate(looked) if name and place not in sides}
    if {side for side, _ in sides.values()} != {"subject", "interactant"} or not _TELLING & set(told.values()):
        return None
    columns: dict[str, Any] = {}
    taken: set[str] = set()
    for place, name in enumerate(names):
        if place in sides:
            side, stem = sides[place]
            of = system(stem, samples[place])
            columns[name] = {"element": side} if of is None else {"element": f"{side} code", "system": of}
        elif (element := told.get(place)) is not None and (element in _SEVERAL or element not in taken):
            columns[name] = _column(element, samples[place])
            taken.add(element)
    return columns, [name for name in names if name and name not in columns]


def _sides(names: Sequence[str]) -> dict[int, tuple[str, str]]:
    """The side that a column is of, by its place, with what the column is called but for that."""
    marked: dict[str, dict[bool, int]] = {}
    for place, name in enumerate(names):
        found = _BEHIND.fullmatch(name) or _BEFORE.fullmatch(name)
        if found is not None:
            # Only the first pattern knows marks without anything between.
            word = found["word"] or found["glued"]
            marked.setdefault(found["stem"].strip(" _-"), {})[word in _SECOND] = place
    sides: dict[int, tuple[str, str]] = {}
    for stem, pair in marked.items():
        if len(pair) == 2:
            sides |= {pair[False]: ("subject", stem), pair[True]: ("interactant", stem)}
    if not sides:
        others = {place: ("interactant", name) for place, name in enumerate(names) if _OTHER.search(name)}
        one = next((place for place, name in enumerate(names) if place not in others and _ONE.search(name)), None)
        sides = others if one is None else others | {one: ("subject", names[one])}
    return sides


def _told(name: str) -> str | None:
    return next((element for pattern, element in _NAMES if pattern.search(name)), None)


def _column(element: str, samples: Sequence[Cell]) -> dict[str, Any]:
    made: dict[str, Any] = {"element": element}
    if element == "severity":
        words = list(dict.fromkeys(cell.text for cell in samples))[:_MOST_WORDS]
        values = {word: {"code": _SEVERITIES[folded(word)]} for word in words if folded(word) in _SEVERITIES}
        if values:
            made["values"] = values
    return made
