"""dm+d and tables through the command: into both databases, found over REST in each release, withdrawn when gone."""

from __future__ import annotations

import random
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.cli import main
from apothecary.errors import StartError
from apothecary.importers.dmd import resources as of_dmd
from apothecary.importers.formats import Given
from apothecary.importers.report import Report
from apothecary.importers.table import guess
from apothecary.importers.table import resources as of_table
from apothecary.settings import Settings
from tests.importers.making import dangling, errors, imported

SAMPLE = Path(__file__).parents[1] / "data" / "dmd"
MAPPING = """
catalogue: urn:example:formulary
columns:
  No: {element: code, system: urn:example:items}
  Name: name
  Substance: ingredient
  Strength: strength
  GTIN: {element: pack code, system: https://www.gs1.org/gtin}
constants:
  - {element: status, value: active}
"""
TABLE = "No,Name,Substance,Strength,GTIN\n007,Amoxi,amoxicillin,500 mg/5 ml,5000283101086\n008,Dia,diazepam,5 mg,\n"


def run(status: int, *words: str | Path) -> str:
    result = CliRunner().invoke(main, ["import", *map(str, words)])
    assert result.exit_code == status, result.output
    return result.output


def ids(client: FlaskClient, base: str, query: str) -> list[str]:
    answer: Any = client.get(f"/fhir/{base}/{query}", headers={"Prefer": "handling=strict"}).get_json()
    assert answer["resourceType"] == "Bundle", answer
    return [one["resource"]["id"] for one in answer.get("entry", ())]


def test_what_dmd_becomes_is_valid_everywhere_and_refers_to_what_is_there() -> None:
    made, _ = imported("dmd", SAMPLE)
    assert errors(made) == []
    assert dangling(made) == set()


def test_a_catalogue_of_each_is_found_by_its_codes_and_withdrawn_by_a_new_edition(
    database_url: str, tmp_path: Path
) -> None:
    table, mapping = tmp_path / "table.csv", tmp_path / "mapping.yaml"
    table.write_text(TABLE)
    mapping.write_text(MAPPING)
    into = ("--database", database_url)
    run(0, "dmd", SAMPLE, *into)
    assert "0 updated, 115 unchanged" in run(0, "dmd", SAMPLE, *into)
    run(0, "table", table, "--mapping", mapping, *into)
    with create_app(Settings(database=database_url, content="")).test_client() as client:
        for base in ("r4", "r4b", "r5"):
            code = "4744411000001104"
            for system in ("http://snomed.info/sct", "https://dmd.nhs.uk"):
                assert ids(client, base, f"MedicationKnowledge?code={system}|{code}") == [f"dmd-{code}"]
                assert ids(client, base, f"Medication?code={system}|{code}") == [f"dmd-{code}"]
            assert ids(client, base, "Medication?identifier=318338001") == ["dmd-35894711000001106"]
            assert ids(client, base, "MedicationKnowledge?code=urn:example:items|007") == ["table-007"]
        gtin = "PackagedProductDefinition?identifier=https://www.gs1.org/gtin|5000283101086&_sort=_id"
        assert ids(client, "r5", gtin) == ["dmd-4744711000001105", "table-007-1"]
        assert ids(client, "r5", "MedicationKnowledge?ingredient-code=35431001&_count=1") != []
    edition = tmp_path / "edition"
    shutil.copytree(SAMPLE, edition)
    amps = edition / "f_amp2_3010419.xml"
    gone = re.sub(r"<AMP>\s*<APID>4744411000001104.*?</AMP>", "", amps.read_text(), flags=re.S)
    amps.write_text(re.sub(r"<LIC_ROUTE>\s*<APID>4744411000001104.*?</LIC_ROUTE>", "", gone, flags=re.S))
    run(0, "dmd", edition, *into)
    table.write_text(TABLE.replace("008,Dia", "009,Dio"))
    run(0, "table", table, "--mapping", mapping, *into)
    with create_app(Settings(database=database_url, content="")).test_client() as client:
        for base in ("r4", "r5"):
            assert "dmd-4744411000001104" in ids(client, base, "MedicationKnowledge?status=inactive")
            assert "table-008" in ids(client, base, "MedicationKnowledge?status=inactive")
            assert ids(client, base, "MedicationKnowledge?status=active&code=urn:example:items|009") == ["table-009"]


def _mutated(data: bytes, random: random.Random) -> bytes:
    """A file with one thing wrong: a byte, a hole, a part twice, or a value that means nothing."""
    text = bytearray(data)
    at = random.randrange(len(text))
    match random.randrange(4):
        case 0:
            text[at] = random.choice(b'<>"/=09z \x00\xff')
        case 1:
            del text[at : at + random.randint(1, 40)]
        case 2:
            text[at:at] = text[at // 2 : at // 2 + random.randint(1, 60)]
        case _:
            values = (b"", b"x", b"9" * 18, b"2019-02-30", b"-5", b"1e30", b"a b")
            return re.sub(
                rb">([^<>\n]+)<",
                lambda one: one[0] if random.random() < 0.7 else b">" + random.choice(values) + b"<",
                bytes(text),
            )
    return bytes(text)


@pytest.mark.parametrize("seed", range(6))
def test_files_of_dmd_with_something_wrong_never_crash_and_make_nothing_invalid(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for path in SAMPLE.glob("*.xml"):
        shutil.copy(path, tmp_path)
    chosen = chance.choice(sorted(tmp_path.glob("*.xml")))
    chosen.write_bytes(_mutated(chosen.read_bytes(), chance))
    made = [one.resource for one in of_dmd(Given([tmp_path], Report(lambda _: None), {}))]
    assert errors(made, in_models=False) == []


@pytest.mark.parametrize("seed", range(6))
def test_workbooks_with_something_wrong_never_crash_and_make_nothing_invalid(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    book = openpyxl.Workbook()
    for line in TABLE.splitlines():
        book.active.append(line.split(","))
    path = tmp_path / "table.xlsx"
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    for _ in range(8):
        name = chance.choice(sorted(name for name in parts if re.search("sheet|hared|style|workbook", name)))
        with zipfile.ZipFile(path, "w") as archive:
            for part, data in parts.items():
                archive.writestr(part, _mutated(data, chance) if part == name else data)
        given = Given([path], Report(lambda _: None), {"mapping": str(tmp_path / "mapping.yaml")})
        try:
            made = [one.resource for one in of_table(given)]
            assert guess(given)
        except StartError:
            continue
        assert errors(made, in_models=False) == []
