"""FHIRPath (https://hl7.org/fhirpath/N1/) with what FHIR adds to it (https://hl7.org/fhir/R5/fhirpath.html).

`compile_expression(text)` gives a closure `(focus, environment) -> items`. An expression is parsed once in a
process; running it builds no tree. `evaluate` runs one: whatever goes wrong there, or costs more than the budget of the
environment, is a FhirPathError.
"""

from __future__ import annotations

from apothecary.errors import BudgetSpent, RegularExpressionError
from apothecary.validation.fhirpath.nodes import Compiled, Environment, FhirPathError, Items, Node, item_of, truth

__all__ = ["Compiled", "Environment", "FhirPathError", "Node", "compile_expression", "evaluate", "item_of", "truth"]


def compile_expression(text: str) -> Compiled:
    """`text` as a closure; FhirPathError when it is no FHIRPath or needs what is not offered.

    The engine is imported here: most resources of a small check meet no invariant that needs it.
    """
    from apothecary.validation.fhirpath import parser

    return parser.compile_expression(text)


def evaluate(expression: Compiled, environment: Environment) -> Items:
    """What a compiled expression finds in the context of an environment. Raises FhirPathError."""
    try:
        return expression([environment.context], environment)
    except (BudgetSpent, RegularExpressionError) as error:
        raise FhirPathError(str(error)) from None
    except ArithmeticError:
        raise FhirPathError("the numbers are too large or too small") from None
    except RecursionError:
        raise FhirPathError("the expression is nested too deep") from None
