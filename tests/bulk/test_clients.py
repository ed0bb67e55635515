"""The requests that bulk data clients send, as they send them, and what they look at in the answers."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bulk.exporting import Exporting, medication, organization

FHIR_JSON = {"Accept": "application/fhir+json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    with Exporting.over(f"sqlite:///{tmp_path_factory.mktemp('clients')}/b.db", export_jobs=1000) as one:
        one.put(*(medication(f"m{number}") for number in range(5)), organization("o"))
        yield one


def done(server: Exporting, where: str, accept: str = "application/json") -> dict[str, Any]:
    """The manifest, after a look that came too early."""
    early = server.ask("GET", where, {"Accept": accept})
    assert early.status == 202
    # bulk-data-client takes a number at its beginning for a percentage.
    assert re.match(r"\d", early.headers["x-progress"]) is None
    assert re.fullmatch(r"\d+", early.headers["retry-after"])
    assert server.worker.run()
    answer = server.ask("GET", where, {"Accept": accept})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json
    return found


# https://github.com/smart-on-fhir/bulk-data-client, src/lib/BulkDataClient.ts
QUERIES = [
    "",
    "_outputFormat=application%2Ffhir%2Bndjson&_type=Medication%2COrganization",
    "_since=2021-01-01T00%3A00%3A00.000Z&_type=Medication",
    "_type=Medication&_elements=id%2CMedication.code",
    "_type=Medication&_typeFilter=Medication%3Fstatus%3Dactive",
]


@pytest.mark.parametrize("query", QUERIES)
def test_bulk_data_client_by_get(server: Exporting, query: str) -> None:
    for prefer in ("respond-async", "respond-async, handling=lenient"):
        headers = {**FHIR_JSON, "Prefer": prefer, "User-Agent": "SMART-On-FHIR Bulk Data Client"}
        answer = server.ask("GET", f"/fhir/r4/$export{f'?{query}' if query else ''}", headers)
        assert answer.status == 202
        assert answer.json["resourceType"] == "OperationOutcome", "it is read as JSON"
        manifest = done(server, answer.headers["content-location"])
        assert manifest["output"]
        _download(server, manifest)


def test_bulk_data_client_by_post(server: Exporting) -> None:
    parameters = [
        {"name": "_since", "valueInstant": "2021-01-01T00:00:00.000Z"},
        {"name": "_type", "valueString": "Medication"},
        {"name": "_type", "valueString": "Organization"},
        {"name": "_elements", "valueString": "id,Medication.code"},
        {"name": "_typeFilter", "valueString": "Medication?status=active"},
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "allowPartialManifests", "valueBoolean": True},
    ]
    headers = {**FHIR_JSON, "Prefer": "respond-async", "Content-Type": "application/json"}
    body = json.dumps({"resourceType": "Parameters", "parameter": parameters})
    answer = server.ask("POST", "/fhir/r4/$export", headers, body)
    assert answer.status == 202
    manifest = done(server, answer.headers["content-location"])
    assert {one["type"] for one in manifest["output"]} == {"Medication", "Organization"}
    _download(server, manifest)


def _download(server: Exporting, manifest: dict[str, Any]) -> None:
    """https://github.com/smart-on-fhir/bulk-data-client, src/lib/FileDownload.ts: it unpacks one member of gzip."""
    for one in manifest["output"]:
        answer = server.ask("GET", one["url"], {"Accept-Encoding": "gzip, deflate, br, identity"})
        assert answer.headers["content-encoding"] == "gzip"
        lines = zlib.decompressobj(31).decompress(answer.body).splitlines()
        assert len(lines) == one["count"]
        assert {json.loads(line)["resourceType"] for line in lines} == {one["type"]}


# https://github.com/inferno-framework/bulk-data-test-kit, lib/bulk_data_test_kit/*_tests.rb
def test_the_test_kit_of_inferno(server: Exporting) -> None:
    statement = server.ask("GET", "/fhir/r4/metadata", FHIR_JSON).json
    assert any(re.search(r"/CapabilityStatement/bulk-data(\|\S+)?$", one) for one in statement["instantiates"])
    operations = statement["rest"][0]["operation"]
    definition = r"^http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export(\|\S+)?$"
    assert any(one["name"] == "export" and re.match(definition, one["definition"]) for one in operations)
    kick_off = {**FHIR_JSON, "Prefer": "respond-async"}
    begun = server.ask("GET", "/fhir/r4/$export", kick_off)
    assert begun.status == 202
    manifest = done(server, begun.headers["content-location"])
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= manifest.keys()
    for one in manifest["output"]:
        assert {"type", "url"} <= one.keys()
        file = server.ask("GET", one["url"], {"Accept": "application/fhir+ndjson"})
        assert file.status == 200
        assert file.headers["content-type"].startswith("application/fhir+ndjson")
    for form in ("application%2Ffhir%2Bndjson", "application%2Fndjson", "ndjson"):
        other = server.ask("GET", f"/fhir/r4/$export?_outputFormat={form}", kick_off)
        assert other.status == 202
        assert server.ask("DELETE", other.headers["content-location"]).status == 202
    since = server.ask("GET", f"/fhir/r4/$export?_since={manifest['transactionTime']}", kick_off)
    assert since.status == 202
    cancelled = since.headers["content-location"]
    assert server.ask("DELETE", cancelled).status == 202
    gone = server.ask("GET", cancelled)
    assert (gone.status, gone.json["resourceType"]) == (404, "OperationOutcome")


# https://pypi.org/project/smart-fetch/ 1.0.3, which was run against a server.
def test_smart_fetch(server: Exporting) -> None:
    headers = {**FHIR_JSON, "Prefer": "respond-async", "Accept-Charset": "UTF-8"}
    answer = server.ask("GET", "/fhir/r4/$export?_type=Medication&_typeFilter=Medication%3Fstatus%3Dactive", headers)
    manifest = done(server, answer.headers["content-location"])
    (file,) = manifest["output"]
    assert server.ask("GET", file["url"], {"Accept": "application/fhir+ndjson"}).body.count(b"\n") == file["count"]
    assert server.ask("DELETE", answer.headers["content-location"]).status == 202
