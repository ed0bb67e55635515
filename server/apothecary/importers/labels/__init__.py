"""What drug labels state, whichever format they come in: sections, statements and documents.
https://hl7.org/fhir/R5/clinicalusedefinition.html and https://hl7.org/fhir/R5/composition.html
"""
