"""$validate-code: whether a code is in a code system or value set.

https://hl7.org/fhir/R5/codesystem-operation-validate-code.html and
https://hl7.org/fhir/R5/valueset-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Mapping

from apothecary.errors import BadRequest
from apothecary.fhir.json import JSON
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.expand import expansion_of
from apothecary.operations.terms import Code, coding, flag, holdings, parameters, refuse_others, required_system
from apothecary.search.text import fold

_TAKEN = ("url", "code", "display", "coding", "codeableConcept", "system", "version", "inferSystem")
_TAKEN_BY_VALUE_SET = (*_TAKEN, "valueSet", "valueSetVersion")


def run(call: Call) -> JSON:
    """`result` true or false, a `message` where it is false, the code's `display`. Raises BadRequest without a code,
    and what finding the value set or code system raises.
    """
    of_set = call.resource_type == "ValueSet"
    refuse_others(call, _TAKEN_BY_VALUE_SET if of_set else _TAKEN)
    codes = _codes(call)
    if of_set:
        _, expansion = expansion_of(call)
        concepts, partial, name = expansion.concepts, expansion.partial, "the value set"
        if any(one.system is None for one in codes) and not flag(call, "inferSystem"):
            raise BadRequest(
                "the code has no system",
                expression="system",
                code="required",
                remedy="Write system=..., or inferSystem=true.",
            )
    else:
        held = holdings(call).hierarchy(required_system(call, codes[0].system))
        concepts, name = {held.url: held.concepts}, held.url
        partial = frozenset({held.url}) if held.content != "complete" else frozenset()
        codes = [Code(one.system or held.url, held.find(one.code) or one.code, one.display) for one in codes]
    for one in codes:
        system = _holding(concepts, one)
        if system is not None:
            return _found(one, system, concepts[system][one.code])
    listed = ", ".join(f"{one.system or ''}|{one.code}" for one in codes)
    message = f"{listed} is not in {name}"
    if partial:
        message += f"; of {', '.join(sorted(partial))} only a part is held here"
    return parameters(("result", "Boolean", False), ("message", "String", message))


def _codes(call: Call) -> list[Code]:
    """The codes of which one will do: `code`, `coding` or those of a `codeableConcept`."""
    concept = call.parameter("codeableConcept")
    if isinstance(concept, dict):
        found = [coding(one, "codeableConcept.coding") for one in concept.get("coding", ())]
    elif (given := call.parameter("coding")) is not None:
        found = [coding(given, "coding")]
    else:
        code, system = call.parameter("code"), call.parameter("system")
        found = [Code(system, code, call.parameter("display"))] if isinstance(code, str) else []
    if not found:
        raise BadRequest("there is no code to validate", expression="code", code="required")
    return found


def _holding(concepts: Mapping[str, Mapping[str, str]], one: Code) -> str | None:
    """The system in which the code is found; one that is to be inferred must be the only one."""
    if one.system is not None:
        return one.system if one.code in concepts.get(one.system, {}) else None
    found = [system for system, codes in concepts.items() if one.code in codes]
    return found[0] if len(found) == 1 else None


def _found(one: Code, system: str, display: str) -> JSON:
    right = not one.display or not display or fold(one.display) == fold(display)
    message = None if right else f"{one.display!r} is not the display of {system}|{one.code}, which is {display!r}"
    return parameters(
        ("result", "Boolean", right), ("message", "String", message), ("display", "String", display or None)
    )


OPERATION = Operation(
    "validate-code",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"CodeSystem", "ValueSet"}),
    arguments=(
        Argument("url", "uri", "The value set or code system, by its URL."),
        Argument("code", "code", "The code."),
        Argument("system", "uri", "The code system of the code."),
        Argument("version", "string", "The version of the code system."),
        Argument("display", "string", "The display that is checked with the code."),
        Argument("coding", "Coding", "The code with its system."),
        Argument("codeableConcept", "CodeableConcept", "Several codes, of which one must be right."),
        Argument("inferSystem", "boolean", "Whether the system may be found by the code."),
        Argument("valueSet", "ValueSet", "The value set itself."),
        Argument("valueSetVersion", "string", "The version of the value set."),
    ),
)
