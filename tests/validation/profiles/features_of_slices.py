"""The features of profiles that divide items, follow references and compare elements; `features.py` has the others."""

from __future__ import annotations

from typing import Any

from tests.validation.profiles.features import (
    ALL,
    CODES,
    COLOUR,
    CORE,
    EXTENSION,
    FIRST,
    MINE,
    NAMED,
    OTHER,
    OWN,
    R4,
    R4B,
    R5,
    RED,
    REFERENCE,
    SECOND,
    SLICED,
    TO_NAMED,
    URL,
    WARM,
    WITH_SYSTEM,
    WITH_VALUE,
    Feature,
    Resource,
    bundle,
    by,
    concept,
    contained,
    definition,
    e,
    extension,
    observation,
    patient,
    quantity,
)

_OWN = [SLICED, e("Patient.identifier:own", min=1, max="1"), e("Patient.identifier:own.system", min=1, fixedUri=OWN)]
_OTHER = [e("Patient.identifier:other"), e("Patient.identifier:other.system", min=1, fixedUri=OTHER["system"])]
_THIRD = {"system": "http://example.org/third", "value": "3"}


def _identifiers(*listed: Resource) -> Resource:
    return patient(identifier=list(listed))


def _slicing(*told: str, **more: Any) -> Resource:
    return e("Patient.identifier", slicing=by(*told, **more))


def slices() -> list[Feature]:
    place = "Patient.identifier"
    lacking, out, wrong = "profile-slice-cardinality", "profile-slice", "profile-cardinality"
    value = [*_OWN, e("Patient.identifier:own.value", min=1)]
    components = e("Observation.component", slicing=by("pattern:code"))
    codings = e("Observation.component:red.code.coding", slicing=by("value:system"))
    return [
        Feature(
            "slices by value", "Patient", _OWN, _identifiers(OTHER, MINE), _identifiers(OTHER), (lacking, "Patient")
        ),
        Feature(
            "a slice is limited",
            "Patient",
            _OWN,
            _identifiers(MINE),
            _identifiers(MINE, OTHER, MINE),
            (lacking, f"{place}[2]"),
        ),
        Feature(
            "what a slice asks of its items",
            "Patient",
            value,
            _identifiers(MINE, {"system": "urn:x"}),
            _identifiers({"system": OWN}),
            (wrong, f"{place}[0]"),
        ),
        Feature(
            "slices by pattern",
            "Observation",
            [
                components,
                e("Observation.component:red", min=1),
                e("Observation.component:red.code", patternCodeableConcept=concept("red")),
            ],
            observation(component=[{"code": {**concept("red"), "text": "x"}, "valueString": "1"}]),
            observation(component=[{"code": concept("blue"), "valueString": "1"}]),
            (lacking, "Observation"),
        ),
        Feature(
            "slices by the value itself",
            "Observation",
            [
                e("Observation.category", slicing=by("value:$this")),
                e("Observation.category:red", min=1, patternCodeableConcept=concept("red")),
            ],
            observation(category=[concept("blue"), concept("red")]),
            observation(category=[concept("blue")]),
            (lacking, "Observation"),
        ),
        Feature(
            "slices by a required binding",
            "Observation",
            [
                e("Observation.category", slicing=by("value:$this")),
                e("Observation.category:warm", min=1, binding={"strength": "required", "valueSet": WARM["url"]}),
            ],
            observation(category=[concept("blue"), concept("orange")]),
            observation(category=[concept("blue")]),
            (lacking, "Observation"),
            others=(WARM,),
        ),
        Feature(
            "slices by type",
            "Observation",
            [
                e("Observation.value[x]", slicing=by("type:$this")),
                e("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
                e("Observation.value[x]:valueQuantity.code", min=1),
            ],
            observation(valueString="a"),
            observation(valueQuantity={"value": 1}),
            (wrong, "Observation.value"),
        ),
        Feature(
            "slices by profile",
            "Patient",
            [
                _slicing("profile:$this"),
                e("Patient.identifier:a", max="1", type=[{"code": "Identifier", "profile": [WITH_SYSTEM["url"]]}]),
            ],
            _identifiers({"value": "1"}, {"value": "2"}, MINE),
            _identifiers(MINE, {"value": "2"}, OTHER),
            (lacking, f"{place}[2]"),
            others=(WITH_SYSTEM,),
        ),
        Feature(
            "slices by existence",
            "Patient",
            [
                _slicing("exists:system"),
                e("Patient.identifier:with"),
                e("Patient.identifier:with.system", min=1),
                e("Patient.identifier:with.value", min=1),
                e("Patient.identifier:without"),
                e("Patient.identifier:without.system", max="0"),
            ],
            _identifiers({"use": "old"}, MINE),
            _identifiers({"use": "old"}, {"system": OWN}),
            (wrong, f"{place}[1]"),
        ),
        Feature(
            "slices by position",
            "Patient",
            [
                _slicing("position:$this", ordered=True),
                e("Patient.identifier:first", min=1, max="1"),
                e("Patient.identifier:first.system", min=1, fixedUri=OWN),
                e("Patient.identifier:rest"),
            ],
            _identifiers(MINE, OTHER, OTHER),
            _identifiers(OTHER, MINE),
            ("profile-fixed", f"{place}[0].system"),
            releases=(R5,),
        ),
        Feature(
            "two discriminators",
            "Patient",
            [
                _slicing("value:system", "value:use"),
                e("Patient.identifier:own", min=1),
                e("Patient.identifier:own.system", min=1, fixedUri=OWN),
                e("Patient.identifier:own.use", min=1, fixedCode="old"),
            ],
            _identifiers({**MINE, "use": "old"}),
            _identifiers(MINE),
            (lacking, "Patient"),
        ),
        Feature(
            "a discriminator that a slice says nothing about",
            "Patient",
            [
                _slicing("value:system", "value:use"),
                e("Patient.identifier:own", min=1),
                e("Patient.identifier:own.system", min=1, fixedUri=OWN),
            ],
            _identifiers({**MINE, "use": "old"}),
            _identifiers(OTHER),
            (lacking, "Patient"),
        ),
        Feature(
            "a slicing is closed",
            "Patient",
            [_slicing("value:system", rules="closed"), *_OWN[1:]],
            _identifiers(MINE),
            _identifiers(MINE, OTHER),
            (out, f"{place}[1]"),
        ),
        Feature(
            "a slicing is open at its end",
            "Patient",
            [_slicing("value:system", rules="openAtEnd"), *_OWN[1:]],
            _identifiers(MINE, OTHER),
            _identifiers(OTHER, MINE),
            (out, f"{place}[0]"),
        ),
        Feature(
            "slices are ordered",
            "Patient",
            [_slicing("value:system", ordered=True), *_OWN[1:], *_OTHER],
            _identifiers(MINE, _THIRD, OTHER),
            _identifiers(OTHER, MINE),
            (out, f"{place}[1]"),
        ),
        Feature(
            "a slice is sliced again",
            "Patient",
            [
                SLICED,
                e("Patient.identifier:own", slicing=by("value:use")),
                e("Patient.identifier:own.system", min=1, fixedUri=OWN),
                e("Patient.identifier:own/old", max="1"),
                e("Patient.identifier:own/old.use", min=1, fixedCode="old"),
            ],
            _identifiers({**MINE, "use": "old"}, {**OTHER, "use": "old"}, MINE),
            _identifiers({**MINE, "use": "old"}, {**MINE, "use": "old"}),
            (lacking, f"{place}[1]"),
        ),
        Feature(
            "an element of a slice is sliced",
            "Observation",
            [
                components,
                e("Observation.component:red"),
                e("Observation.component:red.code", min=1, patternCodeableConcept=concept("red")),
                codings,
                e("Observation.component:red.code.coding:own", min=1),
                e("Observation.component:red.code.coding:own.system", min=1, fixedUri=OWN),
            ],
            observation(
                component=[
                    {"code": {"coding": [*concept("red")["coding"], {"system": OWN, "code": "1"}]}, "valueString": "1"}
                ]
            ),
            observation(
                component=[{"code": concept("blue"), "valueString": "1"}, {"code": concept("red"), "valueString": "1"}]
            ),
            (lacking, "Observation.component[1].code"),
        ),
        Feature(
            "the slice of all that is in no other",
            "Patient",
            [
                _slicing("value:system", rules="closed"),
                *_OWN[1:],
                e("Patient.identifier:@default"),
                e("Patient.identifier:@default.value", min=1),
            ],
            _identifiers({"system": OWN}, OTHER),
            _identifiers({"system": OWN}, {"system": "urn:x"}),
            (wrong, f"{place}[1]"),
        ),
        Feature(
            "slices by a value behind an extension",
            "Patient",
            [
                e("Patient.contact", slicing=by(f"value:extension('{EXTENSION}').value")),
                e("Patient.contact:red", min=1),
                e("Patient.contact:red.extension", slicing=by("value:url")),
                e("Patient.contact:red.extension:colour", min=1, type=[{"code": "Extension", "profile": [EXTENSION]}]),
                e("Patient.contact:red.extension:colour.value[x]", min=1, fixedCode="red"),
            ],
            patient(contact=[{"name": {"text": "a"}, "extension": [extension(EXTENSION, valueCode="red")]}]),
            patient(contact=[{"name": {"text": "a"}, "extension": [extension(EXTENSION, valueCode="orange")]}]),
            (lacking, "Patient"),
            others=(COLOUR, WARM),
        ),
        Feature(
            "slices by a value of one type",
            "Observation",
            [
                e("Observation.component", slicing=by("value:value.ofType(Quantity).code")),
                e("Observation.component:grams", min=1),
                e("Observation.component:grams.value[x]", min=1, type=[{"code": "Quantity"}]),
                e("Observation.component:grams.value[x].code", min=1, fixedCode="g"),
            ],
            observation(component=[{"code": {"text": "x"}, "valueQuantity": quantity(1, "g")}]),
            observation(component=[{"code": {"text": "x"}, "valueString": "g"}]),
            (lacking, "Observation"),
        ),
    ]


def extensions() -> list[Feature]:
    needs = [e("Patient.extension:colour", min=1, type=[{"code": "Extension", "profile": [EXTENSION]}])]
    whole = [e("Patient.extension", slicing=by("value:url")), *needs]
    return [
        Feature(
            "an extension is required",
            "Patient",
            whole,
            patient(extension=[extension(EXTENSION, valueCode="red")]),
            patient(extension=[extension(REASON_OTHER, valueCode="unknown")]),
            ("profile-slice-cardinality", "Patient"),
            others=(COLOUR, WARM),
        ),
        Feature(
            "an extension is sliced without a word on slicing",
            "Patient",
            needs,
            patient(extension=[extension(EXTENSION, valueCode="red")]),
            patient(active=True),
            ("profile-slice-cardinality", "Patient"),
            others=(COLOUR, WARM),
        ),
        Feature(
            "an extension conforms to its definition",
            "Patient",
            whole,
            patient(extension=[extension(EXTENSION, valueCode="red")]),
            patient(extension=[extension(EXTENSION, valueCode="blue")]),
            ("profile-binding", "Patient.extension[0].value"),
            others=(COLOUR, WARM),
        ),
        Feature(
            "an extension on a primitive is required",
            "Patient",
            [
                e("Patient.birthDate.extension", slicing=by("value:url")),
                e("Patient.birthDate.extension:colour", min=1, type=[{"code": "Extension", "profile": [EXTENSION]}]),
            ],
            patient(birthDate="2020", _birthDate={"extension": [extension(EXTENSION, valueCode="red")]}),
            patient(birthDate="2020"),
            ("profile-slice-cardinality", "Patient.birthDate"),
            others=(COLOUR, WARM),
        ),
        Feature(
            "the value of a primitive is limited",
            "Patient",
            [e("Patient.birthDate.value", maxLength=7)],
            patient(birthDate="2020-01"),
            patient(birthDate="2020-01-01"),
            ("profile-length", "Patient.birthDate"),
        ),
        Feature(
            "the value of a primitive is required",
            "Patient",
            [e("Patient.birthDate.value", min=1)],
            patient(birthDate="2020-01"),
            patient(_birthDate={"extension": [extension(REASON_OTHER, valueCode="unknown")]}),
            ("profile-cardinality", "Patient.birthDate"),
        ),
        Feature(
            "the id of a primitive is forbidden",
            "Patient",
            [e("Patient.birthDate.id", max="0")],
            patient(birthDate="2020-01"),
            patient(birthDate="2020-01", _birthDate={"id": "a"}),
            ("profile-cardinality", "Patient.birthDate.id"),
        ),
        Feature(
            "an item of a list of primitives must have an id",
            "Patient",
            [e("Patient.name.given.id", min=1)],
            patient(name=[{"given": ["a"], "_given": [{"id": "b"}]}]),
            patient(name=[{"given": ["a", "c"], "_given": [{"id": "b"}, None]}]),
            ("profile-cardinality", "Patient.name[0].given[1]"),
        ),
    ]


REASON_OTHER = f"{CORE}data-absent-reason"


def references() -> list[Feature]:
    rule, place = "profile-reference", "Patient.managingOrganization.reference"

    def general(**more: Any) -> Resource:
        return e("Patient.generalPractitioner", type=[{"code": "Reference", **more}])

    def to(reference: str, **more: Any) -> Resource:
        return patient(generalPractitioner=[{"reference": reference}], **more)

    inside = {"contained": [{"resourceType": "Organization", "id": "a", "name": "Acme"}]}
    first = "Patient.generalPractitioner[0].reference"
    pinned = [
        Feature(
            f"a target is named with {'a part of ' if short else ''}its version",
            "Patient",
            [general(targetProfile=[f"{CORE}Practitioner|{number}"])],
            to("Practitioner/1"),
            to("Organization/1"),
            (rule, first),
            (release,),
        )
        for release in ALL
        for short, number in enumerate((release.number, release.mime))
    ]
    kind = [
        e("Patient.generalPractitioner", slicing=by("type:$this.resolve()")),
        e(
            "Patient.generalPractitioner:one",
            max="1",
            type=[{"code": "Reference", "targetProfile": [f"{CORE}Organization"]}],
        ),
    ]
    profiled = [
        e("Patient.generalPractitioner", slicing=by("profile:resolve()", rules="closed")),
        e("Patient.generalPractitioner:one", type=[{"code": "Reference", "targetProfile": [NAMED["url"]]}]),
    ]
    several = {"generalPractitioner": [{"reference": "Organization/1"}, {"reference": "Organization/2"}]}
    mine = patient(id="p", managingOrganization={"reference": "Organization/1"})
    theirs = patient(id="p", managingOrganization={"reference": "Organization/2"})
    return [
        Feature(
            "a reference points to a type",
            "Patient",
            [general(targetProfile=[f"{CORE}Practitioner"])],
            to("Practitioner/1"),
            to("Organization/1"),
            (rule, first),
        ),
        *pinned,
        Feature(
            "a contained target conforms to a profile",
            "Patient",
            TO_NAMED,
            contained({**FIRST, "id": "a"}),
            contained({**SECOND, "id": "a"}),
            (rule, place),
            others=(NAMED,),
        ),
        Feature(
            "a target in the bundle conforms to a profile",
            "Bundle",
            [
                e(
                    "Bundle.entry.resource",
                    type=[{"code": "Patient", "profile": [f"{URL}of-named"]}, {"code": "Organization"}],
                )
            ],
            bundle(mine, FIRST),
            bundle(theirs, SECOND),
            (rule, "Bundle.entry[0].resource.managingOrganization.reference"),
            others=(NAMED, definition("of-named", "Patient", TO_NAMED)),
        ),
        Feature(
            "a target elsewhere conforms to a profile",
            "Patient",
            TO_NAMED,
            mine,
            theirs,
            (rule, place),
            others=(NAMED,),
            held={"Organization/1": FIRST, "Organization/2": SECOND},
        ),
        Feature(
            "a target is contained",
            "Patient",
            [general(aggregation=["contained"])],
            to("#a", **inside),
            to("Organization/1"),
            (rule, first),
        ),
        Feature(
            "a target is not contained",
            "Patient",
            [general(aggregation=["referenced"])],
            to("Organization/1"),
            to("#a", **inside),
            (rule, first),
        ),
        Feature(
            "a target is in the bundle",
            "Bundle",
            [
                e(
                    "Bundle.entry.resource",
                    type=[{"code": "Patient", "profile": [f"{URL}bundled"]}, {"code": "Organization"}],
                )
            ],
            bundle(mine, FIRST),
            bundle(mine, SECOND),
            (rule, "Bundle.entry[0].resource.managingOrganization.reference"),
            others=(
                definition(
                    "bundled",
                    "Patient",
                    [e("Patient.managingOrganization", type=[{"code": "Reference", "aggregation": ["bundled"]}])],
                ),
            ),
        ),
        Feature(
            "a reference names a version",
            "Patient",
            [general(versioning="specific")],
            to("Organization/1/_history/1"),
            to("Organization/1"),
            (rule, first),
        ),
        Feature(
            "a reference names no version",
            "Patient",
            [general(versioning="independent")],
            to("Organization/1"),
            to("Organization/1/_history/1"),
            (rule, first),
        ),
        Feature(
            "slices by the type of what is pointed to",
            "Patient",
            kind,
            patient(generalPractitioner=[{"reference": "Organization/1"}, {"reference": "Practitioner/1"}]),
            patient(**several),
            ("profile-slice-cardinality", "Patient.generalPractitioner[1]"),
        ),
        Feature(
            "slices by the profile of what is pointed to",
            "Patient",
            profiled,
            to("Organization/1"),
            patient(**several),
            ("profile-slice", "Patient.generalPractitioner[1]"),
            others=(NAMED,),
            held={"Organization/1": FIRST, "Organization/2": SECOND},
        ),
        Feature(
            "slices by a value of what is pointed to, contained",
            "Patient",
            [
                e("Patient.generalPractitioner", slicing=by("exists:resolve().name", rules="closed")),
                e("Patient.generalPractitioner:one", type=[{"code": "Reference", "targetProfile": [NAMED["url"]]}]),
            ],
            to("#a", **inside),
            to("#a", contained=[{"resourceType": "Organization", "id": "a", "identifier": [MINE]}]),
            ("profile-slice", "Patient.generalPractitioner[0]"),
            others=(NAMED,),
        ),
        Feature(
            "slices of the entries of a bundle",
            "Bundle",
            [
                e("Bundle.entry", slicing=by("type:resource")),
                e("Bundle.entry:organization", min=1),
                e(
                    "Bundle.entry:organization.resource",
                    min=1,
                    type=[{"code": "Organization", "profile": [NAMED["url"]]}],
                ),
            ],
            bundle(mine, FIRST),
            bundle(mine, SECOND),
            ("profile-cardinality", "Bundle.entry[1].resource"),
            others=(NAMED,),
        ),
    ]


def _items(*texts: str, **inner: Any) -> Resource:
    return {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": t, "text": t, "type": "display", **inner} for t in texts],
    }


def rules() -> list[Feature]:
    def rule(expression: str, severity: str = "error") -> Resource:
        return {"constraint": [{"key": "own-1", "severity": severity, "human": "it holds", "expression": expression}]}

    deep = {"linkId": "d", "type": "display", "text": "d"}
    group = {"linkId": "b", "type": "group", "text": "b"}
    nested = {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{**group, "linkId": "a", "item": [{**group, "prefix": "1", "item": [deep]}]}],
    }
    without = {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{**group, "linkId": "a", "item": [{**group, "item": [deep]}]}],
    }
    imposing = [extension(f"{CORE}structuredefinition-imposeProfile", valueCanonical=f"{URL}red|1.2")]
    second = definition(
        "red",
        "Observation",
        RED,
        extension=[extension(f"{CORE}structuredefinition-imposeProfile", valueCanonical=f"{URL}dated")],
    )
    dated = definition("dated", "Observation", [e("Observation.issued", min=1)])
    issued = {"issued": "2020-01-01T00:00:00Z"}
    return [
        Feature(
            "a constraint on a resource",
            "Patient",
            [{"id": "Patient", "path": "Patient", **rule("name.exists() or active")}],
            patient(active=True),
            patient(active=False),
            ("profile-constraint", "Patient"),
        ),
        Feature(
            "a constraint that is only advice",
            "Patient",
            [e("Patient.name", **rule("family.exists()", "warning"))],
            patient(name=[{"family": "a"}]),
            patient(name=[{"text": "a"}]),
            ("profile-advice", "Patient.name[0]"),
        ),
        Feature(
            "a constraint on a primitive",
            "Patient",
            [e("Patient.name.given", **rule("$this.length() < 3"))],
            patient(name=[{"given": ["ab"]}]),
            patient(name=[{"given": ["ab", "abc"]}]),
            ("profile-constraint", "Patient.name[0].given[1]"),
        ),
        Feature(
            "a constraint on a slice",
            "Patient",
            [
                SLICED,
                e("Patient.identifier:own", **rule("value.exists()")),
                e("Patient.identifier:own.system", min=1, fixedUri=OWN),
            ],
            _identifiers(MINE, {"system": "urn:x"}),
            _identifiers({"system": OWN}),
            ("profile-constraint", "Patient.identifier[0]"),
        ),
        Feature(
            "an element behind a content reference",
            "Questionnaire",
            [e("Questionnaire.item.item.prefix", min=1)],
            nested,
            without,
            ("profile-cardinality", "Questionnaire.item[0].item[0]"),
        ),
        Feature(
            "a profile imposes another, which imposes a third",
            "Observation",
            [e("Observation.value[x]", min=1)],
            observation(code=concept("red"), valueString="a", **issued),
            observation(code=concept("red"), valueString="a"),
            ("profile-cardinality", "Observation"),
            more={"extension": imposing},
            others=(second, dated),
        ),
        Feature(
            "a profile imposes another, seen from a target",
            "Patient",
            TO_NAMED,
            contained({**FIRST, "id": "a", "active": True}),
            contained({**FIRST, "id": "a"}),
            ("profile-reference", "Patient.managingOrganization.reference"),
            others=(
                {
                    **NAMED,
                    "extension": [extension(f"{CORE}structuredefinition-imposeProfile", valueCanonical=f"{URL}active")],
                },
                definition("active", "Organization", [e("Organization.active", min=1)]),
            ),
        ),
    ]


__all__ = ["CODES", "R4", "R4B", "R5", "REFERENCE", "WITH_VALUE", "extensions", "references", "rules", "slices"]
