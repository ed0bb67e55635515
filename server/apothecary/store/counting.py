"""How many resources match: https://hl7.org/fhir/R5/search.html#_total

A count reads each match, if only in an index. So it is made of as little as says the same: of what does not match,
where a negation asks for the rest of the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from apothecary.search.predicates import Not, Or, Predicate, any_of
from apothecary.search.query import Query
from apothecary.store import plan
from apothecary.store.choosing import Reader, first_row, is_small, small, smallest
from apothecary.store.listing import Listing
from apothecary.store.traits import sourceable


def total(reader: Reader, listing: Listing) -> int:
    """How many resources of a type match. The listing has no order."""
    listing = _met(reader, listing)
    start = smallest(reader, listing)
    build = partial(plan.total, reader.statements.dialect, start=start)
    return int(first_row(reader, listing, ("total", start), build)[0])


def estimate(reader: Reader, listing: Listing) -> tuple[int, bool]:
    """About how many resources of a type match, and whether that is exact: of many, those at either end of the type in
    the order of ids stand for all. The listing has no order.
    """
    if listing.predicate is None or is_small(reader, listing, plan.SAMPLE):
        return total(reader, listing), True
    dialect = reader.statements.dialect
    sample = first_row(reader, listing, ("sampled",), partial(plan.sampled, dialect), limit=plan.SAMPLE // 2)
    whole = total(reader, reader.listing(Query({}), listing.resource_type, None))
    looked, met = map(int, sample)
    return (whole * met // looked if looked else 0), False


def few(reader: Reader, listing: Listing, limit: int) -> int | None:
    """The same, no further than `limit`; None where it would take more than to list them. The listing has no order."""
    start = small(reader, listing)
    if listing.predicate is not None and start is None:
        return None
    build = partial(plan.few, reader.statements.dialect, start=start)
    return int(first_row(reader, listing, ("few", start), build, limit=limit)[0])


def _met(reader: Reader, listing: Listing) -> Listing:
    """The same without the alternatives that nothing meets: most codes stand in the index in one of the ways that they
    may be written, and what comes from one place need not be compared with the rest.
    """
    alternatives = _alternatives(listing)
    if len(alternatives) < 2 or not all(map(sourceable, alternatives)):
        return listing
    dialect = reader.statements.dialect
    here = first_row(reader, listing, ("met",), lambda one: plan.met(dialect, one, _alternatives(one)))
    kept = [one for one, is_met in zip(alternatives, here, strict=True) if is_met] or alternatives[:1]
    found = any_of(list(kept))
    return reader.listing(Query({}), listing.resource_type, Not(found) if isinstance(listing.predicate, Not) else found)


def _alternatives(listing: Listing) -> Sequence[Predicate]:
    """What a predicate that asks for nothing else has to choose from."""
    found = listing.predicate
    either = found.of if isinstance(found, Not) else found
    return either.of if isinstance(either, Or) else ()
