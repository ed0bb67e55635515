"""Rules about medications that the specification leaves to common sense: codes, units, strengths, and what is said
of whom.

https://hl7.org/fhir/R5/medication-definition-module.html. Each is a warning until the settings say otherwise, and
none speaks unless the resource itself shows the defect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apothecary.fhir import ndc
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import MEDICATION_RULES, Rule
from apothecary.validation.run import At, Run

Value = dict[str, Any]

NDC = "http://hl7.org/fhir/sid/ndc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"


_RULES: Mapping[str, Rule] = {rule.id: rule for rule in MEDICATION_RULES}

_RXCUI = re.compile(r"[1-9]\d{0,7}", re.ASCII)
_NEGATIVE = re.compile(
    r"\b(?:in|not )effective\b|\bnot (?:indicated|recommended|suitable|approved|for use)\b|\bcontraindicated\b|"
    r"\b(?:should|must) not\b|\bavoid\b|\black of (?:effect|efficacy)\b|\bno (?:effect|efficacy|benefit)\b",
    re.IGNORECASE,
)
_BASIS = re.compile(r"basis|source|evidence|citation|provenance|claim|reference|artifact", re.IGNORECASE)
# The units of most quantities: asking about them needs no table.
_COMMON_UNITS = frozenset(
    [
        "mg",
        "g",
        "ug",
        "kg",
        "mL",
        "L",
        "h",
        "d",
        "min",
        "s",
        "wk",
        "mo",
        "a",
        "1",
        "%",
        "mg/mL",
        "g/L",
        "[iU]",
        "meq",
        "mmol",
        "mm[Hg]",
        "/d",
        "/h",
        "/min",
        "/wk",
        "{tbl}",
        "{capsule}",
    ]
)
_PARTS = {
    "indication": "indication",
    "contraindication": "contraindication",
    "interaction": "interaction",
    "undesirable-effect": "undesirableEffect",
    "warning": "warning",
}


def _is_ndc(code: str) -> bool:
    if ndc.is_written(code):
        return True
    # Searches read other signs in place of hyphens; a resource has none. Without hyphens a product has 8 or 9 digits,
    # which are mostly packages that have lost their zeroes.
    return ndc.hyphenated(code) == code and bool(ndc.readings(code)) and ("-" in code or len(code) >= 10)


def check_code(value: Value, at: At, run: Run) -> None:
    """Check a Coding or Identifier by its system."""
    system = value.get("system")
    if system == RXNORM:
        code = value.get("code")
        if isinstance(code, str) and _RXCUI.fullmatch(code) is None:
            run.report(_RULES["rxnorm-code"], at, f"is {shown(code)}, which is not an RXCUI", key="code")
    elif system == NDC:
        key = "value" if "value" in value else "code"
        code = value.get(key)
        if isinstance(code, str) and not _is_ndc(code):
            run.report(_RULES["ndc-format"], at, f"is {shown(code)}, which is not the form of an NDC", key=key)


def check_unit(value: Value, at: At, run: Run) -> None:
    """Check the unit of a Quantity."""
    code = value.get("code")
    if value.get("system") != UCUM or not isinstance(code, str) or code in _COMMON_UNITS:
        return
    from apothecary.fhir.ucum import UcumError, parse_unit

    try:
        parse_unit(code)
    except UcumError as error:
        remedy = f"Did you mean {error.suggestion!r}?" if error.suggestion else None
        text = f"is {shown(code)}, which is not a UCUM unit: {error.reason}"
        run.report(_RULES["ucum-unit"], at, text, key="code", remedy=remedy)


def check_ingredients(value: Value, at: At, run: Run) -> None:
    """Check the `ingredient` list of a Medication, MedicationKnowledge or MedicationKnowledge.definitional."""
    seen: dict[str, int] = {}
    for index, ingredient in _objects(value, "ingredient"):
        place = (at, "ingredient", index)
        _check_strength(ingredient, place, run)
        for identity in _identities(ingredient):
            first = seen.setdefault(identity, index)
            if first != index:
                text = f"is the same ingredient as ingredient[{first}]: {identity}"
                run.report(_RULES["ingredient-repeated"], place, text)
                break


def check_dose(value: Value, at: At, run: Run) -> None:
    """Check the quantities of a Dosage.doseAndRate."""
    for key in ("doseQuantity", "rateQuantity"):
        _check_has_unit(value.get(key), at, key, run)


def check_knowledge(value: Value, at: At, run: Run) -> None:
    """Check a MedicationKnowledge."""
    code = value.get("code")
    if not isinstance(code, dict) or not ("coding" in code or "text" in code):
        run.report(_RULES["medication-without-code"], at, "has no code")
    bundle = run.bundle
    if bundle is None or bundle.is_transaction or run.options.known is not None:
        return  # Alone or in a transaction it cannot be told; with `known` every reference is followed anyway.
    for index, reference in _objects(value, "associatedMedication"):
        target = reference.get("reference")
        if isinstance(target, str) and target.startswith("Medication/") and not bundle.holds(target, run.full_url):
            text = f"is {shown(target)}, which is not in the bundle"
            run.report(
                _RULES["orphan-associated-medication"], (at, "associatedMedication", index), text, key="reference"
            )


def check_clinical_use(value: Value, at: At, run: Run) -> None:
    """Check a ClinicalUseDefinition."""
    kind = value.get("type")
    if "subject" not in value:
        run.report(_RULES["indication-without-product"], at, "has no subject")
    for part in _PARTS.values():
        if part in value and isinstance(kind, str) and kind in _PARTS and _PARTS[kind] != part:
            run.report(_RULES["clinical-use-type"], at, f"is there, but the type is {kind}", key=part)
    indication = value.get("indication")
    if isinstance(indication, dict):
        _check_positive(indication, (at, "indication", None), run)
    if not _has_basis(value):
        run.report(_RULES["assertion-without-basis"], at, "does not say what it rests on")


# The checks by the structure that they look at, for the walk.
CHECKS: Mapping[str, Callable[[Value, At, Run], None]] = {
    "ClinicalUseDefinition": check_clinical_use,
    "Coding": check_code,
    "Dosage.doseAndRate": check_dose,
    "Identifier": check_code,
    "Medication": check_ingredients,
    "MedicationKnowledge.definitional": check_ingredients,
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), check_unit),
}


def checks_for(structure: str) -> Iterator[Callable[[Value, At, Run], None]]:
    """The checks of the structure of that name."""
    if structure == "MedicationKnowledge":
        yield check_knowledge
        yield check_ingredients
    elif structure in CHECKS:
        yield CHECKS[structure]


def _check_strength(ingredient: Value, at: At, run: Run) -> None:
    for key in ("strength", "strengthRatio"):
        ratio = ingredient.get(key)
        if isinstance(ratio, dict) and "numerator" in ratio:
            if "denominator" not in ratio:
                text = "has a numerator, but does not say per how much"
                run.report(_RULES["strength-without-denominator"], at, text, key=key)
            _check_has_unit(ratio["numerator"], (at, key, None), "numerator", run)
    quantity = ingredient.get("strengthQuantity")
    if isinstance(quantity, dict):
        unit = quantity.get("code") or quantity.get("unit")
        if isinstance(unit, str) and "/" not in unit and unit != "%":
            text = f"is an amount in {unit}, but does not say per how much"
            run.report(_RULES["strength-without-denominator"], at, text, key="strengthQuantity")
        _check_has_unit(quantity, at, "strengthQuantity", run)


def _check_has_unit(quantity: Any, at: At, key: str, run: Run) -> None:
    if isinstance(quantity, dict) and "value" in quantity and "unit" not in quantity and "code" not in quantity:
        run.report(_RULES["strength-without-unit"], at, "has a value without a unit", key=key)


def _identities(ingredient: Value) -> Iterator[str]:
    """What an ingredient is, in every way it says so: codes and references."""
    item = ingredient.get("item")
    item = item if isinstance(item, dict) else {}
    reference = ingredient.get("itemReference") or item.get("reference")
    if isinstance(reference, dict) and isinstance(reference.get("reference"), str):
        yield reference["reference"]
    concept = ingredient.get("itemCodeableConcept") or item.get("concept")
    if isinstance(concept, dict):
        for _, coding in _objects(concept, "coding"):
            if isinstance(coding.get("code"), str):
                yield f"{coding.get('system')}|{coding['code']}"


def _check_positive(indication: Value, at: At, run: Run) -> None:
    disease = indication.get("diseaseSymptomProcedure")
    concept = disease.get("concept", disease) if isinstance(disease, dict) else None
    if not isinstance(concept, dict):
        return
    texts = [concept.get("text"), *(coding.get("display") for _, coding in _objects(concept, "coding"))]
    for text in texts:
        found = _NEGATIVE.search(text) if isinstance(text, str) else None
        if found is not None:
            said = f"says {shown(found[0])}, which is no indication"
            run.report(_RULES["negative-claim-as-indication"], at, said, key="diseaseSymptomProcedure")
            return


def _has_basis(value: Value) -> bool:
    meta = value.get("meta")
    if "library" in value or (isinstance(meta, dict) and "source" in meta):
        return True
    return any(_BASIS.search(str(extension.get("url"))) for _, extension in _objects(value, "extension"))


def _objects(value: Value, key: str) -> Iterator[tuple[int, Value]]:
    """The objects in the array `key`, with their indexes."""
    items = value.get(key)
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield index, item
