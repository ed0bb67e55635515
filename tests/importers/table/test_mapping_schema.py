"""The JSON Schema of mappings tells what the importer tells."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import yaml
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.fhir.statements import SEVERITY
from apothecary.importers.formats import Given
from apothecary.importers.report import Report
from apothecary.importers.table import guess
from apothecary.importers.table.mapping import read_mapping
from tests.importers.table import test_interactions as interactions
from tests.importers.table import test_table as drugs

FAULTS = [mapping for mapping, _ in drugs.FAULTS]
FAULTS += [f"columns:\n  {columns}\n" for columns, _ in interactions.FAULTS]
SIDES = "A: subject, B: interactant"
SOUND = [
    drugs.MAPPING,
    interactions.MAPPING,
    "columns: {No: form}\nconstants: [{element: name, value: x}]",
    "columns: {No: form, X: {element: name}}\nheader: [1, 2]",
    "columns: {No: name, S: {element: status, values: {a: {code: active}, b: inactive}}}",
    "columns: {No: name, F: {element: form, system: 'urn:x', values: {a: {code: x}}}}\nheader: 2",
    "columns: {No: {element: code, system: 'urn:x', unit: null}, P: {element: price, currency: EUR}}",
    "columns: {A: subject}\nconstants: [{element: interactant, value: x}, {element: status, value: active}]",
    f"columns: {{{SIDES}, C: {{element: severity, system: 'urn:x', values: {{a: {{code: '9'}}}}}}}}",
    f"columns: {{{SIDES}, C: {{element: severity, values: {{a: {{code: '9', system: 'urn:x'}}, b: {{code: high}}}}}}}}",
    f"columns: {{{SIDES}, C: {{element: severity, system: {SEVERITY}, values: {{a: {{code: low}}}}}}}}",
]


def test_the_schema_of_mappings_tells_sound_from_wrong_as_the_importer_does(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["schema", "mapping"], catch_exceptions=False)
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    path = tmp_path / "mapping.yaml"
    for text in SOUND:
        path.write_text(text, encoding="utf-8")
        read_mapping(path)
        assert validator.is_valid(yaml.safe_load(text)), text
    for text in FAULTS:
        assert not validator.is_valid(yaml.safe_load(text)), text
    for name, (text, _) in drugs.GUESSED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        proposed = guess(Given([tmp_path / name], Report(lambda _: None), {}))
        assert validator.is_valid(yaml.safe_load(proposed)), proposed
    # Each key says what it is for.
    for name in ("Mapping", "Column"):
        for key, one in schema["$defs"][name]["properties"].items():
            assert "description" in json.dumps(one) or key in ("element", "columns"), key
