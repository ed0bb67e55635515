"""The terminology service: code systems and value sets from several sources, one set of rules.

https://hl7.org/fhir/R5/terminology-service.html
"""
