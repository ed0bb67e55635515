"""What a function of FHIRPath is to the parser, and the shapes that most of them have
(https://hl7.org/fhirpath/N1/#functions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from apothecary.validation.fhirpath.nodes import Compiled, Environment, FhirPathError, Items
from apothecary.validation.fhirpath.values import TEXT_IN_A_STEP, single

__all__ = ["Call", "Compiled", "Offered", "of_items", "of_text", "of_value", "wrapped"]

# (the input, the context, the environment) -> the collection
Call = Callable[[Items, Items, Environment], Items]


class Offered(NamedTuple):
    """A function: `make` takes the compiled arguments, `least` to `most` of them, and gives the call.

    One that is `free` looks at no more than one item when it has no argument: nothing is paid for it.
    """

    make: Callable[..., Call]
    least: int = 0
    most: int = 0
    free: bool = False


def wrapped(found: Any) -> Items:
    """None is the empty collection, a list the collection itself."""
    return found if isinstance(found, list) else [] if found is None else [found]


def of_items(function: Callable[[Items], Any], *, free: bool = False) -> Offered:
    """A function of its input alone."""
    return Offered(lambda: lambda items, this, env: wrapped(function(items)), free=free)


def of_value(function: Callable[..., Any], least: int = 0, most: int | None = None) -> Offered:
    """A function of one value and the values of its arguments; empty when any of them is."""
    return _of(function, least, most, None)


def of_text(function: Callable[..., Any], least: int = 0, most: int | None = None) -> Offered:
    """The same on a text, whose length is paid for."""
    return _of(function, least, most, str)


def _of(function: Callable[..., Any], least: int, most: int | None, kind: type | None) -> Offered:
    def make(*arguments: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            values = [single(items), *(single(argument(this, env)) for argument in arguments)]
            if any(value is None for value in values):
                if len(items) == 1 and values[0] is None:
                    raise FhirPathError("an element without a value is no input")
                return []
            if kind is str:
                if not isinstance(values[0], str):
                    raise FhirPathError("a text is needed")
                env.budget.spend(sum(len(value) for value in values if isinstance(value, str)) // TEXT_IN_A_STEP)
            try:
                return wrapped(function(*values))
            except TypeError:
                raise FhirPathError("an argument has the wrong type") from None

        return call

    return Offered(make, least, least if most is None else most)
