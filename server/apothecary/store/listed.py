"""The statements that list resources of one type. They are made once for all types: of two that are asked for the same,
the statements differ in a name, and a search over the whole system asks the same of every type.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from sys import intern

from sqlalchemy import Executable

from apothecary.search.contained import is_marked, marked, unmarked
from apothecary.search.predicates import Predicate
from apothecary.store.fulltext import stands_for
from apothecary.store.listing import Listing
from apothecary.store.shape import comparisons
from apothecary.store.statements import Statement, Statements

# What stands for the name of the type where a statement is made. Nothing of ours is called so.
_ANY = "AnyTypeOfAll0"


def listed(
    statements: Statements, key: tuple[Hashable, ...], listing: Listing, build: Callable[[Listing], Executable]
) -> Statement:
    """The statement that `build` makes for a listing. `key` is all that its text depends on but the listing's type and
    shape.
    """
    known = listing.statements.get(key)
    if known is not None:
        return known
    kind = listing.resource_type
    anyone = marked(_ANY) if is_marked(kind) else _ANY
    whole = (*key, anyone, listing.shape, _shared(listing.predicate))
    made = statements.get(whole, lambda: build(replace(listing, resource_type=anyone)))
    # Many searches have the same statement: its text is kept once for all of them, and with it its hash, by which a
    # connection looks for what it prepared.
    alone = unmarked(kind)
    text = made.text.replace(_ANY, alone).replace(stands_for(_ANY), stands_for(alone))
    found = made._replace(text=intern(text))
    if not found.is_long:
        listing.statements[key] = found
    return found


def _shared(predicate: Predicate | None) -> tuple[int, ...] | None:
    """Which comparisons of a predicate are one and the same, and so one value of its statement; None where none are."""
    every = [id(one) for one in comparisons(predicate)]
    number = {one: at for at, one in enumerate(every)}
    return None if len(number) == len(every) else tuple(number[one] for one in every)
