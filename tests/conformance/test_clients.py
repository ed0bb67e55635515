"""Clients that others wrote speak with every base: fhirpy, SMART's fhirclient (R4 models) and fhir-kit-client (Node).

They run against `apothecary serve` in a process of its own, over HTTP.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.medicationknowledge import MedicationKnowledge
from fhirclient.models.organization import Organization
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from tests.conformance.harness import ROOT, OverHttp, served
from tests.missing import missing
from tests.npm import installed
from tests.versions.corpus import content
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parent / "clients"

# fhirclient wants a value where R4 demands an element; FHIR is content with an extension in its place. R4 has no word
# for what these say there: https://hl7.org/fhir/R4/extensibility.html#Special-Case
UNSAID = {
    "Composition/clonazepam-monograph": "relatesTo.code",
    "SearchParameter/ArtifactAssessment-artifact": "base",
    "SearchParameter/ClinicalUseDefinition-category": "base",
    "SearchParameter/ClinicalUseDefinition-effect-statement": "base",
    "SearchParameter/ClinicalUseDefinition-interactant": "base",
    "SearchParameter/ClinicalUseDefinition-interactant-reference": "base",
    "SearchParameter/ClinicalUseDefinition-limitation": "base",
    "SearchParameter/ClinicalUseDefinition-other-therapy": "base",
    "SearchParameter/ClinicalUseDefinition-population": "base",
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverHttp]:
    """The server over the shipped content, open for writes because it is on a loopback address."""
    database = tmp_path_factory.mktemp("clients") / "apothecary.db"
    with served({"database": f"sqlite:///{database}", "content": str(ROOT / "resources")}) as server:
        yield server


@pytest.fixture(params=list(FhirVersion))
def version(request: pytest.FixtureRequest) -> FhirVersion:
    return FhirVersion(request.param)


@pytest.fixture
def fhirpy(live: OverHttp, version: FhirVersion) -> SyncFHIRClient:
    return SyncFHIRClient(f"{live.address}/fhir/{version.segment}")


def test_fhirpy_creates_reads_updates_and_deletes(fhirpy: SyncFHIRClient) -> None:
    organization = fhirpy.resource("Organization", name="First")
    organization.save()
    assert organization["meta"]["versionId"] == "1"
    organization["name"] = "Second"
    organization.save()
    found = fhirpy.reference("Organization", organization.id).to_resource()
    assert (found["name"], found["meta"]["versionId"]) == ("Second", "2")
    history = fhirpy.execute(f"Organization/{organization.id}/_history", method="get")
    assert [one["resource"]["name"] for one in history["entry"]] == ["Second", "First"]
    organization.delete()
    with pytest.raises(ResourceNotFound):
        fhirpy.reference("Organization", organization.id).to_resource()


def test_fhirpy_searches_page_by_page(fhirpy: SyncFHIRClient, version: FhirVersion) -> None:
    search = fhirpy.resources("MedicationKnowledge").search(drug_name="clonazepam").limit(1)
    found = search.fetch_all()
    assert len(found) == search.count() == 4
    guidelines = "indicationGuideline" if version is FhirVersion.R5 else "administrationGuidelines"
    assert any(guidelines in one for one in found)
    included = fhirpy.resources("MedicationKnowledge").include("MedicationKnowledge", "ingredient").fetch_raw()
    assert {one.resource["resourceType"] for one in included.entry} == {"MedicationKnowledge", "Substance"}


def test_fhirpy_sends_a_transaction_and_reads_an_outcome(fhirpy: SyncFHIRClient) -> None:
    entry = {
        "fullUrl": "urn:uuid:8d2f4f1e-6f0b-4a52-9a40-6d2f1a2b3c4d",
        "request": {"method": "POST", "url": "Organization"},
        "resource": {"resourceType": "Organization", "name": "Transacted"},
    }
    answer = fhirpy.resource("Bundle", type="transaction", entry=[entry]).serialize()
    done = fhirpy.execute("", method="post", data=answer)
    assert done["entry"][0]["response"]["status"] == "201 Created"
    with pytest.raises(OperationOutcome) as refused:
        fhirpy.resource("Medication", status="nonsense").save()
    assert refused.value.resource["issue"][0]["expression"] == ["Medication.status"]


@pytest.fixture
def smart(live: OverHttp) -> FHIRClient:
    client = FHIRClient(settings={"app_id": "apothecary-tests", "api_base": f"{live.address}/fhir/r4"})
    assert client.prepare()
    return client


def test_fhirclient_reads_the_whole_content_as_r4(smart: FHIRClient) -> None:
    read = 0
    for file in content():
        kind, key = file.parent.name, f"{file.parent.name}/{file.stem}"
        if key in UNSAID or not definitions(FhirVersion.R4).is_resource_type(kind):
            continue
        model = getattr(importlib.import_module(f"fhirclient.models.{kind.lower()}"), kind)
        assert model.read(file.stem, smart.server).id == file.stem
        read += 1
    assert read > 50


def test_fhirclient_reads_indications_without_resolving_anything(smart: FHIRClient) -> None:
    guidelines = MedicationKnowledge.read("clonazepam", smart.server).administrationGuidelines
    concepts = [one.indicationCodeableConcept for one in guidelines if one.indicationCodeableConcept]
    codes = {coding.code for concept in concepts for coding in concept.coding or ()}
    assert "F41.0" in codes
    assert all(concept.text for concept in concepts)


def test_fhirclient_follows_the_pages_of_a_search(smart: FHIRClient) -> None:
    found = list(MedicationKnowledge.where({"_count": "1", "_sort": "_id"}).perform_resources_iter(smart.server))
    assert [one.id for one in found] == [
        "clonazepam",
        "klonopin-0-5-mg-tablet",
        "klonopin-1-mg-tablet",
        "klonopin-2-mg-tablet",
    ]


def test_fhirclient_creates_updates_and_deletes(smart: FHIRClient) -> None:
    organization = Organization({"name": "First"})
    created = organization.create(smart.server)
    stored = Organization.read(created["id"], smart.server)
    stored.name = "Second"
    assert stored.update(smart.server)["meta"]["versionId"] == "2"
    assert Organization.read(stored.id, smart.server).name == "Second"
    stored.delete(smart.server)
    assert list(Organization.where({"_id": stored.id}).perform_resources_iter(smart.server)) == []


@pytest.fixture(scope="session")
def fhir_kit() -> Path:
    """A folder with fhir-kit-client and the tour, installed once. Without Node the tests are skipped, but never in
    continuous integration.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm are not installed (Debian: apt-get install nodejs npm)")
    folder = installed("fhir-kit-client", TOUR / "package.json")
    shutil.copy(TOUR / "tour.mjs", folder / "tour.mjs")
    return folder


def test_fhir_kit_client_tours_a_base(live: OverHttp, fhir_kit: Path, version: FhirVersion) -> None:
    form = "doseForm" if version is FhirVersion.R5 else "form"
    command = ["node", "tour.mjs", f"{live.address}/fhir/{version.segment}", form]
    done = subprocess.run(command, cwd=fhir_kit, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found == {
        "statement": version.number,
        "created": "tablet",
        "read": "tablet",
        "updated": "2",
        "vread": "tablet",
        "patched": "gel",
        "searched": ["gel"],
        "posted": 1,
        "history": ["gel", "capsule", "tablet"],
        "validated": "OperationOutcome",
        "pages": ["clonazepam", "klonopin-0-5-mg-tablet", "klonopin-1-mg-tablet", "klonopin-2-mg-tablet"],
        "batch": ["200", "404"],
        "transaction": ["200", "201"],
        "deleted": 410,
    }
