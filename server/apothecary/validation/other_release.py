"""Whether a resource looks like one of another release than the one it was checked as
(https://hl7.org/fhir/R5/versioning.html).

Nothing in most resources says which release they are of. Checked as the wrong one, a set of sound files gives hundreds
of errors, of which none says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from apothecary.errors import Issue
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.diagnostics import sound
from apothecary.validation.options import Options
from apothecary.validation.rules import BASE
from apothecary.validation.run import Run, Stop
from apothecary.validation.structure import walk_document

# What a release changes: names, types and numbers of elements, and the codes of required bindings.
_TELLING = frozenset(
    {
        "resource-type-unknown",
        "unknown-element",
        "choice-type",
        "cardinality-min",
        "not-an-array",
        "unexpected-array",
        "wrong-type",
        "not-an-object",
        "code-not-in-value-set",
        "reference-target",
    }
)


def release_hint(resource: Any, version: FhirVersion, issues: Sequence[Issue], options: Options) -> Issue | None:
    """A note on `resource`, which was checked as one of `version` with these `issues`, when another release fits it
    better: with fewer than half of the errors. None when none does; a sound resource costs nothing.
    """
    rule = BASE["other-release"]
    if rule.id in options.disabled or not any(issue.rule in _TELLING for issue in issues):
        return None
    bare = replace(options, profiles=None, max_issues=max(1, len(issues)))
    count = _errors(issues)
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str):
        return None
    fewest = min((_count(resource, other, bare), other) for other in FhirVersion if other is not version)
    found = fewest[1]
    if not definitions(version).is_resource_type(kind) and definitions(found).is_resource_type(kind):
        count = max(count, 2 * fewest[0] + 1)  # Nothing was looked at, so that nothing else could be told.
    if 2 * fewest[0] >= count:
        return None
    return Issue(
        severity=options.severities.get(rule.id, rule.severity),
        code=rule.code,
        diagnostics=f"{sound(kind)} looks like {found}: as such it has {fewest[0] or 'no'} errors.",
        expression=(sound(kind),),
        rule=rule.id,
        remedy=f"Check it as {found}: --fhir-version {found}.",
        pointer=(),
    )


def _count(resource: Any, version: FhirVersion, options: Options) -> int:
    if not definitions(version).is_resource_type(resource["resourceType"]):
        return options.max_issues + 1
    run = Run(resource, definitions(version), options)
    try:
        walk_document(resource, run)
    except Stop:
        return options.max_issues
    return _errors(run.issues())


def _errors(issues: Sequence[Issue]) -> int:
    return sum(issue.severity in ("fatal", "error") for issue in issues)
