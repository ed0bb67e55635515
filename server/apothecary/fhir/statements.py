"""What clinical statements say in extensions, because ClinicalUseDefinition has no element for it.

https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

# How severe the source calls what it states: a CodeableConcept on the ClinicalUseDefinition. Its text is the word of
# the source; a code of https://hl7.org/fhir/R5/valueset-detectedissue-severity.html is there where the word has one.
SEVERITY_EXTENSION = "https://example.org/fhir/StructureDefinition/severity"
SEVERITY = "http://hl7.org/fhir/detectedissue-severity"
SEVERITIES = ("high", "moderate", "low")

# Where a statement comes from: a RelatedArtifact on the ClinicalUseDefinition, of type `citation`. HL7's own
# https://hl7.org/fhir/extensions/StructureDefinition-artifact-relatedArtifact.html may not stand there in R4B.
SOURCE_EXTENSION = "https://example.org/fhir/StructureDefinition/statement-source"
