"""Parameters that shape the answer, not the match: https://hl7.org/fhir/R5/search.html#modifyingresults"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast, get_args

from apothecary.errors import BadRequest, Issue, NotSupported
from apothecary.search.contained import Returned, Which
from apothecary.search.context import Context
from apothecary.search.criteria import too_costly
from apothecary.search.handling import Handling
from apothecary.search.query import Include, Sort, Total
from apothecary.search.suggestions import instead, unknown_elements
from apothecary.suggestions import did_you_mean

SUMMARIES = ("true", "text", "data", "count", "false")
TOTALS = ("none", "estimate", "accurate")
BOOLEANS = ("true", "false")

_INCLUDES = ("_include", "_revinclude")

# What a parameter of each type is sorted by: the table of the index and the columns for the smallest and the largest
# value.
SORT_COLUMNS = {
    "token": ("token", "code", "code"),
    "string": ("string", "prefix", "prefix"),
    "date": ("date", "low", "high"),
    # No index has them by their high ends.
    "number": ("quantity", "low", "low"),
    "quantity": ("quantity", "low", "low"),
    "reference": ("reference", "target_id", "target_id"),
    "uri": ("uri", "prefix", "prefix"),
}


@dataclass(slots=True)
class Controls:
    """The understood control parameters, with what of them really ran."""

    count: int
    sort: tuple[Sort, ...] = ()
    total: Total = "unasked"
    summary: str = "false"
    elements: tuple[str, ...] = ()
    score: bool = True
    max_results: int | None = None
    explain: bool = False
    includes: tuple[Include, ...] = ()
    count_only: bool = False
    contained: Which = "false"
    contained_type: Returned = "container"
    applied: list[tuple[str, str]] = field(default_factory=list)


def concerns(name: str) -> bool:
    """Whether `name` is a control parameter, with or without a modifier."""
    return name.partition(":")[0] in _BASE_NAMES


def parse(pairs: Sequence[tuple[str, str]], context: Context, handling: Handling) -> Controls:
    """Raises BadRequest for a value that breaks a rule; reports to `handling` what this server does not know."""
    # What shapes an answer costs, too: each key to sort by, each include, each name of an element.
    if sum(value.count(",") + 1 for _, value in pairs) > context.clause_limit:
        raise too_costly(context)
    controls = Controls(context.page_size)
    seen: set[str] = set()
    for name, value in pairs:
        base = name.partition(":")[0]
        if name not in NAMES:
            takes = ":iterate" if base in _INCLUDES else "no modifier"
            raise NotSupported(f"{name}: {base} takes {takes}", expression=name)
        if not value:
            continue
        if base not in _INCLUDES:
            if name in seen:
                raise BadRequest(f"{name} stands twice in the request; it may stand once", expression=name)
            seen.add(name)
        applied = _READERS[name](controls, value, context, handling)
        if applied is not None:
            controls.applied.append((name, applied))
    if controls.elements:
        _check_elements(controls, context, handling)
    if controls.elements and controls.summary in ("true", "text", "data"):
        raise BadRequest(
            "_elements and _summary ask for two different parts of a resource; use one of them", expression="_elements"
        )
    if ("_containedType", controls.contained_type) in controls.applied and controls.contained == "false":
        handling.unknown(
            "_containedType",
            "_containedType has no effect without _contained=true or _contained=both",
            f"_containedType={controls.contained_type}",
            wider=False,
        )
        controls.applied.remove(("_containedType", controls.contained_type))
    return controls


def _check_elements(controls: Controls, context: Context, handling: Handling) -> None:
    """Take back the names that are no element of what the search can find."""
    # With _contained, what is shown may be a container of any type.
    types = context.types if controls.contained == "false" else context.registry.types
    unknown = unknown_elements(context.registry.version, types, controls.elements)
    kind = types[0] if len(types) == 1 else "what is searched"
    for name, meant in unknown.items():
        reason = f"{kind} has no element {name!r}"
        meant = meant or "Name top-level elements."
        handling.unknown("_elements", reason, f"_elements={name}", wider=False, meant=meant)
    if unknown:
        controls.elements = tuple(one for one in controls.elements if one not in unknown)
        kept = [("_elements", ",".join(controls.elements))] if controls.elements else []
        controls.applied = [pair for pair in controls.applied if pair[0] != "_elements"] + kept


def without_scores(controls: Controls, handling: Handling) -> None:
    """Take back what was asked about scores, where a search does not rank its matches."""
    reason = "a search without full text has no scores"
    if any(one.column == "score" for one in controls.sort):
        handling.unknown("_sort", reason, "_sort=_score", wider=False)
        controls.sort = tuple(one for one in controls.sort if one.column != "score")
        controls.applied = [
            (
                name,
                ",".join(one for one in value.split(",") if one.lstrip("-") != "_score") if name == "_sort" else value,
            )
            for name, value in controls.applied
        ]
    if ("_score", "true") in controls.applied:
        handling.unknown("_score", reason, "_score=true", wider=False)
        controls.applied.remove(("_score", "true"))
    controls.applied = [(name, value) for name, value in controls.applied if value]


def whole_number(name: str, value: str) -> int:
    """The number that a parameter such as `_count` gives. Raises BadRequest for anything but up to nine digits."""
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise BadRequest(f"{name}={value}: write a whole number from 0", expression=name)
    return int(value)


def _choice(name: str, value: str, allowed: Sequence[str]) -> Any:
    """`value`, which must be one of some words."""
    if value not in allowed:
        raise BadRequest(f"{name}={value}: write one of {', '.join(allowed)}", expression=name)
    return value


# -- one parameter: each notes what it asks, and gives what of its value runs; None for nothing


def _count(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    number = whole_number("_count", value)
    controls.count = min(number, context.page_size_limit)
    controls.count_only = controls.count_only or number == 0
    if number <= context.page_size_limit:
        return value
    applied = str(context.page_size_limit)
    more = f"_count={value} is more than a page may hold; pages have {applied} matches"
    handling.tell(Issue("information", "informational", more, ("_count",)))
    return applied


def _sort(controls: Controls, value: str, context: Context, handling: Handling) -> str | None:
    """https://hl7.org/fhir/R5/search.html#sort"""
    keys = [(key, one) for one in value.split(",") if one and (key := _sort_key(one, context, handling))]
    if not keys:
        return None
    controls.sort = tuple(key for key, _ in keys)
    return ",".join(one for _, one in keys)


def _total(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    """https://hl7.org/fhir/R5/search.html#total"""
    controls.total = cast("Total", _choice("_total", value, TOTALS))
    return value


def _summary(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.summary = _choice("_summary", value, SUMMARIES)
    controls.count_only = controls.count_only or value == "count"
    return value


def _elements(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.elements = tuple(one.strip() for one in value.split(",") if one.strip())
    return value


def _score(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.score = _choice("_score", value, BOOLEANS) == "true"
    return value


def _max_results(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.max_results = whole_number("_maxresults", value)
    if controls.max_results == 0:
        raise BadRequest("_maxresults=0: write a number from 1", expression="_maxresults")
    return value


def _explain(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.explain = _choice("_explain", value, BOOLEANS) == "true"
    return value


def _contained(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.contained = _choice("_contained", value, get_args(Which))
    return value


def _contained_type(controls: Controls, value: str, context: Context, handling: Handling) -> str:
    controls.contained_type = _choice("_containedType", value, get_args(Returned))
    return value


def _included(name: str, controls: Controls, value: str, context: Context, handling: Handling) -> str | None:
    include = _include(name, value, context, handling)
    if include is None:
        return None
    if include not in controls.includes:
        controls.includes = (*controls.includes, include)
    return value


def _sort_key(text: str, context: Context, handling: Handling) -> Sort | None:
    """One key of `_sort`; None for one that cannot be."""
    descending = text.startswith("-")
    code = text.removeprefix("-")
    if code == "_lastUpdated":
        return Sort(code, None, "updated", descending)
    if code == "_id":
        return Sort(code, None, "id", descending)
    if code == "_score":
        return Sort(code, None, "score", descending)
    having = {kind: found for kind in context.types if (found := context.registry.get(kind, code))}
    parameter = next(iter(having.values()), None)
    if parameter is None or parameter.type not in SORT_COLUMNS:
        reason = f"{'/'.join(context.types[:3])} cannot be sorted by {code!r}"
        meant = instead(context.registry, context.types[:1], code, SORT_COLUMNS)
        handling.unknown("_sort", reason, f"_sort={text}", wider=False, meant=meant)
        return None
    table, smallest, largest = SORT_COLUMNS[parameter.type]
    otherwise = tuple((kind, found.index) for kind, found in having.items() if found.index != parameter.index)
    return Sort(parameter.index, table, largest if descending else smallest, descending, otherwise)


def _include(name: str, value: str, context: Context, handling: Handling) -> Include | None:
    """`Source:parameter` or `Source:parameter:Target`; `*` for all references of all types, as `*:*` is.
    https://hl7.org/fhir/R5/search.html#include
    """
    base, _, modifier = name.partition(":")
    parts = ["*", "*"] if value == "*" else value.split(":")
    shown = f"{name}={value}"
    if len(parts) not in (2, 3) or not all(parts):
        raise BadRequest(f"{shown}: write {base}=Type:parameter or {base}=Type:parameter:TargetType", expression=name)
    source, code, *rest = parts
    target = rest[0] if rest else None
    registry = context.registry
    everything = (source, code) == ("*", "*")
    for kind in rest if everything else (source, *rest):
        if not registry.serves(kind):
            # A type that only this release lacks: what would be added is counted, and said to be left out.
            if registry.newest.serves(kind) and (base == "_revinclude" or kind != source):
                registry = registry.newest
                continue
            meant = did_you_mean(kind, context.registry.types)
            handling.unknown(name, f"this server has no resource type {kind!r}", shown, wider=False, meant=meant)
            return None
    if everything:
        return Include("*", None, target, base == "_revinclude", bool(modifier), None)
    if code == "*":
        by_url = tuple(one.index for one in registry.parameters(source).values() if one.by_url)
        return Include(source, None, target, base == "_revinclude", bool(modifier), by_url)
    parameter = registry.get(source, code)
    if parameter is None or parameter.type != "reference":
        meant = instead(registry, (source,), code, ("reference",))
        handling.unknown(name, f"{source} has no reference parameter {code!r}", shown, wider=False, meant=meant)
        return None
    return Include(
        source,
        parameter.index,
        target,
        base == "_revinclude",
        bool(modifier),
        (parameter.index,) if parameter.by_url else (),
    )


_READERS: Mapping[str, Callable[[Controls, str, Context, Handling], str | None]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_score": _score,
    "_maxresults": _max_results,
    "_explain": _explain,
    "_contained": _contained,
    "_containedType": _contained_type,
    # `:recurse` is what `:iterate` was called before R4.
    **{
        f"{name}{modifier}": partial(_included, f"{name}{modifier}")
        for name in _INCLUDES
        for modifier in ("", ":iterate", ":recurse")
    },
}
NAMES = frozenset(_READERS)
_BASE_NAMES = frozenset(name.partition(":")[0] for name in NAMES)
