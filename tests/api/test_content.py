"""`apothecary.search` and `apothecary.read` answer as a server over the same folder does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apothecary import dumps, read, search
from apothecary.api import content as room
from apothecary.content.sync import sync
from apothecary.errors import BadRequest, ContentError, FhirError, NotAcceptable, NotFound, StartError
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, write_content

ROOT = Path(__file__).parent.parent.parent
CONTENT = ROOT / "resources"
MEDICATION = {"resourceType": "Medication", "id": "x", "code": {"text": "aspirin"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A server over the same folder."""
    settings = Settings(database=f"sqlite:///{tmp_path_factory.mktemp('api') / 'x.db'}", content=str(CONTENT))
    store = open_store(settings)
    sync(settings, store)
    yield InProcess(settings, store)
    store.close()


def comparable(body: bytes) -> Any:
    """An answer without what differs between two databases: when the content came, and the key of page links."""
    text = re.sub(rb'"lastUpdated":"[^"]+"', b'"lastUpdated":""', body)
    return json.loads(re.sub(rb'_page=[^"&]+', b"_page=", text))


SEARCHES = [
    "MedicationKnowledge?drug-name=klonopin",
    "MedicationKnowledge?indication=http://hl7.org/fhir/sid/icd-10-cm%7CF41.0&_elements=id",
    "MedicationKnowledge?_count=2&_sort=-_id&_total=accurate",
    "MedicationKnowledge?_summary=count",
    "MedicationKnowledge?_include=*&_count=1",
    "Medication?nonsense=1",
    "Medication",
    "/Medication?_id=none",
    "ClinicalUseDefinition?_id=none",
    "?_type=Medication,Organization",
    "Medication?code:nonsense=1",
    "Medication?_id=a&_pretty=true&_format=json",
    "Patient",
    "Medication?_page=nonsense",
    "Medication?_id=%ff",
    "Medication?_format=ttl",
    "Medication?_pretty=perhaps",
]


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
@pytest.mark.parametrize("query", SEARCHES)
def test_a_search_has_the_answer_of_the_server(server: InProcess, query: str, release: str) -> None:
    address = f"/fhir/{release.lower()}" + ("" if query.startswith(("/", "?")) else "/") + query
    answer = server.ask("GET", address)
    if answer.status == 200:
        assert comparable(dumps(search(query, CONTENT, release))) == comparable(answer.body)
        return
    with pytest.raises(FhirError) as refused:
        search(query, CONTENT, release)
    assert refused.value.status == answer.status
    assert operation_outcome(refused.value.issues)["issue"] == answer.json["issue"]
    assert str(refused.value) == answer.json["issue"][0]["details"]["text"]


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
def test_a_type_that_does_not_exist_is_refused_with_what_was_meant(server: InProcess, release: str) -> None:
    """As by the server, which names an address besides."""
    answer = server.ask("GET", f"/fhir/{release.lower()}/Medicatio?_id=a")
    with pytest.raises(FhirError) as refused:
        search("Medicatio?_id=a", CONTENT, release)
    assert refused.value.status == answer.status
    assert str(refused.value) == answer.json["issue"][0]["details"]["text"]
    assert "did you mean 'Medication'?" in str(refused.value)


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
@pytest.mark.parametrize(
    "reference", ["Medication/clonazepam", "Medication/none", "Patient/x", "Medication/a_b", "ClinicalUseDefinition/x"]
)
def test_a_read_has_the_answer_of_the_server(server: InProcess, reference: str, release: str) -> None:
    answer = server.ask("GET", f"/fhir/{release.lower()}/{reference}")
    if answer.status == 200:
        assert comparable(dumps(read(reference, CONTENT, release))) == comparable(answer.body)
        return
    with pytest.raises(FhirError) as refused:
        read(reference, CONTENT, release)
    assert (refused.value.status, operation_outcome(refused.value.issues)["issue"]) == (
        answer.status,
        answer.json["issue"],
    )


def test_digits_are_kept() -> None:
    text = dumps(read("MedicationKnowledge/klonopin-0-5-mg-tablet", CONTENT))
    written = (CONTENT / "MedicationKnowledge" / "klonopin-0-5-mg-tablet.json").read_text()
    assert sorted(re.findall(rb'"value":([0-9.]+)', text)) == sorted(
        found.encode() for found in re.findall(r'"value": ([0-9.]+)', written)
    )


def test_strict_refuses_what_is_not_understood() -> None:
    with pytest.raises(BadRequest, match="nonsense"):
        search("Medication?nonsense=1", CONTENT, strict=True)


def test_links_and_full_urls_can_be_asked_for_again() -> None:
    seen, query = [], "MedicationKnowledge?_count=1&drug-name=klonopin"
    found = search(query, CONTENT, "R4")
    while True:
        seen += [entry["fullUrl"] for entry in found["entry"]]
        following = [link["url"] for link in found["link"] if link["relation"] == "next"]
        if not following:
            break
        found = search(following[0], CONTENT)
    everything = search(query.replace("_count=1", "_count=100"), CONTENT, "R4")
    assert seen == [entry["fullUrl"] for entry in everything["entry"]]
    assert len(seen) > 2
    assert [read(url, CONTENT) for url in seen] == [entry["resource"] for entry in everything["entry"]]


def test_a_link_of_one_release_is_not_asked_for_in_another() -> None:
    with pytest.raises(BadRequest, match="release=R5 was asked for at the base of FHIR R4"):
        search("http://localhost/fhir/r4/Medication", CONTENT, "R5")


def test_the_release_of_format_counts_as_on_a_server() -> None:
    wanted = "Medication?_id=clonazepam&_format=application/fhir%2Bjson;fhirVersion%3D4.0"
    assert search(wanted, CONTENT) == search("Medication?_id=clonazepam", CONTENT, "R4")
    with pytest.raises(NotAcceptable):
        search(wanted, CONTENT, "R5")


def test_a_change_of_the_folder_is_seen_at_once(tmp_path: Path) -> None:
    write_content(tmp_path, [MEDICATION])
    assert read("Medication/x", tmp_path)["code"] == {"text": "aspirin"}
    write_content(tmp_path, [{**MEDICATION, "code": {"text": "codeine"}}])
    assert read("Medication/x", tmp_path)["code"] == {"text": "codeine"}
    (tmp_path / "Medication" / "x.json").unlink()
    with pytest.raises(FhirError, match="was deleted"):
        read("Medication/x", tmp_path)


def test_a_search_parameter_of_the_folder_works_as_soon_as_it_is_there(tmp_path: Path) -> None:
    write_content(tmp_path, [MEDICATION])
    with pytest.raises(BadRequest, match="label"):
        search("Medication?label=asp", tmp_path, strict=True)
    parameter = {
        "resourceType": "SearchParameter",
        "id": "label",
        "url": "https://example.org/SearchParameter/label",
        "name": "label",
        "status": "active",
        "description": "By the text of its code.",
        "code": "label",
        "base": ["Medication"],
        "type": "string",
        "expression": "Medication.code.text",
        "processingMode": "normal",
    }
    write_content(tmp_path, [parameter])
    assert search("Medication?label=asp", tmp_path, strict=True)["total"] == 1


def test_nothing_is_read_twice_while_the_folder_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_content(tmp_path, [MEDICATION])
    first = search("Medication", tmp_path)
    made: list[object] = []
    monkeypatch.setattr(room, "make_service", made.append)
    monkeypatch.setattr(room, "open_store", made.append)
    assert search("Medication", tmp_path) == first
    assert search("Medication", str(tmp_path) + os.sep) == first
    assert made == []


def test_an_empty_folder_is_an_empty_server(tmp_path: Path) -> None:
    assert search("Medication", tmp_path)["total"] == 0
    with pytest.raises(NotFound):
        read("Medication/x", tmp_path)


@pytest.mark.parametrize("content", ["", "none", __file__])
def test_a_folder_that_is_not_there_is_an_error(content: str) -> None:
    with pytest.raises(ContentError, match=r"no such folder|this is no folder"):
        search("Medication", content)


def test_a_file_that_could_not_be_served_is_an_error_with_its_place(tmp_path: Path) -> None:
    write_content(tmp_path, [{**MEDICATION, "status": "actve"}])
    for _ in range(2):
        with pytest.raises(ContentError, match=r"x\.json:1:\d+: Medication.status is 'actve'"):
            search("Medication", tmp_path)
    write_content(tmp_path, [MEDICATION])
    assert search("Medication", tmp_path)["total"] == 1


def test_other_types_are_served_where_they_are_asked_for(tmp_path: Path) -> None:
    write_content(tmp_path, [{"resourceType": "Patient", "id": "p", "active": True}])
    with pytest.raises(ContentError, match="Patient is not served"):
        search("Patient", tmp_path)
    assert search("Patient?active=true", tmp_path, resource_types="*")["total"] == 1
    assert read("Patient/p", tmp_path, resource_types="Patient")["active"] is True
    with pytest.raises(StartError, match="Pationt"):
        search("Patient", tmp_path, resource_types="Pationt")


def test_the_environment_of_a_server_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", "Organization")
    monkeypatch.setenv("APOTHECARY_NONSENSE", "1")
    write_content(tmp_path, [MEDICATION])
    assert search("Medication", tmp_path)["total"] == 1


def test_threads_may_ask_at_once(tmp_path: Path) -> None:
    write_content(tmp_path, [MEDICATION])
    with ThreadPoolExecutor(8) as pool:
        totals = list(pool.map(lambda _: search("Medication?_id=x", tmp_path)["total"], range(64)))
    assert totals == [1] * 64


def test_databases_of_many_folders_are_not_kept(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(room.KEPT + 2)]
    for folder in folders:
        write_content(folder, [MEDICATION])
        assert search("Medication", folder)["total"] == 1
    opened = room._folders._open
    assert len(opened) == room.KEPT
    assert search("Medication", folders[0])["total"] == 1
    shutil.rmtree(tmp_path)


FORKED = """
import os, sys, tempfile
from apothecary import search
assert search("Medication", "content")["total"] == 1
child = os.fork()
if child == 0:
    assert search("Medication", "content")["total"] == 1
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert search("Medication?_sort=_id", "content")["total"] == 1
"""


@pytest.mark.parametrize("program", [FORKED, FORKED.replace("    assert search", "    'nothing' or search")])
def test_a_forked_child_has_a_database_of_its_own_and_nothing_is_left_behind(program: str, tmp_path: Path) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    write_content(tmp_path / "content", [MEDICATION])
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(temporary.iterdir()) == []
