"""HL7's own cases for validators, as the Maven artifact `org.hl7.fhir.testcases:fhir-test-cases` holds them
(https://github.com/FHIR/fhir-test-cases, CC0): which of them can be asked offline, and what is expected of each.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from apothecary.content.read import format_of, read_bytes
from apothecary.errors import Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.profiles import Profiles

VERSION = "1.7.69"
SHA256 = "827a559099ae3297c3f96ab5749b419a24600d74b6a09e23620881a9c17df741"
ARCHIVE = f"fhir-test-cases-{VERSION}.jar"
CACHE = Path(".cache")
DOWNLOAD_SECONDS = 600

FOLDER = "org/hl7/fhir/testcases/validator/"
RELEASES = {
    None: FhirVersion.R5,
    "4.0": FhirVersion.R4,
    "4.0.1": FhirVersion.R4,
    "4.3": FhirVersion.R4B,
    "5.0": FhirVersion.R5,
    "5.0.0": FhirVersion.R5,
}
# What is no FHIR resource, or is about other machinery than validation.
OTHER_MODULES = frozenset(
    {
        "api",
        "cda",
        "cdshooks",
        "dsig",
        "fmt",
        "json5",
        "logical",
        "matchetype",
        "scoring",
        "shc",
        "tx",
        "tx-advanced",
        "v2",
        "xver",
    }
)
# What marks an issue that a terminology server found.
SERVER = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-server"


@dataclass(frozen=True)
class Case:
    """One file, checked as it is (`profile` None) or against a profile, and what is expected of it."""

    name: str
    file: str
    version: FhirVersion
    supporting: tuple[str, ...]
    profile: str | None
    expected: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The expected errors that no terminology server has to find."""
        return [one for one in self.expected if one["severity"] in ("error", "fatal") and not _by_server(one)]

    @property
    def is_fair(self) -> bool:
        """Whether it can be told offline: without errors, or with one that no terminology server has to find."""
        return bool(self.errors) or not any(one["severity"] in ("error", "fatal") for one in self.expected)


class Missing(Exception):
    """The archive could not be had, or is not the one that was pinned."""


def obtain(cache: Path = CACHE) -> Path:
    """The verified archive in `cache`, taken from Maven's central repository when it is not there. Raises Missing."""
    path = cache / ARCHIVE
    if not path.is_file():
        _download(cache)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise Missing(f"{path} has the SHA-256 {found}, not {SHA256}: remove it")
    return path


def _download(cache: Path) -> None:
    if shutil.which("mvn") is None:
        raise Missing(f"Maven is not installed (Debian: apt-get install maven), and {cache / ARCHIVE} is not there")
    coordinates = f"org.hl7.fhir.testcases:fhir-test-cases:{VERSION}"
    goals = (
        ("get", f"-Dartifact={coordinates}", "-Dtransitive=false"),
        ("copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={cache.absolute()}"),
    )
    for goal, *arguments in goals:
        command = ["mvn", "-q", "-B", f"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:{goal}", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
        if done.returncode:
            raise Missing(f"Maven did not bring {coordinates}: {(done.stdout + done.stderr).strip()[-500:]}")


def _by_server(issue: Mapping[str, Any]) -> bool:
    return any(one.get("url") == SERVER for one in issue.get("extension", ()))


class Cases:
    """The cases of an archive."""

    def __init__(self, archive: Path) -> None:
        self._zip = ZipFile(archive)
        self._names = frozenset(self._zip.namelist())

    def read(self, name: str) -> bytes:
        """The bytes of a file beside the manifest."""
        return self._zip.read(FOLDER + posixpath.normpath(name))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return FOLDER + posixpath.normpath(name) in self._names

    def __iter__(self) -> Iterator[Case]:
        for test in json.loads(self.read("manifest.json"))["test-cases"]:
            yield from self._cases(test)

    def _cases(self, test: dict[str, Any]) -> Iterator[Case]:
        version = RELEASES.get(test.get("version"))
        if (
            version is None
            or test.get("module") in OTHER_MODULES
            or test.get("use-test") is False
            or "packages" in test
            or "tx-dependent" in test
            or not test["file"].endswith((".json", ".xml"))
        ):
            return
        supporting = (*test.get("supporting", ()), *test.get("profiles", ()))
        given = {
            key: value
            for key, value in test.items()
            if key not in ("name", "file", "version", "supporting", "profiles", "profile", "java", "module")
        }
        for asked in (None, *([test["profile"]] if "profile" in test else [])):
            entry = test if asked is None else asked
            if "java" not in entry or "packages" in entry:
                continue
            more = () if asked is None else (*asked.get("supporting", ()), asked["source"])
            yield Case(
                test["name"] + ("" if asked is None else " (profile)"),
                test["file"],
                version,
                (*supporting, *more),
                None if asked is None else asked["source"],
                tuple(self._expected(entry["java"])),
                given,
            )

    def _expected(self, java: Any) -> list[Any]:
        outcome = java["outcome"] if isinstance(java, dict) else json.loads(self.read(f"outcomes/{java}"))
        return outcome.get("issue", [])

    def document(self, name: str, version: FhirVersion) -> Any:
        """A file of FHIR as a document with positions."""
        data = self.read(name)
        return read_bytes(name, data, format_of(data), version)

    def found(self, case: Case) -> list[Issue]:
        """What the validator finds in a case, after what the reader says. Raises StartError for a profile of no use."""
        document = self.document(case.file, case.version)
        found = [placed.issue for placed in document.issues]
        if not document.readable:
            return found
        given = [self.document(name, case.version) for name in case.supporting]
        asked = [given[-1].value["url"]] if case.profile is not None else []
        held = [one.value for one in given if one.readable]
        profiles = Profiles(held, asked)
        others = {f"{one['resourceType']}/{one['id']}": one for one in held if "id" in one}
        options = Options(profiles=profiles, medication_rules=False, held=others.get)
        return found + validate(document.value, case.version, options=options)
