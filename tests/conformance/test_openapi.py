"""The OpenAPI documents: valid to another program, whole, and true of the server that gives them.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urljoin

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.openapi_parts import CONTROLS
from apothecary.search.control import NAMES
from apothecary.validation.schema import json_schema
from tests.conformance.harness import InProcess

BASES = [f"/fhir/{version.segment}" for version in FhirVersion]
# Types whose documents differ most: content, operations and none, many codes.
SOME = ("Binary", "CodeSystem", "Medication", "MedicationKnowledge")
PLACES = [(version, one) for version in FhirVersion for one in SOME]
# What is described does not hang on the database.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("content_server", ["sqlite"], indirect=True)]
METHODS = ("get", "put", "post", "delete", "patch")


def asked(server: InProcess, path: str) -> Any:
    answer = server.ask("GET", path)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    return answer.json


def described(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Every path, method and description of a document."""
    for path, item in document["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def followed(document: Any, value: Any) -> Any:
    """What a reference within the document leads to."""
    while "$ref" in value:
        found = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


def parameters(document: Any, described: Any) -> list[Any]:
    return [followed(document, one) for one in described["parameters"]]


@pytest.mark.parametrize(("version", "name"), PLACES)
def test_another_program_finds_the_document_of_a_type_valid(
    content_server: InProcess, version: FhirVersion, name: str
) -> None:
    document = asked(content_server, f"/fhir/{version.segment}/openapi.json?type={name}")
    validate(document, cls=OpenAPIV31SpecValidator)


@pytest.mark.parametrize("base", ["/fhir", "/fhir/r4b"])
def test_the_document_of_a_base_leads_to_those_of_its_types(content_server: InProcess, base: str) -> None:
    whole = asked(content_server, f"{base}/openapi.json")
    assert whole["servers"] == [{"url": content_server.address + base}]
    validate(
        {**whole, "paths": {k: v for k, v in whole["paths"].items() if "$ref" not in v}}, cls=OpenAPIV31SpecValidator
    )
    documents: dict[str, Any] = {}
    led = {path: item["$ref"] for path, item in whole["paths"].items() if "$ref" in item}
    for path, link in led.items():
        address, _, fragment = urljoin(f"{base}/openapi.json", link).partition("#")
        if address not in documents:
            documents[address] = asked(content_server, address)
        assert path == unquote(fragment).removeprefix("/paths/").replace("~1", "/").replace("~0", "~")
        assert path in documents[address]["paths"]
    assert {path for one in documents.values() for path in one["paths"]} == led.keys()
    assert asked(content_server, "/openapi.json")["paths"] == asked(content_server, "/fhir/openapi.json")["paths"]


@pytest.mark.parametrize("base", BASES)
def test_the_documents_say_what_the_statement_says(content_server: InProcess, base: str) -> None:
    statement = content_server.ask("GET", f"{base}/metadata").json["rest"][0]
    for told in statement["resource"]:
        name = told["type"]
        document = asked(content_server, f"{base}/openapi.json?type={name}")
        found = {one["operationId"]: (path, method, one) for path, method, one in described(document)}
        for one in told["interaction"]:
            assert f"{one['code']}-{name}" in found
        search = parameters(document, found[f"search-type-{name}"][2])
        by_name = {one["name"]: one for one in search}
        for one in told["searchParam"]:
            if one["name"] != "_has":
                assert by_name[one["name"]]["x-fhir-type"] == one["type"]
                assert one.get("documentation", "") in by_name[one["name"]]["description"]
        form = found[f"search-type-{name}-post"][2]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        assert form["schema"]["properties"].keys() == by_name.keys() - {"others", "Prefer"}
        paths = set(document["paths"])
        for one in told["operation"]:
            if not one["definition"].startswith("http://hl7.org/"):
                continue  # a named query, which is a search
            assert {f"/{name}/${one['name']}", f"/{name}/{{id}}/${one['name']}"} & paths
    # No two of the same name.
    whole = asked(content_server, f"{base}/openapi.json")
    identities = [one["operationId"] for _, _, one in described(whole)]
    assert len(identities) == len(set(identities))
    assert {one["code"] for one in statement["interaction"]} - {"batch"} <= set(identities)


@pytest.mark.parametrize("base", BASES)
def test_everything_that_is_described_is_there(content_server: InProcess, base: str) -> None:
    for query in ("", *(f"?type={name}" for name in ("Binary", "CodeSystem", "Medication"))):
        for path, method, _ in described(asked(content_server, f"{base}/openapi.json{query}")):
            address = base + path.rstrip("/").replace("{id}", "none").replace("{vid}", "1")
            answer = content_server.ask(method.upper(), address, {"Content-Type": "text/plain"}, "x")
            assert answer.status != 405, (method, address)
            assert b"there is nothing at" not in answer.body, (method, address)


@pytest.mark.parametrize(("version", "name"), PLACES)
def test_a_body_has_the_schema_that_the_validator_prints(
    content_server: InProcess, version: FhirVersion, name: str
) -> None:
    document = asked(content_server, f"/fhir/{version.segment}/openapi.json?type={name}")
    schemas = document["components"]["schemas"]
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", one) for one in schemas)
    for key, one in json_schema(version, name)["$defs"].items():
        assert schemas[key] == _moved(one)


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: one.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(one)
        for key, one in schema.items()
    }


def test_each_error_is_an_outcome_and_each_header_is_named(content_server: InProcess) -> None:
    document = asked(content_server, "/fhir/r5/openapi.json?type=Medication")
    for _, _, one in described(document):
        for status in ("400", "404", "406", "410", "412", "415", "422", "503"):
            schema = followed(document, one["responses"][status])["content"]["application/fhir+json"]["schema"]
            assert schema["$ref"].endswith("/OperationOutcome")
    headers = {
        (method, one["name"])
        for path, method, told in described(document)
        if path in ("/Medication", "/Medication/{id}")
        for one in parameters(document, told)
        if one["in"] == "header"
    }
    assert {("put", "If-Match"), ("put", "If-None-Match"), ("patch", "If-Match"), ("delete", "If-Match")} <= headers
    assert {("get", "If-None-Match"), ("get", "If-Modified-Since"), ("post", "If-None-Exist")} <= headers
    assert {method for method, name in headers if name == "Prefer"} == set(METHODS)


def test_every_parameter_that_shapes_an_answer_is_described(content_server: InProcess) -> None:
    # `recurse` is what `iterate` was called once.
    assert {name for name in NAMES if not name.endswith(":recurse")} <= set(CONTROLS)
    document = asked(content_server, "/fhir/r5/openapi.json?type=Medication")
    names = {one["name"] for one in parameters(document, document["paths"]["/Medication"]["get"])}
    assert set(CONTROLS) <= names


def test_a_server_that_is_read_only_describes_no_write(content_server: InProcess) -> None:
    server = InProcess(replace(content_server.settings, read_only=True), content_server.store)
    for query in ("", "?type=Medication"):
        found = list(described(asked(server, f"/fhir/r5/openapi.json{query}")))
        assert found
        assert {method for _, method, _ in found} == {"get", "post"}
        assert all("_search" in path or "$" in path for path, method, _ in found if method == "post")


def test_a_document_that_the_client_has_is_not_sent_again(content_server: InProcess) -> None:
    first = content_server.ask("GET", "/fhir/r4/openapi.json?type=Medication")
    again = content_server.ask("GET", "/fhir/r4/openapi.json?type=Medication", {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_type_that_is_not_served_has_no_document(content_server: InProcess) -> None:
    answer = content_server.ask("GET", "/fhir/r4/openapi.json?type=ClinicalUseDefinition")
    assert answer.status == 404
    assert content_server.ask("DELETE", "/fhir/r4/openapi.json").status == 405
