"""Elements that the releases divide in two ways come back as they went, and an edit in between counts."""

from __future__ import annotations

import pytest

from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert

R4, _, R5 = FhirVersion
A, B = {"text": "a"}, {"text": "b"}
C1, C2 = {"reference": "Condition/1"}, {"reference": "Condition/2"}
ORIGINAL = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Procedure.reason"


def procedure(**elements: object) -> JSON:
    return {"resourceType": "Procedure", "status": "completed", "subject": {"reference": "Patient/1"}, **elements}


@pytest.mark.parametrize(
    ("reason", "codes", "references", "carried"),
    [
        ([{"concept": A}], [A], None, False),
        ([{"concept": A}, {"reference": C1}, {"reference": C2}], [A], [C1, C2], False),
        ([{"reference": C1}, {"concept": A}], [A], [C1], True),
        ([{"concept": A, "reference": C1}], [A], [C1], True),
        ([{"id": "x", "concept": A}], [A], None, True),
        ([{"concept": A}, {"reference": {"reference": "Patient/1"}}], [A], None, True),
    ],
)
def test_reasons_are_found_where_r4_has_them_and_come_back_in_their_order(
    reason: list[JSON], codes: list[JSON] | None, references: list[JSON] | None, carried: bool
) -> None:
    there = convert(procedure(reason=reason), R5, R4)
    assert there.resource.get("reasonCode") == codes
    assert there.resource.get("reasonReference") == references
    assert (ORIGINAL in str(there.resource.get("extension"))) is carried
    assert bool(there.issues) is carried
    assert convert(there.resource, R4, R5).resource == procedure(reason=reason)


def test_what_r4_edited_counts_and_the_original_stays_to_be_seen() -> None:
    there = convert(procedure(reason=[{"reference": C1}, {"concept": A}]), R5, R4).resource
    there["reasonCode"] = [B]
    back = convert(there, R4, R5).resource
    assert back["reason"] == [{"concept": B}, {"reference": C1}]
    assert [one["url"] for one in back["extension"]] == [ORIGINAL, ORIGINAL]


def test_the_original_alone_is_enough() -> None:
    there = convert(procedure(reason=[{"reference": C1}, {"concept": A}]), R5, R4).resource
    del there["reasonCode"], there["reasonReference"]
    assert convert(there, R4, R5).resource == procedure(reason=[{"reference": C1}, {"concept": A}])


def test_a_person_of_another_function_is_carried_beside_those_that_r4_has_an_element_for() -> None:
    system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    participants = [
        {"function": {"coding": [{"system": system, "code": code}]}, "actor": {"reference": f"Practitioner/{code}"}}
        for code in ("verifier", "enterer", "informant")
    ]
    condition = {"resourceType": "Condition", "clinicalStatus": A, "subject": C1, "participant": participants}
    there = convert(condition, R5, R4).resource
    assert there["recorder"] == {"reference": "Practitioner/enterer"}
    assert there["asserter"] == {"reference": "Practitioner/informant"}
    assert convert(there, R4, R5).resource == condition


def test_an_organization_has_its_own_address_in_r4_and_its_contacts_keep_theirs() -> None:
    own, theirs = {"city": "Basel"}, {"city": "Bern"}
    contacts = [{"address": own}, {"purpose": A, "name": [{"text": "n"}], "address": theirs}]
    there = convert({"resourceType": "Organization", "contact": contacts}, R5, R4).resource
    assert there["address"] == [own]
    assert there["contact"] == [{"purpose": A, "name": {"text": "n"}, "address": theirs}]
    assert convert(there, R4, R5).resource["contact"] == contacts
