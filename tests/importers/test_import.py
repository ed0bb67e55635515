"""`apothecary import`, whatever the format: what is taken, what is told, what a new edition withdraws."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import import_, main
from apothecary.fhir.releases import FhirVersion
from apothecary.importers import formats
from apothecary.importers.inactive import inactive
from apothecary.importers.remarks import FIRST, REASONS, Remarks
from apothecary.importers.report import Place, Remark
from apothecary.validation import validate
from apothecary.versions import convert
from tests.importers import plain
from tests.importers.held import held

CODES = [f"{number:02}" for number in range(20)]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS)
    monkeypatch.setattr(import_, "FORMATS", formats.FORMATS)
    plain.register()


def rows(codes: Iterable[str], **other: str) -> bytes:
    return b"".join(f"{one}\t{other.get(f'n{one}', 'name')}\ttablet\n".encode() for one in codes)


def run(*words: str | Path, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["import", "plain", *map(str, words)])
    assert result.exit_code == status, result.output
    return result


def statuses(url: str) -> dict[str, tuple[str, str]]:
    """The status and the version of each Medication."""
    return {
        one["id"].removeprefix("plain-"): (one["status"], one["meta"]["versionId"])
        for one in held(url).values()
        if one["resourceType"] == "Medication"
    }


def remarks(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return packed.getvalue()


def test_the_same_files_again_change_nothing_and_another_edition_only_what_differs(
    database_url: str, tmp_path: Path
) -> None:
    file, later = tmp_path / "one.txt", tmp_path / "two.txt"
    file.write_bytes(rows(CODES))
    assert run(file, "--database", database_url).output.startswith("22 created, 0 updated, 0 unchanged\n")
    before = held(database_url)
    assert run(file, "--database", database_url).output.startswith("0 created, 0 updated, 21 unchanged\n")
    assert held(database_url) == before
    later.write_bytes(rows([*CODES[1:], "new"], n05="other"))
    told = run(later, "--database", database_url, "--edition", "2").output
    assert "withdrawn:\n  Medication/plain-00: is not in this edition, and not active now\n" in told
    # The new one and the Provenance; the changed one, the withdrawn one and the Library.
    assert "2 created, 3 updated, 18 unchanged\n" in told
    found = statuses(database_url)
    assert {code: one for code, one in found.items() if one != ("active", "1")} == {
        "00": ("inactive", "2"),
        "05": ("active", "2"),
    }
    assert "0 created, 0 updated, 21 unchanged\n" in run(later, "--database", database_url, "--edition", "2").output
    assert "1 updated" in run(file, "--database", database_url, "--no-withdraw").output or statuses(database_url)["new"]
    assert statuses(database_url)["00"] == ("active", "3")


def test_two_catalogues_do_not_withdraw_each_other(database_url: str, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.txt", tmp_path / "theirs.txt"
    ours.write_bytes(rows(["a", "b"]))
    theirs.write_bytes(rows(["c"]))
    run(ours, "--database", database_url)
    for _ in range(2):
        run(theirs, "--database", database_url, "--catalogue", "http://example.org/theirs")
        run(ours, "--database", database_url)
    assert statuses(database_url) == {"a": ("active", "1"), "b": ("active", "1"), "c": ("active", "1")}
    libraries = [one for one in held(database_url).values() if one["resourceType"] == "Library"]
    assert {one["url"] for one in libraries} == {plain.CATALOGUE, "http://example.org/theirs"}


TORN = zipped(a_txt=rows(CODES))
UNREAD = {
    "a row that cannot be read": (rows(CODES[1:]) + b"torn", "rows that could not be read"),
    "a torn zip file": (TORN[: len(TORN) // 2], "files that could not be read whole"),
    "a zip file with a torn member": (
        TORN.replace(TORN[60:70], b"\0" * 10),
        "files that could not be read whole",
    ),
    "a quarter and more is missing": (rows(CODES[6:]), "6 of 20 Medication are not in these files"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_no_drug_is_retired_because_a_file_was_not_whole(sqlite_database_url: str, tmp_path: Path, name: str) -> None:
    file, torn = tmp_path / "one.txt", tmp_path / "two.zip"
    data, said = UNREAD[name]
    file.write_bytes(rows(CODES))
    torn.write_bytes(data)
    run(file, "--database", sqlite_database_url)
    told = run(torn, "--database", sqlite_database_url, status=0 if "quarter" in name else 1).output
    assert "nothing is withdrawn: " in told
    assert said in told
    assert {one for one, _ in statuses(sqlite_database_url).values()} == {"active"}
    again = run(torn, "--database", sqlite_database_url, "--withdraw", status=0 if "quarter" in name else 1).output
    gone = [one for one, (status, _) in statuses(sqlite_database_url).items() if status == "inactive"]
    # A file that was not read to its end withdraws nothing, whatever is asked for.
    assert len(gone) == {"a row": 1, "a qua": 6}.get(name[:5], 0), again


def test_what_a_catalogue_is_a_part_of_is_withdrawn_only_when_asked(
    sqlite_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = formats.Format("plain", "Plain", ".", "Nobody", plain.PAGE, plain.CATALOGUE, whole=False)
    monkeypatch.setattr(import_, "FORMATS", {"plain": part})
    for code, more in (("a", ()), ("b", ()), ("b", ("--withdraw",))):
        (tmp_path / code).write_bytes(rows([code]))
        run(tmp_path / code, "--database", sqlite_database_url, *more)
        assert statuses(sqlite_database_url)["a"][0] == ("inactive" if more else "active")
    assert "--since: Plain does not say" in run(tmp_path, "--since", "2025", status=2).output


def test_into_files_only_what_changed_since_the_edition_before_is_written(tmp_path: Path) -> None:
    before, after, folder = tmp_path / "one.txt", tmp_path / "two.txt", tmp_path / "out"
    before.write_bytes(rows(CODES))
    after.write_bytes(rows([*CODES[1:], "new"], n05="other"))
    whole, packed = tmp_path / "one.ndjson", tmp_path / "one.ndjson.gz"
    run(before, "--output", whole)
    run(before, "--output", packed)
    run(before, "--output", folder)
    lines = gzip.decompress(packed.read_bytes()).splitlines()
    assert lines[:-1] == whole.read_bytes().splitlines()[:-1]
    assert len(lines) == 22
    wanted = {"plain-05": "active", "plain-new": "active", "plain-00": "inactive"}
    for previous in (before, whole, packed, folder):
        target = tmp_path / "changes.ndjson"
        run(after, "--output", target, "--previous", previous)
        found = [json.loads(line) for line in target.read_bytes().splitlines()]
        assert {one["id"]: one["status"] for one in found if one["resourceType"] == "Medication"} == wanted
    times = {one.name: one.stat().st_mtime_ns for one in (folder / "Medication").iterdir()}
    run(after, "--output", folder, "--previous", folder)
    changed = {one.stem for one in (folder / "Medication").iterdir() if times.get(one.name) != one.stat().st_mtime_ns}
    assert changed == set(wanted)
    # Nobody reads a part of a file: it is there when it is whole.
    whole.unlink()
    after.write_bytes(rows(CODES) + b"torn")
    run(after, "--output", whole, "--strict", status=2)
    assert not [one.name for one in tmp_path.iterdir() if "one.ndjson" in one.name and one != packed]


def test_since_takes_what_is_dated_on_or_after_that_day_and_withdraws_nothing(
    sqlite_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(b"a\tn\tf\t2025-01-01\nb\tn\tf\t2025-06-01\nc\tn\tf\n")
    told = run(file, "--database", sqlite_database_url, "--since", "2025-06-01").output
    assert "1 resources are dated before 2025-06-01\n" in told
    # What has no date may be new.
    assert set(statuses(sqlite_database_url)) == {"b", "c"}
    assert "--since: " in run(file, "--since", "yesterday", "--dry-run", status=2).output


def test_an_import_says_where_it_comes_from_in_r5_and_r4(sqlite_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(rows(["a"]))
    run(file, "--database", sqlite_database_url, "--edition", "2025-11")
    found = held(sqlite_database_url)
    (provenance,) = (one for key, one in found.items() if key.startswith("Provenance/"))
    library = found[provenance["target"][0]["reference"]]
    assert (library["url"], library["version"]) == (plain.CATALOGUE, "2025-11")
    assert found["Medication/plain-a"]["meta"]["source"] == plain.CATALOGUE
    (entity,) = provenance["entity"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() in entity["what"]["display"]
    assert entity["what"]["display"].startswith("one.txt, ")
    for one in (provenance, library):
        assert not [issue for issue in validate(one, FhirVersion.R5) if issue.severity == "error"]
        for version in (FhirVersion.R4, FhirVersion.R4B):
            older = convert(one, FhirVersion.R5, version).resource
            assert not [issue for issue in validate(older, version) if issue.severity == "error"]


def test_what_is_left_out_is_told_in_a_file_and_in_short(tmp_path: Path) -> None:
    file, report, text = tmp_path / "one.txt", tmp_path / "report.jsonl", tmp_path / "report.txt"
    file.write_bytes(b"a\tname\ttablet\na\tname\ttablet\nb\nb c\tname\ttablet\n")
    told = run(file, "--dry-run", "--report", report, status=1).output
    assert [(one["line"], one["reason"].partition(":")[0]) for one in remarks(report)] == [
        (2, "Medication/plain-a stands in the files twice; the first one counts"),
        (3, "has 1 cells, not 3"),
        (4, "Medication/plain-b c"),
    ]
    assert "nothing written of 1 resources: 1 Medication\n3 left out, 0 approximated\n" in told
    run(file, "--dry-run", "--report", text, status=1)
    assert text.read_text().splitlines()[1] == f"{file}:3: skipped: has 1 cells, not 3"
    escaping = tmp_path / "two.txt"
    escaping.write_bytes(b"/../../a\tname\ttablet\n")
    told = run(escaping, "--no-validate", "--output", tmp_path / "o", status=1).output
    assert "Medication/plain-/../../a: what should be an id is none" in told
    assert f"{file}:2: Medication/plain-a stands" in run(file, "--dry-run", "--strict", status=2).output


def test_an_invalid_resource_is_told_with_its_row_and_the_rest_is_there(database_url: str, tmp_path: Path) -> None:
    file, report = tmp_path / "one.txt", tmp_path / "report.json"
    file.write_bytes(b"a\tname\ttablet\nb c\tname\ttablet\nd\t\ttablet\n")
    run(file, "--database", database_url, "--report", report, status=1)
    assert [(one["file"], one["line"]) for one in remarks(report)] == [(str(file), 2), (str(file), 3)]
    assert set(statuses(database_url)) == {"a"}


def test_a_summary_is_short_however_many_reasons_there_are() -> None:
    with Remarks(None) as told:
        for number in range(5000):
            told(Remark("skipped", Place("f", number + 1), f"'{number}' is no date"))
            told(Remark("approximated", Place("f", number + 1), "reason " + "x" * (number % 400)))
    lines = list(told.summary())
    assert "skipped, 5000 times:" in lines
    assert "  f:1: '0' is no date" in lines
    assert len(lines) <= (REASONS + 2) * (FIRST + 2)


BAD: dict[str, tuple[bytes, str]] = {
    "torn": (TORN[:-30], "is a zip file that cannot be opened"),
    "three deep": (zipped(a_zip=zipped(b_zip=zipped(c_txt=rows("d")))), "zip file in a zip file in a zip file"),
    "bomb": (zipped(a_txt=b"\0" * (65 * 1024 * 1024)), "unpacked it would have"),
    "a long line": (zipped(a_txt=b"x" * (17 * 1024 * 1024)), "is longer than 16777216 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_and_the_others_are_read(tmp_path: Path, name: str) -> None:
    data, said = BAD[name]
    (tmp_path / "bad.zip").write_bytes(data)
    (tmp_path / "good.zip").write_bytes(zipped(inner_zip=zipped(a_txt=rows(["a"]))))
    told = run(tmp_path, "--dry-run", status=1).output
    assert "of 1 resources: 1 Medication" in told
    assert said in told
    assert "bad.zip" in told


def test_what_cannot_be_read_or_written_at_all_is_said_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(rows(["a"]))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc/hostname")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    cases: list[tuple[list[str | Path], str]] = [
        ([tmp_path / "none", "--dry-run"], "there is no such file or folder"),
        (["/dev/zero", "--dry-run"], "is neither a file nor a folder"),
        (["/proc/self/mem", "--dry-run"], "cannot be read"),
        ([tmp_path / "folder", "--dry-run"], "is a link that leads out of the folder"),
        ([file, "--output", file], "is no folder, and no file"),
        ([file, "--output", file / "x.ndjson"], "cannot be written"),
        ([file, "--report", tmp_path / "none" / "x", "--dry-run"], "cannot be written"),
        ([file, "--output", tmp_path / "o", "--database", url], "name one of them"),
        ([file, "--previous", file, "--database", url], "--previous needs --output"),
    ]
    for words, said in cases:
        assert said in run(*words, status=2).output
    assert not (tmp_path / "a.db").exists()
    unknown = CliRunner().invoke(main, ["import", "plane", str(file)])
    assert unknown.exit_code == 2
    assert "did you mean 'plain'" in unknown.output


def test_what_is_not_active_any_more_says_so_in_the_way_of_its_type() -> None:
    retired = {"coding": [{"system": "http://hl7.org/fhir/publication-status", "code": "retired"}]}
    cases: dict[str, tuple[str, Any]] = {
        "Medication": ("status", "inactive"),
        "MedicationKnowledge": ("status", "inactive"),
        "Organization": ("active", False),
        "PackagedProductDefinition": ("status", retired),
        "RegulatedAuthorization": ("status", retired),
        "ClinicalUseDefinition": ("status", retired),
        "DocumentReference": ("status", "superseded"),
        "Composition": ("status", "deprecated"),
        "ConceptMap": ("status", "retired"),
    }
    for kind, (name, value) in cases.items():
        made = inactive({"resourceType": kind, "id": "a", "code": {"text": "x"}})
        assert made == {"resourceType": kind, "id": "a", name: value, "code": {"text": "x"}}
        assert inactive(made) is made
    assert inactive({"resourceType": "Provenance", "id": "a"}) is None
    wrong = {"resourceType": "Medication", "id": "a", "status": "entered-in-error"}
    assert inactive(wrong) is wrong
