"""The rules about medications that the specification leaves to common sense; each is a warning by default.

https://hl7.org/fhir/R5/medication-definition-module.html
"""

from apothecary.validation.rules.rule import Rule


def _rule(rule_id: str, code: str, what: str, why: str, example: str, remedy: str) -> Rule:
    return Rule(rule_id, "warning", code, what, why, example, remedy)


MEDICATION_RULES = (
    _rule(
        "ndc-format",
        "code-invalid",
        "An NDC is 4-4-2, 5-3-2, 5-4-1, 5-4-2, 6-3-2, 6-4-1 or 6-4-2 digits, a product the first two of these.",
        "A pharmacy system finds nothing under another form (https://www.fda.gov/drugs/drug-approvals-and-databases/national-drug-code-directory).",
        '{"system": "http://hl7.org/fhir/sid/ndc", "value": "4-68-1"}',
        "Write the code as the package label has it, leading zeros included.",
    ),
    _rule(
        "rxnorm-code",
        "code-invalid",
        "An RxNorm code is an RXCUI: 1 to 8 digits without leading zeros.",
        "TTYs, names and NDCs are other things (https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html).",
        '{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "SCD-197527"}',
        "Write the RXCUI, such as 197527.",
    ),
    _rule(
        "ucum-unit",
        "code-invalid",
        "A code of the system http://unitsofmeasure.org is a UCUM unit.",
        "A quantity in an unknown unit can be neither compared nor converted (https://ucum.org/ucum).",
        '{"value": 5, "system": "http://unitsofmeasure.org", "code": "mgs"}',
        "Write the UCUM code, case included: mg, ug, mL, [iU], {tbl}.",
    ),
    _rule(
        "strength-without-denominator",
        "business-rule",
        "A strength says per how much: per tablet, per mL.",
        "5 mg alone may be the amount in a tablet, in a mL or in the whole package.",
        '{"strengthQuantity": {"value": 5, "unit": "mg"}}',
        "Use strengthRatio with a denominator, such as 5 mg / 1 {tbl}.",
    ),
    _rule(
        "strength-without-unit",
        "business-rule",
        "A strength and a dose have a unit.",
        "A bare number is read as whatever the reader is used to.",
        '{"doseQuantity": {"value": 5}}',
        "Add unit, and system and code of UCUM.",
    ),
    _rule(
        "ingredient-repeated",
        "business-rule",
        "An ingredient is listed once.",
        "Twice the same ingredient looks like twice the amount.",
        '{"ingredient": [{"itemCodeableConcept": "2598"}, {"itemCodeableConcept": "2598"}]}',
        "Keep one entry, with the whole strength.",
    ),
    _rule(
        "medication-without-code",
        "business-rule",
        "A MedicationKnowledge has a code.",
        "Without one no search by code, and no other system, finds the medication.",
        '{"resourceType": "MedicationKnowledge", "name": ["Klonopin"]}',
        "Add code with a coding, such as one of RxNorm.",
    ),
    _rule(
        "indication-without-product",
        "business-rule",
        "A ClinicalUseDefinition names its subject.",
        "A use that no product carries is found by nobody who looks at a product.",
        '{"resourceType": "ClinicalUseDefinition", "type": "indication"}',
        "Add subject with a reference to the medication.",
    ),
    _rule(
        "clinical-use-type",
        "business-rule",
        "The part of a ClinicalUseDefinition is the one that its type names.",
        "A reader who selects by type misses it, or takes it for something else.",
        '{"type": "indication", "contraindication": {}}',
        "Correct the type, or move the content to the part that it names.",
    ),
    _rule(
        "negative-claim-as-indication",
        "business-rule",
        "An indication says what the medication is used for, not what it is not used for.",
        "A search for treatments of a disease would find the medication that does not help against it.",
        '{"type": "indication", "indication": {"diseaseSymptomProcedure": "not effective in infantile spasms"}}',
        "Say it as a warning (a limitation of use), or as a contraindication where it does harm.",
    ),
    _rule(
        "assertion-without-basis",
        "business-rule",
        "A ClinicalUseDefinition says what it rests on.",
        "Whoever decides by it must be able to find the label, study or reviewer behind it.",
        '{"resourceType": "ClinicalUseDefinition", "type": "indication", "subject": ["..."]}',
        "Add meta.source, a library, or an extension that names source, evidence or basis.",
    ),
    _rule(
        "orphan-associated-medication",
        "business-rule",
        "associatedMedication points to a Medication of the same bundle or folder.",
        "The knowledge would be about a product that nobody can look up.",
        '{"associatedMedication": [{"reference": "Medication/none"}]}',
        "Add the Medication, or correct the reference.",
    ),
)
