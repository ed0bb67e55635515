"""The content as the tests see it: every file of `resources/`, a second drug that is made up for tests, and walks over
their elements.

The second drug is built from `tests/content/sheets/` in memory, so that every test on content holds for any number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apothecary.authoring.folder import Held, Plan, plan, read_held, read_sheet, read_terms, sheet_paths
from apothecary.authoring.terms import Vocabulary
from apothecary.content.write import file_text

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "resources"
TEST_SHEETS = ROOT / "tests" / "content" / "sheets"
OWN = "https://example.org/fhir/"
SOURCE_CLAIM = OWN + "StructureDefinition/source-claim"
ASSERTION_BASIS = OWN + "StructureDefinition/assertion-basis"

Resource = dict[str, Any]

SHIPPED = read_held(RESOURCES)
TEST_TERMS = read_terms(TEST_SHEETS / "terminologies.yaml")
SHEETS = {one.drug: one for one in map(read_sheet, sheet_paths(RESOURCES))}
TEST_SHEET = read_sheet(TEST_SHEETS / "examplamine.yaml")
DRUGS = [*SHEETS, TEST_SHEET.drug]


def both() -> Plan:
    """What building the shipped sheets and the one of the tests into one folder gives."""
    own = [one for one in SHIPPED.resources.values() if one["resourceType"] == "CodeSystem"]
    vocabulary = Vocabulary({**SHIPPED.vocabulary.listed, **TEST_TERMS}, own)
    held = Held(SHIPPED.folder, SHIPPED.resources, SHIPPED.paths, vocabulary)
    return plan(held, [*SHEETS.values(), TEST_SHEET])


BUILT = both()
CONTENT: dict[str, Resource] = dict(sorted(BUILT.resources.items()))
# The text of each file: as it stands in the folder, or as it would be written there.
TEXTS: dict[str, str] = {
    key: SHIPPED.paths[key].read_text(encoding="utf-8") if key in SHIPPED.paths else file_text(one, ".json").decode()
    for key, one in CONTENT.items()
}
LEDGER = [*csv.DictReader(io.StringIO(BUILT.ledger))]
CLAIMS = [
    f"{source['key']}:{claim}"
    for sheet in (*SHEETS.values(), TEST_SHEET)
    for source in sheet.value["sources"]
    for claim in source["claims"]
]


def of_test(key: str) -> bool:
    """Whether a resource is there for tests only."""
    return key not in SHIPPED.resources


def of_type(*types: str) -> dict[str, Resource]:
    """The resources of the given types by reference."""
    return {key: resource for key, resource in CONTENT.items() if resource["resourceType"] in types}


def elements(node: Any, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Every JSON object below `node` with its path, `node` first."""
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from elements(child, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from elements(child, f"{path}[{index}]")


def codings(node: Any) -> Iterator[tuple[str, Resource]]:
    """Every Coding below `node` with its path; a Quantity and an OperationDefinition have a system and a code, too, but
    are none.
    """
    for path, element in elements(node):
        if (
            isinstance(element.get("system"), str)
            and "code" in element
            and "value" not in element
            and "unit" not in element
        ):
            yield path, element


def extension_values(element: Resource, url: str) -> list[Any]:
    """The values of the extensions of `element` with this url."""
    found = [each for each in element.get("extension", []) if each["url"] == url]
    return [value for each in found for key, value in each.items() if key.startswith("value")]


def claims(node: Any) -> set[str]:
    """Every claim id below `node`."""
    return {claim for _, element in elements(node) for claim in extension_values(element, SOURCE_CLAIM)}
