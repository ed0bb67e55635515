"""The compiler refuses what it cannot vouch for, and writes the same tables again from the same packages."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.repairs import REPAIRS
from scripts.definitions.__main__ import ROOT, main
from scripts.definitions.ledger import RepairError, Repairs
from scripts.definitions.packages import ALL, Source
from scripts.definitions.search import SearchCompiler
from scripts.definitions.structures import TypeCompiler
from scripts.definitions.valuesets import ValueSetCompiler
from tests.official import definition_packages

CACHE = ROOT / ".cache"
DATA = ROOT / "server/apothecary/fhir/data"
PACKAGES = ALL
R5 = FhirVersion.R5

Resource = dict[str, Any]


def source(**kinds: list[Resource]) -> Source:
    """An R5 source with the given resources."""
    names = ("structures", "search_parameters", "value_sets", "code_systems", "compartments", "expansions")
    return Source(R5, **{name: {item["url"]: item for item in kinds.get(name, [])} for name in names})


def search_problems(**published: Any) -> list[str]:
    """What the compiler says of one R5 search parameter on Medication."""
    parameter = {"id": "p", "url": "u", "code": "c", "base": ["Medication"], "type": "token", "description": ""}
    compiler = SearchCompiler(source(search_parameters=[parameter | published]), definitions(R5), Repairs(R5))
    compiler.tables()
    return compiler.problems


def test_packages_json_names_what_the_tables_were_made_from() -> None:
    found = json.loads((DATA / "packages.json").read_text())
    assert found == {
        item.name: {"version": item.version, "sha256": item.sha256, "license": "CC0-1.0"} for item in PACKAGES
    }


def test_a_repair_of_something_else_is_refused() -> None:
    row = next(row for row in REPAIRS if row.where == "decimal regex")
    assert Repairs(R5).repaired(row.where, row.published) == row.repaired
    with pytest.raises(RepairError, match="decimal regex"):
        Repairs(R5).repaired(row.where, "a regex that HL7 has corrected")


def test_a_repair_that_nothing_needs_is_named() -> None:
    repairs = Repairs(R5)
    assert "decimal regex" in repairs.unused()
    repairs.repaired("decimal regex", next(row.published for row in REPAIRS if row.where == "decimal regex"))
    assert "decimal regex" not in repairs.unused()


def test_a_rule_that_the_release_does_not_list_is_refused() -> None:
    with pytest.raises(RepairError, match="resource id"):
        Repairs(R5).apply_rule("resource id", "Medication.id")


@pytest.mark.parametrize(("published", "problem"), [
    ({}, "nothing for Medication"),
    ({"expression": "Patient.name"}, "nothing for Medication"),
    ({"expression": "code"}, "starts at no type"),
    ({"expression": "Medication.form"}, "no element 'form'"),
    ({"expression": "Medication.code as Quantity"}, "no Quantity"),
    ({"expression": "Medication.code", "type": "date"}, "date ends in"),
    ({"expression": "Medication.code", "base": []}, "no base"),
])  # fmt: skip
def test_a_broken_search_parameter_is_a_problem(published: Resource, problem: str) -> None:
    assert any(problem in found for found in search_problems(**published))


def test_a_sound_search_parameter_is_none() -> None:
    assert search_problems(expression="Medication.code") == []


def test_an_element_does_not_repeat_the_rules_of_its_type() -> None:
    rule = {"key": "ele-1", "severity": "error", "human": "All", "expression": "true"}
    own = {"key": "own-1", "severity": "warning", "human": "Own", "expression": "true"}

    def element(path: str, *constraint: Resource, code: str = "Thing") -> Resource:
        types = [{"code": code}] if "." in path else []
        return {"path": path, "min": 0, "max": "*", "type": types, "constraint": list(constraint)}

    thing = {
        "url": "http://hl7.org/fhir/StructureDefinition/Thing",
        "name": "Thing",
        "kind": "complex-type",
        "abstract": False,
        "snapshot": {"element": [element("Thing", rule), element("Thing.part", rule, own)]},
    }
    table = TypeCompiler(source(structures=[thing]), Repairs(R5)).table("Thing")
    assert [found.key for found in table.invariants] == ["ele-1"]
    assert [found.key for found in table.elements[0].invariants] == ["own-1"]
    assert table.elements[0].max is None


CODES = {"url": "s", "content": "complete", "concept": [
    {"code": "a", "display": "A", "concept": [{"code": "b"}]},
    {"code": "x", "property": [{"code": "notSelectable", "valueBoolean": True}]},
]}  # fmt: skip


@pytest.mark.parametrize(("include", "codes", "reason"), [
    ({"system": "s"}, {"a": "A", "b": ""}, None),
    ({"system": "s", "concept": [{"code": "a"}]}, {"a": "A"}, None),
    ({"system": "s", "filter": [{}]}, None, "a filter on s"),
    ({"system": "urn:ietf:bcp:13"}, None, "all of urn:ietf:bcp:13, which the specification does not list"),
    ({"valueSet": ["elsewhere"]}, None, "includes elsewhere, which is not published with the specification"),
    ({"valueSet": ["v"]}, None, "includes itself"),
])  # fmt: skip
def test_a_value_set_without_expansion_is_listed_from_its_definition(
    include: Resource, codes: dict[str, str] | None, reason: str | None
) -> None:
    value_set = {"url": "v", "compose": {"include": [include]}}
    found = ValueSetCompiler(source(value_sets=[value_set], code_systems=[CODES])).value_set("v")
    assert found.concepts == ({} if codes is None else {"s": codes})
    assert (found.complete, found.reason) == (reason is None, reason)


def test_an_expansion_that_leaves_codes_out_is_not_used() -> None:
    contains = [{"system": "s", "code": "a", "display": "A"}, {"system": "s", "code": "x", "abstract": True}]
    whole = {"url": "v", "expansion": {"total": 2, "contains": contains}}
    part = {"url": "v", "expansion": {"total": 3, "contains": contains}}
    value_set = {"url": "v", "compose": {"include": [{"system": "s"}]}}
    for expansion, codes in ((whole, {"s": {"a"}}), (part, {})):
        found = ValueSetCompiler(source(value_sets=[value_set], expansions=[expansion])).value_set("v")
        assert (found.codes, found.systems, found.complete) == (codes, ("s",), bool(codes))


def test_every_code_system_but_supplements_is_written_down() -> None:
    supplement = {"url": "more", "content": "supplement", "supplements": "s"}
    found = ValueSetCompiler(source(code_systems=[CODES, supplement])).code_systems()
    assert list(found) == ["s"]
    assert found["s"].parents == {"b": ("a",)}


@pytest.mark.long
def test_the_tables_that_ship_are_what_the_packages_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    definition_packages()
    assert main(["--cache", str(CACHE), "--output", str(tmp_path)]) == 0, capsys.readouterr().err
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.json")}
    assert written == {path.relative_to(DATA) for path in DATA.rglob("*.json")}
    differ = [str(path) for path in sorted(written) if not filecmp.cmp(tmp_path / path, DATA / path, shallow=False)]
    assert differ == []
