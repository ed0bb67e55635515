"""What was changed past the content is seen, named, and brought back into its files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from apothecary.cli import main
from apothecary.content.definitions import serving
from apothecary.content.drift import after_sync
from apothecary.content.files import read_folder
from apothecary.content.sync import Report, sync
from apothecary.content.xml_write import resource_xml
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import ROOT, InProcess, write_content
from tests.defined import COLOUR
from tests.waiting import until

DIV = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p title='x'>a &amp; b&#160;&quot;c&quot;<br/></p></div>"


def medication(identity: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, **elements}


class Place:
    """A content folder, a database, and a server that writes into it."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.url = database_url
        self.settings = Settings(database=database_url, content=str(folder))
        folder.mkdir()
        self.store = open_store(self.settings)
        self.server = InProcess(self.settings, self.store)

    def write(self, *resources: dict[str, Any]) -> None:
        write_content(self.folder, list(resources))

    def path(self, name: str) -> Path:
        return self.folder / "Medication" / name

    def sync(self) -> Report:
        return sync(self.settings, self.store)

    def send(self, method: str, path: str, body: str | dict[str, Any] | None = None, release: str = "r5") -> int:
        text = json.dumps(body) if isinstance(body, dict) else body
        kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
        return self.server.ask(method, f"/fhir/{release}/{path}", {"Content-Type": kind}, text).status

    def run(self, *arguments: str) -> Result:
        where = ("--content", str(self.folder), "--database", self.url)
        result = CliRunner().invoke(main, ["content", *arguments, *where])
        assert "Traceback" not in result.output
        return result

    def drift(self) -> dict[str, str]:
        """The kinds of what differs, by resource; text and JSON say the same."""
        result = self.run("status", "--format", "json")
        found = {one["resource"]: one["kind"] for one in json.loads(result.stdout)["drift"]}
        text = self.run("status")
        assert [line.partition(":")[0] for line in text.stdout.splitlines()] == list(found)
        assert result.exit_code == text.exit_code == (1 if found else 0)
        return found

    def clean(self) -> None:
        """Nothing differs, and the next start writes nothing."""
        assert self.drift() == {}
        versions = self.versions()
        report = self.sync()
        assert report == Report(unchanged=report.unchanged)
        assert self.versions() == versions
        assert self.drift() == {}

    def versions(self) -> dict[str, tuple[int, bytes | None]]:
        kinds = self.store.types()
        return {
            f"{one.type}/{one.id}": (one.version, one.body) for kind in kinds for one in self.store.all_of_type(kind)
        }


@pytest.fixture
def place(tmp_path: Path, emptied_url: str) -> Iterator[Place]:
    made = Place(tmp_path / "content", emptied_url)
    yield made
    made.store.close()


@pytest.fixture
def apart(place: Place) -> Place:
    """Every way in which a database and its files come apart."""
    names = ("same", "changed", "deleted", "tagged", "both", "gone", "edited", "removed", "back", "agreed", "spaced")
    place.write(*(medication(name, status="active") for name in names))
    assert place.sync() == Report(created=len(names))
    for name in ("changed", "both", "gone", "back", "agreed"):
        assert place.send("PUT", f"Medication/{name}", medication(name, status="inactive")) == 200
    assert place.send("PUT", "Medication/back", medication("back", status="active")) == 200
    assert place.send("DELETE", "Medication/deleted") == 204
    assert place.send("PUT", "Medication/made", medication("made", status="active")) == 201
    tag = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}]}
    assert place.send("POST", "Medication/tagged/$meta-add", tag) == 200
    place.write(
        medication("both", status="entered-in-error"),
        medication("edited", status="inactive"),
        medication("agreed", status="inactive"),
        medication("new", status="active"),
    )
    place.path("gone.json").unlink()
    place.path("removed.json").unlink()
    place.path("spaced.json").write_text(json.dumps(medication("spaced", status="active"), indent=4))
    return place


APART = {
    "Medication/both": "conflict",
    "Medication/changed": "changed",
    "Medication/deleted": "deleted",
    "Medication/edited": "unsynced",
    "Medication/gone": "conflict",
    "Medication/made": "created",
    "Medication/new": "unsynced",
    "Medication/removed": "unsynced",
    "Medication/tagged": "changed",
}


def test_each_way_of_coming_apart_is_told(apart: Place) -> None:
    assert apart.drift() == APART
    lines = {line.partition(":")[0]: line for line in apart.run("status").stdout.splitlines()}
    assert "changed over REST in version 2 of 20" in lines["Medication/changed"]
    assert "after version 1; the file is" in lines["Medication/changed"]
    assert "and its file is edited" in lines["Medication/both"]
    assert "and its file is removed" in lines["Medication/gone"]
    assert "no file holds it" in lines["Medication/made"]
    assert "its file is new and not served yet" in lines["Medication/new"]


def test_what_was_loaded_is_no_drift(place: Place, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.ndjson"
    catalogue.write_text("\n".join(json.dumps(medication(f"c{number}")) for number in range(3)))
    assert CliRunner().invoke(main, ["load", str(catalogue), "--database", place.url]).exit_code == 0
    assert place.drift() == {}
    assert place.send("PUT", "Medication/c1", medication("c1", status="active")) == 200
    assert place.drift() == {"Medication/c1": "created"}
    history = place.server.ask("GET", "/fhir/r5/Medication/c0/_history").json
    assert history["entry"][0]["request"]["method"] == "PUT"
    assert history["entry"][0]["response"]["status"] == "201 Created"


def test_a_sync_leaves_alone_what_its_file_says_nothing_new_of_and_names_what_it_overrules(apart: Place) -> None:
    report = apart.sync()
    assert report.overruled != ()
    assert [sentence.split()[0] for sentence in report.overruled] == ["Medication/both", "Medication/gone"]
    assert all("version 2" in sentence and "history" in sentence for sentence in report.overruled)
    assert apart.drift() == {
        "Medication/changed": "changed",
        "Medication/deleted": "deleted",
        "Medication/made": "created",
        "Medication/tagged": "changed",
    }
    # What gave way can still be read.
    assert apart.server.ask("GET", "/fhir/r5/Medication/both/_history/2").json["status"] == "inactive"
    sentence = after_sync(apart.store, apart.folder)
    assert sentence is not None
    assert "2 changed, 1 deleted, 1 created" in sentence
    assert apart.sync().overruled == ()


def test_a_start_says_how_many_differ_and_what_names_them(place: Place) -> None:
    place.write(medication("m", status="active"))
    place.sync()
    assert place.send("PUT", "Medication/m", medication("m", status="inactive")) == 200
    command = [sys.executable, "-m", "apothecary", "serve", "--port", str(free_port())]
    settings = {"APOTHECARY_DATABASE": place.url, "APOTHECARY_CONTENT": str(place.folder)}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "server"), **settings}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "differ" in line or "serving" in line)
        process.terminate()
    assert said == (
        "warning: over REST the database came to differ from the content (1 changed): "
        "apothecary content status names them\n"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_pull_refuses_what_both_changed_and_then_writes_nothing(apart: Place) -> None:
    before = {path: path.read_bytes() for path in apart.folder.rglob("*.json")}
    result = apart.run("pull")
    assert result.exit_code == 1
    assert "Medication/both" in result.stderr
    assert "Medication/gone" in result.stderr
    assert {path: path.read_bytes() for path in apart.folder.rglob("*.json")} == before
    assert apart.run("pull", "--theirs", "--ours").exit_code == 2


def test_after_a_pull_nothing_differs_and_the_next_start_writes_nothing(apart: Place) -> None:
    dry = apart.run("pull", "--theirs", "--dry-run")
    assert dry.exit_code == 0
    assert apart.drift() == APART
    result = apart.run("pull", "--theirs")
    assert result.exit_code == 0, result.output
    assert dry.stdout.replace("would be ", "") == result.stdout
    assert not apart.path("deleted.json").exists()
    assert parse(apart.path("changed.json").read_bytes()) == medication("changed", status="inactive")
    assert parse(apart.path("tagged.json").read_bytes())["meta"] == {"tag": [{"code": "t"}]}
    assert parse(apart.path("gone.json").read_bytes())["status"] == "inactive"
    assert apart.drift() == {name: kind for name, kind in APART.items() if kind == "unsynced"}
    # Three files were edited by hand; nothing else becomes a version.
    report = apart.sync()
    assert (report.created, report.updated, report.deleted) == (1, 1, 1)
    assert report.overruled == ()
    apart.clean()


def test_ours_keeps_the_files_and_the_next_start_serves_them(apart: Place) -> None:
    result = apart.run("pull", "--ours")
    assert result.exit_code == 0
    assert "the file stays as it is" in result.stderr
    assert parse(apart.path("both.json").read_bytes())["status"] == "entered-in-error"
    assert apart.drift()["Medication/both"] == "conflict"
    apart.sync()
    apart.clean()


def test_only_what_is_named_is_pulled(apart: Place) -> None:
    assert apart.run("pull", "Medication/changed", "Medication/same").exit_code == 0
    assert apart.drift() == {key: kind for key, kind in APART.items() if key != "Medication/changed"}
    assert "neither the database nor the folder" in apart.run("pull", "Medication/nowhere").stderr
    for bad in ("Medication", "Medication/", "/x", "a/b/c"):
        result = apart.run("pull", bad)
        assert (result.exit_code, "TYPE/ID" in result.stderr) == (2, True)


JSON_FILE = """{
    "resourceType": "Medication",
    "status": "active",
    "id": "x",
    "extension": [{"url": "http://ex.org/unknown", "valueDecimal": 0.50}],
    "code": {"text": "A"}
}
"""


def test_a_json_file_keeps_its_indentation_and_the_order_of_its_elements(place: Place) -> None:
    path = place.folder / "Medication" / "sub" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(JSON_FILE)
    place.sync()
    new = JSON_FILE.replace('"text": "A"', '"text": "B"').replace("0.50", "0.500")
    reordered = json.dumps(dict(reversed(json.loads(new).items()))).replace("0.5", "0.500")
    assert place.send("PUT", "Medication/x", reordered) == 200
    assert place.run("pull").exit_code == 0
    pulled = path.read_text()
    assert json.loads(pulled) == json.loads(new)
    assert list(json.loads(pulled)) == list(json.loads(new))
    assert "0.500" in pulled
    assert '\n    "status"' in pulled
    place.clean()


FULL: dict[str, Any] = medication(
    "x",
    text={"status": "generated", "div": DIV},
    extension=[{"url": "http://ex.org/unknown", "valueDecimal": 1}],
    status="active",
    _status={"id": "s", "extension": [{"url": "http://ex.org/why", "valueString": "line\nbreak: 'no' #1"}]},
    code={"text": "yes", "coding": [{"code": "007", "display": "2026-01-01"}]},
    totalVolume={"value": 1},
)


@pytest.mark.parametrize("suffix", ["yaml", "yml", "xml", "json"])
def test_a_file_keeps_its_format_digits_and_unknown_extensions(place: Place, suffix: str) -> None:
    place.path("x").parent.mkdir(parents=True)
    path = place.path(f"x.{suffix}")
    simple = medication("x", status="active")
    text = {
        "xml": lambda: resource_xml(simple, definitions(FhirVersion.R5)),
        "json": lambda: json.dumps(simple),
    }.get(suffix, lambda: yaml.safe_dump(simple))()
    path.write_text(text)
    path.chmod(0o640)
    place.sync()
    change = json.dumps(FULL).replace('"valueDecimal": 1', '"valueDecimal": 0.50').replace('"value": 1', '"value": 1E3')
    assert place.send("PUT", "Medication/x", change) == 200
    result = place.run("pull")
    assert (result.exit_code, result.stderr) == (0, "1 written\n")
    assert [one.path for one in read_folder(place.folder)] == [path]
    assert path.stat().st_mode & 0o777 == 0o640
    pulled = path.read_text()
    assert "0.50" in pulled
    assert "1E3" in pulled
    assert "lastUpdated" not in pulled
    place.clean()


def test_comments_that_cannot_be_kept_are_named(place: Place) -> None:
    place.path("x").parent.mkdir(parents=True)
    place.path("x.yaml").write_text("# why\nresourceType: Medication\nid: x\nstatus: active\n")
    place.sync()
    place.send("PUT", "Medication/x", medication("x", status="inactive"))
    assert "comments" in place.run("pull").stderr
    place.clean()


def test_a_resource_written_in_r4_becomes_a_file_of_r5(place: Place) -> None:
    place.write(medication("x", status="active"))
    place.sync()
    r4 = medication("x", status="active", form={"text": "tablet"})
    assert place.send("PUT", "Medication/x", r4, "r4") == 200
    assert place.drift() == {"Medication/x": "changed"}
    assert place.run("pull").exit_code == 0
    assert parse(place.path("x.json").read_bytes())["doseForm"] == {"text": "tablet"}
    place.clean()
    assert place.server.ask("GET", "/fhir/r4/Medication/x").json["form"] == {"text": "tablet"}


def test_what_cannot_be_a_file_is_refused_by_name_and_the_rest_is_pulled(place: Place, tmp_path: Path) -> None:
    place.write(medication("linked", status="active"), medication("fine", status="active"))
    place.sync()
    outside = tmp_path / "outside.json"
    place.path("linked.json").rename(outside)
    place.path("linked.json").symlink_to(outside)
    before = outside.read_bytes()
    for name in ("linked", "fine", ".hidden", "..", "taken"):
        assert place.send("PUT", f"Medication/{name}", medication(name, status="inactive")) in (200, 201)
    place.path("taken.json").mkdir()
    refused = place.run("pull")
    assert refused.exit_code == 2
    assert "linked.json: is a link that leads out of the folder" in refused.stderr
    assert outside.read_bytes() == before
    outside.replace(place.path("linked.json"))
    result = place.run("pull")
    assert result.exit_code == 1
    assert "Medication/.hidden: its id begins with a dot" in result.stderr
    assert "Medication/..: its id begins with a dot" in result.stderr
    assert "Medication/taken" in result.stderr
    assert parse(place.path("linked.json").read_bytes())["status"] == "inactive"
    assert parse(place.path("fine.json").read_bytes())["status"] == "inactive"


def test_what_no_server_would_take_as_a_file_is_refused(place: Place, tmp_path: Path) -> None:
    place.write(medication("x", status="active"))
    place.sync()
    invalid = tmp_path / "invalid.json"
    invalid.write_text(json.dumps(medication("x", status="no such status")))
    loaded = CliRunner().invoke(main, ["load", "--no-validate", str(invalid), "--database", place.url])
    assert loaded.exit_code == 0
    result = place.run("pull")
    assert result.exit_code == 1
    assert "Medication/x: it is not valid" in result.stderr
    assert place.sync() == Report(unchanged=1)


def test_a_type_that_is_not_served_is_not_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.send("PUT", "Organization/o", {"resourceType": "Organization", "id": "o", "name": "O"}) == 201
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", "Medication")
    result = place.run("pull")
    assert result.exit_code == 1
    assert "Organization is not served" in result.stderr
    assert not (place.folder / "Organization").exists()


def test_a_pull_interrupted_leaves_no_half_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(medication("x", status="active"))
    place.sync()
    place.send("PUT", "Medication/x", medication("x", status="inactive"))
    before = place.path("x.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = place.run("pull")
    assert result.exit_code == 2
    assert "cannot be written: No space left on device" in result.stderr
    assert place.path("x.json").read_bytes() == before
    assert [path.name for path in place.path("").iterdir()] == ["x.json"]


def test_without_a_folder_there_is_nothing_to_compare(place: Place) -> None:
    for folder, said in (("", "name a content folder"), ("/no/such/folder", "there is no such folder")):
        result = CliRunner().invoke(main, ["content", "status", "--content", folder, "--database", place.url])
        assert result.exit_code == 2
        assert said in result.stderr


def test_a_search_parameter_changed_over_rest_is_indexed_by_the_server_that_follows(place: Place) -> None:
    place.write(COLOUR, medication("m", code={"coding": [{"code": "red"}]}))
    place.sync()
    assert place.sync().reindexed == 0
    assert place.send("PUT", "SearchParameter/colour", COLOUR | {"expression": "Medication.code"}) == 200
    assert place.sync().reindexed == 0
    live = InProcess(place.settings, place.store)
    assert until(lambda: not serving(place.settings, place.store).incomplete)
    assert live.ask("GET", "/fhir/r5/Medication?colour=red").ids == ["m"]
    assert place.run("pull").exit_code == 0
    place.clean()
    assert CliRunner().invoke(main, ["check", "--database", place.url]).exit_code == 0


def test_a_database_of_before_remembers_from_its_next_start_on(place: Place) -> None:
    place.write(*(medication(name, status="active") for name in ("same", "changed", "edited")))
    place.sync()
    from sqlalchemy import create_engine, text

    place.send("PUT", "Medication/changed", medication("changed", status="inactive"))
    engine = create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM state WHERE name = 'content versions'"))
    engine.dispose()
    assert place.drift() == {"Medication/changed": "changed"}
    assert place.sync() == Report(unchanged=3)
    place.write(medication("edited", status="inactive"))
    assert place.drift() == {"Medication/changed": "changed", "Medication/edited": "unsynced"}
    assert place.sync() == Report(unchanged=2, updated=1)


def test_an_export_as_files_is_a_content_folder_whatever_release_was_written(place: Place, tmp_path: Path) -> None:
    r4 = {"resourceType": "Medication", "id": "x", "form": {"text": "tablet"}}
    assert place.send("PUT", "Medication/x", r4, "r4") == 201
    out = tmp_path / "out"
    command = ["export", "--files", "--output", str(out), "--database", place.url]
    assert CliRunner().invoke(main, command).exit_code == 0
    (file,) = read_folder(out)
    assert file.value["doseForm"] == {"text": "tablet"}
