"""What is wrong with a sheet is told with its place and its reason, and then nothing is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apothecary.authoring.folder import plan, read_held, read_sheet, sheet_paths
from apothecary.errors import ContentError, InvalidFile
from tests.authoring.sheets import content_folder, held
from tests.content.monograph import TEST_SHEETS

TEXT = (TEST_SHEETS / "examplamine.yaml").read_text(encoding="utf-8")

# What is written in place of what, the text that the place begins with, and the reason.
# ruff: noqa: E501
CASES = [
    ("unknown-key", "  effect: Treatment\n", "  efect: Treatment\n", "Treatment\n", "'efect' is not a key"),
    ("unknown-claim", "claims: [S7]\n  limitation", "claims: [S70]\n  limitation", "S70", "has a claim S70"),
    ("unknown-code", "made-up|ACHE", "made-up|ACHEE", "made-up|ACHEE", "made-up holds no code 'ACHEE' (did you mean"),
    ("unknown-system", "made-up|ACHE", "icd|G40", "icd|G40", "'icd' is no key of a code system"),
    ("no-code", "made-up|ACHE]", "made-up]", "made-up]", "write a code, such as icd|G40"),
    ("doubled-id", "- id: kites\n", "- id: itch\n", "itch\n  claims: [S11]", "the id 'itch' stands twice"),
    ("negative-use", "code: responds, claims: [S5]", "code: not-effective, claims: [S5]", "{code: not-eff", "is no use"),
    ("unsuitable", "code: responds, claims: [S5]", "code: not-suitable, claims: [S5]", "{code: not-sui", "is no use"),
    ("negative-words", "made-up ache (status", "not effective (status", "{text: not eff", "limitations"),
    ("negative-claim", "- id: ache\n  claims: [S5]", "- id: ache\n  claims: [S5, S7]", "S7]\n  evidence", "limitation already"),
    ("lost-claim", "  claims: [S11]\n", "  claims: [S12]\n", "{line: 8", "nothing in this sheet rests on S11"),
    ("unknown-evidence", "evidence: [study]", "evidence: [studie]", "studie", "has no evidence 'studie'"),
    ("unknown-group", "population: [adults]", "population: [adult]", "adult]", "has no population 'adult'"),
    ("unknown-statement", "see-also: [itch]", "see-also: [cough]", "cough", "has no statement 'cough'"),
    ("unknown-substance", "{substance: examplamine, strength", "{substance: salt, strength", "salt", "no substance 'salt'"),
    ("no-resource", "also: [MedicationKnowledge/examplamine]", "also: [Medication/none]", "Medication/none", "there is no"),
    ("no-editors", "editors: apothecary", "editors: other", "other", "no Organization"),
    ("no-unit", "strength: 12.50 mg", "strength: 12.50 furlong", "12.50 furlong", "not a unit of UCUM"),
    ("no-amount", "strength: 12.50 mg", "strength: much", "much", "write an amount, such as 0.5 mg"),
    ("no-range", "range: 15 to 25 Cel", "range: 15-25 Cel", "15-25", "write a range"),
    ("no-time", "period: 1 d", "period: 1 mg", "1 mg", "is no unit of time"),
    ("no-intention", "effect: Treatment", "effect: Treating", "Treating", "has no code 'Treating'"),
    ("no-status", "status: unspecified", "status: approved", "approved", "write one of in-approval-per-source"),
    ("two-in-one", "entries: uses}", "entries: uses, text: x}", "{title: Indications", "one of text, entries and absent"),
    ("section-twice", "coverage: supplied}", "coverage: supplied}\n  - {section: Indications and usage, coverage: partial}",
     "Indications and usage, coverage: partial", "stands twice"),
    ("no-number", "line: 8", "line: eight", "eight", "write a whole number"),
]  # fmt: skip


def place_of(text: str, beginning: str) -> tuple[int, int]:
    """Line and column of what begins so."""
    offset = text.index(beginning)
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def faults_of(text: str, folder: Path) -> list[ContentError]:
    path = folder / "sheet.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidFile) as told:
        plan(held(folder), [read_sheet(path)])
    return [*told.value.faults]


@pytest.mark.parametrize(("before", "after", "place", "reason"), [pytest.param(*one[1:], id=one[0]) for one in CASES])
def test_a_fault_is_told_at_its_place(before: str, after: str, place: str, reason: str, tmp_path: Path) -> None:
    assert before in TEXT
    text = TEXT.replace(before, after, 1)
    found = faults_of(text, tmp_path)
    wanted = place_of(text, place)
    said = [one.reason for one in found if (one.line, one.column) == wanted]
    assert any(reason in one for one in said), [str(one) for one in found]


def test_a_sheet_that_is_no_yaml_is_told_at_its_place(tmp_path: Path) -> None:
    (fault,) = faults_of(TEXT.replace("title: Examplamine", "title: [Examplamine"), tmp_path)
    assert fault.line > 1


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    found = faults_of(TEXT.replace("  code: kites\n", "  code: kites\n  code: dragons\n"), tmp_path)
    assert any("stands twice" in one.reason and one.line == place_of(TEXT, "code: kites")[0] + 1 for one in found)


def test_every_fault_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = TEXT
    for before, after in (("made-up|ACHE", "made-up|A"), ("see-also: [itch]", "see-also: [x]"), ("[S12]", "[S99]")):
        text = text.replace(before, after, 1)
    found = faults_of(text, tmp_path)
    assert len(found) >= 3
    assert [one.line for one in found] == sorted(one.line for one in found)


def _same_drug(text: str) -> str:
    return text.replace("key: examplamine", "key: other")


def _same_source(text: str) -> str:
    return re.sub(r"examplamine(?!-source\n  key)", "otheramine", text).replace("key: otheramine", "key: examplamine")


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_same_drug, "is built by"), (_same_source, "'examplamine' is a source of")],
    ids=["same-resources", "same-source"],
)
def test_two_sheets_have_neither_a_resource_nor_a_source_in_common(
    change: Callable[[str], str], reason: str, tmp_path: Path
) -> None:
    root = content_folder(tmp_path / "content")
    (root / "sheets" / "other.yaml").write_text(change(TEXT), encoding="utf-8")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(InvalidFile) as told:
        plan(read_held(root), [read_sheet(path) for path in sheet_paths(root)])
    assert any(reason in one.reason and one.line for one in told.value.faults)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_claim_of_two_sources_is_written_in_full(tmp_path: Path) -> None:
    second = """
- id: examplamine-second
  key: second
  title: Another source made up for tests
  type: made up
  description: Made up.
  claims:
    S11: {line: 1, says: Do fly kites}

provenance:"""
    text = TEXT.replace("\nprovenance:", second, 1)
    reasons = [one.reason for one in faults_of(text, tmp_path)]
    assert any("S11 is a claim of more than one source: write examplamine:S11 or second:S11" in one for one in reasons)
    sound = text.replace("  claims: [S11]\n", "  claims: [examplamine:S11, second:S11]\n")
    (tmp_path / "sheet.yaml").write_text(sound, encoding="utf-8")
    made = plan(held(tmp_path), [read_sheet(tmp_path / "sheet.yaml")])
    extensions: list[Any] = made.resources["ClinicalUseDefinition/examplamine-kites"]["extension"]
    assert [one["valueString"] for one in extensions] == ["examplamine:S11", "second:S11"]
    assert "second:S11,1,Do fly kites,ClinicalUseDefinition/examplamine-kites" in made.ledger


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"drug", b"- a\n", b"{}"], ids=repr)
def test_what_is_no_sheet_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "sheet.yaml"
    path.write_bytes(data)
    with pytest.raises((ContentError, InvalidFile)):
        read_sheet(path)
