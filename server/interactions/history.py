"""history of one resource: https://hl7.org/fhir/R5/http.html#history"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from server.errors import BadRequest, Issue, NotFound
from server.fhir.releases import FhirVersion
from server.fhir.temporal import parse_span
from server.interactions import bundle
from server.interactions.service import Service, check_id
from server.search import links
from server.search.query import Cursor

Pairs = Sequence[tuple[str, str]]


def history(
    service: Service,
    version: FhirVersion,
    base: str,
    resource_type: str,
    resource_id: str,
    pairs: Pairs,
    *,
    strict: bool = False,
) -> bytes:
    """The versions of one resource, newest first, deletions included. Raises NotFound where there never was one."""
    service.check_type(version, resource_type)
    check_id(resource_id)
    count, since, token, applied, warnings = _parameters(service, pairs, strict)
    path = f"{resource_type}/{resource_id}/_history"
    before = int(links.read(service.secret, path, applied, token).values[0] or 0) if token else None
    if service.store.read(resource_type, resource_id) is None:
        raise NotFound(f"{resource_type}/{resource_id} does not exist and never did")
    total = service.store.history_total(resource_type, resource_id, since=since)
    found = (
        service.store.history(resource_type, resource_id, count=count + 1, before=before, since=since) if count else []
    )
    page = found[:count]
    shown = [*applied, (links.PAGE, token)] if token else applied
    addresses = [bundle.link("self", _url(base, path, shown))]
    if before is not None:
        addresses.append(bundle.link("first", _url(base, path, applied)))
    if len(found) > count and page:
        following = links.write(service.secret, path, applied, Cursor((page[-1].version,), resource_type, resource_id))
        addresses.append(bundle.link("next", _url(base, path, [*applied, (links.PAGE, following)])))
    entries = [bundle.past(base, one, one.body) for one in page]
    if warnings:
        entries.append(bundle.outcome(warnings))
    return bundle.bundle("history", addresses, entries, total)


def _parameters(
    service: Service, pairs: Pairs, strict: bool
) -> tuple[int, int | None, str, list[tuple[str, str]], list[Issue]]:
    """(_count, _since in microseconds, _page, the parameters that run, warnings about the others)."""
    count, since, token = service.settings.page_size, None, ""
    applied: list[tuple[str, str]] = []
    warnings: list[Issue] = []
    for name, value in pairs:
        if not value:
            continue
        if name == links.PAGE:
            token = value
            continue
        if name == "_count":
            if not (value.isascii() and value.isdigit()) or len(value) > 9:
                raise BadRequest(f"_count={value}: write a whole number from 0", expression="_count")
            count = min(int(value), service.settings.page_size_limit)
            value = str(count)
        elif name == "_since":
            try:
                since = parse_span(value.replace(" ", "+")).low
            except ValueError as error:
                raise BadRequest(f"_since={value}: {error}", expression="_since") from None
        else:
            problem = f"{name} is not a parameter of history"
            if strict:
                raise BadRequest(problem, expression=name, code="not-supported")
            warnings.append(Issue("warning", "not-supported", f"{problem}; it was ignored", (name,)))
            continue
        applied.append((name, value))
    return count, since, token, applied, warnings


def _url(base: str, path: str, pairs: Pairs) -> str:
    return f"{base}/{path}?{urlencode(pairs, quote_via=quote, safe='|,:/$')}" if pairs else f"{base}/{path}"
