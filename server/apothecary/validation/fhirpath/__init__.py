"""FHIRPath as the invariants of the specification need it (https://hl7.org/fhirpath and
https://hl7.org/fhir/R5/fhirpath.html).

`compile_expression(text)` gives a closure `(focus, environment) -> items`. An expression is parsed once in a
process; running it builds no tree. Functions that no invariant uses are left out, and an expression that names one
is refused when it is compiled.
"""

from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Node, item_of
from apothecary.validation.fhirpath.parser import Compiled, compile_expression

__all__ = ["Compiled", "Environment", "FhirPathError", "Node", "compile_expression", "item_of"]
