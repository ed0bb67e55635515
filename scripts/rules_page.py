"""Write `docs/rules.md` from the rules of the validator: `python -m scripts.rules_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from apothecary.reports.rule import markdown
from apothecary.validation import RULES, not_evaluated
from apothecary.validation.catalogue import invariants
from apothecary.validation.invariants import BY_RULE
from apothecary.validation.natives import NATIVES
from apothecary.validation.rules import GROUPS

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

_HEAD = """# Rules

What the validator checks, by rule id. An id never changes its meaning: settings and baselines name rules by it.
Each rule can be switched off or given another severity. `python -m scripts.rules_page` writes this page from the rules.

"""

_ABOUT = {
    "Profiles": "Asked where a resource claims a profile, is a vital sign, or profiles are given"
    " ([Profiles](validate.md#profiles)).\n\n"
}


def page() -> str:
    """The text of the page."""
    parts = [_HEAD]
    for group, rules in GROUPS.items():
        parts.append(f"## {group}\n\n{_ABOUT.get(group, '')}")
        parts.extend(map(markdown, rules))
    parts.append("## Invariants of the specification\n\n" + "".join(_invariants()))
    return "".join(parts).rstrip() + "\n"


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
