"""HTTP: the only Flask code of the project. https://hl7.org/fhir/R5/http.html"""
