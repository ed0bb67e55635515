"""Profiles: what StructureDefinitions ask of resources beyond the specification
(https://hl7.org/fhir/R5/profiling.html).

`Profiles(resources, asked)` holds StructureDefinitions with their value sets; as `Options.profiles` it makes
`validate` check every resource against the profiles that it claims in `meta.profile` and those that were asked for,
and every extension against its definition. Those of the specification are known without. The check itself is
`validation/conformance/`: here stands only what profiles say.
"""

from apothecary.validation.profiles.compile import CORE
from apothecary.validation.profiles.registry import Profiles

__all__ = ["CORE", "Profiles"]
