"""One drug is found by any of its codes, once RxNorm's files are in a store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.content.sync import sync
from apothecary.fhir.json import dumps
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Report
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.terminology import stored
from tests.conformance.harness import InProcess
from tests.importers import rxnorm_files as files

RXNORM, UNII, ATC, NDC = (
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://fdasis.nlm.nih.gov",
    "http://www.whocc.no/atc",
    "http://hl7.org/fhir/sid/ndc",
)
RESOURCES = Path(__file__).parents[2] / "resources"
GENERIC, BRANDED = "rxnorm-197527", "rxnorm-206157"


@pytest.fixture
def server(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    """Content that has a few codes of RxNorm of its own, without a version, and a release beside it."""
    monkeypatch.setattr(stored, "LARGE", 20)
    for name in ("CodeSystem/rxnorm-fragment.json", "SearchParameter/MedicationKnowledge-drug-name.json"):
        (tmp_path / "content" / name).parent.mkdir(parents=True)
        (tmp_path / "content" / name).write_bytes((RESOURCES / name).read_bytes())
    settings = Settings(database=database_url, content=str(tmp_path / "content"))
    store = open_store(settings)
    sync(settings, store)
    given = Given([files.real().write(tmp_path / "rrf")], Report(lambda _: None), {})
    loader = Loader(store, settings, lambda failure: pytest.fail(str(failure)))
    made = FORMATS["rxnorm"].resources(given)
    load(loader, (read_bytes("rxnorm", dumps(one.resource), "ndjson") for one in made))
    yield InProcess(settings, store)
    store.close()


ASKED = {
    "the RxCUI of the product": (f"code={RXNORM}|206157", {BRANDED}),
    "the RxCUI of the generic, and what is below it": (f"code:below={RXNORM}|197527", {GENERIC, BRANDED}),
    "the RxCUI of an ingredient": (f"ingredient-code={RXNORM}|2598", {GENERIC, BRANDED}),
    "the RxCUI of an ingredient, above the product": (f"code:below={RXNORM}|2598", {GENERIC, BRANDED}),
    "the RxCUI of a brand, above the product": (f"code:below={RXNORM}|{files.BRAND}", {BRANDED}),
    "a group": (f"classification={RXNORM}|{files.DRUG_GROUP}", {GENERIC}),
    "a UNII": (f"ingredient-code={UNII}|5PE9FDE8GB", {GENERIC, BRANDED}),
    "an ATC code": (f"classification={ATC}|N03AE01", {GENERIC, BRANDED}),
    "an NDC of 11 digits": (f"code={NDC}|99991000201", {BRANDED}),
    "an NDC with hyphens": (f"code={NDC}|99991-0002-01", {BRANDED}),
    "an NDC of 10 digits": (f"code={NDC}|99991-002-01", {BRANDED}),
    "an NDC with spaces": (f"code={NDC}|99991 0002 01", {BRANDED}),
    "an NDC with asterisks between": (f"code={NDC}|99991*0002*01", {BRANDED}),
    "an NDC with asterisks that fill": (f"code={NDC}|99991-*002-*1", {BRANDED}),
    "an NDC with asterisks, without its system": ("code=99991*0002*01", {BRANDED}),
    "the NDC of the product": (f"code:below={NDC}|99991-0002", {BRANDED}),
    "an NDC without its system": ("code=99991000201", {BRANDED}),
    "the brand": ("drug-name=klonopin", {BRANDED}),
    "the generic name": ("drug-name=clonazepam", {GENERIC, BRANDED}),
    "the form, and what is below its group": (f"doseform:below={RXNORM}|{files.FORM_GROUP}", {GENERIC, BRANDED}),
}


def test_a_drug_of_rxnorm_is_found_by_any_of_its_codes_in_r5_and_r4(server: InProcess) -> None:
    for release in ("r5", "r4"):
        for said, (query, found) in ASKED.items():
            answer = server.ask("GET", f"/fhir/{release}/MedicationKnowledge?{quote(query, safe='=&:')}&_count=50")
            assert answer.status == 200, (said, answer.body)
            ids = {one for one in answer.ids if one in (GENERIC, BRANDED)}
            assert ids == found, (release, said, answer.ids)
    # And the NDC of a package is translated to the drug that is in it.
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sourceCoding", "valueCoding": {"system": NDC, "code": "99991000201"}},
            {"name": "targetSystem", "valueUri": RXNORM},
        ],
    }
    headers = {"Content-Type": "application/fhir+json"}
    answer = server.ask("POST", "/fhir/r5/ConceptMap/$translate", headers, json.dumps(asked))
    (match,) = [one["part"] for one in answer.json["parameter"] if one["name"] == "match"]
    said = {one["name"]: one for one in match}
    assert said["relationship"]["valueCode"] == "source-is-narrower-than-target"
    assert said["concept"]["valueCoding"]["code"] == "206157"
