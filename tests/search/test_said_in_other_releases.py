"""What was written in one release is found by the parameters of another, wherever that other release can say it.

https://hl7.org/fhir/R5/diff.html
"""

from __future__ import annotations

import pytest

from apothecary.errors import FhirError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameter import COLUMNS, SearchParameter, standard_parameters
from apothecary.search.types import resource_text
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.versions import convert
from scripts.search_keys.generate import resources
from tests.conformance.harness import InProcess
from tests.search.unsaid import SHOWN_BY_EXAMPLE, UNSAID_BY_OLDER, UNSAID_BY_R5

R4, R4B, R5 = FhirVersion
_CONCEPT = {"coding": [{"system": "http://ex.org/cs", "code": "c"}]}
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def _of(system: str, code: str) -> JSON:
    return {"coding": [{"system": system, "code": code}]}


def found_nothing(kind: str, asked: FhirVersion, written: FhirVersion) -> set[str]:
    """The parameters that take something from resources of their own release, and nothing from those of another."""
    own = list(resources(asked, kind))
    forms = []
    for one in resources(written, kind):
        try:
            forms.append(convert(one, written, asked).resource)
        except FhirError:
            continue
    return {one.code for one in _read(kind, asked) if _takes(one, own) and not _takes(one, forms)}


def _read(kind: str, version: FhirVersion) -> list[SearchParameter]:
    every = standard_parameters(kind, version)
    return [one for one in every if one.code not in COLUMNS and one.code not in resource_text.PARAMETERS]


def _takes(parameter: SearchParameter, some: list[JSON]) -> bool:
    return any(next(parameter.rows(one), None) is not None for one in some)


DIRECTIONS = [(R4, R5), (R4B, R5), (R5, R4), (R5, R4B)]
SOME = (
    "Encounter",
    "Consent",
    "MedicationStatement",
    "PackagedProductDefinition",
    "MedicationKnowledge",
    "Organization",
)


def check(kinds: tuple[str, ...], asked: FhirVersion, written: FhirVersion) -> None:
    """Nothing but what is known to be unsaid is, and all of that is."""
    known = UNSAID_BY_R5 if written is R5 else UNSAID_BY_OLDER
    here = {kind for kind in kinds if all(definitions(one).is_resource_type(kind) for one in (asked, written))}
    found = set()
    for kind in here:
        theirs = definitions(written).search_parameters(kind)
        # What only R5 asks for, older releases had no question about.
        found |= {(kind, code) for code in found_nothing(kind, asked, written) if asked is not R5 or code in theirs}
    assert found <= known.keys(), "no rows, and no reason why"
    # In R4B some are not there, or mean something else.
    assert R4B in (asked, written) or found == {name for name in known if name[0] in here}, "these are found by now"


@pytest.mark.parametrize(("asked", "written"), DIRECTIONS)
def test_a_parameter_finds_what_another_release_wrote_but_for_what_that_cannot_say(
    asked: FhirVersion, written: FhirVersion
) -> None:
    check(SOME, asked, written)


@pytest.mark.walk
@pytest.mark.parametrize(("asked", "written"), DIRECTIONS)
def test_so_does_every_parameter_of_every_type(asked: FhirVersion, written: FhirVersion) -> None:
    check(definitions(R5).resource_types(), asked, written)


# An R5 resource, and what R4 and R4B ask for.
WRITTEN_IN_R5: dict[str, tuple[JSON, list[str]]] = {
    "Encounter": (
        {
            "status": "discharged",
            "class": [_of("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB")],
            "actualPeriod": {"start": "2024-05-01"},
            "participant": [{"actor": {"reference": "Practitioner/p1"}}],
            "reason": [{"value": [{"reference": {"reference": "Condition/c1"}}, {"concept": _CONCEPT}]}],
            "specialArrangement": [_CONCEPT],
        },
        [
            "status=finished",
            "class=AMB",
            "date=ge2024-05-01",
            "participant=Practitioner/p1",
            "practitioner=p1",
            "reason-code=c",
            "reason-reference=Condition/c1",
            "special-arrangement=c",
        ],
    ),
    "Procedure": (
        {
            "status": "completed",
            "subject": {"reference": "Patient/p"},
            "occurrenceDateTime": "2024-05-01",
            "reason": [{"reference": {"reference": "Condition/c1"}}, {"concept": _CONCEPT}],
        },
        ["date=2024-05-01", "reason-code=c", "reason-reference=Condition/c1"],
    ),
    "MedicationStatement": (
        {
            "status": "recorded",
            "medication": {"concept": _CONCEPT},
            "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/e"},
            "adherence": {
                "code": _of("http://hl7.org/fhir/CodeSystem/medication-statement-adherence", "taking-as-directed")
            },
        },
        ["status=active", "context=Encounter/e", "code=c"],
    ),
    "MedicationRequest": (
        {
            "status": "active",
            "intent": "order",
            "medication": {"concept": _CONCEPT},
            "subject": {"reference": "Patient/p"},
            "dispenseRequest": {"dispenser": {"reference": "Organization/o"}},
        },
        ["intended-dispenser=Organization/o"],
    ),
    "NutritionOrder": (
        {
            "status": "active",
            "intent": "order",
            "dateTime": "2024-05-01",
            "subject": {"reference": "Patient/p"},
            "enteralFormula": {"additive": [{"type": {"concept": _CONCEPT}}]},
        },
        ["patient=p", "additive=c"],
    ),
    "Consent": (
        {
            "status": "active",
            "subject": {"reference": "Patient/p"},
            "date": "2024-05-01",
            "grantee": [{"reference": "Organization/o"}],
            "sourceReference": [{"reference": "DocumentReference/d"}],
        },
        [
            "status=active",
            "patient=p",
            "date=2024-05-01",
            "consentor=Organization/o",
            "source-reference=DocumentReference/d",
        ],
    ),
    "DetectedIssue": ({"status": "final", "subject": {"reference": "Patient/p"}}, ["patient=p"]),
    "Condition": (
        {
            "clinicalStatus": _of("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
            "subject": {"reference": "Patient/p"},
            "evidence": [{"reference": {"reference": "Observation/o"}}, {"concept": _CONCEPT}],
            "participant": [{"function": _of(_PARTICIPANT, "informant"), "actor": {"reference": "Patient/p"}}],
        },
        ["evidence=c", "evidence-detail=Observation/o", "asserter=Patient/p"],
    ),
    "AllergyIntolerance": (
        {
            "patient": {"reference": "Patient/p"},
            "type": _of("http://hl7.org/fhir/allergy-intolerance-type", "allergy"),
            "participant": [
                {"function": _of(_PARTICIPANT, "author"), "actor": {"reference": "Practitioner/a"}},
                {"function": _of(_PARTICIPANT, "informant"), "actor": {"reference": "Patient/p"}},
            ],
        },
        ["type=allergy", "recorder=Practitioner/a", "asserter=Patient/p"],
    ),
    "PractitionerRole": (
        {
            "contact": [
                {"telecom": [{"system": "phone", "value": "1"}]},
                {"telecom": [{"system": "email", "value": "e"}]},
            ]
        },
        ["telecom=1", "telecom=e", "phone=1", "email=e"],
    ),
    "Organization": (
        {"name": "O", "contact": [{"address": {"city": "Basel", "use": "work", "country": "CH"}}]},
        ["address-city=basel", "address=basel", "address-use=work", "address-country=ch"],
    ),
    "AuditEvent": (
        {
            "code": _CONCEPT,
            "recorded": "2024-05-01T00:00:00Z",
            "outcome": {"code": {"system": "http://hl7.org/fhir/issue-severity", "code": "error"}},
            "agent": [{"who": {"reference": "Practitioner/a"}, "networkString": "10.0.0.1"}],
            "source": {"observer": {"display": "x"}},
        },
        ["outcome=8", "subtype=c", "address=10.0.0.1"],
    ),
    "DocumentReference": (
        {
            "status": "current",
            "attester": [
                {
                    "mode": _of("http://hl7.org/fhir/composition-attestation-mode", "official"),
                    "party": {"reference": "Organization/o"},
                }
            ],
            "relatesTo": [
                {
                    "code": _of("http://hl7.org/fhir/document-relationship-type", "appends"),
                    "target": {"reference": "DocumentReference/d"},
                }
            ],
            "content": [{"attachment": {"title": "t"}}],
        },
        ["authenticator=Organization/o", "relation=appends", "relationship=DocumentReference/d$appends"],
    ),
    "ResearchStudy": (
        {
            "status": "active",
            "associatedParty": [
                {
                    "role": _of("http://hl7.org/fhir/research-study-party-role", "sponsor"),
                    "party": {"reference": "Organization/o"},
                },
                {
                    "role": _of("http://hl7.org/fhir/research-study-party-role", "primary-investigator"),
                    "party": {"reference": "Practitioner/p"},
                },
            ],
        },
        ["sponsor=Organization/o", "principalinvestigator=Practitioner/p"],
    ),
    "Provenance": (
        {"target": [{"reference": "Patient/p"}], "agent": [{"who": {"reference": "Practitioner/p"}}]},
        ["patient=p"],
    ),
    "ActivityDefinition": (
        {"status": "active", "relatedArtifact": [{"type": "predecessor", "resource": "http://ex.org/before"}]},
        ["predecessor=http://ex.org/before"],
    ),
    "Measure": (
        {"status": "active", "relatedArtifact": [{"type": "derived-from", "resource": "http://ex.org/before"}]},
        ["derived-from=http://ex.org/before"],
    ),
    "PlanDefinition": (
        {"status": "active", "relatedArtifact": [{"type": "derived-from", "resource": "http://ex.org/before"}]},
        ["derived-from=http://ex.org/before"],
    ),
    "Patient": (
        {
            "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Lovell"}
            ]
        },
        ["mothersMaidenName=lovell"],
    ),
}


@pytest.fixture
def server(sqlite_database_url: str) -> InProcess:
    settings = Settings(database=sqlite_database_url, content="", resource_types="*", references="allowed")
    return InProcess(settings, open_store(settings))


def _matches(server: InProcess, query: str) -> list[str]:
    answer = server.ask("GET", f"/fhir/{query}", {"Prefer": "handling=strict"})
    assert answer.status == 200, f"{query}: {answer.body!r}"
    return [one["resource"]["id"] for one in answer.json.get("entry", ()) if one["search"]["mode"] == "match"]


def test_the_older_releases_find_what_was_written_in_r5(server: InProcess) -> None:
    lacking = []
    for kind, (resource, queries) in WRITTEN_IN_R5.items():
        written = server.ask(
            "PUT",
            f"/fhir/r5/{kind}/a",
            {"Content-Type": "application/fhir+json"},
            dumps({"resourceType": kind, "id": "a", **resource}).decode(),
        )
        assert written.status == 201, f"{kind}: {written.body!r}"
        for base in ("r4", "r4b"):
            asked = [one for query in queries for one in (query, f"{query.partition('=')[0]}:missing=false")]
            lacking += [f"{base}/{kind}?{one}" for one in asked if _matches(server, f"{base}/{kind}?{one}") != ["a"]]
    assert lacking == []


def test_every_parameter_that_needs_an_example_has_one() -> None:
    shown = {(kind, query.partition("=")[0]) for kind, (_, queries) in WRITTEN_IN_R5.items() for query in queries}
    assert shown >= SHOWN_BY_EXAMPLE
