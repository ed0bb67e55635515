"""What each type of search parameter writes into the index: https://hl7.org/fhir/R5/search.html#ptypes"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from apothecary.fhir.decimals import sortable
from apothecary.fhir.json import parse
from apothecary.fhir.temporal import BEGINNING, END, parse_span
from apothecary.search.rows import TABLES, SpellingRow
from apothecary.search.types import date, number, quantity, reference, string, token, uri
from apothecary.search.types.base import Value

MAY = parse_span("2026-05")


def n(text: str) -> str:
    from decimal import Decimal

    return sortable(Decimal(text))


ROWS: tuple[tuple[ModuleType, str, str, list[tuple[Any, ...]]], ...] = (
    # parameter type, FHIR type, JSON, the index rows without parameter and element
    (token, "CodeableConcept", '{"coding":[{"system":"s","code":"A"},{"code":"B"}]}', [("s", "~a"), ("", "~b")]),
    (token, "CodeableConcept", '{"text":"Only Text"}', [("only text", "only text", "Only Text"), ("", "")]),
    (token, "CodeableReference", '{"concept":{"coding":[{"code":"x"}]}}', [("", "~x")]),
    (token, "CodeableReference", '{"reference":{"reference":"Medication/1"}}', [("", "")]),
    (token, "Coding", '{"system":"http://unitsofmeasure.org","code":"mL"}', [("http://unitsofmeasure.org", "mL")]),
    (token, "Coding", '{"system":"s"}', [("s", "")]),
    (token, "Identifier", '{"system":"s","value":"V"}', [("s", "~v")]),
    (token, "Identifier", '{"type":{"coding":[{"system":"t","code":"MR"}]},"value":"V"}', [("", "~v"), ("t|MR", "~v")]),
    (token, "ContactPoint", '{"system":"phone","value":"1"}', [("", "~1")]),
    (token, "boolean", "true", [(token.BOOLEAN_SYSTEM, "true")]),
    (token, "boolean", "false", [(token.BOOLEAN_SYSTEM, "false")]),
    (string, "string", '"Muñoz"', [("munoz", "munoz", "Muñoz")]),
    (
        string,
        "HumanName",
        '{"family":"A","given":["B","C"],"period":{}}',
        [("a",) * 2 + ("A",), ("b",) * 2 + ("B",), ("c",) * 2 + ("C",)],
    ),
    (string, "Address", '{"city":"X","use":"home"}', [("x", "x", "X")]),
    (string, "CodeableConcept", '{"text":"T","coding":[{"display":"D"}]}', [("t", "t", "T"), ("d", "d", "D")]),
    (date, "date", '"2026-05"', [tuple(MAY)]),
    (date, "Period", '{"start":"2026-05","end":"2026-05"}', [tuple(MAY)]),
    (date, "Period", '{"start":"2026-05"}', [(MAY.low, END)]),
    (date, "Period", '{"end":"2026-05"}', [(BEGINNING, MAY.high)]),
    (date, "Period", "{}", []),
    (date, "Timing", '{"event":["2026-05-01","2026-05-31"]}', [tuple(MAY)]),
    (date, "Timing", '{"repeat":{"boundsPeriod":{"start":"2026-05","end":"2026-05"}}}', [tuple(MAY)]),
    (date, "Timing", '{"code":{"text":"daily"}}', []),
    (number, "decimal", "0.50", [("", "", n("0.5"), n("0.5"))]),
    (number, "integer64", '"9007199254740993"', [("", "", n("9007199254740993"), n("9007199254740993"))]),
    (number, "Range", '{"low":{"value":1}}', [("", "", n("1"), number.HIGHEST)]),
    (number, "Range", "{}", []),
    (quantity, "Money", '{"value":5,"currency":"USD"}', [(quantity.CURRENCY, "USD", n("5"), n("5"))]),
    (quantity, "Quantity", '{"value":5,"unit":"spoon"}', [("", "", n("5"), n("5")), ("", "spoon", n("5"), n("5"))]),
    (quantity, "Quantity", '{"value":5,"comparator":"<","code":"x"}', [("", "x", number.LOWEST, n("5"))]),
    (quantity, "Quantity", '{"unit":"spoon"}', []),
    (reference, "Reference", '{"reference":"Medication/1"}', [("Medication", "1", "", "")]),
    (reference, "Reference", '{"reference":"Medication/1/_history/2"}', [("Medication", "1", "", "2")]),
    (reference, "Reference", '{"reference":"http://x/Medication/1"}', [("", "", "http://x/Medication/1", "")]),
    (reference, "Reference", '{"display":"Only"}', [("", "", "", ""), ("only", "only", "Only")]),
    (reference, "Reference", '{"identifier":{"system":"s","value":"v"}}', [("", "", "", ""), ("s", "~v")]),
    (reference, "CodeableReference", '{"reference":{"reference":"Medication/1"}}', [("Medication", "1", "", "")]),
    (reference, "CodeableReference", '{"concept":{"text":"t"}}', []),
    (reference, "canonical", '"http://x/vs|1.0"', [("", "", "http://x/vs", "1.0")]),
    (reference, "Resource", '{"resourceType":"Composition","id":"c"}', [("Composition", "c", "", "")]),
    (uri, "uri", '"http://x"', [("http://x", "http://x")]),
    (uri, "canonical", '"http://x|1"', [("http://x|1", "http://x|1"), ("http://x", "http://x")]),
)


@pytest.mark.parametrize(("kind", "element", "text", "expected"), ROWS)
def test_a_value_leaves_its_rows(kind: ModuleType, element: str, text: str, expected: list[tuple[Any, ...]]) -> None:
    found = list(kind.extract("p", Value(element, parse(text))))
    rows = [row for row in found if not isinstance(row, SpellingRow)]
    whole = [row[1] for row in expected] if kind in (string, uri) else []
    assert [row.text for row in found if isinstance(row, SpellingRow)] == whole, "they are found by parts"
    assert [tuple(row)[1:-1] for row in rows] == expected
    if rows:
        assert kind.TABLES[0] in {TABLES[type(row)] for row in rows}, ":missing asks the first table"


def test_a_ucum_quantity_is_also_held_in_base_units() -> None:
    milligrams, micrograms = (
        [row for row in quantity.extract("p", Value("Quantity", parse(text))) if row.parameter == "p:ucum"]
        for text in (
            '{"value":0.5,"system":"http://unitsofmeasure.org","code":"mg"}',
            '{"value":500,"system":"http://unitsofmeasure.org","code":"ug"}',
        )
    )
    assert milligrams == micrograms
    assert len(milligrams) == 1


@pytest.mark.parametrize("kind", [date, number, quantity, reference, string, token, uri])
def test_each_type_says_what_it_offers(kind: ModuleType) -> None:
    assert "missing" in kind.MODIFIERS
    assert kind.TABLES
    assert kind.ELEMENTS
    assert kind.__doc__ is not None
    assert f"search.html#{kind.NAME}" in kind.__doc__
