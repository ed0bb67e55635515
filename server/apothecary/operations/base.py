"""What an operation is, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apothecary.errors import BadRequest, InvalidContent
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where it was called, the parameters of its address, and the JSON that was posted, None where nothing
    was.
    """

    service: Service
    version: FhirVersion
    base: str
    resource_type: str | None
    resource_id: str | None
    pairs: tuple[tuple[str, str], ...]
    posted: Any
    wanted: FhirVersion | None = None
    """The version that the answer is asked in; `version` is that of the request."""
    if_none_exist: str | None = None
    if_match: str | None = None
    """The headers of the interaction that `$validate` is asked about."""
    accept_language: str | None = None
    """The header of that name."""

    @property
    def listed(self) -> list[JSON]:
        """The parameters of a posted Parameters resource. Raises InvalidContent where they are no list of objects."""
        if not isinstance(self.posted, dict) or self.posted.get("resourceType") != "Parameters":
            return []
        found = self.posted.get("parameter", [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise InvalidContent("Parameters.parameter is a list of objects", expression="Parameters.parameter")
        return found

    def parameter(self, name: str) -> Any:
        """The value of a parameter: from a posted Parameters resource, or from the address. None where it is absent."""
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> list[Any]:
        """All values of a parameter that may repeat: those that were posted, else those of the address."""
        found = []
        for one in self.listed:
            if one.get("name") == name:
                values = [value for key, value in one.items() if key.startswith("value") or key == "resource"]
                if len(values) != 1:
                    raise BadRequest(f"the parameter {name!r} has one value", expression="Parameters.parameter")
                found.append(values[0])
        return found or [value for key, value in self.pairs if key == name]


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter that an operation takes. `type` is a FHIR type; a primitive one may stand in the address."""

    name: str
    type: str
    documentation: str
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `run` gives the resource that answers the call."""

    code: str
    definition: str
    levels: frozenset[str]
    affects_state: bool
    run: Callable[[Call], JSON]
    answer_version: Callable[[Call], FhirVersion] | None = None
    """The FHIR version of the answer, where that is not the version of the base."""
    types: frozenset[str] = frozenset()
    """The resource types that it is of; any, where none is named."""
    arguments: tuple[Argument, ...] = ()
    """What it can be given, for those who read a description of the server."""

    def answer(
        self,
        service: Service,
        version: FhirVersion,
        base: str,
        resource_type: str | None,
        resource_id: str | None,
        pairs: Sequence[tuple[str, str]],
        posted: Any,
    ) -> JSON:
        """The answer to a call without headers of its own, as an entry of a bundle is."""
        return self.run(Call(service, version, base, resource_type, resource_id, tuple(pairs), posted))
