"""_include and _revinclude: https://hl7.org/fhir/R5/search.html#include"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apothecary.errors import BadRequest, Issue
from apothecary.fhir.json import parse
from apothecary.fhir.references import literals, localise, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import basics
from apothecary.interactions.left_out import types
from apothecary.interactions.service import Service
from apothecary.search.contained import unmarked
from apothecary.search.query import Include
from apothecary.store.contract import Hit, Stored

Key = tuple[str, str]


def included(
    service: Service, version: FhirVersion, includes: Sequence[Include], hits: Sequence[Hit]
) -> tuple[list[Stored], set[Key]]:
    """The resources that the includes add to a page: each once, none that is a match, cycles or not. And those that
    they would add if `version` had their type.

    Raises BadRequest where there are more than the limit: a list that was cut short could be taken for the whole.
    """
    limit = service.settings.include_limit
    lacking = set(types(service, version)).difference(basics.lacking(service, version))
    shown = {*service.registries[version].types, *basics.lacking(service, version)}
    known: dict[Key, None] = {(hit.type, hit.id): None for hit in hits}
    left_out: dict[Key, None] = {}
    frontier: list[Key] = list(known)
    first = True
    followed = 0
    while frontier:
        fresh: dict[Key, None] = {}
        for include in includes:
            # An include without :iterate looks at the matches only.
            if first or include.iterate:
                # A chain of references may be as long as the limit, and each of its links is asked for by each include.
                followed += 1
                if followed > limit + len(includes):
                    raise _too_many(limit)
                fresh.update(dict.fromkeys(_step(service, version, include, frontier, limit)))
        left_out.update((key, None) for key in fresh if key[0] in lacking)
        frontier = [key for key in fresh if key not in known and key[0] in shown]
        known.update(dict.fromkeys(frontier))
        if len(known) - len(hits) > limit:
            raise _too_many(limit)
        first = False
    wanted = list(known)[len(hits) :]
    order = {key: number for number, key in enumerate(wanted)}
    found = sorted(
        service.reader.read_many(wanted, service.settings.answer_limit), key=lambda one: order[one.type, one.id]
    )
    return found, service.reader.existing(list(left_out)) if left_out else set()


def _too_many(limit: int) -> BadRequest:
    return BadRequest(
        f"the includes would add more than {limit} resources to this page (APOTHECARY_INCLUDE_LIMIT)",
        expression="_include",
        code="too-costly",
        remedy="Ask for smaller pages with _count, or for fewer includes.",
    )


def other_versions(shown: Sequence[Hit | Stored], own: Sequence[str]) -> Iterator[Issue]:
    """A warning where what is shown is not the version that a reference in it names:
    https://hl7.org/fhir/R5/references.html#literal. `own` are the addresses of this server.
    """
    current = {(one.type, one.id): one.version for one in shown}
    found: dict[str, str] = {}
    for one in shown:
        if b"/_history/" not in (one.body or b""):
            continue
        for _, literal in literals(parse(one.body or b"")):
            target = parse_reference(localise(literal, own))
            there = current.get((str(target.type), str(target.id))) if target.relative and target.version else None
            if there is not None and str(there) != target.version:
                found[literal] = f"{literal}, which {one.type}/{one.id} points to, is shown in its version {there}"
    for text in found.values():
        yield Issue("warning", "business-rule", text, ("_include",), remedy="Read the version itself.")


def _step(service: Service, version: FhirVersion, include: Include, keys: Sequence[Key], limit: int) -> list[Key]:
    """What one include adds to some resources, following it once."""
    reader, found = service.reader, list[Key]()
    if include.reverse:
        targets = [key for key in keys if include.target_type in (None, unmarked(key[0]))]
        for source_type, by_url in _sources(service, version, include) if targets else ():
            found += reader.referring(source_type, include.parameter, targets, limit + 1)
            if by_url:
                found += reader.naming(source_type, by_url, targets, limit + 1)
        return found
    # Those of a type that this version lacks are found too, to be counted.
    targeted = service.registry(FhirVersion.R5).types if include.target_type is None else (include.target_type,)
    for source_type in dict.fromkeys(key[0] for key in keys):
        # A contained resource that is shown by itself brings along what it points to.
        if include.source_type not in ("*", unmarked(source_type)):
            continue
        ids = [resource_id for kind, resource_id in keys if kind == source_type]
        found += reader.referenced(source_type, include.parameter, include.target_type, ids, limit + 1)
        if include.by_url or include.by_url is None:
            found += reader.named(source_type, include.by_url, targeted, ids, limit + 1)
    return found


def _sources(service: Service, version: FhirVersion, include: Include) -> Iterator[tuple[str, Sequence[str]]]:
    """The types whose references a reverse include follows, each with its parameters that may hold canonical URLs."""
    if include.source_type != "*":
        yield include.source_type, include.by_url or ()
        return
    asked, newest = service.registries[version], service.registries[FhirVersion.R5]
    for one in service.reader.types():
        # Those of a type that this version lacks are found too, to be counted.
        registry = asked if asked.serves(one) else newest
        if registry.serves(one):
            yield one, tuple(found.index for found in registry.parameters(one).values() if found.by_url)
