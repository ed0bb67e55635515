"""The number of all matches of a search, and what is told of it: https://hl7.org/fhir/R5/search.html#total

It is exact, or an estimate that says so. To count takes longer the more there is: what would take more entries of an
index than a setting allows is estimated instead, and the answer says that it is, by a warning and by the link to
itself. Nothing but the answer hangs on the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from apothecary.errors import Issue
from apothecary.interactions import bundle, kept
from apothecary.interactions.prepared import Prepared
from apothecary.interactions.service import Service
from apothecary.search import links
from apothecary.search.query import Cursor, Search
from apothecary.store.contract import TOLD, Page

TOTAL = "_total"
# What is estimated is never said to be none: that would read as if it were known.
SOME = 1
_MANY = "many"

_ESTIMATED = Issue(
    "information",
    "informational",
    "total is an estimate: it was not counted, but taken from a part of the resources",
    (TOTAL,),
    remedy="_total=accurate counts.",
)


class Told(NamedTuple):
    """The total of a search, None where none is told, and what is said of it. `instead` says that it is an estimate
    where a count was asked for.
    """

    number: int | None
    issues: Sequence[Issue] = ()
    instead: bool = False


def of_page(service: Service, found: Search, page: Page) -> Told:
    """The number of matches over all pages: when it was asked for, when this page shows it, or when it is cheap."""
    if not page.more_after and not page.more_before:
        return Told(len(page.hits))
    # A total that nobody asked for is counted no further.
    if page.matches is not None and (found.total == "unasked" or (found.total != "none" and page.matches <= TOLD)):
        return Told(page.matches if page.matches <= TOLD else None)
    # One more is on another page, unless this one ended before it came to it.
    least = len(page.hits) + (page.stopped is None)
    match found.total:
        case "unasked":
            return Told(_few(service, found, page))
        case "accurate":
            return _accurate(service, found, least)
        case "estimate":
            return _estimate(service, found, least)
    return Told(None)


def alone(service: Service, found: Search) -> Told:
    """The number of matches where nothing else is asked for: https://hl7.org/fhir/R5/search.html#summary"""
    return _estimate(service, found, 0) if found.total == "estimate" else _accurate(service, found, 0)


def _estimate(service: Service, found: Search, least: int) -> Told:
    about, exact = service.reader.estimate(found.query)
    return Told(about) if exact else Told(max(about, least, SOME), (_ESTIMATED,))


def _accurate(service: Service, found: Search, least: int) -> Told:
    most = service.settings.total_limit
    counted, exact = service.reader.count_within(found.query, most)
    if exact:
        return Told(counted)
    about, exact = service.reader.estimate(found.query)
    if exact:
        return Told(about)
    issue = Issue(
        "warning",
        "too-costly",
        f"total is an estimate: to count all matches takes more than {most:,} entries of the index",
        (TOTAL,),
        remedy="Ask for less, or count the matches of all pages; APOTHECARY_TOTAL_LIMIT of the server sets the bound.",
    )
    return Told(max(about, counted, least, SOME), (issue,), True)


def _few(service: Service, found: Search, page: Page) -> int | None:
    """The number of matches where there are few. That there are many is remembered with the search: a total may always
    be left out.
    """
    if found.query.memo.get(_MANY) or len(page.hits) > TOLD:
        return None
    counted = service.reader.count_few(found.query, TOLD)
    if counted is None:
        found.query.memo[_MANY] = True
    return counted


def estimating(service: Service, base: str, prepared: Prepared) -> Prepared:
    """A search as it ran where its total was estimated instead of counted: its links ask for that."""
    found = prepared.search
    pairs = [pair for pair in found.applied if pair[0] not in (TOTAL, links.PAGE)]
    pairs.append((TOTAL, "estimate"))
    url = address(service, base, prepared.path, pairs, found.query.cursor)
    return replace(
        prepared, search=replace(found, applied=tuple(pairs)), self_url=url, opening=bundle.link("self", url)
    )


def address(service: Service, base: str, path: str, pairs: Sequence[tuple[str, str]], cursor: Cursor | None) -> str:
    """The address of a page of the search with `pairs`; without a cursor, of its first."""
    token = "" if cursor is None else links.write(service.secret, path, pairs, cursor)
    url = bundle.address(base, path, [*pairs, (links.PAGE, token)] if token else list(pairs))
    if len(url) <= service.settings.url_limit:
        return url
    # Only a search by POST can be so long, and its links are read with GET.
    return bundle.address(base, path, [kept.address_of(service, path, pairs, token)])


def seen(found: Search) -> int:
    """How many matches the pages before this one had."""
    return found.query.cursor.seen if found.query.cursor is not None else 0
