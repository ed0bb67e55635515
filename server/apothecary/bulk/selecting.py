"""Which resources the filters of an export find at its moment.

https://hl7.org/fhir/uv/bulkdata/STU3/en/export.html#_typefilter-query-parameter

A search knows what is current, not what was. So all filters are asked at once, and if anything was written since the
moment of the export, that is set anew and they are asked again. Where that does not come to an end, what was written
meanwhile is named among the errors of the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from apothecary.bulk.job import Job, Note
from apothecary.bulk.packing import pack
from apothecary.bulk.portions import identifiers
from apothecary.bulk.request import filtering
from apothecary.errors import Conflict
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.basics import BASIC, lacking
from apothecary.interactions.service import Service
from apothecary.search.predicates import Compare, Predicate, Resource, any_of
from apothecary.search.query import Cursor, Query
from apothecary.store.bulk import Bulk
from apothecary.store.contract import Store

# So many ids are asked for, and kept, at a time.
PAGE = 500
PAGE_BYTES = 64 * 1024 * 1024

# What every resource meets.
_ALL = Resource(Compare("id", ">", ""))

TRIES = 5
# Of what was written meanwhile so many are named.
MOST_TOLD = 100

Piece = tuple[str, int, bytes]


def advance(service: Service, bulk: Bulk, name: str, job: Job) -> tuple[Job, list[Piece]]:
    """The job with the ids that its filters find, which are in the pieces."""
    job.tries += 1
    version = FhirVersion(job.wanted.version)
    asked: dict[str, list[Predicate]] = {}
    whole: set[str] = set()
    for text in job.wanted.filters:
        kind, prepared = filtering(service, version, job.base, text)
        for one, predicate in prepared.search.query.predicates.items():
            asked.setdefault(one, [])
            if predicate is None and one not in job.wanted.narrowed:
                whole.add(one)
            elif predicate is None:
                asked[one].append(_ALL)
            else:
                asked[one].append(predicate)
        if kind == BASIC:
            # Of what is read as Basic, a filter of Basic leaves only what it asks for.
            for other in (BASIC, *lacking(service, version)):
                asked.setdefault(other, [])
    for kind in job.wanted.narrowed:
        # Without a filter, all that may be found.
        asked.setdefault(kind, [_ALL])
    pieces: list[Piece] = []
    selected = {}
    for kind, predicates in sorted((kind, found) for kind, found in asked.items() if kind not in whole):
        selected[kind] = 0
        for ids in _found(service.store, kind, any_of(predicates)) if predicates else ():
            pieces.append((identifiers(name, kind), selected[kind], pack(msgspec.json.encode(ids))))
            selected[kind] += 1
    changed = bulk.changed_since(job.moment, MOST_TOLD + 1)
    if changed and job.tries < TRIES:
        job.moment = bulk.change(lambda change: change.moment())
        return job, []
    if changed and job.wanted.narrowed:
        # What one of them was before the change, nobody can tell any more: it may have been out of bounds.
        raise Conflict("what is exported was changed all the while; begin the export again when less is written")
    for kind, identity in changed[:MOST_TOLD]:
        if service.finds(kind) != "all":
            continue
        one = f"{kind}/{identity}"
        said = "was written while the filters were asked: whether it is exported was decided by what it became"
        job.note(Note("warning", "transient", f"{one} {said}", (one,)))
    if len(changed) > MOST_TOLD:
        job.note(Note("warning", "transient", "so were others"))
    job.selected, job.selecting = selected, False
    return job, pieces


def _found(store: Store, kind: str, predicate: Predicate) -> Iterator[list[str]]:
    query = Query({kind: predicate}, count=PAGE)
    while True:
        page = store.search(query, PAGE_BYTES)
        ids = [hit.id for hit in page.hits]
        if ids:
            yield ids
        if not page.more_after or not ids:
            return
        query = replace(query, cursor=Cursor((), kind, ids[-1]), memo={})
