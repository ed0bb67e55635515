"""`apothecary explain`: what a rule asks, why, an example that breaks it, and how to mend it.

https://hl7.org/fhir/R5/validation.html
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from apothecary.cli.rules import INVARIANTS, READING, Listed, all_rules, no_such_rule
from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion


@click.command()
@click.argument("rule_id", metavar="RULE")
def explain(rule_id: str) -> None:
    """Explain a rule of `apothecary validate`, or an invariant of the specification, by its id."""
    said = no_such_rule(rule_id)
    if said is not None:
        raise StartError(said)
    listed = all_rules()[rule_id]
    click.echo("\n\n".join(_paragraphs(listed)))


def _paragraphs(listed: Listed) -> Iterator[str]:
    from apothecary.reports.rule import markdown

    rule = listed.rule
    yield markdown(rule, _language(listed), "#").rstrip()
    switch = rule.id
    if listed.group == INVARIANTS:
        from apothecary.validation.invariants import BY_RULE

        yield from _of_invariant(rule.id, listed.releases)
        switch = BY_RULE.get(rule.id, switch)
        if switch != rule.id:
            yield f"It is checked by the rule {switch}, which finds more or tells more exactly."
    if listed.group == "Profiles":
        yield "Asked only where profiles are given (--profile, --package)."
    if rule.severity == "fatal":
        yield "It cannot be switched off: a file that cannot be read cannot be checked."
    else:
        yield f'Switch it off with --disable {switch}, or in the configuration: disable = ["{switch}"]'


def _language(listed: Listed) -> str:
    """The language of a rule's example."""
    if listed.group == INVARIANTS:
        return "fhirpath"
    first = listed.rule.id.partition("-")[0]
    return first if listed.group == READING and first in ("yaml", "xml") else "json"


def _of_invariant(key: str, releases: tuple[FhirVersion, ...]) -> Iterator[str]:
    """Which releases have an invariant, where they differ, and how it is evaluated."""
    from apothecary.validation.catalogue import invariants
    from apothecary.validation.invariants import why_not

    yield f"An invariant of FHIR {', '.join(releases)}."
    latest = invariants(releases[-1])[key]
    for version in reversed(releases[:-1]):
        other = invariants(version)[key]
        if (other.human, other.expression, other.severity) != (latest.human, latest.expression, latest.severity):
            yield f"In {version}: {other.human} ({other.severity})\n\n```fhirpath\n{other.expression}\n```"
    reason = why_not(latest)
    if reason is not None:
        yield f"It is not evaluated: {reason}"
