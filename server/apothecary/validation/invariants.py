"""The invariants of the definitions: how each is evaluated, and which are not
(https://hl7.org/fhir/R5/conformance-rules.html#constraints).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Invariant
from apothecary.validation.alike import alike, read_by
from apothecary.validation.fhirpath import (
    Compiled,
    Environment,
    FhirPathError,
    Node,
    compile_expression,
    evaluate,
    item_of,
    truth,
)
from apothecary.validation.natives import NATIVES, Native
from apothecary.validation.references import contained
from apothecary.validation.rules import Rule
from apothecary.validation.run import At, Run

# So many unlike values of an invariant are kept in mind.
_MOST_FULFILLED = 256

Judge = Callable[[Any, At, Run], None]

# Invariants that a rule of the validator stands for, because it finds more or says more exactly what is wrong.
BY_RULE: Mapping[str, str] = {
    "ele-1": "empty-object",
    "ref-1": "unresolved-reference",
    "txt-1": "txt-1",
    "txt-2": "txt-2",
}

# The narrative of the container speaks for what it contains (https://hl7.org/fhir/R5/references.html#contained).
_NOT_CONTAINED = frozenset({"dom-6"})

# Published so that they refuse what the specification allows. One row each, by key and a part of the expression.
BROKEN: Mapping[tuple[str, str], str] = {}


def judges(version: FhirVersion, structure: str, invariants: Iterable[Invariant]) -> tuple[Judge, ...]:
    """A check for each of the invariants that stand on a structure, or on an element of that structure."""
    found = []
    for invariant in invariants:
        if invariant.key in BY_RULE or why_not(invariant) is not None:
            continue
        native = NATIVES.get(invariant.key)
        if native is not None:
            found.append(_native_judge(invariant, native))
        else:
            found.append(_compiled_judge(version, invariant, structure))
    return tuple(found)


@cache
def why_not(invariant: Invariant) -> str | None:
    """Why an invariant is not evaluated; None when it is."""
    for (key, part), reason in BROKEN.items():
        if invariant.key == key and part in invariant.expression:
            return reason
    if invariant.key in NATIVES or invariant.key in BY_RULE:
        return None
    try:
        compile_expression(invariant.expression)
    except FhirPathError as error:
        return str(error)
    return None


def not_evaluated(version: FhirVersion) -> Mapping[str, str]:
    """The invariants of a release that are not evaluated, by key, with the reason."""
    from apothecary.validation.catalogue import structures

    found = {}
    for structure in structures(definitions(version)):
        for invariant in (
            *structure.invariants,
            *(rule for element in structure.elements for rule in element.invariants),
        ):
            reason = why_not(invariant)
            if reason is not None:
                found[invariant.key] = reason
    return dict(sorted(found.items()))


@cache
def _rule(invariant: Invariant) -> Rule:
    from apothecary.validation.catalogue import invariant_rule

    return invariant_rule(invariant)


def _native_judge(invariant: Invariant, native: Native) -> Judge:
    rule = _rule(invariant)
    contained_exempt = invariant.key in _NOT_CONTAINED

    def judge(value: Any, at: At, run: Run) -> None:
        if not isinstance(value, dict) or (contained_exempt and run.resource is not run.root):
            return
        if run.options.errors_only and not run.wants(rule):
            return
        for inside, more in native(value):
            run.report(rule, at, _text(invariant, more), inside=inside)

    return judge


def _compiled_judge(version: FhirVersion, invariant: Invariant, structure: str) -> Judge:
    rule = _rule(invariant)
    compiled: Compiled = compile_expression(invariant.expression)
    read = read_by(invariant.expression, definitions(version).structure(structure))
    fulfilled: set[Hashable] = set()

    def judge(value: Any, at: At, run: Run) -> None:
        if run.options.errors_only and not run.wants(rule):
            return
        if read is None:
            run.alone, known = False, None
        else:
            known = alike(value, read)
        if known is not None and known in fulfilled:
            return
        focus = item_of(run.tables, value, structure)
        environment = environment_of(run, focus)
        try:
            holds = truth(evaluate(compiled, environment))
        except FhirPathError as error:
            # The element is malformed, which its own rules report; a sound one never gets here (tests/validation).
            run.unjudged.append((invariant.key, str(error)))
            return
        if holds is True:
            if known is not None and len(fulfilled) < _MOST_FULFILLED:
                fulfilled.add(known)
        elif not environment.unresolved:
            run.report(rule, at, _text(invariant, ""))

    return judge


def _text(invariant: Invariant, more: str) -> str:
    return f"breaks {invariant.key}: {invariant.human.rstrip('.')}" + (f" ({more})" if more else "")


def environment_of(run: Run, focus: Node) -> Environment:
    """What an expression on `focus` may refer to: the resource the walk is in, and what is contained or bundled."""
    tables = run.tables
    resource = item_of(tables, run.resource, "Resource")
    root = resource if run.root is run.resource else item_of(tables, run.root, "Resource")

    def resolve(reference: str) -> Node | None:
        if reference.startswith("#"):
            found = run.root if reference == "#" else contained(run, reference[1:])
        else:
            found = run.bundle.find(reference, run.full_url) if run.bundle is not None else None
            if found is None and run.options.held is not None:
                found = run.options.held(reference)
        return None if found is None else item_of(tables, found, "Resource")

    return Environment(tables, resource, root, focus, resolve)
