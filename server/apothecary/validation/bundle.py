"""Bundles: what entries say about each other (https://hl7.org/fhir/R5/bundle.html).

The invariants `bdl-*` come from the definitions; here stand the rules that the pages give in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from apothecary.fhir.references import Reference, parse_reference
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Pointer, Run

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
# In these an urn:uuid can have no other meaning than an entry of the same bundle.
_CLOSED = frozenset({"transaction", "batch", "document", "message"})
# What the first resource of a document or message refers to and the bundle has to hold, by the type of the bundle.
_FIRST = {"document": "Composition", "message": "MessageHeader"}
_HELD: dict[str, tuple[tuple[str, ...], ...]] = {
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
_HELD_OF_SECTION = (("author",), ("focus",), ("entry",))
_REQUESTED = frozenset({"transaction", "batch", "history"})


class BundleIndex:
    """Finds entries by reference (https://hl7.org/fhir/R5/bundle.html#references)."""

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

    def full_url(self, resource: Any) -> str | None:
        """The fullUrl of the entry that holds this very object."""
        return self._urls.get(id(resource))

    def find(self, reference: str, full_url: str | None) -> dict[str, Any] | None:
        """The resource that `reference`, in the entry with `full_url`, points to."""
        wanted = reference.partition("/_history/")[0].partition("#")[0]
        found = self._by_url.get(wanted)
        if found is None and full_url is not None:
            base = parse_reference(full_url).base
            found = self._by_url.get(f"{base}/{wanted}") if base is not None else None
        return found if found is not None else self._by_name.get(wanted)

    def holds(self, reference: str, full_url: str | None) -> bool:
        """Whether an entry is what `reference` points to."""
        return self.find(reference, full_url) is not None

    @cached_property
    def _resources(self) -> list[tuple[Any, dict[str, Any]]]:
        entries = self._bundle.get("entry")
        if not isinstance(entries, list):
            return []
        return [
            (entry.get("fullUrl"), entry["resource"])
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
        ]

    @cached_property
    def _urls(self) -> dict[int, str]:
        return {id(resource): url for url, resource in self._resources if isinstance(url, str)}

    @cached_property
    def _by_url(self) -> dict[str, dict[str, Any]]:
        return {url: resource for url, resource in self._resources if isinstance(url, str)}

    @cached_property
    def _by_name(self) -> dict[str, dict[str, Any]]:
        return {f"{resource.get('resourceType')}/{resource.get('id')}": resource for _, resource in self._resources}


def check_bundle(bundle: dict[str, Any], at: At, run: Run) -> None:
    """Check the entries of a Bundle against each other."""
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        return
    index_of_bundle = BundleIndex(bundle)
    kind = index_of_bundle.type
    if kind in _FIRST:
        _check_first(index_of_bundle, entries, at, run)
    changed: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        place = (at, "entry", index)
        _check_full_url(entry, place, run)
        request = entry.get("request")
        if kind in _REQUESTED and isinstance(request, dict):
            target = _check_request(entry, request, place, run)
            if kind == "transaction" and target is not None:
                first = changed.setdefault(target, index)
                if first != index:
                    text = f"changes {'/'.join(target)}, as entry[{first}] already does"
                    run.report(BASE["bundle-duplicate"], place, text)


def _check_first(bundle: BundleIndex, entries: list[Any], at: At, run: Run) -> None:
    """Check that the bundle holds what its Composition or MessageHeader refers to
    (https://hl7.org/fhir/R5/documents.html#content, https://hl7.org/fhir/R5/messaging.html).
    """
    first = entries[0] if entries and isinstance(entries[0], dict) else {}
    resource, url = first.get("resource"), first.get("fullUrl")
    name = _FIRST[bundle.type]
    if not isinstance(resource, dict) or resource.get("resourceType") != name:
        return
    followed = [found for path in _HELD[name] for found in _at(resource, path, ())]
    if name == "Composition":
        followed += _of_sections(resource, ())
    for pointer, target in followed:
        # A urn:uuid that leads nowhere is told where it stands; what is contained is no entry.
        if target.startswith(("#", "urn:")) or bundle.holds(target, url if isinstance(url, str) else None):
            continue
        text = f"is {shown(target)}, which is not in the {bundle.type}"
        run.report(BASE["bundle-content"], (at, "entry", 0), text, inside=("resource", *pointer))


def _of_sections(value: dict[str, Any], at: Pointer) -> Iterator[tuple[Pointer, str]]:
    """The references of the sections of a Composition, and of theirs."""
    waiting = [(at, value)]
    while waiting:
        place, holder = waiting.pop()
        sections = holder.get("section")
        for index, section in enumerate(sections if isinstance(sections, list) else ()):
            if isinstance(section, dict):
                here = (*place, "section", index)
                waiting.append((here, section))
                for path in _HELD_OF_SECTION:
                    yield from _at(section, path, here)


def _at(value: Any, path: tuple[str, ...], at: Pointer) -> Iterator[tuple[Pointer, str]]:
    """The literal references at `path` in `value`, with their places."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _at(one, path, (*at, index))
    elif isinstance(value, dict) and path:
        yield from _at(value.get(path[0]), path[1:], (*at, path[0]))
    elif isinstance(value, dict):
        found = value.get("reference")
        if isinstance(found, str) and found:
            yield (*at, "reference"), found
        elif isinstance(found, dict):  # A CodeableReference.
            yield from _at(found, (), (*at, "reference"))


def _check_full_url(entry: dict[str, Any], at: At, run: Run) -> None:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if not isinstance(url, str) or not url:
        return
    if _ABSOLUTE.fullmatch(url) is None:
        run.report(BASE["bundle-full-url"], at, f"is {shown(url)}, which is not absolute", key="fullUrl")
        return
    if not isinstance(resource, dict) or url.startswith("urn:"):
        return
    named = parse_reference(url)
    name, identifier = resource.get("resourceType"), resource.get("id")
    if named.type is None or not run.tables.is_resource_type(named.type):
        return
    if named.type != name or (identifier is not None and named.id != identifier):
        text = f"is {shown(url)}, but the resource is {name}/{identifier}"
        run.report(BASE["bundle-full-url"], at, text, key="fullUrl")


def _check_request(entry: dict[str, Any], request: dict[str, Any], at: At, run: Run) -> tuple[str, str] | None:
    """Check that request and resource agree; the identity that the request changes, when it names one."""
    method, url = request.get("method"), request.get("url")
    if not isinstance(url, str) or method not in ("POST", "PUT", "PATCH", "DELETE"):
        return None
    resource = entry.get("resource")
    path = parse_reference(url.partition("?")[0])
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if method == "POST":
        type_name = url.partition("?")[0].strip("/")
        if isinstance(name, str) and run.tables.is_resource_type(type_name) and type_name != name:
            _mismatch(url, f"the resource is a {name}", at, run)
        return None
    if method == "PUT" and isinstance(resource, dict):
        _check_put(url, path, resource, at, run)
    return (path.type, path.id) if path.type is not None and path.id is not None else None


def _check_put(url: str, path: Reference, resource: dict[str, Any], at: At, run: Run) -> None:
    name, identifier = resource.get("resourceType"), resource.get("id")
    if path.type is not None and (path.type != name or path.id != identifier):
        _mismatch(url, f"the resource is {name}/{identifier}", at, run)


def _mismatch(url: str, what: str, at: At, run: Run) -> None:
    run.report(BASE["bundle-request"], at, f"is {shown(url)}, but {what}", inside=("request", "url"))
