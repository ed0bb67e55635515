"""One drug is found by any of its codes: by RxNorm's files alone, and where those of several publishers meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from apothecary.cli import main
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
from tests.importers import one_drug
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


# -- the files of three publishers in one store

LISTED, LABELLED = one_drug.LISTED, one_drug.LABELLED
WITH_NDC = {LISTED, LABELLED, BRANDED}
TOGETHER = {
    "the RxCUI of the product": (f"code={RXNORM}|206157", WITH_NDC),
    "the RxCUI of the generic": (f"code:below={RXNORM}|197527", {*WITH_NDC, GENERIC}),
    "the RxCUI of the ingredient": (f"ingredient-code={RXNORM}|2598", {BRANDED, GENERIC}),
    "the RxCUI of the ingredient, above the product": (f"code:below={RXNORM}|2598", {*WITH_NDC, GENERIC}),
    "the UNII": (f"ingredient-code={UNII}|{one_drug.SUBSTANCE}", {*WITH_NDC, GENERIC}),
    "the ATC code": (f"classification={ATC}|N03AE01", {BRANDED, GENERIC}),
    "an NDC of 11 digits": (f"code={NDC}|99991000201", WITH_NDC),
    "an NDC of 11 digits with hyphens": (f"code={NDC}|99991-0002-01", WITH_NDC),
    "an NDC of 10 digits": (f"code={NDC}|99991-002-01", WITH_NDC),
    "an NDC of 10 digits without hyphens": (f"code={NDC}|9999100201", WITH_NDC),
    "an NDC with spaces": (f"code={NDC}|99991 0002 01", WITH_NDC),
    "an NDC with asterisks": (f"code={NDC}|99991*0002*01", WITH_NDC),
    "an NDC without its system": ("code=99991000201", WITH_NDC),
    "the NDC of the product": (f"code={NDC}|99991-002", {LISTED, LABELLED}),
    "the NDC of the product, above the package": (f"code:below={NDC}|99991-0002", WITH_NDC),
    "the brand": ("drug-name=klonopin", WITH_NDC),
    "the generic name": ("drug-name=clonazepam", {*WITH_NDC, GENERIC}),
}
MATCHED = {
    f"code={RXNORM}|206157": WITH_NDC,
    f"code={RXNORM}|197527": {GENERIC},
    f"code={NDC}|99991000201": WITH_NDC,
    f"code={NDC}|99991-002-01": WITH_NDC,
    f"code={NDC}|99991 0002 01": WITH_NDC,
    "code=99991*0002*01&strength=0.5 mg": WITH_NDC,
    "name=klonopin&strength=0.5 mg&form=tablet": {LISTED, LABELLED},
}
# What has the substance, the class or the ingredient is no exact match of it, but meets the code in part.
IN_PART = {
    f"code={UNII}|{one_drug.SUBSTANCE}&strength=0.5 mg": {*WITH_NDC, GENERIC},
    f"code={RXNORM}|2598&strength=0.5 mg": {*WITH_NDC, GENERIC},
    f"code={ATC}|N03AE01&strength=0.5 mg": {BRANDED, GENERIC},
}


@pytest.fixture
def together(database_url: str, tmp_path: Path) -> Iterator[InProcess]:
    """A store that took in all three, twice: nothing of one is taken for another's, or written a second time."""
    steps: list[list[str | Path]] = [
        ["load", RESOURCES / "SearchParameter" / "MedicationKnowledge-drug-name.json"],
        ["import", "rxnorm", one_drug.rxnorm(tmp_path)],
        ["import", "ndc", one_drug.ndc(tmp_path)],
        ["import", "spl", one_drug.spl(tmp_path)],
    ]
    said = ""
    for words in (*steps, *steps):
        result = CliRunner().invoke(main, [*map(str, words), "--database", database_url])
        assert result.exit_code == 0, result.output
        said += result.output
    assert said.count("0 created, 0 updated") == len(steps)
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    yield InProcess(settings, store)
    store.close()


def test_the_files_of_three_publishers_meet_in_one_drug(together: InProcess) -> None:
    server, every = together, {LISTED, LABELLED, BRANDED, GENERIC}
    for release in ("r5", "r4"):
        for said, (query, found) in TOGETHER.items():
            answer = server.ask("GET", f"/fhir/{release}/MedicationKnowledge?{quote(query, safe='=&:')}&_count=50")
            assert answer.status == 200, (said, answer.body)
            assert len(answer.ids) == len(set(answer.ids))
            assert every & set(answer.ids) == found, (release, said, answer.ids)
        for query, found in (MATCHED | IN_PART).items():
            path = f"/fhir/{release}/MedicationKnowledge/$match?{quote(query, safe='=&:')}&count=50"
            entries = [one for one in server.ask("GET", path).json["entry"] if one["search"]["mode"] == "match"]
            grades = {one["resource"]["id"]: one["search"]["extension"][0]["valueCode"] for one in entries}
            grade = "certain" if query in MATCHED else "probable"
            assert {one for one, said in grades.items() if said == grade} == found, (release, query, grades)
    _agree(server)


def _agree(server: InProcess) -> None:
    """What the three say alike is the same in each, and none says it twice."""
    drugs = [server.ask("GET", f"/fhir/r5/MedicationKnowledge/{one}").json for one in sorted(WITH_NDC)]
    assert {one["status"] for one in drugs} == {"active"}
    for one in drugs:
        (ingredient,) = one["definitional"]["ingredient"]
        (unii,) = [each["code"] for each in ingredient["item"]["concept"]["coding"] if each["system"] == UNII]
        ratio = ingredient["strengthRatio"]
        strength = [(ratio[part]["value"], ratio[part]["code"]) for part in ("numerator", "denominator")]
        assert (unii, strength) == (one_drug.SUBSTANCE, [(0.5, "mg"), (1, "1")]), one["id"]
        assert len(set(map(str, one["code"]["coding"]))) == len(one["code"]["coding"])
        assert len({name.casefold() for name in one["name"]}) == len(one["name"]) == 2
    packs = server.ask("GET", f"/fhir/r5/PackagedProductDefinition?identifier={NDC}|{one_drug.PACKAGE}").json
    inside = [one["resource"]["packaging"]["containedItem"][0] for one in packs["entry"]]
    codes = [one["item"]["concept"]["coding"][0]["code"] for one in inside]
    assert (codes, [one["amount"]["value"] for one in inside]) == ([one_drug.PRODUCT] * 2, [100, 100])
