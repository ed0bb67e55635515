"""Definitions are read from packages, folders and files, and what holds none is refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.packages import read_definition, read_package
from apothecary.errors import StartError

PROFILE = {"resourceType": "StructureDefinition", "url": "http://example.org/x"}
SET = {"resourceType": "ValueSet", "url": "http://example.org/s"}


def archive(path: Path, files: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as written:
        for name, value in files.items():
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            written.addfile(member, io.BytesIO(data))
    return path


def test_an_archive_gives_the_definitions_of_its_package_folder(tmp_path: Path) -> None:
    files = {
        "package/package.json": {"name": "x"},
        "package/a.json": PROFILE,
        "package/b.json": SET,
        "package/example/c.json": {**PROFILE, "url": "http://example.org/example"},
        "package/d.json": {"resourceType": "Patient"},
        "../e.json": SET,
    }
    assert read_package(archive(tmp_path / "x.tgz", files)) == [PROFILE, SET]


def test_a_folder_is_read_like_a_package_or_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "inner" / "a.json").write_text(json.dumps(PROFILE))
    (tmp_path / ".hidden" / "b.json").write_text(json.dumps(SET))
    assert read_package(tmp_path) == [PROFILE]
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "c.json").write_text(json.dumps(SET))
    assert read_package(tmp_path) == [SET]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"package/package.json": {"name": "x"}}, "holds no StructureDefinition"),
        ({"package/a.json": b'{"resourceType": "StructureDefinition"'}, "package/a.json"),
    ],
)
def test_a_package_without_use_is_refused(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(StartError, match=said):
        read_package(archive(tmp_path / "x.tgz", files))


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="neither a folder nor a package"):
        read_package(tmp_path / "nowhere")
    (tmp_path / "x.tgz").write_bytes(b"not compressed")
    with pytest.raises(StartError, match="cannot be read"):
        read_package(tmp_path / "x.tgz")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "x.json"),
        ('{"resourceType": "Patient"}', "is no StructureDefinition"),
        ('{"resourceType": "StructureDefinition"}', "has no url"),
    ],
)
def test_a_file_without_a_profile_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StartError, match=said):
        read_definition(path)


def test_a_profile_may_be_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("resourceType: StructureDefinition\nurl: http://example.org/x\n")
    assert read_definition(path) == PROFILE


def test_what_an_archive_says_of_a_file_is_bounded(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tgz", {"package/a.json": PROFILE, "package/b.json": SET})
    member = tarfile.TarInfo("package/c.json")
    member.pax_headers = {"comment": "x" * 5_000_000}
    with gzip.open(path, "wb") as bomb:
        bomb.write(member.tobuf(tarfile.PAX_FORMAT) + b"\0" * 1024)
    with pytest.raises(StartError, match="header is larger than 1048576 bytes"):
        read_package(path)


def test_links_and_ways_out_of_an_archive_lead_nowhere(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tgz", {"package/a.json": PROFILE, "package/../../b.json": SET, "/package/c.json": SET})
    with tarfile.open(path) as read:
        members = [(member, read.extractfile(member)) for member in read]
        with tarfile.open(tmp_path / "y.tgz", "w:gz") as written:
            for member, data in members:
                written.addfile(member, data)
            for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "package/a.json")):
                link = tarfile.TarInfo(f"package/{target.rpartition('/')[2]}.json")
                link.type, link.linkname = kind, target
                written.addfile(link)
    assert read_package(tmp_path / "y.tgz") == [PROFILE]
