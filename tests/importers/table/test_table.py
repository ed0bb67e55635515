"""Tables of drugs: what a mapping makes of CSV, TSV and XLSX, and what is told."""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.errors import InvalidFile, StartError
from apothecary.fhir.json import JSON, dumps
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Place, Remark, Report
from apothecary.importers.table import catalogue, guess, resources
from tests.importers.made import check

OWN = "urn:example:formulary"
MAPPING = f"""
catalogue: {OWN}
columns:
  No: {{element: code, system: {OWN}}}
  Name: name
  Substance: ingredient
  Strength: strength
  Form: {{element: form, values: {{tab: tablet, inj: {{text: injection, code: '385219001', system: http://snomed.info/sct}}}}}}
  Route: {{element: route, split: '/'}}
  ATC: {{element: classification, system: http://www.whocc.no/atc, type: ATC}}
  GTIN: {{element: pack code, system: https://www.gs1.org/gtin}}
  Size: {{element: pack size, unit: '{{tbl}}'}}
  Price: {{element: price, currency: EUR, type: list price}}
ignore: [Remark]
"""
HEAD = "No;Name;Substance;Strength;Form;Route;ATC;GTIN;Size;Price;Remark"


def run(tmp_path: Path, table: str | bytes | Path, mapping: str = MAPPING) -> tuple[dict[str, JSON], list[Remark]]:
    """What is made, as `type/id` -> resource, and what is told; all that is made is valid in each release."""
    if not isinstance(table, Path):
        path = tmp_path / "table.csv"
        path.write_bytes(table.encode() if isinstance(table, str) else table)
        table = path
    (tmp_path / "mapping.yaml").write_text(mapping, encoding="utf-8")
    remarks: list[Remark] = []
    made = list(resources(Given([table], Report(remarks.append), {"mapping": str(tmp_path / "mapping.yaml")})))
    check(made)
    found = {f"{one.resource['resourceType']}/{one.resource['id']}": one.resource for one in made}
    assert len(found) == len(made)
    return found, remarks


def reasons(remarks: Sequence[Remark]) -> list[str]:
    return [f"{one.place.line}:{one.place.column}: {one.kind}: {one.reason}" for one in remarks]


def test_a_row_becomes_a_drug_with_its_pack(tmp_path: Path) -> None:
    row = "0047;Amoxi;Amoxicillin;500 mg/5 ml;tab;oral/rectal;J01CA04;5000283101086;30;12.50;nobody's"
    found, remarks = run(tmp_path, f"{HEAD}\n{row}\n")
    assert remarks == []
    knowledge = found["MedicationKnowledge/table-0047"]
    assert knowledge["code"] == {"coding": [{"system": OWN, "code": "0047"}], "text": "Amoxi"}
    assert knowledge["identifier"] == [{"system": OWN, "value": "0047"}]
    assert knowledge["medicineClassification"][0]["classification"][0]["coding"][0]["code"] == "J01CA04"
    assert dumps(knowledge["cost"][0]["costMoney"]) == b'{"value":12.50,"currency":"EUR"}'
    definitional = knowledge["definitional"]
    assert definitional["doseForm"] == {"text": "tablet"}
    assert [one["text"] for one in definitional["intendedRoute"]] == ["oral", "rectal"]
    ratio = definitional["ingredient"][0]["strengthRatio"]
    assert (ratio["numerator"]["code"], ratio["denominator"]["code"]) == ("mg", "mL")
    assert dumps([ratio["numerator"]["value"], ratio["denominator"]["value"]]) == b"[500,5]"
    pack = found["PackagedProductDefinition/table-0047-1"]
    assert pack["identifier"] == [{"system": "https://www.gs1.org/gtin", "value": "5000283101086"}]
    assert pack["containedItemQuantity"][0]["code"] == "{tbl}"
    assert found["Medication/table-0047"]["definition"] == {"reference": "MedicationKnowledge/table-0047"}


def test_a_pharmacists_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    text = (
        "sep=;\r\nFormulary of Example Hospital;;;\r\n;;;\r\nNo;Name;Substance;Strength\r\nANTIBIOTICS;;;\r\n"
        '1;"Amoxi; the\r\nred one";Amoxicillin;0,5 g\r\n;;;\r\nNo;Name;Substance;Strength\r\n;lost;x;1 mg\r\n'
        "2;\u00a0Metro ;Metronidazole;500 mg\r\n2;Metro;Cilastatin;250 mg\r\n1;again;;\r\nTotal:;;2;\r\n"
    )
    mapping = f"""
decimal: ','
columns:
  no: {{element: code, system: '{OWN}'}}
  NAME: name
  Substance: ingredient
  Strength: strength
"""
    found, remarks = run(tmp_path, b"\xef\xbb\xbf" + text.encode(), mapping)
    assert [key for key in found if key.startswith("Medication/")] == ["Medication/table-1", "Medication/table-2"]
    assert found["MedicationKnowledge/table-1"]["name"] == ["Amoxi; the\nred one"]
    assert found["MedicationKnowledge/table-2"]["name"] == ["Metro"]
    strengths = [one["strengthQuantity"] for one in found["Medication/table-2"]["ingredient"]]
    assert [str(one["value"]) for one in strengths] == ["500", "250"]
    assert str(found["Medication/table-1"]["ingredient"][0]["strengthQuantity"]["value"]) == "0.5"
    assert reasons(remarks) == [
        "5:: skipped: only 'ANTIBIOTICS' stands here: taken for a heading",
        "9:: skipped: the names of the columns stand here again",
        "10:: skipped: has no No, by which drugs are told apart",
        f"13:: skipped: 1 stands at {tmp_path}/table.csv:6, too, and not next to it: the first is taken",
        "14:: skipped: 'Total:': taken for a line of sums",
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1.2E+10;x", "2:: skipped: 1.2E+10 is a number whose last digits are lost, and no code"),
        ("1;x;y;5", "Strength: approximated: '5' has no unit: it stands as text"),
        ("1;x;y;1,000 mg", "'1,000 mg' is not a number with a unit: it stands as text"),
        ("1;x;y;5 mg + 10 mg", "'5 mg + 10 mg' is not a number with a unit: it stands as text"),
        ("1;x;y;1:1000", "'1:1000' is not a number with a unit: it stands as text"),
        ("1;x;y;5 mg/0 ml", "'5 mg/0 ml' is not a number with a unit: it stands as text"),
        ("1;x;;5 mg", "the strength 5 mg is of no ingredient: it is a characteristic"),
        ("1;x;y;;pill", "Form: approximated: 'pill' is not among the values of the mapping: it stands as text"),
        ("1;x;y;;;;J1", "ATC: approximated: J1 stands as it is, but is not written as a group of"),
        ("1;x;y;;;;;;few", "Size: skipped: 'few' is not a number with a decimal point"),
        ("1;x;y;;;;;;;12,50", "Price: skipped: '12,50' is not a number with a decimal point"),
        ("1;x;y;;;;;;;;r;more", "column 12: skipped: 'more' has no header"),
        ('1;x;"y" z', "line 2 cannot be read as a row"),
        ('1;x;"y', "a quotation mark in line 2 is not closed"),
        (f"1;{'x' * 40_000}", "a cell of the row has more than 32767 characters"),
        ("1;x" + ";" * 2_000, "the row has 2002 columns"),
        ("1;x\n1;y", "this row says another name of the same drug"),
    ],
)  # fmt: skip
def test_what_cannot_stand_as_it_is_is_told_with_row_and_column(tmp_path: Path, row: str, told: str) -> None:
    found, remarks = run(tmp_path, f"{HEAD}\n{row}\n9;last;z;1 mg\n" if not row.endswith('"y') else f"{HEAD}\n{row}\n")
    assert any(told in one for one in reasons(remarks)), reasons(remarks)
    assert remarks[0].place.line in (0, 2, 3)
    assert row.endswith('"y') or "Medication/table-9" in found


def test_every_row_of_a_long_table_is_there(tmp_path: Path) -> None:
    text = "No;Name\n" + "".join(f"{number};drug {number}\n" for number in range(300))
    mapping = f"columns: {{No: {{element: code, system: '{OWN}'}}, Name: name}}\n"
    found, remarks = run(tmp_path, text, mapping)
    assert [key for key in found if key.startswith("Medication/")] == [
        f"Medication/table-{number}" for number in range(300)
    ]
    assert remarks == []


def test_text_in_other_encodings_is_read_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    mapping = f"columns: {{No: {{element: code, system: '{OWN}'}}, Name: name}}\n"
    for encoding, head in (("utf-16", ""), ("windows-1252", "encoding: windows-1252\n"), ("utf-8-sig", "")):
        found, remarks = run(tmp_path, "No,Name\n1,Grünes Öl\n".encode(encoding), head + mapping)
        assert found["MedicationKnowledge/table-1"]["name"] == ["Grünes Öl"], encoding
        assert remarks == []
    found, remarks = run(tmp_path, b"No\tName\n1\tGr\xfcn\n", mapping)
    assert found["MedicationKnowledge/table-1"]["name"] == ["Grün"]
    assert "is not UTF-8" in remarks[0].reason


def test_lists_in_a_cell_go_together_by_their_order_and_a_date_goes_with_its_price(tmp_path: Path) -> None:
    mapping = f"""
dates: day-first
columns:
  No: {{element: code, system: '{OWN}'}}
  Substances: {{element: ingredient, split: +}}
  Strengths: {{element: strength, split: +}}
  Since: price date
  Price: {{element: price, currency: CHF}}
"""
    rows = "1,a + b,500 mg + 125 mg,13.1.2025,5\n2,a + b,5 mg,,\n3,a,1 mg,1.2.2025,\n4,a,1 mg,31.2.2025,1\n"
    found, remarks = run(tmp_path, f"No,Substances,Strengths,Since,Price\n{rows}", mapping)
    strengths = [one["strengthQuantity"]["value"] for one in found["Medication/table-1"]["ingredient"]]
    assert strengths == [500, 125]
    assert found["MedicationKnowledge/table-1"]["cost"][0]["effectiveDate"] == [{"start": "2025-01-13"}]
    assert reasons(remarks) == [
        "3:: approximated: 2 ingredients, and 1 strengths: the first are of the first",
        "4:: skipped: the date of a price without a price",
        "5:Since: skipped: '31.2.2025' is not a date (day-first)",
    ]


def test_numbers_are_read_with_what_their_format_shows(tmp_path: Path) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["No", "Substance", "Strength"])
        for number, (value, shape) in enumerate([(500, '0" mg"'), (0.05, "0%"), (2.5, "0.0"), (7, '#,##0.0 "ml"')], 2):
            sheet.append([f"a{number}", "x", value])
            sheet[f"C{number}"].number_format = shape

    columns = f"No: {{element: code, system: '{OWN}'}}, Substance: ingredient, Strength: strength"
    mapping = f"columns: {{{columns}}}\ndecimal: ','\n"
    found, remarks = run(tmp_path, workbook(tmp_path, fill), mapping)
    strengths = {key[-2:]: one["ingredient"][0] for key, one in found.items() if key.startswith("Medication/")}
    shown = {key: one["strengthQuantity"] for key, one in strengths.items() if "strengthQuantity" in one}
    assert {key: (str(one["value"]), one["code"]) for key, one in shown.items()} == {
        "a2": ("500", "mg"),
        "a3": ("5", "%"),
        "a5": ("7", "mL"),
    }
    assert reasons(remarks) == ["4:Strength: approximated: '2.5' has no unit: it stands as text"]


Fill = Callable[[Any], None]


def workbook(tmp_path: Path, fill: Fill) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "Drugs"
    fill(book.active)
    path = tmp_path / "table.xlsx"
    book.save(path)
    return path


SMALL = f"""
columns:
  No: {{element: code, system: '{OWN}'}}
  Name: name
  Changed: {{element: characteristic, type: changed}}
  Price: {{element: price, currency: EUR}}
"""


def test_a_workbook_says_what_its_cells_were_kept_as(tmp_path: Path) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["Our drugs"])
        sheet.append(["No", "Name", "Changed", "Price"])
        sheet.append(["0001", "text", datetime.date(2024, 3, 1), 1.1])
        sheet.append([2, "number", datetime.datetime(2024, 3, 1, 8, 30), 3])
        sheet.append([3, "zeros", None, "=1+1"])
        sheet["A5"].number_format = "0000"
        sheet.append([datetime.date(2024, 3, 1), "date"])
        sheet.append([1234567890123456, "long"])
        sheet.append([4, "wrong", None, "#N/A"])
        sheet.append([5, True])
        sheet.row_dimensions[4].hidden = True

    found, remarks = run(tmp_path, workbook(tmp_path, fill), SMALL)
    assert [key.split("-")[1] for key in found if key.startswith("Medication/")] == ["0001", "2", "0003", "4", "5"]
    said = found["MedicationKnowledge/table-0001"]
    assert said["definitional"]["drugCharacteristic"][0]["valueString"] == "2024-03-01"
    assert dumps(said["cost"][0]["costMoney"]["value"]) == b"1.1"
    assert reasons(remarks) == [
        "4:No: approximated: 2 is kept as a number: zeros that the code began with would be lost",
        "5:Price: skipped: the formula =1+1 has not been calculated: open and save the workbook",
        "6:: skipped: the cell is kept as the date 2024-03-01, and the code in it is lost",
        "7:: skipped: the cell is kept as the number 1234567890123456, and the code in it is lost",
        "8:No: approximated: 4 is kept as a number: zeros that the code began with would be lost",
        "8:Price: skipped: #N/A stands in place of a value",
        "9:No: approximated: 5 is kept as a number: zeros that the code began with would be lost",
        "4:: approximated: rows that are hidden are read like the others (1)",
    ]


def test_names_over_merged_columns_sheets_and_merged_rows(tmp_path: Path) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["Drug", None, "Pack", None])
        sheet.append(["No", "Name", "No", "Size"])
        sheet.merge_cells("A1:B1")
        sheet.append([" 1", "One", "5000283101086", 10])
        sheet.append([None, None, "5000283101093", 20])
        other = sheet.parent.create_sheet("Other")
        other.append(["No", "Name"])

    mapping = f"""
header: [1, 2]
columns:
  Drug / No: {{element: code, system: '{OWN}'}}
  Drug / Name: name
  Pack / No: {{element: pack code, system: https://www.gs1.org/gtin}}
  Pack / Size: {{element: pack size, unit: g}}
fill: [Drug / No]
"""
    path = workbook(tmp_path, fill)
    found, remarks = run(tmp_path, path, mapping)
    assert [one["packagedProduct"]["reference"][-3:] for one in found["MedicationKnowledge/table-1"]["packaging"]] == [
        "1-1",
        "1-2",
    ]
    assert reasons(remarks) == ["0:sheet: skipped: the sheet 'Drugs' is read; the others are not: 'Other'"]
    assert run(tmp_path, path, f"sheet: Drugs\n{mapping}")[1] == []
    with pytest.raises(StartError, match="has no sheet 'Mine'; it has 'Drugs', 'Other'"):
        run(tmp_path, path, f"sheet: Mine\n{mapping}")


def _part(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The workbook with one of its parts changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in parts.items():
            archive.writestr(key, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        (SHEET, lambda data: data.replace(b'<row r="2"', b'<row r="999999999999"'), "has a row 999999999999"),
        (SHEET, lambda data: data.replace(b'r="A2"', b'r="XFD2"'), "has a column XFD"),
        (SHEET, lambda data: b'<!DOCTYPE x [<!ENTITY a "b">]>' + data, "has a document type declaration"),
        (SHEET, lambda data: data[: len(data) // 2], "is no workbook that can be read"),
        (SHEET, lambda data: data + b" " * 70_000_000, "unpacked, xl/worksheets/sheet1.xml would have"),
        ("xl/workbook.xml", lambda data: b"<x/>", "is no workbook that can be read|has no sheet"),
        ("[Content_Types].xml", lambda data: b"", "is no workbook that can be read"),
    ],
)
def test_hostile_and_broken_workbooks_are_refused_with_a_reason(
    tmp_path: Path, part: str, change: Callable[[bytes], bytes], told: str
) -> None:
    def fill(sheet: Any) -> None:
        for row in (["No", "Name", "Changed", "Price"], ["1", "x"]):
            sheet.append(row)

    path = _part(workbook(tmp_path, fill), part, change)
    try:
        found, remarks = run(tmp_path, path, SMALL)
    except StartError as error:
        found, remarks = {}, [Remark("skipped", Place("table.xlsx"), str(error))]
    assert not found
    assert any(re.search(told, one.reason) for one in remarks)


def test_a_workbook_that_is_none_and_other_formats_are_refused(tmp_path: Path) -> None:
    for name, data, told in (
        ("a.xlsx", b"no zip", "File is not a zip file"),
        ("a.xlsx", b"PK\x03\x04torn", "not a zip file"),
        ("a.xls", b"\xd0\xcf", "is a file of Excel 97"),
        ("a.csv", b"a\x00b", "is no table of text"),
        ("a.pdf", b"%PDF-1.7", "is no table of text"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(StartError, match=told):
            run(tmp_path, tmp_path / name, SMALL)


FAULTS = [
    ("columns: {No: kode}", r"mapping.yaml:1:15: columns.No"),
    ("columns: {No: code}", r"mapping.yaml:1:15: a column that is a code needs a system"),
    ("columns:\n  No: {element: code}\n", r"mapping.yaml:2:7: a column that is a code needs a system"),
    ("columns: {No: name}\nconstants: [{element: identifier, value: x}]", "is a identifier needs a system"),
    ("columns: {No: form}", "no column is a name, a code or an identifier"),
    ("columns: {No: name, P: price}", "a price needs a currency"),
    ("columns: {No: name, P: {element: price}}", "a price needs a currency"),
    ("columns: {No: name}\ncolour: red\n", "mapping.yaml:2:9: 'colour' is not a key of the file"),
    ("columns: {No: name}\nheader: [0, 1]\n", "mapping.yaml:2:10: header"),
    ("columns: {No: name}\nheader: [1, 2, 3, 4, 5, 6]\n", "mapping.yaml:2:9: header"),
    ("columns: {No: name, F: {element: form, values: {a: {code: x}}}}", "a code needs a system"),
    ("columns: {No: {element: name, system: no uri}}", "a URI"),
]
# Those that no schema can tell.
FURTHER = [
    ("columns: {No: name}\nkey: [Na]\n", "mapping.yaml:2:7: Na is not among the columns"),
    ("columns: {No: name}\nignore: [No]\n", "No is among the columns, too"),
    ("columns: {No: name}\nunits: {Stk: Stück}\n", "mapping.yaml:2:14: Stück is no UCUM code"),
    ("columns: {No: {element: name, unit: Stück}}", "Stück is neither a UCUM code nor one of the units"),
    ("columns: {No: name}\nheader: [2, 1]\n", "mapping.yaml:2:9: header"),
    ("columns: [", "mapping.yaml:"),
    ("columns: {No: name, No: form}", "stands twice"),
]


@pytest.mark.parametrize(("mapping", "told"), FAULTS + FURTHER)
def test_every_fault_of_a_mapping_is_told_at_its_place(tmp_path: Path, mapping: str, told: str) -> None:
    with pytest.raises(InvalidFile, match=told):
        run(tmp_path, f"{HEAD}\n1;x\n", mapping)


def test_a_table_without_the_columns_of_the_mapping_is_refused_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="has no column Strength in row 1"):
        run(tmp_path, "No;Name;Substance\n1;x;y\n", "columns: {No: name, Name: synonym, Strength: strength}")
    with pytest.raises(StartError, match="--mapping FILE says what the columns are"):
        list(resources(Given([tmp_path / "table.csv"], Report(lambda _: None), {})))


def test_the_catalogue_of_a_table_is_what_its_mapping_says(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING)
    given = Given([tmp_path], Report(lambda _: None), {"mapping": str(tmp_path / "m.yaml")})
    assert catalogue(given) == OWN
    assert FORMATS["table"].catalogue_of(given) == OWN


GUESSED = {
    "en.csv": (
        "Item No,Generic Name,Brand Name,Strength,Dosage Form,Route,NDC,ATC Code\n"
        "001,amoxicillin,Amoxil,500 mg,capsule,oral,0143-9938-01,J01CA04\n"
        "002,diazepam,Valium,5 mg/ml,injection,iv,0409-3213-12,N05BA01\n",
        {"Generic Name": "ingredient", "Brand Name": "name", "Strength": "strength", "NDC": "pack code"},
    ),
    "de.csv": (
        "Artikelnummer;Bezeichnung;Wirkstoff;Stärke;Darreichungsform;Preis (EUR);Stand\n"
        "1;Amoxi;Amoxicillin;0,5 g;Kapsel;1,25;13.01.2025\n2;Dia;Diazepam;2,5 mg;Tablette;0,75;14.01.2025\n",
        {"Bezeichnung": "name", "Darreichungsform": "form", "Preis (EUR)": "price", "Stand": "characteristic"},
    ),
    "fr.csv": (
        "Code;Dénomination;Principe actif;Dosage;Forme;Voie;EAN\n"
        "A1;Amoxi;amoxicilline;500 mg;gélule;orale;5000283101086\n"
        "A2;Vali;diazépam;5 mg;comprimé;orale;5012727907376\n",
        {"Dénomination": "name", "Principe actif": "ingredient", "Dosage": "strength", "EAN": "pack code"},
    ),
    "none.csv": ("x,y\n1,2\n3,4\n", {"x": "name", "y": "characteristic"}),
}


@pytest.mark.parametrize("name", GUESSED)
def test_a_proposed_mapping_fits_the_table_as_it_is(tmp_path: Path, name: str) -> None:
    text, meant = GUESSED[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    proposed = guess(Given([tmp_path / name], Report(lambda _: None), {}))
    columns = yaml.safe_load(proposed)["columns"]
    assert {column: columns[column]["element"] for column in meant} == meant
    found, remarks = run(tmp_path, tmp_path / name, proposed)
    assert sum(key.startswith("Medication/") for key in found) == 2
    assert not [one for one in remarks if one.kind == "skipped"]


def test_a_table_with_nothing_in_it_has_no_mapping(tmp_path: Path) -> None:
    for data in ("", "\n\n", ";;;\n"):
        (tmp_path / "a.csv").write_text(data)
        with pytest.raises(StartError, match="has no"):
            guess(Given([tmp_path / "a.csv"], Report(lambda _: None), {}))


_CELLS = st.one_of(
    st.sampled_from(
        ("", "1", "0047", "Total", "5 mg", "5 mg/ml", "0,5", "1E5", "tab", "#N/A", "2024-01-01", "No", " ", "a/b")
    ),
    st.text("aé0.,;/\"'\n\t\u200b%=", max_size=6),
)


@given(st.lists(st.lists(_CELLS, max_size=12), max_size=5))
def test_any_rows_are_there_or_told(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";")
    writer.writerow(HEAD.split(";"))
    writer.writerows(rows)
    found, remarks = run(tmp_path_factory.mktemp("any"), text.getvalue())
    made = {one["value"] for key, drug in found.items() if key[:4] == "Medi" for one in drug.get("identifier", ())}
    told = {one.place.line for one in remarks if one.kind == "skipped"}
    reader = csv.reader(io.StringIO(text.getvalue().replace("\r\n", "\n")), delimiter=";")
    line = 1
    for row in reader:
        cells = [cell.strip(" \t\r\n\u200b") for cell in row]
        if line > 1 and any(cells):
            assert line in told or cells[0] in made, (line, cells, reasons(remarks))
        line = reader.line_num + 1


_KEPT = st.one_of(
    st.none(),
    st.text("aé0.,;\n=", max_size=5),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.booleans(),
    st.dates(datetime.date(1950, 1, 1), datetime.date(2100, 1, 1)),
    st.times(),
)


@settings(max_examples=20)
@given(st.lists(st.lists(_KEPT, max_size=6), max_size=4))
def test_any_workbook_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]]) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["No", "Name", "Changed", "Price"])
        for row in rows:
            sheet.append(row)

    folder = tmp_path_factory.mktemp("any")
    run(folder, workbook(folder, fill), SMALL)
    with contextlib.suppress(StartError):
        run(folder, folder / "table.xlsx", guess(Given([folder / "table.xlsx"], Report(lambda _: None), {})))
