"""Which parameters of two releases find the same, told by what they take from the same resources.

https://hl7.org/fhir/R5/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.paths import PathError, Track
from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys
from apothecary.search.parameter import COLUMNS, SearchParameter, standard_parameters
from apothecary.search.rows import IndexRow, ReferenceRow, SpellingRow, TokenRow
from apothecary.search.types import resource_text
from apothecary.versions import convert

OLDER = (FhirVersion.R4, FhirVersion.R4B)
# Of type uri before R5 and a reference since; what it reads has not changed: https://hl7.org/fhir/R5/search.html#_profile
SAME_VALUES = frozenset({"_profile"})

_TO_COMPARE = {
    (FhirVersion.R4, FhirVersion.R5),
    (FhirVersion.R4B, FhirVersion.R5),
    (FhirVersion.R4B, FhirVersion.R4),
}

Name = tuple[FhirVersion, str]
"""A parameter of the type that is looked at: its release and code."""
Path = tuple[str, ...]


@dataclass
class Pair:
    """Whether one parameter, of an older release, finds the same as another, as far as the resources have shown.

    The index is one for both where the older one's rows are always among the other's, and are just those in what was
    written in its release. More the other may have where its release has more room in the same element (for a second
    value, for a reference beside a concept): `met` are the elements of the other that the older one was seen to read.
    """

    refuted: bool = False
    more: bool = False
    met: set[Path] = field(default_factory=set)

    def holds(self, elements: Iterable[Path]) -> bool:
        return not self.refuted and (not self.more or self.met.issuperset(elements))


class Comparison:
    """All parameters of one resource type in all releases, compared on one resource after the other."""

    def __init__(self, resource_type: str) -> None:
        having = [one for one in FhirVersion if definitions(one).is_resource_type(resource_type)]
        self._known = {(version, one.code): one for version in having for one in _comparable(resource_type, version)}
        self._releases = having
        self._elements = {name: _elements(one) for name, one in self._known.items()}
        self._seen: set[Name] = set()
        self._pairs = {
            (name, other): Pair()
            for name, one in self._known.items()
            for other, theirs in self._known.items()
            if (name[0], other[0]) in _TO_COMPARE
            if one.type == theirs.type and len(one.components) == len(theirs.components)
        }
        self._type = resource_type

    def look_at(self, resource: JSON, written: FhirVersion) -> None:
        """Compare what the parameters take from the forms of one resource."""
        forms = {one: convert(resource, written, one).resource for one in self._releases}
        rows = {name: _rows(one.rows(forms[name[0]]), one) for name, one in self._known.items()}
        solid = {name: {row for row in found if not _hollow(row)} for name, found in rows.items()}
        self._seen.update(name for name, found in solid.items() if found)
        for (name, other), pair in self._pairs.items():
            if pair.refuted or not (rows[name] or rows[other]):
                continue
            more = bool(solid[other] - solid[name]) or (bool(rows[other]) and not rows[name])
            if solid[name] - solid[other] or (rows[name] and not rows[other]) or (more and written is name[0]):
                pair.refuted = True
                continue
            pair.more = pair.more or more
            if written is not name[0] and not pair.met.issuperset(self._elements[other]):
                pair.met.update(self._met(other, forms[other[0]], solid[name]))

    def _met(self, other: Name, form: JSON, rows: set[IndexRow]) -> Iterator[Path]:
        """The elements of the other parameter that some of `rows` come from, and can come from no other of them."""
        one = self._known[other]
        by_path = {
            path: {row for track in tracks for node in track.walk(form) for row in _rows(one.extract(track, node), one)}
            for path, tracks in self._elements[other].items()
        }
        for path, found in by_path.items():
            elsewhere = set().union(*(rest for another, rest in by_path.items() if another != path))
            if not rows.isdisjoint(found - elsewhere):
                yield path

    def keys(self, version: FhirVersion) -> dict[str, str]:
        """The names in the index by code, where they are not the same."""
        found = {}
        for release, code in self._known:
            if release is version and code not in SAME_VALUES and (name := self._key((release, code))) != code:
                found[code] = name
        return dict(sorted(found.items()))

    def _key(self, name: Name) -> str:
        version, code = name
        candidates = [other for one, other in self._pairs if one == name and name in self._seen]
        # The same code first, and R5 before R4: what R5 has needs no other form.
        candidates.sort(key=lambda other: (other[0] is not FhirVersion.R5, other[1] != code, other[1]))
        for other in candidates:
            if self._pairs[name, other].holds(self._elements[other] or [("composite",)]):
                if other[0] is FhirVersion.R5:
                    return other[1]
                theirs = self._key(other)
                if keys.owner(theirs) is other[0]:
                    return theirs
        return keys.own(version, code)


def _comparable(resource_type: str, version: FhirVersion) -> Iterator[SearchParameter]:
    """The parameters that read elements. Those about the words of the whole resource find the same in every form."""
    for one in standard_parameters(resource_type, version):
        if one.code in COLUMNS or one.code in resource_text.PARAMETERS:
            continue
        try:
            list(one.rows({"resourceType": resource_type}))
        except PathError:
            continue  # it is served in no release
        yield one


def _elements(one: SearchParameter) -> Mapping[Path, list[Track]]:
    """The tracks of a parameter by the element that they lead to, whatever its type; none of a composite."""
    found: dict[Path, list[Track]] = {}
    for track in () if one.components else one.readable:
        at, path = one.resource_type, []
        for step in track.steps:
            if isinstance(step, str):
                known = definitions(one.version).structure(at).properties[step]
                path.append(known.element.name)
                at = known.structure
        found.setdefault(tuple(path), []).append(track)
    return found


def _rows(rows: Iterable[IndexRow], one: SearchParameter) -> set[IndexRow]:
    """`rows` without the name of their parameter. A spelling belongs to none, and follows from the row beside it."""
    named = (row for row in rows if not isinstance(row, SpellingRow))
    return {row._replace(parameter=row.parameter.removeprefix(one.index)) for row in named}


def _hollow(row: IndexRow) -> bool:
    """Whether a row says only that there is a value."""
    if isinstance(row, ReferenceRow):
        return not any(row[1:5])
    return isinstance(row, TokenRow) and not (row.system or row.code)
