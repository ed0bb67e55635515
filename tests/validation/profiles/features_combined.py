"""Features of profiles that meet: slices in slices, under choices, behind references, in profiles that others are based
on. HL7's own engine was asked the same; where its answer is another one, the case says what the specification says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.validation.profiles.features import (
    ALL,
    ANY,
    CODES,
    COLOUR,
    COLOURS,
    CORE,
    EXTENSION,
    FIRST,
    MINE,
    NAMED,
    OTHER,
    OWN,
    OWN_SLICE,
    R5,
    URL,
    WARM,
    Feature,
    Resource,
    additional,
    bundle,
    by,
    concept,
    definition,
    e,
    extension,
    observation,
    patient,
    quantity,
    usage,
)

_CARDINALITY, _LACKING, _OUT = "profile-cardinality", "profile-slice-cardinality", "profile-slice"
_RED = [
    e("Observation.component", slicing=by("pattern:code")),
    e("Observation.component:red"),
    e("Observation.component:red.code", min=1, patternCodeableConcept=concept("red")),
]
_COMPLEX = f"{URL}complex"
# The slices that such a differential names are those of the profile of a type, which a snapshot would repeat.
FROM_TYPES = {"baseDefinition": f"{CORE}Patient"}
_PARTS = definition(
    "complex",
    "Extension",
    [
        e("Extension.extension", slicing=by("value:url")),
        e("Extension.extension:part", min=0, max="2"),
        e("Extension.extension:part.url", fixedUri="part"),
        e("Extension.extension:part.value[x]", min=1, type=[{"code": "string"}]),
        e("Extension.url", fixedUri=_COMPLEX),
        e("Extension.value[x]", max="0"),
    ],
    context=[{"type": "element", "expression": "Element"}],
)
_MODIFYING = definition(
    "modifying",
    "Extension",
    [
        {"id": "Extension", "path": "Extension", "isModifier": True, "isModifierReason": "for the test"},
        e("Extension.url", fixedUri=f"{URL}modifying"),
        e("Extension.value[x]", min=1, type=[{"code": "boolean"}]),
    ],
    context=[{"type": "element", "expression": "Element"}],
)
_ACTIVE = definition("active", "Organization", [e("Organization.active", min=1, fixedBoolean=True)])
_WORKING = {"resourceType": "Organization", "id": "a", "name": "A", "active": True}


def _red(**more: Any) -> Resource:
    return {"code": concept("red"), **more}


def _components(*listed: Resource) -> Resource:
    return observation(component=list(listed))


def _identifiers(*listed: Resource) -> Resource:
    return patient(identifier=list(listed))


def slices_of_slices() -> Iterator[Feature]:
    """Slices below default slices, content references below slices, children of slices."""
    place = "Patient.identifier"
    old = {"system": "urn:x", "value": "1", "use": "old"}
    default = [
        *OWN_SLICE,
        e("Patient.identifier:@default", slicing=by("value:use")),
        e("Patient.identifier:@default/old", max="0"),
        e("Patient.identifier:@default/old.use", min=1, fixedCode="old"),
    ]
    yield Feature(
        "the default slice is sliced again",
        "Patient",
        default,
        _identifiers({**MINE, "use": "old"}, OTHER),
        _identifiers(MINE, old),
        (_LACKING, f"{place}[1]"),
    )
    yield Feature(
        "a closed slicing with a default slice that is limited",
        "Patient",
        [
            e("Patient.identifier", slicing=by("value:system", rules="closed")),
            *OWN_SLICE[1:],
            e("Patient.identifier:@default", max="1"),
        ],
        _identifiers(MINE, OTHER),
        _identifiers(MINE, OTHER, old),
        (_LACKING, f"{place}[2]"),
    )
    yield Feature(
        "a child of the default slice is required",
        "Patient",
        [*OWN_SLICE, e("Patient.identifier:@default"), e("Patient.identifier:@default.value", min=1)],
        _identifiers({"system": OWN}, OTHER),
        _identifiers(MINE, {"system": "urn:x"}),
        (_CARDINALITY, f"{place}[1]"),
    )
    yield Feature(
        "a child of a slice is forbidden",
        "Patient",
        [*OWN_SLICE, e("Patient.identifier:own.period", max="0")],
        _identifiers(MINE, {**OTHER, "period": {"start": "2020"}}),
        _identifiers({**MINE, "period": {"start": "2020"}}),
        (_CARDINALITY, f"{place}[0].period"),
    )
    yield Feature(
        "what is asked of all is asked in slices, too",
        "Patient",
        [*OWN_SLICE, e("Patient.identifier.value", min=1)],
        _identifiers(MINE),
        _identifiers({"system": OWN}),
        (_CARDINALITY, f"{place}[0]"),
    )
    group = {"linkId": "a", "text": "a", "type": "group"}
    deep = {"linkId": "d", "type": "display", "text": "d"}

    def questions(*listed: Resource) -> Resource:
        return {"resourceType": "Questionnaire", "status": "draft", "item": list(listed)}

    yield Feature(
        "a content reference below a slice",
        "Questionnaire",
        [
            e("Questionnaire.item", slicing=by("value:linkId")),
            e("Questionnaire.item:a"),
            e("Questionnaire.item:a.linkId", fixedString="a"),
            e("Questionnaire.item:a.item", min=1),
            e("Questionnaire.item:a.item.prefix", min=1),
        ],
        questions(
            {**group, "item": [{**deep, "prefix": "1"}]},
            {**group, "linkId": "b", "item": [{**deep, "linkId": "e"}]},
        ),
        questions({**group, "item": [deep]}),
        (_CARDINALITY, "Questionnaire.item[0].item[0]"),
    )
    yield Feature(
        "a content reference to another element, below a slice",
        "Observation",
        [*_RED, e("Observation.component:red.referenceRange.text", min=1)],
        _components(_red(valueString="a", referenceRange=[{"text": "all"}])),
        _components(_red(valueString="a", referenceRange=[{"low": {"value": 1}}])),
        (_CARDINALITY, "Observation.component[0].referenceRange[0]"),
    )
    yield Feature(
        "slices by what is behind a content reference",
        "Observation",
        [
            *_RED,
            e("Observation.component:red.referenceRange", slicing=by("value:text")),
            e("Observation.component:red.referenceRange:all", min=1),
            e("Observation.component:red.referenceRange:all.text", min=1, fixedString="all"),
        ],
        _components(_red(valueString="a", referenceRange=[{"text": "all"}])),
        _components(_red(valueString="a", referenceRange=[{"text": "some"}])),
        (_LACKING, "Observation.component[0]"),
    )


def slices_by_more() -> Iterator[Feature]:
    """Discriminators that meet."""
    first = "Patient.generalPractitioner[0]"
    through = [
        e("Patient.generalPractitioner", slicing=by("type:resolve()", "value:resolve().active", rules="closed")),
        e("Patient.generalPractitioner:a", type=[{"code": "Reference", "targetProfile": [_ACTIVE["url"]]}]),
    ]

    def to(resource: Resource) -> Resource:
        return patient(contained=[resource], generalPractitioner=[{"reference": f"#{resource['id']}"}])

    yield Feature(
        "slices by type and by a value through a reference",
        "Patient",
        through,
        to(_WORKING),
        to({**_WORKING, "active": False}),
        (_OUT, first),
        others=(_ACTIVE,),
    )
    yield Feature(
        "slices by type and by a value through a reference, of another type",
        "Patient",
        through,
        to(_WORKING),
        to({"resourceType": "Practitioner", "id": "p", "active": True}),
        (_OUT, first),
        others=(_ACTIVE,),
    )
    yield Feature(
        "slices by a pattern and by existence",
        "Observation",
        [
            e("Observation.component", slicing=by("pattern:code", "exists:interpretation")),
            e("Observation.component:read", max="1"),
            e("Observation.component:read.code", min=1, patternCodeableConcept=concept("red")),
            e("Observation.component:read.interpretation", min=1),
            e("Observation.component:raw", min=1),
            e("Observation.component:raw.code", min=1, patternCodeableConcept=concept("red")),
            e("Observation.component:raw.interpretation", max="0"),
        ],
        _components(_red(valueString="a", interpretation=[{"text": "x"}]), _red(valueString="b")),
        _components(_red(valueString="a", interpretation=[{"text": "x"}])),
        (_LACKING, "Observation"),
    )
    yield Feature(
        "slices by the existence of an extension",
        "Patient",
        [
            e("Patient.identifier", slicing=by(f"exists:extension('{EXTENSION}')")),
            e("Patient.identifier:coloured", max="1"),
            e("Patient.identifier:coloured.extension", min=1, slicing=by("value:url")),
            e(
                "Patient.identifier:coloured.extension:colour",
                min=1,
                type=[{"code": "Extension", "profile": [EXTENSION]}],
            ),
        ],
        _identifiers({**MINE, "extension": [extension(EXTENSION, valueCode="red")]}, OTHER),
        _identifiers(*[{**one, "extension": [extension(EXTENSION, valueCode="red")]} for one in (MINE, OTHER)]),
        (_LACKING, "Patient.identifier[1]"),
        others=(COLOUR, WARM),
    )
    yield Feature(
        "slices by the type of a value",
        "Observation",
        [
            e("Observation.component", slicing=by("type:value")),
            e("Observation.component:number", min=1),
            e("Observation.component:number.value[x]", min=1, type=[{"code": "Quantity"}]),
        ],
        _components(_red(valueQuantity={"value": 1}), _red(valueString="a")),
        _components(_red(valueString="a")),
        (_LACKING, "Observation"),
    )
    yield Feature(
        "slices by a value deep inside",
        "Observation",
        [
            e("Observation.component", slicing=by("value:code.coding.code")),
            e("Observation.component:red", min=1),
            e("Observation.component:red.code.coding", min=1),
            e("Observation.component:red.code.coding.code", min=1, fixedCode="red"),
        ],
        _components(_red(valueString="a")),
        _components({"code": concept("blue"), "valueString": "a"}),
        (_LACKING, "Observation"),
    )
    yield Feature(
        "slices of what is contained",
        "Patient",
        [
            e("Patient.contained", slicing=by("type:$this")),
            e("Patient.contained:organization", type=[{"code": "Organization"}]),
            e("Patient.contained:organization.name", min=1),
        ],
        to(_WORKING),
        to({"resourceType": "Organization", "id": "a", "identifier": [MINE]}),
        (_CARDINALITY, "Patient.contained[0]"),
    )
    yield Feature(
        "slices of the entries of a bundle, by profile",
        "Bundle",
        [
            e("Bundle.entry", slicing=by("profile:resource")),
            e("Bundle.entry:named", min=1),
            e("Bundle.entry:named.resource", min=1, type=[{"code": "Organization", "profile": [NAMED["url"]]}]),
        ],
        bundle(patient(id="p"), FIRST),
        bundle(patient(id="p"), {"resourceType": "Organization", "id": "2", "identifier": [MINE]}),
        (_LACKING, "Bundle"),
        others=(NAMED,),
    )
    yield Feature(
        "slices of the entries of a bundle, by position",
        "Bundle",
        [
            e("Bundle.entry", slicing=by("position:$this", ordered=True)),
            e("Bundle.entry:first", min=1, max="1"),
            e("Bundle.entry:first.resource", min=1, type=[{"code": "Patient"}]),
            e("Bundle.entry:rest"),
        ],
        bundle(patient(id="p"), FIRST),
        bundle(FIRST, patient(id="p")),
        ("profile-type", "Bundle.entry[0].resource"),
        releases=(R5,),
    )


def slices_and_values() -> Iterator[Feature]:
    """Bindings, limits, fixed values and choices in slices."""
    value = "Observation.component[0].value"
    yield Feature(
        "the most that a code in a slice may be",
        "Observation",
        [
            *_RED,
            e(
                "Observation.component:red.value[x]",
                type=[{"code": "CodeableConcept"}],
                binding={
                    "strength": "preferred",
                    "valueSet": ANY["url"],
                    "extension": [extension(f"{CORE}elementdefinition-maxValueSet", valueCanonical=WARM["url"])],
                },
            ),
        ],
        _components(_red(valueCodeableConcept=concept("orange"))),
        _components(_red(valueCodeableConcept=concept("blue"))),
        ("profile-binding", value),
        others=(WARM, ANY, COLOURS),
    )
    for release in ALL:
        yield Feature(
            "an additional binding for one use, in a slice",
            "Observation",
            [
                *_RED,
                e(
                    "Observation.component:red.value[x]",
                    type=[{"code": "CodeableConcept"}],
                    binding=additional("required", "warm", release, usage=[usage("red")]),
                ),
            ],
            _components(_red(valueCodeableConcept=concept("orange"))),
            _components(_red(valueCodeableConcept=concept("blue"))),
            ("profile-binding", value),
            releases=(release,),
            more={"useContext": [usage("red")]},
            others=(WARM, ANY, COLOURS),
        )
    yield Feature(
        "a fixed concept allows no more",
        "Observation",
        [
            *_RED[:1],
            e("Observation.component:red", max="1"),
            e("Observation.component:red.code", min=1, fixedCodeableConcept=concept("red")),
        ],
        _components(_red(valueString="a"), {"code": {**concept("red"), "text": "x"}, "valueString": "a"}),
        _components(_red(valueString="a"), _red(valueString="b")),
        (_LACKING, "Observation.component[1]"),
    )
    unit = {"system": "http://unitsofmeasure.org", "code": "mg"}
    pattern = {"low": unit, "high": unit}
    span = {"low": quantity(1, "mg"), "high": quantity(2, "mg")}
    yield Feature(
        "a pattern reaches into what is nested",
        "Observation",
        [e("Observation.value[x]", type=[{"code": "Range"}], patternRange=pattern)],
        observation(valueRange=span),
        observation(valueRange={**span, "high": {"value": 2, "unit": "mg"}}),
        ("profile-pattern", "Observation.value"),
    )
    yield Feature(
        "a fixed period allows no extension",
        "Patient",
        [e("Patient.identifier.period", fixedPeriod={"start": "2020"})],
        _identifiers({**MINE, "period": {"start": "2020"}}),
        _identifiers({**MINE, "period": {"start": "2020", "extension": [extension(EXTENSION, valueCode="red")]}}),
        ("profile-fixed", "Patient.identifier[0].period"),
        others=(COLOUR, WARM),
    )
    yield Feature(
        "no modifier extension in a slice",
        "Observation",
        [*_RED[:2], e("Observation.component:red.modifierExtension", max="0"), _RED[2]],
        _components(
            _red(valueString="a"),
            {
                "code": concept("blue"),
                "valueString": "a",
                "modifierExtension": [extension(f"{URL}modifying", valueBoolean=True)],
            },
        ),
        _components(_red(valueString="a", modifierExtension=[extension(f"{URL}modifying", valueBoolean=True)])),
        (_CARDINALITY, "Observation.component[0].modifierExtension[0]"),
        others=(_MODIFYING,),
    )
    yield Feature(
        "a choice under a slice, by its JSON name",
        "Observation",
        [*_RED, e("Observation.component:red.valueQuantity"), e("Observation.component:red.valueQuantity.unit", min=1)],
        _components(_red(valueQuantity=quantity(1, "mg")), _red(valueString="a")),
        _components(_red(valueQuantity={"value": 1})),
        (_CARDINALITY, value),
    )
    yield Feature(
        "a slice of a choice under a slice",
        "Observation",
        [
            *_RED,
            e("Observation.component:red.value[x]", slicing=by("type:$this", rules="closed")),
            e("Observation.component:red.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
            e("Observation.component:red.value[x]:valueQuantity.value", maxValueDecimal=5),
        ],
        _components(_red(valueQuantity=quantity(5, "mg"))),
        _components(_red(valueQuantity=quantity(6, "mg"))),
        ("profile-limit", f"{value}.value"),
    )
    yield Feature(
        "a closed choice allows the types of its slices",
        "Observation",
        [
            e("Observation.value[x]", slicing=by("type:$this", rules="closed")),
            e("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
            e("Observation.value[x]:valueString", type=[{"code": "string"}]),
        ],
        observation(valueString="a"),
        observation(valueBoolean=True),
        (_OUT, "Observation.value"),
    )
    yield Feature(
        "one form of a choice is required",
        "Observation",
        [
            e("Observation.value[x]", slicing=by("type:$this")),
            e("Observation.value[x]:valueQuantity", min=1, type=[{"code": "Quantity"}]),
        ],
        observation(valueQuantity=quantity(1, "mg")),
        observation(valueString="a"),
        (_LACKING, "Observation"),
    )
    rule = {"key": "own-1", "severity": "error", "human": "it is past", "expression": "$this <= @2021-12-31"}
    yield Feature(
        "a constraint on a primitive in a slice",
        "Patient",
        [*OWN_SLICE, e("Patient.identifier:own.period.start", constraint=[rule])],
        _identifiers({**MINE, "period": {"start": "2020-01-01"}}, {**OTHER, "period": {"start": "2022-01-01"}}),
        _identifiers({**MINE, "period": {"start": "2022-01-01"}}),
        ("profile-constraint", "Patient.identifier[0].period.start"),
    )
    asks = {**rule, "expression": "%resource.active.exists() and %context.value.exists()"}
    yield Feature(
        "a constraint in a slice that asks the resource",
        "Patient",
        [*OWN_SLICE[:1], e("Patient.identifier:own", constraint=[asks]), OWN_SLICE[2]],
        patient(active=True, identifier=[MINE]),
        patient(identifier=[MINE]),
        ("profile-constraint", "Patient.identifier[0]"),
    )


def extensions_in_slices() -> Iterator[Feature]:
    """Extensions with parts, constrained further where they are used."""
    used = [
        e("Patient.extension", slicing=by("value:url")),
        e("Patient.extension:complex", type=[{"code": "Extension", "profile": [_COMPLEX]}]),
    ]

    def with_parts(*texts: str) -> Resource:
        parts = [extension("part", valueString=text) for text in texts]
        return patient(
            extension=[{"url": _COMPLEX, "extension": [*parts, extension("http://example.org/more", valueString="x")]}]
        )

    yield Feature(
        "a part of an extension is required where it is used",
        "Patient",
        [*used, e("Patient.extension:complex.extension:part", min=1)],
        with_parts("a"),
        with_parts(),
        (_LACKING, "Patient.extension[0]"),
        more=FROM_TYPES,
        others=(_PARTS,),
    )
    coded = definition(
        "coded",
        "CodeableConcept",
        [
            e("CodeableConcept.coding", slicing=by("value:system")),
            e("CodeableConcept.coding:own"),
            e("CodeableConcept.coding:own.system", min=1, fixedUri=CODES),
        ],
    )
    yield Feature(
        "a slice of the profile of a type is narrowed",
        "Observation",
        [
            *_RED[:2],
            e(
                "Observation.component:red.code",
                patternCodeableConcept=concept("red"),
                type=[{"code": "CodeableConcept", "profile": [coded["url"]]}],
            ),
            e("Observation.component:red.code.coding:own.display", min=1),
        ],
        _components({"code": {"coding": [{**concept("red")["coding"][0], "display": "Red"}]}, "valueString": "a"}),
        _components(_red(valueString="a")),
        (_CARDINALITY, "Observation.component[0].code.coding[0]"),
        more={"baseDefinition": f"{CORE}Observation"},
        others=(coded,),
    )
    yield Feature(
        "the value of a part is fixed where it is used",
        "Patient",
        [
            *used,
            e("Patient.extension:complex.extension", slicing=by("value:url")),
            e("Patient.extension:complex.extension:part", max="1"),
            e("Patient.extension:complex.extension:part.url", fixedUri="part"),
            e("Patient.extension:complex.extension:part.value[x]", fixedString="a"),
        ],
        with_parts("a"),
        with_parts("b"),
        ("profile-fixed", "Patient.extension[0].extension[0].value"),
        others=(_PARTS,),
    )
    yield Feature(
        "an extension is narrowed where it is used",
        "Patient",
        [
            e("Patient.extension", slicing=by("value:url")),
            e("Patient.extension:colour", min=1, type=[{"code": "Extension", "profile": [EXTENSION]}]),
            e("Patient.extension:colour.value[x]", fixedCode="red"),
        ],
        patient(extension=[extension(EXTENSION, valueCode="red")]),
        patient(extension=[extension(EXTENSION, valueCode="orange")]),
        ("profile-fixed", "Patient.extension[0].value"),
        others=(COLOUR, WARM),
    )
    yield Feature(
        "no other extension is allowed",
        "Patient",
        [
            e("Patient.extension", slicing=by("value:url", rules="closed")),
            e("Patient.extension:complex", type=[{"code": "Extension", "profile": [_COMPLEX]}]),
        ],
        with_parts("a"),
        patient(extension=[extension(EXTENSION, valueCode="red")]),
        (_OUT, "Patient.extension[0]"),
        others=(_PARTS, COLOUR, WARM),
    )


def references_in_slices() -> Iterator[Feature]:
    """Targets in what is contained, and where they may stand."""
    part = definition(
        "part",
        "Organization",
        [e("Organization.partOf", type=[{"code": "Reference", "targetProfile": [NAMED["url"]]}])],
    )

    def parts(**whole: Any) -> Resource:
        inner = {"resourceType": "Organization", "id": "a", "name": "A", "partOf": {"reference": "#b"}}
        return patient(
            contained=[inner, {"resourceType": "Organization", "id": "b", **whole}],
            managingOrganization={"reference": "#a"},
        )

    to_part = [e("Patient.managingOrganization", type=[{"code": "Reference", "targetProfile": [part["url"]]}])]
    yield Feature(
        "the target of a reference that stands in what is contained",
        "Patient",
        to_part,
        parts(name="B"),
        parts(identifier=[MINE]),
        ("profile-reference", "Patient.managingOrganization.reference"),
        others=(part, NAMED),
    )
    held = definition(
        "held",
        "Patient",
        [e("Patient.managingOrganization", type=[{"code": "Reference", "aggregation": ["contained", "bundled"]}])],
    )
    asked = [e("Bundle.entry.resource", type=[{"code": "Patient", "profile": [held["url"]]}, {"code": "Organization"}])]
    inside = {"contained": [_WORKING], "managingOrganization": {"reference": "#a"}}
    yield Feature(
        "a target is contained or in the bundle",
        "Bundle",
        asked,
        bundle(patient(id="p", managingOrganization={"reference": "Organization/1"}), patient(id="q", **inside), FIRST),
        bundle(patient(id="p", managingOrganization={"reference": "Organization/7"}), FIRST),
        ("profile-reference", "Bundle.entry[0].resource.managingOrganization.reference"),
        others=(held,),
    )
    either = {"code": "Reference", "targetProfile": [NAMED["url"], f"{CORE}Practitioner"]}
    yield Feature(
        "a slice asks for the target that another one does not",
        "Patient",
        [
            e("Patient.generalPractitioner", slicing=by("type:resolve()")),
            e("Patient.generalPractitioner:one", max="1", type=[{**either, "targetProfile": [NAMED["url"]]}]),
            e("Patient.generalPractitioner:two", max="0", type=[{**either, "targetProfile": [f"{CORE}Practitioner"]}]),
        ],
        patient(contained=[_WORKING], generalPractitioner=[{"reference": "#a"}]),
        patient(
            contained=[{"resourceType": "Practitioner", "id": "a", "active": True}],
            generalPractitioner=[{"reference": "#a"}],
        ),
        (_LACKING, "Patient.generalPractitioner[0]"),
        others=(NAMED,),
    )


def bases() -> Iterator[Feature]:
    """Profiles on profiles."""
    sliced = definition("sliced", "Patient", OWN_SLICE)
    on = {"baseDefinition": sliced["url"]}
    third = {"system": "urn:third", "value": "3"}
    yield Feature(
        "a slice is added to those of the base",
        "Patient",
        [e("Patient.identifier:third", min=1), e("Patient.identifier:third.system", min=1, fixedUri="urn:third")],
        _identifiers(MINE, third),
        _identifiers(MINE),
        (_LACKING, "Patient"),
        more=on,
        others=(sliced,),
    )
    yield Feature(
        "a slice of the base is narrowed",
        "Patient",
        [e("Patient.identifier:own.value", min=1, fixedString="1")],
        _identifiers(MINE),
        _identifiers({**MINE, "value": "2"}),
        ("profile-fixed", "Patient.identifier[0].value"),
        more=on,
        others=(sliced,),
    )
    yield Feature(
        "the slicing of the base is closed",
        "Patient",
        [e("Patient.identifier", slicing=by("value:system", rules="closed"))],
        _identifiers(MINE),
        _identifiers(MINE, OTHER),
        (_OUT, "Patient.identifier[1]"),
        more=on,
        others=(sliced,),
    )
    imposing = definition(
        "imposing",
        "Patient",
        [e("Patient.name", min=1)],
        extension=[extension(f"{CORE}structuredefinition-imposeProfile", valueCanonical=sliced["url"])],
    )
    yield Feature(
        "the base imposes a profile",
        "Patient",
        [e("Patient.active", min=1)],
        patient(active=True, name=[{"text": "a"}], identifier=[MINE]),
        patient(active=True, name=[{"text": "a"}], identifier=[OTHER]),
        (_LACKING, "Patient"),
        more={"baseDefinition": imposing["url"]},
        others=(imposing, sliced),
    )


def everything() -> Iterator[Feature]:
    """All of these."""
    yield from slices_of_slices()
    yield from slices_by_more()
    yield from slices_and_values()
    yield from extensions_in_slices()
    yield from references_in_slices()
    yield from bases()
