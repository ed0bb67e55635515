"""`_filter`, the query language of search: https://hl7.org/fhir/R5/search_filter.html

`and` and `or` are evaluated from left to right, without precedence, as the specification says; parentheses make it
explicit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from apothecary.errors import FhirError, NotSupported, TooCostly
from apothecary.fhir.temporal import parse_span
from apothecary.search.chaining import lacking, reference, reverse, targets
from apothecary.search.criteria import Criteria
from apothecary.search.parameter import SearchParameter
from apothecary.search.predicates import (
    And,
    Compare,
    Condition,
    Every,
    Not,
    Or,
    Predicate,
    Resource,
    Row,
    Some,
    any_of,
)
from apothecary.search.text import KEY_LENGTH, something
from apothecary.search.types.base import COMPARATORS

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>[()\[\]])|(?P<word>[^\s()\[\]"]+))')

OPERATORS = (
    *("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb"),
    *("pr", "po", "ss", "sb", "in", "ni", "re"),
)

# Which operators a parameter type takes. `pr` goes with all.
TAKES = {
    "string": frozenset({"eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"}),
    "token": frozenset({"eq", "ne", "co", "sw", "ew", "ss", "sb", "in", "ni"}),
    "date": frozenset({*COMPARATORS, "po"}),
    "number": frozenset(COMPARATORS),
    "quantity": frozenset(COMPARATORS),
    "reference": frozenset({"eq", "ne", "re"}),
    "uri": frozenset({"eq", "ne", "co", "sw", "ew", "ss", "sb"}),
    "composite": frozenset({"eq"}),
}

# Operators that are a modifier of the plain parameter: the value subsumes what the resource says, or is subsumed by it.
_MODIFIERS = {"ss": "below", "sb": "above", "in": "in", "ni": "not-in"}

_INVERSE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class FilterParser:
    """A recursive-descent parser over one filter expression for one resource type."""

    def __init__(self, criteria: Criteria, text: str) -> None:
        self.criteria = criteria
        self.registry = criteria.registry
        self.text = text
        self.tokens: list[str] = []
        position = 0
        stripped = text.strip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise ValueError(f"cannot read {stripped[position:][:20]!r}; texts stand between double quotes")
            self.tokens.append(match.group().strip())
            position = match.end()
        self.position = 0
        self.depth = 0

    def parse(self, resource_type: str) -> Predicate:
        """The predicate of the whole expression. Raises ValueError and BadRequest."""
        found = self._expression(resource_type)
        if self._peek():
            raise ValueError(f"{self._peek()!r} stands after the end of the filter")
        return found

    # -- tokens

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        found = self._peek()
        if not found or (expected is not None and found != expected):
            raise ValueError(f"expected {expected or 'more'}, found {found or 'the end'}")
        self.position += 1
        return found

    # -- grammar

    def _expression(self, resource_type: str) -> Predicate:
        self.depth += 1
        if self.depth > 50:
            raise ValueError("the filter is nested too deeply")
        found = self._unary(resource_type)
        while self._peek() in ("and", "or"):
            operator = self._take()
            following = self._unary(resource_type)
            found = And((found, following)) if operator == "and" else Or((found, following))
        self.depth -= 1
        return found

    def _unary(self, resource_type: str) -> Predicate:
        if self._peek() == "not":
            self._take()
            self._take("(")
            inner = self._expression(resource_type)
            self._take(")")
            return Not(inner)
        if self._peek() == "(":
            self._take()
            inner = self._expression(resource_type)
            self._take(")")
            return inner
        return self._comparison(resource_type)

    def _comparison(self, resource_type: str) -> Predicate:
        return self._path(resource_type, self._take())

    def _path(self, resource_type: str, path: str) -> Predicate:
        """A comparison whose path begins with `path`: a parameter, or a reference and what is asked of its target."""
        self.criteria.follow()
        if not re.fullmatch(r"[A-Za-z_][\w:-]*(\.[A-Za-z_][\w:-]*)*", path):
            raise ValueError(f"{path!r} is not the name of a search parameter")
        if path.startswith("_has:"):
            return self._has(resource_type, path)
        name, dot, rest = path.partition(".")
        if dot:
            return self._follow(resource_type, name, lambda target: self._path(target, rest))
        if self._peek() == "[":
            return self._bracket(resource_type, name)
        operator, value = self._take(), self._take()
        return self._compare(resource_type, name, operator, value)

    def _has(self, resource_type: str, path: str) -> Predicate:
        """`_has:Source:reference:parameter operator value`: what points here meets the comparison."""
        searched = self.criteria.types
        source, parameter, rest = reverse(
            self.registry, resource_type, path, searched if resource_type in searched else ()
        )
        return parameter.led_from(self._path(source, rest))

    def _bracket(self, resource_type: str, name: str) -> Predicate:
        """`reference[filter].path operator value`: the filter and the rest hold for the same target."""
        self._take("[")
        start = self.position

        def both(target: str) -> Predicate:
            self.position = start
            inner = self._expression(target)
            self._take("]")
            rest = self._take()
            if not rest.startswith("."):
                raise ValueError("after ] comes a dot and a parameter of the target")
            return And((inner, self._path(target, rest[1:])))

        return self._follow(resource_type, name, both)

    def _follow(self, resource_type: str, name: str, inner: Callable[[str], Predicate]) -> Predicate:
        """Chain over every type that the reference may point to and that has what is asked."""
        code, colon, modifier = name.partition(":")
        parameter = reference(self.registry, resource_type, code, name)
        if parameter is None:
            raise lacking(self.registry, resource_type, code, "_filter", kinds=("reference",))
        found: list[Predicate] = []
        problem: FhirError | ValueError | None = None
        start, end = self.position, None
        for target in targets(self.registry, parameter, modifier if colon else None):
            self.position = start
            try:
                found.append(parameter.leads_to(target, inner(target)))
                end = self.position
            except TooCostly:
                raise
            except (FhirError, ValueError) as error:
                problem = problem or error
        if end is None:
            raise problem or ValueError(f"{name} points to nothing that this server has")
        self.position = end
        return any_of(found)

    # -- comparisons

    def _compare(self, resource_type: str, name: str, operator: str, value: str) -> Predicate:
        if operator not in OPERATORS:
            raise ValueError(f"{operator!r} is no operator; those are {' '.join(OPERATORS)}")
        text = _unquote(value)
        if ":" in name:
            raise NotSupported(
                f"{name}: a filter has operators in place of modifiers: {' '.join(OPERATORS)}", expression="_filter"
            )
        parameter = self.registry.get(resource_type, name)
        if parameter is None:
            raise lacking(self.registry, resource_type, name, "_filter")
        if operator == "pr":
            missing = {"true": "false", "false": "true"}.get(text, text)
            return self.criteria.of(parameter, "missing", missing)
        takes = TAKES.get(parameter.type, frozenset())
        if operator not in takes:
            raise NotSupported(
                f"{name} is a {parameter.type} parameter and takes {' '.join(sorted(takes))} pr, not {operator}",
                expression="_filter",
            )
        if operator in _MODIFIERS:
            return self.criteria.of(parameter, _MODIFIERS[operator], _escape(text))
        if operator == "po":
            return _overlap(parameter, text)
        if parameter.type in ("date", "number", "quantity"):
            return self.criteria.of(parameter, None, operator + _escape(text))
        if parameter.type == "composite":
            return self.criteria.of(parameter, None, _escape(text, ","))
        if operator in ("eq", "re") and parameter.type != "string":
            return self.criteria.of(parameter, None, _escape(text))
        if operator == "ne" and parameter.type != "string":
            return _unequal(self.criteria.of(parameter, None, _escape(text)))
        if parameter.code in ("_id",):
            raise NotSupported(f"_id takes eq ne pr, not {operator}", expression="_filter")
        if parameter.type == "uri":
            return Row("uri", parameter.index, _known(Compare("value", _TEXT[operator], text)))  # type: ignore[arg-type] # operators all
        found = _text(operator, something(text))
        return Row("string", parameter.index, _known(found) if parameter.type == "string" else found)


# Operators on texts as operators on a column.
_TEXT = {
    "co": "contains",
    "sw": "prefix",
    "ew": "suffix",
    "gt": ">",
    "lt": "<",
    "ge": ">=",
    "le": "<=",
    "eq": "=",
    "ne": "!=",
}


def _text(operator: str, folded: str) -> Condition:
    """A comparison of a text without case, accents and punctuation; beginnings use the indexed column as well."""
    compare = Compare("folded", _TEXT[operator], folded)  # type: ignore[arg-type] # the values of _TEXT are operators
    if operator in ("eq", "sw"):
        return Every((Compare("prefix", "prefix", folded[:KEY_LENGTH]), compare))
    return compare


def _known(condition: Condition) -> Condition:
    """A comparison of texts that stand in the index by their parts, too."""
    if isinstance(condition, Compare) and condition.operator == "contains":
        return replace(condition, operator="part")
    return condition


def _overlap(parameter: SearchParameter, text: str) -> Predicate:
    span = parse_span(text)
    if parameter.code == "_lastUpdated":
        return Resource(Every((Compare("updated", "<", span.high), Compare("updated", ">=", span.low))))
    return Row("date", parameter.index, Every((Compare("low", "<", span.high), Compare("high", ">", span.low))))


def _unequal(predicate: Predicate) -> Predicate:
    """Some value of the parameter is another one: the specification's `ne`, which a set of values can meet besides
    `eq`.
    """
    rows = [predicate] if isinstance(predicate, Row) else list(predicate.of) if isinstance(predicate, Or) else []
    first = rows[0] if rows else None
    if not isinstance(first, Row):
        return Not(predicate)
    others = [_negated(row.where) for row in rows if isinstance(row, Row) and row.where is not None]
    return Row(first.table, first.parameter, Every(tuple(others)))


def _negated(condition: Condition) -> Condition:
    if isinstance(condition, Compare):
        return Compare(condition.column, _INVERSE[condition.operator], condition.value)  # type: ignore[arg-type] # operators all
    # What a reference points to is one of the types that its parameter names: only the id can differ.
    parts = tuple(_negated(one) for one in condition.of if getattr(one, "operator", "") != "in")
    return Some(parts) if isinstance(condition, Every) else Every(parts)


def _unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _escape(text: str, meaningless: str = ",$") -> str:
    """`text` as a parameter's value. Bars keep their meaning; what is `meaningless` stands for itself."""
    for character in "\\" + meaningless:
        text = text.replace(character, "\\" + character)
    return text
