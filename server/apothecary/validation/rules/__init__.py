"""The rules of the validator by stable id, each with what it asks, why, an example and how to mend it.

An id never changes its meaning: people write ids into settings and baselines. Invariants of the specification keep the
specification's own keys (`per-1`, `dom-3`); `catalogue.find_rule` describes both kinds.
https://hl7.org/fhir/R5/validation.html
"""

from collections.abc import Mapping
from types import MappingProxyType

from apothecary.validation.rules.bundle import BUNDLE_RULES
from apothecary.validation.rules.content import CONTENT_RULES
from apothecary.validation.rules.medication import MEDICATION_RULES
from apothecary.validation.rules.profile import PROFILE_RULES
from apothecary.validation.rules.rule import Rule
from apothecary.validation.rules.structure import STRUCTURE_RULES
from apothecary.validation.rules.terminology import TERMINOLOGY_RULES

__all__ = ["BASE", "GROUPS", "MEDICATION_RULES", "Rule"]

GROUPS: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "FHIR": (*STRUCTURE_RULES, *CONTENT_RULES, *BUNDLE_RULES, *TERMINOLOGY_RULES),
        "Profiles": PROFILE_RULES,
        "Medications": MEDICATION_RULES,
    }
)
BASE: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in (*GROUPS["FHIR"], *GROUPS["Profiles"])})
