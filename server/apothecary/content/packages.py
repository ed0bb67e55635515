"""Definitions from files, folders and FHIR packages: StructureDefinition, ValueSet and CodeSystem resources
(https://hl7.org/fhir/R5/packages.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apothecary.content.archives import LARGEST, SUFFIXES, UNREADABLE, is_archive, members, said
from apothecary.content.confined import Folder
from apothecary.content.read import read_bytes
from apothecary.errors import StartError
from apothecary.fhir.json import parse

_KINDS = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_MARKS = tuple(f'"{kind}"'.encode() for kind in sorted(_KINDS))


def read_package(path: Path) -> list[dict[str, Any]]:
    """The definitions of a package: `package/*.json` of an archive or folder, or else all JSON files below a folder.

    What a package depends on is not looked for. Raises StartError when it cannot be read or holds no definition.
    """
    return [dict(one) for one in read_whole(path).definitions]


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was read. `dependencies` are the versions of the packages that it names, by name."""

    name: str
    definitions: tuple[Mapping[str, Any], ...]
    dependencies: Mapping[str, str]


def read_whole(path: Path, keep: Callable[[bytes], None] | None = None) -> Package:
    """What a package holds and names, all of it read now; raises StartError as `read_package` does. `keep` is given the
    text of each definition.
    """
    name, dependencies = str(path), dict[str, str]()
    found = []
    try:
        for member, data in _archived(path) if is_archive(path.name) and path.is_file() else _in_folder(path):
            if member.rpartition("/")[2] == "package.json":
                name, dependencies = _manifest(data, name)
            elif (resource := _definition(f"{path}: {member}", data)) is not None:
                found.append(resource)
                if keep is not None:
                    keep(data)
    except UNREADABLE as error:
        raise StartError(f"{path}: cannot be read: {said(error)}") from error
    if not found:
        raise StartError(f"{path}: holds no StructureDefinition, ValueSet or CodeSystem")
    return Package(name, tuple(found), dependencies)


def _manifest(data: bytes, path: str) -> tuple[str, dict[str, str]]:
    """Name and dependencies in a package.json; one of another kind has none."""
    try:
        manifest = parse(data)
    except ValueError:
        return path, {}
    if not isinstance(manifest, dict):
        return path, {}
    named = manifest.get("dependencies")
    listed = named.items() if isinstance(named, dict) else ()
    name = f"{manifest.get('name')}#{manifest.get('version')}" if isinstance(manifest.get("name"), str) else path
    return name, {key: value for key, value in listed if isinstance(value, str)}


def read_definition(path: Path) -> dict[str, Any]:
    """The StructureDefinition in a file of any format that is read. Raises StartError when there is none."""
    try:
        document = read_bytes(str(path), path.read_bytes())
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from error
    value = document.value
    if not document.readable:
        reasons = "; ".join(each.issue.diagnostics for each in document.issues[:3])
        raise StartError(f"{path}: {reasons}")
    if not isinstance(value, dict) or value.get("resourceType") != "StructureDefinition":
        raise StartError(f"{path}: is no StructureDefinition")
    if not isinstance(value.get("url"), str):
        raise StartError(f"{path}: the StructureDefinition has no url")
    return value


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    def wanted(name: str) -> bool:
        folder, _, last = name.rpartition("/")
        return folder == "package" and last.endswith(".json")

    for member in members(path, wanted):
        if member.size > LARGEST:
            raise StartError(f"{path}: {member.name} is larger than {LARGEST} bytes")
        yield member.name, member.stream.read(LARGEST)


def package_files(path: Path) -> list[Path]:
    """The files that a package in a folder may consist of, sorted."""
    inner = path / "package"
    return sorted(inner.glob("*.json") if inner.is_dir() else path.rglob("*.json"))


def _in_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    if not path.is_dir():
        raise StartError(f"{path}: is neither a folder nor a package ({', '.join(SUFFIXES)})")
    confined = Folder(path)
    confined.check_link(path / "package")
    for file in package_files(path):
        relative = file.relative_to(path)
        if not file.is_dir() and not any(part.startswith(".") for part in relative.parts):
            confined.check_file(file)
            yield str(relative), file.read_bytes()


def _definition(name: str, data: bytes) -> dict[str, Any] | None:
    """The resource in `data` if it is a definition; most files of a package are examples, which are not parsed."""
    if not any(mark in data for mark in _MARKS):
        return None
    try:
        value = parse(data)
    except ValueError as error:
        raise StartError(f"{name}: {error}") from error
    return value if isinstance(value, dict) and value.get("resourceType") in _KINDS else None
