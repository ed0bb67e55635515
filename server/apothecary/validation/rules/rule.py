"""What a rule of the validator says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from apothecary.errors import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `severity` is the default, `code` an issue type, `example` a piece of JSON that breaks the rule."""

    id: str
    severity: Severity
    code: str
    what: str
    why: str
    example: str
    remedy: str


_OBJECT = "https://hl7.org/fhir/R5/json.html"
