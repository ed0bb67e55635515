"""One validation under way: what was found, and where it is told (https://hl7.org/fhir/R5/operationoutcome.html).

The walk collects findings with the least work, because most resources have none. Expressions, order and wording are
worked out only here, at the end, and only for what was found.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from apothecary.errors import Issue, Severity
from apothecary.fhir.budgets import Budget
from apothecary.fhir.definitions import Definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.structures import Structure
from apothecary.validation.diagnostics import sound
from apothecary.validation.options import Options
from apothecary.validation.rules import Rule

Pointer = tuple[str | int, ...]
# Where the walk is: the place of the parent, the key, and the index in an array; None is the root.
At = tuple[Any, str, int | None] | None


class Stop(Exception):
    """Enough was found."""


class Finding(NamedTuple):
    """A rule that was broken. `text` is a predicate: what it says about the element at `pointer`."""

    rule: Rule
    pointer: Pointer
    text: str
    remedy: str | None


def pointer_of(at: At) -> Pointer:
    """The keys and indexes from the root to `at`."""
    found: list[str | int] = []
    while at is not None:
        at, key, index = at
        if index is not None:
            found.append(index)
        found.append(key)
    return tuple(reversed(found))


class Run:
    """The state of one validation. `unjudged` names invariants that could not be evaluated on a malformed element.

    `resource` is the resource that the walk is in, `root` the one that contains it (itself, unless it stands in
    `contained`), `bundle` the nearest Bundle around them.
    """

    __slots__ = (
        "alone",
        "budget",
        "bundle",
        "conforming",
        "contained",
        "document",
        "element_ids",
        "findings",
        "found_by",
        "full_url",
        "max_depth",
        "options",
        "resource",
        "resource_at",
        "root",
        "sparing",
        "tables",
        "unjudged",
    )

    def __init__(self, document: JSON, tables: Definitions, options: Options) -> None:
        self.document = document
        self.tables = tables
        self.options = options
        self.max_depth = options.max_depth
        # Whether values may be passed over that were found sound before, and whether what was looked at since the
        # innermost of them began is that value alone: see `sparing`.
        self.sparing = False
        self.alone = True
        self.findings: list[Finding] = []
        self.resource: JSON = document
        self.root: JSON = document
        self.resource_at: At = None
        self.bundle: Any = None
        # By profile and resource (its identity): the resource, and why it does not conform, None where it does.
        self.conforming: dict[tuple[str, int], tuple[Any, str | None]] = {}
        # By resource (its identity), then by id: where the element is that has it.
        self.element_ids: dict[int, dict[str, At]] = {}
        # By resource (its identity), then by id: what it contains.
        self.contained: dict[int, dict[str, JSON]] = {}
        # By expression and resource (its identity): the resource, and the objects in it that the expression finds.
        self.found_by: dict[tuple[str, int], tuple[Any, frozenset[int] | None]] = {}
        self.full_url: str | None = None
        self.unjudged: list[tuple[str, str]] = []
        # What the expressions of profiles may cost; the specification's own are not counted.
        self.budget = Budget(options.max_steps, options.max_seconds_each)

    def report(
        self,
        rule: Rule,
        at: At,
        text: str,
        *,
        key: str | None = None,
        index: int | None = None,
        inside: Pointer = (),
        remedy: str | None = None,
    ) -> None:
        """Note that `rule` is broken at `at`, or at its child `key` (and `index`), or at the path `inside` from
        there.
        """
        if not self.wants(rule):
            return
        pointer = pointer_of(at if key is None else (at, key, index)) + inside
        self.findings.append(Finding(rule, pointer, text, remedy))
        if len(self.findings) >= self.options.max_issues:
            raise Stop

    def wants(self, rule: Rule) -> bool:
        """Whether anybody is told what breaks `rule`."""
        options = self.options
        if rule.id in options.disabled:
            return False
        return not options.errors_only or options.severities.get(rule.id, rule.severity) in ("error", "fatal")

    def withdraw(self, rule: str, at: At) -> None:
        """Take back what was reported of a rule in the value at `at`, whose walk has just ended."""
        pointer = pointer_of(at)
        start = len(self.findings)
        while start and self.findings[start - 1].pointer[: len(pointer)] == pointer:
            start -= 1
        self.findings[start:] = [one for one in self.findings[start:] if one.rule.id != rule]

    def unchecked(self, what: str) -> None:
        """Note that something was not checked, for whoever asked to know."""
        if self.options.coverage is not None:
            self.options.coverage.leave(what)

    def issues(self, stopped: Rule | None = None) -> list[Issue]:
        """The findings as issues in document order. `stopped` is the rule that ended the walk early."""
        places: _Places = {}
        ordered = sorted(self.findings, key=lambda finding: _position(self.document, finding.pointer, places))
        found = [self._issue(finding) for finding in ordered]
        if stopped is not None:
            found.append(self._issue(Finding(stopped, (), f"has more than {len(found) - 1} issues", None)))
        return found

    def _issue(self, finding: Finding) -> Issue:
        rule = finding.rule
        severity: Severity = self.options.severities.get(rule.id, rule.severity)
        place = expression(self.tables, self.document, finding.pointer)
        return Issue(
            severity=severity,
            code=rule.code,
            diagnostics=sound(f"{place or 'The document'} {finding.text}."),
            expression=(sound(place),) if place else (),
            rule=rule.id,
            remedy=sound(finding.remedy or rule.remedy),
            pointer=finding.pointer,
        )


def expression(tables: Definitions, document: Any, pointer: Pointer) -> str:
    """The FHIRPath of `pointer` in its simple subset: `Bundle.entry[3].resource.ingredient[0].strength`.

    A choice is named without its type and a primitive's `_twin` without the underscore, as FHIRPath sees them.
    """
    if not isinstance(document, dict):
        return ""
    name = document.get("resourceType")
    text = name if isinstance(name, str) and tables.is_resource_type(name) else "Resource"
    structure: Structure | None = tables.structure(text) if tables.is_resource_type(text) else None
    value: Any = document
    for step in pointer:
        if isinstance(step, int):
            text += f"[{step}]"
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
            key = step[1:] if step.startswith("_") else step
            found = structure.properties.get(key) if structure else None
            text += f".{found.element.name.removesuffix('[x]') if found else key}"
            structure = (
                None
                if found is None or not tables.has_structure(found.structure)
                else tables.structure(found.structure)
            )
        if structure is not None and structure.name == "Resource" and isinstance(value, dict):
            inner = value.get("resourceType")
            structure = tables.structure(inner) if isinstance(inner, str) and tables.is_resource_type(inner) else None
    return text


# By object (its identity): its keys, with where each stands. Made once for all findings in the object, which may have
# as many keys as a body has room for.
_Places = dict[int, dict[Any, int]]


def _position(document: Any, pointer: Pointer, places: _Places) -> tuple[int, ...]:
    """Where `pointer` stands in the text of `document`: comparing these is comparing positions."""
    found = []
    value = document
    for step in pointer:
        if isinstance(value, dict):
            order = places.get(id(value))
            if order is None:
                order = places[id(value)] = {key: number for number, key in enumerate(value)}
            found.append(order.get(step, len(value)))
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            found.append(step)
            value = value[step]
    return tuple(found)
