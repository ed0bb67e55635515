"""The codes that sheets may use: those of terminologies.yaml, read in published sources, of the content's own code
systems, and of HL7's.

Each outside terminology becomes a CodeSystem that is a fragment: the codes in use and those above them, never all of
it. https://hl7.org/fhir/R5/codesystem.html#CodeSystem.content
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any

from msgspec import Meta

from apothecary.authoring.types import Id, Part
from apothecary.content.documents import Document, Pointer
from apothecary.content.schemas import json_schema, placed, read_as
from apothecary.errors import InvalidFile
from apothecary.fhir.definitions import CodeSystem, definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

SCHEMA_ID = "urn:apothecary:schema:terminologies"
FILE = "terminologies.yaml"
OWN = "https://example.org/fhir/"
PARENT = "http://hl7.org/fhir/concept-properties#parent"

# Systems whose codes come with FHIR itself: what uses them needs no basis of its own.
_OF_HL7 = re.compile(r"http://(hl7\.org/fhir/(?!sid/)|terminology\.hl7\.org/)")


# HL7 publishes its terminology apart from FHIR since R5: what R5 does not hold is looked for in the releases before.
_RELEASES = (FhirVersion.R5, FhirVersion.R4B, FhirVersion.R4)


def _published(system: str) -> CodeSystem | None:
    return next((held for version in _RELEASES if (held := definitions(version).code_system(system)) is not None), None)


def is_outside(system: str) -> bool:
    """Whether a code system is neither the content's own nor HL7's."""
    return not system.startswith(OWN) and _OF_HL7.match(system) is None


class Code(Part, frozen=True, kw_only=True):
    """A code that does not stand by its display alone."""

    display: str
    parents: Annotated[tuple[str, ...], Meta(description="The codes above it, as the terminology has them.")] = ()
    source: Annotated[
        str | None, Meta(description="Where code and display were read, if not where the others were.")
    ] = None


class Terminology(Part, frozen=True, kw_only=True):
    """A terminology of others, and those of its codes that were read in a published source."""

    system: Annotated[str, Meta(description="The URI of the code system.")]
    id: Annotated[Id, Meta(description="The id of the CodeSystem that is the fragment.")]
    name: str
    title: str
    date: str
    publisher: str
    credit: Annotated[str, Meta(description="What it is called where sources are listed, with the release.")]
    source: Annotated[str, Meta(description="Where codes and displays were read.")]
    copyright: str | None = None
    codes: Annotated[dict[str, str | Code], Meta(description="The display of each code.")]


class Terminologies(Part, frozen=True, kw_only=True):
    """The outside terminologies of a content folder, by the keys that sheets use."""

    terminologies: dict[str, Terminology]


class Vocabulary:
    """What is known of codes, by system."""

    def __init__(self, listed: Mapping[str, Mapping[str, Any]], own: Iterable[JSON]) -> None:
        self.listed = listed
        self.systems = {key: str(one["system"]) for key, one in listed.items()}
        self.keys = {system: key for key, system in self.systems.items()}
        self._displays = {
            one["system"]: {
                code: held if isinstance(held, str) else held["display"] for code, held in one["codes"].items()
            }
            for one in listed.values()
        }
        for system in own:
            if system.get("content") == "complete" and system["url"] not in self._displays:
                self._displays[system["url"]] = {one["code"]: one["display"] for one in _concepts(system)}

    @cached_property
    def _standard(self) -> Mapping[str, str]:
        """The content's own systems and HL7's by the last part of their URI, where no other ends alike."""
        found: dict[str, list[str]] = {}
        for url in {
            *self._displays,
            *(url for version in _RELEASES for url in definitions(version).code_system_urls()),
        }:
            if not is_outside(url):
                found.setdefault(url.rpartition("/")[2], []).append(url)
        return {key: urls[0] for key, urls in found.items() if len(urls) == 1 and key not in self.systems}

    def system(self, key: str) -> str | None:
        """The URI that a key stands for: one of terminologies.yaml, or the last part of the URI of another system."""
        return self.systems.get(key) or self._standard.get(key)

    def key(self, system: str) -> str | None:
        """The key of a system; None where it has none."""
        if system in self.keys:
            return self.keys[system]
        last = system.rpartition("/")[2]
        return last if self._standard.get(last) == system else None

    def display(self, system: str, code: str) -> str | None:
        """The display of a code; None where no held code system knows it."""
        if system in self._displays:
            return self._displays[system].get(code)
        held = _published(system)
        return None if held is None else held.concepts.get(code)

    def codes(self, system: str) -> Iterable[str]:
        """The codes of a system that are held."""
        held = _published(system)
        return self._displays.get(system) or (held.concepts if held is not None else ())

    def fragment(self, key: str, used: Iterable[str]) -> JSON:
        """The CodeSystem of the terminology `key` with the codes in `used` and all above them, in order."""
        one = self.listed[key]
        parents = {
            code: list(held["parents"])
            for code, held in one["codes"].items()
            if not isinstance(held, str) and held.get("parents")
        }
        wanted, waiting = set[str](), [*used]
        while waiting:
            code = waiting.pop()
            if code not in wanted:
                wanted.add(code)
                waiting += parents.get(code, ())
        said = f"The codes of {one['title']} that this content uses, and no others. A code that is missing here is not "
        concepts: list[JSON] = []
        for code in sorted(wanted):
            concept: JSON = {"code": code, "display": self._displays[one["system"]][code]}
            if code in parents:
                concept["property"] = [{"code": "parent", "valueCode": each} for each in parents[code]]
            concepts.append(concept)
        hierarchy = {"property": [{"code": "parent", "uri": PARENT, "type": "code"}]}
        return {
            "resourceType": "CodeSystem",
            "id": one["id"],
            "language": "en",
            "url": one["system"],
            "name": one["name"],
            "title": f"{one['title']}: the codes used by this content",
            "status": "active",
            "experimental": False,
            "date": one["date"],
            "publisher": one["publisher"],
            "description": said + "thereby invalid.",
            **({"copyright": one["copyright"]} if one.get("copyright") else {}),
            "caseSensitive": True,
            **({"hierarchyMeaning": "is-a"} if any("property" in each for each in concepts) else {}),
            "content": "fragment",
            "count": len(concepts),
            **(hierarchy if any("property" in each for each in concepts) else {}),
            "concept": concepts,
        }


def _concepts(system: JSON) -> Iterable[JSON]:
    for one in system.get("concept", ()):
        yield one
        yield from _concepts(one)


def terminologies_schema() -> dict[str, Any]:
    """The JSON Schema of terminologies.yaml, for editors."""
    return json_schema(Terminologies, SCHEMA_ID, "The terminologies of a content folder of Apothecary")


def read_terminologies(document: Document) -> dict[str, Any]:
    """What terminologies.yaml lists, by key. Raises InvalidFile with every fault at its place."""
    read_as(Terminologies, document)
    listed: dict[str, Any] = document.value["terminologies"]
    faults: list[tuple[Pointer, str]] = [
        (("terminologies", key, "codes", code, "parents", number), f"{parent!r} is not listed itself")
        for key, one in listed.items()
        for code, held in one["codes"].items()
        if not isinstance(held, str)
        for number, parent in enumerate(held.get("parents", ()))
        if parent not in one["codes"]
    ]
    if faults:
        raise InvalidFile(placed(document, faults))
    return listed
