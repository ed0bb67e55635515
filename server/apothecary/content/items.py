"""Documents -> the resources in them: one, or those that a Bundle carries (https://hl7.org/fhir/R5/bundle.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from apothecary.content.documents import Document, Pointer
from apothecary.content.version_hints import hinted_version
from apothecary.fhir.json import JSON
from apothecary.fhir.links import rewrite
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion

# Bundles of these types carry resources; any other type is a record of its own.
CARRIERS = ("batch", "collection", "searchset", "transaction")

URN = "urn:uuid:"


class Failure(NamedTuple):
    """A resource that cannot be used: where it stands, and why."""

    file: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


Fail = Callable[[Failure], None]


class Item(NamedTuple):
    """One resource on its way: `pointer` leads to it in its document."""

    document: Document
    pointer: Pointer
    resource: JSON
    id: str
    version: FhirVersion

    @property
    def key(self) -> tuple[str, str]:
        return self.resource["resourceType"], self.id

    @property
    def is_whole_file(self) -> bool:
        """Whether it is all that a file of JSON, XML or YAML holds."""
        return not self.pointer and self.document.format in ("json", "xml", "yaml")

    def failure(self, pointer: Pointer, reason: str) -> Failure:
        """What is wrong at a place in the resource."""
        return failure(self.document, (*self.pointer, *pointer), reason)


def failure(document: Document, pointer: Pointer, reason: str) -> Failure:
    """What is wrong at a place in a document."""
    return Failure(document.file, *document.positions.find(pointer), reason)


def items(document: Document, default: FhirVersion, fail: Fail) -> Iterator[Item]:
    """The resources of a document that have a type and an id, in the release that each claims, or what it was published
    in, or else in `default`; `fail` is told the others.
    """
    for issue in document.issues:
        if issue.issue.severity in ("fatal", "error"):
            fail(Failure(document.file, issue.line, issue.column, issue.issue.diagnostics))
            return
    value = document.value
    if not isinstance(value, dict):
        fail(failure(document, (), "a resource is an object"))
    elif value.get("resourceType") == "Bundle" and value.get("type") in CARRIERS:
        yield from _entries(document, value, default, fail)
    else:
        yield from _item(document, (), value, None, default, fail)


def _entries(document: Document, bundle: JSON, default: FhirVersion, fail: Fail) -> Iterator[Item]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        fail(failure(document, ("entry",), "Bundle.entry is a list"))
        return
    links = _links(entries)
    for number, entry in enumerate(entries):
        pointer: Pointer = ("entry", number)
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            fail(failure(document, pointer, "the entry carries no resource that could be loaded"))
            continue
        url = entry.get("fullUrl")
        named = url if isinstance(url, str) else None
        for item in _item(document, (*pointer, "resource"), resource, named, default, fail):
            yield item._replace(resource=rewrite(resource, item.version, links.get)) if links else item


def _item(
    document: Document, pointer: Pointer, resource: JSON, full_url: str | None, default: FhirVersion, fail: Fail
) -> Iterator[Item]:
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        said = "has no resourceType" if kind is None else "has a resourceType that is no text"
        fail(failure(document, pointer, f"the resource {said}"))
        return
    identity = _identity(resource, full_url)
    if identity is None:
        said = "has no id, and without one loading it twice would store it twice"
        fail(failure(document, pointer, f"the {kind} {said}"))
    elif not is_id(identity):
        fail(failure(document, (*pointer, "id"), f"{identity!r} is not an id"))
    else:
        version = hinted_version(resource) or document.release or default
        yield Item(document, pointer, resource, identity, version)


def _identity(resource: JSON, full_url: str | None) -> str | None:
    """The id that a resource is stored under: its own, or else the one that its bundle gives it."""
    if "id" in resource:
        return str(resource["id"])
    return full_url.removeprefix(URN) if full_url is not None and full_url.startswith(URN) else None


def _links(entries: list[object]) -> dict[str, str]:
    """What stands in a bundle for a resource of the same bundle, as the address that the resource is stored under."""
    found = {}
    for entry in entries:
        url, resource = (entry.get("fullUrl"), entry.get("resource")) if isinstance(entry, dict) else (None, None)
        if isinstance(url, str) and url.startswith("urn:") and isinstance(resource, dict):
            found[url] = f"{resource.get('resourceType')}/{_identity(resource, url)}"
    return found
