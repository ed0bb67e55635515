"""`apothecary schema` prints JSON Schemas that any validator understands."""

from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner

from apothecary.cli import main


@pytest.mark.slow
@pytest.mark.parametrize("version", ["R4", "R4B", "R5", "4.0.1"])
def test_the_schema_of_a_type_tells_sound_from_wrong(version: str) -> None:
    result = CliRunner().invoke(main, ["schema", "Medication", "--fhir-version", version], catch_exceptions=False)
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"resourceType": "Medication", "status": "active"})
    assert not validator.is_valid({"resourceType": "Medication", "status": "bogus"})
    assert not validator.is_valid({"resourceType": "Medication", "foo": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["Medicine"], "FHIR R5 has no resource type 'Medicine'"), (["--fhir-version=R6"], "write R4, R4B or R5")],
)
def test_what_does_not_exist_is_refused_with_status_2(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["schema", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_schema_of_all_types_tells_each_by_its_resource_type() -> None:
    result = CliRunner().invoke(main, ["schema"], catch_exceptions=False)
    validator = jsonschema.Draft202012Validator(json.loads(result.stdout))
    assert validator.is_valid({"resourceType": "Medication", "status": "active"})
    assert validator.is_valid({"resourceType": "ValueSet", "status": "active"})
    assert not validator.is_valid({"resourceType": "Medication", "compose": {}})
    assert not validator.is_valid({"resourceType": "Medicine"})
    assert not validator.is_valid({})


def test_the_schema_of_the_configuration_tells_sound_from_wrong_and_what_each_key_means() -> None:
    result = CliRunner().invoke(main, ["schema", "config"], catch_exceptions=False)
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == "urn:apothecary:schema:config"
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"validate": {"strict": True, "severity": {"dom-6": "error"}}})
    assert not validator.is_valid({"validate": {"strictt": True}})
    assert not validator.is_valid({"strict": True})
    assert all(one["description"] for one in schema["$defs"]["ValidateTable"]["properties"].values())
