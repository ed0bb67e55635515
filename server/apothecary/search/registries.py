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
        convert=_from_r5,
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
    """The types of a release that R5 has too: the index holds R5 forms, so others can be neither stored nor found."""
    known = frozenset(canonical)
    return [one for one in types if one in known]


def _from_r5(resource: Mapping[str, Any], version: FhirVersion) -> Mapping[str, Any] | None:
    if not convertible(resource["resourceType"], FhirVersion.R5, version):
        return None
    return convert(dict(resource), FhirVersion.R5, version).resource
