"""How many resources match: https://hl7.org/fhir/R5/search.html#total

A count reads each match, if only in an index. So it is made of as little as says the same: of what does not match,
where a negation asks for the rest of the type. And it may be bounded: what would take more is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from apothecary.search.predicates import Not, Or, Predicate, any_of
from apothecary.search.query import Query
from apothecary.store import choosing, plan
from apothecary.store.listing import Listing, Start
from apothecary.store.reader import Reader, first_row
from apothecary.store.traits import gathered, sourceable


def total(reader: Reader, listing: Listing) -> int:
    """How many resources of a type match. The listing has no order."""
    listing = _met(reader, listing)
    return _from(reader, listing, choosing.smallest(reader, listing))


def within(reader: Reader, listing: Listing, most: int) -> tuple[int, bool]:
    """How many resources of a type match, and whether that is exact. Where it takes more than `most` entries of an
    index to say so, it is a number that match at least; to look at one resource counts as `plan.LOOK` entries. The
    listing has no order.
    """
    looked = most // plan.LOOK
    if listing.predicate is None:
        whole = _size(reader, listing, most)
        return (most, False) if whole is None else (whole, True)
    if any(map(gathered, listing.parts)) and _size(reader, listing, looked) is None:
        return 0, False
    listing = _met(reader, listing)
    if len(listing.candidates) == len(listing.parts) == 1:
        return (0, False) if _exceeds(reader, listing, most) else (_from(reader, listing, listing.candidates[0]), True)
    if listing.candidates:
        start, entries = choosing.priced(reader, listing, most)
        return (_from(reader, listing, start), True) if entries <= most else (0, False)
    if isinstance(listing.predicate, Not) and sourceable(listing.predicate.of):
        whole = _size(reader, listing, most)
        rest = reader.listing(Query({}), listing.resource_type, listing.predicate.of)
        if whole is None or _exceeds(reader, rest, most):
            return 0, False
        return whole - _from(reader, rest, 0), True
    return (0, False) if _size(reader, listing, looked) is None else (_from(reader, listing, None), True)


def estimate(reader: Reader, listing: Listing) -> tuple[int, bool]:
    """About how many resources of a type match, and whether that is exact: of many, those at either end of the type in
    the order of ids stand for all. The listing has no order.
    """
    if _size(reader, listing, plan.SAMPLE) is not None:
        return total(reader, listing), True
    countable = not any(map(gathered, listing.parts))
    if listing.predicate is None or (countable and choosing.is_small(reader, listing, plan.SAMPLE)):
        return total(reader, listing), True
    dialect = reader.statements.dialect
    sample = first_row(reader, listing, ("sampled",), partial(plan.sampled, dialect), limit=plan.SAMPLE // 2)
    looked, met = map(int, sample)
    return (_size_then(reader, listing) * met // looked if looked else 0), False


def few(reader: Reader, listing: Listing, limit: int) -> int | None:
    """The same, no further than `limit`; None where it would take more than to list them. The listing has no order."""
    start = choosing.small(reader, listing)
    if listing.predicate is not None and start is None:
        return None
    return _few(reader, listing, start, limit)


def _size(reader: Reader, listing: Listing, most: int) -> int | None:
    """How many resources of the type there are; None where that is more than `most`."""
    whole = reader.listing(Query({}), listing.resource_type, None)
    build = partial(plan.size, reader.statements.dialect)
    here, deleted = first_row(reader, whole, ("size",), build, limit=most + 1)
    return int(here) - int(deleted) if here <= most else None


def _exceeds(reader: Reader, listing: Listing, most: int) -> bool:
    """Whether the index has more entries than `most` for what the only part of a listing asks."""
    build = partial(plan.exceeds, reader.statements.dialect, part=0)
    return first_row(reader, listing, ("exceeds",), build, steps=most) is not None


def _size_then(reader: Reader, listing: Listing) -> int:
    """About how many resources of the type there are: an estimate needs not count them each time. What was counted
    holds so much longer than it took that all counting is a thousandth of the time.
    """
    sizes, kind = reader.statements.sizes, listing.resource_type
    size, until = sizes.get(kind, (0, 0.0))
    begun = time.monotonic()
    if begun >= until:
        size = total(reader, reader.listing(Query({}), kind, None))
        sizes[kind] = size, begun + 1000 * (time.monotonic() - begun)
    return size


def _from(reader: Reader, listing: Listing, start: Start) -> int:
    """How many match, counted from a part, from what two have in common, or over the whole type."""
    build = partial(plan.total, reader.statements.dialect, start=start)
    return int(first_row(reader, listing, ("total", start), build)[0])


def _few(reader: Reader, listing: Listing, start: Start, limit: int) -> int:
    """How many match, counted from a start and no further than `limit`."""
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
