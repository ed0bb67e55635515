"""What the packages of https://hl7.org/fhir/R5/downloads.html publish broken, and how it is repaired.

One row a repair, here and nowhere else; `docs/definitions.md` shows the same table. The compiler of the tables refuses
to run when a row no longer finds what it says was published, and complains when a row is not needed any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from apothecary.fhir.releases import FhirVersion

_R4, _R4B, _R5 = FhirVersion
_ALL = (_R4, _R4B, _R5)


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair. `where` names what is repaired; None is an absent value, and a rule's `published` is a pattern."""

    releases: tuple[FhirVersion, ...]
    where: str
    published: str | None
    repaired: str | None
    reason: str


_NO_PATH = "The parameter looks at no element of its own: the server computes it."
_EXAMPLE = "An example of how to write a SearchParameter, published among the real ones."
_NO_BASE = "It names no resource type that it applies to."
_NO_EXTENSION = "The extension it reads was not published, so nothing can carry it."
_YEAR = "([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
_OFFSET = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)"

RULES: tuple[Repair, ...] = (
    Repair(
        _ALL,
        "as",
        "x as T, x.as(T)",
        "x.ofType(T)",
        "FHIRPath fails when `as` meets more than one item, and most of the elements are lists.",
    ),
    Repair(
        _ALL,
        "resolve",
        "where(resolve() is T)",
        "where(type = 'T' or reference.matches('^(.*/)?T/[^/]+(/_history/[^/]+)?$'))",
        "An index cannot fetch what a reference points to; the reference itself names the type.",
    ),
    Repair(
        (_R4B, _R5),
        "CodeableReference",
        "x",
        "x.concept for a token, x.reference for a reference",
        "A CodeableReference is neither a token nor a reference; its two parts are.",
    ),
    Repair(
        (_R4, _R4B),
        "extension value",
        "x.extension(url)",
        "x.extension(url).value",
        "What is searched is the value of the extension.",
    ),
    Repair(
        (_R5,),
        "component type",
        "a parameter that was never published",
        "the type of parameter that fits the component's element",
        "The type of a composite's component is that of the parameter it names.",
    ),
    Repair(
        (_R5,),
        "inherited invariants",
        "none",
        "those of the base type",
        "A type must satisfy the invariants of its base; MedicationKnowledge and 35 others lack dom-2 to dom-6.",
    ),
    Repair(
        (_R4,),
        "invariant on an absent element",
        "x.matches(...), x.contains(...).not()",
        "x.exists() implies ...",
        "Of nothing the test is empty, and only true is a success; R4B has repaired bdl-8 and the rules of names.",
    ),
    Repair(
        (_R4,), "resource id", "string", "id", "It is an `id` (resource.html); published is the type of Element.id."
    ),
    Repair(
        (_R4,),
        "units of vital signs",
        "Observation.component.value[x] bound required to ucum-vitals-common",
        "extensible",
        "What goes with a vital sign has units of its own, such as L/min, or is no quantity; R4B has repaired it.",
    ),
    Repair(
        _ALL,
        "element id",
        "id, http://hl7.org/fhirpath/System.String",
        "string",
        "The id of an element is a `string` (element.html), not limited to 64 characters.",
    ),
)

REPAIRS: tuple[Repair, ...] = (
    # --- invariants ---
    Repair(
        (_R4,),
        "Condition con-3",
        "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/"
        "condition-ver-status' and code = 'entered-in-error').exists() or "
        "category.select($this='problem-list-item').empty()",
        "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/"
        "condition-ver-status' and code = 'entered-in-error').exists() or "
        "category.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-category' and "
        "code='problem-list-item').empty()",
        "A category is compared with a text, so that every Condition with one is complained of; R4B compares codes.",
    ),
    Repair(
        (_R4,),
        "Questionnaire.item.enableWhen que-7",
        "operator = 'exists' implies (answer is Boolean)",
        "operator = 'exists' implies (answer is boolean)",
        "An element is never of a type of FHIRPath's own; R4B says boolean.",
    ),
    Repair(
        (_R4,),
        "RiskAssessment.prediction ras-2",
        "probability is decimal implies (probability as decimal) <= 100",
        "probability.exists($this is decimal) implies (probability as decimal) <= 100",
        "Of nothing the test is empty, so that a prediction without a probability breaks it; R4B has repaired it.",
    ),
    # --- primitive types ---
    Repair(
        (_R5,),
        "decimal regex",
        r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,9}})?",
        r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,9})?",
        "A brace too many: engines refuse it, or demand a literal brace after every exponent.",
    ),
    Repair(
        (_R5,),
        "dateTime regex",
        rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T{_TIME})?)?{_OFFSET}?)?)?",
        rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T{_TIME}{_OFFSET}))?)?)?",
        "An offset SHALL follow a time and never a date (datatypes.html#dateTime); published, it may after both.",
    ),
    *(
        Repair(
            (_R4, _R4B),
            f"{name} regex",
            r"[ \r\n\t\S]+",
            r"[\s\S]+",
            "To Unicode engines a no-break space is not `\\S`, so legal text was rejected; R5 has repaired it.",
        )
        for name in ("string", "markdown")
    ),
    Repair(
        (_R4, _R4B),
        "base64Binary regex",
        r"(\s*([0-9a-zA-Z\+/=]){4}\s*)+",
        r"\s*([0-9a-zA-Z\+/=]{4}\s*)+",
        "The same language; as published, a run of white space can be split in so many ways that matching never ends.",
    ),
    # --- search parameters without an expression that need one ---
    Repair(
        (_R5,),
        "SearchParameter Medication-form expression",
        None,
        "Medication.doseForm",
        "The element was renamed from `form`, the expression lost.",
    ),
    Repair(
        (_R5,),
        "SearchParameter MedicationKnowledge-packaging-cost expression",
        None,
        "MedicationKnowledge.packaging.cost.cost.ofType(Money)",
        "Lost with the move into `packaging`; a Money is searched as a quantity in its currency.",
    ),
    Repair(
        (_R5,),
        "SearchParameter MedicationKnowledge-packaging-cost-concept expression",
        None,
        "MedicationKnowledge.packaging.cost.cost.ofType(CodeableConcept)",
        "Lost with the move into `packaging`.",
    ),
    Repair(
        (_R5,),
        "SearchParameter ImagingStudy-reason expression",
        None,
        "ImagingStudy.reason",
        "Lost when reasonCode became `reason`.",
    ),
    Repair(
        (_R4, _R4B),
        "SearchParameter patient-extensions-Patient-birthOrderBoolean expression",
        None,
        "Patient.multipleBirth.ofType(boolean)",
        "Only its XPath was published.",
    ),
    # --- search parameters whose expression is wrong ---
    Repair(
        (_R4, _R4B),
        "SearchParameter InsurancePlan-name expression",
        "name | alias",
        "InsurancePlan.name | InsurancePlan.alias",
        "Every other expression starts at the resource type.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Appointment-requested-period expression",
        "requestedPeriod",
        "Appointment.requestedPeriod",
        "Every other expression starts at the resource type.",
    ),
    Repair(
        (_R5,),
        "SearchParameter clinical-date on Appointment expression",
        "(start | requestedPeriod.start).first()",
        "(Appointment.start | Appointment.requestedPeriod.start).first()",
        "Every other expression starts at the resource type; this branch is one of many types.",
    ),
    Repair(
        (_R5,),
        "SearchParameter clinical-date on CareTeam expression",
        "(start | requestedPeriod.start).first()",
        "CareTeam.period",
        "The branch for CareTeam is missing; what is described is its period.",
    ),
    Repair(
        (_R4B,),
        "SearchParameter Ingredient-manufacturer expression",
        "Ingredient.manufacturer",
        "Ingredient.manufacturer.manufacturer",
        "The reference stands inside the backbone that has the same name.",
    ),
    Repair(
        (_R4,),
        "SearchParameter patient-extensions-Patient-mothersMaidenName expression",
        "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName')",
        "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName')",
        "The url of the extension was mistaken; R4B has it right.",
    ),
    Repair(
        (_R4,),
        "SearchParameter questionnaireresponse-extensions-QuestionnaireResponse-item-subject expression",
        "QuestionnaireResponse.item.where("
        "hasExtension('http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject')"
        ").answer.value.ofType(Reference)",
        "QuestionnaireResponse.item.where("
        "extension('http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject').exists()"
        ").answer.value.ofType(Reference)",
        "FHIRPath has no hasExtension(); R4B has this form.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Observation-value-markdown expression",
        "Observation.value.ofType(markdown) | Observation.value.ofType(CodeableConcept).text",
        "Observation.value.ofType(string) | Observation.value.ofType(CodeableConcept).text",
        "An observation has no markdown value; the description speaks of a string.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Device-serial-number expression",
        "Device.serialNumber | Device.identifier.where(type='SNO')",
        "Device.serialNumber | Device.identifier.where(type.coding.where(code = 'SNO').exists()).value",
        "A CodeableConcept is never equal to a string, and the text is the identifier's value.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Device-code-value-concept expression",
        "Device",
        "Device.conformsTo",
        "Its components are elements of conformsTo.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Device-code-value-concept component Device-specification",
        "specification.ofType(CodeableConcept)",
        "specification",
        "The element is not a choice of types.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Device-code-value-concept component Device-version",
        "version.ofType(string)",
        "version",
        "The element is not a choice of types.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Encounter-location-period component Encounter-location",
        "location.reference",
        "location",
        "A reference parameter needs the Reference, not its text.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Composition-section-code-text component Composition-section",
        "section.code",
        "code",
        "Components start at the composite's expression, here a section already.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Composition-section-code-text component Composition-section-text",
        "section.text",
        "text",
        "Components start at the composite's expression, here a section already.",
    ),
    Repair(
        _ALL,
        "SearchParameter DocumentReference-relationship component DocumentReference-relatesto",
        "code",
        "target",
        "The paths of the two components are exchanged: relatesto is the reference.",
    ),
    Repair(
        _ALL,
        "SearchParameter DocumentReference-relationship component DocumentReference-relation",
        "target",
        "code",
        "The paths of the two components are exchanged: relation is the token.",
    ),
    Repair(
        (_R4, _R4B),
        "SearchParameter Observation-code-value-date component Observation-value-date",
        "value.as(DateTime) | value.as(Period)",
        "value.as(dateTime) | value.as(Period)",
        "The type is spelt dateTime.",
    ),
    Repair(
        (_R5,),
        "SearchParameter Resource-in expression",
        "Resource.id",
        None,
        "Membership is found in the CareTeam, Group or List, not in the id (search.html#in).",
    ),
    # --- extensions ---
    Repair(
        _ALL,
        "extension operationoutcome-issue-col value",
        "string",
        "string or integer",
        "A column is a number as the line beside it is, and validators write it so.",
    ),
    # --- search parameters that look at no element ---
    *(
        Repair(releases, f"SearchParameter {name} expression", None, None, _NO_PATH)
        for releases, names in (
            (_ALL, ("DomainResource-text", "Resource-content", "Resource-query")),
            ((_R4B, _R5), ("Resource-filter", "Resource-has", "Resource-list", "Resource-text", "Resource-type")),
        )
        for name in names
    ),
    # --- what is left out ---
    *(
        Repair(releases, f"SearchParameter {name}", f"SearchParameter {name}", None, reason)
        for releases, names, reason in (
            (_ALL, ("example", "example-extension", "example-reference"), _EXAMPLE),
            ((_R4B, _R5), ("filter",), "A second definition of _filter; Resource-filter is kept."),
            (
                (_R4, _R4B),
                tuple(
                    f"{kind.lower()}-extensions-{kind}-{code}"
                    for kind in ("CodeSystem", "ValueSet")
                    for code in ("author", "effective", "end", "keyword", "workflow")
                ),
                _NO_BASE,
            ),
            (
                (_R4, _R4B),
                ("patient-extensions-Patient-age",),
                "An age is computed from today's date; no expression can say it and no index can hold it.",
            ),
            (
                (_R5,),
                ("Observation-value-canonical", "Observation-component-value-canonical"),
                "An observation has no canonical value.",
            ),
            (
                (_R4, _R4B),
                (
                    "device-extensions-Device-din",
                    "observation-genetic-Observation-amino-acid-change",
                    "observation-genetic-Observation-dna-variant",
                    "observation-genetic-Observation-gene-amino-acid-change",
                    "observation-genetic-Observation-gene-dnavariant",
                ),
                _NO_EXTENSION,
            ),
            ((_R5,), ("MetadataResource-topic on EvidenceVariable",), "EvidenceVariable has no topic."),
        )
        for name in names
    ),
    Repair((_R4,), "SearchParameter filter expression", None, None, _NO_PATH),
)
