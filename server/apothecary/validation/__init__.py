"""The validator: a resource in, every defect out, without input or output
(https://hl7.org/fhir/R5/validation.html).

`validate` checks the structure, the primitives, bindings, references, extensions, narrative, the invariants of the
specification and the rules for medications. `docs/validation.md` tells how the parts fit together, `docs/rules.md`
lists the rules.
"""

from __future__ import annotations

from typing import Any

from apothecary.errors import Issue
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.catalogue import RULES, find_rule
from apothecary.validation.invariants import not_evaluated
from apothecary.validation.options import Options
from apothecary.validation.rules import BASE, Rule
from apothecary.validation.run import Run, Stop
from apothecary.validation.structure import walk_document

__all__ = ["ERRORS", "RULES", "Options", "Rule", "find_rule", "not_evaluated", "validate"]

_DEFAULT = Options()

# For whoever refuses what is wrong, and has no use for advice.
ERRORS = Options(errors_only=True)


def validate(resource: Any, version: FhirVersion, *, options: Options = _DEFAULT) -> list[Issue]:
    """Every defect of `resource`, in the order of the document; empty when it is valid.

    `resource` is parsed JSON, best by `apothecary.fhir.json.parse`, which keeps the digits of decimals. A Bundle is
    checked with all its entries. Any JSON value is taken, and no value makes this raise.
    """
    run = Run(resource, definitions(version), options)
    try:
        walk_document(resource, run)
    except Stop:
        run.unchecked(f"what comes after the first {options.max_issues} issues")
        return run.issues(stopped=BASE["too-many-issues"])
    for key, reason in run.unjudged:
        run.unchecked(f"{key}: {reason}")
    return run.issues() if run.findings else []
