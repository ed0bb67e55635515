"""A query string, understood: https://hl7.org/fhir/R5/search.html

Nothing is dropped in silence. A parameter that is not known is left out with a warning and out of the self link
(`handling=strict`: 400);
a modifier or value that a known parameter cannot take is always 400, because ignoring it would answer a wider question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from apothecary.errors import BadRequest, FhirError, Issue, NotEnumerable, NotSupported, TooCostly, UnknownTerminology
from apothecary.fhir.references import is_id
from apothecary.fhir.temporal import parse_span
from apothecary.search import control, inexact, special
from apothecary.search.contained import spread
from apothecary.search.parameter import COLUMNS, SearchParameter
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Compare, Not, Or, Predicate, Resource, all_of, any_of, clauses, ranks
from apothecary.search.query import BEST_FIRST, Cursor, Query, Search
from apothecary.search.suggestions import instead
from apothecary.search.terminology import Terminology
from apothecary.search.text import split, unescape
from apothecary.search.types import date
from apothecary.search.types.base import Request, split_prefix
from apothecary.suggestions import or_rather

Pairs = Sequence[tuple[str, str]]

# How deep chains and reverse chains may nest.
DEPTH = 8

# Modifiers that find what is not found otherwise; resources without any value are among that.
_NEGATIONS = frozenset({"not", "not-in"})


@dataclass(slots=True)
class Parser:
    """Turns the parameters of one request into a `Search`."""

    registry: Registry
    types: tuple[str, ...]
    """The types to search: one for a type search, all served ones for a search over the system, in order."""
    bases: tuple[str, ...]
    now: int
    strict: bool = False
    page_size: int = 20
    page_size_limit: int = 1000
    clause_limit: int = 100
    vocabulary: inexact.Vocabulary | None = None
    """Where words that look like one are found; None where only exact answers will do."""
    terminology: Terminology | None = None
    warnings: list[Issue] = field(default_factory=list)
    _made: int = 0
    _inexact: bool = False
    _expanded: frozenset[tuple[str, str]] = frozenset()
    """Parameters that a named query stands for: they run, but the client did not write them."""

    def parse(self, pairs: Pairs, cursor: Cursor | None = None) -> Search:
        """`pairs` are the decoded parameters in order, without those that concern the format or the page. Raises
        BadRequest and its children.
        """
        filters = [(name, value) for name, value in pairs if not control.concerns(name)]
        controls = control.parse([(name, value) for name, value in pairs if control.concerns(name)], self)
        types, type_pairs = self._types([value for name, value in filters if name == "_type"])
        applied: list[tuple[str, str]] = list(type_pairs)
        wanted: dict[str, list[Predicate]] = {one: [] for one in types}
        filters, named = self._named(types, filters)
        applied += named
        for name, value in filters:
            if name == "_type":
                continue
            if name.startswith("_type:"):
                raise NotSupported(f"{name}: _type takes no modifier", expression=name)
            found = self._filter(types, name, value)
            if found is not None:
                if (name, value) not in self._expanded:
                    applied.append((name, value))
                for resource_type, predicate in found.items():
                    wanted[resource_type].append(predicate)
        predicates = {one: all_of(parts) if parts else None for one, parts in wanted.items()}
        predicates = spread(predicates, controls.contained, controls.contained_type, self.registry.types)
        if any(sum(1 for _ in clauses(p)) > self.clause_limit for p in predicates.values() if p is not None):
            raise self._too_costly()
        scored = any(map(ranks, predicates.values()))
        if not scored:
            control.without_scores(controls, self)
        if scored and self._inexact and not controls.sort:
            controls.sort = (BEST_FIRST,)
        return Search(
            query=Query(predicates, controls.sort, controls.count, cursor, scored and controls.score),
            applied=(*applied, *controls.applied),
            total=controls.total,
            summary=controls.summary,
            elements=controls.elements,
            page_size=controls.count,
            max_results=controls.max_results,
            explain=controls.explain,
            includes=controls.includes,
            warnings=tuple(self.warnings),
            count_only=controls.count_only,
            inexact=self._inexact,
        )

    def _too_costly(self) -> TooCostly:
        return TooCostly(
            f"the search has more than {self.clause_limit} clauses",
            remedy="Ask for fewer values at once; in a chain, name the target type: subject:Medication.code=...",
        )

    def _named(self, types: tuple[str, ...], filters: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], Pairs]:
        """The filters with a named query in place of `_query`, and its parameters as the client wrote them."""
        names = [value for name, value in filters if name == "_query" and value]
        if not names:
            return [pair for pair in filters if pair[0] != "_query"], ()
        if len(names) > 1:
            raise BadRequest("_query stands twice in the request; it may stand once", expression="_query")
        query = next(
            (one for one in self.registry.queries if one.name == names[0] and set(types) <= one.resource_types), None
        )
        if query is None:
            known = ", ".join(sorted(one.name for one in self.registry.queries if set(types) <= one.resource_types))
            raise BadRequest(
                f"_query={names[0]}: there is no such query here, only {known or 'none'}", expression="_query"
            )
        given = {name: value for name, value in filters if name in query.parameters}
        expanded = query.expand(given)
        self._expanded = frozenset(expanded)
        rest = [pair for pair in filters if pair[0] != "_query" and pair[0] not in query.parameters]
        return [*rest, *expanded], [("_query", query.name), *given.items()]

    def _types(self, values: list[str]) -> tuple[tuple[str, ...], Pairs]:
        """The searched types that `_type` leaves. https://hl7.org/fhir/R5/search.html#_type"""
        if not values:
            return self.types, ()
        if len(self.types) == 1:
            self.unknown("_type", "_type works in a search over all types, at the base", f"_type={values[0]}")
            return self.types, ()
        kept = set(self.types)
        for value in values:
            names = [name for name in value.split(",") if name]
            if not names:
                raise BadRequest(
                    "_type names no resource type",
                    expression="_type",
                    remedy="Write _type=Medication,MedicationKnowledge.",
                )
            for name in names:
                if not self.registry.serves(name):
                    raise BadRequest(
                        f"_type={name}: this server has no resource type {name!r}"
                        + or_rather(name, self.registry.types),
                        expression="_type",
                        remedy="GET [base]/metadata lists the types.",
                    )
            kept &= set(names)
        return tuple(one for one in self.types if one in kept), [("_type", value) for value in values]

    def unknown(self, name: str, reason: str, shown: str, *, wider: bool = True, meant: str | None = None) -> None:
        """Report a parameter that does not run: 400 when the client asked for strictness, else a warning in the answer.

        `wider` says that it would have left out matches; `meant` is what to write instead.
        """
        remedy = meant or "Leave it out, or see the searchParam list in [base]/metadata."
        if self.strict:
            raise NotSupported(f"{reason} ({shown})", expression=name, remedy=remedy)
        self.warnings.append(
            Issue(
                "warning",
                "not-supported",
                f"{reason}; {shown} was ignored" + (", so the answer is wider than asked for" if wider else ""),
                (name,),
                remedy=remedy,
            )
        )

    # -- one filter

    def _filter(self, types: tuple[str, ...], name: str, value: str) -> dict[str, Predicate] | None:
        """What one parameter asks of each type; None where it does not run."""
        if not value:
            return None  # https://hl7.org/fhir/R5/search.html#modifiers: a parameter without a value is no criterion
        found: dict[str, Predicate] = {}
        for resource_type in types:
            try:
                predicate = self.predicate(resource_type, name, value)
            except (TooCostly, UnknownTerminology, NotEnumerable) as error:
                # A link of a chain knows its own part of the name only.
                raise type(error)(str(error), expression=name, remedy=error.issues[0].remedy) from None
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
        if found or (len(types) > 1 and any(self._known(one, name) for one in types)):
            raise BadRequest(
                f"{name} is not a parameter of every searched type; {resource_type} has none of that name",
                expression=name,
                remedy="Narrow the search with _type.",
            )
        lack = f"{types[0]} has" if len(types) == 1 else "these types have"
        reason = f"{lack} no search parameter {name.partition(':')[0]!r}"
        self.unknown(name, reason, f"{name}={value}", meant=instead(self.registry, types, name))
        return None

    def _known(self, resource_type: str, name: str) -> bool:
        return self.registry.get(resource_type, name.partition(":")[0].partition(".")[0]) is not None

    def predicate(self, resource_type: str, name: str, value: str, depth: int = 0) -> Predicate | None:
        """One parameter of one type, chained or not; None where the type has no such parameter. Raises ValueError and
        BadRequest.
        """
        if depth > DEPTH:
            raise TooCostly(f"chains may be {DEPTH} deep at most", expression=name)
        if name == "_has" or name.startswith("_has:"):
            return self._has(resource_type, name, value, depth)
        if name in special.PARAMETERS:
            return special.predicate(self, resource_type, name, value)
        link, dot, rest = name.partition(".")
        if dot:
            return self._chain(resource_type, link, rest, value, depth)
        code, colon, modifier = name.partition(":")
        if code in special.PARAMETERS or code == "_query":
            raise NotSupported(f"{name}: {code} takes no modifier", expression=name)
        parameter = self.registry.get(resource_type, code)
        if parameter is None:
            return None
        return self._plain(parameter, modifier if colon else None, value)

    def _plain(self, parameter: SearchParameter, modifier: str | None, value: str) -> Predicate:
        code = parameter.code
        if (
            modifier is not None
            and modifier not in parameter.modifiers
            and not self._is_type_modifier(parameter, modifier)
        ):
            allowed = [f":{one}" for one in sorted(parameter.modifiers)] + (
                [":[type]"] if parameter.type == "reference" else []
            )
            raise NotSupported(
                f"{code}:{modifier}: {code} is a {parameter.type} parameter and takes {', '.join(allowed)}",
                expression=f"{code}:{modifier}",
            )
        if modifier == "missing":
            return self._missing(parameter, value)
        request = Request(
            self.bases,
            self.now,
            parameter.targets,
            frozenset(self.registry.types),
            frozenset() if parameter.code in COLUMNS else parameter.path.types,
            self.registry.systems,
            self.terminology,
            partial(self._similar, parameter) if parameter.by_word else None,
        )
        inner = None if modifier == "not" else modifier
        found = [self._one(parameter, inner, text, request) for text in split(value, ",") if text]
        if not found:
            raise ValueError("there is no value between the commas")
        # Counted as they are made: a chain over references to anything multiplies with each link.
        self._made += len(found)
        if self._made > self.clause_limit * len(self.types):
            raise self._too_costly()
        return Not(any_of(found)) if modifier in _NEGATIONS else any_of(found)

    def _similar(self, parameter: SearchParameter, word: str) -> Sequence[tuple[str, int]]:
        """Words of the content that look like `word`. The answer will say which they were."""
        if self.vocabulary is None:
            raise ValueError(f"{word}~: an inexact match will not do here")
        self._inexact = True
        found = inexact.similar(self.vocabulary, parameter, word)
        self.warnings.append(inexact.told(parameter, word, found))
        return found

    def _is_type_modifier(self, parameter: SearchParameter, modifier: str) -> bool:
        if parameter.type != "reference" or not modifier[:1].isupper():
            return False
        if parameter.targets and "Resource" not in parameter.targets and modifier not in parameter.targets:
            raise BadRequest(
                f"{parameter.code}:{modifier}: {parameter.code} points to {', '.join(parameter.targets)}",
                expression=f"{parameter.code}:{modifier}",
            )
        return True

    def _one(self, parameter: SearchParameter, modifier: str | None, text: str, request: Request) -> Predicate:
        if parameter.code == "_id":
            if "|" in text or not is_id(unescape(text)):
                raise ValueError(f"{text!r} is not an id: letters, digits, - and . only, at most 64")
            return Resource(Compare("id", "=", text))
        if parameter.code == "_lastUpdated":
            comparator, literal = split_prefix(unescape(text), "date")
            # The column holds the first microsecond of the millisecond that lastUpdated names.
            return Resource(
                date.condition(comparator, parse_span(literal.replace(" ", "+")), self.now, "updated", "updated", 1000)
            )
        return parameter.predicate(modifier, text, request)

    def _missing(self, parameter: SearchParameter, value: str) -> Predicate:
        if value not in ("true", "false"):
            raise ValueError(":missing takes true or false")
        if parameter.code in ("_id", "_lastUpdated"):
            present: Predicate = Resource(Compare("id", ">", ""))
        else:
            present = parameter.present
        return Not(present) if value == "true" else present

    def lacking(
        self, kind: str, written: str, name: str, place: str = "", kinds: tuple[str, ...] | None = None
    ) -> BadRequest:
        """What to raise where a type lacks a parameter on which the sense of the search hangs."""
        reason = f"{place}{kind} has no search parameter {written.partition(':')[0]!r}"
        return BadRequest(reason, expression=name, remedy=instead(self.registry, (kind,), written, kinds))

    # -- chains

    def targets(self, parameter: SearchParameter, modifier: str | None) -> tuple[str, ...]:
        if modifier is not None:
            if not self.registry.serves(modifier):
                raise BadRequest(
                    f"{parameter.code}:{modifier}: this server has no resource type {modifier!r}"
                    + or_rather(modifier, self.registry.types),
                    expression=f"{parameter.code}:{modifier}",
                )
            self._is_type_modifier(parameter, modifier)
            return (modifier,)
        targets = self.registry.types if not parameter.targets or "Resource" in parameter.targets else parameter.targets
        return tuple(one for one in targets if self.registry.serves(one))

    def reference(self, resource_type: str, code: str, name: str) -> SearchParameter | None:
        parameter = self.registry.get(resource_type, code)
        if parameter is not None and parameter.type != "reference":
            raise BadRequest(
                f"{name}: {code} is a {parameter.type} parameter; only references can be followed", expression=name
            )
        return parameter

    def _chain(self, resource_type: str, link: str, rest: str, value: str, depth: int) -> Predicate | None:
        """`subject:Medication.code=...`: https://hl7.org/fhir/R5/search.html#chaining"""
        code, colon, modifier = link.partition(":")
        parameter = self.reference(resource_type, code, f"{link}.{rest}")
        if parameter is None:
            return None
        found: list[Predicate] = []
        refused: FhirError | ValueError | None = None
        targets = self.targets(parameter, modifier if colon else None)
        for target in targets:
            try:
                inner = self.predicate(target, rest, value, depth + 1)
            except TooCostly:
                raise
            except (FhirError, ValueError) as error:
                refused = error
                continue
            if inner is not None:
                found.append(parameter.leads_to(target, inner))
        if found:
            return found[0] if len(found) == 1 else Or(tuple(found))
        if refused is not None:
            raise refused
        raise BadRequest(
            f"{link}.{rest}: none of the types that {code} points to has a parameter {rest.partition('.')[0]!r}",
            expression=f"{link}.{rest}",
            remedy=next(filter(None, (instead(self.registry, (one,), rest) for one in targets)), None),
        )

    def _has(self, resource_type: str, name: str, value: str, depth: int) -> Predicate:
        """`_has:Source:reference:parameter=...`: https://hl7.org/fhir/R5/search.html#has"""
        source, parameter, rest = self.reverse(resource_type, name)
        inner = self.predicate(source, rest, value, depth + 1)
        if inner is None:
            raise self.lacking(source, rest, name, f"{name}: ")
        return parameter.led_from(inner)

    def reverse(self, resource_type: str, name: str) -> tuple[str, SearchParameter, str]:
        """The type, the reference and the parameter that `_has:Type:reference:parameter` names. Raises BadRequest."""
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise BadRequest(f"{name}: write _has:Type:reference:parameter", expression=name)
        _, source, code, rest = parts
        if not self.registry.serves(source):
            near = or_rather(source, self.registry.types)
            raise BadRequest(f"{name}: this server has no resource type {source!r}{near}", expression=name)
        parameter = self.reference(source, code, name)
        if parameter is None:
            raise self.lacking(source, code, name, f"{name}: ", ("reference",))
        if resource_type not in self.targets(parameter, None):
            raise BadRequest(f"{name}: {source}.{code} never points to {resource_type}", expression=name)
        return source, parameter, rest
