"""Whatever an archive holds, it is read within bounds, nothing is written, and what is wrong is told."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.content import archives
from apothecary.content.contents import contents
from apothecary.errors import StartError
from tests.content.packing import as_bytes, tarball, zipped

MANIFEST = {"name": "x.y", "version": "1.0.0", "fhirVersions": ["4.0.1"]}


def medication(identity: str = "m") -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def fifo(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.FIFOTYPE
    return member


def torn(path: Path) -> Path:
    tarball(path, {f"package/Medication-{n}.json": medication(str(n)) for n in range(300)})
    path.write_bytes(path.read_bytes()[:-200])
    return path


def twice(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("package/package.json", as_bytes(MANIFEST))
        with pytest.warns(UserWarning, match="Duplicate name"):
            written.writestr("package/package.json", as_bytes({**MANIFEST, "fhirVersions": ["5.0.0"]}))
    return path


def encrypted(path: Path) -> Path:
    zipped(path, {"a.json": medication()})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no gzip": ("x.tgz", lambda path: path.write_bytes(b"{}"), "cannot be read"),
    "a zip by another name": ("x.tgz", lambda path: zipped(path, {"a.json": medication()}), "cannot be read"),
    "a tarball by another name": ("x.zip", lambda path: tarball(path, {"a.json": medication()}), "cannot be read"),
    "gzip of no tar": ("x.tar.gz", lambda path: path.write_bytes(gzip.compress(b"{}" * 5000)), "cannot be read"),
    "nothing": ("x.tgz", lambda path: path.write_bytes(b""), "cannot be read"),
    "torn": ("x.tgz", torn, "cannot be read"),
    "encrypted": ("x.zip", encrypted, "is encrypted"),
    "two manifests": ("x.zip", twice, "holds package/package.json twice"),
    "many": ("x.tgz", lambda path: tarball(path, {f"{n}": b"" for n in range(60)}), "more than 50 files"),
    "a bomb": ("x.tgz", lambda path: tarball(path, {"a": b"0" * 300_000}), "more than 200000 bytes"),
    "a packed bomb": ("x.zip", lambda path: zipped(path, {"a": b"0" * 300_000}), "more than 200000 bytes"),
    "a release that is not read": (
        "x.tgz",
        lambda path: tarball(path, {"package/package.json": {**MANIFEST, "fhirVersions": ["3.0.2"]}}),
        "is of FHIR 3.0.2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_archive_that_cannot_be_read_whole_is_refused_with_its_name(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, make, said = REFUSED[case]
    make(tmp_path / name)
    if case in ("many", "a bomb", "a packed bomb"):
        monkeypatch.setattr(archives, "_MOST_FILES", 50)
        monkeypatch.setattr(archives, "_LARGEST_ARCHIVE", 200_000)
    with pytest.raises(StartError, match=f"{name}.*{said}"):
        contents(tmp_path / name)
    for command in (["validate"], ["load", "--database", f"sqlite:///{tmp_path / 'a.db'}"]):
        result = CliRunner().invoke(main, [*command, str(tmp_path / name)])
        assert (result.exit_code, said in result.output) == (2, True), result.output


def test_names_and_links_that_lead_out_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(as_bytes(medication("secret")))
    files = {
        "package/package.json": MANIFEST,
        "package/Medication-m.json": medication(),
        "../Medication-a.json": medication("a"),
        "package/../../Medication-b.json": medication("b"),
        ".hidden/Medication-c.json": medication("c"),
        "__MACOSX/Medication-d.json": medication("d"),
    }
    links = [link("package/l.json", "../../secret.json"), link("package/h.json", "package/Medication-m.json", b"1")]
    path = tarball(tmp_path / "x.tgz", files, *links, fifo("package/f.json"))
    before = sorted(tmp_path.iterdir())
    assert sorted(contents(path).files) == ["Medication/m"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_member_that_cannot_be_read_is_told_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.content.stream.MAX_LINE", 400)
    files = {
        "Medication-m.json": medication(),
        "Medication-broken.json": b'{"resourceType": "Medication",',
        "Medication-long.json": {**medication("long"), "x": "y" * 500},
        "inner.tgz": b"",
        "\x1b[31mcolour.json": b'{"resourceType"',
        "all.ndjson": as_bytes(medication("n1")) + b"\n{\n" + as_bytes(medication("n2")),
        "all.ndjson.gz": gzip.compress(as_bytes(medication("z"))),
    }
    path = zipped(tmp_path / "x.zip", files)
    found = contents(path)
    assert sorted(found.files) == ["Medication/m", "Medication/n1", "Medication/n2", "Medication/z"]
    told = sorted(one.removeprefix(f"{path}/").partition(": ")[0] for one in found.left_out)
    assert told == [
        "?[31mcolour.json:1:16",
        "Medication-broken.json:1:31",
        "Medication-long.json:1:1",
        "all.ndjson:2:2",
        "inner.tgz:1:1",
    ]


def test_no_member_of_many_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tgz"
    tarball(path, {f"{number}.json": b"" for number in range(300)})
    kept: WeakSet[tarfile.TarInfo] = WeakSet()

    class Watched(tarfile.TarInfo):
        def __init__(self, name: str = "") -> None:
            super().__init__(name)
            kept.add(self)

    monkeypatch.setattr(tarfile.TarFile, "tarinfo", Watched)
    most = max(len(kept) for _ in archives.members(path))
    assert 0 < most < 20
