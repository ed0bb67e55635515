"""No request costs much more than it may: what is too much is refused at once, with the setting that says so, and the
server goes on answering beside it. https://hl7.org/fhir/R5/http.html#Status-Codes
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from apothecary.errors import MOST_ISSUES
from apothecary.testing import ServerProcess
from tests.conformance.harness import told
from tests.durability.health import always_healthy
from tests.fuzz.judge import fault
from tests.fuzz.wire import Connection, Request
from tests.waiting import PATIENCE

FHIR, FORM = "application/fhir+json", "application/x-www-form-urlencoded"
PATCH = "application/json-patch+json"
HOLDER = {"resourceType": "Organization", "id": "o", "name": "x", "alias": ["a"]}


def bundle(kind: str, count: int) -> bytes:
    entry = {"request": {"method": "GET", "url": "Organization/o"}}
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": [entry] * count}).encode()


def fhirpath_patch(count: int) -> bytes:
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Organization"},
        {"name": "name", "valueString": "alias"},
        {"name": "value", "valueString": "a"},
    ]
    return json.dumps(
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}] * count}
    ).encode()


def doubling(count: int) -> bytes:
    return json.dumps([{"op": "copy", "from": "/alias", "path": "/alias/-"}] * count).encode()


def in_entry(patch: bytes) -> bytes:
    resource = json.loads(patch)
    entry = {"request": {"method": "PATCH", "url": "Organization/o"}, "resource": resource}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()


def long_entry(name: str) -> bytes:
    request = {"method": "POST", "url": "Organization"} | {name: "Organization?" + "a=1&" * 100_000}
    entry = {"request": request, "resource": {"resourceType": "Organization", "name": "x"}}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()


def value_set(count: int) -> bytes:
    includes = [{"system": "http://ex.org", "concept": [{"code": str(number)}]} for number in range(count)]
    resource = {"resourceType": "ValueSet", "status": "active", "compose": {"include": includes}}
    return json.dumps(
        {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": resource}]}
    ).encode()


SEARCH = ("POST", "/fhir/Organization/_search", FORM)
SYSTEM = ("POST", "/fhir/_search", FORM)


def narrative(length: int) -> bytes:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">' + "word " * (length // 5) + "</div>"
    return json.dumps(HOLDER | {"text": {"status": "generated", "div": div}}).encode()


def written(resource: bytes) -> bytes:
    entry = {"request": {"method": "POST", "url": "Organization"}, "resource": json.loads(resource)}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()


def identifiers(count: int) -> bytes:
    found = [{"system": "http://example.org/s", "value": f"v{number}"} for number in range(count)]
    return json.dumps(HOLDER | {"identifier": found}).encode()


def containing(count: int, each: int) -> bytes:
    inside = [json.loads(identifiers(each)) | {"id": f"o{number}"} for number in range(count)]
    named = [{"url": "http://example.org/x", "valueReference": {"reference": f"#{one['id']}"}} for one in inside]
    return json.dumps({"resourceType": "Medication", "contained": inside, "extension": named}).encode()


def unknown(count: int) -> bytes:
    return json.dumps(HOLDER | {f"x{number}": 1 for number in range(count)}).encode()


Case = tuple[str, str, str, Callable[[], bytes], int, str]
CASES: dict[str, Case] = {
    "a form of two million parameters": (*SEARCH, lambda: b"a=1&" * 2_000_000, 413, "FORM_LIMIT"),
    "a form of very many parameters": (*SEARCH, lambda: b"a=1&" * 200_000, 400, "PARAMETER_LIMIT"),
    "values between commas": (*SEARCH, lambda: b"name=" + b"a," * 400_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "values of a token": (*SEARCH, lambda: b"identifier=" + b"a|b," * 200_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "types": (*SYSTEM, lambda: b"_type=" + b"Organization," * 70_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "lists": (*SEARCH, lambda: b"_list=" + b"a," * 200_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "keys to sort by": (*SEARCH, lambda: b"_sort=" + b"name," * 10_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "elements": (*SEARCH, lambda: b"_elements=" + b"name," * 100_000, 400, "SEARCH_CLAUSE_LIMIT"),
    "includes": (*SEARCH, lambda: b"&".join([b"_include=*:*"] * 150), 400, "SEARCH_CLAUSE_LIMIT"),
    "a filter of many parts": (
        *(*SEARCH, lambda: b"_filter=" + b" and ".join([b"name pr true"] * 50_000), 400, "SEARCH_CLAUSE_LIMIT"),
    ),
    "a deep filter": (*SEARCH, lambda: b"_filter=" + b"not (" * 100_000, 400, ""),
    "an address": ("GET", "/fhir/Organization?" + "a=1&" * 5000, "", lambda: b"", 414, "URL_LIMIT"),
    "chains over references to anything": (
        *("GET", "/fhir/Basic?" + "subject." * 7 + "nothing=1", "", lambda: b"", 400, "SEARCH_CLAUSE_LIMIT"),
    ),
    "such chains in a filter": (
        *("GET", "/fhir/Basic?_filter=" + "subject." * 7 + "nothing%20eq%201", "", lambda: b"", 400),
        "SEARCH_CLAUSE_LIMIT",
    ),
    "a chain that is too deep": (
        "GET",
        "/fhir/Basic?" + "_has:Basic:subject:" * 50 + "code=x",
        "",
        lambda: b"",
        400,
        "",
    ),
    "a batch": ("POST", "/fhir", FHIR, lambda: bundle("batch", 100_000), 413, "BUNDLE_LIMIT"),
    "a transaction": ("POST", "/fhir/r4", FHIR, lambda: bundle("transaction", 100_000), 413, "BUNDLE_LIMIT"),
    "the address of an entry": ("POST", "/fhir", FHIR, lambda: long_entry("url"), 413, "URL_LIMIT"),
    "the condition of an entry": ("POST", "/fhir", FHIR, lambda: long_entry("ifNoneExist"), 413, "URL_LIMIT"),
    "a FHIRPath Patch": ("PATCH", "/fhir/Organization/o", FHIR, lambda: fhirpath_patch(20_000), 413, "PATCH_LIMIT"),
    "a FHIRPath Patch in an entry": (
        "POST",
        "/fhir",
        FHIR,
        lambda: in_entry(fhirpath_patch(20_000)),
        413,
        "PATCH_LIMIT",
    ),
    "a JSON Patch": ("PATCH", "/fhir/Organization/o", PATCH, lambda: doubling(100_000), 413, "PATCH_LIMIT"),
    "copies of copies": ("PATCH", "/fhir/Organization/o", PATCH, lambda: doubling(60), 413, "BODY_LIMIT"),
    "a narrative": ("POST", "/fhir/r4/Organization", FHIR, lambda: narrative(30_000_000), 413, "TEXT_LIMIT"),
    "a narrative in an entry": ("POST", "/fhir", FHIR, lambda: written(narrative(3_000_000)), 413, "TEXT_LIMIT"),
    "values to index": ("POST", "/fhir/Organization", FHIR, lambda: identifiers(60_000), 413, "INDEX_LIMIT"),
    "values to index in what is contained": (
        *("POST", "/fhir/Medication", FHIR, lambda: containing(2, 30_000), 413, "INDEX_LIMIT"),
    ),
    "unknown elements": ("PUT", "/fhir/Organization/o", FHIR, lambda: unknown(200_000), 400, ""),
    # None of these reads the body; the answer arrives all the same.
    "a body at an address without one": ("PUT", "/healthz", FHIR, lambda: b"x" * 20_000_000, 405, ""),
    "a body of a deletion": ("DELETE", "/fhir/Nothing/o", FHIR, lambda: b"x" * 20_000_000, 404, ""),
    "a body larger than any": ("POST", "/fhir", FHIR, lambda: b"x" * 40_000_000, 413, "BODY_LIMIT"),
    "a value set": ("POST", "/fhir/ValueSet/$expand", FHIR, lambda: value_set(100_000), 400, ""),
}
HEADERS = {
    "If-None-Exist": ("POST", "/fhir/Organization", "name=" + "a" * 20_000),
    "If-None-Match": ("GET", "/fhir/Organization/o", ", ".join(['"1"'] * 10_000)),
    "Prefer": ("GET", "/fhir/Organization", '"' + "return=minimal," * 3000),
    "Accept": ("GET", "/fhir/Organization", "application/json;q=0.1," * 3000),
}


def ask(port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "{}")
    finally:
        connection.close()


def peak(port: int) -> int:
    """The most memory that any process of the server has had, in kilobytes; 0 where there is no /proc."""
    from tests.durability.health import listening

    found = [0]
    for process in listening(port):
        lines = (process / "status").read_text().splitlines()
        found += [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return max(found)


@pytest.mark.slow
def test_what_is_too_much_is_refused_while_the_server_goes_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"resource_types": "*", "request_log": "json"}) as server:
        assert (
            ask(server.port, "PUT", "/fhir/Organization/o", json.dumps(HOLDER).encode(), {"Content-Type": FHIR})[0]
            == 201
        )
        before = peak(server.port)
        with always_healthy(server.port):
            for name, (method, path, kind, body, expected, setting) in CASES.items():
                status, answer = ask(server.port, method, path, body() or None, {"Content-Type": kind} if kind else {})
                assert status == expected, (name, status, str(answer)[:300])
                issue = answer["issue"][0]
                assert issue["severity"] == "error"
                if setting:
                    assert f"APOTHECARY_{setting}" in told(issue), (name, told(issue)[:300])
            for name, (method, path, value) in HEADERS.items():
                status, answer = ask(server.port, method, path, None, {name: value, "Content-Type": FHIR})
                assert (status, answer["issue"][0]["expression"]) == (431, [name])
                assert "APOTHECARY_URL_LIMIT" in told(answer["issue"][0])
        # The largest body has 28 MB; what is made of it is not a multiple of that.
        assert peak(server.port) - before < 400_000
        assert ask(server.port, "GET", "/fhir/Organization/o", None, {})[1]["name"] == "x"


MANY = tuple((f"X-{number}", "a") for number in range(101))
BENEATH: dict[str, tuple[Request, int]] = {
    "a hundred headers and one": (Request("GET", "/fhir/metadata", MANY), 431),
    "a header of a megabyte": (Request("GET", "/fhir/metadata", (("X-A", "a" * 1_000_000),)), 431),
    "a name of a header that is none": (Request("GET", "/fhir/metadata", (("X A", "a"),)), 400),
    "an address that is too long for HTTP": (Request("GET", "/fhir/metadata?" + "a" * 70_000), 414),
}


@pytest.mark.slow
def test_what_http_itself_refuses_is_all_that_is_answered_without_an_outcome(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {}) as server:
        for name, (request, status) in BENEATH.items():
            with closing(Connection(server.port)) as connection:
                answer = connection.send(request)
            assert (answer.status, answer.body) == (status, b""), name
            assert fault(request, answer) is None, "the judge of the fuzz knows it"
        for headers, target in ((MANY[:90], "/fhir/none"), ((), "/fhir/metadata?" + "a" * 30_000)):
            request = Request("GET", target, headers)
            with closing(Connection(server.port)) as connection:
                answer = connection.send(request)
            assert json.loads(answer.body)["resourceType"] == "OperationOutcome"
            assert fault(request, replace(answer, body=b"")) is not None


@pytest.mark.slow
def test_a_body_that_is_wrong_in_very_many_places_is_answered_with_so_many_issues(tmp_path: Path) -> None:
    entries = [{"item": {"reference": f"Organization/x{number}"}} for number in range(MOST_ISSUES + 500)]
    body = json.dumps({"resourceType": "List", "status": "current", "mode": "working", "entry": entries}).encode()
    whole = {"resourceType": "Bundle", "type": "transaction"}
    entry = {"resource": json.loads(body), "request": {"method": "POST", "url": "List"}}
    with ServerProcess(tmp_path, {}) as server:
        for path, sent in (("/fhir/List", body), ("/fhir", json.dumps(whole | {"entry": [entry]}).encode())):
            status, answer = ask(server.port, "POST", path, sent, {"Content-Type": FHIR})
            assert (status, len(answer["issue"])) == (422, MOST_ISSUES + 1)
            assert "500 further issues are left out" in answer["issue"][-1]["details"]["text"]


@pytest.mark.slow
def test_a_limit_is_as_the_setting_says(tmp_path: Path) -> None:
    settings = {"parameter_limit": 3, "form_limit": 40, "patch_limit": 2}
    with ServerProcess(tmp_path, settings) as server:
        for method, path, kind, body, status in (
            *(
                ("GET", "/fhir/Organization?_id=a&_id=b&_id=c", "", b"", 200),
                ("GET", "/fhir/metadata?a&b&c&d", "", b"", 400),
            ),
            ("GET", "/fhir/Organization?_id=a&_id=b&_id=c&_id=d", "", b"", 400),
            ("POST", "/fhir/Organization/_search?_id=a&_id=b", FORM, b"_id=c", 200),
            ("POST", "/fhir/Organization/_search?_id=a&_id=b", FORM, b"_id=c&_id=d", 400),
            ("POST", "/fhir/Organization/_search", FORM, b"_id=" + b"a" * 36, 200),
            ("POST", "/fhir/Organization/_search", FORM, b"_id=" + b"a" * 37, 413),
            ("PATCH", "/fhir/Organization/o", PATCH, doubling(2), 404),
            ("PATCH", "/fhir/Organization/o", PATCH, doubling(3), 413),
            ("PATCH", "/fhir/Organization/o", FHIR, fhirpath_patch(2), 404),
            ("PATCH", "/fhir/Organization/o", FHIR, fhirpath_patch(3), 413),
        ):
            found, _ = ask(server.port, method, path, body or None, {"Content-Type": kind} if kind else {})
            assert found == status, (method, path, body[:100])
