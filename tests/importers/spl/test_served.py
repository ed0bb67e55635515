"""Labels that were imported are found and read in each release, as documents, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess
from tests.importers.openfda.records import SET_ID, label, written

DATA = Path(__file__).parents[2] / "data" / "spl"
LABEL = "spl-17a163ef-b349-4e32-bc8c-b02bac7f65d6"
DRUG = f"{LABEL}-55289-800"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[InProcess]:
    for _ in range(2):
        result = CliRunner().invoke(
            main, ["import", "spl", str(DATA / "lipitor-repack.xml"), "--database", database_url]
        )
        assert result.exit_code == 0, result.output
    assert "0 created, 0 updated" in result.output
    other = written(tmp_path / "label.json", label(0x25C, openfda={"rxcui": ["856987"]}))
    result = CliRunner().invoke(main, ["import", "openfda", str(other), "--database", database_url])
    assert result.exit_code == 0, result.output
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    yield InProcess(settings, store)
    store.close()


ASKED = {
    "MedicationKnowledge": [
        f"code={NDC}|55289-800", f"code={NDC}|55289-800-30", f"code={NDC}|55289080030", "code=55289-0800-30",
        "ingredient-code=48A5M73Z4Q", "ingredient-code=A0JWA85V8F", "doseform=C42931",
    ],
    "Medication": [f"code={NDC}|55289080030", "ingredient-code=A0JWA85V8F"],
}  # fmt: skip


def test_a_drug_of_a_label_is_found_in_each_release_and_its_label_read_as_a_document(server: InProcess) -> None:
    for release in ("r4", "r4b", "r5"):
        for kind, queries in ASKED.items():
            for query in queries:
                name, _, value = query.partition("=")
                bundle = server.ask("GET", f"/fhir/{release}/{kind}?{name}={quote(value)}").json
                found = [one["resource"]["id"] for one in bundle.get("entry", [])]
                assert found == [DRUG], (release, kind, query)
        document = server.ask("GET", f"/fhir/{release}/Composition/{LABEL}/$document")
        assert document.status == 200
        kinds = {one["resource"]["resourceType"] for one in document.json["entry"]}
        assert {"Composition", "Medication", "MedicationKnowledge", "Organization"} <= kinds
        statements = "ClinicalUseDefinition" if release != "r4" else "Basic"
        assert sum(one["resource"]["resourceType"] == statements for one in document.json["entry"]) >= 10
        for query in (f"code={RXNORM}|856987", f"code={NDC}|15631040404", "ingredient-code=ETJ7Z6XBU4"):
            name, _, value = query.partition("=")
            bundle = server.ask("GET", f"/fhir/{release}/MedicationKnowledge?{name}={quote(value)}").json
            assert [one["resource"]["id"] for one in bundle["entry"]] == [f"openfda-{SET_ID}"], (release, query)
    warned = server.ask("GET", f"/fhir/r5/ClinicalUseDefinition?subject=Medication/{DRUG}&type=contraindication").json
    assert [one["resource"]["id"] for one in warned["entry"]] == [f"{LABEL}-34070-3"]


def test_what_a_label_says_in_words_is_told_as_not_looked_at(server: InProcess) -> None:
    """Of its sections on interactions and contraindications nothing is concluded, and nothing is kept silent."""
    for section, said in (("34070-3", "that no code ties to anything"), ("34073-7", "in words only")):
        statement = server.ask("GET", f"/fhir/r5/ClinicalUseDefinition/{LABEL}-{section}")
        assert statement.status == 200
        answer = server.ask("GET", f"/fhir/r5/MedicationKnowledge/$detect-issues?medication=Medication/{DRUG}")
        outcome, *stated = (one["resource"] for one in answer.json["entry"])
        assert stated == []
        texts = [one["details"]["text"] for one in outcome["issue"]]
        (told,) = (one for one in texts if f"ClinicalUseDefinition/{LABEL}-{section}" in one and "Answered" not in one)
        assert told.startswith("not looked at: ")
        assert said in told
