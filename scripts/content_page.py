"""Bring the two lists of docs/content.md up to date: `python -m scripts.content_page [--check]`.

They show the ledger, `resources/claims.csv`, and the discrepancies, each with what it concerns.
https://hl7.org/fhir/R5/extensibility.html
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from apothecary.authoring.ledger import claim_ids

Resource = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
RESOURCES = ROOT / "resources"
PAGE = ROOT / "docs" / "content.md"
# What the page writes for the type of a resource that carries claims.
LETTERS = {
    "ClinicalUseDefinition": "U",
    "Composition": "C",
    "Evidence": "E",
    "Group": "G",
    "Medication": "M",
    "MedicationKnowledge": "K",
    "Substance": "S",
}


def _label(reference: str) -> str:
    """How the page calls a resource: a letter for its type, and its id."""
    kind, _, id = reference.partition("/")
    return f"{LETTERS.get(kind, kind)} {id}"


def claims_table(text: str) -> str:
    """The Markdown table of the claims in the CSV `text`, and the targets of its links."""
    lines = ["| Claim | Line | In our words | Resources |", "| --- | ---: | --- | --- |"]
    named: dict[str, None] = {}
    for row in csv.DictReader(io.StringIO(text)):
        references = row["resources"].split()
        named |= dict.fromkeys(references)
        links = ", ".join(f"[{_label(one)}]" for one in references)
        lines.append(f"| {row['claim']} | {row['line']} | {row['statement']} | {links} |")
    targets = (f"[{_label(one)}]: ../resources/{one}.json" for one in sorted(named))
    return "\n".join([*lines, "", *targets])


def discrepancies_text(resources: list[Resource]) -> str:
    """The discrepancies in Markdown, in the order of their numbers: one section each."""
    return "\n\n".join(_discrepancy(one) for one in resources if one["resourceType"] == "ArtifactAssessment")


def _discrepancy(assessment: Resource) -> str:
    finding, response = (part["summary"] for part in assessment["content"])
    concerned = claim_ids(assessment)
    about = f"Claims {', '.join(concerned)}. " if concerned else ""
    link = f"[Resource](../resources/ArtifactAssessment/{assessment['id']}.json)"
    state = f"{about}State: {assessment['workflowStatus']}. {link}"
    parts = (f"What differs: {finding}", f"How it is shown: {response}", state)
    items = (
        textwrap.fill(part, 128, initial_indent="- ", subsequent_indent="  ", break_long_words=False) for part in parts
    )
    return "\n".join((f"### {assessment['title']}\n", *items))


def between_markers(page: str, name: str, table: str) -> str:
    """`page` with `table` between the comments `<!-- name -->` and `<!-- /name -->`; ValueError if they are missing."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if start not in page or end not in page:
        raise ValueError(f"{PAGE}: no place marked for the table of {name}")
    head, rest = page.split(start, 1)
    return f"{head}{start}\n{table}\n\n{end}{rest.split(end, 1)[1]}"


def main(arguments: list[str] | None = None) -> int:
    """Write what is derived; with `--check`, only name the stale files and return 1."""
    parser = argparse.ArgumentParser(prog="python -m scripts.ledger", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    options = parser.parse_args(arguments)
    claims = (RESOURCES / "claims.csv").read_text(encoding="utf-8")
    assessments = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESOURCES.glob("ArtifactAssessment/*"))
    ]
    before = PAGE.read_text(encoding="utf-8")
    page = between_markers(before, "claims", claims_table(claims))
    page = between_markers(page, "discrepancies", discrepancies_text(assessments))
    if page == before:
        return 0
    print(f"{'stale' if options.check else 'wrote'} {PAGE.relative_to(ROOT)}")
    if not options.check:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
