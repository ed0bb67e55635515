"""What is built from two sheets is served: found by what it says, in every release, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.content.sync import sync
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.validation import validate
from tests.conformance.harness import InProcess, write_content
from tests.content.monograph import BUILT, CONTENT, DRUGS
from tests.databases import session_database

SYSTEM = "https://terminology.invalid/made-up"

FOUND = [
    ("MedicationKnowledge?drug-name=examplamine", {"examplamine", "examplamine-12-5-mg-capsule"}),
    (f"MedicationKnowledge?indication={SYSTEM}|ACHE", {"examplamine"}),
    (f"MedicationKnowledge?indication:below={SYSTEM}|STATE", {"examplamine"}),
    ("MedicationKnowledge?strength=12500|http://unitsofmeasure.org|ug", {"examplamine-12-5-mg-capsule"}),
    (f"MedicationKnowledge?doseform={SYSTEM}|CAPS", {"examplamine-12-5-mg-capsule"}),
    (f"Medication?ingredient-code={SYSTEM}|SUB", {"examplamine-12-5-mg-capsule"}),
    (f"ClinicalUseDefinition?contraindication={SYSTEM}|STATE", {"examplamine-state"}),
    (f"ClinicalUseDefinition?effect={SYSTEM}|ITCH", {"examplamine-itching"}),
    ("ClinicalUseDefinition?subject=Medication/examplamine&type=interaction", {"examplamine-contrarine"}),
    ("ClinicalUseDefinition?subject=Medication/examplamine&category=limitation-of-use", {"examplamine-itch"}),
    ("ClinicalUseDefinition?subject=Medication/examplamine&category=unspecified", {"examplamine-ache"}),
    ("PackagedProductDefinition?name=30%20capsules%20in%20blisters", {"examplamine-12-5-mg-capsule-blister-30"}),
    ("ArtifactAssessment?artifact=ClinicalUseDefinition/examplamine-ache", {"examplamine-discrepancy-01"}),
    ("MedicationKnowledge?indication=http://hl7.org/fhir/sid/icd-10-cm|G43", set()),
]  # fmt: skip
IN_EVERY_RELEASE = ["MedicationKnowledge", "Medication", "Substance"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with session_database(request, tmp_path_factory) as url:
        folder = tmp_path_factory.mktemp("content")
        write_content(folder, [*BUILT.resources.values()])
        settings = Settings(database=url, content=str(folder))
        store = open_store(settings)
        sync(settings, store)
        yield InProcess(settings, store)
        store.close()


@pytest.mark.parametrize(("query", "ids"), FOUND, ids=[query for query, _ in FOUND])
def test_the_content_of_a_sheet_is_found(server: InProcess, query: str, ids: set[str]) -> None:
    answer = server.ask("GET", f"/fhir/r5/{query}", {"Prefer": "handling=strict"})
    assert answer.status == 200, answer.body
    assert set(answer.ids) == ids


@pytest.mark.parametrize("drug", DRUGS)
def test_each_drug_keeps_its_own_uses_and_issues(server: InProcess, drug: str) -> None:
    answer = server.ask("GET", f"/fhir/r5/ClinicalUseDefinition?subject=Medication/{drug}&_count=200")
    mine = {
        one["id"]
        for one in CONTENT.values()
        if one["resourceType"] == "ClinicalUseDefinition" and one["subject"][0]["reference"] == f"Medication/{drug}"
    }
    assert set(answer.ids) == mine


@pytest.mark.parametrize("release", [FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5], ids=str)
@pytest.mark.parametrize("resource_type", IN_EVERY_RELEASE)
def test_a_drug_is_sound_in_every_release(server: InProcess, release: FhirVersion, resource_type: str) -> None:
    base = f"/fhir/{release.segment}"
    answer = server.ask("GET", f"{base}/{resource_type}?_count=50")
    found: list[dict[str, Any]] = [one["resource"] for one in answer.json["entry"] if one["search"]["mode"] == "match"]
    assert {"examplamine", "clonazepam"} <= {one["id"] for one in found}
    for one in found:
        issues = [issue.diagnostics for issue in validate(one, release) if issue.severity in ("fatal", "error")]
        assert issues == [], one["id"]


@pytest.mark.parametrize("release", [FhirVersion.R4B, FhirVersion.R5], ids=str)
def test_statements_of_every_kind_are_sound_where_there_are_such(server: InProcess, release: FhirVersion) -> None:
    answer = server.ask(
        "GET", f"/fhir/{release.segment}/ClinicalUseDefinition?subject=Medication/examplamine&_count=50"
    )
    found = [one["resource"] for one in answer.json["entry"] if one["search"]["mode"] == "match"]
    assert {one["type"] for one in found} == {
        *("indication", "warning", "contraindication", "interaction", "undesirable-effect"),
    }
    for one in found:
        issues = [issue.diagnostics for issue in validate(one, release) if issue.severity in ("fatal", "error")]
        assert issues == [], one["id"]


def test_a_dose_and_a_package_reach_older_releases(server: InProcess) -> None:
    knowledge = server.ask("GET", "/fhir/r4/MedicationKnowledge/examplamine").json
    (dosage,) = knowledge["administrationGuidelines"][0]["dosage"][0]["dosage"]
    assert dosage["text"] == "12.50 mg twice a day for a week"
    product = server.ask("GET", "/fhir/r4/MedicationKnowledge/examplamine-12-5-mg-capsule").json
    assert b'"value":12.50' in server.ask(
        "GET", "/fhir/r4/MedicationKnowledge/examplamine-12-5-mg-capsule?_pretty=false"
    ).body.replace(b" ", b"")
    assert "packag" in str(product).lower()
