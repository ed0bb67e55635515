"""What one release asks for and what was written in another cannot say, each with the reason.

Read from https://hl7.org/fhir/R5/diff.html and the element tables of each release: where it says "no element", the
table of R5 has none of that meaning.
"""

from __future__ import annotations

_OTHER = "another resource: R5 wrote it anew, and HL7's own maps leave all of this out"
_SEQUENCE = "R5's MolecularSequence describes a sequence relative to another; it has no variants and no window"
_EXTENSION = "reads an extension that only R4 and R4B define for it"
_SAMPLE = "reads elements by a code, which none of the generated resources has; an example of its own shows it"

# By type and parameter of R4 or R4B, for what was written in R5.
UNSAID_BY_R5: dict[tuple[str, str], str] = {
    ("ActivityDefinition", "predecessor"): _SAMPLE,
    ("Measure", "derived-from"): _SAMPLE,
    ("PlanDefinition", "derived-from"): _SAMPLE,
    ("AdverseEvent", "severity"): "R5 has seriousness, and no element for severity",
    ("AllergyIntolerance", "asserter"): _SAMPLE,
    ("AllergyIntolerance", "recorder"): _SAMPLE,
    ("AllergyIntolerance", "type"): _SAMPLE,
    ("Condition", "asserter"): _SAMPLE,
    ("AuditEvent", "agent-name"): "R5 has no name of an agent: it is who it refers to",
    ("AuditEvent", "altid"): "R5 has no other id of an agent",
    ("AuditEvent", "entity-name"): "R5 has no name of an entity",
    ("AuditEvent", "entity-type"): "R5 has no type of an entity",
    ("AuditEvent", "outcome"): _SAMPLE,
    ("CarePlan", "activity-code"): "R5 has no details of an activity in the plan: it refers to a request",
    ("CarePlan", "activity-date"): "R5 has no details of an activity in the plan: it refers to a request",
    ("CarePlan", "performer"): "R5 has no details of an activity in the plan: it refers to a request",
    ("CareTeam", "encounter"): "R5 has no encounter of a care team",
    ("ChargeItemDefinition", "effective"): "R5 says it of each applicability, not of the whole",
    ("ClinicalImpression", "investigation"): "R5 has no investigations",
    ("Composition", "confidentiality"): "R5 has no element for it: security labels stand in meta",
    ("ConceptMap", "dependson"): "R5 names what it depends on by a code of the map, R4 by a URI",
    ("ConceptMap", "product"): "R5 names a product by a code of the map, R4 by a URI",
    ("Consent", "organization"): "R5 has no custodian of a consent: its manager has another task",
    ("Device", "patient"): "R5 says it in a DeviceAssociation",
    ("DeviceDefinition", "parent"): "R5 says it from the other side, in hasPart of the parent",
    ("DeviceDefinition", "type"): "R5 classifies devices many times over, R4 once",
    ("DeviceMetric", "parent"): "R5 has one device, which is R4's source",
    ("DiagnosticReport", "assessed-condition"): _EXTENSION,
    ("Observation", "gene-identifier"): _EXTENSION,
    ("Patient", "mothersMaidenName"): _SAMPLE,
    ("DocumentReference", "authenticator"): _SAMPLE,
    ("DocumentReference", "related"): "R5 has no list of related things without a kind",
    ("DocumentReference", "relation"): _SAMPLE,
    ("DocumentReference", "relationship"): _SAMPLE,
    ("Evidence", "composed-of"): _OTHER,
    ("Evidence", "effective"): _OTHER,
    ("Evidence", "jurisdiction"): _OTHER,
    ("Evidence", "topic"): _OTHER,
    ("EvidenceVariable", "jurisdiction"): _OTHER,
    ("EvidenceVariable", "topic"): _OTHER,
    ("GraphDefinition", "start"): "R4 names a type of resource, R5 a node of the graph",
    ("ImagingStudy", "interpreter"): "R5 has no interpreter: it is the performer of a report",
    ("MedicationKnowledge", "manufacturer"): "R5 has no manufacturer: it is in the definition that it refers to",
    ("MessageHeader", "enterer"): "R5 has no one who entered a message",
    ("MolecularSequence", "chromosome"): _SEQUENCE,
    ("MolecularSequence", "chromosome-variant-coordinate"): _SEQUENCE,
    ("MolecularSequence", "chromosome-window-coordinate"): _SEQUENCE,
    ("MolecularSequence", "patient"): _SEQUENCE,
    ("MolecularSequence", "referenceseqid"): _SEQUENCE,
    ("MolecularSequence", "referenceseqid-variant-coordinate"): _SEQUENCE,
    ("MolecularSequence", "referenceseqid-window-coordinate"): _SEQUENCE,
    ("MolecularSequence", "variant-end"): _SEQUENCE,
    ("MolecularSequence", "variant-start"): _SEQUENCE,
    ("MolecularSequence", "window-end"): _SEQUENCE,
    ("MolecularSequence", "window-start"): _SEQUENCE,
    ("Organization", "address-use"): _SAMPLE,
    ("Provenance", "patient"): _SAMPLE,
    ("ResearchStudy", "principalinvestigator"): _SAMPLE,
    ("ResearchStudy", "sponsor"): _SAMPLE,
    ("ResearchSubject", "status"): "R5's status is that of the record; the subject's is one of many in progress",
    ("Specimen", "container"): "R5 has a Device for the container",
    ("Specimen", "container-id"): "R5 has a Device for the container",
    ("Subscription", "criteria"): "R5 has no criteria: a topic defines them",
    ("Substance", "container-identifier"): "in R5 a Substance with an identifier of its own is the instance itself",
}

# By type and parameter that R5 and an older release both have, for what was written in the older one.
UNSAID_BY_OLDER: dict[tuple[str, str], str] = {
    ("AuditEvent", "patient"): "R5 has an element for the patient, R4 looks among agents and entities",
    ("ChargeItemDefinition", "effective"): "R4 says it of the whole, R5 of each applicability",
    ("DeviceDefinition", "type"): "R5's reads what the device conforms to, which R4 does not have",
    ("MolecularSequence", "patient"): "R4 has one patient, which HL7's own maps leave out",
    ("Provenance", "patient"): "R5 has an element for the patient, R4 looks among the targets",
    ("ResearchSubject", "status"): "R4's status is that of the subject, R5's that of the record",
    ("Specimen", "bodysite"): "R5's reads references to a BodyStructure; R4 has concepts only",
    ("TestReport", "testscript"): "R4 refers to a script by its address here, R5 by its canonical URL",
}

SHOWN_BY_EXAMPLE = frozenset(name for name, reason in UNSAID_BY_R5.items() if reason == _SAMPLE)
