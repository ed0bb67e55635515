"""What a folder or an archive says of the resources in it: that they are a FHIR package, and of which release
(https://hl7.org/fhir/R5/packages.html).

The release that package.json names, or the ImplementationGuide beside the resources, is that of what does not say its
own. Of a package only the resources in its folder and its examples are meant: what else lies there is not defined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from apothecary.content.version_hints import hinted_version
from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion, parse_version

MANIFEST = "package.json"
# Such a resource says of which release those beside it are: https://hl7.org/fhir/R5/implementationguide.html
_GUIDE = re.compile(r"ImplementationGuide[-.\w]*\.json")
# What says so is no longer than this.
LARGEST = 16 * 1024 * 1024
# The specification writes `examples`, the publisher of guides `example`.
_EXAMPLES = frozenset({"example", "examples"})
_RELEASES = ("fhirVersions", "fhir-version-list", "fhirVersion")
_CORE = re.compile(r"hl7\.fhir\.(r\d+b?)\.core")


@dataclass(frozen=True, slots=True)
class Publication:
    """What holds for the resources of one folder. `packaged` says that it is a package; then `folders` are those below
    it that hold more resources.
    """

    release: FhirVersion | None
    packaged: bool = False
    folders: frozenset[str] = frozenset()


def speaks(name: str) -> bool:
    """Whether a file may say something of those beside it, as its name goes."""
    last = PurePosixPath(name).name
    return last == MANIFEST or _GUIDE.fullmatch(last) is not None


def read_publication(name: str, data: bytes) -> Publication | None:
    """What a file that `speaks` says; None where that is nothing of FHIR. Raises StartError for a release that is not
    read here.
    """
    try:
        value = parse(data)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if PurePosixPath(name).name == MANIFEST:
        return _of_package(name, value)
    if value.get("resourceType") != "ImplementationGuide":
        return None
    return Publication(hinted_version(value))


def _of_package(name: str, manifest: Mapping[str, Any]) -> Publication | None:
    said = next((manifest[key] for key in _RELEASES if manifest.get(key)), None)
    listed = [one for one in ([said] if isinstance(said, str) else said or ()) if isinstance(one, str)]
    dependencies = manifest.get("dependencies")
    found = (_CORE.fullmatch(one) for one in (dependencies if isinstance(dependencies, dict) else ()))
    listed = listed or [one[1] for one in found if one is not None]
    if not listed:
        return None
    release = next((version for one in listed if (version := parse_version(one)) is not None), None)
    if release is None:
        raise StartError(f"{name}: is of FHIR {', '.join(listed)}; R4, R4B and R5 are read")
    folders = manifest.get("directories")
    more = folders.get("example") if isinstance(folders, dict) else None
    own = {more.strip("./").removeprefix("package/")} if isinstance(more, str) else set()
    return Publication(release, True, _EXAMPLES | own)


def first(found: Iterable[Publication | None]) -> Publication | None:
    """What counts of several in one folder: a package says more than a guide."""
    known = [one for one in found if one is not None]
    return next((one for one in known if one.packaged), known[0] if known else None)


def within(name: str, known: Mapping[str, Publication]) -> tuple[bool, Publication | None]:
    """Whether a file may hold resources, and what the folders in which it lies say of them; `known` has what was said,
    by the folder, with "" for the outermost. Hidden files, and those in hidden folders, hold none.
    """
    path = PurePosixPath(name)
    if any(part.startswith((".", "__MACOSX")) for part in path.parts):
        return False, None
    for folder in path.parents:
        here = known.get("" if str(folder) == "." else str(folder))
        if here is not None:
            if not here.packaged:
                return True, here
            inner = str(path.parent.relative_to(folder))
            # Folders of types are how content is laid out here.
            ours = inner in here.folders or definitions(FhirVersion.R5).is_resource_type(inner.partition("/")[0])
            meant = path.name != MANIFEST and (inner == "." or ours)
            return meant, here
    return True, None
