"""One resource means the same in JSON, YAML and XML: https://hl7.org/fhir/R5/formats.html"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from apothecary.content.json import JsonPositions
from apothecary.content.read import read_bytes
from apothecary.content.xml_write import resource_xml
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import FhirDecimal, dumps, parse
from apothecary.fhir.releases import FhirVersion

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))
R4 = FhirVersion.R4


def example_id(path: Path) -> str:
    return path.stem


def comparable(value: Any) -> Any:
    """`value` with narratives in canonical XML, in which formats need not agree, and numbers by their digits."""
    if isinstance(value, dict):
        return {key: ET.canonicalize(each) if key == "div" else comparable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return str(value) if isinstance(value, FhirDecimal) else value


class Dumper(yaml.SafeDumper):
    """Writes decimals with their digits."""


Dumper.add_representer(
    FhirDecimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value))
)


@pytest.mark.parametrize("path", EXAMPLES, ids=example_id)
def test_an_official_example_survives_the_way_through_xml(path: Path) -> None:
    value = parse(path.read_bytes())
    document = read_bytes("x.xml", resource_xml(value, definitions(R4)).encode(), version=R4)
    assert document.issues == ()
    assert comparable(document.value) == comparable(value)


@pytest.mark.parametrize("flow", [True, False], ids=["flow", "block"])
@pytest.mark.parametrize("path", EXAMPLES, ids=example_id)
def test_an_official_example_survives_the_way_through_yaml(path: Path, flow: bool) -> None:
    value = parse(path.read_bytes())
    text = yaml.dump(value, Dumper=Dumper, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    document = read_bytes("x.yaml", text.encode(), version=R4)
    assert document.issues == ()
    assert dumps(document.value) == dumps(value)


@pytest.mark.parametrize("path", EXAMPLES, ids=example_id)
def test_json_is_yaml_with_the_same_values_at_the_same_places(path: Path) -> None:
    text = path.read_bytes()
    document = read_bytes("x.yaml", text, version=R4)
    assert dumps(document.value) == dumps(parse(text))
    in_json = JsonPositions(text.decode())
    for pointer in pointers(document.value):
        assert document.positions.find(pointer) == in_json.find(pointer)


def pointers(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(pointer for key, each in members for pointer in pointers(each, (*at, key)))]
