"""Each feature of a profile with a resource that keeps it and one that breaks it, the same in R4, R4B and R5
(https://hl7.org/fhir/R5/elementdefinition.html, https://hl7.org/fhir/R5/profiling.html).

Patient, Observation and Questionnaire have one shape in the three releases, so that each feature is shown in all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apothecary.fhir.releases import FhirVersion

Resource = dict[str, Any]
R4, R4B, R5 = FhirVersion
ALL = (R4, R4B, R5)

URL = "http://example.org/fhir/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
SETS = "http://example.org/fhir/ValueSet/"
CODES = "http://example.org/fhir/CodeSystem/colours"
OWN = "http://example.org/own"
REASON = f"{CORE}data-absent-reason"
EXTENSION = f"{URL}colour"


@dataclass(frozen=True)
class Feature:
    """`elements` are the differential of the profile, on `type`. `bad` breaks it as `found` says: the rule and place of
    the first issue; `good` keeps it. `more` are further properties of the StructureDefinition, `others` definitions
    that it needs, `held` resources that references may point to.
    """

    name: str
    type: str
    elements: list[Resource]
    good: Resource
    bad: Resource
    found: tuple[str, str]
    releases: tuple[FhirVersion, ...] = ALL
    more: Resource = field(default_factory=dict)
    others: tuple[Resource, ...] = ()
    held: dict[str, Resource] = field(default_factory=dict)


def e(identity: str, **properties: Any) -> Resource:
    """An ElementDefinition by its id, from which path and slice name follow."""
    last = identity.rpartition(".")[2]
    path = ".".join(step.partition(":")[0] for step in identity.split("."))
    named = {"sliceName": last.partition(":")[2]} if ":" in last else {}
    return {"id": identity, "path": path, **named, **properties}


def by(*discriminators: str, rules: str = "open", **more: Any) -> Resource:
    """A slicing by `type:path` each."""
    told = [dict(zip(("type", "path"), one.split(":", 1), strict=True)) for one in discriminators]
    return {"discriminator": told, "rules": rules, **more}


def definition(name: str, type_name: str, elements: list[Resource], **more: Any) -> Resource:
    """A profile with a differential, of no release."""
    root = {"id": type_name, "path": type_name}
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "version": "1.2.3",
        "name": name,
        "status": "active",
        "kind": "resource"
        if type_name in ("Patient", "Observation", "Bundle", "Questionnaire", "Organization")
        else "complex-type",
        "abstract": False,
        "type": type_name,
        "baseDefinition": CORE + type_name,
        "derivation": "constraint",
        "differential": {"element": elements if elements[0]["path"] == type_name else [root, *elements]},
        **more,
    }


def value_set(name: str, *codes: str, system: str = CODES, **compose: Any) -> Resource:
    """A value set of these codes."""
    include = {"system": system, **({"concept": [{"code": code} for code in codes]} if codes else {})}
    return {
        "resourceType": "ValueSet",
        "url": SETS + name,
        "version": "1.2.3",
        "status": "active",
        "compose": {"include": [include], **compose},
    }


def concept(code: str, system: str = CODES) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def patient(**more: Any) -> Resource:
    return {"resourceType": "Patient", **more}


def observation(**more: Any) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def quantity(value: int, code: str) -> Resource:
    return {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code}


def bundle(*resources: Resource) -> Resource:
    entries = [{"fullUrl": f"http://example.org/fhir/{r['resourceType']}/{r['id']}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def extension(url: str, **value: Any) -> Resource:
    return {"url": url, **value}


def usage(code: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/usage-context-type"
    return {"code": {"system": system, "code": "venue"}, "valueCodeableConcept": concept(code)}


def additional(purpose: str, name: str, release: FhirVersion, **more: Any) -> Resource:
    """A binding with an additional one, as R5 has it, or as the extension that R4 and R4B have for it."""
    bound = {"strength": "example", "valueSet": f"{SETS}any"}
    if release is R5:
        return {**bound, "additional": [{"purpose": purpose, "valueSet": SETS + name, **more}]}
    parts = [extension("purpose", valueCode=purpose), extension("valueSet", valueCanonical=SETS + name)]
    parts += [extension("usage", valueUsageContext=one) for one in more.get("usage", ())]
    parts += [extension("any", valueBoolean=True)] if more.get("any") else []
    url = "http://hl7.org/fhir/tools/StructureDefinition/additional-binding"
    return {**bound, "extension": [{"url": url, "extension": parts}]}


WARM = value_set("warm", "red", "orange")
ANY = value_set("any")
COLOURS = {
    "resourceType": "CodeSystem",
    "url": CODES,
    "version": "2.0.0",
    "status": "active",
    "content": "complete",
    "concept": [{"code": code} for code in ("red", "orange", "blue")],
}
WITH_SYSTEM = definition("with-system", "Identifier", [e("Identifier.system", min=1)])
WITH_VALUE = definition("with-value", "Identifier", [e("Identifier.value", min=1)])
COLOUR = definition(
    "colour",
    "Extension",
    [
        e("Extension.url", fixedUri=EXTENSION),
        e(
            "Extension.value[x]",
            min=1,
            type=[{"code": "code"}],
            binding={"strength": "required", "valueSet": WARM["url"]},
        ),
    ],
    context=[{"type": "element", "expression": "Element"}],
)
NAMED = definition("named", "Organization", [e("Organization.name", min=1)])
RED = [e("Observation.code", patternCodeableConcept=concept("red"))]
SLICED = e("Patient.identifier", slicing=by("value:system"))
OWN_SLICE = [
    SLICED,
    e("Patient.identifier:own", min=1, max="1"),
    e("Patient.identifier:own.system", min=1, fixedUri=OWN),
]
MINE, OTHER = {"system": OWN, "value": "1"}, {"system": "http://example.org/other", "value": "1"}
REFERENCE = {"code": "Reference", "targetProfile": [NAMED["url"]]}
TO_NAMED = [e("Patient.managingOrganization", type=[REFERENCE])]
FIRST = {"resourceType": "Organization", "id": "1", "name": "Acme"}
SECOND = {"resourceType": "Organization", "id": "2", "identifier": [MINE]}


def of(number: int) -> Resource:
    return {"managingOrganization": {"reference": f"Organization/{number}"}}


def contained(resource: Resource) -> Resource:
    return patient(contained=[resource], managingOrganization={"reference": f"#{resource['id']}"})


def cardinality() -> list[Feature]:
    return [
        Feature(
            "an element is required",
            "Patient",
            [e("Patient.birthDate", min=1)],
            patient(birthDate="2020-01-01"),
            patient(active=True),
            ("profile-cardinality", "Patient"),
        ),
        Feature(
            "an element is forbidden",
            "Patient",
            [e("Patient.active", max="0")],
            patient(birthDate="2020"),
            patient(active=True),
            ("profile-cardinality", "Patient.active"),
        ),
        Feature(
            "an element is limited in number",
            "Patient",
            [e("Patient.name", max="2")],
            patient(name=[{"text": "a"}, {"text": "b"}]),
            patient(name=[{"text": "a"}, {"text": "b"}, {"text": "c"}]),
            ("profile-cardinality", "Patient.name[2]"),
        ),
        Feature(
            "an element inside another is required where that stands",
            "Patient",
            [e("Patient.contact.name", min=1)],
            patient(active=True),
            patient(contact=[{"name": {"text": "a"}}, {"address": {"text": "x"}}]),
            ("profile-cardinality", "Patient.contact[1]"),
        ),
        Feature(
            "a profile adds to that it is based on",
            "Patient",
            [e("Patient.birthDate", min=1)],
            patient(birthDate="2020", active=True),
            patient(birthDate="2020"),
            ("profile-cardinality", "Patient"),
            more={"baseDefinition": f"{URL}active-patient|1.2"},
            others=(definition("active-patient", "Patient", [e("Patient.active", min=1)]),),
        ),
    ]


def types() -> list[Feature]:
    return [
        Feature(
            "the types of a choice are restricted",
            "Observation",
            [e("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "string"}])],
            observation(valueString="a"),
            observation(valueBoolean=True),
            ("profile-type", "Observation.value"),
        ),
        Feature(
            "one type of a choice, told by its JSON name",
            "Observation",
            [
                e("Observation.valueQuantity", path="Observation.valueQuantity"),
                e("Observation.valueQuantity.code", min=1),
            ],
            observation(valueQuantity=quantity(1, "g")),
            observation(valueQuantity={"value": 1}),
            ("profile-cardinality", "Observation.value"),
        ),
        Feature(
            "a slice of a choice forbids a type",
            "Observation",
            [
                e("Observation.value[x]", slicing=by("type:$this")),
                e("Observation.value[x]:valueString", max="0", type=[{"code": "string"}]),
            ],
            observation(valueBoolean=True),
            observation(valueString="a"),
            ("profile-slice-cardinality", "Observation.value"),
        ),
        Feature(
            "a value conforms to a profile of its type",
            "Patient",
            [e("Patient.identifier", type=[{"code": "Identifier", "profile": [WITH_SYSTEM["url"]]}])],
            patient(identifier=[{"system": OWN}]),
            patient(identifier=[{"system": OWN}, {"value": "1"}]),
            ("profile-cardinality", "Patient.identifier[1]"),
            others=(WITH_SYSTEM,),
        ),
        Feature(
            "a value conforms to one of several profiles of its type",
            "Patient",
            [
                e(
                    "Patient.identifier",
                    type=[{"code": "Identifier", "profile": [f"{WITH_SYSTEM['url']}|1.2.3", f"{WITH_VALUE['url']}|1"]}],
                )
            ],
            patient(identifier=[{"system": OWN}, {"value": "1"}]),
            patient(identifier=[{"use": "old"}]),
            ("profile-type", "Patient.identifier[0]"),
            others=(WITH_SYSTEM, WITH_VALUE),
        ),
        Feature(
            "a contained resource conforms to a profile",
            "Patient",
            [e("Patient.contained", type=[{"code": "Organization", "profile": [NAMED["url"]]}])],
            contained({**FIRST, "id": "a"}),
            contained({**SECOND, "id": "a"}),
            ("profile-cardinality", "Patient.contained[0]"),
            others=(NAMED,),
        ),
    ]


def values() -> list[Feature]:
    return [
        Feature(
            "a primitive is fixed",
            "Patient",
            [e("Patient.gender", fixedCode="other")],
            patient(gender="other"),
            patient(gender="male"),
            ("profile-fixed", "Patient.gender"),
        ),
        Feature(
            "a whole object is fixed",
            "Observation",
            [e("Observation.code", fixedCodeableConcept=concept("red"))],
            observation(code=concept("red")),
            observation(code={**concept("red"), "text": "x"}),
            ("profile-fixed", "Observation.code"),
        ),
        Feature(
            "a pattern allows more",
            "Observation",
            [e("Observation.code", patternCodeableConcept=concept("red"))],
            observation(code={"coding": [*concept("blue")["coding"], {"display": "r", **concept("red")["coding"][0]}]}),
            observation(code=concept("blue")),
            ("profile-pattern", "Observation.code"),
        ),
        Feature(
            "a pattern of a primitive",
            "Patient",
            [e("Patient.name.family", patternString="Muster")],
            patient(name=[{"family": "Muster"}]),
            patient(name=[{"family": "Mustermann"}]),
            ("profile-pattern", "Patient.name[0].family"),
        ),
        Feature(
            "a pattern of an array is met by some item each",
            "Patient",
            [e("Patient.name", patternHumanName={"given": ["A", "B"]})],
            patient(name=[{"given": ["C", "B", "A"]}]),
            patient(name=[{"given": ["A", "C"]}]),
            ("profile-pattern", "Patient.name[0]"),
        ),
        Feature(
            "the least of an integer",
            "Patient",
            [e("Patient.multipleBirth[x]", type=[{"code": "integer"}], minValueInteger=2)],
            patient(multipleBirthInteger=2),
            patient(multipleBirthInteger=1),
            ("profile-limit", "Patient.multipleBirth"),
        ),
        Feature(
            "the most of a date",
            "Patient",
            [e("Patient.birthDate", maxValueDate="2020-06-30")],
            patient(birthDate="2020"),
            patient(birthDate="2020-07"),
            ("profile-limit", "Patient.birthDate"),
        ),
        Feature(
            "the least of a dateTime, across time zones",
            "Observation",
            [e("Observation.effective[x]", type=[{"code": "dateTime"}], minValueDateTime="2020-01-01T00:00:00Z")],
            observation(effectiveDateTime="2019-12-31T23:00:00-02:00"),
            observation(effectiveDateTime="2020-01-01T00:30:00+01:00"),
            ("profile-limit", "Observation.effective"),
        ),
        Feature(
            "the least of a date, counted back from now",
            "Patient",
            [e("Patient.birthDate", minValueQuantity=quantity(150, "a"))],
            patient(birthDate="1990-02"),
            patient(birthDate="1650"),
            ("profile-limit", "Patient.birthDate"),
        ),
        Feature(
            "the most of a dateTime, counted on from now",
            "Observation",
            [e("Observation.effective[x]", type=[{"code": "dateTime"}], maxValueQuantity=quantity(10, "mo"))],
            observation(effectiveDateTime="2020-01-01T00:00:00Z"),
            observation(effectiveDateTime="9990-01-01T00:00:00Z"),
            ("profile-limit", "Observation.effective"),
        ),
        Feature(
            "the most of a time",
            "Observation",
            [e("Observation.value[x]", type=[{"code": "time"}], maxValueTime="12:00:00")],
            observation(valueTime="12:00:00"),
            observation(valueTime="12:00:01"),
            ("profile-limit", "Observation.value"),
        ),
        Feature(
            "the least of a quantity, in another unit",
            "Observation",
            [e("Observation.value[x]", type=[{"code": "Quantity"}], minValueQuantity=quantity(1, "g"))],
            observation(valueQuantity=quantity(1000, "mg")),
            observation(valueQuantity=quantity(999, "mg")),
            ("profile-limit", "Observation.value"),
        ),
        Feature(
            "the most of a decimal",
            "Observation",
            [
                e("Observation.value[x]:valueQuantity.value", maxValueDecimal=10),
            ],
            observation(valueQuantity={"value": 10}),
            observation(valueQuantity={"value": 11}),
            ("profile-limit", "Observation.value.value"),
        ),
        Feature(
            "the longest text",
            "Patient",
            [e("Patient.name.text", maxLength=3)],
            patient(name=[{"text": "abc"}]),
            patient(name=[{"text": "abcd"}]),
            ("profile-length", "Patient.name[0].text"),
        ),
        Feature(
            "the shortest text",
            "Patient",
            [e("Patient.name.text", extension=[extension(f"{CORE}minLength", valueInteger=3)])],
            patient(name=[{"text": "abc"}]),
            patient(name=[{"text": "ab"}]),
            ("profile-length", "Patient.name[0].text"),
        ),
        Feature(
            "the form of a text",
            "Patient",
            [e("Patient.identifier.value", extension=[extension(f"{CORE}regex", valueString="[0-9]{3}|x")])],
            patient(identifier=[{"value": "123"}, {"value": "x"}]),
            patient(identifier=[{"value": "1234"}]),
            ("profile-form", "Patient.identifier[0].value"),
        ),
        Feature(
            "a value is a must",
            "Patient",
            [e("Patient.birthDate", mustHaveValue=True)],
            patient(birthDate="2020"),
            patient(_birthDate={"extension": [extension(REASON, valueCode="unknown")]}),
            ("profile-value", "Patient.birthDate"),
            releases=(R5,),
        ),
        Feature(
            "a value is a must, before R5",
            "Patient",
            [
                e(
                    "Patient.birthDate",
                    extension=[
                        extension(
                            "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue",
                            valueBoolean=True,
                        )
                    ],
                )
            ],
            patient(birthDate="2020"),
            patient(_birthDate={"extension": [extension(REASON, valueCode="unknown")]}),
            ("profile-value", "Patient.birthDate"),
            releases=(R4, R4B),
        ),
        Feature(
            "what may stand for a value",
            "Patient",
            [e("Patient.birthDate", valueAlternatives=[REASON])],
            patient(_birthDate={"extension": [extension(REASON, valueCode="unknown")]}),
            patient(_birthDate={"extension": [extension(EXTENSION, valueCode="red")]}),
            ("profile-value", "Patient.birthDate"),
            releases=(R5,),
            others=(COLOUR, WARM),
        ),
    ]


def bindings() -> list[Feature]:
    method = "Observation.method"

    def binding(strength: str, name: str) -> Resource:
        return {"strength": strength, "valueSet": SETS + name}

    def bound(
        name: str, *sets: Resource, strength: str = "required", rule: str = "profile-binding", **bad: Any
    ) -> Feature:
        return Feature(
            name,
            "Observation",
            [e(method, binding=binding(strength, sets[0]["url"].removeprefix(SETS)))],
            observation(method=concept("red")),
            observation(method=bad or concept("blue")),
            (rule, method),
            others=(*sets, COLOURS),
        )

    either = {**value_set("either"), "compose": {"include": [{"valueSet": [f"{SETS}warm|1.2"]}]}}
    without = value_set("without", exclude=[{"system": CODES, "concept": [{"code": "blue"}]}])
    elsewhere = {"system": OWN, "filter": [{"property": "x", "op": "=", "value": "y"}]}
    expanded = {
        **value_set("expanded"),
        "compose": {"include": [elsewhere]},
        "expansion": {"timestamp": "2020", "total": 1, "contains": [{"system": CODES, "code": "red"}]},
    }
    found = [
        bound("a required binding", WARM),
        bound("a required binding asks for a code", WARM, text="red"),
        bound("an extensible binding", WARM, strength="extensible", rule="profile-binding-extensible"),
        bound("a value set that draws on another, of the version that is named", either, WARM),
        bound("a value set that leaves codes out", without),
        bound("a value set with its expansion", expanded),
        bound("a value set is of the system, too", WARM, coding=[{"system": OWN, "code": "red"}]),
        Feature(
            "a code is bound more narrowly",
            "Patient",
            [e("Patient.gender", binding=binding("required", "genders|1.2"))],
            patient(gender="other"),
            patient(gender="male"),
            ("profile-binding", "Patient.gender"),
            others=(value_set("genders", "other", system="http://hl7.org/fhir/administrative-gender"),),
        ),
        Feature(
            "a quantity is bound by its unit",
            "Observation",
            [e("Observation.value[x]", type=[{"code": "Quantity"}], binding=binding("required", "units"))],
            observation(valueQuantity=quantity(1, "g")),
            observation(valueQuantity=quantity(1, "kg")),
            ("profile-binding", "Observation.value"),
            others=(value_set("units", "g", "mg", system="http://unitsofmeasure.org"),),
        ),
        Feature(
            "a value set that is the most",
            "Observation",
            [
                e(
                    method,
                    binding={
                        **binding("preferred", "any"),
                        "extension": [extension(f"{CORE}elementdefinition-maxValueSet", valueCanonical=WARM["url"])],
                    },
                )
            ],
            observation(method=concept("red")),
            observation(method=concept("blue")),
            ("profile-binding", method),
            others=(WARM, ANY, COLOURS),
        ),
    ]
    for release in ALL:

        def more(
            name: str, purpose: str, rule: str = "profile-binding", release: FhirVersion = release, **parts: Any
        ) -> Feature:
            return Feature(
                name,
                "Observation",
                [e(method, binding=additional(purpose, "warm", release, **parts))],
                observation(method=concept("red")),
                observation(method=concept("blue")),
                (rule, method),
                (release,),
                {"useContext": [usage("ward")]},
                (WARM, ANY, COLOURS),
            )

        found += [
            more("an additional binding that is the most", "maximum"),
            more("an additional required binding", "required"),
            more("an additional extensible binding", "extensible", "profile-binding-extensible"),
            more("an additional binding for what is new", "current", "profile-binding-extensible"),
            more("an additional binding for the use of the profile", "required", usage=[usage("ward")]),
            Feature(
                "an additional binding that one item is enough for",
                "Observation",
                [e("Observation.category", binding=additional("required", "warm", release, any=True))],
                observation(category=[concept("blue"), concept("red")]),
                observation(category=[concept("blue"), concept("blue")]),
                ("profile-binding", "Observation.category[0]"),
                (release,),
                others=(WARM, ANY, COLOURS),
            ),
        ]
    return found
