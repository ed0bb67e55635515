"""Encounter, Condition, Procedure and other clinical resources: https://hl7.org/fhir/R5/clinicalsummary-module.html."""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.versions.maps.dividing import codeable, concept_of_coding, day_of, participants, reasons, within
from apothecary.versions.rules import Codes, Map, Regrouped, Value

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def _encounter_reasons(older: JSON) -> JSON:
    values = [{"concept": one} for one in older.get("reasonCode", ())]
    values += [{"reference": one} for one in older.get("reasonReference", ())]
    return {"reason": [{"value": values}]} if values else {}


def _reasons_of_encounter(newer: JSON) -> JSON:
    found: JSON = {}
    for reason in newer.get("reason", ()):
        for value in reason.get("value", ()):
            for half, name in (("concept", "reasonCode"), ("reference", "reasonReference")):
                if half in value:
                    found.setdefault(name, []).append(value[half])
    return {name: found[name] for name in ("reasonCode", "reasonReference") if name in found}


def _evidence(older: JSON) -> JSON:
    found = []
    for one in older.get("evidence", ()):
        found += [{"concept": code} for code in one.get("code", ())]
        found += [{"reference": detail} for detail in one.get("detail", ())]
    return {"evidence": found} if found else {}


def _evidence_of(newer: JSON) -> JSON:
    found = []
    for one in newer.get("evidence", ()):
        halves = (("code", "concept"), ("detail", "reference"))
        made = {name: [one[half]] for name, half in halves if half in one}
        if made:
            found.append(made)
    return {"evidence": found} if found else {}


# As the published maps say, https://hl7.org/fhir/extensions/StructureMap-Encounter4to5.html and its counterpart. They
# do not agree on `discontinued`: one says R4's `cancelled`, which is what never began, another none. So it stays what
# it is, in its extension: https://hl7.org/fhir/uv/xver-r5.r4/0.1.0/ConceptMap-Map-R5-encounter-status-for-R4.html
_ENCOUNTER = Codes(
    newer={"arrived": "planned", "triaged": "in-progress", "onleave": "on-hold", "finished": "completed"},
    older={"on-hold": "onleave", "completed": "finished", "discharged": "finished"},
)

MAPS = (
    Map(
        "Encounter",
        "Encounter",
        renames={"period": "actualPeriod"},
        older_parts=("hospitalization",),
        newer_parts=("admission",),
        values={"class": concept_of_coding()},
        codes={"status": _ENCOUNTER},
        regrouped=(
            Regrouped(
                ("reasonCode", "reasonReference"),
                ("reason",),
                _encounter_reasons,
                _reasons_of_encounter,
                "all of them are values of one reason",
            ),
        ),
    ),
    Map("Encounter.participant", "Encounter.participant", renames={"individual": "actor"}),
    Map("Encounter.location", "Encounter.location", renames={"physicalType": "form"}),
    Map("EpisodeOfCare", "EpisodeOfCare", renames={"team": "careTeam"}),
    Map("EpisodeOfCare.diagnosis", "EpisodeOfCare.diagnosis", renames={"role": "use"}),
    Map(
        "Condition",
        "Condition",
        regrouped=(
            Regrouped(("evidence",), ("evidence",), _evidence, _evidence_of, "each code and each detail by itself"),
            participants(
                "participant",
                _PARTICIPANT,
                {"recorder": ("enterer",), "asserter": ("informant", "author")},
                "function",
                "actor",
            ),
        ),
    ),
    Map(
        "AllergyIntolerance",
        "AllergyIntolerance",
        regrouped=(
            participants(
                "participant",
                _PARTICIPANT,
                {"recorder": ("author", "enterer"), "asserter": ("informant",)},
                "function",
                "actor",
            ),
        ),
    ),
    Map(
        "Procedure",
        "Procedure",
        renames={"performed": "occurrence"},
        regrouped=(
            reasons(),
            codeable("usedCode", "usedReference", "used"),
            codeable("complication", "complicationDetail", "complication"),
        ),
    ),
    Map("Immunization", "Immunization", regrouped=(reasons(),)),
    Map("Immunization.reaction", "Immunization.reaction", renames={"detail": "manifestation"}),
    Map(
        "ImagingStudy",
        "ImagingStudy",
        values={"modality": concept_of_coding()},
        regrouped=(reasons(),),
    ),
    Map(
        "ImagingStudy.series",
        "ImagingStudy.series",
        values={
            "modality": concept_of_coding(),
            "laterality": concept_of_coding(),
            "bodySite": Value(
                lambda coding: {"concept": {"coding": [coding]}},
                lambda site: next(iter(site.get("concept", {}).get("coding", ())), None),
                "the concept with this Coding alone",
            ),
        },
    ),
    Map("ClinicalImpression", "ClinicalImpression", renames={"assessor": "performer"}),
    Map(
        "ClinicalImpression.finding",
        "ClinicalImpression.finding",
        regrouped=(codeable("itemCodeableConcept", "itemReference", "item", older_lists=False, newer_list=False),),
    ),
    Map(
        "BodyStructure",
        "BodyStructure",
        renames={"location": "includedStructure.structure", "locationQualifier": "includedStructure.qualifier"},
        newer_parts=("includedStructure",),
    ),
    Map("DetectedIssue", "DetectedIssue", renames={"patient": "subject"}),
    # Whose custody a consent is in (R4 `organization`) is not who manages its course (R5 `manager`), and the published
    # maps contradict each other in the states that one release alone has: both are kept in extensions.
    # https://hl7.org/fhir/uv/xver-r4.r5/0.1.0/ConceptMap-R4-Consent-element-map-to-R5.html and
    # https://hl7.org/fhir/uv/xver-r5.r4/0.1.0/ConceptMap-Map-R5-consent-state-codes-for-R4.html
    Map(
        "Consent",
        "Consent",
        renames={
            "patient": "subject",
            "dateTime": "date",
            "performer": "grantee",
            "sourceAttachment": "sourceAttachment",
            "sourceReference": "sourceReference",
            "policyRule": "regulatoryBasis",
        },
        values={"dateTime": day_of(newer_is_day=True)},
    ),
    Map(
        "AdverseEvent",
        "AdverseEvent",
        renames={"date": "occurrence", "event": "code", "resultingCondition": "resultingEffect"},
    ),
    Map("RiskAssessment", "RiskAssessment", regrouped=(reasons(),)),
    Map("Basic", "Basic", values={"created": day_of(newer_is_day=False)}),
    Map("Practitioner", "Practitioner", values={"communication": within("language")}),
)
