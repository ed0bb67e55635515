"""Searches in a compartment: https://hl7.org/fhir/R5/search.html#searchcontexts"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, problems, told
from tests.conformance.walk import forwards
from tests.databases import session_database

BASES = ["/fhir/r4", "/fhir/r4b", "/fhir/r5"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def resources() -> Iterator[dict[str, Any]]:
    """In R4: two patients, what is about them, and what is about nobody."""
    for patient in ("one", "two"):
        yield {"resourceType": "Patient", "id": patient, "active": True}
    yield {"resourceType": "Practitioner", "id": "doc", "active": True}
    yield {"resourceType": "Medication", "id": "m", "status": "active"}
    for number, patient in enumerate(("one", "one", "one", "two")):
        yield {
            "resourceType": "Observation",
            "id": f"obs{number}",
            "status": "final" if number else "amended",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{patient}"},
            "performer": [{"reference": "Practitioner/doc" if number == 3 else f"Patient/{patient}"}],
        }
    # In the compartment of the first as performer, not as subject.
    performed = {"reference": "Patient/one"}
    yield {
        **{"resourceType": "Observation", "id": "performed", "status": "final", "code": {"text": "x"}},
        **{"subject": {"reference": "Patient/two"}, "performer": [performed]},
    }
    yield {
        **{"resourceType": "AllergyIntolerance", "id": "allergy"},
        **{"patient": {"reference": "Patient/one"}, "code": {"text": "x"}},
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
    }


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with session_database(request, tmp_path_factory) as url:
        settings = Settings(database=url, content="", resource_types="*")
        made = InProcess(settings, open_store(settings))
        for one in resources():
            path = f"/fhir/r4/{one['resourceType']}/{one['id']}"
            answer = made.ask("PUT", path, {"Content-Type": "application/fhir+json"}, json.dumps(one))
            assert answer.status == 201, answer.body
        yield made
        made.store.close()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Patient/one/Observation", ["obs0", "obs1", "obs2", "performed"]),
        ("Patient/two/Observation", ["obs3", "performed"]),
        ("Patient/never/Observation", []),
        ("Patient/one/Observation?status=final", ["obs1", "obs2", "performed"]),
        ("Patient/one/Observation?subject=Patient/two", ["performed"]),
        ("Patient/one/AllergyIntolerance", ["allergy"]),
        ("Patient/one/Patient", ["one"]),
        ("Patient/one/*", ["allergy", "obs0", "obs1", "obs2", "one", "performed"]),
        ("Patient/one/*?_type=Observation,Patient", ["obs0", "obs1", "obs2", "one", "performed"]),
        ("Patient/one/*?_id=obs1", ["obs1"]),
        ("Practitioner/doc/Observation", ["obs3"]),
    ],
)
def test_a_compartment_holds_what_its_parameters_lead_from(
    server: InProcess, base: str, search: str, expected: list[str]
) -> None:
    path, _, query = search.partition("?")
    answer = server.ask("GET", f"{base}/{search}")
    assert answer.status == 200, answer.body
    assert sorted(answer.ids) == expected
    assert answer.links["self"] == f"{server.address}{base}/{search}"
    posted = server.ask("POST", f"{base}/{path}/_search", FORM, query)
    assert sorted(posted.ids) == expected
    paged = forwards(server, f"{base}/{search}{'&' if query else '?'}_count=2")
    assert sorted(found for page in paged for found in page.ids) == expected
    assert all(f"{base}/{path}?" in page.links["self"] for page in paged)


@pytest.mark.parametrize("base", BASES)
def test_what_has_or_is_in_no_compartment_is_404_and_says_what_finds_it(server: InProcess, base: str) -> None:
    for path, says in (
        ("Organization/o/Medication", "Medication?manufacturer=" if base == "/fhir/r4" else "Medication?"),
        ("Patient/one/Medication", "in no compartment"),
        ("Patient/one/Obsevation", "did you mean 'Observation'"),
        ("Nonsense/one/Observation", "Nonsense"),
        ("Patient/one/Observation/x", "nothing"),
    ):
        answer = server.ask("GET", f"{base}/{path}")
        assert answer.status == 404, answer.body
        if says != "nothing":
            assert says in " ".join(map(told, problems(answer)))
    assert server.ask("GET", f"{base}/Patient/a_b/Observation").status == 400
    strict = {"Prefer": "handling=strict"}
    assert server.ask("GET", f"{base}/Patient/one/Observation?bogus=1", strict).status == 400
    # A page belongs to its compartment.
    link = server.ask("GET", f"{base}/Patient/one/Observation?_count=1").links["next"]
    assert server.ask("GET", link.replace("Patient/one", "Patient/two")).status == 400


@pytest.mark.parametrize("version", FhirVersion)
def test_the_capability_statement_lists_the_compartments_of_the_release(
    server: InProcess, empty_server: InProcess, version: FhirVersion
) -> None:
    statement = server.ask("GET", f"/fhir/{version.segment}/metadata").json
    listed = statement["rest"][0]["compartment"]
    assert listed == [one.url for one in definitions(version).compartments().values()]
    assert "http://hl7.org/fhir/CompartmentDefinition/patient" in listed
    fewer = empty_server.ask("GET", f"/fhir/{version.segment}/metadata").json
    assert "compartment" not in fewer["rest"][0]


@pytest.mark.parametrize("version", FhirVersion)
def test_every_search_in_every_compartment_of_the_release_is_answered(server: InProcess, version: FhirVersion) -> None:
    for kind, definition in definitions(version).compartments().items():
        for resource_type in filter(server.service.registry(version).serves, sorted(definition.types)):
            answer = server.ask("GET", f"/fhir/{version.segment}/{kind}/x/{resource_type}")
            assert answer.status == 200, (kind, resource_type, answer.body)
