"""Which Observations are vital signs, for which the specification asks for a profile whatever they claim
(https://hl7.org/fhir/R5/observation-vitalsigns.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from apothecary.fhir.definitions import Definitions

_LOINC = "http://loinc.org"


class VitalSign(NamedTuple):
    """The LOINC code of a vital sign, and its profile."""

    code: str
    profile: str


def vital_sign(resource: Mapping[str, Any], tables: Definitions) -> VitalSign | None:
    """The vital sign that an Observation is by its code; None for any other one, and for what is no Observation."""
    if resource.get("resourceType") != "Observation":
        return None
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict) and coding.get("system") == _LOINC and isinstance(coding.get("code"), str):
            profile = tables.vital_signs.get(coding["code"])
            if profile is not None:
                return VitalSign(coding["code"], profile)
    return None
