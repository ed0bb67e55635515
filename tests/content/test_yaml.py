"""YAML documents mean what FHIR means: https://hl7.org/fhir/R5/json.html in the syntax of https://yaml.org/spec/1.2.2/"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from apothecary.content.yaml import MAX_ALIASED_NODES, read_yaml
from apothecary.fhir.json import MAX_DEPTH, FhirDecimal
from apothecary.fhir.releases import FhirVersion


def told(text: str) -> list[tuple[str | None, int, int]]:
    return [(placed.issue.rule, placed.line, placed.column) for placed in read_yaml("x.yaml", text).issues]


@pytest.mark.parametrize(
    ("scalar", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", "1e3"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        (".inf", ".inf"),
        ("=", "="),
        ("-0", FhirDecimal("-0")),
        ("12", 12),
        ("0.50", FhirDecimal("0.50")),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
    ],
)
def test_a_scalar_that_no_element_types_is_only_what_json_writes_the_same_way(scalar: str, meant: Any) -> None:
    value = read_yaml("x.yaml", f"anything: {scalar}\n").value["anything"]
    assert value == meant
    assert type(value) is type(meant)
    assert str(value) == str(meant)


def test_the_type_of_an_element_decides_what_its_scalar_is() -> None:
    text = """
id: 012
resourceType: Medication
status: no
batch: {lotNumber: 12, expirationDate: 2024}
_status: {id: 1}
contained:
- resourceType: Organization
  name: true
  active: true
ingredient:
- strengthQuantity: {value: 1e3, code: 0.50}
- strengthQuantity: {value: 0.50, unit: null}
"""
    document = read_yaml("x.yaml", text)
    assert document.issues == ()
    assert document.value == {
        "id": "012",
        "resourceType": "Medication",
        "status": "no",
        "batch": {"lotNumber": "12", "expirationDate": "2024"},
        "_status": {"id": "1"},
        "contained": [{"resourceType": "Organization", "name": "true", "active": True}],
        "ingredient": [
            {"strengthQuantity": {"value": FhirDecimal("1e3"), "code": "0.50"}},
            {"strengthQuantity": {"value": FhirDecimal("0.50"), "unit": None}},
        ],
    }
    assert str(document.value["ingredient"][1]["strengthQuantity"]["value"]) == "0.50"


def test_the_release_decides_which_elements_there_are() -> None:
    text = "resourceType: MedicationKnowledge\namount: {value: 1, code: 1}\n"
    assert read_yaml("x.yaml", text, FhirVersion.R4).value["amount"] == {"value": 1, "code": "1"}
    assert read_yaml("x.yaml", text, FhirVersion.R5).value["amount"] == {"value": 1, "code": 1}


def test_every_value_is_found_where_it_stands() -> None:
    find = read_yaml("x.yaml", "a:\n  - b: ä\n    c: [x, {d: y}]\n  - &z e\nf: *z\n").positions.find
    assert find(("a",)) == (2, 3)
    assert find(("a", 0, "c", 1, "d")) == (3, 16)
    assert find(("a", 0, "missing")) == (2, 5)
    assert find(("f",)) == (5, 4)
    assert find(()) == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [("duplicate-key", 3, 1)]),
        ("a: !!int 3\n<<: {b: 1}\n", [("yaml-feature", 1, 4), ("yaml-feature", 2, 1)]),
        ("a: !binary x\n", [("yaml-feature", 1, 4)]),
        ("? [a]\n: b\n", [("yaml-feature", 1, 3)]),
        ("a: 1\n---\nb: 2\n", [("yaml-feature", 2, 1)]),
        ("a: b: c\n", [("yaml-syntax", 1, 5)]),
        ("a: [", [("yaml-syntax", 1, 5)]),
        ("a: 'x", [("yaml-syntax", 1, 6)]),
        ("\t- a\n", [("yaml-syntax", 1, 1)]),
        ("a: x\x00y\n", [("yaml-syntax", 1, 5)]),
        ("", [("yaml-syntax", 1, 1)]),
        ("a: &x [*x]\n", [("yaml-alias", 1, 8)]),
        ("a: *nowhere\n", [("yaml-alias", 1, 4)]),
        ("&a x: *a\n*a : 2\n", [("yaml-alias", 1, 7)]),
        ("[" * 100_000, [("too-deep", 1, 201)]),
        ("- " * 100_000, [("too-deep", 1, 401)]),
        ("[" * 201, [("too-deep", 1, 201)]),
        ("[" * 200, [("yaml-syntax", 1, 201)]),
        ("{a: " * 100_000, [("too-deep", 1, 801)]),
        ("[{a: " * 100_000, [("too-deep", 1, 501)]),
        ("a: " + "[" * 5000, [("too-deep", 1, 203)]),
        ("[" * 250 + "\x00", [("too-deep", 1, 201)]),
        ("é" * 30 + ": " + "[" * 250 + "%", [("too-deep", 1, 232)]),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_json_cannot_say_is_told_at_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert told(text) == expected


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    ((rule, line, _),) = told("\n".join(lines))
    assert rule == "yaml-alias"
    assert line == len(str(MAX_ALIASED_NODES)) - 1


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_the_limit_of_nesting_is_the_same_with_and_without_the_library_in_c(
    loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.content.yaml._Loader", getattr(yaml, loader))
    for opening, width in (("[", 1), ("{a: ", 4), ("- ", 2)):
        assert told(opening * 1000) == [("too-deep", 1, MAX_DEPTH * width + 1)]
    sound = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_yaml("x.yaml", sound).issues == ()


def test_an_alias_stands_for_its_value() -> None:
    assert read_yaml("x.yaml", "a: &x {b: [1]}\nc: *x\n").value == {"a": {"b": [1]}, "c": {"b": [1]}}
