"""Resources of a store -> NDJSON, or the files of a content folder: https://hl7.org/fhir/R5/nd-json.html"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from apothecary.content.synced import r5_form
from apothecary.content.write import authored
from apothecary.fhir.json import dumps, pretty
from apothecary.store.contract import Stored


def ndjson(resources: Iterable[Stored], stream: BinaryIO) -> int:
    """Write one resource a line, as it is stored; how many there were."""
    count = 0
    for one in resources:
        if one.body is not None:
            stream.write(one.body + b"\n")
            count += 1
    return count


def content_folder(resources: Iterable[Stored], folder: Path) -> int:
    """Write `<id>.json` for each resource into the folder of its type, in R5 as content folders are; how many there
    were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for one in resources:
        if one.body is not None:
            (folder / f"{one.id}.json").write_bytes(pretty(dumps(authored(r5_form(one)))) + b"\n")
            count += 1
    return count
