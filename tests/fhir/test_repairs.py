"""Every row of the table of repairs shows in the tables that ship, and on the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apothecary.fhir.definitions import Definitions, SearchParameterDefinition, definitions
from apothecary.fhir.expressions import repair_expression
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.repairs import REPAIRS, RULES, Repair
from scripts.definitions.page import BEGIN, END, repairs_section

PAGE = Path(__file__).parents[2] / "docs/definitions.md"
ROWS = [pytest.param(version, row, id=f"{version} {row.where}") for row in REPAIRS for version in row.releases]
PARAMETER = re.compile(r"SearchParameter (?P<id>\S+)(?: on (?P<base>\w+))?(?P<expression> expression)?"
                       r"(?: component (?P<component>\S+))?")  # fmt: skip
PUBLISHED = "http://hl7.org/fhir/StructureDefinition/"


def parameters(tables: Definitions, name: str, base: str | None) -> list[SearchParameterDefinition]:
    """The parameter with that id, on each type that has it."""
    every = tables.resource_types() if base is None else (base,)
    found = [item for type_ in every for item in tables.search_parameters(type_).values()]
    return [item for item in found if item.url.rpartition("/")[2] == name]


def invariants_at(tables: Definitions, where: str) -> set[str]:
    """The expressions of the invariant `path key`."""
    path, key = where.split()
    structure = tables.structure(path)
    owner, _, name = path.rpartition(".")
    element = next((item for item in tables.structure(owner).elements if item.name == name), None) if owner else None
    rules = (*structure.invariants, *(element.invariants if element is not None else ()))
    return {rule.expression for rule in rules if rule.key == key}


@pytest.mark.parametrize(("version", "row"), ROWS)
def test_the_tables_show_the_repaired_value(version: FhirVersion, row: Repair) -> None:
    tables = definitions(version)
    if row.where.endswith(" regex"):
        assert tables.structure(row.where.removesuffix(" regex")).regex == row.repaired
        return
    if row.where.startswith("extension "):
        found_extension = tables.extension(f"{PUBLISHED}{row.where.removeprefix('extension ').removesuffix(' value')}")
        assert found_extension is not None
        assert " or ".join(item.code for item in found_extension.types) == row.repaired
        return
    match = PARAMETER.fullmatch(row.where)
    if match is None:
        assert row.repaired in invariants_at(tables, row.where), (
            "a row names a regex, an extension, a search parameter or an invariant"
        )
        return
    found = parameters(tables, match["id"], match["base"])
    if match["component"]:
        [component] = [
            item
            for parameter in found
            for item in parameter.components
            if item.definition.rpartition("/")[2] == match["component"]
        ]
        assert component.expression == repair_expression(row.repaired or "")
    elif match["expression"] is None:
        assert found == [], "left out"
    elif row.repaired is None:
        assert {item.expression for item in found} <= {None}
    else:
        expected = repair_expression(row.repaired)
        assert {item.expression for item in found} <= {expected, f"{expected}.concept", f"{expected}.value"}
        assert found


@pytest.mark.parametrize(("version", "row"), ROWS)
def test_a_row_changes_something_or_states_that_nothing_can_be_said(version: FhirVersion, row: Repair) -> None:
    assert row.published != row.repaired or row.published is None
    assert row.reason.endswith(".")


def test_a_parameter_has_no_expression_only_where_a_row_says_so() -> None:
    stated = {
        (version, row.where.removeprefix("SearchParameter ").removesuffix(" expression"))
        for row in REPAIRS
        if row.repaired is None
        for version in row.releases
    }
    silent = {
        (version, item.url.rpartition("/")[2])
        for version in FhirVersion
        for type_ in definitions(version).resource_types()
        for item in definitions(version).search_parameters(type_).values()
        if item.expression is None
    }
    assert silent <= stated


@pytest.mark.parametrize("version", list(FhirVersion))
def test_no_expression_that_ships_still_breaks_a_rule(version: FhirVersion) -> None:
    for type_ in definitions(version).resource_types():
        for item in definitions(version).search_parameters(type_).values():
            texts = [item.expression or "", *(component.expression for component in item.components)]
            for text in texts:
                assert not re.search(r"\bas\b|resolve\(\)", text), item.url
                assert not re.search(r"extension\('[^']*'\)$", text), item.url


def test_no_two_rows_repair_the_same_thing() -> None:
    keys = [(version, row.where) for row in (*RULES, *REPAIRS) for version in row.releases]
    assert len(keys) == len(set(keys))


def test_the_page_names_every_repair_once() -> None:
    named = re.findall(r"^(?:\*\*(.+?)\*\* \(|\| `([^`]+)` \|)", repairs_section(), re.MULTILINE)
    wheres = [row.where.removeprefix("SearchParameter ") for row in (*RULES, *REPAIRS)]
    shown = [bold or cell for bold, cell in named]
    assert len(shown) == len(wheres)
    assert set(shown) <= {*wheres, *(where.removesuffix(" expression") for where in wheres)}


def test_the_page_shows_the_repairs_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == repairs_section()
