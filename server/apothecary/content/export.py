"""Resources of a store -> NDJSON, or the files of a content folder: https://hl7.org/fhir/R5/nd-json.html"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from apothecary.fhir.json import JSON, dumps, parse, pretty
from apothecary.store.contract import Stored

# What a server writes into the meta of a resource when it stores it.
ASSIGNED = ("versionId", "lastUpdated")


def ndjson(resources: Iterable[Stored], stream: BinaryIO) -> int:
    """Write one resource a line, as it is stored; how many there were."""
    count = 0
    for one in resources:
        if one.body is not None:
            stream.write(one.body + b"\n")
            count += 1
    return count


def content_folder(resources: Iterable[Stored], folder: Path) -> int:
    """Write `<id>.json` for each resource into the folder of its type; how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for one in resources:
        if one.body is not None:
            (folder / f"{one.id}.json").write_bytes(pretty(dumps(_authored(parse(one.body)))) + b"\n")
            count += 1
    return count


def _authored(resource: JSON) -> JSON:
    """A resource without what the server assigned, every other value in its place."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ASSIGNED}
    kept = {key: value for key, value in resource.items() if key != "meta" or meta}
    return {**kept, "meta": meta} if meta else kept
