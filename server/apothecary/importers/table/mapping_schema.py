"""The JSON Schema of mapping files, for editors: https://json-schema.org/draft/2020-12"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from apothecary.content.schemas import json_schema
from apothecary.fhir.statements import SEVERITIES, SEVERITY
from apothecary.importers.table.mapping import ANY, CODES, INTERACTANT, INTERACTIONS, NAMES, PLAIN, SUBJECT, Mapping

SCHEMA_ID = "urn:apothecary:schema:mapping"

Schema = dict[str, Any]


def mapping_schema() -> Schema:
    """What the types of a mapping say, and what they cannot. Left to `mapping_of` is what no schema can tell: whether a
    unit is one of UCUM, whether what is named elsewhere is among the columns, and the order of rows.
    """
    schema = json_schema(Mapping, SCHEMA_ID, "The mapping of a table for Apothecary")
    defs = schema["$defs"]
    system, currency = _has("system"), _has("currency")
    coded = {"if": _has("code"), "then": system}
    for name in ("Column", "Constant"):
        defs[name]["allOf"] = [
            {"if": _is(CODES), "then": system},
            {"if": _is({"price"}), "then": currency},
            {"anyOf": [system, _is(PLAIN), _values(coded)]},
            _severity(),
        ]
    mapping = defs["Mapping"]
    plain = mapping["properties"]["columns"]["additionalProperties"]["anyOf"][0]
    every = set(plain["enum"])
    plain["enum"] = sorted(every - CODES - {"price"})
    drugs = {"allOf": [_some(NAMES), _all(every - INTERACTIONS)]}
    interactions = {"allOf": [_some(SUBJECT), _some(INTERACTANT), _all(INTERACTIONS | ANY)]}
    mapping["anyOf"] = [drugs, interactions]
    return schema


def _severity() -> Schema:
    """A code of a severity is one of ours, or of another system: that of the value, or else of the column."""
    other = _has("system", {"type": "string", "not": {"const": SEVERITY}})
    sound = [{"not": _has("code")}, _has("code", {"enum": [*SEVERITIES]}), other]
    of_the_column = {"allOf": [other, _values({"anyOf": [*sound, {"not": _has("system")}]})]}
    return {"anyOf": [{"not": _is({"severity"})}, _values({"anyOf": sound}), of_the_column]}


def _some(elements: Set[str]) -> Schema:
    """Some column or constant is one of these: not all of them are something else."""
    said = _says(elements)
    columns = _has("columns", {"not": {"additionalProperties": {"not": said}}})
    return {"anyOf": [columns, _has("constants", {"contains": said})]}


def _all(elements: Set[str]) -> Schema:
    said = _says(elements)
    return {"properties": {"columns": {"additionalProperties": said}, "constants": {"items": said}}}


def _says(elements: Set[str]) -> Schema:
    """A column or a constant, however it is written, that is one of these."""
    return {"anyOf": [{"enum": sorted(elements)}, _is(elements)]}


def _is(elements: Set[str]) -> Schema:
    return _has("element", {"enum": sorted(elements)})


def _values(schema: Schema) -> Schema:
    return {"properties": {"values": {"additionalProperties": schema}}}


def _has(key: str, value: Schema | None = None) -> Schema:
    """The schema of an object that has such a value; a text, where it is not said."""
    return {"type": "object", "required": [key], "properties": {key: value or {"type": "string"}}}
