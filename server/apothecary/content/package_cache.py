"""What packages depend on, read from the cache of packages that FHIR tools share
(https://hl7.org/fhir/R5/packages.html, https://confluence.hl7.org/spaces/FHIR/pages/66928417/FHIR+Package+Cache).

A folder `name#version/package` each, with an index of its resources. Nothing is fetched. Of a dependency only the index
is read, until one of its definitions is asked for: terminology packages have thousands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apothecary.content.archives import LARGEST
from apothecary.content.package_index import Indexed, open_indexed
from apothecary.errors import StartError
from apothecary.fhir.json import parse

DEFAULT_CACHE = Path("~/.fhir/packages")
# The folder in the cache where is kept what packages hold.
INDEX = ".apothecary"
_KINDS = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")
_FILE = re.compile(r"[^/\\]+\.json")


class _File:
    """The definition in a file of the cache."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> Mapping[str, Any] | None:
        try:
            if self.path.stat().st_size > LARGEST:
                return None
            value = parse(self.path.read_bytes())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None


@dataclass(slots=True)
class Gathered:
    """Packages with all that they depend on: their definitions, and the dependencies that are not in the cache."""

    given: list[Mapping[str, Any]] = field(default_factory=list)
    indexed: list[Mapping[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def gather(packages: Iterable[Path], cache: Path, index: Path | None = None) -> Gathered:
    """The definitions of packages, given as folders, archives or `name#version` in the cache, and of what these depend
    on, however far. Raises StartError for a package that cannot be read. `index` is the folder where
    is kept what they hold; without it they are read each time.
    """
    found = Gathered()
    waiting: list[tuple[str, str]] = []
    for path in packages:
        package = open_indexed(_located(path, cache), index)
        found.given += package.definitions
        waiting += package.dependencies.items()
    seen: set[Path] = set()
    while waiting:
        name, version = waiting.pop(0)
        folder = _folder(cache, name, version)
        if folder is None:
            if f"{name}#{version}" not in found.missing:
                found.missing.append(f"{name}#{version}")
        elif folder not in seen:
            seen.add(folder)
            resources, dependencies = _indexed(folder, index)
            found.indexed += resources
            waiting += dependencies.items()
    return found


def _located(path: Path, cache: Path) -> Path:
    name, sign, version = str(path).partition("#")
    if sign and not path.exists():
        folder = _folder(cache, name, version)
        if folder is None:
            raise StartError(f"{path}: is neither a folder nor a package (.tgz), nor is it in {cache}")
        return folder
    return path


def _folder(cache: Path, name: str, version: str) -> Path | None:
    """The folder of a package; of `1.0.x` and `latest` that of the newest version that fits."""
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
        return None
    exact = cache / f"{name}#{version}"
    if exact.is_dir():
        return exact
    begin = "" if version == "latest" else version.removesuffix("x") if version.endswith(".x") else None
    if begin is None or not cache.is_dir():
        return None
    fitting = [path for path in cache.glob(f"{name}#{begin}*") if path.is_dir()]
    return max(fitting, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def _indexed(folder: Path, kept: Path | None) -> tuple[list[Mapping[str, Any]], Mapping[str, str]]:
    """The definitions of a package in the cache and what it depends on, by its index, or by reading it where that is
    missing.
    """
    inner = folder / "package"
    try:
        index = parse((inner / ".index.json").read_bytes())
        manifest = parse((inner / "package.json").read_bytes())
        named = manifest.get("dependencies") or {}
        listed = [one for one in index["files"] if one.get("resourceType") in _KINDS]
        files = [(str(one["filename"]), one) for one in listed if isinstance(one.get("url"), str)]
        dependencies = {key: value for key, value in named.items() if isinstance(value, str)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        package = open_indexed(folder, kept)
        return [*package.definitions], package.dependencies
    keep = ("resourceType", "url", "version")
    resources: list[Mapping[str, Any]] = [
        Indexed({key: one.get(key) for key in keep}, _File(inner / name))
        for name, one in files
        if _FILE.fullmatch(name)
    ]
    return resources, dependencies
