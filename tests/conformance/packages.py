"""What a FHIR package holds, read without the product's own readers: https://hl7.org/fhir/R5/packages.html"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def resources_of(path: Path, *folders: str) -> Iterator[dict[str, Any]]:
    """The resources of a package, those of its examples among them, or of some folders in it."""
    with tarfile.open(path) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            if folder in (folders or ("package", "package/example")) and "-" in name:
                file = archive.extractfile(member)
                assert file is not None
                yield json.load(file)
