"""Sheets for tests: one in which every key that a sheet may have is filled, and folders to build in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from apothecary.authoring.build import ReadSheet
from apothecary.authoring.folder import Held, read_sheet
from apothecary.authoring.sheet import sheet_schema
from apothecary.authoring.terms import Vocabulary
from apothecary.authoring.writing import sheet_text
from tests.content.monograph import RESOURCES, SHIPPED, TEST_SHEETS, TEST_TERMS

# What a key holds whose text is not free.
_FIXED: Mapping[str, Any] = {
    "drug": "examplamine",
    "ids": "by-drug",
    "editors": "apothecary-content-editors",
    "claims": ["S1"],
    "status-claims": ["S1"],
    "medication-claims": ["S1"],
    "codes": ["<made-up|ACHE", ">made-up|ITCH", "~made-up|STATE", "made-up|OTHER"],
    "ingredient-codes": ["made-up|OTHER"],
    "evidence": ["evidence-item"],
    "see-also": ["uses-item"],
    "population": ["populations-item"],
    "undesirable-effects": ["undesirable-effects-item"],
    "indications": ["uses-item"],
    "substance": "substances-item",
    "drugs": ["examplamine"],
    "about": "MedicationKnowledge/examplamine",
    "also": ["ClinicalUseDefinition/examplamine-uses-item"],
    "how": "may-be-combined-with",
    "limitation": "not-effective",
    "section": "Drug interactions",
    "coverage": "partial",
    "date": "2026-11-27",
    "recorded": "2026-11-27T00:00:00Z",
    "sha256": "0" * 64,
    "when": ["HS"],
    "variables": {"population": "people of the variables", "exposure": "the drug of the variables"},
    "source-uri": "https://terminology.invalid/made-up",
}


def whole_sheet() -> dict[str, Any]:
    """A sheet in which every key is filled, each free text with words of its own."""
    schema = sheet_schema()
    words = count(1)
    sheet: dict[str, Any] = _filled(schema, schema, "", words)
    sheet["sources"][0]["claims"] = {f"S{number}": {"line": number, "says": f"claim {number}"} for number in (1, 2)}
    sheet["limitations"][0] |= {"claims": ["S2"], "effect": {"code": "Prevention", "claims": ["S1"]}}
    sheet["discrepancies"][0] |= {"id": "D1", "basis": "label", "date": "2026-11-28"}
    sheet["provenance"] = [
        {"id": f"step-{of}", "of": of, "recorded": "2026-11-27T00:00:00Z", "activity": f"activity {of}", "from": ["x"]}
        for of in ("source-text", "terminology", "label")
    ]
    # Of what excludes one another there is one each.
    for use in sheet["uses"]:
        use["duration"] = {"text": "as long as it takes", "claims": ["S1"]}
        use["effect-statement"]["code"] = "responds"
        use["effect"] = {"code": "Treatment", "claims": ["S1"]}
    sheet["uses"].append(
        {**sheet["uses"][0], "id": "second-use", "duration": {"range": "6 to 12 wk", "basis": "label"}}
    )
    sheet["sections"] = [
        {"title": "Overdosage", "absent": "label", "note": "a note on the section"},
        {"title": "Pregnancy", "text": "one & paragraph\n\nand <another>", "claims": ["S1"], "basis": "editor"},
        {"title": "Any title", "entries": ["MedicationKnowledge/examplamine"], "claims": ["S1"]},
        *({"title": f"All {part}", "entries": part} for part in _PARTS),
    ]
    for knowledge in (sheet["knowledge"], *sheet["products"]):
        knowledge["names"] = [{"text": f"name of {knowledge['code']['text']}", "claims": ["S1"], "basis": "label"}]
        ingredient = knowledge["ingredients"][0]
        per = {"amount": "1 tablet|{tbl}", "claims": ["S1"], "basis": "label"}
        knowledge["ingredients"] = [
            {**{key: one for key, one in ingredient.items() if key not in taken}, **added}
            for taken, added in (
                (("strength-text",), {"per": per}),
                (("strength-text", "per"), {}),
                (("strength", "per"), {}),
            )
        ]
        for one in _characteristics(sheet):
            _single(one)
    del sheet["ids"], sheet["knowledge"]["medication-claims"]
    sheet["knowledge"]["medication-claims"] = []
    return sheet


# Keys that are ids in one place, and a part of the sheet in another.
_ALSO_PARTS = ("evidence", "coverage", "undesirable-effects", "claims")
_PARTS = (
    *("uses", "limitations", "contraindications", "interactions", "undesirable-effects", "warnings", "products"),
    *("evidence", "discrepancies"),
)


def _characteristics(node: Any) -> Iterator[dict[str, Any]]:
    """The tables that have one of several kinds of values."""
    if isinstance(node, dict):
        if {"amount", "range", "concept", "unknown"} <= node.keys():
            yield node
        for one in node.values():
            yield from _characteristics(one)
    elif isinstance(node, list):
        for one in node:
            yield from _characteristics(one)


def _single(node: dict[str, Any]) -> None:
    for key in ("text", "amount", "range", "unknown"):
        node.pop(key, None)


def _filled(schema: Any, root: Any, key: str, words: Iterator[int]) -> Any:
    if key in _FIXED and not (key in _ALSO_PARTS and _is_table_list(schema)):
        return _copy(_FIXED[key])
    if "$ref" in schema:
        return _filled(root["$defs"][schema["$ref"].rpartition("/")[2]], root, key, words)
    if "anyOf" in schema:
        options = [one for one in schema["anyOf"] if one.get("type") != "null"]
        tables = [one for one in options if "$ref" in one]
        return _filled((tables or options)[0], root, key, words)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        table = {name: _filled(one, root, name, words) for name, one in schema.get("properties", {}).items()}
        if "id" in table and key:
            table["id"] = f"{key}-item"
        return table
    if kind == "array":
        return [_filled(schema["items"], root, key, words)]
    if kind == "integer":
        return next(words)
    if kind == "boolean":
        return True
    return _text(schema, key, words)


def _is_table_list(schema: Any) -> bool:
    items = schema.get("items", {}) if schema.get("type") == "array" else schema
    return "$ref" in items or items.get("type") == "object"


def _text(schema: Any, key: str, words: Iterator[int]) -> str:
    said = schema.get("errorMessage", "")
    number = next(words)
    if "amount" in said:
        unit = "d" if key in ("period", "duration") else "mg"
        return f"{number}.50 {unit}"
    if "range" in said:
        return f"{number} to {number + 1}.0 mg"
    if key == "cost":
        return f"{number}.50 USD"
    return f"{key} {number}" if "id" not in said else f"{key}-{number}"


def _copy(value: Any) -> Any:
    return [*value] if isinstance(value, list) else {**value} if isinstance(value, dict) else value


def held(folder: Path | None = None) -> Held:
    """The shipped definitions with the terminologies of the tests, in an empty folder."""
    kept = ("CodeSystem", "Organization", "StructureDefinition", "ValueSet")
    resources = {
        key: one
        for key, one in SHIPPED.resources.items()
        if one["resourceType"] in kept and not key.endswith("-fragment")
    }
    own = [one for one in resources.values() if one["resourceType"] == "CodeSystem"]
    return Held(folder or Path("/nowhere"), resources, {}, Vocabulary(TEST_TERMS, own))


def read_value(value: Mapping[str, Any], folder: Path) -> ReadSheet:
    """A sheet as it is read from its file."""
    path = folder / "sheet.yaml"
    path.write_text(sheet_text(value), encoding="utf-8")
    return read_sheet(path)


def content_folder(folder: Path) -> Path:
    """A content folder with the shipped definitions and the sheet of the tests."""
    for name in ("CodeSystem", "Organization", "StructureDefinition", "ValueSet"):
        (folder / name).mkdir(parents=True)
        for path in (RESOURCES / name).glob("*.json"):
            if not path.stem.endswith("-fragment"):
                shutil.copy(path, folder / name)
    shutil.copytree(TEST_SHEETS, folder / "sheets")
    return folder
