"""Contained resources as searches see them, on both databases: https://hl7.org/fhir/R5/search.html#contained"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.content.sync import sync
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.check import disagreements
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, HERE, ROOT, Answer, InProcess, problems, table, told
from tests.conformance.walk import forwards
from tests.databases import session_database

pytestmark = pytest.mark.slow

WORLD = json.loads((HERE / "contained.json").read_text())
SEARCHES = [(query, found) for section in table("contained.yaml").values() for query, found in section.items()]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


def started(url: str) -> InProcess:
    settings = Settings(database=url, content="", resource_types="*")
    server = InProcess(settings, open_store(settings))
    for resource in WORLD:
        assert put(server, resource).status == 201
    return server


def put(server: InProcess, resource: dict[str, Any], base: str = BASE) -> Answer:
    headers = {"Content-Type": "application/fhir+json"}
    return server.ask("PUT", f"{base}/{resource['resourceType']}/{resource['id']}", headers, json.dumps(resource))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def nested(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over contained.json, which the tests only read."""
    with session_database(request, tmp_path_factory) as url:
        server = started(url)
        yield server
        server.store.close()


@pytest.fixture
def changing(emptied_url: str) -> Iterator[InProcess]:
    """The same, for one test to write to."""
    server = started(emptied_url)
    yield server
    server.store.close()


def ask(server: InProcess, query: str, base: str = BASE) -> Answer:
    kind, mark, rest = query.partition("?")
    return server.ask("GET", f"{base}{'/' if kind else ''}{kind}{mark}{quote(rest, safe='?&=:|,._-$/')}")


def addresses(answer: Answer) -> list[str]:
    """The matches by what their fullUrl has after the base, in order."""
    entries = [one for one in answer.json.get("entry", ()) if one["search"]["mode"] == "match"]
    return [one["fullUrl"].partition("/fhir/")[2].partition("/")[2] for one in entries]


def whole(resource_type: str, resource_id: str) -> dict[str, Any]:
    return next(one for one in WORLD if (one["resourceType"], one["id"]) == (resource_type, resource_id))


def agrees(server: InProcess) -> None:
    """Index and resources of the database agree; all of them are in R5."""
    registry = server.service.registries[FhirVersion.R5]
    assert list(disagreements(server.store, lambda stored: registry.rows(parse(stored.body or b"{}")))) == []


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=named)
def test_a_search_finds_exactly_what_the_table_says(nested: InProcess, query: str, expected: Any) -> None:
    answer = ask(nested, query)
    if isinstance(expected, dict) and "refused" in expected:
        assert answer.status == 400, answer.body
        assert problems(answer)[0]["expression"] == [expected["refused"]], answer.body
        return
    assert answer.status == 200, answer.body
    wanted = expected["order"] if isinstance(expected, dict) else sorted(expected)
    found = addresses(answer)
    assert (found if isinstance(expected, dict) else sorted(found)) == wanted
    assert answer.json["total"] == len(wanted)
    assert ask(nested, f"{query}{'&' if '?' in query else '?'}_summary=count").json["total"] == len(wanted)


@pytest.mark.parametrize("kind", ["container", "contained"])
@pytest.mark.parametrize("which", ["true", "both"])
@pytest.mark.parametrize("order", ["", "&_sort=code", "&_sort=-_lastUpdated"])
def test_pages_of_one_have_every_match_once(nested: InProcess, kind: str, which: str, order: str) -> None:
    query = f"Medication?_contained={which}&_containedType={kind}{order}"
    pages = forwards(nested, f"{BASE}/{query}&_count=1")
    assert [one for page in pages for one in addresses(page)] == addresses(ask(nested, query))


def test_a_contained_match_is_the_contained_resource_as_it_was_written(nested: InProcess) -> None:
    answer = ask(nested, "Medication?code=custom&_contained=true&_containedType=contained")
    container = nested.ask("GET", f"{BASE}/MedicationRequest/mr-custom")
    assert b"2.5" in answer.body
    assert answer.json["entry"][0]["resource"] == container.json["contained"][0]
    assert answer.json["entry"][0]["fullUrl"] == f"http://localhost{BASE}/MedicationRequest/mr-custom#m1"


def test_elements_and_summaries_are_of_the_contained_match(nested: InProcess) -> None:
    query = "Medication?code=custom&_contained=true&_containedType=contained"
    shown = ask(nested, f"{query}&_elements=status").json["entry"][0]["resource"]
    assert set(shown) == {"resourceType", "id", "meta", "status"}


@pytest.mark.parametrize("kind", ["container", "contained"])
def test_only_what_was_asked_for_is_told_to_be_missing(nested: InProcess, kind: str) -> None:
    query = f"Medication?code=nothing&_contained=true&_containedType={kind}"
    assert "entry" not in ask(nested, query).json
    answer = ask(nested, query.replace("Medication?code=nothing", "ClinicalUseDefinition?type=warning"))
    (entry,) = answer.json["entry"]
    assert "holds no ClinicalUseDefinition that matches" in told(entry["resource"]["issue"][0])


def test_the_self_link_says_that_contained_resources_were_searched(nested: InProcess) -> None:
    answer = ask(nested, "Medication?_contained=true&_containedType=contained")
    assert answer.links["self"].endswith("/Medication?_contained=true&_containedType=contained")


def test_a_type_to_return_without_contained_resources_is_reported(nested: InProcess) -> None:
    answer = ask(nested, "Medication?_containedType=contained")
    (outcome,) = [one["resource"] for one in answer.json["entry"] if one["search"]["mode"] == "outcome"]
    assert outcome["issue"][0]["expression"] == ["_containedType"]
    assert "_containedType" not in answer.links["self"]
    strict = nested.ask("GET", f"{BASE}/Medication?_containedType=contained", {"Prefer": "handling=strict"})
    assert strict.status == 400


@pytest.mark.parametrize("kind", ["container", "contained"])
def test_includes_follow_the_references_of_what_is_returned(nested: InProcess, kind: str) -> None:
    include = "Medication:marketingauthorizationholder" if kind == "contained" else "MedicationRequest:subject"
    answer = ask(nested, f"Medication?code=custom&_contained=true&_containedType={kind}&_include={include}")
    found = [one["resource"]["id"] for one in answer.json["entry"] if one["search"]["mode"] == "include"]
    assert found == ["og-acme" if kind == "contained" else "p-anna"]


def test_what_a_container_has_inside_is_not_included_again(nested: InProcess) -> None:
    answer = ask(nested, "MedicationRequest?_id=mr-custom&_include=MedicationRequest:*")
    # What a contained resource points to, its container points to.
    included = ["Organization/og-acme", "Patient/p-anna"]
    assert [one["fullUrl"] for one in answer.json["entry"]] == [
        f"http://localhost{BASE}/{one}" for one in ("MedicationRequest/mr-custom", *included)
    ]


def test_the_containers_of_a_contained_match_can_be_included(nested: InProcess) -> None:
    query = "Medication?code=custom&_contained=true&_containedType=contained&_revinclude=MedicationRequest:medication"
    found = [one["resource"]["id"] for one in ask(nested, query).json["entry"] if one["search"]["mode"] == "include"]
    assert found == ["mr-custom"]


def test_an_inexact_name_finds_what_only_a_contained_resource_has(emptied_url: str) -> None:
    settings = Settings(database=emptied_url, content=str(ROOT / "resources"), resource_types="*")
    store = open_store(settings)
    sync(settings, store)
    server = InProcess(settings, store)
    inside = {"resourceType": "MedicationKnowledge", "id": "k", "name": ["Zzyzolam"]}
    topic = {"resourceType": "Basic", "id": "topic", "contained": [inside], "code": {"text": "x"},
             "subject": {"reference": "#k"}}  # fmt: skip
    assert put(server, topic).status == 201
    query = "MedicationKnowledge?drug-name:text-advanced=zzyzolan~"
    assert addresses(ask(server, query)) == []
    assert addresses(ask(server, f"{query}&_contained=true")) == ["Basic/topic"]
    found = ask(server, f"{query}&_contained=both&_containedType=contained")
    assert addresses(found) == ["Basic/topic#k"]
    assert found.json["entry"][0]["search"]["score"] < 1
    assert addresses(ask(server, "Basic?subject:MedicationKnowledge.drug-name:text-advanced=zzyzolan~")) == [
        "Basic/topic"
    ]
    store.close()


@pytest.mark.parametrize("release", ["r4", "r4b"])
def test_another_release_shows_contained_matches_its_way(nested: InProcess, release: str) -> None:
    base = f"/fhir/{release}"
    query = "Medication?code=custom&_contained=true&_containedType=contained"
    resource = ask(nested, query, base).json["entry"][0]["resource"]
    assert resource["ingredient"][0]["itemCodeableConcept"]["coding"][0]["code"] == "abc"
    assert addresses(ask(nested, "MedicationRequest?medication:Medication.code=custom", base)) == [
        "MedicationRequest/mr-custom"
    ]


def test_a_request_written_in_another_release_contains_what_it_contains(changing: InProcess) -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "mr-old",
        "status": "active",
        "intent": "order",
        "contained": [{"resourceType": "Medication", "id": "x", "code": {"coding": [{"code": "old"}]}, "ingredient": [
            {"itemCodeableConcept": {"coding": [{"code": "of-old"}]}}]}],
        "medicationReference": {"reference": "#x"},
        "subject": {"reference": "Patient/p-anna"},
    }  # fmt: skip
    assert put(changing, request, "/fhir/r4").status == 201
    assert addresses(ask(changing, "MedicationRequest?medication.ingredient-code=of-old")) == [
        "MedicationRequest/mr-old"
    ]
    found = ask(changing, "Medication?ingredient-code=of-old&_contained=true&_containedType=contained", "/fhir/r4")
    assert found.json["entry"][0]["resource"] == request["contained"][0]


def test_a_changed_container_leaves_nothing_of_what_it_contained(changing: InProcess) -> None:
    changed = {k: v for k, v in whole("MedicationRequest", "mr-custom").items() if k != "supportingInformation"}
    changed["contained"] = [{**changed["contained"][0], "code": {"coding": [{"code": "changed"}]}}]
    assert put(changing, changed).status == 200
    query = "Medication?_contained=true&_containedType=contained"
    assert addresses(ask(changing, query)) == ["Medication/md-outer#part", "MedicationRequest/mr-custom#m1"]
    assert addresses(ask(changing, f"{query}&code=custom,second")) == []
    assert addresses(ask(changing, "Organization?_contained=true")) == []
    assert addresses(ask(changing, "MedicationRequest?medication.code=changed")) == ["MedicationRequest/mr-custom"]
    agrees(changing)


def test_a_deleted_container_takes_along_what_it_contained(changing: InProcess) -> None:
    assert changing.ask("DELETE", f"{BASE}/MedicationRequest/mr-custom").status in (200, 204)
    assert addresses(ask(changing, "Medication?_contained=true&_containedType=contained")) == [
        "Medication/md-outer#part"
    ]
    assert addresses(ask(changing, "Medication?code=custom&_contained=true")) == []
    agrees(changing)
    assert put(changing, whole("MedicationRequest", "mr-custom")).status == 201
    assert addresses(ask(changing, "Medication?code=custom&_contained=true")) == ["MedicationRequest/mr-custom"]
    agrees(changing)


def test_a_tag_added_in_place_keeps_what_is_contained(changing: InProcess) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "http://ex.org/t", "code": "x"}]}}],
    }
    headers = {"Content-Type": "application/fhir+json"}
    path = f"{BASE}/MedicationRequest/mr-custom/$meta-add"
    assert changing.ask("POST", path, headers, json.dumps(parameters)).status == 200
    assert addresses(ask(changing, "Medication?code=custom&_contained=true")) == ["MedicationRequest/mr-custom"]
    agrees(changing)


def test_an_index_of_another_version_is_made_anew_with_what_is_contained(changing: InProcess) -> None:
    changing.store.write(lambda transaction: transaction.set_state("index", "of an older version"))
    assert sync(changing.settings, changing.store).reindexed == len(WORLD)
    assert addresses(ask(changing, "Medication?code=custom&_contained=true")) == ["MedicationRequest/mr-custom"]
    assert addresses(ask(changing, "MedicationRequest?medication.code=custom")) == ["MedicationRequest/mr-custom"]
    agrees(changing)


def test_what_a_contained_resource_points_to_is_pointed_to_by_its_container(changing: InProcess) -> None:
    for resource_id in ("md-alone",):
        assert changing.ask("DELETE", f"{BASE}/Medication/{resource_id}").status == 409
    assert changing.ask("DELETE", f"{BASE}/MedicationRequest/mr-plain").status in (200, 204)
    assert changing.ask("DELETE", f"{BASE}/Medication/md-alone").status in (200, 204)
    refused = changing.ask("DELETE", f"{BASE}/Organization/og-acme")
    assert refused.status == 409
    assert "MedicationRequest/mr-custom" in told(refused.json["issue"][0])
    assert "#" not in told(refused.json["issue"][0])


def test_a_contained_resource_without_an_id_is_found_at_the_address_of_its_container(changing: InProcess) -> None:
    inside = {"resourceType": "Organization", "name": "Nameless", "partOf": {"reference": "#"}}
    assert (
        put(changing, {"resourceType": "Organization", "id": "og-outer", "name": "Outer", "contained": [inside]}).status
        == 201
    )
    answer = ask(changing, "Organization?name=nameless&_contained=true&_containedType=contained")
    assert answer.json["entry"][0]["resource"] == inside
    assert addresses(answer) == ["Organization/og-outer"]
    # It points to its container.
    query = "Organization?partof:Organization._id=og-outer&_contained=true"
    assert addresses(ask(changing, query)) == ["Organization/og-outer"]


def test_no_address_leads_to_a_contained_resource(nested: InProcess) -> None:
    for path in ("Medication%23/MedicationRequest%2Fmr-custom%23m1", "Medication%23", "Medication/m1"):
        assert nested.ask("GET", f"{BASE}/{path}").status == 404
    assert "#" not in nested.ask("GET", "/").body.decode().replace('"#', "")


def test_criteria_of_a_conditional_write_mean_no_contained_resource(changing: InProcess) -> None:
    medication = {"resourceType": "Medication", "code": {"coding": [{"code": "new"}]}}
    headers = {"Content-Type": "application/fhir+json", "If-None-Exist": "code=custom"}
    assert changing.ask("POST", f"{BASE}/Medication", headers, json.dumps(medication)).status == 201
    headers["If-None-Exist"] = "code=second&_contained=both"
    assert changing.ask("POST", f"{BASE}/Medication", headers, json.dumps(medication)).status == 400
