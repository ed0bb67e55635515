"""Whether an instance conforms to profiles (https://hl7.org/fhir/R5/profiling.html).

`validation/profiles/` holds what profiles ask; here a validation asks it of resources and extensions.
"""

from apothecary.validation.conformance.claims import check_extension, check_resource

__all__ = ["check_extension", "check_resource"]
