"""The NDC directory as FHIR: what each column becomes, and every way in which the real files are unlike their page."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class

from apothecary.errors import StartError
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from apothecary.versions import convert
from tests.importers.ndc_files import PRODUCT, SAMPLES, Made, made, made_of, package, product, table

UCUM = "http://unitsofmeasure.org"
R5, R4, R4B = FhirVersion.R5, FhirVersion.R4, FhirVersion.R4B


_THREE = {"Organization": 1, "Medication": 3, "MedicationKnowledge": 3, "PackagedProductDefinition": 3}


def _only(found: Made, resource_type: str) -> dict[str, Any]:
    [one] = found.of(resource_type)
    return one


def _errors(found: Made) -> list[str]:
    """What is wrong with what was made, in R5 and in what older releases read."""
    wrong = []
    for resource in found.resources:
        whole = parse(dumps(resource))
        for release in (R5, R4B, R4):
            read = convert(whole, R5, release).resource
            wrong += [
                f"{release} {resource['id']}: {issue.diagnostics}"
                for issue in validate(read, release)
                if issue.rank < 2
            ]
    return wrong


def _understood(found: Made) -> None:
    for resource in found.resources:
        get_fhir_model_class(resource["resourceType"]).model_validate_json(dumps(resource))


@pytest.mark.parametrize(
    ("names", "counts", "told"),
    [
        (
            ("product_trimmed.txt", "package_trimmed.txt"),
            {**_THREE, "RegulatedAuthorization": 3},
            [
                "product_trimmed.txt:3: ACTIVE_NUMERATOR_STRENGTH: approximated: "
"4 substances have 3 strengths and 2 units: left out",
                "product_trimmed.txt:3: DEASCHEDULE: approximated: DEA is no schedule: kept as text",
            ],
        ),
        (
            ("unfinished_product_trimmed.txt", "unfinished_package_trimmed.txt"),
            _THREE,
            [],
        ),
        (
            ("2025/product.txt", "2025/package.txt"),
            {"Organization": 1, "Medication": 72, "MedicationKnowledge": 72, "PackagedProductDefinition": 100,
"RegulatedAuthorization": 21},
            ["product.txt:2: NDC_EXCLUDE_FLAG: approximated: Y has no known meaning: such rows are active"],
        ),
        (
            ("product_trimmed.txt", "package_trimmed.txt", "badutf8.txt"),
            {**_THREE, "RegulatedAuthorization": 3},
            ["badutf8.txt: skipped: is no file of an NDC directory, by the columns in its first line"],
        ),
    ],
)  # fmt: skip
def test_samples_of_fda_become_valid_resources(names: tuple[str, ...], counts: dict[str, int], told: list[str]) -> None:
    found = made(*(SAMPLES / name for name in names))
    assert {name: len(found.of(name)) for name in counts} == counts
    assert sum(counts.values()) == len(found.resources)
    assert set(told) <= set(found.remarks)
    assert _errors(found) == []
    _understood(found)


def test_the_same_files_give_the_same_bytes_zipped_or_not(tmp_path: Path) -> None:
    whole = tmp_path / "ndctext.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("package.txt", "product.txt"):
            archive.write(SAMPLES / "2025" / name, name)
    first = [dumps(one) for one in made(SAMPLES / "2025").resources]
    assert first == [dumps(one) for one in made(whole).resources]
    assert first == [dumps(one) for one in made(SAMPLES / "2025").resources]


def test_each_column_of_a_product_has_its_element(tmp_path: Path) -> None:
    row = product(
        "0009-0039", PRODUCTTYPENAME="HUMAN PRESCRIPTION DRUG", PROPRIETARYNAME="Solu", PROPRIETARYNAMESUFFIX="Medrol",
        NONPROPRIETARYNAME="methylprednisolone", DOSAGEFORMNAME="INJECTION, SOLUTION",
        ROUTENAME="INTRAMUSCULAR;   INTRAVENOUS", STARTMARKETINGDATE="19590402", ENDMARKETINGDATE="20261215",
        MARKETINGCATEGORYNAME="NDA", APPLICATIONNUMBER="NDA011856", LABELERNAME="Pharmacia",
        SUBSTANCENAME="METHYLPREDNISOLONE", ACTIVE_NUMERATOR_STRENGTH=".50", ACTIVE_INGRED_UNIT="mg/.5mL",
        PHARM_CLASSES="Corticosteroid [EPC],Live, Attenuated [MoA], Steroid [EPC]", DEASCHEDULE="CII",
    )  # fmt: skip
    found = made_of(tmp_path, [row], [package("0009-0039-06", "25 VIAL in 1 TRAY (0009-0039-06)  > .5 mL in 1 VIAL")])
    identifier = {
        "system": "http://hl7.org/fhir/sid/ndc", "value": "0009-0039",
        "period": {"start": "1959-04-02", "end": "2026-12-15"},
    }  # fmt: skip
    labeler = {"reference": f"Organization/{_only(found, 'Organization')['id']}"}
    form = {"text": "INJECTION, SOLUTION"}
    code = {
        "coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": one} for one in ("0009-0039", "0009-0039-06")],
        "text": "Solu Medrol",
    }
    strength = {
        "numerator": {"value": "0.50", "unit": "mg", "system": UCUM, "code": "mg"},
        "denominator": {"value": "0.5", "unit": "mL", "system": UCUM, "code": "mL"},
    }
    ingredient = {"item": {"concept": {"text": "METHYLPREDNISOLONE"}}, "strengthRatio": strength}
    acti = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "ACTI"}]}
    assert _digits(_only(found, "Medication")) == {
        "resourceType": "Medication", "id": "ndc-0009-0039",
        "identifier": [
            identifier,
            {"type": {"text": "NDA"}, "system": "urn:oid:2.16.840.1.113883.3.150", "value": "NDA011856"},
        ],
        "code": code, "status": "active", "marketingAuthorizationHolder": labeler, "doseForm": form,
        "ingredient": [{**ingredient, "isActive": True}],
        "definition": {"reference": "MedicationKnowledge/ndc-0009-0039"},
    }  # fmt: skip
    assert _digits(_only(found, "MedicationKnowledge")) == {
        "resourceType": "MedicationKnowledge", "id": "ndc-0009-0039", "identifier": [identifier], "code": code,
        "status": "active", "author": labeler, "name": ["Solu Medrol", "methylprednisolone"],
        "associatedMedication": [{"reference": "Medication/ndc-0009-0039"}],
        "productType": [{"text": "HUMAN PRESCRIPTION DRUG"}, {"text": "NDA"}],
        "medicineClassification": [
            {"type": {"text": "EPC"}, "classification": [{"text": "Corticosteroid"}, {"text": "Steroid"}]},
            {"type": {"text": "MoA"}, "classification": [{"text": "Live, Attenuated"}]},
        ],
        "packaging": [{"packagedProduct": {"reference": "PackagedProductDefinition/ndc-0009-0039-06"}}],
        "regulatory": [
            {
                "regulatoryAuthority": {"display": "U.S. Drug Enforcement Administration"},
                "schedule": [
                    {
                        "coding": [
                            {
                                "system": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
                                "code": "C48675", "display": "CII",
                            }
                        ],
                        "text": "CII",
                    }
                ],
            }
        ],
        "definitional": {
            "doseForm": form,
            "intendedRoute": [{"text": "INTRAMUSCULAR"}, {"text": "INTRAVENOUS"}],
            "ingredient": [{**ingredient, "type": acti}],
        },
    }  # fmt: skip
    authorization = _only(found, "RegulatedAuthorization")
    assert authorization["identifier"] == [{"system": "urn:oid:2.16.840.1.113883.3.150", "value": "NDA011856"}]
    assert authorization["subject"] == [{"reference": "PackagedProductDefinition/ndc-0009-0039-06"}]
    assert _only(found, "Organization")["name"] == "Pharmacia"
    assert found.remarks == []


def _digits(node: Any) -> Any:
    """The same with decimals as text, to the digit."""
    if isinstance(node, dict):
        return {key: _digits(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_digits(value) for value in node]
    return str(node) if not isinstance(node, str | int) else node


@pytest.mark.parametrize(
    ("columns", "ingredients", "told"),
    [
        # A kit, or a diluent, has none.
        ({"SUBSTANCENAME": ""}, [], []),
        # A semicolon inside a name.
        (
            {
                "SUBSTANCENAME": "GLYCERIN; HYDROLYZED SOY PROTEIN (ENZYMATIC; 2000 MW)",
                "ACTIVE_NUMERATOR_STRENGTH": "10; .12", "ACTIVE_INGRED_UNIT": "g/100g; g/100g",
            },
            ["GLYCERIN 10 g/100 g", "HYDROLYZED SOY PROTEIN (ENZYMATIC; 2000 MW) 0.12 g/100 g"],
            [],
        ),
        # Names alone, with slashes where units would stand.
        (
            {"SUBSTANCENAME": "FIBROBLAST (NEONATAL); COLLAGEN", "ACTIVE_INGRED_UNIT": "/; /"},
            ["FIBROBLAST (NEONATAL)", "COLLAGEN"],
            [],
        ),
        (
            {"SUBSTANCENAME": "A; B; C", "ACTIVE_NUMERATOR_STRENGTH": "1; 2", "ACTIVE_INGRED_UNIT": "mg/1; mg/1"},
            ["A", "B", "C"],
            ["3 substances have 2 strengths and 2 units: left out"],
        ),
        (
            {"SUBSTANCENAME": "A", "ACTIVE_NUMERATOR_STRENGTH": "5-10", "ACTIVE_INGRED_UNIT": "mg/1"},
            ["A '5-10 mg/1'"],
            ["'5-10 mg/1' of A is no strength: kept as text"],
        ),
        (
            {"SUBSTANCENAME": "A", "ACTIVE_NUMERATOR_STRENGTH": "3", "ACTIVE_INGRED_UNIT": "furlong/1"},
            ["A '3 furlong/1'"],
            ["'3 furlong/1' of A is no strength: kept as text"],
        ),
        (
            {"SUBSTANCENAME": "ARNICA", "ACTIVE_NUMERATOR_STRENGTH": "6", "ACTIVE_INGRED_UNIT": "[HP_X]/1"},
            ["ARNICA 6 [hp_X]/1 1"],
            [],
        ),
        (
            {"SUBSTANCENAME": "POLLEN", "ACTIVE_NUMERATOR_STRENGTH": "20000", "ACTIVE_INGRED_UNIT": "[PNU]/mL"},
            ["POLLEN 20000 [PNU]/1 mL"],
            [],
        ),
        (
            {
                "SUBSTANCENAME": "; ".join(f"S{number}" for number in range(187)),
                "ACTIVE_NUMERATOR_STRENGTH": "; ".join(str(number) for number in range(187)),
                "ACTIVE_INGRED_UNIT": "; ".join(["[hp_X]/mL"] * 187),
            },
            [f"S{number} {number} [hp_X]/1 mL" for number in range(187)],
            [],
        ),
    ],
)  # fmt: skip
def test_three_lists_become_ingredients(
    tmp_path: Path, columns: dict[str, str], ingredients: list[str], told: list[str]
) -> None:
    found = made_of(tmp_path, [product(**columns)])
    for listed in (
        _only(found, "Medication").get("ingredient", []),
        _only(found, "MedicationKnowledge").get("definitional", {}).get("ingredient", []),
    ):
        assert [_said(one) for one in listed] == ingredients
    assert [one.reason for one in found.told if one.place.line > 1] == told
    assert _errors(found) == []


def _said(ingredient: dict[str, Any]) -> str:
    name: str = ingredient["item"]["concept"]["text"]
    if "strengthRatio" in ingredient:
        above, below = (ingredient["strengthRatio"][part] for part in ("numerator", "denominator"))
        return f"{name} {above['value']} {above['code']}/{below['value']} {below['code']}"
    if "strengthCodeableConcept" in ingredient:
        return f"{name} {ingredient['strengthCodeableConcept']['text']!r}"
    return name


def test_a_product_code_that_comes_again_is_another_product_with_its_own_packages(tmp_path: Path) -> None:
    products = [product("0009-0039", PRODUCTID=f"0009-0039_{label}") for label in "abc"]
    packages = [package("0009-0039-01", PRODUCTID="0009-0039_c"), package("0009-0039-01", PRODUCTID="0009-0039_a")]
    found = made_of(tmp_path, products, packages)
    assert [
        (one["id"], [pack["packagedProduct"]["reference"].partition("/")[2] for pack in one.get("packaging", [])])
        for one in found.of("MedicationKnowledge")
    ] == [("ndc-0009-0039", ["ndc-0009-0039-01.2"]), ("ndc-0009-0039.2", []), ("ndc-0009-0039.3", ["ndc-0009-0039-01"])]
    assert [one["id"] for one in found.of("PackagedProductDefinition")] == ["ndc-0009-0039-01", "ndc-0009-0039-01.2"]


def test_a_row_that_comes_again_is_told(tmp_path: Path) -> None:
    found = made_of(tmp_path, [product(), product()])
    assert len(found.of("Medication")) == 1
    [told] = [one for one in found.told if one.kind == "skipped"]
    assert (told.place.line, told.place.column) == (3, "PRODUCTID")


def test_the_same_files_twice_are_there_once(tmp_path: Path) -> None:
    (tmp_path / "ndctext").mkdir()
    once = made_of(tmp_path / "ndctext", [product()], [package(), package("0002-1407-02")])
    with zipfile.ZipFile(tmp_path / "ndctext.zip", "w") as archive:
        for name in ("product.txt", "package.txt"):
            archive.write(tmp_path / "ndctext" / name, name)
    twice = made(tmp_path)
    assert twice.resources == once.resources
    assert sum(one.kind == "skipped" for one in twice.told) == 3


@pytest.mark.parametrize("code", ["", "abc", "0002", "0002-1", "0002-1407-01", "00021407"])
def test_a_row_without_an_ndc_is_told(tmp_path: Path, code: str) -> None:
    found = made_of(tmp_path, [product(code), product("0002-9999")])
    assert [one["id"] for one in found.of("Medication")] == ["ndc-0002-9999"]
    assert [(one.kind, one.place.line, one.place.column) for one in found.told if one.place.line > 1] == [
        ("skipped", 2, "PRODUCTNDC")
    ]


@pytest.mark.parametrize(
    ("flag", "end", "as_of", "status", "retired"),
    [
        ("N", "", "", "active", "active"),
        ("", "20180910", "", "active", "active"),
        ("E", "", "", "inactive", "retired"),
        ("N", "20180910", "2019-06-28", "inactive", "retired"),
        ("N", "20190628", "2019-06-28", "active", "active"),
        ("Q", "", "", "active", "active"),
    ],
)
def test_what_is_not_marketed_is_inactive(
    tmp_path: Path, flag: str, end: str, as_of: str, status: str, retired: str
) -> None:
    row = product(NDC_EXCLUDE_FLAG=flag, ENDMARKETINGDATE=end)
    found = made_of(tmp_path, [row], [package(STARTMARKETINGDATE="19990101")], **{"as-of": as_of})
    assert _only(found, "Medication")["status"] == _only(found, "MedicationKnowledge")["status"] == status
    packed = _only(found, "PackagedProductDefinition")
    assert packed["status"]["coding"][0]["code"] == retired
    assert packed["marketingStatus"][0]["dateRange"] == {"start": "1999-01-01"}
    assert [one.reason for one in found.told if one.place.column == "NDC_EXCLUDE_FLAG"] == (
        ["Q has no known meaning: such rows are active"] if flag == "Q" else []
    )


@pytest.mark.parametrize(
    ("start", "end", "period", "told"),
    [
        ("20190231", "", None, ["20190231 is no day: left out"]),
        ("20190628", "20180628", {"start": "2019-06-28"}, ["2018-06-28 is before the start, 2019-06-28: left out"]),
        ("", "31310209", {"end": "3131-02-09"}, []),
        ("", "", None, []),
    ],
)
def test_a_day_that_is_none_is_told(
    tmp_path: Path, start: str, end: str, period: dict[str, str] | None, told: list[str]
) -> None:
    found = made_of(tmp_path, [product(STARTMARKETINGDATE=start, ENDMARKETINGDATE=end)])
    assert _only(found, "Medication")["identifier"][0].get("period") == period
    assert [one.reason for one in found.told if one.place.line > 1] == told


def test_names_are_kept_whole_and_in_their_letters(tmp_path: Path) -> None:
    brand = "Wong’s “Extra” Schwäbisch ™ " + "x" * 340
    found = made_of(tmp_path, [product(PROPRIETARYNAME=brand, LABELERNAME="Mölnlycke, US")])
    assert _only(found, "MedicationKnowledge")["name"] == [brand, "Thing"]
    assert _only(found, "Organization")["name"] == "Mölnlycke, US"
    assert [one.reason for one in found.told if one.place.line > 1] == [
        "is not UTF-8: lines such as this one are read as Windows-1252"
    ]
    assert _errors(found) == []


def test_labelers_whose_names_differ_are_different_organizations(tmp_path: Path) -> None:
    rows = [
        product(f"0002-000{number}", LABELERNAME=name)
        for number, name in enumerate(["Acme", "ACME", "Acme, Inc", "Acme"])
    ]
    found = made_of(tmp_path, rows)
    assert [one["name"] for one in found.of("Organization")] == ["Acme", "ACME", "Acme, Inc"]
    assert len({one["id"] for one in found.of("Organization")}) == 3


@pytest.mark.parametrize(
    ("category", "number", "authorizations"),
    [
        ("ANDA", "ANDA060733", 1),
        ("OTC MONOGRAPH FINAL", "part348", 0),
        ("OTC Monograph Drug", "M012", 0),
        ("UNAPPROVED HOMEOPATHIC", "", 0),
        ("BULK INGREDIENT", "", 0),
    ],
)
def test_an_application_is_an_authorization_and_a_monograph_is_none(
    tmp_path: Path, category: str, number: str, authorizations: int
) -> None:
    row = {"MARKETINGCATEGORYNAME": category, "APPLICATIONNUMBER": number}
    found = made_of(tmp_path, [product(**row), product("0002-1408", **row)], [package(), package("0002-1408-01")])
    assert len(found.of("RegulatedAuthorization")) == authorizations
    for one in found.of("RegulatedAuthorization"):
        assert len(one["subject"]) == 2
    for one in found.of("Medication"):
        assert [other["value"] for other in one["identifier"][1:]] == ([number] if number else [])
    assert all({"text": category} in one["productType"] for one in found.of("MedicationKnowledge"))


def test_uniis_and_rxcuis_that_are_given_beside_are_used(tmp_path: Path) -> None:
    row = product(
        SUBSTANCENAME="Aspirin; CAFFEINE; TWICE",
        ACTIVE_NUMERATOR_STRENGTH="1; 2; 3",
        ACTIVE_INGRED_UNIT="g/1; g/1; g/1",
    )
    (tmp_path / "unii.csv").write_text(
        "Name\tType\tUNII\tDisplay Name\nASPIRIN\tof\tR16CO5Y76E\tASPIRIN\nTWICE\tsys\tA\tX\nTWICE\tsys\tB\tY\n"
    )
    (tmp_path / "rxnorm_mappings.txt").write_text(
        "SETID|SPL_VERSION|RXCUI|RXSTRING|RXTTY\n"
        "14757F9D-F641-4836-ACF3-229265588D1D|1|312075|Some MG|SCD\n"
        "14757f9d-f641-4836-acf3-229265588d1d|1|312075|some|PSN\n"
        "other|1|1|one|SCD\nother|1|2|two|SCD\n"
    )
    found = made_of(tmp_path, [row])
    for kind in ("Medication", "MedicationKnowledge"):
        assert [(one["system"].rpartition("/")[2], one["code"]) for one in _only(found, kind)["code"]["coding"]] == [
            ("ndc", "0002-1407"),
            ("rxnorm", "312075"),
        ]
    assert [one["item"]["concept"].get("coding") for one in _only(found, "Medication")["ingredient"]] == [
        [{"system": "http://fdasis.nlm.nih.gov", "code": "R16CO5Y76E", "display": "Aspirin"}],
        None,
        None,
    ]
    assert [one.reason for one in found.told if not one.place.line] == [
        "TWICE has several UNIIs, and gets none: A, B",
        "label other has several RxCUIs: 1, 2",
    ]
    assert _errors(found) == []


def test_columns_that_are_missing_or_new_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "product.txt").write_text(
        "PRODUCTNDC\tLABELERNAME\tCOLOUR\n0002-1407\tLilly\tred\n0002-1408\tLilly\t\n"
    )
    found = made(tmp_path)
    assert [one["id"] for one in found.of("Medication")] == ["ndc-0002-1407", "ndc-0002-1408"]
    assert [(one.kind, one.place.column) for one in found.told][-1] == ("skipped", "COLOUR")
    assert {one.place.column for one in found.told if one.kind == "approximated"} >= {"SUBSTANCENAME", "DOSAGEFORMNAME"}
    assert _errors(found) == []


def test_packages_whose_product_is_not_there_are_kept(tmp_path: Path) -> None:
    found = made_of(tmp_path, [], [package(), package("0002-1407-02", PRODUCTNDC="?")])
    assert [one["id"] for one in found.of("PackagedProductDefinition")] == ["ndc-0002-1407-01", "ndc-0002-1407-02"]
    assert [one.place.column for one in found.told if one.place.line > 1] == ["PRODUCTID", "PRODUCTNDC", "PRODUCTID"]


def test_a_file_that_is_torn_gives_what_it_holds(tmp_path: Path) -> None:
    rows = [product(f"0002-{number:04}", PROPRIETARYNAME="x" * 300) for number in range(9000)]
    whole = tmp_path / "ndctext.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("product.txt", table(PRODUCT, rows))
        archive.write(SAMPLES / "2025" / "package.txt", "package.txt")
    data = bytearray(whole.read_bytes())
    for name in (b"0002-8999\t", b"0002-0152-01\t"):
        at = data.index(name)
        data[at : at + 4] = b"9999"
    whole.write_bytes(data)
    found = made(whole)
    assert 0 < len(found.of("Medication")) < 9000
    assert [one.rpartition(":")[0] for one in found.remarks if "skipped" in one] == [
        "package.txt: skipped: cannot be read",
        "product.txt: skipped: cannot be read to its end",
    ]


@pytest.mark.parametrize("day", ["today", "2019-02-30", "20190628"])
def test_the_day_on_which_ends_are_judged_is_a_date(tmp_path: Path, day: str) -> None:
    with pytest.raises(StartError, match="--as-of"):
        made_of(tmp_path, [product()], **{"as-of": day})


@pytest.mark.parametrize("name", ["product.txt", "nothing.csv"])
def test_without_a_file_of_the_directory_nothing_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(StartError, match=r"product\.txt"):
        made(tmp_path)
