"""What a new edition of a catalogue has no more, in a database that holds an earlier one.

A row that could not be read is missing, and so is all that a file had behind the place where it was torn: neither
retires a drug. So nothing is withdrawn after such an import, nor where so much is missing that the files are hardly
all of the edition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

from apothecary.content.load import Loader
from apothecary.content.stream import Unwritten
from apothecary.content.synced import r5_form
from apothecary.fhir.json import dumps
from apothecary.importers.inactive import inactive
from apothecary.importers.report import Place
from apothecary.importers.run import Import
from apothecary.store.contract import Store, Stored
from apothecary.store.keyset import KeySet
from apothecary.store.limited import in_pieces

# More than this share of those of a type is not withdrawn unasked; a type of which there are few is no measure.
SHARE, FEW = 0.25, 10

_PIECE = 500


def withdraw(run: Import, store: Store, loader: Loader, asked: bool | None) -> str | None:
    """Set inactive what the store holds of the catalogue and the import has not made. Returns why that was not done,
    where there is such a reason. `asked` is whether to do so, None where it hangs on how the import went.
    """
    uri = run.catalogue.uri
    if asked is False or (asked is None and not run.catalogue.format.whole):
        return None
    if uri is None:
        return "nothing is withdrawn: name the catalogue with --catalogue" if asked else None
    if (reason := unread(run, asked)) is not None:
        return reason
    with KeySet() as gone:
        active: Counter[str] = Counter()
        going: Counter[str] = Counter()
        for stored in _of(store, uri):
            if (stored.type, stored.id) in run.keys:
                active[stored.type] += 1
            elif _changes(stored, uri):
                gone.add(stored.type, stored.id)
                active[stored.type] += 1
                going[stored.type] += 1
        if not asked and (reason := too_many(active, going)) is not None:
            return reason
        keys = iter(gone)
        while piece := list(islice(keys, _PIECE)):
            for stored in in_pieces(store, piece):
                _set_inactive(stored, run, loader)
        loader.flush()
    return None


def unread(run: Import, asked: bool | None) -> str | None:
    """What of the files was not read, so that nothing can be said of what they lack. Rows that were left out do not
    count where withdrawing was `asked` for.
    """
    if run.given.report.files:
        return "nothing is withdrawn: there are files that could not be read whole"
    if run.unread and not asked:
        return "nothing is withdrawn: there are rows that could not be read; where they do no harm, say --withdraw"
    return None


def too_many(there: Mapping[str, int], going: Mapping[str, int]) -> str | None:
    """Why so many of those that are `there`, by type, are not withdrawn unasked."""
    many = [one for one, count in going.items() if there[one] >= FEW and count > SHARE * there[one]]
    if not many:
        return None
    said = ", ".join(f"{going[one]} of {there[one]} {one}" for one in sorted(many))
    return f"nothing is withdrawn: {said} are not in these files; where that is right, say --withdraw"


def _of(store: Store, uri: str) -> Iterator[Stored]:
    """What the store may hold of a catalogue: what names it anywhere."""
    mark = dumps(uri)
    for kind in store.types():
        yield from (one for one in store.all_of_type(kind) if mark in (one.body or b""))


def _changes(stored: Stored, uri: str) -> bool:
    """Whether it is of the catalogue, and not known as inactive yet."""
    resource = r5_form(stored)
    return resource.get("meta", {}).get("source") == uri and inactive(resource) is not resource


def _set_inactive(stored: Stored, run: Import, loader: Loader) -> None:
    resource = r5_form(stored)
    changed, place = inactive(resource), Place(f"{stored.type}/{stored.id}")
    if changed is None:
        run.given.report.withdrawn(place, "is not in this edition; it has no status, and stays as it is")
        return
    loader.add(Unwritten(str(place), 0, changed, len(stored.body or b"")))
    run.given.report.withdrawn(place, "is not in this edition, and not active now")
