"""The drugs have the shape that two guides want: HL7's Order Catalog (R5), and the US Drug Formulary (R4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.convert import convert
from tests.content.monograph import of_type

SHAPES = Path(__file__).parent.parent / "data" / "shapes"
CATALOG = "http://hl7.org/fhir/uv/order-catalog/StructureDefinition/DrugKnowledge"
FORMULARY = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-FormularyDrug"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
# The kinds of RxNorm's concepts that the content names (TTY), as docs/content.md tells them: branded and generic
# products. An ingredient is neither.
KINDS = {
    "206157": "SBD",
    "206159": "SBD",
    "206160": "SBD",
    "197527": "SCD",
    "197528": "SCD",
    "197529": "SCD",
    "2598": "IN",
}
DRUGS = [one for _, one in sorted(of_type("MedicationKnowledge").items())]


def rxnorm() -> dict[str, Any]:
    """As much of RxNorm as the content names."""
    return {
        "resourceType": "CodeSystem", "url": RXNORM, "status": "active", "content": "fragment",
        "property": [{"code": "TTY", "type": "code"}],
        "concept": [{"code": code, "property": [{"code": "TTY", "valueCode": kind}]} for code, kind in KINDS.items()],
    }  # fmt: skip


def checked(drug: dict[str, Any], folder: Path, profile: str, version: str) -> list[dict[str, Any]]:
    """What the validator finds in one drug by itself."""
    packages = folder / "packages"
    packages.mkdir()
    for one in SHAPES.glob("*.json"):
        (packages / one.name).write_bytes(one.read_bytes())
    (packages / "rxnorm.json").write_text(json.dumps(rxnorm()))
    (folder / "drug.json").write_bytes(dumps(drug))
    command = ["validate", str(folder / "drug.json"), "--fhir-version", version, "--package", str(packages)]
    # What it refers to is not there; that it is in the whole content, `apothecary validate resources` shows.
    command += ["--profile", profile, "--disable", "unresolved-reference", "--format", "json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code in (0, 1), result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return found


@pytest.mark.parametrize("drug", DRUGS, ids=lambda one: str(one["id"]))
def test_a_drug_is_what_a_catalogue_of_drugs_to_order_wants(drug: dict[str, Any], tmp_path: Path) -> None:
    assert checked(drug, tmp_path, CATALOG, "R5") == []


@pytest.mark.parametrize("drug", DRUGS, ids=lambda one: str(one["id"]))
def test_a_product_is_what_a_formulary_lists_and_a_drug_as_such_is_not(drug: dict[str, Any], tmp_path: Path) -> None:
    served = {**drug, "meta": {**drug.get("meta", {}), "lastUpdated": "2026-11-26T00:00:00Z"}}
    older = convert(served, FhirVersion.R5, FhirVersion.R4).resource
    found = [one for one in checked(older, tmp_path, FORMULARY, "R4") if one["severity"] == "error"]
    kinds = {KINDS.get(one.get("code", "")) for one in drug["code"].get("coding", ()) if one.get("system") == RXNORM}
    if kinds & {"SBD", "SCD"}:
        assert found == []
    else:
        # A formulary lists products by a code of RxNorm. The monograph of a drug as such has the code of an ingredient,
        # and what was made up has none.
        assert any("semantic-drug" in json.dumps(one) for one in found)
        assert all(".code" in json.dumps(one) for one in found), found


def test_the_profiles_refuse_what_they_are_there_for(tmp_path: Path) -> None:
    for number, (version, profile) in enumerate((("R5", CATALOG), ("R4", FORMULARY))):
        folder = tmp_path / str(number)
        folder.mkdir()
        bare = {"resourceType": "MedicationKnowledge", "id": "bare", "status": "active"}
        assert [one for one in checked(bare, folder, profile, version) if one["severity"] == "error"]
