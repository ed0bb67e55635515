"""What search parameters take from a resource, in the form of the release that they belong to.

https://hl7.org/fhir/R5/search.html#parameters

`SearchParameter.rows` says what one parameter takes. Here the parameters of a type are compiled together: most look at
elements that a resource does not have, many go the same way for a while, and some take the same values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from itertools import count
from typing import Any, NamedTuple, Protocol

from apothecary.errors import TooLarge
from apothecary.fhir.caches import Repeats, Weighed
from apothecary.fhir.paths import Nodes, Step, Track, follow
from apothecary.fhir.releases import FhirVersion
from apothecary.search.normalisation import Systems
from apothecary.search.parameter import COLUMNS, SearchParameter
from apothecary.search.rows import IndexRow, SpellingRow
from apothecary.search.types.base import Value

Resource = Mapping[str, Any]
Rows = dict[IndexRow, None]
"""Rows in their order, without repetitions."""

# A NamedTuple is made in Python, a tuple is not: a resource has some thirty values.
_value = tuple.__new__


class Convert(Protocol):
    """A resource of one release as another writes it; None where that has no such type. With `names`, no more than
    these elements need be there.
    """

    def __call__(
        self, resource: Resource, source: FhirVersion, target: FhirVersion, names: Set[str] | None = None, /
    ) -> Resource | None: ...


class Forms:
    """One resource in the form of each release: that of its own as it was written, any other converted when it is first
    asked for.
    """

    def __init__(self, resource: Resource, version: FhirVersion, convert: Convert | None) -> None:
        self.version = version
        self.written = resource
        self._convert = convert
        self._known: dict[FhirVersion, Resource | None] = {version: resource}

    def of(self, version: FhirVersion) -> Resource | None:
        """The form of `version`; None where that has no such type."""
        if version not in self._known:
            self._known[version] = self._convert(self.written, self.version, version) if self._convert else None
        return self._known[version]

    def some(self, version: FhirVersion, names: Set[str] | None) -> Resource | None:
        """The form of `version` with its elements `names`, of which there may be more: all, where that is None."""
        if names is None or version in self._known or self._convert is None:
            return self.of(version)
        return self._convert(self.written, self.version, version, names)

    def contained(self, version: FhirVersion) -> Iterator[Forms]:
        """The forms of each contained resource, in the order that they stand in the form of `version`."""
        whole = self.of(version) or {}
        for one, other in zip(whole.get("contained", ()), self.written.get("contained", ()), strict=True):
            # What a release has no type for stands in its form as Basic; its own form is the one that is converted.
            if one["resourceType"] == other["resourceType"]:
                forms = Forms(other, self.version, self._convert)
                forms._known[version] = one
                yield forms
            else:
                yield Forms(one, version, self._convert)


class _Reader(NamedTuple):
    """One way of one parameter, with all that its extraction needs at hand. `place` is where it comes in the order of
    parameters and their ways; those of one `number` take the same rows, but for their name, and `shared` says that
    there are several.
    """

    place: int
    number: int
    extract: Callable[[str, Value], Iterable[IndexRow]]
    name: str
    type: str
    value_set: str | None
    version: FhirVersion
    shared: bool = False


# What was taken from values that may come again, in so many bytes; of them an entry takes some, and each of its rows.
_MOST, _ENTRY, _ROW = 8_000_000, 250, 250
_taken: Weighed[tuple[int, str, bytes], tuple[IndexRow, ...]] = Weighed(_MOST)

_numbers = count()


class _Branch:
    """A step of ways through a type, with the readers that end here and the steps that follow."""

    __slots__ = ("branches", "readers")

    def __init__(self) -> None:
        self.readers: list[_Reader] = []
        self.branches: dict[str | Step, _Branch] = {}

    def walk(self, nodes: Nodes, reached: list[tuple[_Reader, Nodes]]) -> None:
        """Note the readers that are reached from `nodes`, with what they are to read."""
        reached += [(reader, nodes) for reader in self.readers]
        for step, branch in self.branches.items():
            below = follow(nodes, step)
            if below:
                branch.walk(below, reached)


class _Element(_Branch):
    """The first step, to an element of the resource."""

    __slots__ = ("number", "repeats")

    def __init__(self) -> None:
        super().__init__()
        self.number = next(_numbers)
        self.repeats = Repeats()

    def rows(self, resource: Resource, element: str, systems: Systems) -> Iterator[IndexRow]:
        """What is taken from the element `element` of a resource, with which the ways begin; nothing else is looked
        at.
        """
        reached: list[tuple[_Reader, Nodes]] = []
        if nodes := follow([resource], element):
            self.walk(nodes, reached)
        # Texts that are found together stand in the order of the parameter's ways.
        reached.sort(key=_place)
        taken: dict[int, tuple[str, list[IndexRow]]] = {}
        for (_, number, extract, name, kind, value_set, version, shared), nodes in reached:
            if shared and number in taken:
                yield from _renamed(*taken[number], name)
                continue
            kept: list[IndexRow] = []
            for node in nodes:
                made = extract(name, _value(Value, (kind, node, value_set, 0, systems, version)))
                yield from _keeping(made, kept) if shared else made
            taken[number] = name, kept


class Reading:
    """How the parameters of one type are read from a form."""

    def __init__(self, parameters: Iterable[SearchParameter]) -> None:
        self._whole: list[SearchParameter] = []
        """Those to be asked one by one."""
        ways: dict[tuple[int, str], tuple[Track, _Reader]] = {}
        """One for each set of rows: parameters that have them in common have one name for them."""
        numbers: dict[Hashable, int] = {}
        for parameter in parameters:
            if parameter.code in COLUMNS:
                continue
            tracks = parameter.readable
            whole = parameter.composite is not None or parameter.of_resource
            if whole or not all(one.steps and isinstance(one.steps[0], str) for one in tracks):
                self._whole.append(parameter)
                continue
            extract, version = parameter.kind.extract, parameter.version
            for track in tracks:
                number = numbers.setdefault((track, extract, version), len(numbers))
                reader = _Reader(len(ways), number, extract, parameter.index, track.type, track.value_set, version)
                ways.setdefault((number, parameter.index), (track, reader))
        times = Counter(reader.number for _, reader in ways.values())
        self._by_element: dict[str, _Element] = {}
        for track, reader in ways.values():
            self._branch(track.steps).readers.append(reader._replace(shared=times[reader.number] > 1))
        self.elements: frozenset[str] | None = None if self._whole else frozenset(self._by_element)
        """The elements of a form that are looked at; None for all of it."""

    def _branch(self, steps: Iterable[str | Step]) -> _Branch:
        """Where a way ends; it is made where there is none yet."""
        first, *rest = steps
        found: _Branch = self._by_element.setdefault(str(first), _Element())
        for step in rest:
            found = found.branches.setdefault(step, _Branch())
        return found

    def add(self, found: Rows, resource: Resource, systems: Systems, most: int | None = None) -> None:
        """Put what the parameters take from `resource`, in their release, into `found`. Raises TooLarge for more than
        `most`, before there are more of them than there is memory for.
        """
        for element, value in resource.items():
            branch = self._by_element.get(element)
            if branch is None:
                continue
            text = branch.repeats.key(value)
            if text is None:
                for row in branch.rows(resource, element, systems):
                    found[row] = None
                    if most is not None and len(found) > most:
                        bounded(found, most)
                continue
            key = branch.number, systems.digest, text
            rows = _taken.get(key)
            if rows is None:
                rows = tuple(branch.rows(resource, element, systems))
                _taken.put(key, rows, _ENTRY + (_ROW + len(text)) * (1 + len(rows)))
            else:
                branch.repeats.known += 1
            for row in rows:
                found[row] = None
            bounded(found, most)
        for parameter in self._whole:
            for row in parameter.rows(resource, systems):
                found[row] = None
                bounded(found, most)


def _place(reached: tuple[_Reader, Nodes]) -> int:
    return reached[0].place


def _keeping(rows: Iterable[IndexRow], kept: list[IndexRow]) -> Iterator[IndexRow]:
    """`rows`, each of which is kept as well."""
    for row in rows:
        kept.append(row)
        yield row


def bounded(rows: Rows, most: int | None) -> None:
    """Raises TooLarge for more rows than there may be."""
    if most is not None and len(rows) > most:
        raise TooLarge(
            f"the resource has more than {most} values that searches find it by",
            remedy="Divide it into several resources.",
        )


def _renamed(name: str, rows: Iterable[IndexRow], other: str) -> Iterator[IndexRow]:
    """The rows of one parameter as another one has them, whose name begins theirs. A spelling is there already."""
    end = len(name)
    for row in rows:
        kind = row.__class__
        if kind is not SpellingRow:
            yield tuple.__new__(kind, (other + row[0][end:], *row[1:]))
