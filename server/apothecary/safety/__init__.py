"""What the content states against a list of drugs: pure functions over statements.

https://hl7.org/fhir/R5/clinicalusedefinition.html and https://hl7.org/fhir/R5/detectedissue.html. Nothing here is
advice, and nothing is inferred from silence.
"""
