"""What was written as Basic, and the Basics that stand in R4 for what R5 has a type for, live side by side:
https://hl7.org/fhir/R4/basic.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess

JSON = {"Content-Type": "application/fhir+json"}
ITEM = {"coding": [{"system": "http://ex.org/items", "code": "formulary-item"}]}
TYPES = "http://hl7.org/fhir/fhir-types"


def basic(identity: str, subject: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "id": identity, "code": ITEM, "subject": {"reference": subject}}


def use(identity: str, kind: str = "indication") -> dict[str, Any]:
    subject = [{"reference": "Medication/m"}]
    return {"resourceType": "ClinicalUseDefinition", "id": identity, "type": kind, "subject": subject}


@pytest.fixture
def server(emptied_url: str) -> Iterator[InProcess]:
    settings = Settings(database=emptied_url, content="")
    store = open_store(settings)
    sync(settings, store)
    server = InProcess(settings, store)
    for release, resource in (
        ("r5", {"resourceType": "Medication", "id": "m"}),
        ("r4", basic("item", "Medication/m")),
        ("r5", basic("item5", "Medication/m")),
        ("r5", use("use")),
        ("r5", use("use")),
        ("r5", use("use", "warning")),
        ("r5", {"resourceType": "Ingredient", "id": "in", "status": "active", "role": {"text": "active"},
                "substance": {"code": {"concept": {"text": "x"}}}}),
        ("r5", basic("of-use", "ClinicalUseDefinition/use")),
    ):  # fmt: skip
        answer = put(server, resource, release)
        assert answer.status in (200, 201), answer.body
    yield server
    store.close()


def put(server: InProcess, resource: dict[str, Any], release: str) -> Answer:
    path = f"/fhir/{release}/{resource['resourceType']}/{resource['id']}"
    return server.ask("PUT", path, JSON, json.dumps(resource))


def shown(server: InProcess, path: str) -> list[tuple[str, str]]:
    """The resources of a bundle: how each is found, and its type and id."""
    answer = server.ask("GET", f"/fhir/r4/{path}")
    assert answer.status == 200, answer.body
    found = []
    for entry in answer.json.get("entry", ()):
        one = entry["resource"]
        if one["resourceType"] != "OperationOutcome":
            assert entry["fullUrl"].endswith(f"/fhir/r4/{one['resourceType']}/{one['id']}")
            found.append((entry.get("search", {}).get("mode", ""), f"{one['resourceType']}/{one['id']}"))
    return sorted(found)


def test_each_kind_is_read_with_its_own_versions_and_history(server: InProcess) -> None:
    for identity, versions, code in (
        ("item", 1, "formulary-item"),
        ("use", 2, "ClinicalUseDefinition"),
        ("in", 1, "Ingredient"),
    ):
        read = server.ask("GET", f"/fhir/r4/Basic/{identity}")
        assert (read.status, read.json["code"]["coding"][0]["code"]) == (200, code)
        assert shown(server, f"Basic/{identity}/_history") == [("", f"Basic/{identity}")] * versions
        for version in range(1, versions + 1):
            one = server.ask("GET", f"/fhir/r4/Basic/{identity}/_history/{version}").json
            assert one["meta"]["versionId"] == str(version)
    # What the type tells is what was written as such.
    told = shown(server, "Basic/_history")
    assert told == [("", "Basic/item"), ("", "Basic/item5"), ("", "Basic/of-use")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Basic?code=formulary-item", ["Basic/item", "Basic/item5", "Basic/of-use"]),
        ("Basic?code=ClinicalUseDefinition", ["Basic/use"]),
        (f"Basic?code={TYPES}|Ingredient,{TYPES}|ClinicalUseDefinition", ["Basic/in", "Basic/use"]),
        ("Basic?code=ClinicalUseDefinition&type=warning", ["Basic/use"]),
        ("Basic?code=ClinicalUseDefinition&type=indication", []),
        ("Basic?subject=Medication/m", ["Basic/item", "Basic/item5"]),
        ("Basic?subject=Basic/use", ["Basic/of-use"]),
        ("Basic?code=formulary-item,ClinicalUseDefinition", ["Basic/item", "Basic/item5", "Basic/of-use"]),
        ("Basic?_id=use", []),
        ("Basic?_id=item", ["Basic/item"]),
    ],
)
def test_each_kind_is_searched_by_its_own_parameters(server: InProcess, query: str, found: list[str]) -> None:
    assert shown(server, query) == [("match", one) for one in found]


def test_includes_bring_both_kinds(server: InProcess) -> None:
    assert shown(server, "Basic?_id=of-use&_include=Basic:subject") == [
        ("include", "Basic/use"),
        ("match", "Basic/of-use"),
    ]
    assert shown(server, "Medication?_id=m&_revinclude=Basic:subject") == [
        ("include", "Basic/item"),
        ("include", "Basic/item5"),
        ("match", "Medication/m"),
    ]
    assert shown(server, "Medication?_id=m&_revinclude=*") == [
        ("include", "Basic/item"),
        ("include", "Basic/item5"),
        ("include", "Basic/use"),
        ("match", "Medication/m"),
    ]


def test_one_is_not_written_where_the_other_is(server: InProcess) -> None:
    assert put(server, basic("use", "Medication/m"), "r4").status == 409
    stands = {"resourceType": "Basic", "id": "new", "code": {"coding": [{"system": TYPES, "code": "Ingredient"}]}}
    assert put(server, stands, "r4").status == 422
    assert server.ask("DELETE", "/fhir/r4/Basic/of-use").status == 204
    assert server.ask("GET", "/fhir/r4/Basic/use").status == 200


def test_a_basic_that_was_written_in_r5_is_read_where_both_have_an_id(server: InProcess) -> None:
    assert put(server, basic("use", "Medication/m"), "r5").status == 201
    read = server.ask("GET", "/fhir/r4/Basic/use").json
    assert read["code"] == ITEM
    assert len(server.ask("GET", "/fhir/r4/Basic/use/_history").json["entry"]) == 1
    assert server.ask("GET", "/fhir/r5/ClinicalUseDefinition/use").status == 200
