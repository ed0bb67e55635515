"""`apothecary publish`: static files that are what the server gives, and change only where it does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from click.testing import CliRunner

from apothecary.bulk.files import Tree
from apothecary.cli import main
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.bulk.exporting import Exporting, medication, organization

BASE = "https://drugs.example/fhir"


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    with Exporting.over(f"sqlite:///{tmp_path_factory.mktemp('site')}/x.db") as one:
        yield one


@pytest.fixture
def server(kept_server: Exporting, monkeypatch: pytest.MonkeyPatch) -> Exporting:
    monkeypatch.setattr("apothecary.bulk.portions.EDGE", 4)
    kept_server.empty()
    kept_server.put(*(medication(f"m{number:02}") for number in range(20)), medication("gone"), organization("o"))
    kept_server.put({"resourceType": "ClinicalUseDefinition", "id": "c", "type": "indication"})
    kept_server.delete("Medication/gone")
    return kept_server


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


def publish(server: Exporting, folder: Path, *more: str, status: int = 0) -> str:
    options = ["publish", str(folder), "--base-url", BASE, "--database", server.settings.database, *more]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == status, result.output
    return result.output


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What each file holds, and when it was written."""
    every = (path for path in folder.rglob("*") if path.is_file() and path.name != ".published")
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in every}


def at(folder: Path, url: str) -> Any:
    """What a web host gives at an address: the index of a folder, else the file."""
    place = folder / url.removeprefix(f"{BASE}/")
    return json.loads((place / "index.json" if place.is_dir() else place).read_bytes())


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "$bulk-publish").read_bytes())
    return found


def named(told: dict[str, Any]) -> list[str]:
    return [one["url"] for kind in ("output", "deleted", "outcome") for one in told[kind]]


@pytest.mark.parametrize("version", FhirVersion)
def test_a_site_holds_what_the_server_gives(server: Exporting, out: Path, version: FhirVersion) -> None:
    publish(server, out, "--fhir-version", version.value)
    statement = at(out, f"{BASE}/metadata")
    assert not [one for one in validate(parse((out / "metadata").read_bytes()), version) if one.rank < 2]
    types = [one["type"] for one in statement["rest"][0]["resource"]]
    assert types == [
        *(["Basic"] if version is FhirVersion.R4 else ["ClinicalUseDefinition"]),
        "Medication",
        "Organization",
    ]
    listed: dict[str, Any] = {}
    for kind in types:
        url: str | None = f"{BASE}/{kind}"
        while url:
            page = at(out, url)
            assert not [one for one in validate(page, version) if one.rank < 2]
            links = {one["relation"]: one["url"] for one in page["link"]}
            assert links["self"] == url
            listed |= {one["fullUrl"].removeprefix(f"{BASE}/"): one["resource"] for one in page["entry"]}
            url = links.get("next")
    assert len(listed) == 22
    for key, one in listed.items():
        assert one == at(out, f"{BASE}/{key}")
        assert one == server.ask("GET", f"/fhir/{version.segment}/{key}").json
    lines = []
    for one in manifest(out)["output"]:
        raw = (out / one["url"].removeprefix(f"{BASE}/")).read_bytes()
        assert one["url"].endswith(f"/{hashlib.sha256(raw).hexdigest()}.ndjson")
        assert one["fileSize"] == len(raw)
        lines += [json.loads(line) for line in raw.splitlines()]
    assert {f"{one['resourceType']}/{one['id']}": one for one in lines} == listed
    (deleted,) = manifest(out)["deleted"]
    assert at(out, deleted["url"])["entry"][0]["request"]["url"] == "Medication/gone"


def test_a_second_run_changes_only_what_changed(server: Exporting, out: Path) -> None:
    publish(server, out)
    first = files(out)
    assert "0 files written" in publish(server, out)
    assert files(out) == first
    server.put(medication("m07", status="inactive"))
    before = manifest(out)
    publish(server, out)
    second = files(out)
    changed = {path for path in second if second[path] != first.get(path)}
    assert {"$bulk-publish", "metadata", "Medication/m07"} < changed
    assert len(changed) == 5, "and one file, and one page"
    assert first.keys() < second.keys(), "what the manifest before named is still there"
    server.delete("Medication/m07")
    publish(server, out)
    third = files(out)
    assert "Medication/m07" not in third
    kept = {*named(manifest(out)), *named(json.loads(second["$bulk-publish"][0]))}
    gone = {url.removeprefix(f"{BASE}/") for url in set(named(before)) - kept}
    assert gone
    assert not gone & third.keys()


def test_at_no_time_a_manifest_names_what_is_not_there(
    server: Exporting, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, out)
    seen = []

    def look(*_: object) -> None:
        urls = named(manifest(out))
        assert all((out / url.removeprefix(f"{BASE}/")).exists() for url in urls)
        page: str | None = f"{BASE}/Medication"
        while page:
            page = next((one["url"] for one in at(out, page)["link"] if one["relation"] == "next"), None)
        seen.append(urls)

    settle, keep = Tree.settle, Tree.keep
    monkeypatch.setattr(Tree, "settle", lambda self, path: (settle(self, path), look()))
    monkeypatch.setattr(Tree, "keep", lambda self, folder, names: (keep(self, folder, names), look()))
    for number in range(3):
        server.put(*(medication(f"m{one:02}", status="inactive") for one in range(number, 20, 7)))
        server.put(medication(f"new{number}"))
        server.delete(f"Medication/m{number:02}")
        publish(server, out)
    assert len(seen) > 100


@pytest.mark.parametrize("after", [1, 5, 30])
def test_a_run_that_was_broken_off_is_made_good_by_the_next(
    server: Exporting, out: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    settle, left = Tree.settle, [after]

    def dying(self: Tree, path: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        settle(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "settle", dying)
        assert "No space left" in publish(server, out / "site", status=2)
    publish(server, out / "site")
    publish(server, out / "other")
    contents = [{path: data for path, (data, _) in files(out / name).items()} for name in ("site", "other")]
    assert contents[0] == contents[1]


def test_a_folder_of_somebody_elses_is_left_alone(server: Exporting, out: Path) -> None:
    (out / "thesis.txt").write_text("mine")
    assert "other files" in publish(server, out, status=2)
    assert files(out).keys() == {"thesis.txt"}


def test_an_id_that_a_page_is_called_by_is_said(server: Exporting, out: Path) -> None:
    server.put(medication("index.json"))
    assert "Medication/index.json is left out" in publish(server, out)
    assert at(out, f"{BASE}/Medication")["resourceType"] == "Bundle"
    assert manifest(out)["outcome"]


def test_links_need_an_address(server: Exporting, out: Path) -> None:
    result = CliRunner().invoke(main, ["publish", str(out), "--database", server.settings.database])
    assert result.exit_code == 2
    assert "--base-url" in result.output


def test_pages_stand_beside_the_files_and_lead_to_files_alone(server: Exporting, out: Path) -> None:
    publish(server, out, "--pages")
    before = files(out)
    written = [name for name in before if name.startswith("pages/")]
    assert {"pages/index.html", "pages/Medication/index.html", "pages/Medication/m07.html"} <= set(written)
    assert "pages/Medication/gone.html" not in written
    for name in written:
        if not name.endswith(".html"):
            continue
        text = before[name][0].decode()
        assert text.startswith("<!doctype html>")
        assert "<form" not in text
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if link.startswith(("http", "#", "data:")):
                continue
            place = urljoin(f"{BASE}/{name}", link).removeprefix(f"{BASE}/").partition("#")[0]
            place = place.replace("%24", "$") + ("index.html" if place.endswith("/") else "")
            assert place in before, (name, link)
    publish(server, out, "--pages")
    assert files(out) == before
    server.delete("Medication/m07")
    publish(server, out, "--pages")
    assert "pages/Medication/m07.html" not in files(out)
