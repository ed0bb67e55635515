"""$export over HTTP: what is asked for, what is told, what the files hold. https://hl7.org/fhir/uv/bulkdata/"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apothecary.bulk.worker import Worker
from apothecary.fhir.json import dumps
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.bulk.exporting import Exporting, medication, organization
from tests.conformance.harness import InProcess, problems

BASES = ("/fhir/r4", "/fhir/r4b", "/fhir/r5")


def test_an_export_holds_what_reads_give_in_each_release(server: Exporting) -> None:
    server.put(organization("o"), medication("m"), medication("gone"), base="/fhir/r5")
    server.put({"resourceType": "ClinicalUseDefinition", "id": "c", "type": "indication", "status": {"text": "x"}})
    server.put({"resourceType": "Basic", "id": "b", "code": {"text": "own"}})
    server.put(organization("r4", address=[{"city": "Basel"}]), base="/fhir/r4")
    server.delete("Medication/gone")
    for base in BASES:
        manifest = server.export(base)
        lines = server.lines(manifest)
        assert {f"{one['resourceType']}/{one['id']}" for one in lines} == {
            *("Organization/o", "Organization/r4", "Medication/m", "Basic/b"),
            "Basic/c" if base == "/fhir/r4" else "ClinicalUseDefinition/c",
        }
        for one in lines:
            assert one == server.ask("GET", f"{base}/{one['resourceType']}/{one['id']}").json
        assert manifest["deleted"] == manifest["error"] == []
        assert manifest["requiresAccessToken"] is False
        assert manifest["request"] == f"http://localhost{base}/$export"


def test_files_are_ndjson_of_one_type_and_one_member_of_gzip(server: Exporting) -> None:
    server.put(*(medication(f"m{number}") for number in range(30)))
    server.settings_of_worker(export_file_bytes=1000)
    manifest = server.export("/fhir/r5", "_type=Medication")
    assert sum(one["count"] for one in manifest["output"]) == 30
    for one in manifest["output"]:
        plain = server.ask("GET", one["url"])
        assert plain.headers["content-type"] == "application/fhir+ndjson"
        assert len(plain.body) == one["fileSize"] == int(plain.headers["content-length"])
        assert plain.body.endswith(b"\n")
        assert plain.body.count(b"\n") == one["count"]
        packed = server.ask("GET", one["url"], {"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert len(packed.body) == int(packed.headers["content-length"])
        assert gzip.decompress(packed.body) == plain.body
        once = zlib.decompressobj(31)
        assert once.decompress(packed.body) == plain.body, "a client that reads one member reads all"
        assert not once.unused_data
        head = server.ask("HEAD", one["url"])
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(one["fileSize"]))


def test_a_type_has_as_many_files_as_its_size_asks_for(server: Exporting) -> None:
    """Also where a file is to be smaller than what is done at once."""
    server.put(*(medication(f"m{number:02}") for number in range(30)))
    server.settings_of_worker(export_file_bytes=1000)
    manifest = server.export("/fhir/r5", "_type=Medication")
    sizes = [one["fileSize"] for one in manifest["output"]]
    assert len(sizes) > 3
    assert all(1000 <= one < 2000 for one in sizes[:-1])
    assert [one["id"] for one in server.lines(manifest)] == [f"m{number:02}" for number in range(30)]


REFUSED = {
    "unknown=x": "unknown",
    "_type=Nonsense": "_type",
    "_type=Patient": "_type",
    "_outputFormat=application/fhir%2Bparquet": "_outputFormat",
    "_elements=nonsense": "_elements",
    "_elements=Patient.name": "_elements",
    "_elements=Medication.nonsense": "_elements",
    "_typeFilter=Medication?_sort=code": "_typeFilter",
    "_typeFilter=Medication?_include=Medication:x": "_typeFilter",
    "_typeFilter=Medication?nonsense=1": "nonsense",
    "_typeFilter=Medication": "_typeFilter",
    "_typeFilter=Nonsense?code=x": "",
    "_type=Organization&_typeFilter=Medication?code=x": "_typeFilter",
    "includeAssociatedData=LatestProvenanceResources": "includeAssociatedData",
    "organizeOutputBy=Medication": "organizeOutputBy",
    "patient=Patient/x": "patient",
}


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    with Exporting.over(f"sqlite:///{tmp_path_factory.mktemp('bulk')}/b.db", export_jobs=1000) as one:
        one.put(medication("m", doseForm={"text": "tablet"}), organization("o"))
        yield one


@pytest.mark.parametrize("query", REFUSED)
def test_what_cannot_be_done_is_refused_or_left_out_and_said(one_server: Exporting, query: str) -> None:
    refused = one_server.ask("GET", f"/fhir/r5/$export?{query}", {"Prefer": "respond-async"})
    assert refused.status in (400, 404)
    assert REFUSED[query] in problems(refused)[0].get("expression", [""])
    manifest = one_server.export("/fhir/r5", query, prefer="respond-async, handling=lenient")
    (told,) = one_server.lines(manifest, "error")
    assert told["resourceType"] == "OperationOutcome"
    assert told["issue"][0]["severity"] == "warning"
    assert told["issue"][0]["details"]["text"] == problems(refused)[0]["details"]["text"]


@pytest.mark.parametrize(
    "query",
    [
        *("_since=yesterday", "_since=2026", "_until=2026-01-01T00:00:00", "allowPartialManifests=yes"),
        *("_since=2026-01-01T00:00:00Z&_since=2026-01-01T00:00:00Z", "_outputFormat=ndjson&_outputFormat=ndjson"),
    ],
)
def test_values_that_mean_nothing_are_refused_however_lenient(one_server: Exporting, query: str) -> None:
    answer = one_server.ask("GET", f"/fhir/r5/$export?{query}", {"Prefer": "respond-async, handling=lenient"})
    assert answer.status == 400
    problems(answer)


@pytest.mark.parametrize(
    "text", ["application/fhir+ndjson", "application/fhir%2Bndjson", "application/ndjson", "ndjson"]
)
def test_each_name_of_the_format_is_taken(one_server: Exporting, text: str) -> None:
    assert one_server.export("/fhir/r5", f"_outputFormat={text}")["output"]


def test_it_has_to_be_asked_for_asynchronously(one_server: Exporting) -> None:
    for headers in ({}, {"Prefer": "handling=lenient"}, {"Prefer": "respond-asynchronously"}):
        answer = one_server.ask("GET", "/fhir/r5/$export", headers)
        assert answer.status == 400
        assert "respond-async" in problems(answer)[0]["diagnostics"]


@pytest.mark.parametrize("path", ["/Patient/$export", "/Patient/p/$export", "/Group/g/$export"])
def test_exports_of_patients_say_why_there_are_none(one_server: Exporting, path: str) -> None:
    answer = one_server.ask("GET", f"/fhir/r4{path}", {"Prefer": "respond-async"})
    assert answer.status == 404
    assert problems(answer)[0]["code"] == "not-supported"
    assert "patient" in problems(answer)[0]["details"]["text"]


def test_parameters_are_taken_from_a_body_too(one_server: Exporting) -> None:
    given = [
        {"name": "_type", "valueString": "Medication"},
        {"name": "_type", "valueString": "Organization"},
        {"name": "_elements", "valueString": "Medication.status"},
        {"name": "_until", "valueInstant": "2999-01-01T00:00:00Z"},
        {"name": "allowPartialManifests", "valueBoolean": False},
    ]
    posted = one_server.export("/fhir/r5", parameters=given)
    asked = one_server.export("/fhir/r5", "_type=Medication,Organization&_elements=Medication.status")
    assert one_server.lines(posted) == one_server.lines(asked) != []
    for wrong in ([{"name": "_type"}], [{"valueString": "x"}], [{"name": "_type", "valueDecimal": 1}], "x"):
        body = dumps({"resourceType": "Parameters", "parameter": wrong}).decode()
        headers = {"Prefer": "respond-async", "Content-Type": "application/fhir+json"}
        assert one_server.ask("POST", "/fhir/r5/$export", headers, body).status == 400
    assert one_server.ask("POST", "/fhir/r5/$export", headers, '{"resourceType":"Bundle"}').status == 400


def test_elements_are_marked_and_kept_by_type(one_server: Exporting) -> None:
    lines = one_server.lines(
        one_server.export("/fhir/r5", "_elements=Medication.code,id&_type=Medication,Organization")
    )
    found = {one["resourceType"]: one for one in lines}
    # A modifier element is never left out.
    assert found["Medication"].keys() == {"resourceType", "id", "meta", "code", "status"}
    assert "name" not in found["Organization"]
    assert all(one["meta"]["tag"][-1]["code"] == "SUBSETTED" for one in lines)


def test_since_gives_what_changed_later_and_what_went(server: Exporting) -> None:
    server.put(medication("same"), medication("changes"), medication("goes"), organization("o"))
    first = server.export("/fhir/r5")["transactionTime"]
    server.put(medication("changes", status="inactive"), medication("new"), medication("short"))
    server.delete("Medication/goes")
    server.delete("Medication/short")
    manifest = server.export("/fhir/r5", f"_since={first}")
    assert {one["id"] for one in server.lines(manifest)} == {"changes", "new"}
    (bundle,) = server.lines(manifest, "deleted")
    assert bundle["type"] == "transaction"
    assert {one["request"]["url"] for one in bundle["entry"]} == {"Medication/goes", "Medication/short"}
    assert {one["request"]["method"] for one in bundle["entry"]} == {"DELETE"}
    assert server.lines(server.export("/fhir/r5", f"_since={manifest['transactionTime']}")) == []
    assert {one["id"] for one in server.lines(server.export("/fhir/r5", f"_until={first}"))} == {"same", "o"}


def test_filters_of_a_type_are_alternatives_and_leave_others_alone(server: Exporting) -> None:
    server.put(medication("a"), medication("b", status="inactive"), medication("c", status="entered-in-error"))
    server.put(organization("o"))
    both = "_typeFilter=Medication?status=inactive,Medication?status=active%26_id=a"
    assert {one["id"] for one in server.lines(server.export("/fhir/r5", both))} == {"a", "b", "o"}
    apart = "_typeFilter=Medication?status=inactive&_typeFilter=Medication?_id=c&_type=Medication"
    assert {one["id"] for one in server.lines(server.export("/fhir/r4", apart))} == {"b", "c"}
    assert server.lines(server.export("/fhir/r5", "_type=Medication&_typeFilter=Medication?_id=none")) == []
    assert server.pieces() == server.pieces_of_files(), "the lists of ids are gone"


def test_filters_of_basic_ask_for_what_r4_lacks(server: Exporting) -> None:
    server.put({"resourceType": "ClinicalUseDefinition", "id": "c", "type": "indication"})
    server.put({"resourceType": "Basic", "id": "b", "code": {"text": "own"}})
    query = "_type=Basic&_typeFilter=Basic?code=ClinicalUseDefinition"
    assert [one["id"] for one in server.lines(server.export("/fhir/r4", query))] == ["c"]
    assert [one["id"] for one in server.lines(server.export("/fhir/r4", "_type=Basic&_typeFilter=Basic?_id=b"))] == [
        "b"
    ]


def test_partial_manifests_lead_to_all_files(server: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apothecary.bulk.manifest.PAGE", 2)
    monkeypatch.setattr("apothecary.bulk.worker.PIECE", 300)
    server.put(*(medication(f"m{number}") for number in range(9)))
    server.settings_of_worker(export_file_bytes=300)
    where = server.kick_off("/fhir/r5", "allowPartialManifests=true")
    begun = server.ask("GET", where)
    assert (begun.status, begun.json["output"]) == (202, [])
    assert begun.headers["retry-after"]
    server.worker.run()
    found, times = [], set()
    while where:
        page = server.ask("GET", where)
        assert page.status == 200
        times.add(page.json["transactionTime"])
        assert len(page.json["output"]) <= 2
        found += page.json["output"]
        (where,) = [one["url"] for one in page.json.get("link", [])] or [""]
    assert len(times) == 1
    assert [one["id"] for one in server.lines({"output": found})] == [f"m{number}" for number in range(9)]


def test_status_tells_of_progress_and_cancelling_ends_it(server: Exporting) -> None:
    server.put(medication("m"))
    where = server.kick_off("/fhir/r5")
    waiting = server.ask("GET", where)
    assert waiting.status == 202
    assert int(waiting.headers["retry-after"]) >= 1
    assert 0 < len(waiting.headers["x-progress"]) < 100
    assert server.ask("GET", f"{where}/0.ndjson").status == 404
    assert server.ask("DELETE", where).status == 202
    assert server.worker.run()
    for method in ("GET", "DELETE"):
        assert server.ask(method, where).status == 404
        problems(server.ask(method, where))
    done = server.kick_off("/fhir/r5")
    server.worker.run()
    manifest = server.ask("GET", done)
    assert "expires" in manifest.headers
    assert server.ask("DELETE", done).status == 202
    assert server.ask("GET", manifest.json["output"][0]["url"]).status == 404
    assert server.pieces() == 0


def test_exports_are_forgotten_when_their_time_is_over(sqlite_database_url: str) -> None:
    with Exporting.over(sqlite_database_url, export_seconds=1) as server:
        server.put(medication("m"))
        manifest = server.export("/fhir/r5")
        server.age(2_000_000)
        assert server.ask("GET", manifest["output"][0]["url"]).status == 404
        server.worker.forget()
        assert server.pieces() == 0


def test_only_so_many_are_kept(sqlite_database_url: str) -> None:
    with Exporting.over(sqlite_database_url, export_jobs=2) as server:
        first = server.kick_off("/fhir/r5")
        server.kick_off("/fhir/r5")
        full = server.ask("GET", "/fhir/r5/$export", {"Prefer": "respond-async"})
        assert (full.status, full.headers["retry-after"]) == (429, "60")
        problems(full)
        server.worker.run()
        assert server.ask("GET", "/fhir/r5/$export", {"Prefer": "respond-async"}).status == 429
        assert server.ask("DELETE", first).status == 202
        server.kick_off("/fhir/r5")


def test_an_export_past_the_room_for_files_fails(sqlite_database_url: str) -> None:
    with Exporting.over(sqlite_database_url, export_bytes=0) as server:
        server.put(medication("m"), organization("o"))
        worker = Worker(server.app.service, server.bulk)
        worker_status = server.kick_off("/fhir/r5")
        server.stuff(100)
        worker.run()
        answer = server.ask("GET", worker_status)
        assert answer.status == 507
        assert "APOTHECARY_EXPORT_BYTES" in problems(answer)[0]["details"]["text"]


def test_a_page_of_another_origin_begins_and_ends_none(one_server: Exporting) -> None:
    foreign = {"Prefer": "respond-async", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for method in ("GET", "POST"):
        assert one_server.ask(method, "/fhir/r5/$export", foreign).status == 403
    where = one_server.kick_off("/fhir/r5")
    assert one_server.ask("DELETE", where, foreign).status == 403
    assert one_server.ask("DELETE", where).status == 202


def test_a_server_that_takes_no_writes_exports(sqlite_database_url: str) -> None:
    with Exporting.over(sqlite_database_url) as server:
        server.put(medication("m"))
        settings = replace(server.settings, read_only=True)
        closed = Exporting(InProcess(settings, server.store), settings)
        assert closed.ask("DELETE", "/fhir/r5/Medication/m").status == 403
        assert [one["id"] for one in closed.lines(closed.export("/fhir/r5"))] == ["m"]


def test_it_can_be_switched_off(tmp_path: Any) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path}/x.db", content="", export_jobs=0, publish_seconds=0)
    store = open_store(settings)
    server = InProcess(settings, store)
    for path in ("$export", "$bulk-publish"):
        answer = server.ask("GET", f"/fhir/r5/{path}", {"Prefer": "respond-async"})
        assert answer.status == 400
        assert "APOTHECARY_" in problems(answer)[0]["details"]["text"]
    store.close()


def test_the_capability_statement_tells_of_it(one_server: Exporting) -> None:
    statement = one_server.ask("GET", "/fhir/r4/metadata").json
    assert "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data" in statement["instantiates"]
    told = {one["name"]: one["definition"] for one in statement["rest"][0]["operation"]}
    assert told["export"] == "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
    assert told["bulk-publish"] == "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/bulk-publish"
    entry = {"request": {"method": "GET", "url": "$export"}}
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    answer = one_server.ask("POST", "/fhir/r4", {"Content-Type": "application/fhir+json"}, body)
    assert answer.json["entry"][0]["response"]["status"].startswith("400")
