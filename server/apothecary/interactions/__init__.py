"""What each FHIR interaction means, one module an interaction; no Flask here and no SQL:
https://hl7.org/fhir/R5/http.html
"""
