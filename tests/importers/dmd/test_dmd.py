"""dm+d: what becomes of the files of a release, and what is told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.errors import StartError
from apothecary.fhir.json import JSON, dumps
from apothecary.importers.dmd import edition, resources
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Remark, Report
from tests.importers.made import check

SAMPLE = Path(__file__).parents[2] / "data" / "dmd"
SNOMED, DMD = "http://snomed.info/sct", "https://dmd.nhs.uk"


def run(*paths: Path) -> tuple[dict[str, JSON], list[Remark]]:
    """What is made, as `type/id` -> resource, and what is told."""
    remarks: list[Remark] = []
    made = list(resources(Given(paths, Report(remarks.append), {})))
    found = {f"{one.resource['resourceType']}/{one.resource['id']}": one.resource for one in made}
    assert len(found) == len(made)
    check(made)
    return found, remarks


@pytest.fixture(scope="module")
def sample() -> tuple[dict[str, JSON], list[Remark]]:
    return run(*sorted(SAMPLE.glob("*.xml")))


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.xml").write_text(text, encoding="utf-8")
    return folder


VMP = "<VIRTUAL_MED_PRODUCTS><VMPS>{}</VMPS>{}</VIRTUAL_MED_PRODUCTS>"
VTM = "<VIRTUAL_THERAPEUTIC_MOIETIES>{}</VIRTUAL_THERAPEUTIC_MOIETIES>"
ONE_VMP = "<VMP><VPID>39113611000001102</VPID><NM>Some 5mg tablets</NM>{}</VMP>"


def test_the_format_is_found_by_its_name() -> None:
    assert FORMATS["dmd"].resources is resources


def test_every_product_and_pack_of_the_sample_is_there(sample: tuple[dict[str, JSON], list[Remark]]) -> None:
    found, remarks = sample
    counts = {kind: sum(key.startswith(f"{kind}/") for key in found) for kind in ("Medication", "MedicationKnowledge")}
    assert counts == {"Medication": 7 + 15, "MedicationKnowledge": 7 + 15 + 7}
    assert sum(key.startswith("PackagedProductDefinition/") for key in found) == 14 + 26
    assert {one.kind for one in remarks} == {"approximated"}
    assert all("the supplier stands as" in one.reason or "codes of the lookup" in one.reason for one in remarks)


def test_a_virtual_product_says_what_the_release_says(sample: tuple[dict[str, JSON], list[Remark]]) -> None:
    knowledge = sample[0]["MedicationKnowledge/dmd-35894711000001106"]
    code = "35894711000001106"
    name = "Adenosine 6mg/2ml solution for injection vials"
    assert knowledge["code"] == {
        "coding": [{"system": SNOMED, "code": code}, {"system": DMD, "code": code, "display": name}],
        "text": name,
    }
    assert knowledge["identifier"] == [
        {"system": DMD, "value": code},
        {"use": "old", "system": DMD, "value": "318338001", "period": {"end": "2018-10-17"}},
    ]
    assert knowledge["name"] == [name, "Adenosine 3mg/ml injection 2ml vials"]
    assert knowledge["relatedMedicationKnowledge"] == [
        {
            "type": {"text": "Virtual Therapeutic Moiety"},
            "reference": [{"reference": "MedicationKnowledge/dmd-108502004", "display": "Adenosine"}],
        }
    ]
    says = {one["type"]["text"]: one for one in knowledge["definitional"]["drugCharacteristic"]}
    assert says["name valid from"]["valueString"] == "2004-04-29"
    assert says["unit dose form size"]["valueQuantity"]["code"] == "mL"
    assert says["unit dose form units"]["valueCodeableConcept"]["text"] == "vial"
    assert says["dose form indicator"]["valueCodeableConcept"]["coding"][0]["system"] == f"{DMD}/DF_INDICATOR"
    assert knowledge["regulatory"][0]["schedule"][0]["text"] == "No Controlled Drug Status"
    (ingredient,) = knowledge["definitional"]["ingredient"]
    assert ingredient["item"]["reference"] == {"reference": "Substance/dmd-35431001"}
    assert ingredient["type"]["coding"][0]["code"] == "ACTIB"
    assert dumps(ingredient["strengthRatio"]["numerator"]["value"]) == b"3"
    assert {one["packagedProduct"]["reference"].split("/")[1] for one in knowledge["packaging"]} == {
        "dmd-34516311000001106",
        "dmd-4744111000001109",
    }


def test_an_actual_product_has_its_virtual_one_its_supplier_and_its_licence(
    sample: tuple[dict[str, JSON], list[Remark]],
) -> None:
    found, _ = sample
    knowledge = found["MedicationKnowledge/dmd-22479611000001102"]
    medication = found["Medication/dmd-22479611000001102"]
    assert knowledge["relatedMedicationKnowledge"][0]["reference"][0]["display"] == "Diclofenac 2.32% gel"
    assert knowledge["name"][-1] == "Voltarol 12 Hour 2% Emulgel P"
    assert found[medication["marketingAuthorizationHolder"]["reference"]]["name"].startswith("GlaxoSmithKline")
    assert [one["classification"][0]["text"] for one in knowledge["medicineClassification"]] == [
        "Medicines - MHRA/EMA",
        "None",
    ]
    roles = [one["type"]["coding"][0]["code"] for one in knowledge["definitional"]["ingredient"]]
    assert roles == ["ACTIB", "IACT", "IACT"]
    assert [one["isActive"] for one in medication["ingredient"]] == [True, False, False]
    assert found["Medication/dmd-29915211000001103"]["status"] == "inactive"


def test_a_pack_has_its_gtins_with_their_dates_its_size_and_when_it_was_discontinued(
    sample: tuple[dict[str, JSON], list[Remark]],
) -> None:
    found, _ = sample
    pack = found["PackagedProductDefinition/dmd-21855511000001108"]
    assert pack["identifier"][1:] == [
        {
            "system": "https://www.gs1.org/gtin",
            "value": "5060064792018",
            "period": {"start": "2013-01-24", "end": "2019-03-06"},
        },
        {"system": "https://www.gs1.org/gtin", "value": "05060064792018", "period": {"start": "2019-03-07"}},
    ]
    assert pack["containedItemQuantity"][0]["unit"] == "vial"
    assert pack["legalStatusOfSupply"][0]["code"]["text"] == "POM"
    gone = found["PackagedProductDefinition/dmd-29915311000001106"]
    assert gone["marketingStatus"][0]["dateRange"] == {"end": "2017-10-01"}
    assert gone["status"]["coding"][0]["code"] == "retired"
    assert pack["status"]["coding"][0]["code"] == "active"


def test_prices_are_in_pounds_and_none_is_made_where_there_is_none(
    sample: tuple[dict[str, JSON], list[Remark]],
) -> None:
    found, _ = sample
    costs = {
        one["packagedProduct"]["reference"].split("-")[1]: one.get("cost", [])
        for one in found["MedicationKnowledge/dmd-22480211000001104"]["packaging"]
    }
    now, before = costs["22479411000001100"]
    assert dumps(now["costMoney"]) == b'{"value":6.59,"currency":"GBP"}'
    assert now["source"] == "Part VIIIA Category C"
    assert before["effectiveDate"] == [{"end": "2017-04-01"}]
    unpriced = [
        cost
        for key, one in found.items()
        if key.startswith("MedicationKnowledge/")
        for pack in one.get("packaging", ())
        for cost in pack.get("cost", ())
        if "costCodeableConcept" in cost
    ]
    assert {one["costCodeableConcept"]["text"] for one in unpriced} == {
        "No Price Available",
        "No Price priced when manufactured",
    }


def test_the_same_files_give_the_same_bytes_from_a_folder_and_from_zip_files_in_a_zip_file(
    sample: tuple[dict[str, JSON], list[Remark]], tmp_path: Path
) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(SAMPLE / "f_gtin2_0010419.xml", "f_gtin2_0010419.xml")
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        for path in sorted(SAMPLE.glob("*.xml"), reverse=True):
            if "gtin" not in path.name:
                archive.write(path, path.name)
        archive.writestr("week132019-r2_3-GTIN.zip", inner.getvalue())
    again, _ = run(tmp_path / "release.zip")
    assert {key: dumps(one) for key, one in again.items()} == {key: dumps(one) for key, one in sample[0].items()}


def test_the_strength_of_another_substance_is_named_where_the_ingredient_is(tmp_path: Path) -> None:
    part = (
        "<VIRTUAL_PRODUCT_INGREDIENT><VPI><VPID>39113611000001102</VPID><ISID>387005008</ISID>"
        "<BASIS_STRNTCD>0002</BASIS_STRNTCD><BS_SUBID>386864001</BS_SUBID><STRNT_NMRTR_VAL>.5</STRNT_NMRTR_VAL>"
        "<STRNT_NMRTR_UOMCD>258684004</STRNT_NMRTR_UOMCD></VPI></VIRTUAL_PRODUCT_INGREDIENT>"
    )
    substances = (
        "<INGREDIENT_SUBSTANCES><ING><ISID>387005008</ISID><NM>Salt</NM></ING>"
        "<ING><ISID>386864001</ISID><NM>Base</NM></ING></INGREDIENT_SUBSTANCES>"
    )
    found, _ = run(write(tmp_path, vmp=VMP.format(ONE_VMP.format(""), part), ingredient=substances))
    (ingredient,) = found["MedicationKnowledge/dmd-39113611000001102"]["definitional"]["ingredient"]
    assert ingredient["item"]["concept"]["text"] == "Salt (strength as Base)"
    assert [one["code"] for one in ingredient["type"]["coding"]] == ["ACTIR", "0002", "386864001"]
    assert dumps(ingredient["strengthQuantity"]["value"]) == b"0.5"
    assert found["Medication/dmd-39113611000001102"]["ingredient"][0]["item"] == ingredient["item"]


def test_a_strength_without_a_denominator_is_of_one_unit_dose_where_there_are_such(tmp_path: Path) -> None:
    part = (
        "<VIRTUAL_PRODUCT_INGREDIENT><VPI><VPID>39113611000001102</VPID><ISID>387517004</ISID>"
        "<STRNT_NMRTR_VAL>500</STRNT_NMRTR_VAL></VPI></VIRTUAL_PRODUCT_INGREDIENT>"
    )
    dose = "<UNIT_DOSE_UOMCD>428673006</UNIT_DOSE_UOMCD>"
    for kind, expected in (("1", "strengthRatio"), ("2", "strengthQuantity")):
        text = VMP.format(ONE_VMP.format(f"<DF_INDCD>{kind}</DF_INDCD>{dose}"), part)
        found, _ = run(write(tmp_path, vmp=text))
        (ingredient,) = found["Medication/dmd-39113611000001102"]["ingredient"]
        assert expected in ingredient
        if kind == "1":
            ratio = ingredient["strengthRatio"]
            assert (ratio["numerator"]["value"], ratio["denominator"]["value"]) == (500, 1)
            assert ratio["denominator"]["code"] == "428673006"


def test_a_combination_pack_holds_its_packs(tmp_path: Path) -> None:
    packs = "".join(
        f"<VMPP><VPPID>{code}</VPPID><NM>Pack</NM><VPID>39113611000001102</VPID>{more}</VMPP>"
        for code, more in (("1000001", "<COMBPACKCD>0001</COMBPACKCD>"), ("1000002", ""))
    )
    content = "".join(
        f"<CCONTENT><PRNTVPPID>1000001</PRNTVPPID><CHLDVPPID>{child}</CHLDVPPID></CCONTENT>"
        for child in ("1000002", "1000003")
    )
    parts = f"<VMPPS>{packs}</VMPPS><COMB_CONTENT>{content}</COMB_CONTENT>"
    text = f"<VIRTUAL_MED_PRODUCT_PACK>{parts}</VIRTUAL_MED_PRODUCT_PACK>"
    found, remarks = run(write(tmp_path, vmpp=text, vmp=VMP.format(ONE_VMP.format(""), "")))
    pack = found["PackagedProductDefinition/dmd-1000001"]
    assert pack["copackagedIndicator"] is True
    held, missing = pack["packaging"]["containedItem"][1:]
    assert held["item"]["reference"] == {"reference": "PackagedProductDefinition/dmd-1000002"}
    assert missing["item"]["reference"]["identifier"]["value"] == "1000003"
    assert "the pack 1000003 is not in the files: only its code stands here" in [one.reason for one in remarks]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"vmp": VMP.format(ONE_VMP.format("<VTMID>1000001</VTMID>"), "")},
            "there is no file with the Virtual Therapeutic Moiety: only codes stand here",
        ),
        (
            {
                "vmp": VMP.format(ONE_VMP.format("<VTMID>1000001</VTMID>"), ""),
                "vtm": VTM.format("<VTM><VTMID>1000002</VTMID><NM>x</NM></VTM>"),
            },
            "the Virtual Therapeutic Moiety 1000001 is not in the files",
        ),
        ({"vmp": VMP.format(ONE_VMP.format("<BASISCD>0001</BASISCD>"), "")}, "BASIS_OF_NAME is not among the lookups"),
        (
            {"vmp": VMP.format(ONE_VMP.format(""), "<DRUG_FORM><DFORM><VPID>1000001</VPID></DFORM></DRUG_FORM>")},
            "<DFORM> belongs to 1000001, which is not in the files",
        ),
        ({"vmp": VMP.format(ONE_VMP.format("<NEW>1</NEW>"), "")}, "the field NEW of <VMP> is not known"),
        ({"vmp": VMP.format(ONE_VMP.format("<NM>x</NM>"), "")}, "the field NM of <VMP> stands twice"),
        ({"vmp": VMP.format(ONE_VMP.format(""), "<NEWS><NEW><VPID>1</VPID></NEW></NEWS>")}, "<NEW> of"),
        ({"vmp": VMP.format(ONE_VMP.format("") * 2, "")}, "39113611000001102 stands in the files before"),
        ({"vmp": VMP.format(ONE_VMP.format("") + "<VMP><NM>x</NM></VMP>", "")}, "<VMP> without a code"),
        ({"vmp": VMP.format(ONE_VMP.format("<NMDT>1/4/2019</NMDT>"), "")}, "is not a date such as"),
        ({"vmp": VMP.format(ONE_VMP.format("<UDFS>few</UDFS>"), "")}, "'few' is not a number"),
        ({"vmp": VMP.format(ONE_VMP.format(""), ""), "html": "<html/>"}, "<html> is not the root of a file"),
        ({"vmp": VMP.format(ONE_VMP.format(""), ""), "none": "not XML"}, "is no XML file of dm+d"),
        ({"vmp": VMP.format(ONE_VMP.format(""), "")[:-30]}, "the rest of the file is not read"),
        (
            {"vmp": VMP.format(ONE_VMP.format(""), ""), "gtin": "<!DOCTYPE x><GTIN_DETAILS/>"},
            "has a document type declaration",
        ),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_made(tmp_path: Path, files: dict[str, str], told: str) -> None:
    found, remarks = run(write(tmp_path, **files))
    assert "MedicationKnowledge/dmd-39113611000001102" in found
    assert any(told in one.reason for one in remarks), remarks
    assert all(one.place.file.endswith(".xml") for one in remarks)


def test_the_names_of_the_files_say_which_edition_they_are(tmp_path: Path) -> None:
    assert edition(Given([SAMPLE], Report(lambda _: None), {})) == "2019-04-01"
    assert edition(Given([write(tmp_path, vmp="")], Report(lambda _: None), {})) is None


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(StartError, match="no file of dm"):
        run(tmp_path)


_NAMES = st.sampled_from(("VPID", "NM", "VTMID", "INVALID", "NMDT", "UDFS", "UDFS_UOMCD", "BASISCD", "X", "VPIDPREV"))
_VALUES = st.one_of(
    st.sampled_from(("39113611000001102", "1", "2019-02-31", "0001", " ", "1 2", "1e9")),
    st.text("a0.<&é\n", max_size=9),
)


@given(st.lists(st.lists(st.tuples(_NAMES, _VALUES), max_size=8), max_size=4))
def test_any_records_are_there_or_told(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[str, str]]]
) -> None:
    from xml.sax.saxutils import escape

    body = "".join(f"<VMP>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in row)}</VMP>" for row in rows)
    folder = write(tmp_path_factory.mktemp("any"), vmp=VMP.format(ONE_VMP.format("") + body, ""))
    found, remarks = run(folder)
    made = sum(key.startswith("Medication/") for key in found)
    assert made + sum(
        one.kind == "skipped" and one.place.column == "" and "field" not in one.reason for one in remarks
    ) == 1 + len(rows)
