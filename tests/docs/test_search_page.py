"""docs/search.md and docs/api.md say what the code offers, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.capabilities import INTERACTIONS
from apothecary.search import control, filter, special
from apothecary.search.defined import Defining
from apothecary.search.named import named_queries
from apothecary.search.parameter import TYPES
from apothecary.validation import validate

ROOT = Path(__file__).parent.parent.parent


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    text = (ROOT / "docs" / page).read_text()
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_modifiers_and_prefixes_of_each_type_are_those_of_the_code() -> None:
    documented = {
        kind: (set(modifiers.split()), set(prefixes.split()))
        for kind, modifiers, prefixes in rows("search.md", "Types, modifiers, prefixes")
    }
    offered = {
        name: (
            {f"`:{one}`" for one in kind.MODIFIERS} | ({"`:[type]`"} if name == "reference" else set()),
            set(kind.PREFIXES),
        )
        for name, kind in TYPES.items()
    }
    assert documented == offered


def test_every_search_parameter_of_the_content_is_documented_with_its_type() -> None:
    documented = {(name.strip("`"), kind) for name, kind, _ in rows("search.md", "What is searchable")}
    files = [parse(path.read_bytes()) for path in (ROOT / "resources" / "SearchParameter").glob("*.json")]
    assert documented == {(f"{base}?{one['code']}", one["type"]) for one in files for base in one["base"]}


def test_the_operators_of_filters_are_those_of_the_code() -> None:
    documented = {kind: set(operators.split()) for kind, operators in rows("search.md", "Filters")}
    assert documented == filter.TAKES
    assert set().union(*filter.TAKES.values()) | {"pr"} == set(filter.OPERATORS)


def test_every_special_parameter_is_documented() -> None:
    documented = {
        name
        for cells in rows("search.md", "Lists, groups, named queries")
        for name in re.findall("`(_\\w+)`", cells[0])
    }
    assert documented == {*special.PARAMETERS, "_has", "_query"}


def test_the_named_query_of_the_page_is_valid_and_can_be_asked() -> None:
    text = (ROOT / "docs" / "search.md").read_text()
    example = re.search(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert example is not None
    definition = parse(example[1].encode())
    assert not [issue for issue in validate(definition, FhirVersion.R5) if issue.severity == "error"]
    refused: dict[str, str] = {}
    (query,) = named_queries([Defining(definition)], refused)
    assert query.expand({"holder": "acme"}) == [("marketingauthorizationholder.name", "acme")]


def test_every_control_parameter_is_documented() -> None:
    documented = {name for cells in rows("search.md", "Control") for name in re.findall(r"`(_\w+)", cells[0])}
    assert documented == {name.partition(":")[0] for name in control.NAMES}


def test_every_interaction_is_documented_with_its_code() -> None:
    documented = {name for cells in rows("api.md", "Interactions") for name in re.findall(r"`([a-z-]+)`", cells[0])}
    assert documented - {"capabilities"} == {one.code for one in INTERACTIONS}
