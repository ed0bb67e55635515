"""The entries of a Bundle by what references to them look like
(https://hl7.org/fhir/R5/bundle.html#references).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from apothecary.fhir.references import parse_reference
from apothecary.validation.diagnostics import shown

# In these an urn:uuid can have no other meaning than an entry of the same bundle.
_CLOSED = frozenset({"transaction", "batch", "document", "message"})
# What the first resource of a document or message refers to and the bundle has to hold, by the type of the bundle:
# https://hl7.org/fhir/R5/documents.html#content, https://hl7.org/fhir/R5/messaging.html
FIRST = {"document": "Composition", "message": "MessageHeader"}
_DEMANDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Composition": (
        ("subject",),
        ("encounter",),
        ("author",),
        ("attester", "party"),
        ("custodian",),
        ("event", "detail"),
    ),
    "MessageHeader": (("focus",),),
}
_DEMANDED_OF_SECTION = (("author",), ("focus",), ("entry",))

Pointer = tuple[str | int, ...]


class Demand(NamedTuple):
    """A literal reference of the first resource that the bundle has to hold: its place there, the reference, and the
    object that has it.
    """

    pointer: Pointer
    reference: str
    owner: dict[str, Any]


class BundleIndex:
    """Finds entries by reference."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._bundle = bundle
        kind = bundle.get("type")
        self.type = kind if isinstance(kind, str) else ""

    @property
    def is_transaction(self) -> bool:
        """Whether references may be conditional."""
        return self.type in ("transaction", "batch")

    @property
    def must_resolve(self) -> bool:
        """Whether each urn:uuid has to be the fullUrl of an entry."""
        return self.type in _CLOSED

    @property
    def must_lead(self) -> bool:
        """Whether relative references are understood by fullUrls alone, and not by whoever processes the bundle."""
        return not self.is_transaction

    def full_url(self, resource: Any) -> str | None:
        """The fullUrl of the entry that holds this very object."""
        return self._urls.get(id(resource))

    def find(self, reference: str, full_url: str | None) -> dict[str, Any] | None:
        """The resource that `reference`, in the entry with `full_url`, points to; where the rules find none, one of
        that type and id all the same, as authors mean it who write `Patient/1` beside a urn:uuid.
        """
        found = self.resolve(reference, full_url)
        return found if found is not None else self.named(reference, full_url)

    def resolve(self, reference: str, full_url: str | None) -> dict[str, Any] | None:
        """The resource that `reference`, in the entry with `full_url`, leads to by the rules: by the fullUrl of an
        entry, a relative one after the base of `full_url`, and in the version that is named.
        """
        wanted, version = _without_version(reference)
        found = self._by_url.get(wanted)
        if found is None and (base := _base(full_url)) is not None:
            found = self._by_url.get(f"{base}/{wanted}")
        return None if found is None else _of_version(found, version)

    def named(self, reference: str, full_url: str | None) -> dict[str, Any] | None:
        """The resource that has the type and id of a relative reference in the entry with `full_url`, where one of the
        two has no address that says otherwise.
        """
        wanted, version = _without_version(reference)
        found = self._by_name.get(wanted, [])
        if _base(full_url) is not None:
            found = [each for each in found if _base(self.full_url(each)) is None]
        return _of_version(found, version) if found else None

    def holds(self, reference: str, full_url: str | None) -> bool:
        """Whether an entry is what `reference` points to."""
        return self.find(reference, full_url) is not None

    @cached_property
    def first(self) -> dict[str, Any] | None:
        """The Composition of a document, the MessageHeader of a message."""
        entries = self._bundle.get("entry")
        entry = entries[0] if isinstance(entries, list) and entries else None
        resource = entry.get("resource") if isinstance(entry, dict) else None
        is_first = isinstance(resource, dict) and resource.get("resourceType") == FIRST.get(self.type)
        return resource if is_first else None

    @cached_property
    def demands(self) -> tuple[Demand, ...]:
        """What the first resource of a document or message refers to and the bundle has to hold."""
        first = self.first
        if first is None:
            return ()
        found = [demand for path in _DEMANDED[FIRST[self.type]] for demand in _at(first, path, ())]
        return (*found, *(_of_sections(first) if self.type == "document" else ()))

    @cached_property
    def demanded(self) -> frozenset[int]:
        """The identities of the References that are among the demands."""
        return frozenset(id(demand.owner) for demand in self.demands)

    @cached_property
    def resources(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """The resources of the entries, each with the number of its entry."""
        entries = self._bundle.get("entry")
        return tuple(
            (number, entry["resource"])
            for number, entry in enumerate(entries if isinstance(entries, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
        )

    @cached_property
    def _urls(self) -> dict[int, str]:
        entries = self._bundle["entry"] if self.resources else ()
        return {
            id(resource): url
            for number, resource in self.resources
            if isinstance(url := entries[number].get("fullUrl"), str)
        }

    @cached_property
    def _by_url(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for _, resource in self.resources:
            url = self._urls.get(id(resource))
            if url is not None:
                found.setdefault(url, []).append(resource)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for _, resource in self.resources:
            found.setdefault(f"{resource.get('resourceType')}/{resource.get('id')}", []).append(resource)
        return found


def version_of(resource: Mapping[str, Any]) -> str | None:
    """`meta.versionId`, where there is one."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def unlike(url: str | None, other: str | None) -> str:
    """Why a relative reference in the entry with the fullUrl `url` does not lead to that with `other`."""
    lacking = url if _base(url) is None else other
    return "an entry has no fullUrl" if lacking is None else f"the fullUrl {shown(lacking)} has no base"


def _base(url: str | None) -> str | None:
    return None if url is None else parse_reference(url).base


def _without_version(reference: str) -> tuple[str, str | None]:
    wanted, history, version = reference.partition("#")[0].partition("/_history/")
    return wanted, version if history else None


def _of_version(found: list[dict[str, Any]], version: str | None) -> dict[str, Any] | None:
    """That version, or one that does not say which it is; of several the last where none is named."""
    if version is None:
        return found[-1]
    return next((each for wanted in (version, None) for each in found if version_of(each) == wanted), None)


def _of_sections(composition: dict[str, Any]) -> Iterator[Demand]:
    """The references of the sections of a Composition, and of theirs."""
    waiting: list[tuple[Pointer, dict[str, Any]]] = [((), composition)]
    while waiting:
        place, holder = waiting.pop()
        sections = holder.get("section")
        for index, section in enumerate(sections if isinstance(sections, list) else ()):
            if isinstance(section, dict):
                here = (*place, "section", index)
                waiting.append((here, section))
                for path in _DEMANDED_OF_SECTION:
                    yield from _at(section, path, here)


def _at(value: Any, path: tuple[str, ...], at: Pointer) -> Iterator[Demand]:
    """The literal references at `path` in `value`, with their places."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _at(one, path, (*at, index))
    elif isinstance(value, dict) and path:
        yield from _at(value.get(path[0]), path[1:], (*at, path[0]))
    elif isinstance(value, dict):
        found = value.get("reference")
        if isinstance(found, str) and found:
            yield Demand((*at, "reference"), found, value)
        elif isinstance(found, dict):  # A CodeableReference.
            yield from _at(found, (), (*at, "reference"))
