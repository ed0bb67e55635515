"""What a reference string points to: https://hl7.org/fhir/R5/references.html#literal"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from apothecary.fhir.caches import short_cache
from apothecary.fhir.json import parse

_ID = r"[A-Za-z0-9\-.]{1,64}"
ID = re.compile(_ID, re.ASCII)
_LITERAL = re.compile(
    rf"(?:(?P<base>[a-z][a-z0-9+.\-]*://.+?)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>{_ID})(?:/_history/(?P<version>{_ID}))?",
    re.ASCII,
)

_CRITERIA = re.compile(r"[A-Z][A-Za-z]+\?", re.ASCII)


class Reference(NamedTuple):
    """A literal reference taken apart. `base` is None for a relative one; `type` and `id` are None where the URL does
    not show them.
    """

    url: str
    base: str | None = None
    type: str | None = None
    id: str | None = None
    version: str | None = None

    @property
    def relative(self) -> bool:
        return self.base is None and self.type is not None


@short_cache(4096)
def parse_reference(text: str) -> Reference:
    """`Medication/1`, `https://example.org/fhir/Medication/1/_history/2`, `urn:uuid:...`, `#contained` or a canonical
    URL, taken apart.
    """
    match = _LITERAL.fullmatch(text)
    if match is None:
        return Reference(text)
    return Reference(text, match["base"], match["type"], match["id"], match["version"])


def localise(literal: str, bases: Iterable[str]) -> str:
    """`literal` without the base of this server, where it begins with one of `bases` and names a resource there."""
    for base in bases:
        if literal.startswith(base) and literal[len(base) : len(base) + 1] == "/":
            rest = literal[len(base) + 1 :]
            return rest if parse_reference(rest.partition("?")[0]).relative or _CRITERIA.match(rest) else literal
    return literal


def localised(resource: Mapping[str, Any], bases: Sequence[str]) -> Mapping[str, Any]:
    """`resource` with its references to this server's own absolute addresses made relative; itself where it has none.
    Other elements stay: the `url` of a canonical resource is its name, whatever address it looks like.
    """
    return resource if not bases else _localised(resource, bases)


def _localised(node: Any, bases: Sequence[str]) -> Any:
    if isinstance(node, list):
        items = [_localised(item, bases) if isinstance(item, dict) else item for item in node]
        return items if any(new is not old for new, old in zip(items, node, strict=True)) else node
    changed: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict | list):
            new: Any = _localised(value, bases)
        elif key == "reference" and isinstance(value, str) and value.startswith("http"):
            new = localise(value, bases)
        else:
            continue
        if new is not value:
            changed[key] = new
    return {**node, **changed} if changed else node


def literals(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(FHIRPath, literal) of every `Reference.reference` in a resource, contained resources included."""
    yield from _literals(resource, str(resource.get("resourceType", "")))


def own_literals(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same, without those in the resources that a Bundle holds: a stored Bundle is a record, and they are relative
    to the addresses of its entries (https://hl7.org/fhir/R5/bundle.html#references).
    """
    if resource.get("resourceType") == "Bundle":
        resource = {name: value for name, value in resource.items() if name != "entry"}
    return literals(resource)


def local_targets(resource: Mapping[str, Any]) -> Iterator[Reference]:
    """What the references in a resource point to on this server, without their places."""
    return on_this_server(written_references(resource))


def on_this_server(references: Iterable[str]) -> Iterator[Reference]:
    """What those of some references point to that point to something on this server."""
    return (target for one in references if (target := parse_reference(one)).relative)


def written_references(resource: Mapping[str, Any]) -> list[str]:
    """Every `Reference.reference` in a resource, without its place: faster than `literals`."""
    found: list[str] = []
    _written(resource, found)
    return found


_WRITTEN = re.compile(rb'"reference":"([^"\\]*(?:\\.[^"\\]*)*)"')


def references_in(text: bytes) -> list[str]:
    """The same from the text that `json.dumps` writes, where what looks like this is nothing else: inside of a string
    there is a backslash before each quotation mark. Much faster than to look at each element.
    """
    return [parse(b'"%b"' % one) if b"\\" in one else one.decode() for one in _WRITTEN.findall(text)]


def _written(node: Mapping[str, Any], found: list[str]) -> None:
    for key, value in node.items():
        kind = value.__class__
        if kind is dict:
            _written(value, found)
        elif kind is list:
            for item in value:
                if item.__class__ is dict:
                    _written(item, found)
        elif key == "reference" and kind is str:
            found.append(value)


def _literals(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                if key == "reference":
                    yield f"{path}.reference", value
            elif isinstance(value, dict | list):
                yield from _literals(value, f"{path}.{key}")
    else:
        for number, item in enumerate(node):
            if isinstance(item, dict):
                yield from _literals(item, f"{path}[{number}]")


def is_id(text: str) -> bool:
    """Whether `text` is a FHIR id: https://hl7.org/fhir/R5/datatypes.html#id"""
    return ID.fullmatch(text) is not None


def split_canonical(text: str) -> tuple[str, str | None]:
    """A canonical URL and its version: `http://x|1.0` is (`http://x`, `1.0`).
    https://hl7.org/fhir/R5/references.html#canonical
    """
    url, bar, version = text.partition("|")
    return url, version if bar else None
