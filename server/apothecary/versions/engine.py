"""The plans of one direction, made when first needed, and conversions by them (https://hl7.org/fhir/R5/versions.html)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cache
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.direction import Direction, direction
from apothecary.versions.nested import convert_nested
from apothecary.versions.plan import Plan
from apothecary.versions.planning import make_plan
from apothecary.versions.run import Placed, Run, Way


class Engine:
    """Conversion in one direction. Get it by `engine(source, target)`; it is filled as types are first met.

    Plans are stored only when whole, so threads that build the same one at the same time store equal ones.
    """

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self._plans: dict[tuple[str, str], Plan] = {}
        self._sources: dict[tuple[str, Set[str]], frozenset[str] | None] = {}

    def new_run(self, links: Mapping[str, str] | None = None) -> Run:
        """A conversion to begin; `links` are those of `Run`."""
        return _PlannedRun(self, links)

    def plan(self, source: str, target: str) -> Plan:
        """How the structure `source` becomes `target`."""
        found = self._plans.get((source, target))
        if found is None:
            found = make_plan(self.direction, source, target)
            self._plans[source, target] = found
        return found

    def sources(self, kind: str, names: Set[str]) -> frozenset[str] | None:
        """The properties of a resource of the type `kind`, which both releases have, that the target's properties
        `names` are made of; None where that may be any of them. `names` are few different sets: each is worked out
        once.
        """
        if (kind, names) not in self._sources:
            # What they hold has a say in what references are, and a Basic may be another type.
            whole = kind in ("Basic", "Bundle")
            self._sources[kind, names] = None if whole else self.plan(kind, kind).sources(names)
        return self._sources[kind, names]


class _PlannedRun(Run):
    """A conversion by the plans of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine, links: Mapping[str, str] | None) -> None:
        super().__init__(engine.direction, links)
        self._engine = engine

    def way(self, source: str, target: str) -> Way:
        return self._engine.plan(source, target).apply

    def nested(self, resource: JSON) -> JSON:
        return convert_nested(self, resource)

    def back(self) -> Run:
        inverse = self.direction.inverse
        return engine(inverse.source.version, inverse.target.version).new_run(self.links)

    def placed(
        self, structures: tuple[str, str], part: str | None, name: str, value: Any, companion: JSON | None
    ) -> Placed | None:
        step = self._engine.plan(*structures).step_for(part, name)
        if step is None:
            return None
        return step.place(value, companion, self) or step.placeholder(value, companion, self)


@cache
def engine(source: FhirVersion, target: FhirVersion) -> Engine:
    """The engine of one direction, shared by the whole process."""
    return Engine(direction(source, target))
