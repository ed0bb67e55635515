"""Content that leads out of its folder is refused, by whatever reads it, and nothing of what it leads to is shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.files import read_folder
from apothecary.content.packages import read_package
from apothecary.errors import ContentError, StartError
from tests.cli.serving import environment

SECRET = "the-word-that-nobody-may-see"  # noqa: S105 (it is none)
RESOURCE = '{"resourceType":"Medication","id":"%s"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A content folder with one sound resource, beside files that are none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "m2.json").write_text(f'{{"resourceType":"Medication",\n"id": {SECRET}\n}}')
    made = tmp_path / "content"
    (made / "Medication").mkdir(parents=True)
    (made / "Medication" / "m1.json").write_text(RESOURCE % "m1")
    return made


def file_link(folder: Path) -> None:
    (folder / "Medication" / "m2.json").symlink_to(folder.parent / "outside" / "m2.json")


def relative_link(folder: Path) -> None:
    (folder / "Medication" / "m2.json").symlink_to("../../outside/m2.json")


def link_to_a_link(folder: Path) -> None:
    (folder / "Medication" / ".hidden").symlink_to(folder.parent / "outside" / "m2.json")
    (folder / "Medication" / "m2.json").symlink_to(".hidden")


def folder_link(folder: Path) -> None:
    (folder / "Medication" / "more").symlink_to(folder.parent / "outside")


def link_of_a_type(folder: Path) -> None:
    (folder / "Substance").symlink_to(folder.parent / "outside")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "Medication" / "m2.json")


def endless(folder: Path) -> None:
    (folder / "Medication" / "m2.json").symlink_to("/dev/zero")


WAYS = [file_link, relative_link, link_to_a_link, folder_link, link_of_a_type, pipe, endless]


def run(*arguments: str, folder: Path) -> tuple[int, str]:
    """Exit status and all that a command says."""
    given = {"database": f"sqlite:///{folder.parent / 'apothecary.db'}", "content": ""}
    command = [sys.executable, "-m", "apothecary", *arguments]
    there: Any = {"env": environment(given), "cwd": folder.parent}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **there)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_content_folder_is_read_only_as_far_as_it_goes(folder: Path, way: Callable[[Path], None]) -> None:
    assert [one.id for one in read_folder(folder)] == ["m1"]
    way(folder)
    with pytest.raises(ContentError) as refused:
        list(read_folder(folder))
    assert SECRET not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("way", [file_link, folder_link, pipe])
def test_commands_end_with_2_and_name_the_link(folder: Path, way: Callable[[Path], None]) -> None:
    way(folder)
    here = str(folder)
    for command in (
        *(("validate", here), ("load", here), ("serve", "--port", "0", "--content", here)),
        ("content", "status", "--content", here),
    ):
        status, said = run(*command, folder=folder)
        assert status == 2, (command, said)
        assert SECRET not in said
        assert "leads out of the folder" in said or "neither a file nor a folder" in said, (command, said)


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    # As Kubernetes mounts the files of a ConfigMap.
    (folder / "Medication" / "..data").mkdir()
    (folder / "Medication" / "..data" / "m2.json").write_text(RESOURCE % "m2")
    (folder / "Medication" / "m2.json").symlink_to("..data/m2.json")
    assert [one.id for one in read_folder(folder)] == ["m1", "m2"]
    beside = folder.parent / "named"
    beside.symlink_to(folder)
    assert [one.id for one in read_folder(beside)] == ["m1", "m2"]


def test_who_names_a_link_means_the_file(folder: Path) -> None:
    named = folder.parent / "named.json"
    named.symlink_to(folder / "Medication" / "m1.json")
    assert run("validate", str(named), folder=folder)[0] == 0


def test_links_and_paths_that_lead_out_of_a_package_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(f'{{"resourceType":"ValueSet","url":"{SECRET}"}}')
    sound = b'{"resourceType":"ValueSet","url":"http://ex.org/v","status":"active"}'
    package = tmp_path / "p.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, kind in (("package/l.json", tarfile.SYMTYPE), ("package/h.json", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(tmp_path / "out.json")
            archive.addfile(link)
        for name in ("package/../../out.json", "/package/a.json", "package/v.json"):
            member = tarfile.TarInfo(name)
            member.size = len(sound)
            archive.addfile(member, io.BytesIO(sound))
    assert [one["url"] for one in read_package(package)] == ["http://ex.org/v"]
    assert SECRET in (tmp_path / "out.json").read_text()
    inside = tmp_path / "folder"
    (inside / "package").mkdir(parents=True)
    (inside / "package" / "v.json").write_bytes(sound)
    assert len(read_package(inside)) == 1
    (inside / "package" / "l.json").symlink_to(tmp_path / "out.json")
    with pytest.raises(StartError, match="leads out of the folder"):
        read_package(inside)
