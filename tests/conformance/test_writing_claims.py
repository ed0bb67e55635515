"""Every claim of the CapabilityStatement about writing is proved by a request.
https://hl7.org/fhir/R5/capabilitystatement.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from apothecary.content.write import xml_text
from apothecary.fhir.releases import FhirVersion
from tests.conformance.harness import Answer, InProcess

BASE = "/fhir/r5"
JSON = {"Content-Type": "application/fhir+json"}
TYPE = "Substance"


def substance(value: str, **more: Any) -> dict[str, Any]:
    identifier = [{"system": "http://ex.org/claim", "value": value}]
    return {
        "resourceType": TYPE,
        **more,
        "identifier": identifier,
        "instance": False,
        "code": {"concept": {"text": "a"}},
    }


def send(server: InProcess, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    given = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask(method, f"{BASE}{path}", given, None if body is None else json.dumps(body))


def bundle(kind: str) -> dict[str, Any]:
    request = {"method": "PUT", "url": f"{TYPE}/claim-{kind}"}
    entry = {"resource": substance(kind, id=f"claim-{kind}"), "request": request}
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


PATCHES = {
    "application/json-patch+json": [{"op": "replace", "path": "/instance", "value": True}],
    "application/fhir+json": {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "replace"},
                    {"name": "path", "valueString": "Substance.instance"},
                    {"name": "value", "valueBoolean": False},
                ],
            }
        ],
    },
}
PROOFS: dict[str, Callable[[InProcess], Answer]] = {
    "create": lambda server: send(server, "POST", f"/{TYPE}", substance("create")),
    "update": lambda server: send(server, "PUT", f"/{TYPE}/claimed", substance("update", id="claimed")),
    "patch": lambda server: send(
        server,
        "PATCH",
        f"/{TYPE}/claimed",
        PATCHES["application/json-patch+json"],
        Content_Type="application/json-patch+json",
    ),
    "delete": lambda server: send(server, "DELETE", f"/{TYPE}/gone"),
    "transaction": lambda server: send(server, "POST", "", bundle("transaction")),
    "batch": lambda server: send(server, "POST", "", bundle("batch")),
}


def statement(server: InProcess) -> Any:
    return server.ask("GET", f"{BASE}/metadata").json


def claimed(server: InProcess) -> Any:
    return next(one for one in statement(server)["rest"][0]["resource"] if one["type"] == TYPE)


@pytest.fixture(autouse=True)
def something_to_write_to(empty_server: InProcess) -> None:
    assert send(empty_server, "PUT", f"/{TYPE}/claimed", substance("claimed", id="claimed")).status in (200, 201)


def test_every_writing_interaction_is_claimed_and_answers(empty_server: InProcess) -> None:
    rest = statement(empty_server)["rest"][0]
    codes = {one["code"] for one in (*claimed(empty_server)["interaction"], *rest["interaction"])}
    assert PROOFS.keys() <= codes
    for code, proof in PROOFS.items():
        answer = proof(empty_server)
        assert answer.status in (200, 201, 204), (code, answer.body)


def test_every_patch_format_is_taken(empty_server: InProcess) -> None:
    fhir_xml = xml_text(PATCHES["application/fhir+json"], FhirVersion.R5).decode()
    bodies = {kind: json.dumps(patch) for kind, patch in PATCHES.items()} | {"application/fhir+xml": fhir_xml}
    formats = statement(empty_server)["patchFormat"]
    assert set(formats) == set(bodies)
    for one in formats:
        answer = empty_server.ask("PATCH", f"{BASE}/{TYPE}/claimed", JSON | {"Content-Type": one}, bodies[one])
        assert answer.status == 200


def test_what_is_claimed_of_conditions_holds(empty_server: InProcess) -> None:
    found = claimed(empty_server)
    criteria = "identifier=http://ex.org/claim|conditions"
    assert found["conditionalCreate"] is True
    create = send(empty_server, "POST", f"/{TYPE}", substance("conditions"), If_None_Exist=criteria)
    again = send(empty_server, "POST", f"/{TYPE}", substance("conditions"), If_None_Exist=criteria)
    assert (create.status, again.status) == (201, 200)
    assert found["conditionalUpdate"] is True
    changed = substance("conditions") | {"instance": True}
    assert send(empty_server, "PUT", f"/{TYPE}?{criteria}", changed).json["meta"]["versionId"] == "2"
    assert found["conditionalPatch"] is True
    patch = PATCHES["application/fhir+json"]
    assert send(empty_server, "PATCH", f"/{TYPE}?{criteria}", patch).json["meta"]["versionId"] == "3"
    assert found["conditionalDelete"] == "single"
    send(empty_server, "POST", f"/{TYPE}", substance("conditions"))
    assert send(empty_server, "DELETE", f"/{TYPE}?{criteria}").status == 412


def test_update_as_create_and_versions_hold(empty_server: InProcess) -> None:
    found = claimed(empty_server)
    assert found["updateCreate"] is True
    created = send(empty_server, "PUT", f"/{TYPE}/created-by-update", substance("new", id="created-by-update"))
    assert created.status in (200, 201)
    assert found["versioning"] == "versioned"
    stale = substance("newer", id="created-by-update")
    assert send(empty_server, "PUT", f"/{TYPE}/created-by-update", stale, If_Match='W/"999"').status == 412
    assert "enforced" in found["referencePolicy"]
    dangling = {"resourceType": "Medication", "marketingAuthorizationHolder": {"reference": "Organization/absent"}}
    assert send(empty_server, "POST", "/Medication", dangling).status == 422


def test_every_operation_is_offered_where_it_is_claimed_and_nowhere_else(empty_server: InProcess) -> None:
    rest = statement(empty_server)["rest"][0]
    named = {one["type"]: {each["name"] for each in one["operation"]} for one in rest["resource"]}
    everywhere = set[str]().union(*named.values(), (one["name"] for one in rest["operation"]))
    assert {"validate", "meta", "meta-add", "meta-delete"} <= named[TYPE] < everywhere
    for resource_type, names in named.items():
        for name in sorted(everywhere):
            paths = [f"/{resource_type}/${name}", f"/{resource_type}/none/${name}"]
            answers = [send(empty_server, "POST", path, {"resourceType": "Parameters"}) for path in paths]
            # An operation that is offered complains about what it was sent; one that is not there is not supported.
            offered = any(not _unknown(answer) for answer in answers)
            assert offered == (name in names), (resource_type, name, [answer.body for answer in answers])


def _unknown(answer: Answer) -> bool:
    return answer.status == 404 and answer.json["issue"][0]["code"] == "not-supported"


def test_a_read_only_server_claims_no_operation_that_writes(empty_server: InProcess) -> None:
    settings = replace(empty_server.settings, host="192.0.2.1")
    closed = InProcess(settings, empty_server.store)
    names = {one["name"] for one in claimed(closed)["operation"]}
    assert "validate" in names
    assert not names & {"meta-add", "meta-delete"}
    for path in (f"/{TYPE}", ""):
        answer = send(closed, "POST", path, bundle("transaction") if not path else substance("closed"))
        assert answer.status == 403
