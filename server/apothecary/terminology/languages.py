"""Which name of a concept to show, and which names are right, in the languages that somebody reads.

https://hl7.org/fhir/R5/terminology-service.html (displayLanguage) and https://www.rfc-editor.org/rfc/rfc4647
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apothecary.errors import BadRequest
from apothecary.terminology.compose import Entry
from apothecary.terminology.model import Designation, designations, objects

_RANGE = re.compile(
    r"\s*(?P<tag>\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*(?P<q>[01](?:\.[0-9]{0,3})?)\s*)?"
)
_MOST = 50
PREFERRED = {
    "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    "code": "preferredForLanguage",
    "display": "Preferred For Language",
}
_EXPANSION_PARAMETER = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"


@dataclass(frozen=True, slots=True)
class Languages:
    """Languages in the order of preference. `only` says that no other will do (`*; q=0`)."""

    text: str
    tags: tuple[str, ...]
    only: bool = False

    @classmethod
    def parse(cls, text: str, expression: str = "displayLanguage") -> Languages:
        """What a displayLanguage or an Accept-Language header says. Raises BadRequest where it says nothing."""
        found: list[tuple[float, int, str]] = []
        only = False
        ranges = text.split(",")
        for place, one in enumerate(ranges):
            match = _RANGE.fullmatch(one)
            if match is None or len(ranges) > _MOST:
                raise BadRequest(
                    f"{text[:100]!r} is no list of languages such as de-CH, de;q=0.8",
                    expression=expression,
                    code="value",
                )
            quality = float(match["q"] or 1)
            if match["tag"] == "*":
                only = only or quality == 0
            elif quality > 0:
                found.append((-quality, place, match["tag"]))
        return cls(text, tuple(tag for _, _, tag in sorted(found)), only)

    def rank(self, language: str) -> int | None:
        """How early a language comes among these; None where it is none of them. `de` takes `de-CH`, too."""
        language = language.lower()
        for place, tag in enumerate(self.tags):
            if language == tag.lower() or language.startswith(f"{tag.lower()}-"):
                return place
        return None


@dataclass(frozen=True, slots=True)
class Named:
    """A concept's names: the display and its language, and the designations."""

    display: str
    language: str
    designations: tuple[Designation, ...]

    def all(self) -> Iterator[tuple[str, str, Designation | None]]:
        """Each name with its language, the display first."""
        if self.display:
            yield self.display, self.language, None
        for one in self.designations:
            yield one.value, one.language, one

    def shown(self, languages: Languages | None) -> tuple[str, Designation | None]:
        """The name to show, and the designation that it is; empty where no other language will do."""
        if languages is None or not languages.tags:
            return self.display, None
        best: tuple[int, bool, str, Designation | None] | None = None
        for value, language, one in self.all():
            rank = languages.rank(language)
            if rank is None or not language or (one is not None and not _names(one)):
                continue
            exact = language.lower() == languages.tags[rank].lower()
            if best is None or (rank, not exact) < best[:2]:
                best = rank, not exact, value, one
        if best is not None:
            return best[2], best[3]
        return ("", None) if languages.only else (self.display, None)


def _names(one: Designation) -> bool:
    """Whether a designation can stand for the display: a synonym and the like cannot."""
    return not one.withdrawn and (one.use is None or one.use.get("code") in ("display", PREFERRED["code"]))


def named(entry: Entry) -> Named:
    """The names of an entry: what the value set says goes before what the code system says."""
    system, concept, element = entry.system, entry.concept, entry.element
    language = system.language if system is not None else ""
    base = concept.display if concept is not None else ""
    others = concept.designations if concept is not None else ()
    said = element.get("display")
    own = designations(element)
    if isinstance(said, str) and said:
        if base and said != base:
            others = (Designation(base, language), *others)
        return Named(said, language, others + own)
    return Named(base, language, others + own)


def of_value_set(resource: Mapping[str, Any]) -> str | None:
    """The languages that a value set itself wants its displays in."""
    compose = resource.get("compose")
    for one in objects(compose.get("extension") if isinstance(compose, Mapping) else None):
        if one.get("url") == _EXPANSION_PARAMETER:
            parts = {str(part.get("url")): part for part in objects(one.get("extension"))}
            name, value = parts.get("name", {}), parts.get("value", {})
            if name.get("valueCode", name.get("valueString")) == "displayLanguage":
                found = value.get("valueCode", value.get("valueString"))
                return found if isinstance(found, str) else None
    found = resource.get("language")
    return found if isinstance(found, str) else None
