"""Date parameters: https://hl7.org/fhir/R5/search.html#date

Both the value searched for and the value in the resource are spans of time; the prefixes compare spans, so `2026`
contains `2026-05`
while `2026-05-11` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apothecary.fhir.temporal import BEGINNING, END, Span, is_cut, parse_span
from apothecary.search.predicates import Compare, Condition, Every, Predicate, Row, Some
from apothecary.search.rows import DateRow, IndexRow
from apothecary.search.text import unescape
from apothecary.search.types.base import COMPARATORS, Request, Value, split_prefix

NAME = "date"
TABLES = ("date",)
MODIFIERS = frozenset({"missing"})
PREFIXES = frozenset(COMPARATORS)
ELEMENTS = frozenset({"date", "dateTime", "instant", "Period", "Timing"})


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """One row with the span of a date or a Period; for a Timing the span from its first to its last known moment."""
    span = _span(value.type, value.json)
    if span is not None:
        yield DateRow(parameter, span.low, span.high, value.element)


def _span(kind: str, json: object) -> Span | None:
    if isinstance(json, str):
        return parse_span(json)
    if not isinstance(json, dict):
        return None
    if kind == "Period":
        start, end = json.get("start"), json.get("end")
        if start is None and end is None:
            return None
        return Span(parse_span(start).low if start else BEGINNING, parse_span(end).high if end else END)
    spans = [parse_span(event) for event in json.get("event", ()) if event is not None]
    bounds = _span("Period", json.get("repeat", {}).get("boundsPeriod"))
    spans += [bounds] if bounds else []
    return Span(min(s.low for s in spans), max(s.high for s in spans)) if spans else None


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """A prefix and a date of any precision. Raises ValueError where it is no date."""
    comparator, literal = split_prefix(unescape(text), "date")
    # A plus sign that a client forgot to percent-encode arrives as a space.
    literal = literal.replace(" ", "+")
    where = condition(comparator, parse_span(literal), request.now, cut=is_cut(literal))
    return Row("date", parameter, where)


def condition(
    comparator: str,
    span: Span,
    now: Callable[[], int],
    low: str = "low",
    high: str = "high",
    width: int = 0,
    cut: bool = False,
) -> Condition:
    """The comparison of `span` with the span [low, high) of a row; `width` is subtracted where one column stands for
    both ends. The index holds microseconds: a date that was `cut` to one is compared so that nothing is missed.
    """
    start, end = span
    contained = Every((Compare(low, ">=", start), Compare(high, "<=", end - width)))
    above = Compare(high, ">", (start if cut else end) - width)
    below = Compare(low, "<", end if cut else start)
    match comparator:
        case "eq":
            return contained
        case "ne":
            return Some((below, above))
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return Some((above, contained))
        case "le":
            return Some((below, contained))
        case "sa":
            return Compare(low, ">=", end)
        case "eb":
            return Compare(high, "<=", start - width)
    # ap: the specification recommends a tenth of the distance between the date and now.
    margin = abs(now() - start) // 10
    return Every((Compare(low, "<", end + margin), Compare(high, ">", start - margin - width)))
