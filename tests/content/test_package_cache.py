"""What packages depend on is found in the cache, offline, and named where it is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.content.package_cache import gather
from apothecary.errors import StartError

URL = "http://example.org/fhir/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"


def profile(name: str, path: str, base: str) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "version": "1.0.0",
        "name": name,
        "fhirVersion": "4.0.1",
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": base,
        "differential": {"element": [{"path": path, "min": 1}]},
    }


def package(folder: Path, name: str, dependencies: dict[str, str], *definitions: Any, index: bool = True) -> None:
    inner = folder / "package"
    inner.mkdir(parents=True)
    (inner / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0", "dependencies": dependencies}))
    for number, one in enumerate(definitions):
        (inner / f"{number}.json").write_text(json.dumps(one))
    if index:
        known = ("resourceType", "url", "version")
        files = [{"filename": f"{n}.json", **{k: one[k] for k in known}} for n, one in enumerate(definitions)]
        (inner / ".index.json").write_text(json.dumps({"index-version": 1, "files": files}))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with `base` in two versions, which depends on `root`, which depends on `base` again."""
    found = tmp_path / "cache"
    package(found / "base#1.0.2", "base", {"root": "1.0.x"}, profile("base", "Patient.name", URL + "root"))
    package(found / "base#1.0.10", "base", {"root": "1.0.x"}, profile("base", "Patient.gender", URL + "root"))
    root = profile("root", "Patient.active", f"{CORE}Patient|4.0.1")
    package(found / "root#1.0.1", "root", {"base": "1.0.2", "nowhere": "2.0.0"}, root, index=False)
    return found


def rules(tmp_path: Path, cache: Path, version: str, *arguments: str) -> tuple[list[str], Any]:
    own = profile("own", "Patient.birthDate", f"{URL}base|1.0.0")
    package(tmp_path / f"own-{version}", "own", {"base": version, "hl7.fhir.r4.core": "4.0.1"}, own)
    file = tmp_path / "patient.json"
    file.write_text(json.dumps({"resourceType": "Patient", "meta": {"profile": [own["url"]]}}))
    packages = ["--package", str(tmp_path / f"own-{version}"), "--package-cache", str(cache), *arguments]
    result = CliRunner().invoke(main, ["validate", str(file), "--format=json", "--disable=dom-6", *packages])
    report = json.loads(result.stdout)
    return [each["message"].partition(", which")[0] for each in report["findings"]], report


@pytest.mark.parametrize(("version", "name"), [("1.0.2", "name"), ("1.0.x", "gender"), ("latest", "gender")])
def test_a_base_is_found_in_the_package_that_is_depended_on(
    tmp_path: Path, cache: Path, version: str, name: str
) -> None:
    found, report = rules(tmp_path, cache, version)
    assert sorted(found) == sorted(f"Patient lacks {each}" for each in ("active", name, "birthDate"))
    assert report["missingPackages"] == ["hl7.fhir.r4.core#4.0.1", "nowhere#2.0.0"]
    assert report["checked"] == [
        {
            "file": report["checked"][0]["file"],
            "line": 1,
            "resource": "Patient",
            "fhirVersion": "R4",
            "profiles": [f"{URL}own|1.0.0"],
            "unchecked": [],
        }
    ]


def test_what_is_not_in_the_cache_is_a_warning_where_it_is_claimed(tmp_path: Path, cache: Path) -> None:
    found, report = rules(tmp_path, cache, "3.0.0")
    assert [(each["rule"], each["severity"]) for each in report["findings"]] == [("profile-unknown", "warning")]
    assert "base" in found[0]
    assert report["checked"][0]["profiles"] == []
    assert len(report["checked"][0]["unchecked"]) == 1


def test_a_package_is_named_by_its_name_in_the_cache(tmp_path: Path, cache: Path) -> None:
    found = gather([Path("base#1.0.10")], cache)
    assert [each["url"] for each in found.given] == [URL + "base"]
    with pytest.raises(StartError, match="nor is it in"):
        gather([Path("base#9")], cache)


@pytest.mark.parametrize("name", ["../secret", "a/b", "", "..", "a\\b"])
def test_a_dependency_never_leads_out_of_the_cache(tmp_path: Path, cache: Path, name: str) -> None:
    package(tmp_path / "secret#1.0.0", "secret", {}, profile("secret", "Patient.name", CORE + "Patient"))
    package(tmp_path / "own", "own", {name: "1.0.0", "base": f"../../{name}"}, profile("own", "Patient.name", CORE))
    assert gather([tmp_path / "own"], cache).indexed == []


def test_an_index_that_is_wrong_is_no_end_of_the_run(tmp_path: Path, cache: Path) -> None:
    inner = cache / "base#1.0.2" / "package"
    files = [
        {"filename": name, "resourceType": "StructureDefinition", "url": URL + "x"} for name in ("no.json", "../0.json")
    ]
    (inner / ".index.json").write_text(json.dumps({"files": files}))
    package(tmp_path / "own", "own", {"base": "1.0.2"}, profile("own", "Patient.name", CORE + "Patient"))
    found = gather([tmp_path / "own"], cache).indexed
    assert [each.get("differential") for each in found if each["url"] == URL + "x"] == [None]
