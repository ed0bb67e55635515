"""A sheet as the text of its file: https://yaml.org/spec/1.2.2/"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

SCHEMA_FILE = "sheet.schema.json"
TERMS_SCHEMA = "terminologies.schema.json"
HEAD = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"


# What is no longer than this stands on one line.
_LINE = 100


class _Dumper(yaml.SafeDumper):
    """Short tables on one line, nothing by alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=_is_short(sequence))

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=_is_short(mapping))


class _Page(dict[str, Any]):
    """A sheet as a whole, which is never on one line."""


def _page(dumper: _Dumper, page: _Page) -> yaml.MappingNode:
    return yaml.SafeDumper.represent_mapping(dumper, "tag:yaml.org,2002:map", page, flow_style=False)


_Dumper.add_representer(_Page, _page)


def _is_short(value: Any) -> bool:
    # A list of tables has one a line.
    nested = isinstance(value, list) and any(isinstance(one, dict) for one in value)
    return not nested and len(json.dumps(value, ensure_ascii=False, default=str)) <= _LINE


def sheet_text(sheet: Mapping[str, Any]) -> str:
    """The text of a sheet, with an empty line before each of its parts."""
    parts = []
    for key, value in sheet.items():
        text: str = yaml.dump(_Page({key: value}), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
        parts.append(f"\n{text}" if isinstance(value, list | dict) else text)
    return HEAD + "".join(parts)
