"""What FDA's files have in common is read as it stands there."""

from __future__ import annotations

import pytest

from apothecary.importers.fda import classes, day, schedule


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Radioactive Diagnostic Agent [EPC],Positron Emitting Activity [MoA]",
            [("Radioactive Diagnostic Agent", "EPC"), ("Positron Emitting Activity", "MoA")],
        ),
        ("Insulin [CS], Insulin [EPC]", [("Insulin", "CS"), ("Insulin", "EPC")]),
        # A comma inside a name separates nothing.
        (
            "Vaccines, Attenuated [Chemical/Ingredient],Live, Attenuated Virus Vaccine [EPC]",
            [("Vaccines, Attenuated", "Chemical/Ingredient"), ("Live, Attenuated Virus Vaccine", "EPC")],
        ),
        ("GLP-1 [Receptor] Agonist [EPC]", [("GLP-1 [Receptor] Agonist", "EPC")]),
        ("Opioid Agonist", [("Opioid Agonist", "")]),
        ("", []),
        (" ", []),
        (",", [(",", "")]),
    ],
)
def test_classes_end_with_their_kind(text: str, found: list[tuple[str, str]]) -> None:
    assert classes(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20190628", "2019-06-28"),
        ("20190231", None),
        ("2019", None),
        ("", None),
        ("20240229", "2024-02-29"),
        ("٢٠١٩٠٦٢٨", None),
    ],
)
def test_a_day_is_one_of_the_calendar(text: str, found: str | None) -> None:
    assert day(text) == found


def test_a_schedule_has_the_code_that_labels_have() -> None:
    assert schedule("CII")["coding"][0]["code"] == "C48675"
    assert schedule("DEA") == {"text": "DEA"}
