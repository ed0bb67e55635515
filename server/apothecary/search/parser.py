"""A query string, understood: https://hl7.org/fhir/R5/search.html

Nothing is dropped in silence. A parameter that is not known is left out with a warning and out of the self link
(`handling=strict`: 400); a modifier or value that a known parameter cannot take is always 400, because ignoring it
would answer a wider question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apothecary.errors import BadRequest, FhirError, NotEnumerable, NotSupported, TooCostly, UnknownTerminology
from apothecary.search import compartments, control, special
from apothecary.search.chaining import lacking, reference, reverse, targets
from apothecary.search.contained import spread
from apothecary.search.context import Context
from apothecary.search.criteria import Criteria, too_costly
from apothecary.search.handling import Handling
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Predicate, all_of, any_of, clauses, ranks
from apothecary.search.query import BEST_FIRST, Query, Search
from apothecary.search.suggestions import instead
from apothecary.suggestions import or_rather

Pairs = Sequence[tuple[str, str]]

# How deep chains and reverse chains may nest.
DEPTH = 8


def parse(context: Context, pairs: Pairs, compartment: compartments.Compartment | None = None) -> Search:
    """The search that a request asks for, in a compartment or everywhere. `pairs` are the decoded parameters in order,
    without those that concern the format or the page. Raises BadRequest and its children.
    """
    handling = Handling(context.strict)
    criteria = Criteria(context, handling)
    shaping: list[tuple[str, str]] = []
    filters: list[tuple[str, str]] = []
    for pair in pairs:
        (shaping if control.concerns(pair[0]) else filters).append(pair)
    controls = control.parse(shaping, context, handling)
    types, applied = _types(context, handling, [value for name, value in filters if name == "_type"])
    criteria.types = types
    filters, named, expanded = _named(context.registry, types, filters)
    applied += named
    predicates, ran = _wanted(criteria, types, filters)
    applied += [pair for pair in ran if pair not in expanded]
    if compartment is not None:
        inside = {one: compartments.predicate(criteria, compartment, one) for one in predicates}
        predicates = {one: all_of([inside[one], *([found] if found else [])]) for one, found in predicates.items()}
    predicates = spread(predicates, controls.contained, controls.contained_type, context.registry.types)
    if any(sum(1 for _ in clauses(p)) > context.clause_limit for p in predicates.values() if p is not None):
        raise too_costly(context)
    scored = any(map(ranks, predicates.values()))
    inexact = criteria.inexact.asked
    if not scored:
        control.without_scores(controls, handling)
    if scored and inexact and not controls.sort:
        controls.sort = (BEST_FIRST,)
    return Search(
        query=Query(predicates, controls.sort, controls.count, scored=scored and controls.score),
        applied=(*applied, *controls.applied),
        total=controls.total,
        summary=controls.summary,
        elements=controls.elements,
        page_size=controls.count,
        max_results=controls.max_results,
        explain=controls.explain,
        includes=controls.includes,
        warnings=tuple(handling.issues),
        count_only=controls.count_only,
        inexact=inexact,
    )


def _named(
    registry: Registry, types: tuple[str, ...], filters: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], Pairs, frozenset[tuple[str, str]]]:
    """The filters with a named query in place of `_query`, its parameters as the client wrote them, and which of the
    filters it stands for: those run, but the client did not write them.
    """
    names = [value for name, value in filters if name == "_query" and value]
    if not names:
        return [pair for pair in filters if pair[0] != "_query"], (), frozenset()
    if len(names) > 1:
        raise BadRequest("_query stands twice in the request; it may stand once", expression="_query")
    possible = [one for one in registry.queries if set(types) <= one.resource_types]
    query = next((one for one in possible if one.name == names[0]), None)
    if query is None:
        known = ", ".join(sorted(one.name for one in possible))
        raise BadRequest(f"_query={names[0]}: there is no such query here, only {known or 'none'}", expression="_query")
    given = {name: value for name, value in filters if name in query.parameters}
    expanded = query.expand(given)
    rest = [pair for pair in filters if pair[0] != "_query" and pair[0] not in query.parameters]
    return [*rest, *expanded], [("_query", query.name), *given.items()], frozenset(expanded)


def _types(context: Context, handling: Handling, values: list[str]) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """The searched types that `_type` leaves. https://hl7.org/fhir/R5/search.html#_type"""
    if not values:
        return context.types, []
    if len(context.types) == 1:
        handling.unknown("_type", "_type works in a search over all types, at the base", f"_type={values[0]}")
        return context.types, []
    if sum(value.count(",") + 1 for value in values) > max(context.clause_limit, len(context.types)):
        raise too_costly(context)
    kept = set(context.types)
    for value in values:
        names = [name for name in value.split(",") if name]
        if not names:
            raise BadRequest(
                "_type names no resource type",
                expression="_type",
                remedy="Write _type=Medication,MedicationKnowledge.",
            )
        for name in names:
            if not context.registry.serves(name):
                raise BadRequest(
                    f"_type={name}: this server has no resource type {name!r}"
                    + or_rather(name, context.registry.types),
                    expression="_type",
                    remedy="GET [base]/metadata lists the types.",
                )
        kept &= set(names)
    return tuple(one for one in context.types if one in kept), [("_type", value) for value in values]


def _wanted(
    criteria: Criteria, types: tuple[str, ...], filters: Pairs
) -> tuple[dict[str, Predicate | None], list[tuple[str, str]]]:
    """What all filters ask of each type, and those of them that run."""
    wanted: dict[str, list[Predicate]] = {one: [] for one in types}
    ran = []
    for name, value in filters:
        if name == "_type":
            continue
        if name.startswith("_type:"):
            raise NotSupported(f"{name}: _type takes no modifier", expression=name)
        found = _filter(criteria, types, name, value)
        if found is not None:
            ran.append((name, value))
            for resource_type, predicate in found.items():
                wanted[resource_type].append(predicate)
    return {one: all_of(parts) if parts else None for one, parts in wanted.items()}, ran


# -- one filter


def _filter(criteria: Criteria, types: tuple[str, ...], name: str, value: str) -> dict[str, Predicate] | None:
    """What one parameter asks of each type; None where it does not run."""
    if not value:
        return None  # https://hl7.org/fhir/R5/search.html#modifiers: a parameter without a value is no criterion
    found: dict[str, Predicate] = {}
    for resource_type in types:
        try:
            predicate = _predicate(criteria, resource_type, name, value)
        except (TooCostly, UnknownTerminology, NotEnumerable) as error:
            # A link of a chain knows its own part of the name only.
            raise error.with_issues(replace(one, expression=(name,)) for one in error.issues) from None
        except ValueError as error:
            raise BadRequest(f"{name}={value}: {error}", expression=name) from None
        if predicate is None:
            if len(types) == 1 or not found:
                break
            raise BadRequest(
                f"{name} is not a parameter of {resource_type}; a search over several types takes what all have",
                expression=name,
            )
        found[resource_type] = predicate
    else:
        return found
    if found or (len(types) > 1 and any(_known(criteria.registry, one, name) for one in types)):
        raise BadRequest(
            f"{name} is not a parameter of every searched type; {resource_type} has none of that name",
            expression=name,
            remedy="Narrow the search with _type.",
        )
    lack = f"{types[0]} has" if len(types) == 1 else "these types have"
    reason = f"{lack} no search parameter {name.partition(':')[0]!r}"
    criteria.handling.unknown(name, reason, f"{name}={value}", meant=instead(criteria.registry, types, name))
    return None


def _known(registry: Registry, resource_type: str, name: str) -> bool:
    return registry.get(resource_type, name.partition(":")[0].partition(".")[0]) is not None


def _predicate(criteria: Criteria, resource_type: str, name: str, value: str, depth: int = 0) -> Predicate | None:
    """One parameter of one type, chained or not; None where the type has no such parameter. Raises ValueError and
    BadRequest.
    """
    if depth > DEPTH:
        raise TooCostly(f"chains may be {DEPTH} deep at most", expression=name)
    if depth:
        criteria.follow()
    if name == "_has" or name.startswith("_has:"):
        return _has(criteria, resource_type, name, value, depth)
    if name in special.PARAMETERS:
        return special.predicate(criteria, resource_type, name, value)
    link, dot, rest = name.partition(".")
    if dot:
        return _chain(criteria, resource_type, link, rest, value, depth)
    code = name.partition(":")[0]
    if code in special.PARAMETERS or code == "_query":
        raise NotSupported(f"{name}: {code} takes no modifier", expression=name)
    return criteria.predicate(resource_type, name, value)


# -- chains


def _chain(criteria: Criteria, resource_type: str, link: str, rest: str, value: str, depth: int) -> Predicate | None:
    """`subject:Medication.code=...`: https://hl7.org/fhir/R5/search.html#chaining"""
    code, colon, modifier = link.partition(":")
    parameter = reference(criteria.registry, resource_type, code, f"{link}.{rest}")
    if parameter is None:
        return None
    found: list[Predicate] = []
    refused: FhirError | ValueError | None = None
    possible = targets(criteria.registry, parameter, modifier if colon else None)
    for target in possible:
        try:
            inner = _predicate(criteria, target, rest, value, depth + 1)
        except TooCostly:
            raise
        except (FhirError, ValueError) as error:
            refused = error
            continue
        if inner is not None:
            found.append(parameter.leads_to(target, inner))
    if found:
        return any_of(found)
    if refused is not None:
        raise refused
    # What was meant is looked for once, and in some of the types: a chain may end here for each of very many.
    few = () if depth else possible[:20]
    raise BadRequest(
        f"{link}.{rest}: none of the types that {code} points to has a parameter {rest.partition('.')[0]!r}",
        expression=f"{link}.{rest}",
        remedy=next(filter(None, (instead(criteria.registry, (one,), rest) for one in few)), None),
    )


def _has(criteria: Criteria, resource_type: str, name: str, value: str, depth: int) -> Predicate:
    """`_has:Source:reference:parameter=...`: https://hl7.org/fhir/R5/search.html#has"""
    searched = criteria.types if resource_type in criteria.types else ()
    source, parameter, rest = reverse(criteria.registry, resource_type, name, searched)
    inner = _predicate(criteria, source, rest, value, depth + 1)
    if inner is None:
        raise lacking(criteria.registry, source, rest, name, place=f"{name}: ")
    return parameter.led_from(inner)
