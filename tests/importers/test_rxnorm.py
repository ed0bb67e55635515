"""`apothecary.importers.rxnorm`: what becomes of each kind of row, and that none of them is lost in silence."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from apothecary.errors import StartError
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Remark, Report
from apothecary.importers.rxnorm import terminology
from apothecary.validation import validate
from apothecary.versions import convert
from tests.importers import rxnorm_files as files
from tests.importers.rxnorm_files import MADE_UP, Rrf

JSON = dict[str, Any]
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UNII = "http://fdasis.nlm.nih.gov"


def imported(*paths: Path, strict: bool = False) -> tuple[dict[str, JSON], list[Remark]]:
    """What is made of the files, by type and id, and what is told of them."""
    told: list[Remark] = []
    given = Given(paths, Report(told.append, strict=strict), {})
    made = {
        f"{one.resource['resourceType']}/{one.resource['id']}": one.resource
        for one in FORMATS["rxnorm"].resources(given)
    }
    return made, told


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, JSON], list[Remark]]:
    return imported(files.real().write(tmp_path_factory.mktemp("rrf")))


def written(tmp_path: Path, change: Callable[[Rrf], object]) -> tuple[dict[str, JSON], list[Remark]]:
    rrf = files.real()
    change(rrf)
    return imported(rrf.write(tmp_path))


def errors(resource: Any, version: FhirVersion) -> list[str]:
    return [str(one) for one in validate(resource, version) if one.severity in ("error", "fatal")]


def codes(concept: JSON, system: str) -> list[str]:
    return [one["code"] for one in concept["coding"] if one.get("system") == system]


def test_a_clinical_drug_has_its_identity_its_ingredient_and_its_strength(real: Any) -> None:
    made, _ = real
    knowledge, medication = made["MedicationKnowledge/rxnorm-197527"], made["Medication/rxnorm-197527"]
    for one in (knowledge, medication):
        assert one["code"]["coding"][0] == {
            "system": RXNORM,
            "code": "197527",
            "display": "clonazepam 0.5 MG Oral Tablet",
        }
        assert codes(one["code"], "http://hl7.org/fhir/sid/ndc") == ["99990000101", "99990000102"]
        assert one["code"]["text"] == "clonazePAM 0.5 MG Oral Tablet"
        assert one["status"] == "active"
    inside = knowledge["definitional"]["ingredient"][0]
    assert codes(inside["item"]["concept"], RXNORM) == ["2598"]
    assert codes(inside["item"]["concept"], UNII) == ["5PE9FDE8GB"]
    assert json.loads(dumps(inside["strengthRatio"])) == {
        "numerator": {"value": 0.5, "unit": "MG", "system": "http://unitsofmeasure.org", "code": "mg"},
        "denominator": {"value": 1, "system": "http://unitsofmeasure.org", "code": "1"},
    }
    assert knowledge["definitional"]["doseForm"]["coding"][0]["code"] == "317541"
    assert medication["ingredient"][0]["isActive"] is True
    assert knowledge["name"] == ["clonazepam", "clonazePAM 0.5 MG Oral Tablet", "clonazepam 0.5 MG tablet (made up)"]
    assert knowledge["productType"] == [{"text": "generic"}]
    assert knowledge["associatedMedication"] == [{"reference": "Medication/rxnorm-197527"}]


def test_a_branded_drug_is_named_by_its_brand_which_is_no_ingredient_and_leads_to_the_generic_and_back(
    real: Any,
) -> None:
    made, _ = real
    branded, generic = made["MedicationKnowledge/rxnorm-206157"], made["MedicationKnowledge/rxnorm-197527"]
    assert branded["name"] == ["Klonopin (made-up identifier)", "clonazepam"]
    assert [codes(one["item"]["concept"], RXNORM) for one in branded["definitional"]["ingredient"]] == [["2598"]]
    assert branded["productType"] == [{"text": "branded"}]

    def related(one: JSON) -> dict[str, list[str]]:
        return {
            each["type"]["text"]: [r["reference"] for r in each["reference"]]
            for each in one["relatedMedicationKnowledge"]
        }

    assert related(branded)["tradename of"] == ["MedicationKnowledge/rxnorm-197527"]
    assert related(generic)["has tradename"] == ["MedicationKnowledge/rxnorm-206157"]


def test_a_drug_is_classed_by_its_groups_and_by_the_atc_code_of_its_only_ingredient(real: Any) -> None:
    made, _ = real

    def classes(key: str) -> dict[str, list[str]]:
        found = made[key].get("medicineClassification", [])
        return {one["type"]["text"]: [c["coding"][0]["code"] for c in one["classification"]] for one in found}

    assert classes("MedicationKnowledge/rxnorm-197527") == {
        "SCDF": [str(files.DRUG_FORM)],
        "SCDG": [str(files.DRUG_GROUP)],
        "ATC of the ingredient": ["N03AE01"],
    }
    assert classes(f"MedicationKnowledge/rxnorm-{files.COMBINED}") == {}


def test_a_salt_is_coded_by_what_it_is_a_form_of_too(real: Any) -> None:
    made, _ = real
    for key in (files.LIQUID, files.QUANTIFIED):
        (inside,) = made[f"MedicationKnowledge/rxnorm-{key}"]["definitional"]["ingredient"]
        assert codes(inside["item"]["concept"], RXNORM) == [str(files.SALT), "35636"]
        assert inside["strengthRatio"]["denominator"]["code"] == "mL"
    assert made[f"Substance/rxnorm-{files.SALT}"]["code"]["concept"]["text"] == "risperidone mesylate (made up)"


def test_a_quantified_drug_has_its_volume(real: Any) -> None:
    made, _ = real
    volume = made[f"Medication/rxnorm-{files.QUANTIFIED}"]["totalVolume"]
    assert (volume["value"], volume["code"]) == (2, "mL")
    assert "totalVolume" not in made[f"Medication/rxnorm-{files.LIQUID}"]


def test_strengths_are_read_at_the_component_and_as_of_2021_at_the_drug(real: Any) -> None:
    made, _ = real
    knowledge = made[f"MedicationKnowledge/rxnorm-{files.COMBINED}"]
    found = [
        (
            codes(one["item"]["concept"], RXNORM),
            *((part["value"], part["code"]) for part in one["strengthRatio"].values()),
        )
        for one in knowledge["definitional"]["ingredient"]
    ]
    assert found == [(["5093"], (5, "mg"), (5, "mL")), (["8183"], (100, "{unit}"), (1, "mL"))]
    assert knowledge["name"] == ["haloperidol / phenytoin"]


def test_a_pack_leads_to_the_drugs_that_it_holds(real: Any) -> None:
    made, _ = real
    medication = made[f"Medication/rxnorm-{files.GENERIC_PACK}"]
    assert [one["item"]["reference"]["reference"] for one in medication["ingredient"]] == [
        "Medication/rxnorm-197527",
        "Medication/rxnorm-197528",
    ]
    knowledge = made[f"MedicationKnowledge/rxnorm-{files.BRANDED_PACK}"]
    assert [
        (one["type"]["text"], one["reference"][0]["reference"]) for one in knowledge["relatedMedicationKnowledge"]
    ] == [
        ("tradename of", f"MedicationKnowledge/rxnorm-{files.GENERIC_PACK}"),
        ("contains", "MedicationKnowledge/rxnorm-206157"),
    ]
    assert [codes(one["item"]["concept"], RXNORM) for one in knowledge["definitional"]["ingredient"]] == [["2598"]]


def test_what_is_suppressed_is_inactive(real: Any) -> None:
    made, _ = real
    assert made[f"MedicationKnowledge/rxnorm-{files.OLD}"]["status"] == "inactive"
    assert made[f"Medication/rxnorm-{files.OLD}"]["status"] == "inactive"
    (concept,) = (one for one in made["CodeSystem/rxnorm"]["concept"] if one["code"] == str(files.OLD))
    assert {"code": "inactive", "valueBoolean": True} in concept["property"]


def test_the_code_system_puts_products_below_generics_and_ingredients_but_no_pack_below_its_contents(real: Any) -> None:
    made, _ = real
    system = made["CodeSystem/rxnorm"]
    assert (system["url"], system["version"], system["content"]) == (RXNORM, "11022026", "fragment")
    parents = {
        one["code"]: {p["valueCode"] for p in one["property"] if p["code"] == "parent"} for one in system["concept"]
    }

    def above(code: str) -> set[str]:
        return {found for parent in parents[code] for found in {parent, *above(parent)}}

    assert {"197527", "2598", str(files.BRAND), str(files.DRUG_GROUP)} <= above("206157")
    assert {str(files.SALT), "35636", str(files.LIQUID)} <= above(str(files.QUANTIFIED))
    assert {"5093", "8183", str(files.SEVERAL)} <= above(str(files.COMBINED))
    assert above(str(files.BRANDED_PACK)) == {str(files.GENERIC_PACK)}
    assert above("317541") == {str(files.FORM_GROUP)}
    assert above("2598") == set()


def test_ndcs_are_mapped_to_their_drugs_as_narrower_in_maps_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more(rrf: Rrf) -> None:
        for number in range(40):
            rrf.attribute(197529, "NDC", f"9999{number:02}00101")
        rrf.attribute(197528, "NDC", "99991000201")  # of two drugs

    monkeypatch.setattr(terminology, "MOST", 12)
    made, _ = written(tmp_path, more)
    maps = [one for one in made.values() if one["resourceType"] == "ConceptMap"]
    assert all(len(one["group"][0]["element"]) <= 12 for one in maps)
    assert len(maps) > 3
    mapped = {
        element["code"]: [(t["code"], t["relationship"]) for t in element["target"]]
        for one in maps
        for element in one["group"][0]["element"]
    }
    assert mapped["99990000101"] == [
        ("197527", "source-is-narrower-than-target"),
        ("197529", "source-is-narrower-than-target"),
    ]
    assert [code for code, _ in mapped["99991000201"]] == ["197528", "206157"]
    assert len(mapped) == len(
        {code for one in files.NDC.values() for code in one} | {f"9999{n:02}00101" for n in range(40)}
    )


def test_what_is_made_is_valid_in_r5_and_r4_and_other_programs_read_it(real: Any) -> None:
    made, _ = real
    for key, one in made.items():
        resource = parse(dumps(one))
        assert errors(resource, FhirVersion.R5) == [], key
        older = convert(resource, FhirVersion.R5, FhirVersion.R4).resource
        assert errors(older, FhirVersion.R4) == [], key
        kind = one["resourceType"]
        model = getattr(importlib.import_module(f"fhir.resources.{kind.lower()}"), kind)
        model.model_validate(json.loads(dumps(one)))


def test_the_same_files_make_the_same_bytes_from_a_folder_and_from_a_zip_file(tmp_path: Path, real: Any) -> None:
    made, _ = real
    packed = files.real().pack(tmp_path / "RxNorm_full.zip", "rrf", "prescribe/rrf")
    only_part = files.real().pack(tmp_path / "RxNorm_prescribe.zip", "rrf/prescribe/rrf")
    for path in (packed, only_part):
        again, _ = imported(path)
        assert dumps(again) == dumps(made)


def test_names_of_other_sources_and_values_without_an_element_are_counted(real: Any) -> None:
    _, told = real
    assert [one.kind for one in told] == ["approximated"] * len(told)
    reasons = "\n".join(one.reason for one in told)
    assert "1 names of the source GS" in reasons
    assert "3 values of RXN_AVAILABLE_STRENGTH" in reasons


FAULTS: dict[str, tuple[Callable[[Rrf], object], str, int, str]] = {
    "a row with too few columns": (lambda rrf: rrf.conso.append("1|ENG|"), "RXNCONSO.RRF", -1, "has 2 columns, not 18"),
    "a relation to what is not there": (
        lambda rrf: rrf.relate(197527, "consists_of", MADE_UP + 999),
        "RXNREL.RRF",
        -2,
        f"{MADE_UP + 999} is no concept",
    ),
    "an attribute of what is not there": (
        lambda rrf: rrf.attribute(MADE_UP + 999, "NDC", "99990000101"),
        "RXNSAT.RRF",
        -1,
        "is no concept",
    ),
    "what is no NDC": (lambda rrf: rrf.attribute(197527, "NDC", "99-12"), "RXNSAT.RRF", -1, "no form of an NDC"),
    "an identifier that is none": (
        lambda rrf: rrf.conso.append("x|ENG||||||1|1|1||RXNORM|IN|1|name||N||"),
        "RXNCONSO.RRF",
        -1,
        "is no identifier",
    ),
    "an empty name": (lambda rrf: rrf.concept(MADE_UP + 998, "IN", ""), "RXNCONSO.RRF", -1, "is empty"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_that_is_left_out_is_named_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    change, file, line, reason = FAULTS[name]
    rrf = files.real()
    change(rrf)
    made, told = imported(rrf.write(tmp_path))
    (skipped,) = [one for one in told if one.kind == "skipped"]
    rows = rrf.files[file.removesuffix(".RRF")]
    assert (Path(skipped.place.file).name, skipped.place.line) == (file, len(rows) + line + 1)
    assert reason in skipped.reason
    assert "MedicationKnowledge/rxnorm-206160" in made


APPROXIMATED: dict[str, tuple[Callable[[Rrf], object], str]] = {
    "a strength in words": (
        lambda rrf: (
            rrf.concept(MADE_UP + 50, "SCDC", "x"),
            rrf.relate(MADE_UP + 50, "has_ingredient", 2598),
            rrf.relate(197527, "consists_of", MADE_UP + 50),
            rrf.attribute(MADE_UP + 50, "RXN_STRENGTH", "a drop"),
        ),
        "'a drop' is kept as a text",
    ),
    "a second name": (lambda rrf: rrf.concept(2598, "IN", "clonazepamum"), "is a second name of 2598"),
    "a quantity in words": (lambda rrf: rrf.attribute(197527, "RXN_QUANTITY", "some"), "'some' is in the name only"),
    "suppressed rows": (
        lambda rrf: rrf.attribute(197527, "NDC", "99990000199", suppress="O"),
        "1 suppressed NDCs and strengths are left out",
    ),
    "a drug without components": (lambda rrf: rrf.concept(MADE_UP + 51, "SCD", "x"), "has no component"),
}


@pytest.mark.parametrize("name", APPROXIMATED)
def test_a_value_that_is_kept_otherwise_is_told(name: str, tmp_path: Path) -> None:
    change, reason = APPROXIMATED[name]
    made, told = written(tmp_path, change)
    assert any(reason in one.reason for one in told if one.kind == "approximated")
    assert "99990000199" not in str(dumps(made["Medication/rxnorm-197527"]))
    assert [one for each in made.values() for one in errors(parse(dumps(each)), FhirVersion.R5)] == []


def test_what_is_not_utf_8_is_read_as_windows_1252_and_told(tmp_path: Path) -> None:
    folder = files.real().write(tmp_path)
    path = folder / "RXNCONSO.RRF"
    path.write_bytes(path.read_bytes().replace(b"|risperidone|", b"|risp\xe9ridone|", 1))
    made, told = imported(folder)
    assert made["Substance/rxnorm-35636"]["code"]["concept"]["text"] == "risp\u00e9ridone"
    assert [one.reason for one in told if "Windows" in one.reason] == ["is not UTF-8; read as Windows-1252"]


def test_a_zip_file_that_is_torn_in_the_middle_is_told_and_what_was_read_is_kept(tmp_path: Path) -> None:
    path = files.many(3000, 1).pack(tmp_path / "rxnorm.zip", "rrf")
    data = bytearray(path.read_bytes())
    place = data.index(b"rrf/RXNSAT.RRF") + 2000
    data[place : place + 400] = bytes(400)
    path.write_bytes(data)
    made, told = imported(path)
    assert any("cannot be read to its end" in one.reason for one in told if one.kind == "skipped")
    assert sum(key.startswith("MedicationKnowledge/") for key in made) > 500


def _without(name: str) -> Callable[[Path], list[Path]]:
    def remove(folder: Path) -> list[Path]:
        (folder / name).unlink()
        return [folder]

    return remove


def _twice(folder: Path) -> list[Path]:
    return [folder, files.real().write(folder.parent / "other")]


@pytest.mark.parametrize(
    ("change", "said"),
    [(_without(f"{name}.RRF"), f"{name}.RRF is not there") for name in ("RXNCONSO", "RXNREL", "RXNSAT")]
    + [(_twice, "stands several times")],
)
def test_files_that_are_no_release_end_the_import(
    tmp_path: Path, change: Callable[[Path], list[Path]], said: str
) -> None:
    with pytest.raises(StartError, match=said):
        imported(*change(files.real().write(tmp_path / "one")))


def test_a_strict_import_ends_at_the_first_row_that_is_left_out(tmp_path: Path) -> None:
    rrf = files.real()
    imported(rrf.write(tmp_path / "good"), strict=True)
    rrf.conso.insert(0, "1|2|")
    with pytest.raises(StartError, match=r"RXNCONSO\.RRF:1"):
        imported(rrf.write(tmp_path / "bad"), strict=True)


def total(made: Iterable[str], kind: str) -> int:
    return sum(one.startswith(f"{kind}/") for one in made)


def test_a_release_of_many_concepts_is_read_whole(tmp_path: Path) -> None:
    rrf = files.many(4000, 7)
    made, told = imported(rrf.write(tmp_path))
    drugs = sum(row.split("|")[12] in ("SCD", "SBD") for row in rrf.conso)
    assert total(made, "MedicationKnowledge") == total(made, "Medication") == drugs
    assert not [one for one in told if one.kind == "skipped"]
    mapped = {
        e["code"] for key, one in made.items() if key.startswith("ConceptMap/") for e in one["group"][0]["element"]
    }
    assert mapped == {row.split("|")[10] for row in rrf.sat if row.split("|")[8] == "NDC"}
