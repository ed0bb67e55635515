"""$batch-validate-code: many $validate-code calls in one, each answered by itself.

https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig/ defines it for terminology servers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apothecary.errors import BadRequest, FhirError, TooLarge
from apothecary.fhir.json import JSON
from apothecary.operations import validate_code
from apothecary.operations.arguments import check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import item, resources
from apothecary.reports.operation_outcome import operation_outcome


def run(call: Call) -> JSON:
    """For each `validation` (Parameters of a $validate-code) the answer, or the OperationOutcome that stands for it.
    Parameters beside them hold for all that do not have their own. Raises BadRequest where there is none.
    """
    check(call, OPERATION.arguments)
    if call.pairs:
        raise BadRequest("the parameters stand in the body", expression=call.pairs[0][0], code="value")
    asked = resources(call, "validation")
    if not asked:
        raise BadRequest("there is no validation to do", expression="validation", code="required")
    limit = call.service.settings.bundle_limit
    if len(asked) > limit:
        raise TooLarge(f"{len(asked)} validations, the limit is {limit}", expression="validation")
    shared = [one for one in call.listed if one.get("name") != "validation"]
    answers = [item("validation", "resource", _one(call, shared, one)) for one in asked]
    return {"resourceType": "Parameters", "parameter": answers}


def _one(call: Call, shared: list[Any], asked: JSON) -> JSON:
    try:
        if asked.get("resourceType") != "Parameters" or not isinstance(asked.get("parameter", []), list):
            raise BadRequest("a validation is Parameters", expression="validation", code="structure")
        own = [one for one in asked.get("parameter", ()) if isinstance(one, dict)]
        names = {one.get("name") for one in own}
        posted = {
            "resourceType": "Parameters",
            "parameter": [*own, *(one for one in shared if one.get("name") not in names)],
        }
        return validate_code.run(replace(call, posted=posted, pairs=()))
    except FhirError as error:
        return operation_outcome(error.issues)


OPERATION = Operation(
    "batch-validate-code",
    "http://hl7.org/fhir/uv/tx-ecosystem/OperationDefinition/Batch-validate-code",
    frozenset({"type"}),
    False,
    run,
    types=frozenset({"CodeSystem", "ValueSet"}),
    arguments=(
        Argument("validation", "Parameters", "The parameters of one $validate-code; it repeats.", repeats=True),
        *validate_code.ARGUMENTS,
    ),
)
