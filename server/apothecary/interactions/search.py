"""search-type and search-system: https://hl7.org/fhir/R5/http.html#search and https://hl7.org/fhir/R5/search.html"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from apothecary.errors import BadRequest, Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import Clock, instant, now
from apothecary.interactions import basics, bundle, hints, kept, left_out, totals
from apothecary.interactions.contained import contained_in
from apothecary.interactions.forms import body_in
from apothecary.interactions.include import included, other_versions
from apothecary.interactions.prepared import Prepared
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.sizes import size, too_large, within
from apothecary.interactions.subset import subset
from apothecary.interactions.terminology import Held, held
from apothecary.search import control, incomplete, links, own
from apothecary.search.compartments import ALL, Compartment, types_in
from apothecary.search.contained import is_marked, unmarked, url_path
from apothecary.search.context import Context
from apothecary.search.parser import parse
from apothecary.search.query import Cursor, Search
from apothecary.store.contract import Page

_STOPPED = Issue(
    "information",
    "incomplete",
    "this page ends early: as many resources were looked at for it as one page may; there may be more matches",
    remedy="Follow the link to the next page, which goes on from there (the previous one, where pages are read back).",
)

Pairs = Sequence[tuple[str, str]]


def search(
    service: Service,
    version: FhirVersion,
    base: str,
    resource_type: str | None,
    pairs: Pairs,
    *,
    strict: bool = False,
    text: str | None = None,
    compartment: Compartment | None = None,
    clock: Clock | None = None,
) -> bytes:
    """The searchset as JSON text. `pairs` are the decoded parameters; `text`, where given, is what they were decoded
    from; `compartment` leaves what belongs to a patient or the like; `clock` knows afterwards whether the answer hangs
    on the time.

    Raises BadRequest and its children, NotFound for a type that is not served; Busy where the index of a parameter is
    incomplete and the search is `strict`.
    """
    clock = clock or Clock()
    asked = version, base, resource_type, compartment, text, strict
    presumed = service.live.presumed if text is not None else None
    prepared = service.searches.get((*asked, presumed.generation)) if presumed is not None else None
    if presumed is not None and prepared is not None and not prepared.search.count_only:
        # What was understood before is asked at once, and its answer tells whether it means the same still.
        found = _found(service, prepared.search)
        if service.live.confirms(presumed, {hit.definitions for hit in found[0].hits}):
            return answer(service, version, base, resource_type, prepared, clock, found)
    key = (*asked, service.live.now.generation) if text is not None else None
    prepared = service.searches.get(key) if key is not None else None
    if prepared is None:
        prepared = prepare(
            service, version, base, resource_type, pairs, strict=strict, compartment=compartment, clock=clock
        )
        # What hangs on the time, value sets, and which words resemble one, may change.
        if key is not None and prepared.lasting and not prepared.search.inexact and not clock.asked:
            service.searches.put(key, prepared)
    return answer(service, version, base, resource_type, prepared, clock)


def prepare(
    service: Service,
    version: FhirVersion,
    base: str,
    resource_type: str | None,
    pairs: Pairs,
    *,
    strict: bool,
    compartment: Compartment | None = None,
    clock: Callable[[], int] = now,
) -> Prepared:
    """Parse the parameters and find the page that `_page` names; `clock` gives the time of the request."""
    registry = service.registry(version)
    types = registry.types
    if compartment is not None:
        service.check_type(version, compartment.type)
        check_id(compartment.id)
        if resource_type is not None:
            service.check_type(version, resource_type)
        types = types_in(registry, compartment, resource_type or ALL)
    elif resource_type is not None:
        service.check_type(version, resource_type)
        types = (resource_type,)
    service.permit(() if resource_type is None else basics.meant(service, version, resource_type), "s")
    path = _path(resource_type, compartment)
    terminology = held(service, version, base)
    context = _context(service, version, base, types, terminology, clock, strict=strict)
    tokens = [value for name, value in pairs if name == links.PAGE]
    pairs = [(name, value) for name, value in pairs if name != links.PAGE]
    if len(tokens) > 1:
        raise BadRequest(f"{links.PAGE} stands twice in the request", expression=links.PAGE)
    token, shown = tokens[0] if tokens else "", None
    if token.startswith(kept.MARK):
        if pairs:
            raise BadRequest(f"{links.PAGE} of this kind stands for a whole search", expression=links.PAGE)
        shown = [(links.PAGE, token)]
        pairs, token = kept.search_of(service, path, token, clock)
    basic = None
    if resource_type == basics.BASIC and compartment is None:
        basic = basics.asked(service, version, pairs)
    if basic is not None:
        # What R5 calls by another name is asked for as R5 asks for it.
        types, named, pairs = basic
        context = _context(service, FhirVersion.R5, base, types, terminology, clock, strict=strict)
        found = parse(context, pairs)
        found = replace(found, applied=(*named, *found.applied))
    else:
        found = parse(context, pairs, compartment)
    applied = list(found.applied)
    if token:
        cursor = links.read(service.secret, path, applied, token)
        found = replace(found, query=replace(found.query, cursor=cursor, memo={}))
        applied.append((links.PAGE, token))
    if terminology.warnings:
        found = replace(found, warnings=(*found.warnings, *terminology.warnings))
    missing = incomplete.asked((found.query, found.includes), service.live.now.incomplete)
    if missing and strict:
        raise incomplete.refused(missing)
    if missing:
        found = replace(found, warnings=(*found.warnings, incomplete.warning(missing)))
    found = replace(found, warnings=(*found.warnings, *service.left_out(found)))
    if found.max_results is not None:
        left = max(0, found.max_results - totals.seen(found))
        found = replace(found, query=replace(found.query, count=min(found.query.count, left), memo={}))
    found = replace(found, query=replace(found.query, looks=service.settings.page_look_limit))
    url = bundle.address(base, path, shown or applied)
    lasting = not terminology.asked and shown is None and not missing
    return Prepared(found, url, bundle.link("self", url), path, lasting=lasting)


def _path(resource_type: str | None, compartment: Compartment | None) -> str:
    """Where a search stands below its base."""
    return "/".join([*compartment, resource_type or ALL]) if compartment else resource_type or ""


def _context(
    service: Service,
    version: FhirVersion,
    base: str,
    types: Sequence[str],
    terminology: Held,
    clock: Callable[[], int],
    *,
    strict: bool = False,
) -> Context:
    settings = service.settings
    return Context(
        service.registry(version),
        tuple(types),
        own.bases(settings, base),
        clock,
        strict,
        settings.page_size,
        settings.page_size_limit,
        settings.search_clause_limit,
        service.reader,
        terminology=terminology,
    )


def _found(service: Service, found: Search) -> tuple[Page, float]:
    """The page of a search as it is in the database, and the seconds that it took."""
    started = time.perf_counter()
    page = service.reader.search(found.query, service.settings.answer_limit)
    return page, time.perf_counter() - started


def answer(
    service: Service,
    version: FhirVersion,
    base: str,
    resource_type: str | None,
    prepared: Prepared,
    clock: Clock,
    read: tuple[Page, float] | None = None,
) -> bytes:
    """Run a search, unless it was `read` already, and put the bundle together."""
    found = prepared.search
    # What stands for others is found where it is asked for by its type.
    some = prepared.path == basics.BASIC and basics.asked(service, version, found.applied) is None
    more = _left_out(service, version, base, found, clock) if resource_type is None or some else []
    if found.count_only:
        counted = totals.alone(service, found)
        if counted.instead:
            prepared = totals.estimating(service, base, prepared)
        more += counted.issues
        return bundle.bundle("searchset", [prepared.opening], _outcomes(found, more), counted.number)
    limit = service.settings.answer_limit
    backwards = found.query.cursor is not None and found.query.cursor.backwards
    page, seconds = read or _found(service, found)
    page = within(page, backwards=backwards, limit=limit)
    whole = found.summary == "false" and not found.elements
    marked = any(map(is_marked, found.query.predicates))
    inside = contained_in(service, version, page.hits) if marked else {}
    entries = []
    for hit in page.hits:
        if marked and is_marked(hit.type):
            body = inside.get(hit.id)
            if body is None:
                continue  # the container was changed or deleted since the database found it
            kind, _, identity = url_path(hit.id).partition("/")
        else:
            body, kind, identity = body_in(hit, version), hit.type, hit.id
        shown = body if whole else subset(body, version, found.summary, found.elements)
        opening = prepared.openings.get(kind) or _opening(service, version, base, prepared, kind)
        entries.append(bundle.match(opening, identity, shown, score=hit.score))
    if page.stopped is not None:
        if backwards or found.max_results is None or totals.seen(found) + len(page.hits) < found.max_results:
            more.append(_STOPPED)
    elif not page.hits and found.query.cursor is None:
        more += _nothing_found(service, version, base, prepared, resource_type, clock)
    if found.includes:
        added, lacking = included(service, version, found.includes, page.hits)
        if size(page.hits) + size(added) > limit:
            raise too_large(limit, "this page with its includes", "Ask for smaller pages, or fewer includes.")
        more += left_out.of_includes(version, base, list(lacking))
        more += other_versions([*page.hits, *added], own.bases(service.settings, base))
        for one in added:
            # _elements speaks of the matches only: https://hl7.org/fhir/R4/search.html#elements
            shown = body_in(one, version)
            body = shown if found.summary == "false" else subset(shown, version, found.summary, ())
            opening = prepared.openings.get(one.type) or _opening(service, version, base, prepared, one.type)
            entries.append(bundle.match(opening, one.id, body, "include"))
    more += _changed(service, found)
    counted = totals.of_page(service, found, page)
    if counted.instead:
        prepared = totals.estimating(service, base, prepared)
    more += counted.issues
    if found.explain:
        clock()  # an explanation tells how long the search took
        more.append(_explanation(service, found, page, seconds))
    entries += _outcomes(found, more)
    return bundle.bundle("searchset", _links(service, base, prepared, page), entries, counted.number)


def _opening(service: Service, version: FhirVersion, base: str, prepared: Prepared, kind: str) -> bytes:
    """What the entries begin with that hold resources of a type; it is remembered with the search."""
    found = prepared.openings[kind] = bundle.opening(base, basics.shown_as(service, version, kind))
    return found


def _left_out(service: Service, version: FhirVersion, base: str, found: Search, clock: Clock) -> list[Issue]:
    """What is told of matches of a search over the system whose types this version does not have."""
    context = _context(service, FhirVersion.R5, base, (), held(service, FhirVersion.R5, base), clock)
    return left_out.of_search(service, version, base, context, found)


def _outcomes(found: Search, more: Sequence[Issue]) -> list[bytes]:
    issues = (*found.warnings, *more)
    return [bundle.outcome(issues)] if issues else []


def _explanation(service: Service, found: Search, page: Page, seconds: float) -> Issue:
    """What `_explain=true` tells: what was applied, what was not and why, how the database went about it."""
    lines = [f"applied: {' & '.join(f'{name}={value}' for name, value in found.applied) or 'nothing'}"]
    lines += [f"ignored: {issue.diagnostics}" for issue in found.warnings if issue.severity == "warning"]
    lines += service.reader.explain(found.query)
    lines.append(f"{len(page.hits)} matches on this page in {seconds * 1000:.2f} ms")
    return Issue("information", "informational", "\n".join(lines), ("_explain",))


def _nothing_found(
    service: Service, version: FhirVersion, base: str, prepared: Prepared, resource_type: str | None, clock: Clock
) -> Sequence[Issue]:
    """What the content says against what was asked for, or what a wider code would find; and a reminder that an empty
    answer is no negative statement, where one could be read into it.
    """
    found = prepared.search
    # What is looked through for contained resources was not asked for itself.
    asked = {resource_type} if resource_type is not None else set(map(unmarked, found.query.predicates))
    if basics.BASIC in asked:
        asked = set(map(unmarked, found.query.predicates))
    told: list[Issue] = []
    if len(asked) == 1 and prepared.path == resource_type:
        seen = version if service.registries[version].serves(*asked) else FhirVersion.R5
        context = _context(service, seen, base, tuple(asked), held(service, version, base), clock)
        pairs = [pair for pair in found.applied if not control.concerns(pair[0])]
        leading = [pair for pair in pairs if pair[0] == basics.CODE and resource_type not in asked]
        place = hints.Place(base, prepared.path, leading)
        pairs = [pair for pair in pairs if pair not in leading]
        told += hints.denials(service.reader, context, place, pairs)
        told += () if told else hints.wider(service.reader, context, place, pairs)
    kinds = sorted(service.open_world & asked)
    if not kinds or any(one.severity == "warning" for one in told):
        return told
    text = (
        f"This server holds no {'/'.join(kinds)} that matches. It knows what its content records and no more: "
        "that none is here is no evidence that none exists."
    )
    return [*told, Issue("warning", "not-found", text)]


def _newest_first(found: Search) -> bool:
    return bool(found.query.sort) and found.query.sort[0].column == "updated" and found.query.sort[0].descending


def _changed(service: Service, found: Search) -> Sequence[Issue]:
    """A warning on a further page of the newest first, where a match changed since the first page: it stands before
    that now, so these pages may never show it. https://hl7.org/fhir/R5/http.html#paging
    """
    cursor = found.query.cursor
    if cursor is None or not cursor.newest or not _newest_first(found):
        return ()
    top = service.reader.search(replace(found.query, cursor=None, count=1, memo={})).hits
    if not top or top[0].updated <= cursor.newest:
        return ()
    since = instant(cursor.newest)
    text = f"matches changed since the first page of this search was read; ask for them with _lastUpdated=gt{since}"
    return (Issue("warning", "incomplete", text, ("_sort",)),)


def _links(service: Service, base: str, prepared: Prepared, page: Page) -> list[bytes]:
    """self, and first, previous, next and last where there are other pages."""
    result, path = [prepared.opening], prepared.path
    if not (page.more_after or page.more_before):
        return result
    pairs = [pair for pair in prepared.search.applied if pair[0] != links.PAGE]
    seen, limit = totals.seen(prepared.search), prepared.search.max_results
    cursor, newest = prepared.search.query.cursor, 0
    if cursor is not None:
        newest = cursor.newest
    elif _newest_first(prepared.search):
        # Where none was found yet, each match is older than what was looked at.
        newest = page.hits[0].updated if page.hits else int((page.stopped and page.stopped.values[0]) or 0)

    def beside(backwards: bool) -> str:
        before = max(0, seen - prepared.search.page_size) if backwards else seen + len(page.hits)
        told = before if limit is not None else 0
        stopped = page.stopped
        if stopped is not None and (stopped.backwards == backwards or not page.hits):
            return page_at(replace(stopped, backwards=backwards, seen=told, newest=newest))
        if not page.hits:
            # Nothing lies beyond this page: what lies before it is read from that end of the list.
            return page_at(Cursor((), "", "", True, told, newest) if backwards else None)
        hit = page.hits[0 if backwards else -1]
        return page_at(Cursor(hit.sort, hit.type, hit.id, backwards, told, newest))

    def page_at(cursor: Cursor | None) -> str:
        return totals.address(service, base, path, pairs, cursor)

    if page.more_before:
        result.append(bundle.link("first", page_at(None)))
        result.append(bundle.link("previous", beside(True)))
    if page.more_after and (limit is None or seen + len(page.hits) < limit):
        result.append(bundle.link("next", beside(False)))
        if limit is None:
            result.append(bundle.link("last", page_at(Cursor((), "", "", True, 0, newest))))
    return result
