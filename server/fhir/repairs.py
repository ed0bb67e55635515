"""What the packages publish broken, and how each is repaired when the tables are compiled (https://hl7.org/fhir/R5/downloads.html).

One row a repair, here and nowhere else; `docs/definitions.md` shows the same table. The compiler refuses to run when a row no
longer finds what it says was published, or is not needed any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.releases import FhirVersion

_R4, _R4B, _R5 = FhirVersion
_ALL = (_R4, _R4B, _R5)


class RepairError(Exception):
    """A row of the table and the packages disagree."""


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
        "resource id",
        "string",
        "id",
        "The id of a resource is an `id` (resource.html); the definitions repeat the type of Element.id.",
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
        "The offset SHALL follow a time and cannot follow a date (datatypes.html#dateTime); published, it is optional after both.",
    ),
    *(
        Repair(
            (_R4, _R4B),
            f"{name} regex",
            r"[ \r\n\t\S]+",
            r"[\s\S]+",
            "To Unicode engines a no-break space is white space and so not `\\S`: legal text was rejected. R5 has this form.",
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
            ((_R5,), ("MetadataResource-topic on EvidenceVariable",), "EvidenceVariable has no topic."),
        )
        for name in names
    ),
    Repair((_R4,), "SearchParameter filter expression", None, None, _NO_PATH),
)


class Repairs:
    """The rows of one release, and which of them the compiler has used."""

    def __init__(self, version: FhirVersion) -> None:
        self._version = version
        self._rows = {row.where: row for row in REPAIRS if version in row.releases}
        self._rules = {row.where: row for row in RULES if version in row.releases}
        self._used: set[str] = set()

    def repaired(self, where: str, published: str | None) -> str | None:
        """What stands in the tables at `where`; RepairError when the row expects another `published`."""
        row = self._rows.get(where)
        if row is None:
            return published
        if row.published != published:
            raise RepairError(
                f"{self._version} {where}: the table expects {row.published!r}, the package has {published!r}"
            )
        self._used.add(where)
        return row.repaired

    def omitted(self, where: str) -> bool:
        """Whether a row leaves out what `where` names, a whole search parameter or one of its bases."""
        return self.has(where) and self.repaired(where, where) is None

    def has(self, where: str) -> bool:
        """Whether there is a row for `where`."""
        return where in self._rows

    def apply_rule(self, rule: str, example: str) -> None:
        """Note that `rule` was needed; RepairError when it is not known for this release. `example` is for that message."""
        if rule not in self._rules:
            raise RepairError(f"{self._version}: rule {rule!r} is not in the table but needed, as for {example}")
        self._used.add(rule)

    def unused(self) -> list[str]:
        """The rows and rules that nothing needed."""
        return sorted((set(self._rows) | set(self._rules)) - self._used)
