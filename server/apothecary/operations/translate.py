"""$translate: what concept maps make of a code.

https://hl7.org/fhir/R5/conceptmap-operation-translate.html and https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apothecary.errors import BadRequest, UnknownTerminology
from apothecary.fhir.budgets import Budget
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.concept_maps import ConceptMaps
from apothecary.operations.arguments import alone, check, with_
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import (
    COMMON,
    Terms,
    brought,
    coding,
    concept,
    flag,
    instance,
    parameters,
    text,
)
from apothecary.terminology.compose import MOST_STEPS, Members, Question, Steps
from apothecary.terminology.concept_maps import ConceptMap, Datum, concept_map
from apothecary.terminology.problems import not_found
from apothecary.terminology.relationships import TURNED
from apothecary.terminology.translation import Asked, Match, Translation, Translator
from apothecary.terminology.validation import Coding

Item = tuple[str, str, Any]

ARGUMENTS = (
    Argument("url", "uri", "The concept map, by its URL; all that are held, without one."),
    Argument("conceptMap", "ConceptMap", "The concept map itself."),
    Argument("conceptMapVersion", "string", "The version of the concept map."),
    Argument("sourceCode", "code", "The code to translate (R4: code)."),
    Argument("code", "code", "The same."),
    Argument("system", "uri", "The code system of that code."),
    Argument("sourceSystem", "uri", "The same; with a target code, the code system that is wanted."),
    Argument("version", "string", "The version of that code system."),
    Argument("sourceCoding", "Coding", "The code with its system (R4: coding)."),
    Argument("coding", "Coding", "The same."),
    Argument("sourceCodeableConcept", "CodeableConcept", "Several codes, each translated (R4: codeableConcept)."),
    Argument("codeableConcept", "CodeableConcept", "The same."),
    Argument("sourceScope", "uri", "The value set that source codes must be of (R4: source)."),
    Argument("source", "uri", "The same."),
    Argument("targetCode", "code", "The code to find the sources of, of targetSystem."),
    Argument("targetCoding", "Coding", "The same with its system."),
    Argument("targetCodeableConcept", "CodeableConcept", "Several codes to find the sources of."),
    Argument("targetScope", "uri", "The value set that target codes must be of (R4: target)."),
    Argument("target", "uri", "The same."),
    Argument("targetSystem", "uri", "The code system that target codes must be of (R4: targetsystem)."),
    Argument("targetsystem", "uri", "The same."),
    Argument("reverse", "boolean", "R4: whether the code is one that others are mapped to."),
    Argument(
        "dependency",
        "BackboneElement",
        "What is known of other elements: attribute and value (R4: element, concept).",
        repeats=True,
    ),
    # Displays are those of the maps.
    *(one for one in COMMON if one.name != "displayLanguage"),
)


@dataclass(frozen=True)
class _Request:
    codes: Sequence[Coding]
    asked: Asked
    back: bool
    """Whether the codes are those that others are mapped to."""


def run(call: Call) -> JSON:
    """`result`, and each match with how it stands to the code and the map that says so. Raises BadRequest where it is
    not one code that is asked about, NotFound for a map or a value set that is not held.
    """
    check(call, ARGUMENTS)
    terms = Terms(call)
    request = _request(call)
    given = [one for one in brought(call) if one.get("resourceType") == "ConceptMap"]
    maps = ConceptMaps(call.service, call.version, call.base, given)
    translator = Translator(request.asked, _Sets(terms), maps.named)
    try:
        terms.compiler  # noqa: B018 (what a request says of versions and supplements is wrong whether or not it is used)
        translate = translator.backward if request.back else translator.forward
        found = translate(_maps(call, maps, request), request.codes)
    except UnknownTerminology as error:
        raise not_found(error) from None
    return _answer(call.wanted or call.version, request, found)


class _Sets:
    """The value sets that a request sees; all that is asked of them counts together."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._budget = Budget(MOST_STEPS)

    def has(self, value_set: str, code: Coding) -> bool:
        members = self._terms.compiler.named(value_set)
        found = members.find(Question(code.system or "", code.code, code.version), self._steps(members))
        if found is None and (missing := members.missing(code.system)) is not None:
            raise missing
        return found is not None and not found.barred

    def codes(self, value_set: str) -> Iterable[Coding]:
        members = self._terms.compiler.named(value_set)
        return (
            Coding(one.url, one.code, one.concept.display if one.concept else None, one.version)
            for one in members.entries(self._steps(members))
        )

    def _steps(self, members: Members) -> Steps:
        return Steps(members.name, budget=self._budget)


def _maps(call: Call, maps: ConceptMaps, request: _Request) -> list[ConceptMap]:
    alone(call, "url", "conceptMap")
    with_(call, "conceptMapVersion", "url")
    given, url = call.parameter("conceptMap"), text(call, "url")
    if call.resource_id is not None:
        if given is not None or url is not None:
            raise BadRequest("the map is the one that was called", expression="url", code="value")
        return [maps.kept(instance(call))]
    if given is not None:
        if not isinstance(given, dict) or given.get("resourceType") != "ConceptMap":
            raise BadRequest("conceptMap is a ConceptMap resource", expression="conceptMap", code="value")
        return [concept_map(given)]
    if url is not None:
        return [maps.named(url, text(call, "conceptMapVersion"))]
    systems = dict.fromkeys(one.system for one in request.codes if one.system is not None)
    side = "target" if request.back else "source"
    found: dict[int, ConceptMap] = {}
    for system in systems:
        found.update((id(one), one) for one in maps.about(system, side))
    return list(found.values())


# -- what is asked


def _request(call: Call) -> _Request:
    reverse = flag(call, "reverse")
    forward = _codes(
        call, ("sourceCode", "code"), ("sourceCoding", "coding"), ("sourceCodeableConcept", "codeableConcept")
    )
    back = _codes(call, ("targetCode",), ("targetCoding",), ("targetCodeableConcept",))
    if len(forward) + len(back) != 1:
        raise BadRequest(
            f"{len(forward) + len(back)} codes are to be translated",
            expression="sourceCode",
            code="required" if not (forward or back) else "value",
            remedy="Give one: a code with its system, a Coding, or a CodeableConcept.",
        )
    if forward:
        alone(call, "system", "sourceSystem")
    codes = [*forward, *back][0]
    for names in (("sourceScope", "source"), ("targetScope", "target"), ("targetSystem", "targetsystem")):
        alone(call, *names)
    source, target = _either(call, "sourceScope", "source"), _either(call, "targetScope", "target")
    system = _either(call, "targetSystem", "targetsystem")
    turned = bool(back) or reverse
    wanted: tuple[str | None, str | None]
    if back:
        wanted = text(call, "sourceSystem"), None
    elif reverse:
        # R4: source and target change places.
        wanted, source, target = (system, None), target, source
    else:
        wanted = None, system
    # R4 has no element to tell what a match depends on: one that may not hold is left out there.
    dependent = (call.wanted or call.version) is FhirVersion.R5
    limit = call.service.settings.expansion_limit
    asked = Asked(wanted[0], wanted[1], source, target, tuple(_dependencies(call)), dependent, limit)
    return _Request(codes, asked, turned)


def _codes(
    call: Call, code_names: Sequence[str], coding_names: Sequence[str], concept_names: Sequence[str]
) -> list[list[Coding]]:
    """Each way in which the codes of one side are given."""
    found: list[list[Coding]] = []
    for name in code_names:
        if (code := text(call, name)) is not None:
            system = _either(call, "targetSystem", "system") if name == "targetCode" else None
            system = system or _either(call, "system", "sourceSystem")
            if system is None:
                raise BadRequest(f"{name} has no system", expression="system", code="required")
            found.append([Coding(system, code, None, text(call, "version"))])
    found += [
        [_with_system(coding(given, name), name)]
        for name in coding_names
        if (given := call.parameter(name)) is not None
    ]
    for name in concept_names:
        given = call.parameter(name)
        if given is None:
            continue
        listed = concept(given, name)
        if not listed:
            raise BadRequest(f"{name} is a CodeableConcept with a coding", expression=name, code="value")
        found.append([_with_system(one, f"{name}.coding") for one in listed])
    return found


def _with_system(one: Coding, name: str) -> Coding:
    if one.system is None:
        raise BadRequest(f"{name} has no system", expression=f"{name}.system", code="required")
    return one


def _either(call: Call, *names: str) -> str | None:
    return next((found for name in names if (found := text(call, name)) is not None), None)


def _dependencies(call: Call) -> Iterator[Datum]:
    for one in call.listed:
        if one.get("name") != "dependency":
            continue
        parts = {part.get("name"): part for part in one.get("part", ()) if isinstance(part, dict)}
        about = _value(parts.get("attribute") or parts.get("element"))
        value = _value(parts.get("value") or parts.get("concept"))
        if about is None or value is None or not isinstance(about[1], str):
            raise BadRequest(
                "a dependency has an attribute and a value (R4: element and concept)", expression="dependency"
            )
        yield Datum(about[1], *value)


def _value(part: JSON | None) -> tuple[str, Any] | None:
    for key, value in (part or {}).items():
        if key.startswith("value"):
            return key.removeprefix("value"), value
    return None


# -- the answer


def _answer(version: FhirVersion, request: _Request, found: Translation) -> JSON:
    if not found.matches:
        codes = ", ".join(f"{one.system}|{one.code}" for one in request.codes)
        remarks = [f"No translation of {codes} is held here", *found.remarks]
    else:
        remarks = [*found.remarks]
    tell = _in_r5 if version is FhirVersion.R5 else _in_r4
    return parameters(
        ("result", "Boolean", found.found),
        ("message", "String", "; ".join(remarks) or None),
        *(("match", "part", list(tell(one, request))) for one in found.matches),
    )


def _in_r5(match: Match, request: _Request) -> Iterator[Item]:
    yield "relationship", "Code", match.rule.relationship
    yield "concept", "Coding", _coding(match.target)
    if request.back:
        yield "source", "Coding", _coding(match.source)
    for one in match.rule.properties:
        yield "property", "part", [("uri", "Uri", one.attribute), ("value", one.type, one.value)]
    for name, data in (("product", match.rule.products), ("dependsOn", match.rule.depends_on)):
        for one in data:
            yield name, "part", [("attribute", "Uri", one.attribute), ("value", one.type, one.value)]
    yield "originMap", "Canonical", match.origin.canonical or None


def _in_r4(match: Match, request: _Request) -> Iterator[Item]:
    equivalence = match.rule.equivalence
    # What is found is the source, and the word is to say what that is to the code that was asked about.
    yield "equivalence", "Code", TURNED.get(equivalence, equivalence) if request.back else equivalence
    yield "concept", "Coding", _coding(match.source if request.back else match.target)
    for one in match.rule.products:
        yield "product", "part", [("element", "Uri", one.attribute), ("concept", "Coding", _as_coding(one))]
    yield "source", "Uri", match.origin.canonical or None


def _as_coding(one: Datum) -> JSON:
    """R4 tells products as codings only: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
    if one.type == "Coding":
        return dict(one.value)
    return {"code": one.value} if one.type == "Code" else {"display": str(one.value)}


def _coding(one: Coding) -> JSON:
    parts = {"system": one.system, "version": one.version, "code": one.code, "display": one.display}
    return {name: value for name, value in parts.items() if value is not None}


OPERATION = Operation(
    "translate",
    "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"ConceptMap"}),
    arguments=ARGUMENTS,
)
