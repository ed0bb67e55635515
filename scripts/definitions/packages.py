"""The official packages: which ones, pinned by hash, and how they are read (https://hl7.org/fhir/R5/packages.html)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
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

# The extensions that are always in scope, kept apart from the releases since R5 and published for all of them
# (https://hl7.org/fhir/extensions/). There is no package for R4B: what R4 allows stands in R4B as well.
EXTENSIONS = {
    FhirVersion.R4: Package(
        "hl7.fhir.uv.extensions.r4",
        "5.3.0-ballot-tc1",
        "54f70616bbd444ba0259d5fc5a5c978d463971865f23dcef3103081f529ad213",
    ),
    FhirVersion.R4B: Package(
        "hl7.fhir.uv.extensions.r4",
        "5.3.0-ballot-tc1",
        "54f70616bbd444ba0259d5fc5a5c978d463971865f23dcef3103081f529ad213",
    ),
    FhirVersion.R5: Package(
        "hl7.fhir.uv.extensions.r5",
        "5.3.0-ballot-tc1",
        "33a55f290663f3f9d61c9dbdeb0be6ef10d0e64b54af539d1d557585c8f9e1c2",
    ),
}
# HL7's own code systems and value sets, which are the same for all releases.
TERMINOLOGY = Package("hl7.terminology.r5", "7.0.1", "b34d9c6bdf108884e1d5ba535765e7b5cd93009f0af9f3b7e5eba38e5ae7a70b")
ALL = tuple(dict.fromkeys((*CORE.values(), *EXPANSIONS.values(), *EXTENSIONS.values(), TERMINOLOGY)))


DOWNLOAD_SECONDS = 300


class PackageError(Exception):
    """A package could not be had, or is not the one that was pinned."""


def obtain(package: Package, cache: Path) -> Path:
    """The verified tarball of `package` in `cache`, downloaded by npm when it is not there.

    Raises PackageError when it cannot be had, or is not the one that was pinned.
    """
    path = cache / package.file_name
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            _download(package, Path(folder))
            _check(package, Path(folder) / package.file_name)
            # In one step: what is half downloaded never stands in the cache, whoever else downloads it.
            (Path(folder) / package.file_name).replace(path)
    _check(package, path)
    return path


def _download(package: Package, folder: Path) -> None:
    wanted = f"{package.name}@{package.version}"
    by_hand = f"on a machine that has it, `npm pack {wanted}` makes {package.file_name}: put that into .cache/"
    try:
        done = subprocess.run(
            ["npm", "pack", "--fetch-retries=1", wanted],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except FileNotFoundError:
        raise PackageError(f"npm is not installed; {by_hand}") from None
    except subprocess.TimeoutExpired:
        raise PackageError(f"npm did not bring {wanted} within {DOWNLOAD_SECONDS} seconds") from None
    if done.returncode:
        raise PackageError(f"npm cannot bring {wanted}: {done.stderr.strip()[-500:]}")


def _check(package: Package, path: Path) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PackageError(f"{path}: {error.strerror}") from None
    if found != package.sha256:
        raise PackageError(f"{path}: SHA-256 is {found}, expected {package.sha256}")


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and text of each JSON file at the top of the tarball, without its `package/` and its own manifests.

    They come as they stand: whoever sorts the members of a compressed file first unpacks it again and again.
    """
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name.removeprefix("package/")
            if name.endswith(".json") and "/" not in name and not name.startswith(".") and name != "package.json":
                stream = tar.extractfile(member)
                if stream is not None:
                    yield name, stream.read()


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
    wanted = tuple(f"{name}-" for name in types)
    for _, text in sorted((name, text) for name, text in files(path) if name.startswith(wanted)):
        resource = json.loads(text)
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
    # R5 says nothing of extensions: what R4B allowed them is taken for it too.
    before = {} if version is not FhirVersion.R5 else _extensions(obtain(CORE[FhirVersion.R4B], cache))
    _add_extensions(by_kind, obtain(EXTENSIONS[version], cache), before)
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


def _extensions(package: Path) -> dict[str, Resource]:
    return {found["url"]: found for found in resources(package, "StructureDefinition") if found["type"] == "Extension"}


def _add_extensions(by_kind: dict[str, dict[str, Resource]], package: Path, before: Mapping[str, Resource]) -> None:
    """Add the extensions of `package`, with the value sets and code systems that they name.

    An extension that the release publishes too is taken as the package has it today; it may stand where either allows
    it, and have a value of either's types: what was right when it was written stays so.
    """
    for resource in resources(package, "StructureDefinition", "ValueSet", "CodeSystem"):
        kind, url = by_kind[resource["resourceType"]], resource["url"]
        if resource["resourceType"] != "StructureDefinition":
            kind.setdefault(url, resource)
        elif resource["type"] == "Extension":
            first = kind.get(url, before.get(url))
            kind[url] = resource if first is None else _either(resource, first)


def _either(today: Resource, first: Resource) -> Resource:
    today["context"] = _all_of(today.get("context", []), first.get("context", []))
    elements = {element["id"]: element for element in first["snapshot"]["element"]}
    for element in today["snapshot"]["element"]:
        before = elements.get(element["id"], {})
        if element["id"].endswith(".value[x]") and "0" not in (element["max"], before.get("max", "0")):
            element["type"] = _all_of(element["type"], before["type"])
    return today


def _all_of(some: list[Resource], more: list[Resource]) -> list[Resource]:
    return some + [item for item in more if item not in some]
