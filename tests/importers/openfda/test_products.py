"""Records of products become what the same rows of the NDC directory become."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.json import JSON
from apothecary.importers.report import Remark
from tests.importers.making import by_type, dangling, errors, imported
from tests.importers.ndc_files import SAMPLES
from tests.importers.openfda.records import written


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / "2025" / f"{name}.txt").open(encoding="latin-1") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def records() -> list[dict[str, Any]]:
    """The rows of the directory in the form of openFDA."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for row in rows("package"):
        package = {
            "package_ndc": row["NDCPACKAGECODE"],
            "description": row["PACKAGEDESCRIPTION"],
            "marketing_start_date": row["STARTMARKETINGDATE"],
            "marketing_end_date": row["ENDMARKETINGDATE"],
            "sample": row["SAMPLE_PACKAGE"] == "Y",
        }
        packages.setdefault(row["PRODUCTID"], []).append({key: one for key, one in package.items() if one != ""})
    found = []
    for row in rows("product"):
        lists = (row[name].split("; ") for name in ("SUBSTANCENAME", "ACTIVE_NUMERATOR_STRENGTH", "ACTIVE_INGRED_UNIT"))
        record = {
            "product_id": row["PRODUCTID"],
            "product_ndc": row["PRODUCTNDC"],
            "brand_name": f"{row['PROPRIETARYNAME']} {row['PROPRIETARYNAMESUFFIX']}".strip(),
            "generic_name": row["NONPROPRIETARYNAME"],
            "labeler_name": row["LABELERNAME"],
            "product_type": row["PRODUCTTYPENAME"],
            "dosage_form": row["DOSAGEFORMNAME"],
            "route": row["ROUTENAME"].split("; "),
            "active_ingredients": [
                {"name": name, "strength": f"{amount} {unit}"}
                for name, amount, unit in zip(*lists, strict=True)
                if name
            ],
            "pharm_class": [f"{one.strip().removesuffix(']')}]" for one in row["PHARM_CLASSES"].split("],") if one],
            "marketing_category": row["MARKETINGCATEGORYNAME"],
            "application_number": row["APPLICATIONNUMBER"],
            "marketing_start_date": row["STARTMARKETINGDATE"],
            "marketing_end_date": row["ENDMARKETINGDATE"],
            "dea_schedule": row["DEASCHEDULE"],
            "packaging": packages.get(row["PRODUCTID"], []),
            "finished": True,
            "listing_expiration_date": row["LISTING_RECORD_CERTIFIED_THROUGH"],
            "openfda": {},
        }
        found.append({key: one for key, one in record.items() if one not in ("", [], [""])})
    return found


def made(tmp_path: Path, *products: Any) -> tuple[list[JSON], list[Remark]]:
    """The resources of records, which are valid and refer to what is there, and what is told."""
    resources, remarks = imported("openfda", written(tmp_path / "drug-ndc.json", *products))
    assert errors(resources, in_models=False) == []
    assert dangling(resources) == set()
    return resources, remarks


def test_the_directory_in_json_makes_the_same_resources_as_the_directory_in_text(tmp_path: Path) -> None:
    directory, _ = imported("ndc", SAMPLES / "2025")
    resources, remarks = imported("openfda", written(tmp_path / "drug-ndc.json", *records()))

    def keyed(found: list[JSON]) -> dict[str, JSON]:
        # Ids begin with the name of the format, and may have a hash of the whole.
        text = re.sub(r"(?<=Company)-[0-9a-f]{12}", "", json.dumps(found, default=str).replace('"openfda-', '"ndc-'))
        plain = text.replace("/openfda-", "/ndc-")
        return {f"{one['resourceType']}/{one['id']}": one for one in json.loads(plain)}

    assert len(directory) > 200
    assert keyed(resources) == keyed(directory)
    assert {one.kind for one in remarks} == {"approximated"}


BASE = records()[0]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"product_ndc": "1-2-3-4"}, "skipped: '1-2-3-4' is no NDC of a product"),
        ({"product_ndc": None}, "skipped: '' is no NDC of a product"),
        ({"packaging": [{"package_ndc": "x"}]}, "skipped: 'x' is no NDC of a package"),
        ({"packaging": 7}, "skipped: '' is no NDC of a package"),
        ({"active_ingredients": [{"strength": "5 mg/1"}]}, "skipped: an ingredient without a name"),
        ({"color": "red"}, "skipped: the field is not known here"),
        ({"openfda": {"rxcui": ["1", "2"]}}, "approximated: 2 RxCUIs of its label are left out"),
        ({"openfda": {"unii": ["A", "B"]}}, "approximated: 2 UNIIs are left out"),
    ],
)
def test_what_is_no_such_thing_is_told(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    record = {key: value for key, value in {**BASE, **fields}.items() if key != "listing_expiration_date"}
    _, remarks = made(tmp_path, record)
    assert [f"{one.kind}: {one.reason}".startswith(told) for one in remarks] == [True]


def test_codes_that_can_only_be_of_this_product_are_its_own(tmp_path: Path) -> None:
    known = {"rxcui": ["2601723"], "unii": ["OYN3CCI6QE"]}
    resources, _ = made(tmp_path, {**BASE, "openfda": known})
    medication = by_type(resources, "Medication")[0]
    assert "2601723" in [one["code"] for one in medication["code"]["coding"]]
    assert medication["ingredient"][0]["item"]["concept"]["coding"][0]["code"] == "OYN3CCI6QE"


def test_a_product_that_comes_again_is_told(tmp_path: Path) -> None:
    resources, remarks = made(tmp_path, BASE, BASE)
    assert len(by_type(resources, "Medication")) == 1
    assert [one.reason for one in remarks if one.kind == "skipped"] == [
        f"{tmp_path / 'drug-ndc.json'} has the product {BASE['product_id']} already"
    ]
