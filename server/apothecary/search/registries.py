"""The search parameters of all served FHIR versions, over one index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining, Own
from apothecary.search.named import named_queries
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.own import bases
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.versions import convert, convert_elements, convertible


def make_registries(
    settings: Settings,
    search_parameters: Iterable[Defining],
    operation_definitions: Iterable[Defining] = (),
    systems: Systems = STANDARD,
) -> dict[FhirVersion, Registry]:
    """The registry of each FHIR version, with what SearchParameter and OperationDefinition resources define, and what
    the content says of code systems. What cannot be served is left out, and stands in `Registry.own.refused`.
    """
    served = {version: settings.served_types(definitions(version).resource_types()) for version in FhirVersion}
    types = {version: _known(some, served[FhirVersion.R5]) for version, some in served.items()}
    own = Own(search_parameters, {version: frozenset(some) for version, some in types.items()})
    queries = tuple(named_queries(operation_definitions, own.refused))
    canonical = Registry(
        FhirVersion.R5,
        served[FhirVersion.R5],
        own,
        convert=_converted,
        queries=queries,
        systems=systems,
        bases=bases(settings),
    )
    return {
        version: canonical
        if version is FhirVersion.R5
        else Registry(version, types[version], own, canonical=canonical, queries=queries)
        for version in FhirVersion
    }


def _known(types: Iterable[str], canonical: Iterable[str]) -> list[str]:
    """The types of a release that R5 has too: everything in the index has an R5 form, so others can neither be stored
    nor found.
    """
    known = frozenset(canonical)
    return [one for one in types if one in known]


def _converted(
    resource: Mapping[str, Any], source: FhirVersion, target: FhirVersion, names: Set[str] | None = None
) -> Mapping[str, Any] | None:
    # What R5 cannot hold is refused: all that is stored has an R5 form.
    if target is not FhirVersion.R5 and not convertible(resource["resourceType"], source, target):
        return None
    if names is not None:
        return convert_elements(dict(resource), source, target, names)
    return convert(dict(resource), source, target).resource
