"""Parameters that shape the answer, not the match: https://hl7.org/fhir/R5/search.html#modifyingresults"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from apothecary.errors import BadRequest, Issue, NotSupported
from apothecary.search.contained import Returned, Which
from apothecary.search.query import Include, Sort
from apothecary.search.suggestions import instead, unknown_elements
from apothecary.suggestions import did_you_mean

if TYPE_CHECKING:
    from apothecary.search.parser import Parser

NAMES = frozenset(
    {
        "_count",
        "_sort",
        "_total",
        "_summary",
        "_elements",
        "_score",
        "_maxresults",
        "_explain",
        "_contained",
        "_containedType",
        "_include",
        "_revinclude",
        "_include:iterate",
        "_revinclude:iterate",
        "_include:recurse",
        "_revinclude:recurse",
    }
)
_BASE_NAMES = frozenset(name.partition(":")[0] for name in NAMES)
SUMMARIES = ("true", "text", "data", "count", "false")
TOTALS = ("none", "estimate", "accurate")

# What a parameter of each type is sorted by: the table of the index and the columns for the smallest and the largest
# value.
SORT_COLUMNS = {
    "token": ("token", "code", "code"),
    "string": ("string", "prefix", "prefix"),
    "date": ("date", "low", "high"),
    "number": ("quantity", "low", "high"),
    "quantity": ("quantity", "low", "high"),
    "reference": ("reference", "target_id", "target_id"),
    "uri": ("uri", "prefix", "prefix"),
}


@dataclass(slots=True)
class Controls:
    """The understood control parameters, with what of them really ran."""

    count: int
    sort: tuple[Sort, ...] = ()
    total: Literal["none", "accurate"] = "none"
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
    return name in NAMES or name.partition(":")[0] in _BASE_NAMES


def parse(pairs: Sequence[tuple[str, str]], parser: Parser) -> Controls:
    """Raises BadRequest for a value that breaks a rule; reports through `parser.unknown` what this server does not
    know.
    """
    controls = Controls(parser.page_size)
    seen: set[str] = set()
    for name, value in pairs:
        if name not in NAMES:
            takes = ":iterate" if "clude" in name else "no modifier"
            raise NotSupported(f"{name}: {name.partition(':')[0]} takes {takes}", expression=name)
        if not value:
            continue
        if "clude" not in name:
            if name in seen:
                raise BadRequest(f"{name} stands twice in the request; it may stand once", expression=name)
            seen.add(name)
        _one(controls, name, value, parser)
    if controls.elements:
        _check_elements(controls, parser)
    if controls.elements and controls.summary in ("true", "text", "data"):
        raise BadRequest(
            "_elements and _summary ask for two different parts of a resource; use one of them", expression="_elements"
        )
    if ("_containedType", controls.contained_type) in controls.applied and controls.contained == "false":
        parser.unknown(
            "_containedType",
            "_containedType means nothing without _contained=true or _contained=both",
            f"_containedType={controls.contained_type}",
            wider=False,
        )
        controls.applied.remove(("_containedType", controls.contained_type))
    return controls


def _check_elements(controls: Controls, parser: Parser) -> None:
    """Take back the names that are no element of what the search can find."""
    # With _contained, what is shown may be a container of any type.
    types = parser.types if controls.contained == "false" else parser.registry.types
    unknown = unknown_elements(parser.registry.version, types, controls.elements)
    kind = types[0] if len(types) == 1 else "what is searched"
    for name, meant in unknown.items():
        reason = f"{kind} has no element {name!r}"
        parser.unknown("_elements", reason, f"_elements={name}", wider=False, meant=meant or "Name top-level elements.")
    if unknown:
        controls.elements = tuple(one for one in controls.elements if one not in unknown)
        kept = [("_elements", ",".join(controls.elements))] if controls.elements else []
        controls.applied = [pair for pair in controls.applied if pair[0] != "_elements"] + kept


def without_scores(controls: Controls, parser: Parser) -> None:
    """Take back what was asked about scores, where a search does not rank its matches."""
    reason = "a search without full text has no scores"
    if any(one.column == "score" for one in controls.sort):
        parser.unknown("_sort", reason, "_sort=_score", wider=False)
        controls.sort = tuple(one for one in controls.sort if one.column != "score")
        kept = ",".join(("-" if one.descending else "") + one.parameter for one in controls.sort)
        controls.applied = [(name, kept if name == "_sort" else value) for name, value in controls.applied]
    if ("_score", "true") in controls.applied:
        parser.unknown("_score", reason, "_score=true", wider=False)
        controls.applied.remove(("_score", "true"))
    controls.applied = [(name, value) for name, value in controls.applied if value]


def _one(controls: Controls, name: str, value: str, parser: Parser) -> None:
    applied = value
    match name:
        case "_count":
            number = whole_number(name, value)
            controls.count = min(number, parser.page_size_limit)
            controls.count_only = controls.count_only or number == 0
            if number > parser.page_size_limit:
                applied = str(parser.page_size_limit)
                parser.warnings.append(
                    Issue(
                        "information",
                        "informational",
                        f"_count={value} is more than a page may hold; pages have {applied} matches",
                        ("_count",),
                    )
                )
        case "_sort":
            keys = [key for one in value.split(",") if one and (key := _sort(one, parser))]
            if not keys:
                return
            controls.sort = tuple(key for key, _ in keys)
            applied = ",".join(text for _, text in keys)
        case "_total":
            _choice(name, value, TOTALS)
            controls.total = "none" if value == "none" else "accurate"
        case "_summary":
            _choice(name, value, SUMMARIES)
            controls.summary = value
            controls.count_only = controls.count_only or value == "count"
        case "_maxresults":
            controls.max_results = whole_number(name, value)
            if controls.max_results == 0:
                raise BadRequest("_maxresults=0: write a number from 1", expression=name)
        case "_explain":
            _choice(name, value, ("true", "false"))
            controls.explain = value == "true"
        case "_contained":
            controls.contained = _choice(name, value, get_args(Which))
        case "_containedType":
            controls.contained_type = _choice(name, value, get_args(Returned))
        case "_elements":
            controls.elements = tuple(one.strip() for one in value.split(",") if one.strip())
        case "_score":
            _choice(name, value, ("true", "false"))
            controls.score = value == "true"
        case _:
            include = _include(name, value, parser)
            if include is None:
                return
            controls.includes = (*controls.includes, include)
    controls.applied.append((name, applied))


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


def _sort(text: str, parser: Parser) -> tuple[Sort, str] | None:
    """One key of `_sort`: https://hl7.org/fhir/R5/search.html#sort"""
    descending = text.startswith("-")
    code = text.removeprefix("-")
    if code == "_lastUpdated":
        return Sort(code, None, "updated", descending), text
    if code == "_id":
        return Sort(code, None, "id", descending), text
    if code == "_score":
        return Sort(code, None, "score", descending), text
    parameter = next((found for one in parser.types if (found := parser.registry.get(one, code))), None)
    if parameter is None or parameter.type not in SORT_COLUMNS:
        reason = f"{'/'.join(parser.types[:3])} cannot be sorted by {code!r}"
        meant = instead(parser.registry, parser.types[:1], code, SORT_COLUMNS)
        parser.unknown("_sort", reason, f"_sort={text}", wider=False, meant=meant)
        return None
    table, smallest, largest = SORT_COLUMNS[parameter.type]
    return Sort(parameter.index, table, largest if descending else smallest, descending), text


def _include(name: str, value: str, parser: Parser) -> Include | None:
    """`Source:parameter` or `Source:parameter:Target`: https://hl7.org/fhir/R5/search.html#include"""
    base, _, modifier = name.partition(":")
    parts = value.split(":")
    shown = f"{name}={value}"
    if value == "*" and base == "_include":
        return Include("*", None, None, False, bool(modifier), None)
    if len(parts) not in (2, 3) or not all(parts):
        raise BadRequest(f"{shown}: write {base}=Type:parameter or {base}=Type:parameter:TargetType", expression=name)
    source, code, *rest = parts
    target = rest[0] if rest else None
    for kind in (source, *rest):
        if not parser.registry.serves(kind):
            meant = did_you_mean(kind, parser.registry.types)
            parser.unknown(name, f"this server has no resource type {kind!r}", shown, wider=False, meant=meant)
            return None
    if code == "*":
        by_url = tuple(one.index for one in parser.registry.parameters(source).values() if one.by_url)
        return Include(source, None, target, base == "_revinclude", bool(modifier), by_url)
    parameter = parser.registry.get(source, code)
    if parameter is None or parameter.type != "reference":
        meant = instead(parser.registry, (source,), code, ("reference",))
        parser.unknown(name, f"{source} has no reference parameter {code!r}", shown, wider=False, meant=meant)
        return None
    return Include(
        source,
        parameter.index,
        target,
        base == "_revinclude",
        bool(modifier),
        (parameter.index,) if parameter.by_url else (),
    )
