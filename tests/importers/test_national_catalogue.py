"""A national catalogue comes in from the publisher's files, is found, goes out, and comes in again to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess
from tests.importers import national

PARAMETERS = sorted((Path(__file__).parents[2] / "resources" / "SearchParameter").glob("MedicationKnowledge-*.json"))
OWN = {json.loads(path.read_bytes())["code"] for path in PARAMETERS}
NDC = "http://hl7.org/fhir/sid/ndc"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
# What a server says of the version that it holds.
_OF_THE_SERVER = re.compile(rb'"versionId":"[^"]*",?|"lastUpdated":"[^"]*",?')


def _run(*words: str | Path) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def _exported(url: str, folder: Path) -> dict[str, list[bytes]]:
    _run("export", "--database", url, "--output", folder)
    return {
        path.name: sorted(_OF_THE_SERVER.sub(b"", line) for line in path.read_bytes().splitlines())
        for path in sorted(folder.iterdir())
    }


def _table(path: Path) -> list[Mapping[str, str]]:
    names, *rows = (line.split("\t") for line in path.read_text("cp1252").splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def _questions(product: Mapping[str, str], package: str, release: str) -> dict[str, str]:
    """What is asked of a MedicationKnowledge to find a product. R4 has no parameter for its type."""
    labeler, own, last = package.split("-")
    digits = f"{labeler:0>5}{own:0>4}{last:0>2}"
    of_r5 = {"the category": f"product-type:text={product['MARKETINGCATEGORYNAME']}"} if release == "r5" else {}
    return {
        **of_r5,
        "the code of the product": f"code={NDC}|{product['PRODUCTNDC']}",
        "the code of a package": f"code={NDC}|{package}",
        "its ten digits": f"code={NDC}|{package.replace('-', '')}",
        "its eleven digits": f"code={NDC}|{digits}",
        "its eleven digits, alone": f"code={digits}",
        "the brand": f"drug-name={product['PROPRIETARYNAME']}",
        "the generic name": f"drug-name={product['NONPROPRIETARYNAME']}",
        "the form": f"doseform:text={product['DOSAGEFORMNAME'].partition(',')[0]}",
        "the route": f"route:text={product['ROUTENAME'].partition(';')[0]}",
        "a class": f"classification:text={product['PHARM_CLASSES'].partition(' [')[0].replace(',', chr(92) + ',')}",
        "the schedule": f"schedule={NCIT}|{ {'CII': 'C48675', 'CIV': 'C48677'}[product['DEASCHEDULE']] }",
    }


def _asked(server: InProcess, files: Path, *, own: bool) -> None:
    """Some product that has all of these, by each of them, in both releases; also by the project's `own` parameters."""
    packages = {row["PRODUCTID"]: row["NDCPACKAGECODE"] for row in _table(files / "package.txt")}
    product = next(
        row
        for row in _table(files / "product.txt")
        if row["PRODUCTID"] in packages and row["ROUTENAME"] and row["PHARM_CLASSES"] and row["DEASCHEDULE"]
    )
    package, identity = packages[product["PRODUCTID"]], f"ndc-{product['PRODUCTNDC']}"
    for release in ("r5", "r4"):
        for said, question in _questions(product, package, release).items():
            if not own and question.partition("=")[0].partition(":")[0] in OWN:
                continue
            # Many have the same form.
            path = f"/fhir/{release}/MedicationKnowledge?{quote(question, safe='=&:')}&_id={identity}"
            answer = server.ask("GET", path, {"Prefer": "handling=strict"})
            assert answer.status == 200, (said, answer.body)
            assert answer.ids == [identity], (release, said)
    answer = server.ask("GET", f"/fhir/r5/PackagedProductDefinition?identifier={NDC}|{package}")
    assert answer.ids == [f"ndc-{package}"]
    answer = server.ask(
        "GET", f"/fhir/r5/Medication?code={NDC}|{package}&_include=Medication:marketingauthorizationholder"
    )
    assert answer.ids == [identity]


def _ask(url: str, files: Path, *, own: bool) -> None:
    settings = Settings(database=url, content="")
    store = open_store(settings)
    try:
        _asked(InProcess(settings, store), files, own=own)
    finally:
        store.close()


def _there_and_back(products: int, url: str, folder: Path) -> None:
    """From the publisher's files into an empty database, out, and into another one, with search parameters beside it:
    several processes fill what is empty.
    """
    files = national.write(folder, products)
    assert "\n0 left out" in _run("import", "ndc", files / "product.txt", files / "package.txt", "--database", url)
    _ask(url, files, own=False)
    first = _exported(url, folder / "first")
    assert len(first["Medication.ndjson"]) == len(first["MedicationKnowledge.ndjson"]) == products
    again = f"sqlite:///{folder / 'again.db'}"
    _run("load", *PARAMETERS, folder / "first", "--database", again)
    _ask(again, files, own=True)
    second = _exported(again, folder / "second")
    assert len(second.pop("SearchParameter.ndjson")) == len(PARAMETERS)
    assert second == first


@pytest.mark.slow
def test_a_catalogue_is_found_and_comes_back_to_the_byte(database_url: str, tmp_path: Path) -> None:
    _there_and_back(500, database_url, tmp_path)


@pytest.mark.heavy
def test_a_national_catalogue_is_found_and_comes_back_to_the_byte(database_url: str, tmp_path: Path) -> None:
    _there_and_back(20_000, database_url, tmp_path)
