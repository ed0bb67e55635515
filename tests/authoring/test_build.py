"""What a sheet says becomes FHIR, nothing is lost and nothing added, and the sheet can be had back from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apothecary.authoring.build import build
from apothecary.authoring.folder import plan, read_sheet, read_table
from apothecary.authoring.imported import import_sheet
from apothecary.authoring.ledger import ledger
from apothecary.authoring.proof import differing
from apothecary.authoring.types import any_of
from apothecary.authoring.writing import sheet_text
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.authoring.sheets import held, read_value, whole_sheet
from tests.content.monograph import BUILT, CONTENT, DRUGS, RESOURCES, SHEETS, SHIPPED, TEST_SHEET, of_test

PUBLISHER = "Apothecary content editors"


def shortened(node: Any) -> Any:
    """A sheet in which every concept that is a text alone is written as one, and no list is empty."""
    if isinstance(node, dict):
        kept = {key: shortened(one) for key, one in node.items() if one not in ([], (), None)}
        return kept["text"] if kept.keys() == {"text"} else kept
    return [shortened(one) for one in node] if isinstance(node, list) else node


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text below `node`, with the key that it stands under."""
    if isinstance(node, dict):
        for name, one in node.items():
            yield from leaves(one, name)
    elif isinstance(node, list):
        for one in node:
            yield from leaves(one, key)
    elif isinstance(node, str):
        yield key, node


def test_the_committed_files_are_what_the_sheets_say() -> None:
    sheets = [read_sheet(path) for path in sorted((RESOURCES / "sheets").glob("*.yaml")) if path.stem in SHEETS]
    made = plan(SHIPPED, sheets, narratives=True)
    assert [str(path) for path in made.write] == []
    assert made.remove == []
    assert made.unverified == []


def test_the_sheet_of_a_shipped_drug_is_what_its_resources_give_back() -> None:
    for drug, sheet in SHEETS.items():
        found, left = import_sheet(drug, SHIPPED.resources, read_table(RESOURCES, drug), SHIPPED.vocabulary)
        assert left == []
        assert shortened(found) == shortened(sheet.value)
        assert [*differing(sheet_text(found), SHIPPED.resources, SHIPPED.vocabulary)] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    value = whole_sheet()
    sheet = read_value(value, tmp_path_factory.mktemp("whole"))
    built = build(sheet, held().vocabulary, PUBLISHER)
    assert built.faults == []
    return value, built.resources


def test_a_sheet_in_which_every_key_is_filled_can_be_had_back_from_its_resources(whole: Any) -> None:
    value, resources = whole
    by_reference = {f"{one['resourceType']}/{one['id']}": one for one in [*held().resources.values(), *resources]}
    table = {one["key"]: one["claims"] for one in value["sources"]}
    found, left = import_sheet("examplamine", by_reference, table, held().vocabulary)
    assert left == []
    for key in {*found, *value}:
        assert shortened(found.get(key)) == shortened(value.get(key)), key


def test_reading_a_sheet_out_of_resources_leaves_them_as_they_are() -> None:
    before = dumps([*SHIPPED.resources.values()])
    for drug in SHEETS:
        import_sheet(drug, SHIPPED.resources, read_table(RESOURCES, drug), SHIPPED.vocabulary)
    assert dumps([*SHIPPED.resources.values()]) == before


def test_no_statement_of_a_sheet_is_lost(whole: Any) -> None:
    value, resources = whole
    text = json.dumps([json.loads(dumps(one)) for one in resources], ensure_ascii=False)
    text += ledger([value], resources)
    free = [one for key, one in leaves(value) if re.search(r" [0-9]+$", one)]
    assert len(free) > 100
    assert [one for one in free if json.dumps(one, ensure_ascii=False)[1:-1] not in text] == []


@pytest.mark.parametrize("drug", DRUGS)
def test_every_statement_of_a_sheet_has_a_resource_and_no_other_has_one(drug: str) -> None:
    sheet = {**SHEETS, TEST_SHEET.drug: TEST_SHEET}[drug].value
    parts = ("uses", "limitations", "contraindications", "interactions", "undesirable-effects", "warnings")
    written = [one for part in parts for one in sheet.get(part, ())]
    subject = f"Medication/{drug}"
    mine = [
        one
        for one in CONTENT.values()
        if one["resourceType"] == "ClinicalUseDefinition" and one["subject"] == [{"reference": subject}]
    ]
    assert len(mine) == len(written)
    # What a reader reads of them is what stands in the sheet.
    said = {one for _, one in leaves(written)}
    for resource in mine:
        body = {key: one for key, one in resource.items() if key not in ("text", "id", "language")}
        texts = {one for key, one in leaves(body) if key in ("text", "description", "durationString", "valueMarkdown")}
        assert texts <= said, resource["id"]


def test_a_statement_that_leaves_the_sheet_leaves_the_content(tmp_path: Path) -> None:
    value = json.loads(json.dumps(TEST_SHEET.value, default=str))
    first = plan(held(), [TEST_SHEET])
    assert "ClinicalUseDefinition/examplamine-kites" in first.resources
    before = held()
    resources = {**before.resources, **first.resources}
    paths = {key: tmp_path / f"{key}.json" for key in resources}
    value["warnings"] = []
    value["sections"] = [one for one in value["sections"] if one.get("entries") != "warnings"]
    del value["sources"][0]["claims"]["S11"]
    again = plan(type(before)(tmp_path, resources, paths, before.vocabulary), [read_value(value, tmp_path)])
    assert again.remove == [tmp_path / "ClinicalUseDefinition" / "examplamine-kites.json"]
    assert "ClinicalUseDefinition/examplamine-kites" not in again.resources
    issues = {one["reference"] for one in again.resources["MedicationKnowledge/examplamine"]["clinicalUseIssue"]}
    assert "ClinicalUseDefinition/examplamine-kites" not in issues


def test_codes_that_nobody_verified_are_told_and_not_built(tmp_path: Path) -> None:
    value = json.loads(json.dumps(TEST_SHEET.value, default=str))
    value["uses"][0]["use"]["codes"] = ["made-up|ACHE", "?made-up|GUESS", "?<made-up|HUNCH"]
    made = plan(held(), [read_value(value, tmp_path)])
    assert len(made.unverified) == 2
    assert re.search(r"sheet\.yaml:\d+:\d+: made-up\|GUESS is not verified, so it is not built$", made.unverified[0])
    assert not re.search("GUESS|HUNCH", json.dumps(made.resources, default=str))


def test_a_fragment_has_the_codes_in_use_and_those_above_them() -> None:
    fragment = BUILT.resources["CodeSystem/made-up-fragment"]
    parents = {one["code"]: [part["valueCode"] for part in one.get("property", ())] for one in fragment["concept"]}
    assert parents["ACHE"] == ["PAIN"]
    assert parents["PAIN"] == ["STATE"]
    assert "UNUSED" not in parents
    assert fragment["hierarchyMeaning"] == "is-a"


def test_ids_of_statements_are_those_of_their_drug() -> None:
    own = [key for key in CONTENT if of_test(key) and not key.startswith("CodeSystem/")]
    assert own
    assert all(key.partition("/")[2].startswith("examplamine") for key in own)


@pytest.mark.parametrize("key", [key for key in CONTENT if of_test(key)])
def test_what_a_sheet_builds_is_valid(key: str) -> None:
    found = validate(CONTENT[key], FhirVersion.R5)
    assert [one.diagnostics for one in found if one.severity in ("fatal", "error", "warning")] == []


def test_a_concept_may_be_written_as_its_text() -> None:
    assert any_of("fever") == {"text": "fever"}
