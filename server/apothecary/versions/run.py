"""One conversion under way, as all that takes part in it knows it: https://hl7.org/fhir/R5/versions.html.

A value is converted by converting what is in it. Plans do that, and are made of converters and steps which meet inner
values in turn; these ask the run for the way of an inner value, so that none of them needs to know the plans.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from apothecary.errors import Issue
from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.direction import Direction


class Placed(NamedTuple):
    """A value and the property of the target where it stands."""

    target: Property
    value: Any
    companion: JSON | None


class Run(ABC):
    """One conversion under way: its direction, what has been approximated so far, and the ways of inner values."""

    __slots__ = ("direction", "issues", "links")

    def __init__(self, direction: Direction, links: Mapping[str, str] | None = None) -> None:
        self.direction = direction
        self.links: Mapping[str, str] = links or {}
        """The types of what references without a type lead to: entries of the Bundle around, contained resources."""
        self.issues: list[Issue] = []

    @abstractmethod
    def way(self, source: str, target: str) -> Way:
        """How the structure `source` becomes `target`."""

    @abstractmethod
    def nested(self, resource: JSON) -> JSON:
        """A resource inside another: contained, in a Bundle or in Parameters."""

    @abstractmethod
    def back(self) -> Run:
        """A conversion the other way, to begin."""

    @abstractmethod
    def placed(
        self, structures: tuple[str, str], part: str | None, name: str, value: Any, companion: JSON | None
    ) -> Placed | None:
        """What one value of the property `name`, of `part` of the first structure, is in the second; None where that
        has no such property.
        """

    def note(self, path: str, says: str) -> None:
        """Record an approximation of the element at `path`."""
        issue = Issue("information", "incomplete", f"{path}: {says}; the original is in its extension", (path,))
        if issue not in self.issues:
            self.issues.append(issue)

    def structure(self, source: str, target: str, value: JSON) -> JSON:
        """`value`, of the structure `source`, as `target`."""
        return self.way(source, target)(value, self)

    def extension(self, extension: JSON) -> JSON:
        """One extension, its value and inner extensions converted."""
        if self.direction.is_unchanged_extension(extension):
            return extension
        return self.structure("Extension", "Extension", extension)

    def extensions(self, extensions: list[JSON]) -> list[JSON]:
        """A list of extensions, each converted."""
        return [self.extension(one) for one in extensions]

    def companion(self, companion: JSON | None) -> JSON | None:
        """The id and the extensions of a primitive, converted."""
        if companion and "extension" in companion:
            return {**companion, "extension": self.extensions(companion["extension"])}
        return companion


# The way from one structure to another.
Way = Callable[[JSON, Run], JSON]
