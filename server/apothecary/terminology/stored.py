"""A large CodeSystem resource cut into what a store keeps of it, so that nobody has to read all of it for one code:
https://hl7.org/fhir/R5/codesystem.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from apothecary.fhir.json import FhirDecimal, dumps
from apothecary.terminology import words
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.model import objects
from apothecary.terminology.reading import Elements, head, read

# Code systems with more concepts are kept so: to read one of this size takes a few tenths of a second and some ten
# megabytes, once in each process.
LARGE = 10_000

# Changes when what is kept does, so that it is made anew.
FORM = 1

_KEPT = (
    *("extension", "url", "version", "status", "experimental", "name", "language", "caseSensitive", "content"),
    *("property", "valueSet", "supplements"),
)


class ConceptRow(NamedTuple):
    """One concept: its element without what is nested in it, as JSON; its properties as texts; the beginnings of the
    words in code and display, and further ones in designations. `folded` is the code without case, where that does not
    count.
    """

    code: str
    folded: str | None
    parents: tuple[str, ...]
    inactive: bool
    abstract: bool
    properties: frozenset[tuple[str, str]]
    words: frozenset[str]
    further: frozenset[str]
    element: bytes


class Head(msgspec.Struct, frozen=True):
    """What is known of a code system without its concepts: `said` is the resource without them. `stray` are codes that
    are no concepts, and that stand below others.
    """

    said: dict[str, Any]
    size: int
    used: list[str]
    stray: dict[str, list[str]]


class _Said(msgspec.Struct):
    """A `Head` of which only the resource is wanted, as its text."""

    said: msgspec.Raw


_HEAD = msgspec.json.Decoder(Head, float_hook=FhirDecimal)
_SAID = msgspec.json.Decoder(_Said)


def known(head: bytes) -> Head:
    """What a store keeps of a code system beside its concepts."""
    return _HEAD.decode(head)


def said(head: bytes) -> bytes:
    """The resource without its concepts, as JSON."""
    return bytes(_SAID.decode(head).said)


class LargeCodeSystem:
    """The concepts of one resource, for a store. `digest` tells whether another has the same."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self._resource = resource
        self.said = {name: resource[name] for name in _KEPT if name in resource}

    @property
    def url(self) -> str:
        """Empty where the resource has none."""
        url = self.said.get("url")
        return url if isinstance(url, str) else ""

    @cached_property
    def digest(self) -> str:
        """The same where all rows and the size are."""
        of = [FORM, *(self._resource.get(name) for name in ("url", "caseSensitive", "property", "concept"))]
        return hashlib.sha256(dumps(of)).hexdigest()

    @cached_property
    def _read(self) -> tuple[dict[str, Mapping[str, Any]], dict[str, tuple[str, ...]]]:
        return read(self._resource)

    @property
    def size(self) -> int:
        """The number of concepts."""
        return len(self._read[0])

    @property
    def head(self) -> bytes:
        """A `Head` as JSON."""
        elements, parents = self._read
        reading = Elements(self._resource)
        used = {one.code for element in elements.values() for one in reading.concept(element).properties}
        stray = {code: list(above) for code, above in parents.items() if code not in elements}
        return dumps({"said": self.said, "size": self.size, "used": sorted(used), "stray": stray})

    def rows(self) -> Iterator[ConceptRow]:
        """Its concepts in the order of the definition."""
        elements, parents = self._read
        reading = Elements(self._resource)
        shell = CodeSystem(self.url, **head(self._resource))
        for code, element in elements.items():
            concept = reading.concept(element)
            own = frozenset(words.beginnings(words.folded((code, concept.display))))
            others = frozenset(words.beginnings(words.folded(one.value for one in concept.designations)))
            yield ConceptRow(
                code,
                code.casefold() if shell.case_sensitive is False else None,
                parents.get(code, ()),
                shell.is_inactive(concept),
                shell.is_abstract(concept),
                frozenset((one.code, one.text) for one in concept.properties),
                own,
                others - own,
                dumps({name: value for name, value in element.items() if name != "concept"}),
            )


def large(resource: Mapping[str, Any]) -> LargeCodeSystem | None:
    """What a store keeps of a CodeSystem resource beside its text; None for a smaller one, and for other types."""
    if resource.get("resourceType") != "CodeSystem":
        return None
    count, waiting = 0, [objects(resource.get("concept"))]
    while waiting:
        for one in waiting.pop():
            count += 1
            if count > LARGE:
                return LargeCodeSystem(resource)
            if "concept" in one:
                waiting.append(objects(one["concept"]))
    return None
