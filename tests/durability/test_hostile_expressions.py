"""No expression or pattern of a request stops a server, fills its memory, or keeps others from their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.testing import ServerProcess
from tests.conformance.harness import OverHttp, problems
from tests.durability.health import always_healthy, listening

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/fhir+json"}
PROFILE = "http://ex.org/StructureDefinition/hostile"
# A process holds some 100 MB when it has served everything once.
MOST_MEMORY = 400_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile"), {"resource_types": "*", "workers": 1}) as server:
        yield server


@pytest.fixture(scope="module")
def watched(server: ServerProcess) -> Iterator[OverHttp]:
    """The server, which is healthy throughout all tests."""
    with always_healthy(server.port):
        yield OverHttp(server.port)


@pytest.fixture
def api(server: ServerProcess, watched: OverHttp) -> Iterator[OverHttp]:
    """The server, which is small after each test."""
    yield watched
    assert peak(server) < MOST_MEMORY


def peak(server: ServerProcess) -> int:
    """The most memory that a process of the server ever held, in bytes; 0 where there is no /proc."""
    told = "".join((process / "status").read_text() for process in listening(server.port))
    return max((int(kilobytes) * 1024 for kilobytes in re.findall(r"VmHWM:\s+(\d+) kB", told)), default=0)


def send(api: OverHttp, method: str, path: str, body: Any, expected: set[int]) -> Any:
    answer = api.ask(method, f"/fhir/r5/{path}", JSON, json.dumps(body))
    assert answer.status in expected, answer.body[:500]
    if answer.status >= 400:
        problems(answer)
    return answer.json


IDENTIFIERS = [{"system": "urn:x", "value": str(number)} for number in range(200)]
PATIENT = {"resourceType": "Patient", "identifier": IDENTIFIERS, "name": [{"family": "a" * 50_000}]}

CONSTRAINTS = {
    "backtracking": "name.family.matches('^(a|a)*b$').not()",
    "products": "%resource.identifier" + ".select(%resource.identifier)" * 6 + ".exists()",
    "doubling": "identifier" + ".select($this.combine($this))" * 40 + ".exists()",
    "growing text": "'a'.repeat($this & 'a').exists()",
    "large pattern": "name.family.matches('[ -~]*a.{1,1000}b').not()",
    "replacing": "name.family.replace('', name.family).exists()",
    "deep": "(" * 9_000,
    "long": "true" + " and true" * 100_000,
    "chain": "1" + "+1" * 9_000 + " > 0",
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_constraint_of_a_stored_profile_is_bounded(api: OverHttp, name: str) -> None:
    definition = {
        "resourceType": "StructureDefinition", "id": "hostile", "url": PROFILE, "name": "Hostile", "status": "draft",
        "fhirVersion": "5.0.0", "kind": "resource", "abstract": False, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient", "constraint": [
            {"key": "x-1", "severity": "error", "human": "x", "expression": CONSTRAINTS[name]},
            {"key": "x-2", "severity": "error", "human": "x", "expression": "active.exists()"},
        ]}]},
    }  # fmt: skip
    send(api, "PUT", "StructureDefinition/hostile", definition, {200, 201})
    found = send(api, "POST", f"Patient/$validate?profile={PROFILE}", PATIENT, {200})
    said = json.dumps(found)
    assert "breaks x-2" in said
    assert ("x-1 is not evaluated" in said) is (name != "backtracking")
    send(api, "POST", "Patient", {**PATIENT, "meta": {"profile": [PROFILE]}}, {400})
    send(api, "POST", "Patient", {**PATIENT, "meta": {"profile": [PROFILE]}, "active": True}, {201, 400})


PATTERNS = ("(?:[A-Za-z ]|[A-Za-z ])*!", "(a+)+b", "^(([a-z])+.)+[A-Z]([a-z])+$", r"(.)\1", "(?=a)b", ".{1,1000}" * 9)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_filter_of_a_posted_value_set_is_bounded(api: OverHttp, pattern: str) -> None:
    concepts = [{"code": f"c{number}", "display": "a" * 300} for number in range(200)]
    system = {"resourceType": "CodeSystem", "id": "letters", "url": "http://ex.org/letters", "status": "draft",
              "content": "complete", "concept": concepts}  # fmt: skip
    send(api, "PUT", "CodeSystem/letters", system, {200, 201})
    chosen = [{"property": "display", "op": "regex", "value": pattern}]
    compose = {"include": [{"system": "http://ex.org/letters", "filter": chosen}]}
    value_set = {"resourceType": "ValueSet", "status": "draft", "compose": compose}
    body = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value_set}]}
    send(api, "POST", "ValueSet/$expand", body, {200, 400, 422})


EXPRESSIONS = {
    "ways": "Patient.extension" + ".value.extension" * 5,
    "backtracking": "Patient.name.where(family.matches('^(a|a)*b$')).given",
    "reference back": "Patient.name.where(family.matches('(a)\\\\1')).given",
    "large pattern": "Patient.name.where(family.matches('[ -~]*a.{1,1000}b')).given",
    "deep": "(" * 4_000 + "Patient.name" + ")" * 4_000,
    "long": "Patient.name" + " | Patient.name" * 100_000,
    "wide": "Patient.name" + " | Patient.name" * 500,
    "nested": "Patient.name" + ".where(given.exists()" * 300 + ")" * 300,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_expression_of_a_search_parameter_is_bounded(api: OverHttp, name: str) -> None:
    parameter = {
        "resourceType": "SearchParameter", "id": "hostile", "url": "http://ex.org/SearchParameter/hostile",
        "name": "Hostile", "status": "draft", "description": "x", "code": "hostile", "base": ["Patient"],
        "type": "string", "expression": EXPRESSIONS[name],
    }  # fmt: skip
    send(api, "PUT", "SearchParameter/hostile", parameter, {200, 201, 400, 422})
    send(api, "PUT", "Patient/p", {**PATIENT, "id": "p"}, {200, 201})
    answer = api.ask("GET", "/fhir/r5/Patient?hostile=x")
    assert answer.status in (200, 400)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_path_of_a_patch_is_bounded(api: OverHttp, name: str) -> None:
    send(api, "PUT", "Patient/patched", {**PATIENT, "id": "patched"}, {200, 201})
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": EXPRESSIONS[name]}]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    send(api, "PATCH", "Patient/patched", body, {200, 400, 422})
