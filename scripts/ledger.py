"""Bring the content ledger up to date: `python -m scripts.ledger [--check]`.

The ledger lists every claim of the source text with the resources that carry it, and every discrepancy with what it
concerns. `resources/claims.csv` holds the claims in the project's own words; its last column and the tables in
`docs/content.md` are derived from the resources. https://hl7.org/fhir/R5/extensibility.html
"""

from __future__ import annotations

import argparse
import csv
import io
import sys

from scripts.narrative import RESOURCES, read
from scripts.narrative_rows import Resource, claim_ids

PAGE = RESOURCES.parent / "docs" / "content.md"
COLUMNS = ("claim", "line", "statement", "resources")


def carriers(resources: list[Resource]) -> dict[str, list[str]]:
    """The references of the resources that carry each claim, the assessments of discrepancies left out."""
    found: dict[str, list[str]] = {}
    for resource in resources:
        if resource["resourceType"] != "ArtifactAssessment":
            for claim in claim_ids(resource):
                found.setdefault(claim, []).append(f"{resource['resourceType']}/{resource['id']}")
    return found


def claims_csv(text: str, resources: list[Resource]) -> str:
    """The CSV `text` with its last column derived from `resources`, references separated by spaces."""
    found = carriers(resources)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in csv.DictReader(io.StringIO(text)):
        writer.writerow({**row, "resources": " ".join(found.get(row["claim"], []))})
    return out.getvalue()


def _link(reference: str) -> str:
    return f"[{reference}](../resources/{reference}.json)"


def claims_table(text: str) -> str:
    """The Markdown table of the claims in the CSV `text`."""
    lines = ["| Claim | Line | In our words | Resources |", "| --- | ---: | --- | --- |"]
    for row in csv.DictReader(io.StringIO(text)):
        links = "<br>".join(map(_link, row["resources"].split()))
        lines.append(f"| {row['claim']} | {row['line']} | {row['statement']} | {links} |")
    return "\n".join(lines)


def discrepancies_table(resources: list[Resource]) -> str:
    """The Markdown table of the discrepancies, in the order of their numbers."""
    lines = ["| Discrepancy | What differs | How it is shown | Claims | State |", "| --- | --- | --- | --- | --- |"]
    for each in (each for each in resources if each["resourceType"] == "ArtifactAssessment"):
        title = f"[{each['title']}](../resources/ArtifactAssessment/{each['id']}.json)"
        finding, response = (part["summary"] for part in each["content"])
        lines.append(f"| {title} | {finding} | {response} | {', '.join(claim_ids(each))} | {each['workflowStatus']} |")
    return "\n".join(lines)


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
    resources = list(read(RESOURCES).values())
    table = RESOURCES / "claims.csv"
    claims = claims_csv(table.read_text(encoding="utf-8"), resources)
    page = between_markers(PAGE.read_text(encoding="utf-8"), "claims", claims_table(claims))
    page = between_markers(page, "discrepancies", discrepancies_table(resources))
    stale = [(path, text) for path, text in ((table, claims), (PAGE, page)) if path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        print(f"{'stale' if options.check else 'wrote'} {path.relative_to(RESOURCES.parent)}")
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
