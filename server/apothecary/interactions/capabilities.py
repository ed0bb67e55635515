"""The CapabilityStatement, computed from what does the work: https://hl7.org/fhir/R5/capabilitystatement.html

Nothing here is written by hand that a registry knows: the types and their parameters come from the search registry, the
interactions from
the table that the routes are made of. A test sends a real request for every claim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from apothecary import __version__
from apothecary.content.indexing import progress
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant
from apothecary.interactions.profiles import supported
from apothecary.interactions.service import Service
from apothecary.search import special
from apothecary.search.compartments import served
from apothecary.search.parameters import Registry
from apothecary.settings import Settings

# https://hl7.org/fhir/R5/http.html#mime-type; NDJSON is for searches alone.
# Short names are MIME types here for FHIR's own formats only:
# https://hl7.org/fhir/R5/capabilitystatement-definitions.html#CapabilityStatement.format
_FORMATS = (
    *("application/fhir+json", "json", "application/fhir+xml", "xml"),
    *("application/fhir+yaml", "application/fhir+ndjson"),
)
_PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json", "application/fhir+xml")

DESCRIPTION = (
    "Reference knowledge about medications. It is not a label and not a prescribing aid: "
    "what is not here may still be true."
)

# https://hl7.org/fhir/uv/bulkdata/STU2/CapabilityStatement-bulk-data.html
BULK_DATA = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"

# https://terminology.hl7.org/CodeSystem-restful-security-service.html
SMART = {
    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
    "code": "SMART-on-FHIR",
    "display": "SMART-on-FHIR",
}

Level = Literal["instance", "type", "conditional", "compartment", "system"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One interaction that the server offers. `code` is from
    https://hl7.org/fhir/R5/valueset-type-restful-interaction.html
    """

    code: str
    level: Level
    method: str
    path: str
    """The route below the base; `<resource_type>`, `<resource_id>` and `<version_id>` stand for values."""
    writes: bool = False


INTERACTIONS: tuple[Interaction, ...] = (
    Interaction("read", "instance", "GET", "/<resource_type>/<resource_id>"),
    Interaction("vread", "instance", "GET", "/<resource_type>/<resource_id>/_history/<version_id>"),
    Interaction("history-instance", "instance", "GET", "/<resource_type>/<resource_id>/_history"),
    Interaction("update", "instance", "PUT", "/<resource_type>/<resource_id>", writes=True),
    Interaction("patch", "instance", "PATCH", "/<resource_type>/<resource_id>", writes=True),
    Interaction("delete", "instance", "DELETE", "/<resource_type>/<resource_id>", writes=True),
    Interaction("create", "type", "POST", "/<resource_type>", writes=True),
    Interaction("history-type", "type", "GET", "/<resource_type>/_history"),
    Interaction("search-type", "type", "GET", "/<resource_type>"),
    Interaction("search-type", "type", "POST", "/<resource_type>/_search"),
    # Conditional writes go to the type; they are told by flags of the type, not as interactions.
    Interaction("update", "conditional", "PUT", "/<resource_type>", writes=True),
    Interaction("patch", "conditional", "PATCH", "/<resource_type>", writes=True),
    Interaction("delete", "conditional", "DELETE", "/<resource_type>", writes=True),
    # Told by `rest.compartment`: https://hl7.org/fhir/R5/http.html#search
    Interaction("search-compartment", "compartment", "GET", "/<compartment>/<resource_id>/<resource_type>"),
    Interaction("search-compartment", "compartment", "POST", "/<compartment>/<resource_id>/<resource_type>/_search"),
    Interaction("transaction", "system", "POST", "", writes=True),
    Interaction("batch", "system", "POST", "", writes=True),
    Interaction("history-system", "system", "GET", "/_history"),
    Interaction("search-system", "system", "GET", ""),
    Interaction("search-system", "system", "POST", "/_search"),
)


def capabilities(service: Service, version: FhirVersion, base: str) -> tuple[bytes, str]:
    """The statement as JSON text, and its ETag. Computed once for a version and base."""
    known = service.live.now
    key = (version, base, known.generation, service.closed, service.reader.written("StructureDefinition"))
    if known.incomplete:
        # Its progress is told as it is now.
        body = dumps(statement(service, version, base))
        return body, f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
    found = service.statements.get(key)
    if found is None:
        body = dumps(statement(service, version, base))
        found = body, f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
        with service.lock:
            # Bases come from requests; a client that invents hosts must not fill the memory.
            if len(service.statements) > 100:
                service.statements.clear()
            service.statements[key] = found
    return found


def offered(service: Service, level: Level) -> list[str]:
    """The codes of the interactions of one level that are open here, in order."""
    writable = service.closed is None
    return list(dict.fromkeys(one.code for one in INTERACTIONS if one.level == level and (writable or not one.writes)))


def statement(service: Service, version: FhirVersion, base: str) -> JSON:
    """The CapabilityStatement of one base."""
    registry = service.registry(version)
    updated = service.reader.state("content synced")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(int(updated) if updated else 0),
        "publisher": "Apothecary",
        "kind": "instance",
        "instantiates": [BULK_DATA],
        "software": {"name": "Apothecary", "version": __version__},
        "implementation": {"description": DESCRIPTION, "url": base},
        "fhirVersion": version.number,
        "format": list(_FORMATS),
        **({"patchFormat": list(_PATCH_FORMATS)} if service.closed is None else {}),
        "rest": [
            {
                "mode": "server",
                "documentation": _documentation(service),
                "security": _security(service.settings),
                "resource": [of_type(service, registry, one) for one in registry.types],
                "interaction": [{"code": code} for code in offered(service, "system")],
                "searchParam": common_parameters(registry),
                "operation": operations(service, {"system"}),
                **_compartments(registry),
            }
        ],
    }


def _security(settings: Settings) -> JSON:
    """Who may ask: https://hl7.org/fhir/smart-app-launch/conformance.html#smart-on-fhir-oauth-authorization-endpoints-and-capabilities"""
    cors = {"cors": bool(settings.cors_origins)}
    if not settings.authorized:
        return cors
    # The extension `oauth-uris` of the first version has to name an authorization endpoint, and there is none here.
    return {
        **cors,
        "service": [
            {"coding": [SMART], "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)"}
        ],
        "description": "Access tokens, as [base]/.well-known/smart-configuration tells.",
    }


def _compartments(registry: Registry) -> JSON:
    known = [one.url for one in served(registry).values()]
    return {"compartment": known} if known else {}


def _documentation(service: Service) -> str:
    known, closed = service.live.now, service.closed
    if closed is not None:
        said = [f"Read-only: {closed.reason}."]
    elif service.settings.authorized:
        said = ["Reads, searches and writes are open to those whose access tokens say so; every write is validated."]
    else:
        said = ["Reads, searches and writes are open; every write is validated."]
    said.append(
        "Reads, searches and histories have an ETag: with If-None-Match, what did not change is answered by 304."
    )
    said.append(
        "A page of a search may have fewer matches than _count, or none, and a next link all the same. Of very many "
        "matches the total is an estimate, and a warning says so."
    )
    if known.incomplete:
        names = [f"{kind}?{name}" for kind, some in sorted(known.incomplete.items()) for name in sorted(some)]
        said.append(
            f"The index is incomplete for {_some(names)}: {progress(service.reader, known.generation)}. A search by "
            "them warns, and is refused under handling=strict."
        )
    if known.refused:
        said.append(f"Not served: {_some([f'{name} ({why})' for name, why in sorted(known.refused.items())])}.")
    return " ".join(said)


def _some(names: Sequence[str], limit: int = 20) -> str:
    """The first of many names."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def of_type(service: Service, registry: Registry, resource_type: str) -> JSON:
    """One type: https://hl7.org/fhir/R5/capabilitystatement-definitions.html#CapabilityStatement.rest.resource"""
    references = [code for code, one in registry.parameters(resource_type).items() if one.type == "reference"]
    codes = [*offered(service, "instance"), *offered(service, "type")]
    result: JSON = {
        "type": resource_type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        **_supported(service, registry.version, resource_type),
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned",
        "readHistory": "vread" in codes,
        "conditionalRead": "full-support",
        **(_conditional(service, registry.version) if service.closed is None else {}),
        "searchInclude": ["*", *(f"{resource_type}:{code}" for code in sorted(references))],
    }
    reverse = reverse_includes(registry, resource_type)
    if reverse:
        result["searchRevInclude"] = reverse
    result["searchParam"] = _parameters(registry, resource_type)
    result["operation"] = [
        *operations(service, {"type", "instance"}, resource_type),
        # A named query is told as an operation: https://hl7.org/fhir/R5/search.html#query
        *(
            {"name": one.name, "definition": one.url}
            for one in registry.queries
            if resource_type in one.resource_types and one.url
        ),
    ]
    return result


def _supported(service: Service, version: FhirVersion, resource_type: str) -> JSON:
    """The profiles that are held here: what claims one is checked against it when it is written."""
    urls = supported(service, version).get(resource_type)
    return {"supportedProfile": urls} if urls else {}


def operations(service: Service, levels: Set[str], resource_type: str | None = None) -> list[JSON]:
    """The operations of any of `levels`, and of the type where one is given, that are open here."""
    return [
        {"name": code, "definition": one.definition}
        for code, one in sorted(service.operations.items())
        if one.levels & levels
        and (not one.types or resource_type in one.types)
        and (service.closed is None or not one.affects_state)
    ]


def _conditional(service: Service, version: FhirVersion) -> JSON:
    """What a writable type can do under conditions, as far as this FHIR version has an element to say it."""
    known = definitions(version).structure("CapabilityStatement.rest.resource").properties
    flags: JSON = {
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "conditionalPatch": True,
        "conditionalDelete": service.settings.conditional_delete,
        "referencePolicy": ["literal", "logical", *(["enforced"] if service.settings.references == "enforced" else [])],
    }
    return {name: value for name, value in flags.items() if name in known}


def reverse_includes(registry: Registry, resource_type: str) -> list[str]:
    """The references of served types that may point to `resource_type`, as `Type:parameter`."""
    return sorted(
        f"{source}:{code}"
        for source in registry.types
        for code, one in registry.parameters(source).items()
        if one.type == "reference" and (not one.targets or resource_type in one.targets or "Resource" in one.targets)
    )


def _parameters(registry: Registry, resource_type: str) -> list[JSON]:
    result: list[JSON] = []
    for code, one in sorted(registry.parameters(resource_type).items()):
        entry: JSON = {"name": code, "definition": one.url, "type": one.type}
        modifiers = [f":{modifier}" for modifier in sorted(one.modifiers)] + (
            [":[type]"] if one.type == "reference" else []
        )
        entry["documentation"] = f"{_sentence(one.description)} Modifiers: {' '.join(modifiers)}.".strip()
        result.append(entry)
    return sorted([*result, *_special(registry, resource_type)], key=lambda one: str(one["name"]))


def _special(registry: Registry, resource_type: str) -> list[JSON]:
    """The parameters that look at no element. Not every release has published definitions of them."""
    published = definitions(registry.version).search_parameters(resource_type)
    result: list[JSON] = []
    for code, kind in special.offered(registry, resource_type).items():
        entry: JSON = {"name": code, "type": kind}
        if code in published:
            entry["definition"] = published[code].url
        result.append(entry)
    return result


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if not line or line.endswith((".", "?", "!")) else f"{line}."


def _system(registry: Registry) -> list[JSON]:
    """`_type`, and the special parameters that work for every type at once."""
    first, *others = registry.types
    everywhere = set(special.offered(registry, first))
    for one in others:
        everywhere &= special.offered(registry, one).keys()
    # What is filtered by or points here is different for each type.
    shared = [one for one in _special(registry, first) if one["name"] in everywhere - {"_has"}]
    return [{"name": "_type", "type": "special"}, *shared]


def common_parameters(registry: Registry) -> list[JSON]:
    """Parameters that every served type has: a search over the system may use them."""
    common: set[str] | None = None
    for one in registry.types:
        codes = set(registry.parameters(one))
        common = codes if common is None else common & codes
    if not registry.types:
        return []
    first = registry.parameters(registry.types[0])
    result: list[JSON] = [
        {"name": code, "definition": first[code].url, "type": first[code].type} for code in sorted(common or ())
    ]
    return [*_system(registry), *result]
