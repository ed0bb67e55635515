"""$bulk-publish: https://hl7.org/fhir/uv/bulkdata/4.0.0-202609-ballot/en/publish.html"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from apothecary.bulk.exports import Exports
from tests.bulk.exporting import Exporting, medication, organization
from tests.conformance.harness import problems
from tests.databases import session_database

WHERE = "/fhir/r5/$bulk-publish"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    with session_database(request, tmp_path_factory) as url, Exporting.over(url, publish_seconds=1) as one:
        yield one


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apothecary.rest.bulk.PATIENCE", 0.0)


def edition(server: Exporting, where: str = WHERE) -> dict[str, Any]:
    """The newest edition, after another was made where one is due."""
    server.make_older(2_000_000)
    server.ask("GET", where)
    assert server.worker.run()
    answer = server.ask("GET", where)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def urls(manifest: dict[str, Any], kind: str = "output") -> set[str]:
    return {one["url"] for one in manifest[kind]}


def test_the_first_edition_is_waited_for_and_the_next_is_not(server: Exporting) -> None:
    server.put(medication("m"))
    first = server.ask("GET", WHERE)
    assert (first.status, first.headers["retry-after"]) == (503, "5")
    manifest = edition(server)
    assert manifest["manifestType"].endswith("/BulkPublishManifest")
    assert manifest["updateCadence"] == "PT1S"
    assert [one["id"] for one in server.lines(manifest)] == ["m"]
    server.put(medication("n"))
    server.make_older(2_000_000)
    assert server.ask("GET", WHERE).json == manifest, "the one that there is, while another is made"
    assert server.worker.run()
    assert [one["id"] for one in server.lines(server.ask("GET", WHERE).json)] == ["m", "n"]


def test_who_waits_for_the_first_edition_keeps_nobody_from_a_turn(
    server: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.rest.bulk.PATIENCE", 60.0)
    waited: list[bool] = []
    aside = Exports.aside

    @contextmanager
    def looking(exports: Exports) -> Iterator[None]:
        with aside(exports):
            yield
        waited.append(server.worker.run())

    monkeypatch.setattr(Exports, "aside", looking)
    server.put(medication("m"))
    assert server.ask("GET", WHERE).status == 200
    assert waited


def test_files_are_called_by_what_they_hold_and_stay_what_they_are(
    server: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.bulk.portions.EDGE", 4)
    server.put(*(medication(f"m{number:02}") for number in range(40)), organization("o"))
    first = edition(server)
    assert len(first["output"]) > 5
    for one in first["output"]:
        answer = server.ask("GET", one["url"])
        digest = hashlib.sha256(answer.body).hexdigest()
        assert one["url"].endswith(f"/{digest}.ndjson")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert server.ask("GET", one["url"], {"If-None-Match": answer.headers["etag"]}).status == 304
    assert edition(server) == first, "nothing changed"
    server.put(medication("m17", status="inactive"))
    second = edition(server)
    assert len(urls(second) - urls(first)) == len(urls(first) - urls(second)) == 1
    assert second["transactionTime"] > first["transactionTime"]
    for url in urls(first):
        assert server.ask("GET", url).status == 200, "who read the manifest before gets its files"
    kept = server.pieces()
    server.age(4_000_000_000)
    server.worker.forget()
    assert server.pieces() == kept - 1
    assert [server.ask("GET", url).status for url in urls(first) - urls(second)] == [404]
    assert {server.ask("GET", url).status for url in urls(second)} == {200}


def test_the_manifest_has_a_tag_and_names_what_was_deleted(server: Exporting) -> None:
    server.put(medication("m"), medication("gone"))
    edition(server)
    tag = server.ask("GET", WHERE).headers["etag"]
    assert server.ask("GET", WHERE, {"If-None-Match": tag}).status == 304
    server.delete("Medication/gone")
    manifest = edition(server)
    assert server.ask("GET", WHERE, {"If-None-Match": tag}).status == 200
    assert [one["id"] for one in server.lines(manifest)] == ["m"]
    (bundle,) = server.lines(manifest, "deleted")
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Medication/gone"}}]


def test_each_release_has_editions_of_its_own(server: Exporting) -> None:
    server.put({"resourceType": "ClinicalUseDefinition", "id": "c", "type": "indication"})
    assert [one["type"] for one in edition(server)["output"]] == ["ClinicalUseDefinition"]
    r4 = edition(server, "/fhir/r4/$bulk-publish")
    assert [one["type"] for one in r4["output"]] == ["Basic"]
    (file,) = urls(r4)
    assert server.ask("GET", file.replace("/r4/", "/r5/")).status == 404


def test_an_edition_that_there_is_no_room_for_says_so(sqlite_database_url: str) -> None:
    with Exporting.over(sqlite_database_url, publish_seconds=100, export_bytes=-1) as server:
        server.put(medication("m"))
        assert server.ask("GET", WHERE).status == 503
        assert server.worker.run()
        for _ in range(2):
            answer = server.ask("GET", WHERE)
            assert answer.status == 507
            assert "APOTHECARY_EXPORT_BYTES" in problems(answer)[0]["details"]["text"]
        assert len(server.bulk.jobs()) == 1, "it is not tried at each request"
