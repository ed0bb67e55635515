"""What is no text of FHIR is refused with an outcome, wherever it stands, and is never written into a log.

https://hl7.org/fhir/R5/datatypes.html#string and https://hl7.org/fhir/R5/http.html#general
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.durability.health import always_healthy
from tests.rest.strange import raw

NUL, HALF, BYTES = r'"\u0000"', r'"\ud800"', b'"\xff"'
JSON = "application/fhir+json"
ORGANIZATION = b'{"resourceType":"Organization","id":"o","name":%b}'
PARAMETERS = b'{"resourceType":"Parameters","parameter":[{"name":"%b","valueString":%b}]}'
ENTRY = b'{"resourceType":"Bundle","type":"%b","entry":[{"request":{"method":"%b","url":%b}%b}]}'
FORM = "application/x-www-form-urlencoded"
PATCH = "application/json-patch+json"
FHIRPATH = (
    b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},'
    b'{"name":"path","valueString":"Organization.name"},{"name":"value","valueString":%b}]}]}'
)

# What is sent, with one bad JSON string in it: method, path, content type, body.
BODIES: dict[str, tuple[str, str, str, bytes]] = {
    "create": ("POST", "/fhir/Organization", JSON, ORGANIZATION),
    "update": ("PUT", "/fhir/Organization/o", JSON, ORGANIZATION),
    "id": ("PUT", "/fhir/Organization/o", JSON, b'{"resourceType":"Organization","name":"x","id":%b}'),
    "type": ("PUT", "/fhir/Organization/o", JSON, b'{"name":"x","id":"o","resourceType":%b}'),
    "name of an element": ("PUT", "/fhir/Organization/o", JSON, b'{"resourceType":"Organization","id":"o",%b:"x"}'),
    "reference": (
        *("PUT", "/fhir/Organization/o", JSON),
        b'{"resourceType":"Organization","id":"o","name":"x","partOf":{"reference":%b}}',
    ),
    "JSON Patch": ("PATCH", "/fhir/Organization/o", PATCH, b'[{"op":"replace","path":"/name","value":%b}]'),
    "pointer": ("PATCH", "/fhir/Organization/o", PATCH, b'[{"op":"add","path":%b,"value":"x"}]'),
    "FHIRPath Patch": ("PATCH", "/fhir/Organization/o", JSON, FHIRPATH),
    "path of a FHIRPath Patch": (
        *("PATCH", "/fhir/Organization/o", JSON),
        FHIRPATH.replace(b'"Organization.name"', b"%b").replace(b'"valueString":%b}]}]}', b'"valueString":"x"}]}]}'),
    ),
    "meta": (
        *("POST", "/fhir/Organization/o/$meta-add", JSON),
        b'{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":%b}]}}]}',
    ),
    "value set of an expansion": ("POST", "/fhir/ValueSet/$expand", JSON, PARAMETERS.replace(b"%b", b"url", 1)),
    "code": (
        *("POST", "/fhir/CodeSystem/$lookup", JSON),
        b'{"resourceType":"Parameters","parameter":[{"name":"system","valueUri":%b},{"name":"code","valueCode":"x"}]}',
    ),
    "address of a search in a batch": (
        *("POST", "/fhir", JSON),
        ENTRY.replace(b"%b", b"batch", 1).replace(b"%b", b"GET", 1).replace(b"]}", b"]}").replace(b"%b}]}", b"}]}"),
    ),
    "resource of a transaction": (
        *("POST", "/fhir", JSON),
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Organization/o"},'
        b'"resource":{"resourceType":"Organization","id":"o","name":%b}}]}',
    ),
    "condition of a batch": (
        *("POST", "/fhir", JSON),
        b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Organization","ifNoneExist":%b},'
        b'"resource":{"resourceType":"Organization","name":"x"}}]}',
    ),
    "full address of an entry": (
        *("POST", "/fhir", JSON),
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":%b,"request":{"method":"POST",'
        b'"url":"Organization"},"resource":{"resourceType":"Organization","name":"x"}}]}',
    ),
    "profile": ("POST", "/fhir/Organization/$validate", JSON, PARAMETERS.replace(b"%b", b"profile", 1)),
    "what is validated": ("POST", "/fhir/Organization/$validate", JSON, ORGANIZATION),
    "what is converted": ("POST", "/fhir/$convert", JSON, ORGANIZATION),
}


def outcomes(answer: TestResponse) -> list[dict[str, Any]]:
    """Every OperationOutcome in an answer."""
    body = answer.json
    return [body, *(one["response"].get("outcome", {}) for one in body.get("entry", ()) if "response" in one)]


@pytest.fixture
def client(emptied_url: str) -> Any:
    settings = Settings(database=emptied_url, content="")
    store = open_store(settings)
    found = create_app(settings, store).test_client()
    assert found.put("/fhir/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "x"}).json
    yield found
    store.close()


def test_a_body_with_a_string_that_is_no_text_is_refused(client: FlaskClient) -> None:
    for name, (method, path, kind, body) in BODIES.items():
        for bad in (NUL.encode(), HALF.encode(), BYTES):
            answer = client.open(path, method=method, data=body.replace(b"%b", bad), content_type=kind)
            said = (name, bad, answer.status_code, answer.text[:300])
            assert answer.status_code < 500, said
            refused = any(
                issue["severity"] in ("error", "fatal") for one in outcomes(answer) for issue in one.get("issue", ())
            )
            assert refused, said
    assert client.get("/fhir/Organization/o/_history").json["total"] == 1
    assert client.get("/fhir/Organization").json["total"] == 1


@pytest.mark.parametrize("bad", ["%00", "%ff", "%ed%a0%80", "%c0%80"])
def test_an_address_that_is_no_text_is_refused(client: FlaskClient, bad: str) -> None:
    for path in (
        *(f"/{bad}", f"/fhir/{bad}", f"/fhir/Organization/{bad}", f"/fhir/Organization/o/_history/{bad}"),
        *(
            f"/fhir/Organization?_id={bad}",
            f"/fhir/Organization?name={bad}",
            f"/fhir/Organization?{bad}=x",
            f"/fhir?{bad}",
        ),
        *(f"/fhir/Organization?_count={bad}", f"/fhir/Organization?_page={bad}", f"/fhir/Organization?_filter={bad}"),
        *(f"/fhir/metadata?{bad}", f"/fhir/_history?_since={bad}", f"/fhir/ValueSet/$expand?url={bad}"),
        *(f"/fhir/Organization/o?_elements={bad}", f"/fhir/Organization/{bad}/$validate", f"/fhir/Organization/${bad}"),
        *(f"/fhir/Organization?_format={bad}", f"/healthz/{bad}", f"/fhir/Organization?identifier={bad}|x"),
    ):
        for method in ("GET", "DELETE", "PUT", "HEAD", "OPTIONS"):
            answer = client.open(path, method=method)
            if method == "OPTIONS" and answer.status_code == 204:
                continue  # what is behind the question mark is not looked at
            assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
            if method != "HEAD":
                assert answer.json["resourceType"] == "OperationOutcome"
    for body in (f"_id={bad}", f"name={bad}", f"{bad}=x", "name=\xff".encode("latin-1"), "name=\0"):
        assert client.post("/fhir/Organization/_search", data=body, content_type=FORM).status_code == 400, body


def test_a_condition_in_a_header_is_utf_8(client: FlaskClient) -> None:
    named = "Müller"
    body = {"resourceType": "Organization", "name": named}
    # As a client sends it that writes UTF-8 into headers, and as WSGI hands it over.
    for condition in ("name=M%C3%BCller", "name=Müller".encode().decode("latin-1")):
        answer = client.post("/fhir/Organization", json=body, headers={"If-None-Exist": condition})
        assert answer.status_code in (200, 201)
    # An address, too, as curl sends it.
    for found in (f"name={named}", "name=M%C3%BCller"):
        assert client.get(f"/fhir/Organization?{found}").json["total"] == 1
    answer = client.post("/fhir/Organization", json=body, headers={"If-None-Exist": "name=M\xfcller"})
    assert (answer.status_code, answer.json["issue"][0]["expression"]) == (400, ["If-None-Exist"])


@pytest.mark.slow
@pytest.mark.parametrize("log", ["off", "json"])
def test_no_value_gets_into_a_log(tmp_path: Path, log: str) -> None:
    drug = "Zolpidemtartrat"
    with ServerProcess(tmp_path, {"request_log": log, "log_level": "debug"}) as server, always_healthy(server.port):
        for target in (
            *(f"/fhir/Medication?a={drug}%ff", f"/fhir/Medication?a={drug}%00", f"/fhir/Medication?{drug}%00=x"),
            *(f"/fhir/Medication?code={drug}", f"/fhir/Medication?{drug}%20x", f"/fhir/Medication?%22{drug}"),
            *(f"/fhir/Medication?_id={drug}'&x", f"/fhir/Medication?_filter={drug}", "/fhir/%ff%0aerror:"),
        ):
            status, body = raw(server.port, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
            assert status in (200, 400), (target, body)
        for header in (b"X-Request-Id: \xff", b"Prefer: \xff", b"If-None-Exist: name=\xff", b"X-Other: \xff\x80"):
            head = b"POST /fhir/Medication/_search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
            status, _ = raw(server.port, head + header + b"\r\n\r\n")
            assert status in (200, 400), header
        found = server.log
    assert drug not in found
    assert "Traceback" not in found
    assert not re.search(r"^error:", found, re.MULTILINE)
    lines = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    assert [one["parameters"] for one in lines if one["path"] == "/fhir/Medication"][:3] == (
        [["a"], ["a"], ["?"]] if log == "json" else []
    )
