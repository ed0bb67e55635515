"""Mends in the text of a file, whatever its format: the values change, every other byte stays
(https://hl7.org/fhir/R5/formats.html).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apothecary.content.documents import Document, Format, Pointer
from apothecary.content.read import read_bytes
from apothecary.fhir.releases import FhirVersion

# What is at the pointer -> the new value; with a name: it is new, and comes after that sibling.
Change = tuple[Pointer, Any, str | None]
# Where a change begins and ends in the text, and what stands there then.
Edit = tuple[int, int, str]
Editor = Callable[[Change], Edit | None]

_MOST_ROUNDS = 4
_BOM = b"\xef\xbb\xbf"


def mended(
    data: bytes,
    changes_of: Callable[[Any], Iterable[Change]],
    format: Format = "json",
    version: FhirVersion = FhirVersion.R5,
) -> bytes:
    """`data` with the changes that `changes_of` wants of each document in it; the lines of NDJSON are documents.
    `version` is that of the tables that XML and YAML are read by.

    What cannot be read, or has an issue of reading, stays as it is; so does what would not read back as the same
    document with the changes.
    """
    bom = _BOM if data.startswith(_BOM) else b""
    parts = data.removeprefix(_BOM).split(b"\n") if format == "ndjson" else [data.removeprefix(_BOM)]
    return bom + b"\n".join(_document(part, changes_of, format, version) for part in parts)


def _document(
    data: bytes, changes_of: Callable[[Any], Iterable[Change]], format: Format, version: FhirVersion
) -> bytes:
    before = _read(data, format, version)
    # One mend may be what another one waits for: the code that says what a Bundle is has white space around it.
    for _ in range(_MOST_ROUNDS):
        if before is None:
            return data
        changes = {pointer: (pointer, value, after) for pointer, value, after in changes_of(before.value)}
        text, done = _changed(before, changes.values())
        if not done:
            return data
        after = _read(text.encode(), format, version)
        if after is None or after.value not in (_applied(before.value, done), _applied(before.value, changes.values())):
            return data
        data, before = text.encode(), after
    return data


def _read(data: bytes, format: Format, version: FhirVersion) -> Document | None:
    """The document, without any issue of reading; None for every other one."""
    found = read_bytes("", data, format, version)
    return found if found.readable and not found.issues else None


def _applied(value: Any, changes: Iterable[Change]) -> Any:
    found = copy.deepcopy(value)
    for pointer, new, _ in changes:
        target = found
        for step in pointer[:-1]:
            target = target[step]
        target[pointer[-1]] = new
    return found


def _changed(document: Document, changes: Iterable[Change]) -> tuple[str, list[Change]]:
    """The text with those changes that can be made in it, and these."""
    text = document.text
    editor = _editor(document)
    edits: list[Edit] = []
    done = []
    for change in changes:
        edit = editor(change)
        if edit is not None:
            edits.append(edit)
            done.append(change)
    return "".join(_pieces(text, sorted(edits))), done


def _pieces(text: str, edits: Iterable[Edit]) -> Iterator[str]:
    at = 0
    for start, end, new in edits:
        yield text[at:start]
        yield new
        at = end
    yield text[at:]


def _editor(document: Document) -> Editor:
    # PyYAML and expat are loaded for their own files only.
    if document.format == "xml":
        from apothecary.content.mend_xml import xml_editor

        return xml_editor(document)
    if document.format == "yaml":
        from apothecary.content.mend_yaml import yaml_editor

        return yaml_editor(document)
    from apothecary.content.mend_json import json_editor

    return json_editor(document)
