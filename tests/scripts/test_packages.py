"""The official packages come from npm, are what was pinned or are refused, and are read in the order they stand."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import fetch_examples
from scripts.definitions.packages import Package, PackageError, files, obtain, resources

CONTENT = {
    "package/package.json": "{}",
    "package/ValueSet-b.json": '{"resourceType": "ValueSet", "id": "b"}',
    "package/ValueSet-a.json": '{"resourceType": "ValueSet", "id": "a"}',
    "package/.index.json": "{}",
    "package/other/ValueSet-c.json": '{"resourceType": "ValueSet", "id": "c"}',
    "package/ValueSet-list.json": '{"resourceType": "Bundle"}',
    "package/readme.md": "text",
}


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "made.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in CONTENT.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a shell script the only `npm` on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def become(script: str) -> None:
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    return become


def pinned(path: Path) -> Package:
    return Package("some.package", "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_package_is_downloaded_once(tmp_path: Path, tarball: Path, npm: Callable[[str], None]) -> None:
    npm(f"echo asked >> {tmp_path}/asked; cp {tarball} some.package-1.0.0.tgz")
    cache = tmp_path / "cache"
    for _ in range(2):
        assert obtain(pinned(tarball), cache).read_bytes() == tarball.read_bytes()
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert [path.name for path in cache.iterdir()] == ["some.package-1.0.0.tgz"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no such package >&2; exit 1", "no such package"),
        ("echo other > some.package-1.0.0.tgz", "SHA-256 is"),
        ("exit 0", "No such file"),
    ],
)
def test_what_npm_brings_is_the_pinned_package_or_is_not_kept(
    tmp_path: Path, tarball: Path, npm: Callable[[str], None], script: str, said: str
) -> None:
    npm(script)
    cache = tmp_path / "cache"
    with pytest.raises(PackageError, match=said):
        obtain(pinned(tarball), cache)
    assert list(cache.iterdir()) == []


def test_a_package_in_the_cache_is_checked_too(tmp_path: Path, tarball: Path) -> None:
    package = pinned(tarball)
    (tmp_path / package.file_name).write_bytes(b"something else")
    with pytest.raises(PackageError, match=f"expected {package.sha256}"):
        obtain(package, tmp_path)


def test_without_npm_the_message_says_how_to_bring_a_package_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_examples.main(["--cache", str(tmp_path / "cache")]) == 1
    assert "npm is not installed" in (said := capsys.readouterr().err)
    assert "npm pack hl7.fhir.r4.examples@4.0.1" in said


def test_the_files_of_a_package_come_as_they_stand_and_its_resources_by_name(tarball: Path) -> None:
    assert [name for name, _ in files(tarball)] == ["ValueSet-b.json", "ValueSet-a.json", "ValueSet-list.json"]
    assert [resource["id"] for resource in resources(tarball, "ValueSet")] == ["a", "b"]
