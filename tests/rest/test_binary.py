"""Binary in its own content type: https://hl7.org/fhir/R5/binary.html"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.conformance.harness import told
from tests.rest.test_limits import outcome, serving

BASES = ["/fhir", "/fhir/r4", "/fhir/r4b", "/fhir/r5"]
LIMIT = 5000
PDF = b"%PDF-1.7\n\xff\x00\x80"
CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
FHIR = {"Accept": "application/fhir+json"}


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    with serving(emptied_url, body_limit=LIMIT) as made:
        yield made


def put(client: FlaskClient, path: str, body: bytes, kind: str, **headers: str) -> None:
    answer = client.put(path, data=body, headers={"Content-Type": kind, **headers})
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("other", BASES)
def test_what_was_sent_comes_back_in_every_release(client: FlaskClient, base: str, other: str) -> None:
    put(client, "/fhir/Organization/o", b'{"resourceType":"Organization","id":"o","name":"A"}', "application/fhir+json")
    made = client.post(
        f"{base}/Binary", data=PDF, headers={"Content-Type": "application/pdf", "X-Security-Context": "Organization/o"}
    )
    assert made.status_code == 201
    assert made.json["contentType"] == "application/pdf"
    identity = made.json["id"]
    answer = client.get(f"{other}/Binary/{identity}")
    assert (answer.status_code, answer.data) == (200, PDF)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["X-Security-Context"] == "Organization/o"
    assert answer.headers["ETag"] == 'W/"1"'
    assert "Last-Modified" in answer.headers
    # A browser that is led here saves it, and runs nothing.
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert client.get(f"{other}/Binary/{identity}/_history/1").data == PDF
    resource = client.get(f"{other}/Binary/{identity}", headers=FHIR)
    assert resource.headers["Content-Type"].startswith("application/fhir+json")
    assert base64.b64decode(resource.json["data"]) == PDF
    assert resource.json["securityContext"] == {"reference": "Organization/o"}
    head = client.head(f"{other}/Binary/{identity}")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(PDF)))


@pytest.mark.parametrize(
    ("accept", "native"),
    [
        (None, True),
        ("*/*", True),
        ("application/pdf", True),
        ("image/png", True),
        ("application/*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/pdf, application/fhir+json;q=0.5", True),
        ("application/xml", True),
        ("application/fhir+json", False),
        ("application/json", False),
        ("application/fhir+json, */*;q=0.1", False),
        ("application/fhir+json;fhirVersion=5.0", False),
    ],
)
def test_the_accept_header_says_whether_the_content_or_the_resource_is_wanted(
    client: FlaskClient, accept: str | None, native: bool
) -> None:
    put(client, "/fhir/Binary/a", PDF, "application/pdf")
    answer = client.get("/fhir/Binary/a", headers={} if accept is None else {"Accept": accept})
    assert answer.status_code == 200
    assert (answer.data == PDF) is native
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("query", ["_format=json", "_summary=true", "_elements=contentType"])
def test_parameters_about_resources_ask_for_the_resource(client: FlaskClient, query: str) -> None:
    put(client, "/fhir/Binary/a", PDF, "application/pdf")
    assert client.get(f"/fhir/Binary/a?{query}").json["contentType"] == "application/pdf"


def test_errors_are_outcomes_whatever_is_accepted(client: FlaskClient) -> None:
    accept = {"Accept": "image/png"}
    outcome(client.get("/fhir/Binary/never", headers=accept), 404)
    put(client, "/fhir/Binary/a", PDF, "image/png")
    outcome(client.get("/fhir/Binary/a?x=1", headers={**accept, "Prefer": "handling=strict"}), 400)
    assert "x is not a parameter" in client.get("/fhir/Binary/a?x=1", headers=accept).headers["Warning"]
    outcome(client.get("/fhir/Binary/a", headers={"Accept": "application/fhir+turtle"}), 406)
    assert b'<Binary xmlns="http://hl7.org/fhir">' in client.get("/fhir/Binary/a?_format=xml").data
    assert client.delete("/fhir/Binary/a").status_code == 204
    outcome(client.get("/fhir/Binary/a", headers=accept), 410)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain; charset=iso-8859-1", "M\xfcnze".encode("latin-1")),
        ("text/xml", CDA),
        ("application/fhir+xml", b'<Patient xmlns="http://hl7.org/fhir"/>'),
        ("application/fhir+json", b'{"resourceType":"Patient","name":[{"family":"Binary"}]}'),
        ("application/json", b"[1, 2.50]"),
        ("application/fhir+json; fhirVersion=4.0", b'{"resourceType":"Medication"}'),
        ("application/x-www-form-urlencoded", b"a=b&c=d"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n1\r\n--x--\r\n"),
        ("image/svg+xml", b"<svg onload='alert(1)'/>"),
        ("application/octet-stream", b""),
        ("application/octet-stream", bytes(range(256))),
    ],
)
def test_any_content_is_kept_to_the_byte(client: FlaskClient, kind: str, body: bytes) -> None:
    put(client, "/fhir/Binary/a", body, kind)
    answer = client.get("/fhir/Binary/a")
    assert (answer.data, answer.headers["Content-Type"]) == (body, kind)


def test_a_binary_that_is_sent_as_a_resource_is_that_resource(client: FlaskClient) -> None:
    body = {"resourceType": "Binary", "id": "a", "contentType": "text/plain", "data": "aGk="}
    for kind in ("application/fhir+json", "application/json"):
        assert client.put("/fhir/Binary/a", json=body, headers={"Content-Type": kind}).status_code in (200, 201)
        assert client.get("/fhir/Binary/a").data == b"hi"
    headers = {"Content-Type": "application/fhir+json"}
    outcome(client.put("/fhir/Binary/a", json={**body, "data": "!"}, headers=headers), 400)
    outcome(client.put("/fhir/Binary/a", data='{"resourceType":"Binary",', headers=headers), 400)
    outcome(client.put("/fhir/Binary/a", data="", headers=headers), 400)
    xml = b'<?xml version="1.0"?><!-- x --><Binary xmlns="http://hl7.org/fhir"><id value="a"/>'
    xml += b'<contentType value="text/plain"/><data value="eG1s"/></Binary>'
    assert client.put("/fhir/Binary/a", data=xml, headers={"Content-Type": "application/fhir+xml"}).status_code == 200
    assert client.get("/fhir/Binary/a").data == b"xml"
    put(client, "/fhir/Binary/empty", b'{"resourceType":"Binary","id":"empty","contentType":"a/b"}', "application/json")
    assert client.get("/fhir/Binary/empty").data == b""


def test_versions_conditions_and_limits_are_those_of_any_resource(client: FlaskClient) -> None:
    put(client, "/fhir/Binary/a", b"one", "text/plain")
    put(client, "/fhir/Binary/a", b"two", "text/plain", **{"If-Match": 'W/"1"'})
    stale = {"Content-Type": "text/plain", "If-Match": 'W/"1"'}
    outcome(client.put("/fhir/Binary/a", data=b"x", headers=stale), 412)
    assert client.get("/fhir/Binary/a").data == b"two"
    assert client.get("/fhir/Binary/a/_history/1").data == b"one"
    same = client.get("/fhir/Binary/a", headers={"If-None-Match": 'W/"2"'})
    assert (same.status_code, same.data) == (304, b"")
    minimal = {"Content-Type": "text/plain", "Prefer": "return=minimal", "Accept": "text/plain"}
    assert client.post("/fhir/Binary", data=b"x", headers=minimal).data == b""
    issue = outcome(client.post("/fhir/Binary", data=b"x" * (LIMIT + 1), headers=minimal), 413)
    assert str(LIMIT) in told(issue)
    zipped = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    made = client.post("/fhir/Binary", data=gzip.compress(b"x" * 2000), headers=zipped)
    read = client.get(f"/fhir/Binary/{made.json['id']}", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(read.data) == b"x" * 2000


def test_what_is_compressed_in_itself_is_not_compressed_again(client: FlaskClient) -> None:
    put(client, "/fhir/Binary/a", b"\0" * 3000, "image/png")
    answer = client.get("/fhir/Binary/a", headers={"Accept-Encoding": "gzip"})
    assert answer.data == b"\0" * 3000


def test_a_type_that_is_none_is_refused_and_no_type_is_octets(client: FlaskClient) -> None:
    assert outcome(client.post("/fhir/Binary", data=b"x", headers={"Content-Type": "pdf"}), 415)["expression"] == [
        "Content-Type"
    ]
    made = client.post("/fhir/Binary", data=b"x")
    assert made.json["contentType"] == "application/octet-stream"
    wrong = {"Content-Type": "a/b", "X-Security-Context": "Organization/never"}
    outcome(client.post("/fhir/Binary", data=b"x", headers=wrong), 422)


def test_no_stored_text_gets_into_a_header_that_may_not_stand_there(client: FlaskClient) -> None:
    body = {"resourceType": "Binary", "id": "a", "contentType": "text/html x\u00e9", "data": "aGk="}
    body["securityContext"] = {"reference": "http://ex.org/\u00e9"}
    made = client.put("/fhir/Binary/a", json=body, headers={"Content-Type": "application/fhir+json"})
    assert made.status_code in (201, 400)
    if made.status_code == 201:
        answer = client.get("/fhir/Binary/a")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "X-Security-Context" not in answer.headers


def test_other_types_are_asked_for_and_sent_as_before(client: FlaskClient) -> None:
    outcome(client.get("/fhir/Organization/a", headers={"Accept": "application/pdf"}), 406)
    outcome(client.post("/fhir/Organization", data=PDF, headers={"Content-Type": "application/pdf"}), 415)


def test_a_server_without_binary_takes_and_gives_none(emptied_url: str) -> None:
    with serving(emptied_url, resource_types="Organization") as client:
        outcome(client.post("/fhir/Binary", data=PDF, headers={"Content-Type": "application/pdf"}), 404)
        outcome(client.get("/fhir/Binary/a"), 404)
