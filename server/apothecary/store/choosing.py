"""Where a search starts: counted, no further than need be, by the statements of `plan`.

What is right where few resources match is slow where many do, and the other way round: few are fetched and sorted, of
many only the page is read, along an index in its order. How far that is depends on how what is asked for lies in the
order, which no statistics tell: so a walk is tried for some steps, and given up where it does not fill the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from apothecary.errors import TooCostly
from apothecary.search.predicates import Chain, Has, Joined, ranks
from apothecary.search.query import Cursor
from apothecary.store import plan, straight
from apothecary.store.listing import Listing, Place, Start, Until
from apothecary.store.reader import Counted, Reader, bounded_count, first_row
from apothecary.store.traits import gathered, ordered, rank

Step = tuple[Start, Place]


class Way(NamedTuple):
    """What is read one after the other until a page is full. `settled` says that it always is, whatever is in the
    database; a `trial` counts only where it fills the page.
    """

    steps: Sequence[Step]
    settled: bool = False
    trial: bool = False
    ends: Cursor | None = None
    """Where a page ends that this way does not fill; None where there is nothing beyond."""
    goes_on: bool = False
    """Whether it begins where the way before it ended, whose hits count too."""


class _Counts(NamedTuple):
    """The parts a search can start from, with their rows as far as they were counted, the fewest first."""

    rows: Sequence[tuple[int, int]]
    reached: dict[int, str]
    """For parts in the order of ids, the id that the count reached."""

    @property
    def fewest(self) -> int:
        return self.rows[0][1]

    @property
    def smallest(self) -> int:
        return self.rows[0][0]


class Try(NamedTuple):
    """The part that is likeliest to be small, how far it is counted, and with how many rows it is small enough to be
    where a page starts, whatever the others have.
    """

    part: int
    counted: int
    enough: int


def likeliest(listing: Listing, limit: int, looks: int | None) -> Try | None:
    """What to try first for a page of `limit` hits; None where something else is better from the start."""
    possible = listing.candidates
    if not possible or _settled(listing, looks):
        return None
    part = min(possible, key=lambda one: rank(listing.parts[one]))
    if not straight.countable(listing, listing.parts[part]):
        return None
    most = _enough(listing, part, _few(limit) + 1)
    return Try(part, most, most - 1 if len(possible) == 1 else plan.VERY_FEW)


def ways(
    reader: Reader,
    listing: Listing,
    place: Place,
    limit: int,
    looks: int | None = None,
    known: Mapping[int, Counted] = MappingProxyType({}),
) -> Iterator[Way]:
    """The ways to a page of `limit` hits, to be tried in turn; the last one is no trial.

    The smallest part, if it is small. Else a walk: along the values of the first sort key; without one, along the
    rarest part in the order of ids, or the ids of the type. With `looks` it may end after so many resources. What is
    `known` of parts was counted for this page already.
    """
    bounded = looks if listing.may_end_early else None
    sort, possible = listing.sort, listing.candidates
    walk: Start = "values" if sort and sort[0].table is not None else None
    if not possible:
        _check_rank(reader, listing, walk)
        yield from _without(reader, listing, walk, place, limit, bounded)
        return
    if _settled(listing, bounded):
        # A lookup by equality, and no other way in: it comes in the order of the page, however much it finds.
        yield Way([(possible[0], place)], settled=True)
        return
    few = _few(limit)
    counts = _counted(reader, listing, few + 1, known=known)
    if counts.fewest <= few:
        yield Way([(counts.smallest, place)])
        return
    if not sort and counts.reached:
        walk = max(counts.reached.items(), key=lambda one: one[1])[0]
    steps = _steps(walk, place)
    if plan.walks(listing, steps[0][0]):
        until = _tried(reader, listing, *steps[0], limit)
        if until is None and len(steps) == 1 and walk != "values":
            # It ends before: there is no shorter way.
            yield Way(steps)
            return
        if until is not None:
            yield Way([(steps[0][0], steps[0][1]._replace(until=until))], trial=True)
        if bounded is not None:
            yield from _ending(reader, listing, steps, until, bounded)
            return
    yield Way(_steps(_listed(reader, listing, walk), place))


def _ending(reader: Reader, listing: Listing, steps: Sequence[Step], until: Until | None, looks: int) -> Iterator[Way]:
    """The ways on after a trial that came to `until`, or that was none as it came to the end of the first step: from a
    list of all matches, where that is no longer than so many looks; else the same walk, which ends then.
    """
    _, place = steps[0]
    if listing.candidates:
        # What is put together before it is counted takes too long; of what is dear, so few were too many already.
        listable = not any(map(gathered, listing.parts)) and (not _dear(listing) or looks // plan.WORDS > plan.FEW)
        start, entries = priced(reader, listing, looks * plan.LOOK) if listable else (None, looks * plan.LOOK + 1)
        if entries <= looks * plan.LOOK:
            yield Way([(start, place)])
            return
    if until is not None:
        further = Place(_at(listing, steps[0][0], until, place), "after", place.backwards)
        steps, looks = [(steps[0][0], further), *steps[1:]], max(0, looks - _trial(reader))
    way = _as_far(reader, listing, steps, looks)
    yield way if until is not None else way._replace(goes_on=False)


def _as_far(reader: Reader, listing: Listing, steps: Sequence[Step], looks: int) -> Way:
    """The way on along some steps, which ends after so many looks."""
    far: list[Step] = []
    for start, begin in steps:
        until = _reached(reader, listing, start, begin, looks)
        far.append((start, begin._replace(until=until)))
        if until is not None:
            return Way(far, ends=_at(listing, start, until, begin), goes_on=True)
    return Way(far, goes_on=True)


def _at(listing: Listing, walk: Start, until: Until, place: Place) -> Cursor:
    """The place on a walk as a cursor."""
    values = () if not listing.sort else (None,) if walk == "missing" else until[:1]
    return Cursor(values, listing.resource_type, str(until[-1]), place.backwards)


def _without(
    reader: Reader, listing: Listing, walk: Start, place: Place, limit: int, looks: int | None
) -> Iterator[Way]:
    """The ways to a page where no part lists what meets it: a walk along the type, which ends early if it may; else,
    where some parts exclude much, what they leave of it.
    """
    steps = _steps(walk, place)
    if looks is not None and steps[0][0] in ("values", "missing") and not listing.parts:
        if steps[0][0] == "values":
            # Nearly each value is a hit.
            yield Way(steps[:1], trial=True)
            steps = steps[1:]
        if steps:
            yield _as_far(reader, listing, steps, looks)
        return
    if not listing.parts or not plan.walks(listing, steps[0][0]) or (looks is None and not listing.excluding):
        yield Way(steps, settled=True)
        return
    until = _tried(reader, listing, *steps[0], limit)
    if until is not None:
        yield Way([(steps[0][0], steps[0][1]._replace(until=until))], trial=True)
    if looks is not None:
        yield from _ending(reader, listing, steps, until, looks)
        return
    if until is not None and (not listing.sort or _matches(reader, listing, "rest", plan.MANY + 1) <= plan.MANY):
        steps = _steps("rest", place)
    yield Way(steps)


def _listed(reader: Reader, listing: Listing, walk: Start) -> Start:
    """Where a search starts of which each part matches much: from a list of all that one part or two match; from the
    `walk`, however long it is, where that would be too long.
    """
    counts = _widely(reader, listing)
    if listing.ranks and counts.fewest > plan.RANKED:
        start, _ = _together(reader, listing, counts)
        _check_rank(reader, listing, start)
        return start
    if not listing.sort:
        return _together(reader, listing, counts)[0] if counts.fewest <= plan.MOST else walk
    listable = counts.fewest <= plan.MANY or listing.sorts_by_score or _rare(reader, listing, counts.smallest)
    return _together(reader, listing, counts)[0] if listable else walk


def small(reader: Reader, listing: Listing) -> Start:
    """The part to count matches from, where one is small or gives its matches in order; None where none is."""
    possible = listing.candidates
    if len(possible) == 1 and ordered(listing.parts[possible[0]]):
        return possible[0]
    counts = _counted(reader, listing, plan.FEW + 1) if possible else None
    return counts.smallest if counts is not None and counts.fewest <= plan.FEW else None


def is_small(reader: Reader, listing: Listing, most: int) -> bool:
    """Whether some part that a search can start from has no more rows than `most`."""
    return bool(listing.candidates) and _counted(reader, listing, most + 1).fewest <= most


def smallest(reader: Reader, listing: Listing) -> Start:
    """The part, or the two, to count all matches from; None where there is none to start from."""
    possible = listing.candidates
    if len(possible) < 2:
        return possible[0] if possible else None
    return _together(reader, listing, _widely(reader, listing))[0]


def priced(reader: Reader, listing: Listing, most: int) -> tuple[Start, int]:
    """The same, and how many entries of an index it takes to go through all matches from there; more than `most` where
    no part has few enough.
    """
    common = plan.costs(reader.statements.dialect).common
    # Each of two lists has half of what both may have.
    counts = _counted(reader, listing, most // common // 2 + 1, most // plan.LOOK // plan.LINKED)
    if counts.fewest > most // common // 2:
        return counts.smallest, most + 1
    start, entries = _together(reader, listing, counts, most // common - counts.fewest)
    if not isinstance(start, tuple):
        return start, entries * plan.LOOK * (plan.WORDS if _dear(listing) else 1)
    # The value by which it is sorted is looked up for each.
    return start, entries * common + (counts.fewest * plan.LOOK if listing.sort else 0)


def _dear(listing: Listing) -> bool:
    """Whether each resource is looked for in the index of words, or its words are looked up, and what else it must meet
    besides.
    """
    return len(listing.parts) > 1 and any(map(ranks, listing.parts))


def _trial(reader: Reader) -> int:
    """How many steps a walk is tried for."""
    return plan.TRIED // plan.costs(reader.statements.dialect).look


def _check_rank(reader: Reader, listing: Listing, start: Start) -> None:
    """Raises TooCostly for a search that puts more matches in order by how well they match than can be looked at."""
    if not listing.ranks:
        return
    if _matches(reader, listing, start, plan.RANKED + 1) > plan.RANKED:
        raise TooCostly(
            f"more than {plan.RANKED:,} resources match: too many to put them in order by how well they do",
            expression="_sort",
            remedy="Ask for one more word, or sort by something else.",
        )


def _matches(reader: Reader, listing: Listing, start: Start, limit: int) -> int:
    """How many resources match, counted from a start and no further than `limit`."""
    build = partial(plan.few, reader.statements.dialect, start=start)
    return int(first_row(reader, listing, ("matches", start, listing.sort), build, limit=limit)[0])


def _together(reader: Reader, listing: Listing, counts: _Counts, most: int | None = None) -> tuple[Start, int]:
    """The smallest part, and with it another where to list that too costs less than to look for the others, one by one,
    in what the first lists, and where it has no more rows than `most`; and the rows of what is listed.
    """
    first, fewest = counts.smallest, counts.fewest
    if plan.VERY_FEW < fewest <= plan.MOST:
        for other in [part for part, _ in counts.rows if part != first]:
            much = min(plan.MUCH * fewest, plan.MUCH * fewest if most is None else most)
            rows, _ = bounded_count(reader, listing, other, much + 1)
            if rows <= much:
                return (first, other), fewest + rows
    return first, fewest


def _widely(reader: Reader, listing: Listing) -> _Counts:
    """The rows of the parts of which each matches much."""
    counts = _counted(reader, listing, plan.MANY + 1)
    return counts if counts.fewest <= plan.MANY else _counted(reader, listing, plan.MOST + 1)


def _few(limit: int) -> int:
    """How many rows are few for a page: what it has room for is read whole anyway."""
    return max(plan.FEW, min(limit, plan.MANY))


def _settled(listing: Listing, bounded: int | None) -> bool:
    """Whether a search is a lookup by equality, and has no other way in."""
    possible = listing.candidates
    alone = len(possible) == 1 and (bounded is None or len(listing.parts) == 1)
    return not listing.sort and alone and ordered(listing.parts[possible[0]])


def _enough(listing: Listing, part: int, most: int, most_linked: int | None = None) -> int:
    """How far a part is counted at most: along references no further than `most_linked`."""
    if most_linked is None:
        most_linked = plan.FEW_LINKED if most <= plan.FEW + 1 else most
    # Each row of what is linked costs several looks: fewer of them are many already.
    return min(most, most_linked + 1) if isinstance(listing.parts[part], Chain | Has | Joined) else most


def _counted(
    reader: Reader,
    listing: Listing,
    most: int,
    most_linked: int | None = None,
    known: Mapping[int, Counted] = MappingProxyType({}),
) -> _Counts:
    """The rows of the parts, the likeliest first, none counted further than `most` or than the smallest so far; and
    no further than `most_linked` along references.
    """
    found: list[tuple[int, int]] = []
    reached: dict[int, str] = {}
    for part in sorted(listing.candidates, key=lambda part: rank(listing.parts[part])):
        if most <= plan.FEW + 1 and gathered(listing.parts[part]):
            # To count some of it takes as long as to list it all: a walk is tried before.
            found.append((part, most))
            continue
        enough = _enough(listing, part, most, most_linked)
        bound = min([enough, *(one[1] + 1 for one in found)])
        counted, last = known.get(part) or bounded_count(reader, listing, part, bound)
        found.append((part, most if counted == enough else counted))
        if last is not None:
            reached[part] = last
        if counted <= plan.VERY_FEW:
            break
    return _Counts(sorted(found, key=lambda one: one[1]), reached)


def _steps(start: Start, place: Place) -> list[Step]:
    """What is read from a start, each with the place where it begins."""
    if start != "values":
        return [(start, place)]
    order: list[Start] = ["missing", "values"] if place.backwards else ["values", "missing"]
    end = place._replace(cursor=None)
    if place.cursor is None:
        return [(one, end) for one in order]
    here: Start = "missing" if place.cursor.values[0] is None else "values"
    return [(here, place), *((one, end) for one in order[order.index(here) + 1 :])]


def _tried(reader: Reader, listing: Listing, walk: Start, place: Place, limit: int) -> Until | None:
    """What a walk from a place comes to in as many steps as may be tried for a page; None where it ends before."""
    return _reached(reader, listing, walk, place, _trial(reader), plan.TRIED_FOR_A_HIT * limit)


def _reached(reader: Reader, listing: Listing, walk: Start, place: Place, steps: int, more: int = 0) -> Until | None:
    """What a walk from a place comes to in so many steps, one at least; None where it ends before."""
    # To look words up for each resource on the way costs more.
    steps = max(1, steps // (plan.WORDS if any(map(ranks, listing.parts)) else 1) + more)
    build = partial(plan.reached, reader.statements.dialect, start=walk, place=place)
    named = {"steps": steps - 1, **place.values}
    found = first_row(reader, listing, ("reached", walk, listing.sort, place.shape), build, **named)
    return None if found is None else tuple(found)


def _rare(reader: Reader, listing: Listing, part: int) -> bool:
    """Whether few of the resources that meet one part meet the others too, by a look at the first of them."""
    if len(listing.parts) == 1:
        return False
    build = partial(plan.sample, reader.statements.dialect, part=part)
    return int(first_row(reader, listing, ("sample", part), build, limit=plan.FEW)[0]) < plan.FEW // 20
