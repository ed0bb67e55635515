"""$lookup: what a code system says of a code. https://hl7.org/fhir/R5/codesystem-operation-lookup.html"""

from __future__ import annotations

from apothecary.errors import BadRequest, NotFound, UnknownTerminology
from apothecary.fhir.code_systems import known
from apothecary.fhir.json import JSON
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import coding, holdings, parameters, properties, refuse_others, required_system


def run(call: Call) -> JSON:
    """Name, display and properties of a code. Raises NotFound for a code that is not there, BadRequest without one."""
    refuse_others(call, ("code", "system", "version", "coding"))
    given = call.parameter("coding")
    if given is not None:
        system, code = coding(given, "coding")[:2]
    else:
        system, code = None, call.parameter("code")
    if not isinstance(code, str):
        raise BadRequest("there is no code to look up", expression="code", code="required")
    try:
        held = holdings(call).hierarchy(required_system(call, system))
        code = known(held, code)
    except UnknownTerminology as error:
        raise NotFound(str(error), expression="code", remedy=error.issues[0].remedy) from None
    said = [
        (
            "property",
            "part",
            [("code", "Code", name), ("value", "Code" if name in ("parent", "child") else "String", one)],
        )
        for name, values in sorted(properties(held, code).items())
        for one in values
    ]
    return parameters(
        ("name", "String", held.url),
        ("version", "String", held.version),
        # A display is required in the answer; a concept need not have one.
        ("display", "String", held.concepts[code] or code),
        *said,
    )


OPERATION = Operation(
    "lookup",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    frozenset({"type"}),
    False,
    run,
    types=frozenset({"CodeSystem"}),
    arguments=(
        Argument("code", "code", "The code to look up."),
        Argument("system", "uri", "The code system of the code."),
        Argument("version", "string", "The version of the code system."),
        Argument("coding", "Coding", "The code with its system, in place of both."),
    ),
)
