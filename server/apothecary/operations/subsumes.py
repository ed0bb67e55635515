"""$subsumes: how two codes of a code system stand. https://hl7.org/fhir/R5/codesystem-operation-subsumes.html"""

from __future__ import annotations

from apothecary.errors import BadRequest
from apothecary.fhir.code_systems import known
from apothecary.fhir.json import JSON
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import coding, holdings, parameters, refuse_others, required_system


def run(call: Call) -> JSON:
    """`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed`. Raises BadRequest for codes that are not held."""
    refuse_others(call, ("codeA", "codeB", "codingA", "codingB", "system", "version"))
    systems: set[str] = set()
    codes = []
    for side in ("A", "B"):
        given = call.parameter(f"coding{side}")
        if given is not None:
            system, code = coding(given, f"coding{side}")[:2]
            systems |= {system} if system else set()
        else:
            code = call.parameter(f"code{side}")
        if not isinstance(code, str):
            raise BadRequest(f"code{side} is missing", expression=f"code{side}", code="required")
        codes.append(code)
    if len(systems) > 1:
        raise BadRequest("the two codes are of different code systems", expression="codingB", code="value")
    held = holdings(call).hierarchy(required_system(call, next(iter(systems), None)))
    a, b = (known(held, code) for code in codes)
    if a == b:
        outcome = "equivalent"
    elif a in held.ancestors(b):
        outcome = "subsumes"
    else:
        outcome = "subsumed-by" if b in held.ancestors(a) else "not-subsumed"
    return parameters(("outcome", "Code", outcome))


OPERATION = Operation(
    "subsumes",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"CodeSystem"}),
    arguments=(
        Argument("codeA", "code", "The code that may subsume the other."),
        Argument("codeB", "code", "The code that may be subsumed."),
        Argument("system", "uri", "The code system of both."),
        Argument("version", "string", "The version of the code system."),
        Argument("codingA", "Coding", "The first code with its system."),
        Argument("codingB", "Coding", "The second code with its system."),
    ),
)
