"""What is asked wrongly in a way that is easy to overlook is refused in words, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apothecary.interactions.patch_pointers import incomplete
from apothecary.operations import OPERATIONS
from tests.conformance.harness import BASE, Answer, InProcess, problems

FHIR = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def send(server: InProcess, method: str, path: str, body: Any, headers: dict[str, str] = FHIR) -> Answer:
    return server.ask(method, f"{BASE}{path}", headers, json.dumps(body))


@pytest.fixture
def medication(empty_server: InProcess) -> str:
    send(empty_server, "PUT", "/Medication/refused", {"resourceType": "Medication", "id": "refused"})
    return "/Medication/refused"


@pytest.mark.parametrize(
    ("operation", "lacks"),
    [
        ({"op": "move", "path": "/extension/0/url"}, "from"),
        ({"op": "copy", "path": "/status", "value": "active"}, "from"),
        ({"op": "move", "path": "/status", "from": 1}, "from"),
        ({"op": "add", "path": "/status"}, "value"),
        ({"op": "replace", "path": "/status"}, "value"),
        ({"op": "test", "path": "/status"}, "value"),
        ({"op": "remove"}, "path"),
        ({"op": "remove", "path": None}, "path"),
        ({"op": ["remove"], "path": "/status"}, "op"),
        ({"path": "/status"}, "op"),
        ("remove", "object"),
        (None, "object"),
    ],
)
def test_a_json_patch_says_what_an_operation_lacks(
    empty_server: InProcess, medication: str, operation: Any, lacks: str
) -> None:
    assert lacks in str(incomplete(operation))
    answer = send(empty_server, "PATCH", medication, [{"op": "test", "path": "", "value": 1}, operation], JSON_PATCH)
    assert answer.status == 400
    assert "operation 1" in problems(answer)[0]["details"]["text"]


def test_a_place_of_thousands_of_digits_is_in_no_list(empty_server: InProcess, medication: str) -> None:
    patch = [{"op": "add", "path": "/extension", "value": []}, {"op": "remove", "path": f"/extension/{'9' * 5000}"}]
    answer = send(empty_server, "PATCH", medication, patch, JSON_PATCH)
    assert answer.status == 422
    assert "there is no 999" in problems(answer)[0]["details"]["text"]


@pytest.mark.parametrize("address", ["http://[", "https://[::1/Medication/x", "http://", "http:///", "http://a b/"])
def test_what_is_no_address_identifies_an_entry_all_the_same(empty_server: InProcess, address: str) -> None:
    resource = {
        "resourceType": "Medication",
        "marketingAuthorizationHolder": {"reference": "Organization/refused"},
        "extension": [{"url": "http://example.org/same", "valueUri": address}],
    }
    entries = [
        {
            "fullUrl": address,
            "resource": {"resourceType": "Organization", "id": "refused", "name": "A"},
            "request": {"method": "PUT", "url": "Organization/refused"},
        },
        {"fullUrl": f"{address}1", "resource": resource, "request": {"method": "POST", "url": "Medication"}},
    ]
    answer = send(empty_server, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status < 500
    if answer.status >= 400:
        problems(answer)


@pytest.mark.parametrize("listed", [1e308, 0, False, "x", {}, {"name": "url"}, ["x"], [None], [[]]])
@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.arguments])
def test_parameters_that_are_no_list_of_objects_are_refused(empty_server: InProcess, name: str, listed: Any) -> None:
    operation = OPERATIONS[name]
    kind = min(operation.types, default="Medication")
    begin = {"system": "", "type": f"/{kind}", "instance": f"/{kind}/refused"}
    for level in operation.levels:
        body = {"resourceType": "Parameters", "parameter": listed}
        answer = send(empty_server, "POST", f"{begin[level]}/${name}", body)
        assert 400 <= answer.status < 500, (level, answer.body)
        problems(answer)


@pytest.mark.parametrize("length", [3, 6, 12, 40, 300])
@pytest.mark.parametrize(
    ("link", "end"),
    [
        ("_profile:StructureDefinition.", "date=2020"),
        ("ingredient:Medication.", "code=x"),
        ("_has:List:item:", "_id=x"),
    ],
)
def test_a_chain_of_any_length_is_answered_or_too_costly(
    empty_server: InProcess, link: str, end: str, length: int
) -> None:
    start = "StructureDefinition" if link.startswith("_p") else "Medication" if link.startswith("i") else "List"
    answer = empty_server.ask("POST", f"{BASE}/{start}/_search", FORM, link * length + end)
    assert answer.status in (200, 400)
    if answer.status == 400:
        problems(answer)
