"""What one search parameter asks of a resource, by its modifier and its values.

https://hl7.org/fhir/R5/search.html#combining: values between commas are alternatives.
"""

from __future__ import annotations

from functools import partial

from apothecary.errors import NotSupported, TooCostly
from apothecary.fhir.references import is_id
from apothecary.fhir.temporal import is_cut, parse_span
from apothecary.search.chaining import names_type
from apothecary.search.context import Context
from apothecary.search.handling import Handling
from apothecary.search.inexact import Inexact
from apothecary.search.parameter import COLUMNS, SearchParameter
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Compare, Not, Predicate, Resource, any_of
from apothecary.search.text import split, unescape
from apothecary.search.types import date
from apothecary.search.types.base import Request, split_prefix

# Types that may be looked at for each clause that is allowed: most of those that a reference may point to lack what a
# chain asks for.
_LINKS = 5

NO_VALUE = "there is no value between the commas"

# Modifiers that find what is not found otherwise; resources without any value are among that.
_NEGATIONS = frozenset({"not", "not-in"})


class Criteria:
    """Makes the predicates of one request, and counts how much they ask."""

    def __init__(self, context: Context, handling: Handling) -> None:
        self.context = context
        self.handling = handling
        self.types = context.types
        """The types that are searched: those that `_type` leaves."""
        self.inexact = Inexact(context.vocabulary, handling)
        self._values = 0
        self._links = 0

    @property
    def registry(self) -> Registry:
        return self.context.registry

    def _count(self, number: int) -> None:
        """Count values before anything is made of them: a chain over references to anything multiplies them."""
        self._values += number
        if self._values > self.context.clause_limit * len(self.context.types):
            raise too_costly(self.context)

    def follow(self) -> None:
        """Count that one more link of a chain is looked at in one more type. Raises TooCostly where it is too many: a
        chain over references to anything multiplies with each link, also where it leads nowhere and asks nothing.
        """
        self._links += 1
        if self._links > _LINKS * self.context.clause_limit * len(self.context.types):
            raise too_costly(self.context)

    def predicate(self, resource_type: str, name: str, value: str) -> Predicate | None:
        """One parameter of a type, by its code and modifier; None where the type has no such parameter. Raises
        ValueError and BadRequest.
        """
        code, colon, modifier = name.partition(":")
        parameter = self.registry.get(resource_type, code)
        return None if parameter is None else self.of(parameter, modifier if colon else None, value)

    def of(self, parameter: SearchParameter, modifier: str | None, value: str) -> Predicate:
        """What the values of one parameter ask. Raises ValueError and BadRequest."""
        if modifier is not None and modifier not in parameter.modifiers and not names_type(parameter, modifier):
            raise _no_modifier(parameter, modifier)
        if modifier == "missing":
            self._count(1)
            return _missing(parameter, value)
        request = Request(
            self.context.bases,
            self.context.now,
            parameter.targets,
            self.registry.served,
            frozenset() if parameter.code in COLUMNS else parameter.path.types,
            self.registry.systems,
            self.context.terminology,
            partial(self.handling.fruitless, f"{parameter.code}:{modifier}" if modifier else parameter.code),
            partial(self.inexact.similar, parameter) if parameter.by_word else None,
            self.registry.basics,
        )
        inner = None if modifier == "not" else modifier
        texts = [text for text in split(value, ",") if text]
        if not texts:
            raise ValueError(NO_VALUE)
        self._count(len(texts))
        found = [_one(parameter, inner, text, request) for text in texts]
        return Not(any_of(found)) if modifier in _NEGATIONS else any_of(found)


def too_costly(context: Context) -> TooCostly:
    """What a search is answered with that asks for more than the server allows."""
    return TooCostly(
        f"the search has more than {context.clause_limit} clauses (APOTHECARY_SEARCH_CLAUSE_LIMIT)",
        remedy="Ask for fewer values at once; in a chain, name the target type: subject:Medication.code=...",
    )


def _no_modifier(parameter: SearchParameter, modifier: str) -> NotSupported:
    code = parameter.code
    allowed = [f":{one}" for one in sorted(parameter.modifiers)]
    allowed += [":[type]"] if parameter.type == "reference" else []
    return NotSupported(
        f"{code}:{modifier}: {code} is a {parameter.type} parameter and takes {', '.join(allowed)}",
        expression=f"{code}:{modifier}",
    )


def _one(parameter: SearchParameter, modifier: str | None, text: str, request: Request) -> Predicate:
    if parameter.code == "_id":
        if "|" in text or not is_id(unescape(text)):
            raise ValueError(f"{text!r} is not an id: letters, digits, - and . only, at most 64")
        return Resource(Compare("id", "=", text))
    if parameter.code == "_lastUpdated":
        comparator, literal = split_prefix(unescape(text), "date")
        literal = literal.replace(" ", "+")
        span, cut = parse_span(literal), is_cut(literal)
        # The column holds the first microsecond of the millisecond that lastUpdated names.
        return Resource(date.condition(comparator, span, request.now, "updated", "updated", 1000, cut))
    return parameter.predicate(modifier, text, request)


def _missing(parameter: SearchParameter, value: str) -> Predicate:
    if value not in ("true", "false"):
        raise ValueError(":missing takes true or false")
    if parameter.code in ("_id", "_lastUpdated"):
        present: Predicate = Resource(Compare("id", ">", ""))
    else:
        present = parameter.present
    return Not(present) if value == "true" else present
