"""The validator: a resource in, every defect out, without input or output
(https://hl7.org/fhir/R5/validation.html).

`validate` checks the structure, the primitives, bindings, references, extensions, narrative, the invariants of the
specification and the rules for medications. `docs/validation.md` tells how the parts fit together, `docs/rules.md`
lists the rules.
"""

from __future__ import annotations

from typing import Any

from server.errors import Issue
from server.fhir.definitions import definitions
from server.fhir.releases import FhirVersion
from server.validation.catalogue import RULES, find_rule
from server.validation.invariants import not_evaluated
from server.validation.options import Options
from server.validation.rules import BASE, Rule
from server.validation.run import Run, Stop
from server.validation.structure import walk_document

__all__ = ["RULES", "Options", "Rule", "find_rule", "not_evaluated", "validate"]

_DEFAULT = Options()


def validate(resource: Any, version: FhirVersion, *, options: Options = _DEFAULT) -> list[Issue]:
    """Every defect of `resource`, in the order of the document; empty when it is valid.

    `resource` is parsed JSON, best by `server.fhir.json.parse`, which keeps the digits of decimals. A Bundle is
    checked with all its entries. Any JSON value is taken, and no value makes this raise.
    """
    run = Run(resource, definitions(version), options)
    try:
        walk_document(resource, run)
    except Stop:
        return run.issues(stopped=BASE["too-many-issues"])
    return run.issues() if run.findings else []
