"""Lists of interactions: what a mapping makes of their rows, and what is told."""

from __future__ import annotations

import re
from pathlib import Path

import openpyxl
import pytest
import yaml

from apothecary.errors import InvalidFile, StartError
from apothecary.fhir.json import JSON
from apothecary.fhir.statements import SEVERITY, SEVERITY_EXTENSION, SOURCE_EXTENSION
from apothecary.importers.formats import Given
from apothecary.importers.report import Report
from apothecary.importers.table import guess
from tests.importers.table.test_table import reasons, run

ROOT = Path(__file__).parents[3]
ATC = "http://www.whocc.no/atc"
MAPPING = f"""
catalogue: urn:example:interactions
prefix: ddi
columns:
  ATC 1: {{element: subject code, system: {ATC}}}
  Drug 1: subject
  ATC 2: {{element: interactant code, system: {ATC}}}
  Drug 2: {{element: interactant, split: /}}
  Effect: effect
  Incidence: incidence
  Severity: {{element: severity, values: {{major: {{code: high}}, minor: {{code: low}}, unclear: unclear}}}}
  Management: {{element: management, split: ;}}
  Source: source
  Address: source address
constants:
  - {{element: type, value: drug-drug}}
"""
HEAD = "ATC 1\tDrug 1\tATC 2\tDrug 2\tEffect\tIncidence\tSeverity\tManagement\tSource\tAddress\n"


def table(*rows: str) -> str:
    return HEAD + "".join(f"{row}\n" for row in rows)


def test_a_row_becomes_a_statement_with_both_sides_its_severity_and_its_source(tmp_path: Path) -> None:
    row = "X01\talphamab\tX02A\tbetatins\tless effect\trare\tMajor\tavoid; watch\tA list, 2026\thttps://list.example/7"
    found, remarks = run(tmp_path, table(row), MAPPING)
    assert remarks == []
    assert found["Medication/ddi-X01"]["code"] == {"coding": [{"system": ATC, "code": "X01"}], "text": "alphamab"}
    statement = found["ClinicalUseDefinition/ddi-interaction-X01-X02A"]
    assert (statement["type"], statement["status"]["coding"][0]["code"]) == ("interaction", "active")
    assert statement["subject"] == [{"reference": "Medication/ddi-X01", "display": "alphamab"}]
    assert statement["interaction"] == {
        "interactant": [
            {"itemCodeableConcept": {"coding": [{"system": ATC, "code": "X02A"}], "text": "betatins"}},
        ],
        "type": {"text": "drug-drug"},
        "effect": {"concept": {"text": "less effect"}},
        "incidence": {"text": "rare"},
        "management": [{"text": "avoid"}, {"text": "watch"}],
    }
    severity, source = statement["extension"]
    assert severity == {
        "url": SEVERITY_EXTENSION,
        "valueCodeableConcept": {"coding": [{"system": SEVERITY, "code": "high"}], "text": "Major"},
    }
    cited = {"type": "citation", "citation": "A list, 2026", "document": {"url": "https://list.example/7"}}
    assert source == {"url": SOURCE_EXTENSION, "valueRelatedArtifact": cited}


def test_statements_of_one_pair_that_differ_are_all_kept_and_a_row_that_comes_twice_is_told(tmp_path: Path) -> None:
    one, other = "X01\talphamab\tX02\tbetatin\tmore\t\tmajor", "X01\talphamab\tX02\tbetatin\tless\t\tminor"
    found, remarks = run(tmp_path, table(one, one, other, one), MAPPING)
    statements = [key for key in found if key.startswith("Clin")]
    assert statements == [f"ClinicalUseDefinition/ddi-interaction-X01-X02{end}" for end in ("", ".2")]
    assert [key for key in found if key.startswith("Med")] == ["Medication/ddi-X01"]
    assert len(remarks) == 1
    assert reasons(remarks)[0].startswith("5:: skipped: X01 alphamab")


def test_names_alone_name_both_sides_and_several_interactants_stand_side_by_side(tmp_path: Path) -> None:
    found, remarks = run(
        tmp_path, table("\tAlphamab\t\tbetatin/gammanol\tmore", "\talphamab\tX09\tdeltin\tless"), MAPPING
    )
    assert remarks == []
    assert list(found) == [
        "Medication/ddi-alphamab",
        *(f"ClinicalUseDefinition/ddi-interaction-alphamab-{end}" for end in ("betatin-gammanol", "X09")),
    ]
    items = found["ClinicalUseDefinition/ddi-interaction-alphamab-betatin-gammanol"]["interaction"]["interactant"]
    assert items == [{"itemCodeableConcept": {"text": name}} for name in ("betatin", "gammanol")]
    # Each statement keeps the name that its row has.
    assert found["ClinicalUseDefinition/ddi-interaction-alphamab-X09"]["subject"][0]["display"] == "alphamab"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("X01\ta\t\t\tmore", "2:: skipped: has no interactant: an interaction has two sides"),
        ("\t\tX02\tb\tmore", "2:: skipped: has no subject: an interaction has two sides"),
        (
            "X01\ta\tX02\tb\t\t\tfatal",
            "2:Severity: approximated: 'fatal' is not among the values of the mapping: it stands as text",
        ),
        ("1.2E+10\ta\tX02\tb\tmore", "2:: skipped: 1.2E+10 is a number whose last digits are lost, and no code"),
    ],
)  # fmt: skip
def test_what_is_no_interaction_or_no_severity_is_told(tmp_path: Path, row: str, told: str) -> None:
    _, remarks = run(tmp_path, table(row), MAPPING)
    assert reasons(remarks) == [told]


def test_without_values_a_severity_is_a_code_only_where_it_is_one_of_fhir(tmp_path: Path) -> None:
    mapping = re.sub(r"Severity: .*", "Severity: severity", MAPPING)
    found, remarks = run(tmp_path, table("X01\ta\tX02\tb\t\t\tHigh", "X01\ta\tX03\tc\t\t\tgrave"), mapping)
    severities = [one["extension"][0]["valueCodeableConcept"] for one in found.values() if "extension" in one]
    assert severities == [{"coding": [{"system": SEVERITY, "code": "high"}], "text": "High"}, {"text": "grave"}]
    assert [one.kind for one in remarks] == ["approximated"]


def test_rows_with_one_identifier_are_one_statement(tmp_path: Path) -> None:
    mapping = f"""
columns:
  Id: {{element: identifier, system: urn:example:ids}}
  A: subject
  B: {{element: interactant code, system: {ATC}}}
  State: {{element: status, values: {{gone: inactive}}}}
key: [Id]
"""
    found, remarks = run(tmp_path, "Id,A,B,State\n7,alphamab,X02,gone\n7,alphamab,X03,gone\n", mapping)
    assert remarks == []
    statement = found["ClinicalUseDefinition/table-interaction-7"]
    assert statement["identifier"] == [{"system": "urn:example:ids", "value": "7"}]
    assert statement["status"]["coding"][0]["code"] == "retired"
    items = [one["itemCodeableConcept"]["coding"][0]["code"] for one in statement["interaction"]["interactant"]]
    assert (len(statement["subject"]), items) == (1, ["X02", "X03"])


FAULTS = [
    ("A: subject", "no column is its interactant, by name or by code"),
    ("A: subject\n  B: interactant\n  C: strength", "a table of interactions has no strength"),
    ("A: subject code\n  B: interactant", "a column that is a subject code needs a system"),
    ("A: subject\n  B: interactant\n  C: {element: severity, values: {x: {code: major}}}", "a severity is high, "),
    (
        f"A: subject\n  B: interactant\n  C: {{element: severity, system: {SEVERITY}, values: {{x: {{code: major}}}}}}",
        "a severity is high, ",
    ),
]


@pytest.mark.parametrize(("columns", "fault"), FAULTS)
def test_a_mapping_that_fits_no_list_of_interactions_is_refused(tmp_path: Path, columns: str, fault: str) -> None:
    with pytest.raises(InvalidFile, match=fault):
        run(tmp_path, "A,B,C\nx,y,z\n", f"columns:\n  {columns}\n")


def test_the_mapping_in_the_documentation_reads_a_workbook_of_such_columns(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
    mapping = next(one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "interactant" in one)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Drug A", "RxCUI A", "Drug B", "RxCUI B", "What happens", "Severity", "What to do", "Reference"])
    sheet.append(
        ["alphamab", "101", "betatin", "202", "more of betatin", "contraindicated", "do not combine", "A list"]
    )
    book.save(tmp_path / "list.xlsx")
    found, remarks = run(tmp_path, tmp_path / "list.xlsx", mapping)
    assert remarks == []
    (statement,) = (one for one in found.values() if one["resourceType"] == "ClinicalUseDefinition")
    severity: JSON = statement["extension"][0]["valueCodeableConcept"]
    assert (severity["coding"][0]["code"], severity["text"]) == ("high", "contraindicated")
    assert statement["interaction"]["management"] == [{"text": "do not combine"}]


RXNORM, OWN = "http://www.nlm.nih.gov/research/umls/rxnorm", "urn:example:formulary"
GUESSED = {
    # As lists on the web have it, and as hospitals write it.
    "letters.csv": (
        "ListID_A,Drug_A,ListID_B,Drug_B,Level\nL1,alphamab,L2,betatin,Major\nL3,gammanol,L1,alphamab,Unknown\n",
        {"ListID_A": "subject code", "Drug_A": "subject", "ListID_B": "interactant code", "Drug_B": "interactant"},
        [],
        2,
    ),
    "numbers.csv": (
        "RXCUI1;Drug 1;RXCUI2;Drug 2;Interaction;Severity;Recommendation;Reference;URL;Reviewed\n"
        "9001;alphamab;9002;betatin;less effect;high;avoid;A list;https://x.example/1;2026-01-01\n"
        "9003;gammanol;9001;alphamab;more effect;minor;watch;A list;https://x.example/2;2026-01-01\n",
        {
            "RXCUI2": "interactant code",
            "Interaction": "effect",
            "Recommendation": "management",
            "URL": "source address",
        },
        ["Reviewed"],
        2,
    ),
    "german.csv": (
        "ATC 1;Wirkstoff 1;ATC 2;Wirkstoff 2;Effekt;Schweregrad;Maßnahme;Quelle\n"
        "N03AE01;Alphamab;N05BA01;Betatin;stärker;kontraindiziert;meiden;Liste\n",
        {"ATC 1": "subject code", "Wirkstoff 2": "interactant", "Schweregrad": "severity", "Quelle": "source"},
        [],
        1,
    ),
    "words.csv": (
        "Affected drug,Interacts with,Consequence,Risk\nalphamab,betatin,falls,severe\n",
        {"Affected drug": "subject", "Interacts with": "interactant", "Consequence": "effect", "Risk": "severity"},
        [],
        1,
    ),
}


@pytest.mark.parametrize("name", GUESSED)
def test_a_mapping_is_proposed_that_fits_a_list_of_interactions_as_it_is(tmp_path: Path, name: str) -> None:
    text, meant, ignored, statements = GUESSED[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    proposed = guess(Given([tmp_path / name], Report(lambda _: None), {}))
    mapping = yaml.safe_load(proposed)
    assert {column: mapping["columns"][column]["element"] for column in meant} == meant
    assert mapping.get("ignore", []) == ignored
    found, remarks = run(tmp_path, tmp_path / name, proposed)
    assert sum(key.startswith("ClinicalUseDefinition/") for key in found) == statements
    assert not [one for one in remarks if one.kind == "skipped"]


def test_a_proposed_mapping_grades_only_words_that_leave_no_doubt(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GUESSED["letters.csv"][0], encoding="utf-8")
    columns = yaml.safe_load(guess(Given([tmp_path / "a.csv"], Report(lambda _: None), {})))["columns"]
    assert columns["Level"] == {"element": "severity", "values": {"Major": {"code": "high"}}}
    assert (columns["ListID_A"]["system"], columns["ListID_B"]["system"]) == (OWN, OWN)
    (tmp_path / "a.csv").write_text(GUESSED["numbers.csv"][0], encoding="utf-8")
    columns = yaml.safe_load(guess(Given([tmp_path / "a.csv"], Report(lambda _: None), {})))["columns"]
    assert (columns["RXCUI1"]["system"], columns["RXCUI2"]["system"]) == (RXNORM, RXNORM)


@pytest.mark.parametrize(
    "text",
    [
        "No,Name,Ingredient 1,Ingredient 2,Strength\n1,Duo,alphamab,betatin,5 mg\n",
        "Name,Level\nalphamab,1\n",
        "Code A,Name,Effect\n1,alphamab,sleep\n",
        "Price 1,Price 2,Risk\n,,high\n",
    ],
)
def test_a_table_of_drugs_is_not_taken_for_a_list_of_interactions(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    try:
        proposed = guess(Given([tmp_path / "a.csv"], Report(lambda _: None), {}))
    except StartError:
        return
    elements = {one["element"] for one in yaml.safe_load(proposed)["columns"].values()}
    assert not elements & {"subject", "interactant", "subject code", "interactant code"}
