"""$expand: the codes of a value set. https://hl7.org/fhir/R5/valueset-operation-expand.html"""

from __future__ import annotations

from uuid import uuid4

from apothecary.errors import BadRequest, NotFound, UnknownTerminology
from apothecary.fhir.json import JSON
from apothecary.fhir.temporal import instant, now
from apothecary.fhir.terminology import ValueSet
from apothecary.fhir.value_sets import Expansion, expand_resource
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import holdings, instance, number, refuse_others
from apothecary.search.text import fold


def run(call: Call) -> JSON:
    """The value set with its expansion: all of it, or the page that `offset` and `count` name, of the codes whose text
    contains `filter`. Raises NotFound for a value set that is not held, NotEnumerable where its codes cannot be listed.
    """
    refuse_others(call, ("url", "valueSet", "valueSetVersion", "filter", "offset", "count"))
    head, expansion = expansion_of(call)
    wanted = fold(str(call.parameter("filter") or ""))
    codes = [
        {"system": system, "code": code} | ({"display": display} if display else {})
        for system, concepts in expansion.concepts.items()
        for code, display in concepts.items()
        if wanted in fold(f"{code} {display}")
    ]
    offset, count = number(call, "offset"), number(call, "count")
    start = offset or 0
    page = codes[start:] if count is None else codes[start : start + count]
    told: JSON = {"identifier": f"urn:uuid:{uuid4()}", "timestamp": instant(now()), "total": len(codes)}
    if offset is not None:
        told["offset"] = offset
    asked = [
        {"name": name, kind: value}
        for name, kind, value in (
            ("filter", "valueString", call.parameter("filter")),
            ("offset", "valueInteger", offset),
            ("count", "valueInteger", count),
        )
        if value is not None
    ]
    # https://hl7.org/fhir/R5/valueset-operation-expand.html: an expansion from part of a code system says so.
    asked += [{"name": "used-fragment", "valueUri": system} for system in sorted(expansion.partial)]
    if asked:
        told["parameter"] = asked
    if page:
        told["contains"] = page
    return {"resourceType": "ValueSet", **head, "expansion": told}


def expansion_of(call: Call) -> tuple[JSON, Expansion]:
    """What a call says its value set is: some elements of it, and its codes."""
    holding = holdings(call)
    given = call.parameter("valueSet") or instance(call)
    if isinstance(given, dict):
        return _head(given), expand_resource(given, holding)
    url = call.parameter("url")
    if not isinstance(url, str):
        raise BadRequest("the value set is missing", expression="url", code="required", remedy="Write url=...")
    version = call.parameter("valueSetVersion")
    name = f"{url}|{version}" if version is not None else url
    try:
        expansion = holding.expansion(name)
    except UnknownTerminology as error:
        raise NotFound(str(error), expression="url", remedy=error.issues[0].remedy) from None
    found = holding.value_set(name)
    return ({"url": url, "status": "active"} if isinstance(found, ValueSet | None) else _head(found)), expansion


def _head(resource: JSON) -> JSON:
    """The elements that an expansion shows of the value set that it is of."""
    return {name: resource[name] for name in ("url", "version", "name", "title", "status") if name in resource}


OPERATION = Operation(
    "expand",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"ValueSet"}),
    arguments=(
        Argument("url", "uri", "The value set, by its URL."),
        Argument("valueSet", "ValueSet", "The value set itself."),
        Argument("valueSetVersion", "string", "The version of the value set."),
        Argument("filter", "string", "Only codes whose text contains this."),
        Argument("offset", "integer", "How many codes come before the page."),
        Argument("count", "integer", "How many codes the page may have."),
    ),
)
