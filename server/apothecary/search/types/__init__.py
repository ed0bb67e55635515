"""One module for each search parameter type: what it takes from an element, its modifiers, its prefixes and its
predicate.

https://hl7.org/fhir/R5/search.html#ptypes
"""
