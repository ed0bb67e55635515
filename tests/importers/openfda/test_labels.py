"""Records of labels become what the labels themselves become, as far as a record says it."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.json import JSON
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Remark, Report
from tests.importers.making import by_type, dangling, errors, imported
from tests.importers.openfda.records import LABEL, SET_ID, label, written


def made(tmp_path: Path, *records: Any) -> tuple[list[JSON], list[Remark]]:
    """The resources of records, which are valid and refer to what is there, and what is told."""
    resources, remarks = imported("openfda", written(tmp_path / "labels.json", *records))
    assert errors(resources) == []
    assert dangling(resources) == set()
    return resources, remarks


def test_a_label_as_openfda_publishes_it_is_there(tmp_path: Path) -> None:
    resources, remarks = made(tmp_path, LABEL)
    assert remarks == []
    knowledge = by_type(resources, "MedicationKnowledge")[0]
    assert knowledge["id"] == f"openfda-{SET_ID}"
    assert {one["system"] for one in knowledge["code"]["coding"]} == {"http://hl7.org/fhir/sid/ndc"}
    assert [one["code"] for one in knowledge["code"]["coding"]] == ["15631-0404", "15631-0404-4", "15631-0404-5"]
    concept = knowledge["definitional"]["ingredient"][0]["item"]["concept"]
    assert (concept["coding"][0]["code"], concept["text"]) == ("ETJ7Z6XBU4", "SILICON DIOXIDE")
    assert "three times daily" in str(knowledge["indicationGuideline"][0]["dosingGuideline"])
    packages = by_type(resources, "PackagedProductDefinition")
    assert [one["identifier"][0]["value"] for one in packages] == ["15631-0404-4", "15631-0404-5"]
    found = by_type(resources, "ClinicalUseDefinition")
    assert {one["category"][0]["coding"][0]["code"]: one["type"] for one in found} == {
        "50565-1": "warning",
        "34071-1": "warning",
        "50566-9": "warning",
        "50570-1": "contraindication",
        "34067-9": "indication",
    }
    composition = by_type(resources, "Composition")[0]
    texts = str(composition)
    for key, value in LABEL.items():
        if isinstance(value, list):
            assert value[0] in texts, key


def test_codes_of_rxnorm_substances_and_classes_are_there(tmp_path: Path) -> None:
    known = {
        "rxcui": ["856987", "123"],
        "unii": ["A0JWA85V8F", "48A5M73Z4Q"],
        "substance_name": ["ONE", "TWO"],
        "pharm_class_epc": ["HMG-CoA Reductase Inhibitor [EPC]"],
        "nui": ["N0000175589"],
        "application_number": ["NDA020702"],
        "upc": ["0300710156239"],
    }
    resources, remarks = made(tmp_path, label(openfda=known))
    knowledge = by_type(resources, "MedicationKnowledge")[0]
    assert [one["code"] for one in knowledge["code"]["coding"]][:1] == ["15631-0404"]
    assert [one["code"] for one in knowledge["code"]["coding"]][-2:] == ["856987", "123"]
    assert [one["type"]["text"] for one in knowledge["medicineClassification"]] == ["EPC", "NDF-RT"]
    assert knowledge["medicineClassification"][0]["classification"] == [{"text": "HMG-CoA Reductase Inhibitor"}]
    assert [one["item"]["concept"] for one in knowledge["definitional"]["ingredient"]] == [
        {"coding": [{"system": "http://fdasis.nlm.nih.gov", "code": code}]} for code in known["unii"]
    ]
    assert by_type(resources, "RegulatedAuthorization")[0]["identifier"][0]["value"] == "NDA020702"
    assert [one.reason for one in remarks] == [
        "2 names of substances are left out: which of 2 UNIIs is which is not said"
    ]


def test_a_label_of_several_products_is_found_by_the_codes_of_each_and_says_that_it_is_of_several(
    tmp_path: Path,
) -> None:
    resources, remarks = made(tmp_path, label(openfda={"product_ndc": ["15631-0404", "15631-0405"], "rxcui": ["1"]}))
    codings = by_type(resources, "Medication")[0]["code"]["coding"]
    assert [one["code"] for one in codings][:2] == ["15631-0404", "15631-0405"]
    assert codings[-1] == {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1"}
    assert [one.kind for one in remarks] == ["approximated"]
    assert "2 products stand as one" in remarks[0].reason


def test_a_table_keeps_its_cells(tmp_path: Path) -> None:
    table = '<table width="100%"><tbody><tr styleCode="Botrule"><td>Age</td><td>Dose</td></tr></tbody></table>'
    resources, remarks = made(tmp_path, label(dosage_and_administration_table=[table], warnings_table=["<table><tr>"]))
    text = str(by_type(resources, "Composition")[0])
    assert "<td>Age</td><td>Dose</td>" in text
    assert [one.reason for one in remarks if "a table stands as its text" in one.reason] != []
    assert len(remarks) == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"set_id": "no-uuid"}, "skipped: the set id 'no-uuid' is no UUID"),
        ({"effective_time": "20241399"}, "skipped: the effective time '20241399' is no date"),
        ({"warnings": [1, "Careful."]}, "skipped: what is no text is left out"),
        ({"warnings": {"a": "b"}}, "skipped: has no text"),
        ({"openfda": {"product_ndc": ["123"]}}, "skipped: openfda.product_ndc: '123' is no such code"),
        ({"openfda": {"rxcui": ["x y"]}}, "skipped: openfda.rxcui: 'x y' is no such code"),
        ({"openfda": {"color": ["red"]}}, "skipped: the field is not known here"),
        ({"contraindications": ["4 CONTRAINDICATIONS None."]}, "approximated: says '4 CONTRAINDICATIONS None.': "),
    ],
)  # fmt: skip
def test_what_is_no_such_thing_is_told(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    _, remarks = made(tmp_path, label(**fields))
    (one,) = remarks
    assert f"{one.kind}: {one.reason}".startswith(told)


def test_a_label_without_products_is_a_document_of_none(tmp_path: Path) -> None:
    bare = {**LABEL, "openfda": {}}
    resources, remarks = made(tmp_path, bare)
    assert by_type(resources, "Medication") == []
    assert "subject" not in by_type(resources, "Composition")[0]
    assert [one.reason for one in remarks] == ["the label names no product: what it states is of none"]


def test_parts_in_zip_files_are_read_and_a_label_that_comes_again_is_told(tmp_path: Path) -> None:
    for number, labels in enumerate(([label(1), label(2)], [label(2), label(3)]), 1):
        file = written(tmp_path / f"drug-label-000{number}-of-0002.json", *labels)
        with zipfile.ZipFile(f"{file}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, file.name)
        file.unlink()
    resources, remarks = imported("openfda", tmp_path)
    assert len(by_type(resources, "Composition")) == 3
    assert len(by_type(resources, "Organization")) == 1
    (one,) = remarks
    assert one.place.file.endswith("0002-of-0002.json/results[0]")
    assert "has the label" in one.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"error": {"code": "NOT_FOUND", "message": "No matches found!"}}', "has no results"),
        ('{"results": []}', "has no results"),
        ("[]", "has no results"),
        ("", "is not JSON after 0 records"),
        ("nonsense", "is not JSON after 0 records"),
        ('{"results": [1]}', "is no record"),
        ('{"results": [{}]}', "is a record of neither a label nor a product"),
        (json.dumps({"results": [LABEL, LABEL]})[:-900], "is not JSON after 1 records"),
        (json.dumps({"results": [LABEL]}) + "{}", "is not JSON after 1 records"),
        ('{"results": [{"a": ' + "[" * 100_000, "nested deeper than 40 levels"),
        ('{"results": [{"a": "\xff"}]}', "is not JSON after 0 records"),
    ],
)
def test_a_file_that_is_none_is_named_and_the_rest_goes_on(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    written(tmp_path / "b.json", label(7))
    resources, remarks = imported("openfda", tmp_path)
    assert f"openfda-{7:08x}{SET_ID[8:]}" in [one["id"] for one in by_type(resources, "Composition")]
    assert any(reason in one.reason for one in remarks), remarks


def test_a_record_without_end_does_not_fill_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("w") as stream:
        stream.write('{"results": [{"warnings": [')
        for _ in range(90):
            stream.write(f'"{"x" * 1_000_000}",')
    tracemalloc.start()
    resources, remarks = imported("openfda", tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert resources == []
    assert "a record is larger than" in remarks[0].reason
    assert peak < 80_000_000


def test_a_file_of_many_records_is_read_one_after_the_other(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", *(label(number, purpose=["x" * 50_000]) for number in range(12)))
    file.write_text(file.read_text().rstrip("]}\n ") + "torn")
    remarks: list[Remark] = []
    made = FORMATS["openfda"].resources(Given([file], Report(remarks.append), {}))
    assert next(made).resource["resourceType"] == "Organization"
    assert remarks == []
    assert sum(one.resource["resourceType"] == "Composition" for one in made) == 11
    assert [one.reason.partition(":")[0] for one in remarks] == ["is not JSON after 11 records"]
