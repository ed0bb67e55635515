"""Write `docs/rules.md` from the rules of the validator: `python -m scripts.rules_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from apothecary.validation import RULES, Rule, not_evaluated
from apothecary.validation.catalogue import invariants
from apothecary.validation.invariants import BY_RULE
from apothecary.validation.natives import NATIVES
from apothecary.validation.rules import MEDICATION_RULES, PROFILE_RULES

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

_HEAD = """# Rules

What the validator checks, by rule id. An id never changes its meaning: settings and baselines name rules by it.
Each rule can be switched off or given another severity. `python -m scripts.rules_page` writes this page from the rules.

"""


def page() -> str:
    """The text of the page."""
    elsewhere = {rule.id for rule in (*MEDICATION_RULES, *PROFILE_RULES)}
    parts = [_HEAD, "## FHIR\n\n"]
    parts.extend(_section(rule) for rule in RULES.values() if rule.id not in elsewhere)
    parts.append("## Profiles\n\nAsked only where profiles are given ([Profiles](validate.md#profiles)).\n\n")
    parts.extend(_section(rule) for rule in PROFILE_RULES)
    parts.append("## Medications\n\n")
    parts.extend(_section(rule) for rule in MEDICATION_RULES)
    parts.append("## Invariants of the specification\n\n" + "".join(_invariants()))
    return "".join(parts).rstrip() + "\n"


def _section(rule: Rule) -> str:
    return (
        f"### {rule.id}\n\n{rule.what} ({rule.severity}, `{rule.code}`)\n\nWhy: {rule.why}\n\n"
        f"```json\n{rule.example}\n```\n\n{rule.remedy}\n\n"
    )


def _invariants() -> Iterator[str]:
    yield "The rule id of an invariant is its key. How each is evaluated, and which are not:\n\n"
    yield "| Release | Invariants | Not evaluated |\n|---|---|---|\n"
    for version in FhirVersion:
        left_out = ", ".join(not_evaluated(version)) or "none"
        yield f"| {version} | {len(invariants(version))} | {left_out} |\n"
    told = ", ".join(f"`{key}` by [{rule}](#{rule})" if rule in RULES else f"`{key}`" for key, rule in BY_RULE.items())
    yield f"\nChecked by a rule that finds more, or says more exactly what is wrong: {told}.\n\n"
    yield f"Checked by a predicate in Python: {', '.join(f'`{key}`' for key in sorted(NATIVES))}.\n\n"
    yield "All others run as FHIRPath, as published.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
