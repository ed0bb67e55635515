"""_include and _revinclude: https://hl7.org/fhir/R5/search.html#include"""

from __future__ import annotations

from collections.abc import Sequence

from apothecary.errors import BadRequest
from apothecary.fhir.releases import FhirVersion
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
    lacking = set(types(service, version))
    known: dict[Key, None] = {(hit.type, hit.id): None for hit in hits}
    left_out: dict[Key, None] = {}
    frontier: list[Key] = list(known)
    first = True
    while frontier:
        fresh: dict[Key, None] = {}
        for include in includes:
            # An include without :iterate looks at the matches only.
            if first or include.iterate:
                fresh.update(dict.fromkeys(_step(service, include, frontier, limit)))
        left_out.update((key, None) for key in fresh if key[0] in lacking)
        frontier = [key for key in fresh if key not in known and service.registries[version].serves(key[0])]
        known.update(dict.fromkeys(frontier))
        if len(known) - len(hits) > limit:
            raise BadRequest(
                f"the includes would add more than {limit} resources to this page",
                expression="_include",
                code="too-costly",
                remedy="Ask for smaller pages with _count, or for fewer includes.",
            )
        first = False
    wanted = list(known)[len(hits) :]
    order = {key: number for number, key in enumerate(wanted)}
    found = sorted(service.reader.read_many(wanted), key=lambda one: order[one.type, one.id])
    return found, service.reader.existing(list(left_out)) if left_out else set()


def _step(service: Service, include: Include, keys: Sequence[Key], limit: int) -> list[Key]:
    """What one include adds to some resources, following it once."""
    reader, found = service.reader, list[Key]()
    if include.reverse:
        targets = [key for key in keys if include.target_type in (None, unmarked(key[0]))]
        if targets:
            found += reader.referring(include.source_type, include.parameter, targets, limit + 1)
        if targets and include.by_url:
            found += reader.naming(include.source_type, include.by_url, targets, limit + 1)
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
