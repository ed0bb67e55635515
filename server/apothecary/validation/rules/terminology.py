"""The rules about codes by what their code systems say of them (https://hl7.org/fhir/R5/terminologies.html)."""

from apothecary.validation.rules.rule import Rule

_ACT = '{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": '

TERMINOLOGY_RULES = (
    Rule(
        "code-unknown",
        "error",
        "code-invalid",
        "A code is one of its code system, where all codes of that are known: HL7's own and those of packages.",
        "A code that nobody defined means nothing: https://hl7.org/fhir/R5/terminologies.html",
        _ACT + '"ambulatory"}',
        "Write a code of the system, or name the system that the code is of.",
    ),
    Rule(
        "code-withdrawn",
        "warning",
        "business-rule",
        "A code is not deprecated, retired or inactive in its code system.",
        "It still means something, but should not be used for what is new: https://hl7.org/fhir/R5/codesystem.html#status",
        '{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "SUBS"}',
        "Look in the code system for the code that took its place.",
    ),
    Rule(
        "code-abstract",
        "warning",
        "business-rule",
        "A code means something itself, and is not only there to group others.",
        "Its code system marks it as not selectable: https://hl7.org/fhir/R5/codesystem-concept-properties.html",
        _ACT + '"_ActEncounterCode"}',
        "Write one of the codes below it.",
    ),
    Rule(
        "display-wrong",
        "warning",
        "invalid",
        "The display of a code is one of the names that its code system gives it, in the language of the resource.",
        "People read the display and programs the code: one of them is deceived "
        "(https://hl7.org/fhir/R5/datatypes-definitions.html#Coding.display).",
        _ACT + '"AMB", "display": "inpatient"}',
        "Write a name that the code system gives the code, or put your words into text.",
    ),
    Rule(
        "code-form",
        "warning",
        "code-invalid",
        "A code is written as its code system writes codes, and its check digit is right.",
        "Such a code is mistyped or of another system: no code system has it "
        "(https://hl7.org/fhir/R5/terminologies-systems.html).",
        '{"system": "http://loinc.org", "code": "718-8"}',
        "Look the code up again.",
    ),
)
