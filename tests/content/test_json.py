"""JSON documents: every defect at its place, every value findable: https://hl7.org/fhir/R5/json.html"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.content.documents import Lines, Pointer
from apothecary.content.json import JsonPositions, read_json
from apothecary.content.json_syntax import MAX_DEPTH, defects
from apothecary.fhir.json import FhirDecimal, parse


def told(text: str) -> list[tuple[str | None, int, int]]:
    return [(placed.issue.rule, placed.line, placed.column) for placed in read_json("x.json", text).issues]


@pytest.mark.parametrize(
    ("text", "line", "column", "said", "remedy"),
    [
        ("", 1, 1, "The document is empty", "Write one resource"),
        (" \n ", 1, 1, "The document is empty", "Write one resource"),
        ('{"a": 1,}', 1, 8, "A comma stands before '}'", "Remove the comma"),
        ("[1,\n]", 1, 3, "A comma stands before ']'", "Remove the comma"),
        ('{"a": 1\n "b": 2}', 2, 2, "Expected ',' or '}'", "Put a comma before it"),
        ("[1 2]", 1, 4, "Expected ',' or ']', found '2'", None),
        ("{a: 1}", 1, 2, "Expected a key in double quotes or '}', found 'a'", "double quotes"),
        ("{'a': 1}", 1, 2, "Expected a key", "straight double quotes"),
        ('{"a": 1, b: 2}', 1, 10, "Expected a key in double quotes, found 'b'", "double quotes"),
        ('{"a" 1}', 1, 6, "Expected ':' after the key 'a', found '1'", None),
        ('{"a": }', 1, 7, "Expected a value, found '}'", None),
        ('{"a": True}', 1, 7, "found 'True'", "true, false and null"),
        ('{"a": NaN}', 1, 7, "found 'NaN'", "no such number"),
        ('{"a": 01}', 1, 7, "found '01'", "no leading zero"),
        ('{"a": .5}', 1, 7, "found '.5'", "digits on both sides"),
        ('{"a": 1 // one\n}', 1, 9, "Expected ',' or '}', found '//'", "no comments"),
        ('{"a": "b', 1, 7, "never ends", "Close it"),
        ('{"a": "b\n"}', 1, 7, "does not end on its line", r"\n"),
        ('{"a": "b\tc"}', 1, 9, "U+0009", r"\t"),
        ('{"a": "\\x"}', 1, 8, "is not an escape", "backslash"),
        ('{"a": "\\u12"}', 1, 8, "is not an escape", "backslash"),
        ('{"a": 1} {"b": 2}', 1, 10, "After the end of the document", "Bundle"),
        ('{"a": [1, {"b": "ä"\n\n', 1, 20, "found the end of the document", None),
    ],
)
def test_a_syntax_error_is_told_at_its_place_in_plain_words(
    text: str, line: int, column: int, said: str, remedy: str | None
) -> None:
    document = read_json("x.json", text)
    (placed,) = document.issues
    assert not document.readable
    assert (placed.issue.rule, placed.issue.severity, placed.line, placed.column) == (
        "json-syntax",
        "fatal",
        line,
        column,
    )
    assert said in placed.issue.diagnostics
    assert (remedy or "") in (placed.issue.remedy or "")


def test_every_duplicate_key_is_told_and_the_rest_is_still_read() -> None:
    document = read_json("x.json", '{"a": 0.50,\n "b": {"c": 1, "\\u0063": 2},\n "a": 1.0}')
    assert [(placed.issue.rule, placed.line, placed.column) for placed in document.issues] == [
        ("duplicate-key", 2, 16),
        ("duplicate-key", 3, 2),
    ]
    assert document.readable
    assert document.value == {"a": FhirDecimal("1.0"), "b": {"c": 2}}
    assert str(document.value["a"]) == "1.0"


def test_one_key_in_two_objects_is_no_duplicate() -> None:
    assert told('[{"a": 1}, {"a": {"a": 2}}]') == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "\\ud800"}', [("lone-surrogate", 1, 8)]),
        ('{"a": "x\\uDC00y"}', [("lone-surrogate", 1, 9)]),
        ('{"\\ud800": 1}', [("lone-surrogate", 1, 3)]),
        ('{"a": "\\ud83d\\ude00"}', []),
        ('{"a": "\\ud83d\\ude00\\ude00"}', [("lone-surrogate", 1, 20)]),
        ('{"a": "\\\\ud800"}', []),
        ('{"a": "\\\\\\ud800"}', [("lone-surrogate", 1, 10)]),
    ],
)
def test_half_of_a_surrogate_pair_is_told_and_a_whole_one_is_not(
    text: str, expected: list[tuple[str, int, int]]
) -> None:
    assert told(text) == expected


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_hundred_thousand_levels_are_told_and_not_fallen_into(opening: str) -> None:
    ((rule, line, column),) = told(opening * 100_000)
    assert (rule, line) == ("too-deep", 1)
    assert column <= MAX_DEPTH * len(opening) + len(opening)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 400, 900, 3000])
def test_levels_that_a_parser_would_take_are_told_too(levels: int) -> None:
    assert told("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert told("[" * levels + "]" * levels) == [("too-deep", 1, MAX_DEPTH + 1)]


def test_numbers_of_any_length_are_read() -> None:
    assert told("[" + "9" * 10_000 + ", 1e999999999, -0.0]") == []


@pytest.mark.parametrize("before", ["", '"a": 1, "a": 2, '])
def test_a_number_beyond_all_arithmetic_is_told_at_its_place(before: str) -> None:
    text = "{" + before + '"b": 1e9999999999999999999}'
    assert told(text)[-1] == ("json-syntax", 1, text.index("1e9") + 1)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def pointers(value: Any, at: Pointer = ()) -> list[Pointer]:
    found = [at]
    if isinstance(value, dict):
        found += [pointer for key, each in value.items() for pointer in pointers(each, (*at, key))]
    elif isinstance(value, list):
        found += [pointer for index, each in enumerate(value) for pointer in pointers(each, (*at, index))]
    return found


@given(JSON_VALUES, st.sampled_from([None, 0, 3]), st.booleans())
def test_every_value_is_found_where_it_stands(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = "\n " + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    positions = JsonPositions(text)
    lines = text.split("\n")
    for pointer in pointers(value):
        line, column = positions.find(pointer)
        wanted = value
        for step in pointer:
            wanted = wanted[step]
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        assert json.JSONDecoder().raw_decode(rest)[0] == wanted


def test_what_does_not_exist_is_found_at_its_nearest_ancestor() -> None:
    positions = JsonPositions('{"a": [1,\n  {"b": 2}]}')
    assert positions.find(("a", 1, "b")) == (2, 9)
    assert positions.find(("a", 1, "c", "d")) == (2, 3)
    assert positions.find(("a", 7)) == (1, 7)
    assert positions.find(("a", 0, "x")) == (1, 8)
    assert positions.find(("z",)) == (1, 1)


def test_lines_count_from_where_the_document_starts_in_its_file() -> None:
    assert JsonPositions('{"a": 1}', first_line=7).find(("a",)) == (7, 7)
    assert Lines("ab\ncd", first_line=7).text_of(8) == "cd"
    assert Lines("ab\r\ncd", first_line=7).text_of(7) == "ab"
    assert Lines("ab", first_line=7).text_of(1) == ""


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"b"',
    '"\\u',
    '\\"',
    "1",
    "-0.5e3",
    "01",
    "true",
    "nul",
    "NaN",
    " ",
    "\n",
]
PIECES += ['"\\ud800"', '"\t"', "\\", '"', "'", "/*", "é"]
ALMOST_JSON = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(ALMOST_JSON | st.text(max_size=12))
def test_a_defect_is_found_exactly_when_the_parser_refuses(text: str) -> None:
    try:
        parse(text)
    except ValueError:
        assert defects(text)
    else:
        assert {defect.rule for defect in defects(text)} <= {"lone-surrogate"}
