"""$lookup: what a code system says of a code. https://hl7.org/fhir/R5/codesystem-operation-lookup.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.errors import BadRequest, NotEnumerable, UnknownTerminology
from apothecary.fhir.json import JSON
from apothecary.operations.arguments import alone, check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import COMMON, Terms, coding, parameters, text
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compose import Entry
from apothecary.terminology.filters import known
from apothecary.terminology.languages import PREFERRED, Languages, named
from apothecary.terminology.model import Concept
from apothecary.terminology.problems import not_found

Item = tuple[str, str, Any]

ARGUMENTS = (
    Argument("code", "code", "The code to look up."),
    Argument("system", "uri", "The code system of the code."),
    Argument("version", "string", "The version of the code system."),
    Argument("coding", "Coding", "The code with its system, in place of both."),
    Argument("property", "code", "What is told of the code; all, without one.", repeats=True),
    *COMMON,
)
_NO_SUPPLEMENT = "VALUESET_SUPPLEMENT_MISSING"
# What the answer always tells, so that nobody need ask for it.
_ALWAYS = frozenset({"url", "system", "name", "version", "display", "code"})


def run(call: Call) -> JSON:
    """Name, display, definition, designations and properties of a code. Raises NotFound for a code that is not there,
    BadRequest without one.
    """
    check(call, ARGUMENTS)
    alone(call, "code", "coding")
    alone(call, "system", "coding")
    terms = Terms(call)
    given = call.parameter("coding")
    if given is not None:
        asked = coding(given, "coding")
        code, url, version = asked.code, asked.system, asked.version
    else:
        code, url, version = text(call, "code") or "", None, text(call, "version")
    if not code:
        raise BadRequest("there is no code to look up", expression="code", code="required")
    try:
        system = terms.code_system(url, version)
        if not system.held:
            raise NotEnumerable(
                f"the codes of {system.url} are not held here", remedy="Load a CodeSystem that has its concepts."
            )
        concept = system.find(known(system, code))
    except UnknownTerminology as error:
        # A supplement that is wanted and not held is named by its own issue.
        raise not_found(error, *(() if error.issues[0].message == _NO_SUPPLEMENT else ("code",))) from None
    assert concept is not None  # noqa: S101 (`known` raises)
    wanted = frozenset(terms.texts("property")) or frozenset({"*"})
    return parameters(*_told(system, concept, wanted, terms.languages))


def _told(system: CodeSystem, concept: Concept, wanted: frozenset[str], languages: Languages | None) -> Iterator[Item]:
    names = named(Entry(system.url, system.version, concept.code, system, concept))
    display, _ = names.shown(languages)
    every = "*" in wanted
    yield "name", "String", system.name or system.url
    yield "version", "String", system.version
    yield "code", "Code", concept.code
    yield "system", "Uri", system.url
    # A display is required in the answer; a concept need not have one.
    yield "display", "String", display or concept.display or concept.code
    yield "abstract", "Boolean", system.is_abstract(concept)
    if every or "definition" in wanted:
        yield "definition", "String", concept.definition or None
    languages_wanted = {one.removeprefix("lang.") for one in wanted if one.startswith("lang.")}
    if every or "designation" in wanted or languages_wanted:
        if names.display:
            yield _designation(names.language, PREFERRED, names.display)
        for one in names.designations:
            if every or "designation" in wanted or one.language in languages_wanted:
                yield _designation(one.language, one.use, one.value, one.source)
    for supplement in system.supplements:
        yield "used-supplement", "Canonical", supplement
    yield from _properties(system, concept, wanted, every=every)


def _designation(language: str, use: Any, value: str, source: str | None = None) -> Item:
    parts = [
        ("language", "Code", language or None),
        ("use", "Coding", use),
        ("source", "Canonical", source),
        ("value", "String", value),
    ]
    return "designation", "part", parts


def _properties(system: CodeSystem, concept: Concept, wanted: frozenset[str], *, every: bool) -> Iterator[Item]:
    """Each property with its type; parents and children with their displays."""
    if every or "inactive" in wanted:
        yield _property("inactive", "Boolean", system.is_inactive(concept))
    for name, codes in (("parent", system.parents_of(concept.code)), ("child", system.children_of(concept.code))):
        for code in codes if every or name in wanted else ():
            other = system.find(code)
            yield _property(name, "Code", code, other.display if other is not None else None)
    names = set(wanted - _ALWAYS)
    for name in wanted:
        names |= system.codes_of(name)
    for one in concept.properties:
        if (every or one.code in names) and system.meaning(one.code) != "inactive":
            yield _property(one.code, one.type, one.value)


def _property(code: str, kind: str, value: Any, description: str | None = None) -> Item:
    return (
        "property",
        "part",
        [("code", "Code", code), ("value", kind, value), ("description", "String", description or None)],
    )


OPERATION = Operation(
    "lookup",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"CodeSystem"}),
    arguments=ARGUMENTS,
)
