"""What becomes what, element by element: the promises of docs/versions.md."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.errors import InvalidContent
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert, convertible, where_instead

R4, R4B, R5 = FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5
FIVE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
FOUR = "http://hl7.org/fhir/4.0/StructureDefinition/extension-"
CLONAZEPAM = {"text": "clonazepam"}
SUBSTANCE = {"reference": "Substance/clonazepam"}
MILLIGRAM = {"value": 1, "unit": "mg"}
TABLET = {"numerator": MILLIGRAM, "denominator": {"value": 1, "unit": "tablet"}}
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"


def extension(path: str, prefix: str = FIVE, **value: Any) -> JSON:
    return {"url": prefix + path, **value}


# The type, what R4 has, what R5 has. Both directions give the other exactly, with nothing to report.
SAME = {
    "form": ("Medication", {"form": CLONAZEPAM}, {"doseForm": CLONAZEPAM}),
    "manufacturer": (
        "Medication",
        {"manufacturer": {"reference": "Organization/o"}},
        {"marketingAuthorizationHolder": {"reference": "Organization/o"}},
    ),
    "amount": (
        "Medication",
        {"amount": {"numerator": MILLIGRAM, "denominator": {"value": 1}}},
        {"totalVolume": MILLIGRAM},
    ),
    "another amount is carried": (
        "Medication",
        {"amount": TABLET},
        {"extension": [extension("Medication.amount", FOUR, valueRatio=TABLET)]},
    ),
    "item as concept": (
        "Medication",
        {"ingredient": [{"itemCodeableConcept": CLONAZEPAM, "strength": TABLET}]},
        {"ingredient": [{"item": {"concept": CLONAZEPAM}, "strengthRatio": TABLET}]},
    ),
    "item as reference": (
        "Medication",
        {"ingredient": [{"itemReference": SUBSTANCE}]},
        {"ingredient": [{"item": {"reference": SUBSTANCE}}]},
    ),
    "item as both": (
        "Medication",
        {
            "ingredient": [
                {
                    "itemCodeableConcept": {
                        "extension": [extension("CodeableReference.reference", valueReference=SUBSTANCE)],
                        "text": "clonazepam",
                    }
                }
            ]
        },
        {"ingredient": [{"item": {"concept": CLONAZEPAM, "reference": SUBSTANCE}}]},
    ),
    "strength that R4 cannot say": (
        "Medication",
        {
            "ingredient": [
                {
                    "extension": [extension("Medication.ingredient.strength", valueQuantity=MILLIGRAM)],
                    "itemCodeableConcept": CLONAZEPAM,
                }
            ]
        },
        {"ingredient": [{"item": {"concept": CLONAZEPAM}, "strengthQuantity": MILLIGRAM}]},
    ),
    "definition": (
        "Medication",
        {"extension": [extension("Medication.definition", valueReference={"reference": "MedicationKnowledge/k"})]},
        {"definition": {"reference": "MedicationKnowledge/k"}},
    ),
    "synonym": ("MedicationKnowledge", {"synonym": ["Klonopin"]}, {"name": ["Klonopin"]}),
    "definitional": (
        "MedicationKnowledge",
        {
            "doseForm": CLONAZEPAM,
            "ingredient": [{"itemCodeableConcept": CLONAZEPAM, "isActive": True, "strength": TABLET}],
            "intendedRoute": [{"text": "oral"}],
            "drugCharacteristic": [{"valueString": "round"}],
        },
        {
            "definitional": {
                "doseForm": CLONAZEPAM,
                "intendedRoute": [{"text": "oral"}],
                "ingredient": [
                    {
                        "item": {"concept": CLONAZEPAM},
                        "type": {"coding": [{"system": ROLE_CLASS, "code": "ACTI"}]},
                        "strengthRatio": TABLET,
                    }
                ],
                "drugCharacteristic": [{"valueString": "round"}],
            }
        },
    ),
    "indication": (
        "MedicationKnowledge",
        {
            "administrationGuidelines": [
                {
                    "indicationCodeableConcept": {
                        "extension": [
                            extension(
                                "CodeableReference.reference",
                                valueReference={
                                    "reference": "Basic/p",
                                    "_reference": {
                                        "extension": [
                                            extension("Reference.reference", valueString="ClinicalUseDefinition/p")
                                        ]
                                    },
                                },
                            )
                        ],
                        "text": "panic disorder (approved)",
                    }
                }
            ]
        },
        {
            "indicationGuideline": [
                {
                    "indication": [
                        {
                            "concept": {"text": "panic disorder (approved)"},
                            "reference": {"reference": "ClinicalUseDefinition/p"},
                        }
                    ]
                }
            ]
        },
    ),
    "dosing": (
        "MedicationKnowledge",
        {
            "administrationGuidelines": [
                {
                    "extension": [
                        extension(
                            "MedicationKnowledge.indicationGuideline.dosingGuideline.treatmentIntent",
                            valueCodeableConcept={"text": "prevention"},
                        )
                    ],
                    "dosage": [{"type": {"text": "usual"}, "dosage": [{"text": "once a day"}]}],
                    "patientCharacteristics": [
                        {"characteristicCodeableConcept": {"text": "age"}, "value": ["over 18"]}
                    ],
                }
            ]
        },
        {
            "indicationGuideline": [
                {
                    "dosingGuideline": [
                        {
                            "treatmentIntent": {"text": "prevention"},
                            "dosage": [{"type": {"text": "usual"}, "dosage": [{"text": "once a day"}]}],
                            "patientCharacteristic": [
                                {"type": {"text": "age"}, "valueCodeableConcept": {"text": "over 18"}}
                            ],
                        }
                    ]
                }
            ]
        },
    ),
    "regulatory schedule": (
        "MedicationKnowledge",
        {"regulatory": [{"regulatoryAuthority": {"display": "DEA"}, "schedule": [{"schedule": {"text": "IV"}}]}]},
        {"regulatory": [{"regulatoryAuthority": {"display": "DEA"}, "schedule": [{"text": "IV"}]}]},
    ),
    "cost as a category": (
        "MedicationKnowledge",
        {
            "cost": [
                {
                    "type": {"text": "tier"},
                    "cost": {
                        "extension": [extension("MedicationKnowledge.cost.cost", valueCodeableConcept={"text": "A"})]
                    },
                }
            ]
        },
        {"cost": [{"type": {"text": "tier"}, "costCodeableConcept": {"text": "A"}}]},
    ),
    "kinetics": (
        "MedicationKnowledge",
        {"kinetics": [{"halfLifePeriod": {"value": 30, "unit": "h"}}]},
        {
            "extension": [
                extension(
                    "MedicationKnowledge.kinetics",
                    FOUR,
                    extension=[{"url": "halfLifePeriod", "valueDuration": {"value": 30, "unit": "h"}}],
                )
            ]
        },
    ),
    "second packaging": (
        "MedicationKnowledge",
        {
            "extension": [
                extension(
                    "MedicationKnowledge.packaging",
                    extension=[{"url": "packagedProduct", "valueReference": {"display": "b"}}],
                )
            ],
            "packaging": {
                "extension": [
                    extension("MedicationKnowledge.packaging.packagedProduct", valueReference={"display": "a"})
                ]
            },
        },
        {"packaging": [{"packagedProduct": {"display": "a"}}, {"packagedProduct": {"display": "b"}}]},
    ),
    "a kind of substance": ("Substance", {"code": CLONAZEPAM}, {"instance": False, "code": {"concept": CLONAZEPAM}}),
    "a package of a substance": (
        "Substance",
        {"code": CLONAZEPAM, "instance": [{"expiry": "2030"}]},
        {"instance": True, "code": {"concept": CLONAZEPAM}, "expiry": "2030"},
    ),
    "group": (
        "Group",
        {"type": "person", "actual": False},
        {"type": "person", "membership": "definitional"},
    ),
    "document context": (
        "DocumentReference",
        {
            "status": "current",
            "content": [{"attachment": {"size": 7}, "format": {"code": "text"}}],
            "context": {"encounter": [{"reference": "Encounter/e"}], "practiceSetting": {"text": "ward"}},
        },
        {
            "status": "current",
            "context": [{"reference": "Encounter/e"}],
            "practiceSetting": {"text": "ward"},
            "content": [{"attachment": {"size": "7"}, "profile": [{"valueCoding": {"code": "text"}}]}],
        },
    ),
    "as needed for": (
        "MedicationKnowledge",
        {
            "administrationGuidelines": [
                {"dosage": [{"type": {"text": "x"}, "dosage": [{"asNeededCodeableConcept": {"text": "pain"}}]}]}
            ]
        },
        {
            "indicationGuideline": [
                {
                    "dosingGuideline": [
                        {"dosage": [{"type": {"text": "x"}, "dosage": [{"asNeededFor": [{"text": "pain"}]}]}]}
                    ]
                }
            ]
        },
    ),
    "search modifier": (
        "SearchParameter",
        {"xpathUsage": "normal", "modifier": ["ofType"]},
        {"processingMode": "normal", "modifier": ["of-type"]},
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_r4_and_r5_say_the_same_in_their_own_words(case: str) -> None:
    name, older, newer = SAME[case]
    older, newer = {"resourceType": name, **older}, {"resourceType": name, **newer}
    required_elsewhere = {key: value for key, value in convert(older, R4, R5).resource.items() if key[0] != "_"}
    assert required_elsewhere == newer
    assert {key: value for key, value in convert(newer, R5, R4).resource.items() if key[0] != "_"} == older


def test_otherTherapy_of_r4b_is_called_treatment_in_r5() -> None:
    def resource(name: str) -> JSON:
        therapy = {"relationshipType": {"text": "with"}, name: {"concept": CLONAZEPAM}}
        return {
            "resourceType": "ClinicalUseDefinition",
            "type": "indication",
            "indication": {"otherTherapy": [therapy]},
        }

    assert convert(resource("therapy"), R4B, R5).resource == resource("treatment")
    assert convert(resource("treatment"), R5, R4B).resource == resource("therapy")


# Type, element, the R5 code, what R4 says instead (None: nothing, only the extension).
CODES = [
    ("Composition", "status", "registered", "preliminary"),
    ("Composition", "status", "corrected", "amended"),
    ("Composition", "status", "cancelled", None),
    ("Group", "type", "specimen", None),
    ("Bundle", "type", "subscription-notification", None),
    ("Encounter", "status", "discharged", "finished"),
    # HL7's maps do not agree on these, or say what the definitions of R4's codes do not.
    ("Encounter", "status", "discontinued", None),
    ("Consent", "status", "not-done", None),
    ("Consent", "status", "unknown", None),
]


@pytest.mark.parametrize(("name", "element", "code", "near"), CODES)
def test_a_code_that_the_target_lacks_is_said_nearly_and_kept_exactly(
    name: str, element: str, code: str, near: str | None
) -> None:
    resource = {"resourceType": name, element: code}
    conversion = convert(resource, R5, R4)
    assert conversion.resource.get(element) == near
    original = {"url": f"{FIVE}{name}.{element}", "valueCode": code}
    assert conversion.resource[f"_{element}"] == {"extension": [original]}
    assert [issue.expression for issue in conversion.issues] == [(f"{name}.{element}",)]
    assert convert(conversion.resource, R4, R5).resource[element] == code


# Type, element, the R4 code, what R5 says instead.
OLDER_CODES = [
    ("Encounter", "status", "arrived", "planned"),
    ("Encounter", "status", "triaged", "in-progress"),
    ("Consent", "status", "proposed", None),
    ("Consent", "status", "rejected", None),
]


@pytest.mark.parametrize(("name", "element", "code", "near"), OLDER_CODES)
@pytest.mark.parametrize("source", [R4, R4B])
def test_a_code_that_r5_lacks_is_said_nearly_and_kept_exactly(
    source: FhirVersion, name: str, element: str, code: str, near: str | None
) -> None:
    newer = convert({"resourceType": name, element: code}, source, R5).resource
    assert newer.get(element) == near
    assert newer[f"_{element}"]["extension"][0]["valueCode"] == code
    assert convert(newer, R5, source).resource[element] == code


@pytest.mark.parametrize("source", [R4, R4B])
def test_who_has_the_custody_of_a_consent_does_not_become_who_manages_it(source: FhirVersion) -> None:
    custodian = {"resourceType": "Consent", "organization": [{"reference": "Organization/o"}]}
    newer = convert(custodian, source, R5).resource
    assert "manager" not in newer
    assert convert(newer, R5, source).resource["organization"] == custodian["organization"]
    managed = {"resourceType": "Consent", "manager": [{"reference": "Organization/o"}]}
    older = convert(managed, R5, source).resource
    assert "organization" not in older
    assert convert(older, source, R5).resource["manager"] == managed["manager"]


@pytest.mark.parametrize("status", ["recorded", "draft"])
def test_a_statement_without_adherence_does_not_say_in_r4_whether_it_is_taken(status: str) -> None:
    statement = {"resourceType": "MedicationStatement", "status": status}
    older = convert(statement, R5, R4).resource
    assert older["status"] == "unknown"
    newer = convert(older, R4, R5).resource
    assert (newer["status"], "adherence" in newer) == (status, False)


def test_an_edited_approximation_wins_over_the_original_that_it_contradicts() -> None:
    there = convert({"resourceType": "Composition", "status": "registered"}, R5, R4).resource
    edited = {**there, "status": "final"}
    assert convert(edited, R4, R5).resource["status"] == "final"


def test_every_digit_is_kept() -> None:
    ingredient = b'{"item":{"concept":{"text":"c"}},"strengthQuantity":{"value":0.50}}'
    text = b'{"resourceType":"Medication","ingredient":[' + ingredient + b"]}"
    there = dumps(convert(parse(text), R5, R4).resource)
    assert b'"value":0.50' in there
    assert dumps(convert(parse(there), R4, R5).resource) == text


def test_the_elements_are_in_the_order_of_the_target() -> None:
    resource = {
        "resourceType": "Medication",
        "id": "m",
        "definition": {"display": "d"},
        "doseForm": CLONAZEPAM,
        "status": "active",
    }
    assert list(convert(resource, R5, R4).resource) == ["resourceType", "id", "extension", "status", "form"]


def test_r4_has_no_clinical_use_definition_and_says_where_indications_are() -> None:
    assert not convertible("ClinicalUseDefinition", R5, R4)
    assert convertible("ClinicalUseDefinition", R5, R4B)
    assert "administrationGuidelines" in (where_instead("ClinicalUseDefinition", R4) or "")
    assert where_instead("Medication", R4) is None
    assert where_instead("NoSuchType", R4) is None
    assert "Basic" in (where_instead("ClinicalUseDefinition", R4) or "")


@pytest.mark.parametrize("name", ["ArtifactAssessment", "NutritionProduct"])
def test_any_other_missing_type_is_told_with_the_releases_that_have_it(name: str) -> None:
    assert "R5" in (where_instead(name, R4) or "")


def test_a_type_that_the_target_lacks_becomes_basic_and_returns() -> None:
    use: JSON = {
        "resourceType": "ClinicalUseDefinition",
        "id": "u",
        "meta": {"tag": [{"code": "t"}], "profile": ["http://example.org/p"]},
        "identifier": [{"value": "1"}, {"value": "2"}],
        "type": "warning",
        "subject": [{"reference": "Medication/m"}],
        "warning": {"description": "w"},
    }
    basic = convert(use, R5, R4).resource
    assert list(basic) == ["resourceType", "id", "meta", "extension", "identifier", "code", "subject"]
    assert (basic["identifier"], basic["subject"]) == (use["identifier"], use["subject"][0])
    assert basic["code"] == {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "ClinicalUseDefinition"}]}
    profile = "http://hl7.org/fhir/5.0/StructureDefinition/profile-ClinicalUseDefinition"
    assert basic["meta"]["profile"] == ["http://example.org/p", profile]
    assert convert(basic, R4, R5).resource == use


def test_of_several_subjects_none_is_said_to_be_the_subject_of_a_basic() -> None:
    subjects = [{"reference": "Medication/m"}, {"reference": "Medication/n"}]
    use = {"resourceType": "ClinicalUseDefinition", "type": "warning", "subject": subjects}
    basic = convert(use, R5, R4).resource
    assert "subject" not in basic
    assert convert(basic, R4, R5).resource == use


@pytest.mark.parametrize("literal", ["ClinicalUseDefinition/u", "ClinicalUseDefinition/u/_history/2"])
def test_a_reference_to_a_type_that_the_target_lacks_points_to_the_basic_that_stands_for_it(literal: str) -> None:
    listed = {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": literal}}],
    }
    older = convert(listed, R5, R4).resource
    assert older["entry"][0]["item"]["reference"] == literal.replace("ClinicalUseDefinition", "Basic")
    assert convert(older, R4, R5).resource == listed
    edited = parse(dumps(older).replace(b"Basic/u", b"Basic/v"))
    assert convert(edited, R4, R5).resource["entry"][0]["item"]["reference"].startswith("Basic/v")


def test_a_type_that_the_target_lacks_travels_in_a_bundle_as_basic() -> None:
    use = {
        "resourceType": "ClinicalUseDefinition",
        "id": "p",
        "type": "indication",
        "indication": {"durationString": "9 weeks"},
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": use}]}
    conversion = convert(bundle, R5, R4)
    basic = conversion.resource["entry"][0]["resource"]
    assert (basic["resourceType"], basic["id"]) == ("Basic", "p")
    assert basic["code"]["coding"][0]["code"] == "ClinicalUseDefinition"
    assert conversion.issues
    assert basic["meta"]["profile"] == ["http://hl7.org/fhir/5.0/StructureDefinition/profile-ClinicalUseDefinition"]
    assert convert(conversion.resource, R4, R5).resource == bundle


def test_contained_resources_are_converted_too() -> None:
    medication = {
        "resourceType": "Medication",
        "contained": [{"resourceType": "Medication", "id": "m", "doseForm": CLONAZEPAM}],
    }
    assert convert(medication, R5, R4).resource["contained"] == [
        {"resourceType": "Medication", "id": "m", "form": CLONAZEPAM}
    ]


def test_a_bundle_carries_what_it_cannot_say_on_meta() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
    bundle = {"resourceType": "Bundle", "type": "searchset", "issues": outcome}
    there = convert(bundle, R5, R4).resource
    assert there["meta"]["extension"][0]["url"] == f"{FIVE}Bundle.issues"
    assert convert(there, R4, R5).resource == bundle


@pytest.mark.parametrize("target", [R4, R4B])
@pytest.mark.parametrize("kind", ["SubstanceDefinition", "AdministrableProductDefinition"])
def test_the_type_of_a_reference_is_known_from_what_it_leads_to(target: FhirVersion, kind: str) -> None:
    """R4 and R4B allow a Group alone; what is there says it as well as `Type/id` does."""
    link = "urn:uuid:0efb1188-04f0-44ba-bfe7-000000000002"
    subject: JSON = {"resourceType": kind} | ({"status": "active"} if kind.startswith("A") else {})
    subject |= {"routeOfAdministration": [{"code": CLONAZEPAM}]} if kind.startswith("A") else {}
    plan = {"resourceType": "PlanDefinition", "status": "draft", "subjectReference": {"reference": link}}
    group = {"resourceType": "PlanDefinition", "status": "draft", "subjectReference": {"reference": f"{link}3"}}
    entries = [
        {"fullUrl": "urn:uuid:0efb1188-04f0-44ba-bfe7-000000000001", "resource": plan},
        {"fullUrl": "urn:uuid:0efb1188-04f0-44ba-bfe7-000000000004", "resource": group},
        {"fullUrl": link, "resource": subject},
        {"fullUrl": f"{link}3", "resource": {"resourceType": "Group", "type": "person", "membership": "enumerated"}},
    ]
    inside = {
        "resourceType": "PlanDefinition",
        "contained": [{**subject, "id": "s"}],
        "status": "draft",
        "subjectReference": {"reference": "#s"},
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    for resource, placed in ((bundle, lambda one: one["entry"][0]["resource"]), (inside, lambda one: one)):
        converted = convert(resource, R5, target).resource
        assert "subjectReference" not in placed(converted)
        assert placed(converted)["extension"][0]["valueReference"] == placed(resource)["subjectReference"]
        assert convert(converted, target, R5).resource == resource
    assert convert(bundle, R5, target).resource["entry"][1]["resource"]["subjectReference"] == {"reference": f"{link}3"}


def test_a_foreign_extension_stays_what_it_is() -> None:
    resource = {
        "resourceType": "Medication",
        "extension": [{"url": "http://example.org/a", "extension": [{"url": "b", "valueCode": "c"}]}],
    }
    assert convert(resource, R5, R4).resource == resource


@pytest.mark.parametrize("source", [R4, R4B])
def test_what_r4_requires_and_r5_does_not_say_is_marked_as_unknown(source: FhirVersion) -> None:
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "Medication/m"}],
        "agent": [{"who": {"display": "w"}}],
    }
    there = convert(provenance, R5, source).resource
    assert there["_recorded"]["extension"][0]["valueCode"] == "unknown"
    assert convert(there, source, R5).resource == provenance


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Medication", "ingredient": {"item": {}}, "batch": [1]},
        {"resourceType": "Medication", "code": {"coding": [None]}, "ingredient": [["x"]]},
        {"resourceType": "Substance", "instance": [], "code": []},
        {"resourceType": "Medication", "extension": [1]},
    ],
)
def test_what_is_not_built_as_its_release_defines_is_refused_not_mangled(broken: JSON) -> None:
    with pytest.raises(InvalidContent, match="not built as FHIR R4"):
        convert(broken, R4, R5)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["extension", "url", "coding", "ingredient", "item", "reference", "valueString", "instance", "_code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    name=st.sampled_from(["Medication", "Substance", "Bundle", "Basic"]), body=_ANY, source=st.sampled_from([R4, R5])
)
def test_no_json_makes_conversion_fail_in_an_unforeseen_way(name: str, body: object, source: FhirVersion) -> None:
    resource = {**(body if isinstance(body, dict) else {"code": body, "meta": body}), "resourceType": name}
    with contextlib.suppress(InvalidContent):
        convert(resource, source, R5 if source is R4 else R4)


def test_a_resource_in_its_own_release_is_itself() -> None:
    resource = {"resourceType": "Medication", "no-such-element": 1}
    assert convert(resource, R5, R5).resource is resource
