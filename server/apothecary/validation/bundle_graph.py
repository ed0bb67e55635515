"""Documents and messages: what their first resource refers to is there, and all that is there belongs to it
(https://hl7.org/fhir/R5/documents.html#content, https://hl7.org/fhir/R5/messaging.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.references import parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.bundle_index import FIRST, BundleIndex, unlike
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

# By number of its entry: the numbers of the entries that a resource refers to.
_Links = dict[int, set[int]]


def check_graph(bundle: dict[str, Any], index: BundleIndex, at: At, run: Run) -> None:
    """Check a document or message as a whole."""
    if not bundle.get("entry"):
        text = f"is a {index.type} without an entry, where the first one is a {FIRST[index.type]}"
        run.report(BASE["bundle-content"], at, text)
        return
    _check_demands(index, at, run)
    sheets = _stylesheets(bundle, index, at, run)
    if index.first is not None:
        _check_orphans(index, sheets, at, run)


def _check_demands(index: BundleIndex, at: At, run: Run) -> None:
    url = index.full_url(index.first)
    for pointer, reference, _ in index.demands:
        # A urn:uuid that leads nowhere is told where it stands; what is contained is no entry.
        if reference.startswith(("#", "urn:")) or index.resolve(reference, url) is not None:
            continue
        meant = index.named(reference, url)
        said = f"is {shown(reference)}, which is not in the {index.type}"
        if meant is not None:
            said = f"is {shown(reference)}, which does not lead to that entry: {unlike(url, index.full_url(meant))}"
        run.report(BASE["bundle-content"], (at, "entry", 0), said, inside=("resource", *pointer))


def _stylesheets(bundle: dict[str, Any], index: BundleIndex, at: At, run: Run) -> set[int]:
    """The entries that Bundle.link names as stylesheets (https://hl7.org/fhir/R5/documents.html#css)."""
    found = set()
    numbers = {id(resource): number for number, resource in index.resources}
    links = bundle.get("link")
    for place, link in enumerate(links if isinstance(links, list) else ()):
        if not isinstance(link, dict) or link.get("relation") != "stylesheet":
            continue
        url = link.get("url")
        resource = index.find(url, index.full_url(index.first)) if isinstance(url, str) else None
        if resource is not None:
            found.add(numbers[id(resource)])
        elif isinstance(url, str) and parse_reference(url).relative:
            text = f"is {shown(url)}, which is not in the {index.type}"
            run.report(BASE["bundle-content"], (at, "link", place), text, key="url")
    return found


def _check_orphans(index: BundleIndex, sheets: set[int], at: At, run: Run) -> None:
    """Report what is not connected with the first entry. R5 follows references in both directions; before, a document
    holds only what is referred to from its Composition, and Provenance of that.
    """
    forward = _links(index)
    backward: _Links = {}
    for source, targets in forward.items():
        for target in targets:
            backward.setdefault(target, set()).add(source)
    either = {number: forward[number] | backward.get(number, set()) for number in forward}
    connected = _reached({0, *sheets}, either)
    strict = index.type == "document" and run.tables.version is not FhirVersion.R5
    allowed = _with_provenance(index, {0, *sheets}, forward) if strict else connected
    for number, resource in index.resources:
        if number in allowed:
            continue
        named = f"{resource.get('resourceType')}/{resource.get('id', '')}".rstrip("/")
        if number in connected:
            text = (
                f"holds {named}, which nothing refers to from the Composition on: before R5 only Provenance may be in a"
                " document because it refers to what is there"
            )
        else:
            text = f"holds {named}, which nothing connects with the {FIRST[index.type]}"
        run.report(BASE["bundle-orphan"], (at, "entry", number), text)


def _with_provenance(index: BundleIndex, begin: set[int], forward: _Links) -> set[int]:
    """What references lead to, with each Provenance that refers to some of it, and what these refer to."""
    waiting = {number for number, resource in index.resources if resource.get("resourceType") == "Provenance"}
    found = _reached(begin, forward)
    while more := {number for number in waiting - found if not forward[number].isdisjoint(found)}:
        found = _reached(found | more, forward)
    return found


def _reached(begin: set[int], links: _Links) -> set[int]:
    found, waiting = set(begin), [*begin]
    while waiting:
        for number in links.get(waiting.pop(), ()):
            if number not in found:
                found.add(number)
                waiting.append(number)
    return found


def _links(index: BundleIndex) -> _Links:
    """Which entries each entry refers to: by references, and by the uri or canonical of what is there."""
    numbers = {id(resource): number for number, resource in index.resources}
    canonicals = {
        url: number for number, resource in index.resources if isinstance(url := resource.get("url"), str) and url
    }
    found: _Links = {}
    for number, resource in index.resources:
        url = index.full_url(resource)
        targets = found[number] = set()
        for is_reference, text in _texts(resource):
            target = index.find(text, url) if is_reference else index.resolve(text, None)
            known = numbers[id(target)] if target is not None else canonicals.get(text.partition("|")[0])
            if known is not None and known != number:
                targets.add(known)
    return found


def _texts(resource: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """The texts that may name an entry, and whether each is a reference; nothing inside of a Bundle that is held."""
    waiting: list[Any] = [resource]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += [each for each in value if isinstance(each, dict | list)]
            yield from ((False, each) for each in value if isinstance(each, str))
        elif value is resource or value.get("resourceType") != "Bundle":
            for key, inner in value.items():
                if isinstance(inner, dict | list):
                    if not (value is resource and key == "entry" and resource.get("resourceType") == "Bundle"):
                        waiting.append(inner)
                elif isinstance(inner, str):
                    yield key == "reference", inner
