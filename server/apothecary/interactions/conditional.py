"""Finding the resource that a conditional interaction means: https://hl7.org/fhir/R5/http.html#cond-update

Always strict: criteria that would be ignored could make a write hit another resource than was meant.
"""

from __future__ import annotations

from apothecary.errors import BadRequest, PreconditionFailed
from apothecary.fhir.references import localise
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.interactions.sizes import size
from apothecary.interactions.terminology import held
from apothecary.search import control, incomplete, own
from apothecary.search.context import Context
from apothecary.search.parser import parse
from apothecary.search.query import Cursor, Query
from apothecary.search.text import decode
from apothecary.store.contract import Hit, Reader
from apothecary.store.limited import PIECE


def matches(
    service: Service, reader: Reader, version: FhirVersion, base: str, resource_type: str, criteria: str, limit: int
) -> list[Hit]:
    """The resources that meet `criteria` (a query string), at most `limit`; without their texts where that is more than
    two. Raises BadRequest for criteria that select nothing, Busy where the index cannot tell yet.
    """
    service.permit((resource_type,), "s")
    text = query_of(service, base, resource_type, criteria)
    pairs = [(name, value) for name, value in decode(text, service.settings.parameter_limit) if value]
    for name, _ in pairs:
        if name in control.NAMES:
            raise BadRequest(f"{name} selects nothing and cannot stand in criteria", expression=name)
    if not pairs:
        raise BadRequest(
            "the criteria are empty", expression="criteria", remedy="Write at least one search parameter with a value."
        )
    context = Context(
        service.registry(version),
        (resource_type,),
        own.bases(service.settings, base),
        now,
        strict=True,
        clause_limit=service.settings.search_clause_limit,
        terminology=held(service, version, base, reader),
    )
    query = parse(context, pairs).query
    if missing := incomplete.asked(query, service.live.now.incomplete):
        raise incomplete.refused(missing)
    found: list[Hit] = []
    cursor = None
    while True:
        # Of three, at most, each is no larger than a body may be.
        page = reader.search(Query(query.predicates, (), limit - len(found), cursor), PIECE if limit > 2 else None).hits
        found += page if limit <= 2 else [one._replace(body=b"") for one in page]
        if len(found) >= limit or size(page) <= PIECE:
            return found
        cursor = Cursor(page[-1].sort, page[-1].type, page[-1].id)


def query_of(service: Service, base: str, resource_type: str, criteria: str) -> str:
    """The query string alone. Some clients write criteria with the type, or the whole address of the type, before it:
    https://hl7.org/fhir/R5/http.html#ccreate. Raises BadRequest for another type or server.
    """
    place, mark, query = criteria.partition("?")
    if not mark or "=" in place:
        return criteria
    if localise(f"{place}?", own.bases(service.settings, base)) not in ("?", f"{resource_type}?"):
        raise BadRequest(
            f"the criteria are of {place}, the resource is a {resource_type}",
            expression="criteria",
            remedy=f"Write {resource_type}?{query}, or the query alone.",
        )
    return query


def single(
    service: Service, reader: Reader, version: FhirVersion, base: str, resource_type: str, criteria: str
) -> Hit | None:
    """The one resource that meets `criteria`, None if none does. Raises PreconditionFailed for several."""
    found = matches(service, reader, version, base, resource_type, criteria, 2)
    if len(found) > 1:
        raise PreconditionFailed(
            f"{resource_type}?{query_of(service, base, resource_type, criteria)} matches several resources, among them "
            f"{found[0].id} and {found[1].id}",
            code="multiple-matches",
            remedy="Write criteria that only one resource meets, such as an identifier.",
        )
    return found[0] if found else None
