"""`apothecary rules`: the rules of `apothecary validate`, those of reading and the specification's invariants included.

https://hl7.org/fhir/R5/validation.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click

from apothecary.content.documents import READING_RULES
from apothecary.fhir.releases import FhirVersion
from apothecary.reports.report import RuleText
from apothecary.suggestions import or_rather

READING = "Reading"
INVARIANTS = "Invariants"


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule with the group that it stands in, and the FHIR releases that have it."""

    rule: RuleText
    group: str
    releases: tuple[FhirVersion, ...] = tuple(FhirVersion)


@click.command()
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
def rules(format_name: str) -> None:
    """List the rules of `apothecary validate`: id, severity and what each asks.

    The ids are those of --disable and of the configuration. `apothecary explain RULE` tells more about one.
    """
    known = all_rules().values()
    if format_name == "json":
        click.echo(json.dumps([_as_json(one) for one in known], indent=2, ensure_ascii=False))
        return
    width = max(len(one.rule.id) for one in known)
    for one in known:
        click.echo(f"{one.rule.id:{width}}  {one.rule.severity:11}  {' '.join(one.rule.what.split())}")


def all_rules() -> Mapping[str, Listed]:
    """Every rule by id. An invariant that several releases have is described as the latest of them has it."""
    from apothecary.validation.catalogue import invariant_rule, invariants
    from apothecary.validation.rules import GROUPS

    found = {rule.id: Listed(rule, READING) for rule in READING_RULES.values()}
    found |= {rule.id: Listed(rule, group) for group, of in GROUPS.items() for rule in of}
    for version in reversed(FhirVersion):
        for key, invariant in invariants(version).items():
            if key not in found:
                releases = tuple(one for one in FhirVersion if key in invariants(one))
                found[key] = Listed(invariant_rule(invariant), INVARIANTS, releases)
    return found


def no_such_rule(rule_id: str) -> str | None:
    """What to say of an id that no rule has; None where one has it."""
    from apothecary.validation.catalogue import find_rule

    if rule_id in READING_RULES or any(find_rule(rule_id, version) for version in reversed(FhirVersion)):
        return None
    return f"there is no rule {rule_id!r}{or_rather(rule_id, all_rules())}; apothecary rules lists them all"


def _as_json(listed: Listed) -> dict[str, object]:
    rule = listed.rule
    return {
        "id": rule.id,
        "group": listed.group,
        "severity": rule.severity,
        "code": rule.code,
        "what": rule.what,
        "why": rule.why,
        "example": rule.example,
        "remedy": rule.remedy,
        "releases": [*listed.releases],
    }
