"""The ledger: every claim of every source, in the editors' own words, with the resources that carry it.

https://hl7.org/fhir/R5/extensibility.html
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from apothecary.authoring.pen import SOURCE_CLAIM
from apothecary.fhir.json import JSON

FILE = "claims.csv"
COLUMNS = ("claim", "line", "statement", "resources")
_NUMBERED = re.compile(r"(.*?)([0-9]*)")


def claim_order(claim: str) -> tuple[str, int]:
    """Sorts claims by source and letters, then by number."""
    found = _NUMBERED.fullmatch(claim)
    return (found[1], int(found[2] or 0)) if found else (claim, 0)


def claim_ids(node: Any) -> list[str]:
    """Every claim id in `node`, at any depth, in order."""
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("url") == SOURCE_CLAIM and "valueString" in part:
                found.add(part["valueString"])
            for child in part.values():
                walk(child)
        elif isinstance(part, list):
            for child in part:
                walk(child)

    walk(node)
    return sorted(found, key=claim_order)


def carriers(resources: Iterable[JSON]) -> dict[str, list[str]]:
    """The references of the resources that carry each claim, the assessments of discrepancies left out."""
    found: dict[str, list[str]] = {}
    for resource in sorted(resources, key=lambda one: (one["resourceType"], one["id"])):
        if resource["resourceType"] != "ArtifactAssessment":
            for claim in claim_ids(resource):
                found.setdefault(claim, []).append(f"{resource['resourceType']}/{resource['id']}")
    return found


def ledger(sheets: Iterable[Mapping[str, Any]], resources: Iterable[JSON]) -> str:
    """The ledger of `sheets` as CSV; its last column is derived from `resources`, references separated by spaces."""
    found = carriers(resources)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for sheet in sheets:
        for source in sheet["sources"]:
            for claim, one in source["claims"].items():
                full = f"{source['key']}:{claim}"
                carried = " ".join(found.get(full, []))
                writer.writerow({"claim": full, "line": one["line"], "statement": one["says"], "resources": carried})
    return out.getvalue()


def read_ledger(text: str) -> dict[str, dict[str, JSON]]:
    """Source -> claim -> `{line, says}`, as a sheet has them."""
    found: dict[str, dict[str, JSON]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        key, _, claim = row["claim"].rpartition(":")
        found.setdefault(key, {})[claim] = {"line": int(row["line"]), "says": row["statement"]}
    return found
