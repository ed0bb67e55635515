"""$expand: the codes of a value set. https://hl7.org/fhir/R5/valueset-operation-expand.html"""

from __future__ import annotations

from typing import Any

from apothecary.errors import NotSupported
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.operations.arguments import check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import COMMON, Terms, flag, number, text
from apothecary.terminology.expansion import Wanted, expand
from apothecary.versions import convert

# Parameters that the expansion repeats, in this order, with the type of their value.
_TOLD = (
    ("activeOnly", "Boolean"),
    ("excludeNested", "Boolean"),
    ("excludeNotForUI", "Boolean"),
    ("excludePostCoordinated", "Boolean"),
    ("includeDesignations", "Boolean"),
    ("includeDefinition", "Boolean"),
    ("designation", "String"),
    ("filter", "String"),
    ("offset", "Integer"),
    ("count", "Integer"),
    ("system-version", "Uri"),
    ("check-system-version", "Uri"),
    ("force-system-version", "Uri"),
)
ARGUMENTS = (
    Argument("url", "uri", "The value set, by its URL."),
    Argument("valueSet", "ValueSet", "The value set itself."),
    Argument("valueSetVersion", "string", "The version of the value set."),
    Argument("filter", "string", "Only codes whose text has words that begin so."),
    Argument("offset", "integer", "How many codes come before the page."),
    Argument("count", "integer", "How many codes the page may have."),
    Argument("activeOnly", "boolean", "Only codes that are in use."),
    Argument("includeDesignations", "boolean", "Whether designations are shown."),
    Argument("designation", "string", "Which designations are shown: language or use, as system|code.", repeats=True),
    Argument("property", "string", "A property that is shown.", repeats=True),
    Argument("includeDefinition", "boolean", "Whether the definition of the value set is shown."),
    Argument("excludeNested", "boolean", "Whether the codes are one plain list."),
    Argument("excludeNotForUI", "boolean", "Whether abstract codes are left out."),
    Argument("excludePostCoordinated", "boolean", "There are no post-coordinated codes here."),
    Argument("contextDirection", "code", "Not supported."),
    *COMMON,
)


def run(call: Call) -> JSON:
    """The value set with its expansion: all of it, or the page that `offset` and `count` name, of the codes whose text
    contains `filter`. Raises NotFound for a value set that is not held, NotEnumerable where its codes cannot be listed,
    TooCostly where they are too many for one answer.
    """
    check(call, ARGUMENTS)
    if text(call, "contextDirection") is not None:
        raise NotSupported("contextDirection: there are no contexts here", expression="contextDirection")
    terms = Terms(call)
    wanted = Wanted(
        filter=text(call, "filter") or "",
        offset=number(call, "offset"),
        count=number(call, "count"),
        active_only=flag(call, "activeOnly"),
        languages=terms.languages,
        include_designations=flag(call, "includeDesignations"),
        include_definition=flag(call, "includeDefinition"),
        designations=terms.texts("designation"),
        properties=terms.texts("property"),
        exclude_nested=flag(call, "excludeNested"),
        exclude_not_for_ui=flag(call, "excludeNotForUI"),
        asked=tuple(_asked(call)),
        limit=call.service.settings.expansion_limit,
    )
    members, resource = terms.members()
    return _in_version(expand(members, resource, wanted), call.wanted or call.version)


def _asked(call: Call) -> list[JSON]:
    return [
        {"name": name, f"value{kind}": _typed(call, name, kind, value)}
        for name, kind in _TOLD
        for value in call.values(name)
    ]


def _typed(call: Call, name: str, kind: str, value: Any) -> Any:
    """The value as the expansion writes it; in an address all are text."""
    if kind == "Boolean":
        return flag(call, name)
    return number(call, name) if kind == "Integer" else str(value)


def _in_version(resource: JSON, version: FhirVersion) -> JSON:
    return resource if version is FhirVersion.R5 else convert(resource, FhirVersion.R5, version).resource


OPERATION = Operation(
    "expand",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"ValueSet"}),
    arguments=ARGUMENTS,
)
