"""Named queries, `_query=name`: https://hl7.org/fhir/R5/search.html#query

A query is an OperationDefinition of kind `query`. The specification leaves open how its answer is found; here an
extension says it as
search criteria, in which `{parameter}` stands for the value that the client gives. A clause whose parameter is not
given falls away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from apothecary.errors import BadRequest, FhirError
from apothecary.search.defined import Defining, DefinitionError
from apothecary.search.text import decode

CRITERIA = "https://example.org/fhir/StructureDefinition/query-criteria"

_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9-]*)\}")


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query: its name, the types it searches, its parameters (name -> required), its criteria, and the canonical
    URL of its definition.
    """

    name: str
    resource_types: frozenset[str]
    parameters: Mapping[str, bool]
    criteria: tuple[tuple[str, str], ...]
    url: str = ""

    def expand(self, given: Mapping[str, str]) -> list[tuple[str, str]]:
        """The search parameters that the query stands for. Raises BadRequest where a required parameter is missing."""
        missing = [name for name, required in self.parameters.items() if required and not given.get(name)]
        if missing:
            raise BadRequest(
                f"_query={self.name} needs the parameter {missing[0]}", expression="_query", code="required"
            )
        result = []
        for name, value in self.criteria:
            places = _PLACE.findall(value)
            if all(given.get(place) for place in places):
                result.append((name, _PLACE.sub(lambda match: given[match[1]], value)))
        return result


def named_queries(given: Iterable[Defining], refused: dict[str, str]) -> Iterator[NamedQuery]:
    """The queries that OperationDefinition resources define; why others cannot be asked comes into `refused`."""
    for one in given:
        if one.resource.get("kind") != "query" or one.resource.get("status") == "retired":
            continue
        try:
            yield _query(one)
        except DefinitionError as error:
            refused[one.name or one.label] = str(error)


def _query(given: Defining) -> NamedQuery:
    """Raises DefinitionError for a definition without criteria, or with criteria that cannot be filled in."""
    one, label = given.resource, given.label
    criteria = [e.get("valueString") for e in one.get("extension", ()) if e.get("url") == CRITERIA]
    if len(criteria) != 1 or not isinstance(criteria[0], str):
        raise DefinitionError(f"{label}: a query needs its criteria in the extension {CRITERIA}")
    if not isinstance(one.get("code"), str):
        raise DefinitionError(f"{label}: a query needs a code to be asked by")
    parameters = {p["name"]: p.get("min", 0) > 0 for p in one.get("parameter", ()) if p.get("use") == "in"}
    try:
        pairs = tuple(decode(criteria[0]))
    except FhirError as error:
        raise DefinitionError(f"{label}: {error}") from None
    unknown = {place for _, value in pairs for place in _PLACE.findall(value)} - parameters.keys()
    if unknown:
        raise DefinitionError(
            f"{label}: the criteria use {', '.join(sorted(unknown))}, which is no parameter of the query"
        )
    return NamedQuery(one["code"], frozenset(one.get("resource", ())), parameters, pairs, one.get("url", ""))
