"""Operations, one module each: https://hl7.org/fhir/R5/operations.html"""

from __future__ import annotations

from collections.abc import Mapping

from apothecary.operations import (
    batch_validate_code,
    bulk,
    convert,
    detect_issues,
    document,
    expand,
    lookup,
    match,
    meta,
    subsumes,
    translate,
    validate,
    validate_code,
)
from apothecary.operations.base import Call, Operation

OPERATIONS: Mapping[str, Operation] = {
    one.code: one
    for one in (
        *meta.OPERATIONS,
        validate.OPERATION,
        convert.OPERATION,
        detect_issues.OPERATION,
        document.OPERATION,
        expand.OPERATION,
        lookup.OPERATION,
        match.OPERATION,
        subsumes.OPERATION,
        translate.OPERATION,
        validate_code.OPERATION,
        batch_validate_code.OPERATION,
        *bulk.OPERATIONS,
    )
}

__all__ = ["OPERATIONS", "Call", "Operation"]
