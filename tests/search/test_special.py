"""Parameters of type special: served where they look for words, refused in words where they need what is not here.

https://hl7.org/fhir/R5/search.html#special
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search import special
from apothecary.search.parameter import standard_parameters, unserved
from apothecary.search.types import resource_text
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess
from tests.waiting import until

FHIR_JSON = {"Content-Type": "application/fhir+json"}
STRICT = {"Prefer": "handling=strict"}


def section(words: str, **more: object) -> JSON:
    return {
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}
    } | more


COMPOSITION: JSON = {
    "resourceType": "Composition",
    "id": "c",
    "status": "final",
    "type": {"text": "Leaflet"},
    "date": "2024-05-01",
    "author": [{"display": "A"}],
    "title": "Leaflet",
    "section": [section("Take it with water.", section=[section("Never with <b>grapefruit</b>.")])],
}


@pytest.fixture
def server(database_url: str) -> Iterator[InProcess]:
    settings = Settings(database=database_url, content="", resource_types="*")
    made = InProcess(settings, open_store(settings))
    yield made
    made.store.close()


def put(server: InProcess, resource: JSON, base: str = "r5") -> Answer:
    path = f"/fhir/{base}/{resource['resourceType']}/{resource['id']}"
    return server.ask("PUT", path, FHIR_JSON, dumps(resource).decode())


def total(server: InProcess, query: str) -> int:
    answer = server.ask("GET", f"/fhir/{query}", STRICT)
    assert answer.status == 200, answer.body
    return int(answer.json["total"])


def test_the_words_of_sections_are_found_whatever_release_wrote_them(server: InProcess) -> None:
    older = COMPOSITION | {"id": "d", "section": [section("Take it at night.")]}
    assert put(server, COMPOSITION).status == 201
    assert put(server, older, "r4").status == 201
    assert total(server, "r5/Composition?section-text=water") == 1
    assert total(server, "r5/Composition?section-text=grapefruit AND water") == 1
    assert total(server, "r5/Composition?section-text=%22take%20it%22") == 2
    assert total(server, "r5/Composition?section-text=night") == 1
    assert total(server, "r5/Composition?section-text=leaflet") == 0
    assert total(server, "r5/Composition?section-text:missing=true") == 0
    assert put(server, COMPOSITION | {"section": [section("Nothing of that.")]}).status == 200
    assert total(server, "r5/Composition?section-text=grapefruit") == 0


def test_one_of_the_content_looks_for_words_too(server: InProcess) -> None:
    own = {
        "resourceType": "SearchParameter",
        "id": "first",
        "url": "http://ex.org/first",
        "name": "first",
        "status": "active",
        "description": "d",
        "code": "first-section",
        "base": ["Composition"],
        "type": "special",
        "processingMode": "normal",
        "expression": "Composition.section.text",
    }
    assert put(server, own).status == 201
    assert put(server, COMPOSITION).status == 201
    query = "/fhir/r4/Composition?first-section=water"
    assert until(lambda: server.ask("GET", query, STRICT).status == 200)
    assert total(server, "r4/Composition?first-section=water") == 1
    assert total(server, "r4/Composition?first-section=grapefruit") == 0
    refused = put(
        server, own | {"id": "title", "url": "http://ex.org/t", "code": "t", "expression": "Composition.title"}
    )
    assert refused.status == 422
    assert "a special parameter cannot read string" in refused.body.decode()


@pytest.mark.parametrize(("base", "code"), [("r4", "near"), ("r4b", "near"), ("r5", "near"), ("r5", "contains")])
def test_what_needs_a_map_is_refused_with_the_reason(server: InProcess, base: str, code: str) -> None:
    query = f"/fhir/{base}/Location?{code}=42.2|-83.7|11.2|km"
    strict, lenient = server.ask("GET", query, STRICT), server.ask("GET", query)
    assert strict.status == 400
    assert "no index here" in strict.body.decode()
    assert lenient.status == 200
    assert "no index here" in lenient.body.decode()
    assert code not in lenient.json["link"][0]["url"]


def test_every_special_parameter_is_served_or_has_a_reason() -> None:
    everywhere = special.PARAMETERS | resource_text.PARAMETERS | {"_has", "_query", "_type"}
    undecided = []
    for version in FhirVersion:
        for kind in definitions(version).resource_types():
            served = everywhere | {one.code for one in standard_parameters(kind, version)}
            for code, one in definitions(version).search_parameters(kind).items():
                if one.type == "special" and code not in served and not unserved(kind, version, code):
                    undecided.append((version, kind, code))
    assert undecided == []
