"""What the literal of a primitive is in JSON: https://hl7.org/fhir/R5/json.html#primitive

For formats that write every primitive the same way, XML and YAML. A literal that does not fit its type stays text, so
that validation can say so at its place.
"""

from __future__ import annotations

import re

from apothecary.fhir.json import FhirDecimal

_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def typed(literal: str, type_code: str) -> str | int | bool | FhirDecimal:
    """The JSON value that `literal` writes for the primitive type `type_code`; integer64 is a string in JSON."""
    if type_code == "boolean":
        return literal == "true" if literal in ("true", "false") else literal
    form = _DECIMAL if type_code == "decimal" else _INTEGER if type_code in _INTEGERS else None
    if form is None or form.fullmatch(literal) is None:
        return literal
    # As in `apothecary.fhir.json`: what an int would not keep as it is written is a decimal.
    is_integer = _INTEGER.fullmatch(literal) is not None and literal != "-0" and len(literal) <= 4000
    try:
        return int(literal) if is_integer else FhirDecimal(literal)
    except ValueError:
        return literal  # an exponent beyond all arithmetic
