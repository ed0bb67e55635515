"""Whether a sheet that was made from resources builds them again: nothing is taken for granted about other people's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from apothecary.authoring.build import ReadSheet, build, reference_of
from apothecary.authoring.order import in_order
from apothecary.authoring.sheet import checked
from apothecary.authoring.terms import Vocabulary
from apothecary.content.yaml import read_yaml
from apothecary.errors import InvalidFile
from apothecary.fhir.json import JSON


def differing(text: str, resources: Mapping[str, JSON], vocabulary: Vocabulary) -> Iterator[str]:
    """What the sheet `text` builds otherwise than `resources` are, or cannot build: a line each."""
    document = read_yaml("sheet", text)
    try:
        sheet = ReadSheet(Path("sheet"), document, checked(document))
    except InvalidFile as refused:
        for fault in refused.faults:
            yield f"the sheet is not sound: {fault.reason}"
        return
    editors = resources.get(f"Organization/{sheet.value['editors']}", {})
    built = build(sheet, vocabulary, str(editors.get("name", "")))
    for pointer, reason in built.faults:
        yield f"the sheet is not sound: {'.'.join(map(str, pointer))}: {reason}"
    for one in built.resources:
        held = resources.get(reference_of(one))
        if held is None:
            yield f"{reference_of(one)}: is built by the sheet, and is not there"
        elif _meaning(one) != _meaning(in_order(held)):
            yield f"{reference_of(one)}: is built otherwise by the sheet"


def _meaning(resource: JSON) -> JSON:
    """A resource without the narratives that are generated."""
    kept = {key: one for key, one in resource.items() if key != "text"}
    if resource["resourceType"] == "Composition":
        kept["section"] = [
            {key: one for key, one in section.items() if key != "text" or one.get("status") == "additional"}
            for section in resource.get("section", ())
        ]
    return kept
