"""The official packages: which ones, pinned by hash, and how they are read (https://hl7.org/fhir/R5/packages.html)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apothecary.fhir.releases import FhirVersion

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """A package on npm and the SHA-256 of its tarball."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.tgz"


# R4's own core package is not on npm; the examples package of 4.0.1 holds all its definitions.
CORE = {
    FhirVersion.R4: Package(
        "hl7.fhir.r4.examples", "4.0.1", "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682"
    ),
    FhirVersion.R4B: Package(
        "hl7.fhir.r4b.core", "4.3.0", "2abd390aa5ad25eb269eb46dad45380db2fa7ba653e39926b75973475c3bc4ce"
    ),
    FhirVersion.R5: Package(
        "hl7.fhir.r5.core", "5.0.0", "09f22107bef64313545a50d2c127d20f81173c499a395672fae089bc23e72fab"
    ),
}
EXPANSIONS = {
    FhirVersion.R4: Package(
        "hl7.fhir.r4.expansions", "4.0.1", "18b2b00a6e26328bdbe4b2e273de5be32dfce21be37e0f582d18882bbce24e69"
    ),
    FhirVersion.R4B: Package(
        "hl7.fhir.r4b.expansions", "4.3.0", "128091fb0decbdac91718e5d89f81dd0b490aecffc1efdebfc194e665252a1c8"
    ),
    FhirVersion.R5: Package(
        "hl7.fhir.r5.expansions", "5.0.0", "09b42849f655c7ae93ca9690f0d3c2ebf35fb323b4d176c5e6167ca7746d5383"
    ),
}


class PackageError(Exception):
    """A package could not be had, or is not the one that was pinned."""


def obtain(package: Package, cache: Path) -> Path:
    """The verified tarball of `package` in `cache`, downloaded by npm when it is not there."""
    path = cache / package.file_name
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
            cwd=cache,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise PackageError(f"{path}: SHA-256 is {found}, expected {package.sha256}")
    return path


def manifest(path: Path) -> Resource:
    """The tarball's `package.json`."""
    with tarfile.open(path) as tar:
        stream = tar.extractfile("package/package.json")
        if stream is None:
            raise PackageError(f"{path}: package.json is not a file")
        found: Resource = json.load(stream)
        return found


def resources(path: Path, *types: str) -> Iterator[Resource]:
    """The resources of `types` in the tarball, in the order of their file names."""
    wanted = tuple(f"package/{name}-" for name in types)
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if member.name.startswith(wanted) and member.name.endswith(".json"):
                stream = tar.extractfile(member)
                if stream is not None:
                    resource = json.load(stream)
                    if resource.get("resourceType") in types:
                        yield resource


@dataclass(frozen=True, slots=True)
class Source:
    """What the tables of one release are made from, each kind by canonical url."""

    version: FhirVersion
    structures: dict[str, Resource]
    search_parameters: dict[str, Resource]
    value_sets: dict[str, Resource]
    code_systems: dict[str, Resource]
    compartments: dict[str, Resource]
    expansions: dict[str, Resource]


def read_source(version: FhirVersion, cache: Path) -> Source:
    """All that the compiler reads for `version`."""
    by_kind: dict[str, dict[str, Resource]] = {
        name: {}
        for name in ("StructureDefinition", "SearchParameter", "ValueSet", "CodeSystem", "CompartmentDefinition")
    }
    for resource in resources(obtain(CORE[version], cache), *by_kind):
        if "url" in resource:
            by_kind[resource["resourceType"]][resource["url"]] = resource
    expanded = resources(obtain(EXPANSIONS[version], cache), "ValueSet")
    return Source(
        version=version,
        structures=by_kind["StructureDefinition"],
        search_parameters=by_kind["SearchParameter"],
        value_sets=by_kind["ValueSet"],
        code_systems=by_kind["CodeSystem"],
        compartments=by_kind["CompartmentDefinition"],
        expansions={resource["url"]: resource for resource in expanded},
    )
