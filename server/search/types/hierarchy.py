"""`:in`, `:not-in`, `:above` and `:below` on tokens: https://hl7.org/fhir/R5/search.html#modifiers

The first two take a value set, the other two a code with its system. What a code subsumes is said by the code system, or by
the way its codes are written (an NDC of a package holds that of its product).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from server.errors import NotEnumerable, NotSupported, UnknownTerminology
from server.search.normalisation import NOTATIONS
from server.search.predicates import Compare, Every, Nothing, Predicate, Row, any_of
from server.search.terminology import Terminology
from server.search.text import key, split, unescape
from server.search.types.base import Request

Codes = Mapping[str, tuple[str, ...]]


def predicate(parameter: str, modifier: str, text: str, request: Request) -> Predicate:
    """Raises ValueError for a value that names no value set or code, UnknownTerminology and NotEnumerable."""
    if modifier in ("in", "not-in"):
        value_set = unescape(text)
        return _any_code(parameter, _ask(parameter, modifier, request, lambda held: held.members(value_set)))
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"{text!r}: :{modifier} needs system|code, for a code alone does not say where it stands")
    system, code = parts
    notation = NOTATIONS.get(system)
    if notation is not None:
        where = notation.below(code) if modifier == "below" else notation.above(code)
        if not where:
            raise ValueError(f"{code!r} is not written as a code of {system}")
        return any_of([Row("token", parameter, of_system(system, one)) for one in where])
    return _any_code(
        parameter,
        _ask(
            parameter,
            modifier,
            request,
            lambda held: held.below(system, code) if modifier == "below" else held.above(system, code),
        ),
    )


def of_system(system: str, code: Compare) -> Every:
    """A condition on the code, and that it is of `system`."""
    return Every((code, Compare("system", "=", key(system))))


def _any_code(parameter: str, codes: Codes) -> Predicate:
    """One list a system: the statement is the same for lists of any length."""
    rows = [Row("token", parameter, of_system(system, Compare("code", "in", found))) for system, found in codes.items()]
    return any_of([*rows]) if rows else Nothing()


def _ask(parameter: str, modifier: str, request: Request, question: Callable[[Terminology], Codes]) -> Codes:
    name = f"{parameter}:{modifier}"
    if request.terminology is None:
        raise NotSupported(f"{name}: there are no value sets and code systems to look into here", expression=name)
    try:
        return question(request.terminology)
    except (UnknownTerminology, NotEnumerable) as error:
        raise type(error)(f"{name}: {error}", expression=name, remedy=error.issues[0].remedy) from None
