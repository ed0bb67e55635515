"""TerminologyCapabilities: https://hl7.org/fhir/R5/terminologycapabilities.html"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess
from tests.conformance.test_capabilities import BASES
from tests.versions.corpus import broken_rules, refused_by_models

JSON = {"Content-Type": "application/fhir+json"}
OWN = "http://ex.org/own"


def system(identity: str, version: str | None, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "CodeSystem",
        "id": identity,
        "url": OWN,
        "status": "active",
        "content": "complete",
        "concept": [{"code": identity}],
        **more,
    }
    return found if version is None else {**found, "version": version}


SYSTEMS = [
    system("v1", "1.0.0"),
    system("v2", "2.0.0"),
    system("draft", "10.0.0", status="draft"),
    system("part", None, url="http://ex.org/part", content="fragment"),
    system("none", None, url="http://ex.org/none", content="not-present", concept=[]),
    system("more", "1", url="http://ex.org/more", content="supplement", supplements=OWN),
]


@pytest.fixture
def server(emptied_url: str) -> Iterator[InProcess]:
    settings = Settings(database=emptied_url, content="", resource_types="*")
    store = open_store(settings)
    made = InProcess(settings, store)
    for one in SYSTEMS:
        put(made, {key: value for key, value in one.items() if value != []})
    yield made
    store.close()


def put(server: InProcess, resource: dict[str, Any]) -> None:
    path = f"/fhir/r5/CodeSystem/{resource['id']}"
    answer = server.ask("PUT", path, JSON, json.dumps(resource))
    assert answer.status in (200, 201), answer.body


def capabilities(server: InProcess, base: str = "/fhir/r5") -> Any:
    answer = server.ask("GET", f"{base}/metadata?mode=terminology")
    assert answer.status == 200, answer.body
    return answer.json


def listed(found: Any) -> dict[str, Any]:
    return {one["uri"]: one for one in found["codeSystem"]}


def test_it_is_right_in_every_release(server: InProcess) -> None:
    for base, version in BASES.items():
        found = capabilities(server, base)
        assert broken_rules(found, version) == set()
        assert refused_by_models(found, version) is None
        assert ("content" in found["codeSystem"][0]) is (version is FhirVersion.R5)
        assert found["implementation"]["url"] == server.address + base


def test_the_code_systems_are_those_that_are_held(server: InProcess) -> None:
    found = listed(capabilities(server))
    versions = [(one["code"], one["isDefault"]) for one in found[OWN]["version"]]
    assert versions[0] == ("2.0.0", True)
    assert {*versions[1:]} == {("1.0.0", False), ("10.0.0", False)}
    assert found["http://ex.org/part"]["content"] == "fragment"
    assert found["http://ex.org/none"]["subsumption"] is False
    assert "http://ex.org/more" not in found
    assert "http://hl7.org/fhir/administrative-gender" in found


def test_the_default_version_is_the_one_that_answers(server: InProcess) -> None:
    for url in (OWN, "http://hl7.org/fhir/administrative-gender"):
        (default,) = (one["code"] for one in listed(capabilities(server))[url]["version"] if one["isDefault"])
        code = "male" if url != OWN else "v2"
        answer = server.ask("GET", f"/fhir/r5/CodeSystem/$lookup?system={quote(url)}&code={code}")
        assert {"name": "version", "valueString": default} in answer.json["parameter"]


def test_a_code_system_that_is_written_or_deleted_counts_at_once(server: InProcess) -> None:
    put(server, system("v3", "3.0.0"))
    assert listed(capabilities(server))[OWN]["version"][0] == {
        "code": "3.0.0", "isDefault": True, "compositional": False
    }  # fmt: skip
    server.ask("DELETE", "/fhir/r5/CodeSystem/v3", JSON)
    assert listed(capabilities(server))[OWN]["version"][0]["code"] == "2.0.0"


def test_the_parameters_are_those_that_expand_takes(server: InProcess) -> None:
    expansion = capabilities(server)["expansion"]
    names = [one["name"] for one in expansion["parameter"]]
    assert names == sorted(set(names))
    refused = server.ask("GET", "/fhir/r5/ValueSet/$expand?url=http://x&nonsense=1").json["issue"][0]
    told = json.dumps(refused)
    assert all(name in told for name in names)


def test_it_is_asked_again_for_little(server: InProcess) -> None:
    first = server.ask("GET", "/fhir/r5/metadata?mode=terminology")
    again = server.ask("GET", "/fhir/r5/metadata?mode=terminology", {"If-None-Match": first.headers["etag"]})
    assert again.status == 304
