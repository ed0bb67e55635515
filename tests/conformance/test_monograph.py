"""What the shipped content answers when it is asked as a pharmacist asks: what is denied, what a narrower code finds,
and in R4 and R4B what only R5 has a type for. https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.conformance.harness import Answer, InProcess
from tests.content.clonazepam_audit import AUDIT
from tests.content.monograph import SHIPPED, Resource

ICD = "http://hl7.org/fhir/sid/icd-10-cm|"
USES = "ClinicalUseDefinition"


def of_type(*types: str) -> list[Resource]:
    """The resources of the content with one of the types."""
    return [one for one in SHIPPED.resources.values() if one["resourceType"] in types]


def told(answer: Answer) -> str:
    """The words of the outcome of a search."""
    assert answer.status == 200, answer.body
    entries = [one["resource"] for one in answer.json.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return " ".join(issue["details"]["text"] for one in entries for issue in one["issue"])


def included(answer: Answer) -> dict[str, Any]:
    """The resources that includes added, by the end of their address."""
    entries = [one for one in answer.json["entry"] if one["search"]["mode"] == "include"]
    return {"/".join(one["fullUrl"].split("/")[-2:]): one["resource"] for one in entries}


def search(server: InProcess, path: str, version: str = "r5") -> Answer:
    return server.ask("GET", f"/fhir/{version}/{quote(path, safe='/?&=:,')}")


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
@pytest.mark.parametrize("code", ["G43", "G43.909"])
@pytest.mark.parametrize("kind", ["MedicationKnowledge", USES])
def test_what_is_denied_is_told_where_no_use_is_found(
    content_server: InProcess, kind: str, code: str, version: str
) -> None:
    leading = "Basic?code=ClinicalUseDefinition&" if (kind, version) == (USES, "r4") else f"{kind}?"
    answer = search(content_server, f"{leading}indication={ICD}{code}", version)
    assert not answer.ids
    assert "contrary" in told(answer)
    assert "prevention of migraine" in told(answer)
    assert "infantile" not in told(answer)
    assert "no evidence" not in told(answer)


def test_a_population_leads_from_its_name_to_the_uses(content_server: InProcess) -> None:
    answer = search(content_server, f"{USES}?population:Group.name=children")
    assert sorted(answer.ids) == ["epilepsy-in-children", "rare-childhood-epilepsies"]


def test_a_denial_is_found_whatever_else_the_question_says_of_uses(content_server: InProcess) -> None:
    answer = search(content_server, f"{USES}?indication={ICD}G43&type=indication&category=off-label")
    assert "not-effective-migraine-prevention" in told(answer)
    other = search(content_server, f"{USES}?indication={ICD}G43&subject=Medication/klonopin-1-mg-tablet")
    assert "contrary" not in told(other)
    assert "no evidence" in told(other)


def test_an_answer_with_matches_and_one_that_nothing_denies_tell_no_denial(content_server: InProcess) -> None:
    found = search(content_server, f"{USES}?indication={ICD}F41.0")
    assert found.ids
    assert "contrary" not in told(found)
    assert "no evidence" in told(search(content_server, f"{USES}?indication={ICD}J45"))


@pytest.mark.parametrize(("code", "above"), [("G40.909", True), ("F41.9", True), ("G47.00", True), ("J45.909", False)])
def test_a_narrow_code_without_a_match_is_told_that_a_wider_one_has_some(
    content_server: InProcess, code: str, above: bool
) -> None:
    answer = search(content_server, f"MedicationKnowledge?indication={ICD}{code}")
    assert not answer.ids
    assert ("indication:above" in told(answer)) == above
    assert search(content_server, f"MedicationKnowledge?indication:above={ICD}{code}").ids == ["clonazepam"] * above


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("limitation=G43", ["not-effective-migraine-prevention"]),
        ("effect-statement=not-effective", ["not-effective-infantile-spasms", "not-effective-migraine-prevention"]),
        ("effect-statement=not-suitable", ["limitation-long-term-seizure-treatment"]),
        ("effect-statement=responds", ["bruxism", "rem-sleep-behavior-disorder"]),
        (f"limitation:above={ICD}G43.909", ["not-effective-migraine-prevention"]),
        ("population=Group/children", ["epilepsy-in-children", "rare-childhood-epilepsies"]),
        ("other-therapy=8183", ["non-convulsive-status-epilepticus"]),
        ("interactant:missing=false", []),
    ],
)
@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_uses_and_limitations_are_found_by_what_they_say(
    content_server: InProcess, asked: str, ids: list[str], version: str
) -> None:
    path = f"Basic?code={USES}&{asked}" if version == "r4" else f"{USES}?{asked}"
    answer = search(content_server, path, version)
    assert sorted(answer.ids) == ids
    if ids:
        assert answer.json["total"] == len(ids)
        assert [one["fullUrl"].split("/")[-2] for one in answer.json["entry"]] == [path.split("?")[0]] * len(ids)


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_the_discrepancies_of_a_use_are_found_in_every_release(content_server: InProcess, version: str) -> None:
    kind = "ArtifactAssessment"
    path = f"{kind}?" if version == "r5" else f"Basic?code={kind}&"
    answer = search(content_server, f"{path}artifact=ClinicalUseDefinition/restless-legs-syndrome", version)
    assert answer.ids == ["discrepancy-03"]


@pytest.mark.parametrize("version", ["r4", "r4b"])
def test_each_resource_that_an_older_release_lacks_a_type_for_is_read_as_basic(
    content_server: InProcess, version: str
) -> None:
    kinds = ["ClinicalUseDefinition", "ArtifactAssessment"] if version == "r4" else ["ArtifactAssessment"]
    for resource in of_type(*kinds):
        answer = content_server.ask("GET", f"/fhir/{version}/Basic/{resource['id']}")
        assert answer.status == 200, resource["id"]
        assert answer.headers["etag"]
        basic = answer.json
        assert basic["code"]["coding"] == [
            {"system": "http://hl7.org/fhir/fhir-types", "code": resource["resourceType"]}
        ]
        profile = f"http://hl7.org/fhir/5.0/StructureDefinition/profile-{resource['resourceType']}"
        assert profile in basic["meta"]["profile"]
        assert not validate(basic, FhirVersion.R4 if version == "r4" else FhirVersion.R4B)


def test_pages_of_what_is_read_as_basic_lead_through_all_of_it(content_server: InProcess) -> None:
    found: list[str] = []
    url: str | None = "/fhir/r4/Basic?code=ClinicalUseDefinition&_count=10"
    while url is not None:
        answer = content_server.ask("GET", url)
        assert answer.links["self"].count("code=ClinicalUseDefinition") == 1
        found += answer.ids
        url = answer.links.get("next")
    assert sorted(found) == sorted(one["id"] for one in of_type(USES))


def test_a_search_for_basic_says_what_it_would_find_by_its_type(content_server: InProcess) -> None:
    def told(query: str) -> list[str]:
        found = [one["resource"] for one in content_server.ask("GET", f"/fhir/{query}").json.get("entry", ())]
        outcomes = [one for one in found if one["resourceType"] == "OperationOutcome"]
        return [issue["details"]["text"] for one in outcomes for issue in one["issue"]]

    (said,) = told("r4/Basic?_id=restless-legs-syndrome")
    assert "1 ClinicalUseDefinition left out" in said
    assert told("r4/Basic?_id=nothing-at-all") == told("r5/Basic?_id=restless-legs-syndrome") == []
    assert told("r4/Basic?code=ClinicalUseDefinition&_id=restless-legs-syndrome") == []


def test_an_include_in_r4_resolves_to_the_basic_that_a_reference_names(content_server: InProcess) -> None:
    answer = search(
        content_server,
        "MedicationKnowledge?_id=clonazepam&_include=MedicationKnowledge:indication-reference"
        "&_include=MedicationKnowledge:clinical-use-issue",
        "r4",
    )
    added = included(answer)
    assert {key for key in added if key.startswith("Basic/")} == {f"Basic/{one['id']}" for one in of_type(USES)}
    text = answer.body.decode()
    for one in of_type(USES):
        assert f'"reference":"Basic/{one["id"]}"' in text.replace('": "', '":"')
    assert "left out" not in told(answer)


def test_a_version_of_what_is_read_as_basic_is_read_as_basic(content_server: InProcess) -> None:
    answer = content_server.ask("GET", "/fhir/r4/Basic/bruxism/_history/1")
    assert (answer.status, answer.json["resourceType"]) == (200, "Basic")
    assert content_server.ask("GET", "/fhir/r4/Basic/bruxism/_history/7").status == 404
    assert content_server.ask("GET", "/fhir/r4/Basic/nothing").status == 404
    assert content_server.ask("GET", "/fhir/r5/Basic/bruxism").status == 404


@pytest.mark.parametrize(
    ("version", "release"), [("r4", FhirVersion.R4), ("r4b", FhirVersion.R4B), ("r5", FhirVersion.R5)]
)
def test_the_monograph_is_a_document_without_a_finding(
    content_server: InProcess, version: str, release: FhirVersion
) -> None:
    answer = content_server.ask("GET", f"/fhir/{version}/Composition/clonazepam-monograph/$document")
    assert answer.status == 200
    document = answer.json
    assert (document["type"], document["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    ids = {entry["resource"]["id"] for entry in document["entry"]}
    assert {one["id"] for one in of_type(USES, "ArtifactAssessment", "Evidence")} <= ids
    assert [issue.diagnostics for issue in validate(document, release) if issue.severity != "information"] == []


def test_a_document_is_made_of_what_is_there_and_is_not_stored(content_server: InProcess) -> None:
    ask = content_server.ask
    first, second = (ask("GET", "/fhir/r5/Composition/clonazepam-monograph/$document").json for _ in range(2))
    assert first["identifier"] != second["identifier"]
    assert ask("GET", "/fhir/r5/Composition/clonazepam-monograph/$document?persist=true").status == 400
    assert ask("GET", "/fhir/r5/Composition/nothing/$document").status == 404
    assert ask("GET", "/fhir/r5/Medication/clonazepam/$document").status == 404


def test_a_basic_that_stands_for_another_resource_is_not_written(empty_server: InProcess) -> None:
    def put(version: str, resource: dict[str, Any]) -> Answer:
        headers = {"Content-Type": "application/fhir+json"}
        path = f"/fhir/{version}/{resource['resourceType']}/{resource['id']}"
        return empty_server.ask("PUT", path, headers, json.dumps(resource))

    use = {"resourceType": USES, "id": "stood-for", "type": "warning", "warning": {"description": "w"}}
    assert put("r5", use).status == 201
    basic = empty_server.ask("GET", "/fhir/r4/Basic/stood-for").json
    assert put("r4", basic).status == 422
    plain = {"resourceType": "Basic", "id": "stood-for", "code": {"text": "note"}}
    assert put("r4", plain).status == 409
    assert put("r4", {**plain, "id": "of-its-own"}).status == 201
    assert search(empty_server, "Basic?_id=of-its-own,stood-for", "r4").ids == ["of-its-own"]
    assessment = {"resourceType": "ArtifactAssessment", "id": "stood-for", "artifactUri": "http://example.org/x"}
    assert put("r5", assessment).status == 201
    assert empty_server.ask("GET", "/fhir/r4/Basic/stood-for").status == 409
    assert empty_server.ask("GET", "/fhir/r4b/Basic/stood-for").status == 200


def test_a_document_refers_to_nothing_that_is_not_there(empty_server: InProcess) -> None:
    composition = {
        "resourceType": "Composition",
        "id": "whole",
        "status": "final",
        "type": {"text": "note"},
        "date": "2026-11-27",
        "author": [{"display": "A"}],
        "title": "T",
        "section": [{"title": "S", "entry": [{"reference": "Medication/document-entry"}]}],
    }
    medication = {"resourceType": "Medication", "id": "document-entry", "code": {"text": "m"}}
    headers = {"Content-Type": "application/fhir+json"}
    for one in (medication, composition):
        path = f"/fhir/r5/{one['resourceType']}/{one['id']}"
        assert empty_server.ask("PUT", path, headers, json.dumps(one)).status == 201
    document = empty_server.ask("GET", "/fhir/r5/Composition/whole/$document").json
    assert [entry["resource"]["id"] for entry in document["entry"]] == ["whole", "document-entry"]


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_all_claims_are_in_what_a_release_answers(content_server: InProcess, version: str) -> None:
    texts: dict[str, str] = {}
    for row in AUDIT:
        if row.place not in texts:
            identity = row.place.partition("/")[2]
            served = content_server.ask("GET", f"/fhir/{version}/{row.place}")
            if served.status == 404:
                served = content_server.ask("GET", f"/fhir/{version}/Basic/{identity}")
            assert served.status == 200, row.place
            texts[row.place] = served.body.decode()
        assert f'"clonazepam:{row.claim}"' in texts[row.place]
    assert {row.claim for row in AUDIT} == {f"S{number}" for number in range(1, 81)}


def test_a_tablet_is_found_by_its_generic_drug_and_clonazepam_by_its_unii(content_server: InProcess) -> None:
    for code, identity in (("197527", "0-5"), ("197528", "1"), ("197529", "2")):
        for kind in ("Medication", "MedicationKnowledge"):
            system = "http://www.nlm.nih.gov/research/umls/rxnorm"
            assert search(content_server, f"{kind}?code={system}|{code}").ids == [f"klonopin-{identity}-mg-tablet"]
    assert search(content_server, "MedicationKnowledge?code=http://fdasis.nlm.nih.gov|5PE9FDE8GB").ids == ["clonazepam"]
