"""The search parameters of all served FHIR versions, over one index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search import own
from apothecary.search.named import named_queries
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.versions import convert, convertible


def make_registries(
    settings: Settings,
    search_parameters: Iterable[Mapping[str, Any]],
    operation_definitions: Iterable[Mapping[str, Any]] = (),
    systems: Systems = STANDARD,
) -> dict[FhirVersion, Registry]:
    """The registry of each FHIR version, with the SearchParameter and OperationDefinition resources (R5) of the
    content, and what it says of code systems.

    Raises StartError for one that cannot work.
    """
    queries = tuple(named_queries(operation_definitions))
    served = {version: settings.served_types(definitions(version).resource_types()) for version in FhirVersion}
    canonical = Registry(
        FhirVersion.R5,
        served[FhirVersion.R5],
        search_parameters,
        convert=_converted,
        queries=queries,
        systems=systems,
        own=own.bases(settings),
    )
    return {
        version: canonical
        if version is FhirVersion.R5
        else Registry(version, _known(served[version], served[FhirVersion.R5]), canonical=canonical, queries=queries)
        for version in FhirVersion
    }


def _known(types: Iterable[str], canonical: Iterable[str]) -> list[str]:
    """The types of a release that R5 has too: everything in the index has an R5 form, so others can neither be stored
    nor found.
    """
    known = frozenset(canonical)
    return [one for one in types if one in known]


def _converted(resource: Mapping[str, Any], source: FhirVersion, target: FhirVersion) -> Mapping[str, Any] | None:
    # What R5 cannot hold is refused: all that is stored has an R5 form.
    if target is not FhirVersion.R5 and not convertible(resource["resourceType"], source, target):
        return None
    return convert(dict(resource), source, target).resource
