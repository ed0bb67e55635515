"""The modifiers that look into the texts of a token: https://hl7.org/fhir/R5/search.html#modifiertext,
#modifiertextadvanced and #modifiercodetext; https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}
BASES = ("/fhir/r4", "/fhir/r4b", "/fhir/r5")
DRUGS = "http://ex.org/drugs"


def medication(name: str, code: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": name, "code": code, "status": "active"}


RESOURCES: list[dict[str, Any]] = [
    medication("text", {"text": "Amoxicillin capsule"}),
    medication("display", {"coding": [{"system": DRUGS, "code": "1", "display": "Amoxicillin 250 mg"}]}),
    medication("silent", {"coding": [{"system": DRUGS, "code": "2"}]}),
    {
        "resourceType": "Medication", "id": "named", "code": {"text": "x"},
        "identifier": [
            {"value": "7", "type": {"text": "Amoxicillin number", "coding": [{"code": "c", "display": "Kind"}]}},
        ],
    },
    {
        "resourceType": "CodeSystem", "id": "drugs", "url": DRUGS, "status": "active", "content": "complete",
        "concept": [{"code": "1", "display": "Penicillin V"}, {"code": "2", "display": "Amoxicillin forte"}],
    },
]  # fmt: skip


@pytest.fixture
def server(database_url: str) -> Iterator[InProcess]:
    settings = Settings(database=database_url, content="", resource_types="*")
    store = open_store(settings)
    made = InProcess(settings, store)
    for one in RESOURCES:
        answer = made.ask("PUT", f"/fhir/r5/{one['resourceType']}/{one['id']}", JSON, json.dumps(one))
        assert answer.status == 201, answer.body
    yield made
    store.close()


FOUND: dict[str, list[str]] = {
    # The text and the displays that are in the resource; they begin with the value, whatever the case.
    "code:text=amox": ["display", "text"],
    "code:text=AMOXICILLIN 250": ["display"],
    "code:text=capsule": [],
    "code:text=amoxicillin,x": ["display", "named", "text"],
    # What a code system says of a code is in no resource, and does not count.
    "code:text=penicillin": [],
    "code:text=amoxicillin forte": [],
    # Of an identifier the text of its type counts, and nothing else.
    "identifier:text=amoxicillin": ["named"],
    "identifier:text=7": [],
    "identifier:text=kind": [],
    # A code alone says nothing in words.
    "status:text=active": [],
    "code:text-advanced=capsule": ["text"],
    "code:text-advanced=amoxicillin NOT capsule": ["display"],
    "code:text-advanced=penicillin OR forte": [],
    "code:code-text=1": ["display"],
    "code:code-text=amox": [],
    "status:code-text=ACT": ["display", "silent", "text"],
}


def test_the_words_that_are_in_the_resource_count_and_those_of_code_systems_do_not(server: InProcess) -> None:
    for base in BASES:
        for query, expected in FOUND.items():
            name, _, value = query.partition("=")
            answer = server.ask("GET", f"{base}/Medication?{name}={quote(value, ',')}")
            assert answer.status == 200, (base, query, answer.body)
            assert sorted(answer.ids) == expected, (base, query)


def test_what_has_no_words_refuses_to_look_for_them(server: InProcess) -> None:
    for base in BASES:
        for query in (
            "_id:text=x",
            "_lastUpdated:text=x",
            "code:text-fuzzy=x",
            "code:exact=x",
            "expiration-date:text=x",
        ):
            answer = server.ask("GET", f"{base}/Medication?{query}")
            assert answer.status == 400, (base, query)
            assert query.partition(":")[0] in answer.body.decode()
