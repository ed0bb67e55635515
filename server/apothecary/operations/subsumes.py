"""$subsumes: how two codes of a code system stand. https://hl7.org/fhir/R5/codesystem-operation-subsumes.html"""

from __future__ import annotations

from apothecary.errors import BadRequest, NotEnumerable
from apothecary.fhir.json import JSON
from apothecary.operations.arguments import alone, check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import COMMON, Terms, coding, parameters, text
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.filters import standing
from apothecary.terminology.problems import UnknownCodeSystem

ARGUMENTS = (
    Argument("codeA", "code", "The code that may subsume the other."),
    Argument("codeB", "code", "The code that may be subsumed."),
    Argument("system", "uri", "The code system of both."),
    Argument("url", "uri", "The same."),
    Argument("version", "string", "The version of the code system."),
    Argument("codingA", "Coding", "The first code with its system."),
    Argument("codingB", "Coding", "The second code with its system."),
    *COMMON,
)


def run(call: Call) -> JSON:
    """`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed`. Raises BadRequest for codes that are not held."""
    check(call, ARGUMENTS)
    alone(call, "system", "url")
    for side in ("A", "B"):
        alone(call, f"code{side}", f"coding{side}")
    systems: set[str] = set()
    versions: set[str] = set()
    codes = []
    for side in ("A", "B"):
        given = call.parameter(f"coding{side}")
        if given is not None:
            one = coding(given, f"coding{side}")
            code: str | None = one.code
            systems |= {one.system} if one.system else set()
            versions |= {one.version} if one.version else set()
        else:
            code = text(call, f"code{side}")
        if code is None:
            raise BadRequest(f"code{side} is missing", expression=f"code{side}", code="required")
        codes.append(code)
    if len(systems) > 1:
        raise BadRequest("the two codes are of different code systems", expression="codingB", code="value")
    if len(versions) > 1:
        raise BadRequest(
            "the two codes are of different versions of the code system", expression="codingB.version", code="value"
        )
    terms = Terms(call)
    try:
        system = terms.code_system(next(iter(systems), None), next(iter(versions), None) or text(call, "version"))
    except UnknownCodeSystem as error:
        # The form of the codes alone says how they stand, if there are such codes.
        system = CodeSystem(error.url, content="not-present")
        if error.version is not None or not all(system.stands(code) for code in codes):
            raise
    if not system.held and not all(system.stands(code) for code in codes):
        raise NotEnumerable(
            f"the codes of {system.url} are not held here", remedy="Load a CodeSystem that has its concepts."
        )
    a, b = (standing(system, code) for code in codes)
    if a == b or (system.form is not None and system.form.same(a) == system.form.same(b)):
        outcome = "equivalent"
    elif system.subsumes(a, b):
        outcome = "subsumes"
    else:
        outcome = "subsumed-by" if system.subsumes(b, a) else "not-subsumed"
    return parameters(("outcome", "Code", outcome))


OPERATION = Operation(
    "subsumes",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"CodeSystem"}),
    arguments=ARGUMENTS,
)
