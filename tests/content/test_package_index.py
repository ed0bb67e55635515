"""What packages hold is kept from run to run; whatever happens to that file, each run finds what the package says."""

import gzip
import io
import json
import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apothecary.content import package_index
from apothecary.content.package_index import Indexed, open_indexed
from apothecary.errors import StartError

URL = "http://example.org/fhir/"


def value_set(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": URL + name, "version": "1", "status": "active", **more}


def archive(path: Path, *definitions: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as package:
        manifest = {"name": "own", "version": "1.0.0", "dependencies": {"other": "2.0.0"}}
        for name, value in [("package.json", manifest), *((f"{n}.json", one) for n, one in enumerate(definitions))]:
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    return path


def whole(path: Path, folder: Path | None) -> list[dict[str, Any]]:
    package = open_indexed(path, folder)
    assert package.name == "own#1.0.0"
    assert package.dependencies == {"other": "2.0.0"}
    return [dict(one) for one in package.definitions]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return archive(tmp_path / "own.tgz", value_set("a", title="A"), value_set("b", immutable=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def test_the_second_run_reads_no_definition_before_it_is_asked_for(
    package: Path, folder: Path, monkeypatch: Any
) -> None:
    first = whole(package, folder)
    assert first == whole(package, None)
    monkeypatch.setattr(package_index, "read_whole", None)  # Called, it would raise.
    found = open_indexed(package, folder).definitions
    monkeypatch.setattr(package_index, "parse", None)
    assert [one["url"] for one in found] == [URL + "a", URL + "b"]
    assert [one.get("derivation") for one in found] == [None, None]
    monkeypatch.undo()
    assert [dict(one) for one in found] == first
    assert all(isinstance(one, Indexed) for one in found)
    assert [dict(one) for one in pickle.loads(pickle.dumps(found))] == first  # noqa: S301 (its own bytes)


def test_a_package_that_has_changed_is_read_anew(package: Path, folder: Path) -> None:
    whole(package, folder)
    archive(package, value_set("c"))
    assert whole(package, folder) == [value_set("c")]
    assert whole(package, folder) == [value_set("c")]
    assert len([*folder.iterdir()]) == 1


def test_a_folder_is_kept_too_and_known_to_have_changed_by_its_files(tmp_path: Path, folder: Path) -> None:
    inner = tmp_path / "own" / "package"
    inner.mkdir(parents=True)
    (inner / "package.json").write_text('{"name": "own", "version": "1.0.0", "dependencies": {"other": "2.0.0"}}')
    (inner / "a.json").write_text(json.dumps(value_set("a")))
    assert whole(inner.parent, folder) == whole(inner.parent, folder) == [value_set("a")]
    (inner / "b.json").write_text(json.dumps(value_set("b")))
    assert whole(inner.parent, folder) == [value_set("a"), value_set("b")]
    (inner / "a.json").unlink()
    assert whole(inner.parent, folder) == [value_set("b")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:-5] + b"\0\0\0\0\0",
        lambda data: data.replace(b"ValueSet", b"ValueSex"),
        lambda data: b"another file altogether\n" * 50,
        lambda data: gzip.compress(data),
        lambda data: data + data,
    ],
)
def test_a_damaged_file_is_made_anew(package: Path, folder: Path, damage: Any) -> None:
    expected = whole(package, folder)
    (file,) = folder.iterdir()
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    assert whole(package, folder) == expected
    assert file.read_bytes() == sound


@pytest.mark.parametrize("obstacle", ["a file in the way", "a folder where the file goes", "no right to write"])
def test_where_nothing_can_be_kept_packages_are_read_as_ever(package: Path, folder: Path, obstacle: str) -> None:
    expected = whole(package, None)
    if obstacle == "a file in the way":
        folder.write_text("")
    elif obstacle == "a folder where the file goes":
        whole(package, folder)
        (file,) = folder.iterdir()
        file.unlink()
        file.mkdir()
    else:
        folder.mkdir(mode=0o500)
    assert whole(package, folder) == whole(package, folder) == expected


def test_runs_at_the_same_time_find_the_same(package: Path, folder: Path) -> None:
    expected = whole(package, None)
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda _: whole(package, folder), range(40))] == [expected] * 40
    assert [file.suffix for file in folder.iterdir()] == [".index"]


def test_the_oldest_beyond_the_most_are_forgotten(tmp_path: Path, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(package_index, "_MOST", 3)
    for number in range(5):
        whole(archive(tmp_path / f"{number}.tgz", value_set("a")), folder)
        for place, file in enumerate(sorted(folder.iterdir(), key=os.path.getmtime)):
            os.utime(file, (number + place, number + place))
    assert len([*folder.iterdir()]) == 3


def test_what_is_too_large_is_not_kept(package: Path, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(package_index, "_LARGEST", 100)
    assert len(whole(package, folder)) == 2
    assert not folder.exists()


def test_a_package_that_cannot_be_used_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"\x1f\x8b broken")
    for path in (broken, tmp_path / "nowhere.tgz"):
        with pytest.raises(StartError):
            open_indexed(path, folder)
    assert not folder.exists()
