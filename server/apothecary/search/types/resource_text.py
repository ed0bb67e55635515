"""`_text` and `_content`, the words of a whole resource, and parameters that look for words in narratives.

https://hl7.org/fhir/R5/search.html#_text and https://hl7.org/fhir/R5/composition.html#search
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.paths import Track
from apothecary.fhir.releases import FhirVersion
from apothecary.search import advanced
from apothecary.search.predicates import Predicate
from apothecary.search.rows import IndexRow, TextRow
from apothecary.search.types.base import Request, Value
from apothecary.search.words import passages

NAME = "special"
TABLES: tuple[str, ...] = ("text",)
MODIFIERS = frozenset({"missing"})
PREFIXES: frozenset[str] = frozenset()
ELEMENTS = frozenset({"Narrative"})
"""What a parameter with an expression may select; the two others look at the whole resource."""

PARAMETERS = frozenset({"_text", "_content"})

# Elements of these types hold words that a person would look for; ids, addresses, numbers and dates do not.
_TEXTS = frozenset({"string", "markdown", "code"})
# Of type string, but an address.
_ADDRESSES = frozenset({("Reference", "reference")})
_INLINE = frozenset({"a", "abbr", "acronym", "b", "bdo", "big", "cite", "code", "dfn", "em", "font", "i", "kbd", "q"})
_INLINE |= {"samp", "small", "span", "strong", "sub", "sup", "tt", "var"}


def rows(
    code: str, parameter: str, resource: Mapping[str, Any], version: FhirVersion, tracks: Iterable[Track] = ()
) -> Iterator[IndexRow]:
    """The rows that `resource` leaves under the name `parameter` for `code`: one of the two, or any other that takes
    the narratives at the end of `tracks`.
    """
    texts: Iterable[str]
    if code == "_text":
        texts = narrative(resource)
    elif code == "_content":
        texts = content(resource, resource["resourceType"], version)
    else:
        texts = [text for track in tracks for one in track.walk(resource) for text in narrative({"text": one})]
    for passage in passages(texts):
        yield TextRow(parameter, *passage)


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """Nothing: see `rows`."""
    return iter(())


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """A query in the language of `advanced`. Raises ValueError for what is none."""
    return advanced.predicate(parameter, text)


def narrative(resource: Mapping[str, Any]) -> list[str]:
    """The texts of `Resource.text.div`, one for each block of it."""
    found = resource.get("text")
    div = found.get("div") if isinstance(found, dict) else None
    return _blocks(div) if isinstance(div, str) else []


def content(node: Mapping[str, Any], structure: str, version: FhirVersion) -> list[str]:
    """Every text in `node`, a resource or element of the shape `structure`: narrative, strings, markdown and codes."""
    found: list[str] = []
    _collect(node, _shape(structure, version), found, _blocks)
    return found


def characters(resource: Mapping[str, Any], version: FhirVersion) -> int:
    """How much there is to read for full text searches, in characters, with the markup of narratives."""
    found: list[str] = []
    _collect(resource, _shape(resource["resourceType"], version), found, lambda narrative: [narrative])
    return sum(map(len, found))


class _Shape:
    """Where texts may stand in a value of the shape `name`, which may be `xhtml` or a text type."""

    __slots__ = ("_members", "any", "name", "narrative", "version")

    def __init__(self, name: str, version: FhirVersion) -> None:
        self.name = name
        self.narrative = name == "xhtml"
        self.version = version
        self.any = definitions(version).structure_of({"resourceType": "Basic"}, name) != name
        """Whether any resource may stand there, which says itself what it is."""
        self._members: dict[str, _Shape] | None = None

    @property
    def members(self) -> dict[str, _Shape]:
        """The shapes of what may hold texts, by JSON property."""
        if self._members is None:
            # Shapes stand in themselves: each is looked into when it is met.
            self._members = {name: _shape(one, self.version) for name, one in _members(self.name, self.version)}
        return self._members

    def of(self, value: Mapping[str, Any]) -> _Shape:
        """The shape of `value`, which stands here."""
        return _shape(definitions(self.version).structure_of(value, self.name), self.version) if self.any else self


def _collect(
    node: Mapping[str, Any], shape: _Shape, found: list[str], of_narrative: Callable[[str], list[str]]
) -> None:
    """Put the texts in `node` into `found`, and of its narratives those that `of_narrative` says."""
    members = shape._members or shape.members
    for name, value in node.items():
        inner = members.get(name)
        if inner is None:
            continue
        kind = value.__class__
        if kind is str:
            if inner.narrative:
                found += of_narrative(value)
            else:
                found.append(value)
        elif kind is dict:
            _collect(value, inner.of(value) if inner.any else inner, found, of_narrative)
        elif kind is list:
            for one in value:
                if one.__class__ is dict:
                    _collect(one, inner.of(one) if inner.any else inner, found, of_narrative)
                elif one.__class__ is str:
                    found += of_narrative(one) if inner.narrative else (one,)


@lru_cache(maxsize=8192)
def _shape(name: str, version: FhirVersion) -> _Shape:
    return _Shape(name, version)


def _members(structure: str, version: FhirVersion) -> Iterator[tuple[str, str]]:
    """Where texts may stand in a value of the shape `structure`: JSON properties, each with `xhtml`, a text type or a
    shape.
    """
    tables = definitions(version)
    if not tables.has_structure(structure):
        return
    primitive = frozenset(tables.primitive_types())
    for name, one in tables.structure(structure).properties.items():
        if one.type not in primitive:
            yield name, one.structure
        elif one.type == "xhtml" or (one.type in _TEXTS and (structure, name) not in _ADDRESSES):
            yield name, one.type


class _Reader(HTMLParser):
    """Collects the text of XHTML; whatever is not inline ends a block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[str] = [""]

    def handle_data(self, data: str) -> None:
        self.blocks[-1] += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.blocks[-1] += " "
        elif tag not in _INLINE:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in _INLINE and tag != "br":
            self.blocks.append("")


@short_cache(4, longest=100_000)
def _blocks(xhtml: str) -> list[str]:
    """The texts of a narrative, one for each block; two parameters ask for them, one after the other."""
    reader = _Reader()
    reader.feed(xhtml)
    reader.close()
    return [block for block in reader.blocks if block and not block.isspace()]
