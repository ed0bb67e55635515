"""Profiles are found by their canonical url, built on their bases, and refused with the reason where they cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.packages import read_package
from apothecary.errors import Issue, StartError
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from apothecary.validation.profiles.listing import listings

DEFINITIONS = read_package(Path(__file__).parent.parent.parent / "data" / "profiles")
URL = "http://example.org/fhir/StructureDefinition/"
MEDICATION = "http://hl7.org/fhir/StructureDefinition/Medication"


def definition(name: str, *elements: dict[str, Any], base: str = MEDICATION, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "name": name,
        "type": "Medication",
        "derivation": "constraint",
        "baseDefinition": base,
        "differential": {"element": list(elements)},
        **more,
    }


def found(
    resource: dict[str, Any], *definitions: dict[str, Any], version: FhirVersion = FhirVersion.R5
) -> list[tuple[str | None, str]]:
    """The issues of profiles, when the first of `definitions` is asked for."""
    profiles = Profiles(definitions, [definitions[0]["url"]])
    issues: list[Issue] = validate(resource, version, options=Options(profiles=profiles))
    return [(issue.rule, issue.expression[0]) for issue in issues if str(issue.rule).startswith("profile-")]


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        ([], "not at hand"),
        (
            [definition("x", {"path": "Medication.code", "min": 1}, base=URL + "y")],
            "y, the base of .*x, is not at hand",
        ),
        ([definition("x", {"path": "Medication.code", "min": 1}, base=URL + "x")], "based on itself"),
        ([definition("x")], "neither a snapshot nor a differential"),
        ([definition("x", {"path": "Medication.codde", "min": 1})], "Medication has no element codde"),
        ([definition("x", {"path": "Medication.code", "min": 1}, type="Drug")], "'Drug', which is no type"),
        ([definition("x", {"path": "Medication.code"}, derivation="specialization")], "not at hand"),
        ([definition("x", {"path": "Medication.code", "min": 1}, fhirVersion="3.0.2")], "is for FHIR 3.0.2, not R5"),
        ([definition("x", {"path": "Medication.code", "min": 1}, fhirVersion="6.0.0-ballot2")], "is for FHIR 6.0.0"),
    ],
)
def test_a_profile_that_cannot_be_used_is_refused_with_the_reason(definitions: list[Any], said: str) -> None:
    with pytest.raises(StartError, match=said):
        Profiles(definitions, [URL + "x"])


def test_a_broken_profile_that_nobody_asks_for_does_not_stop_the_others() -> None:
    broken = definition("broken", {"path": "Medication.codde", "min": 1})
    sound = definition("sound", {"path": "Medication.code", "min": 1})
    assert found({"resourceType": "Medication", "status": "active"}, sound, broken) == [
        ("profile-cardinality", "Medication")
    ]


def test_elements_without_ids_are_placed_by_path_and_slice_name() -> None:
    profile = definition(
        "x",
        {"path": "Medication.identifier", "slicing": {"discriminator": [{"type": "value", "path": "system"}]}},
        {"path": "Medication.identifier", "sliceName": "ndc", "min": 1},
        {"path": "Medication.identifier.system", "fixedUri": "http://hl7.org/fhir/sid/ndc"},
        {"path": "Medication.identifier.value", "min": 1},
        {"path": "Medication.code", "min": 1},
    )
    other = {"resourceType": "Medication", "identifier": [{"system": "http://example.org/own", "use": "usual"}]}
    assert found({**other, "code": {"text": "x"}}, profile) == [("profile-slice-cardinality", "Medication")]
    ndc = {"resourceType": "Medication", "identifier": [{"system": "http://hl7.org/fhir/sid/ndc"}]}
    assert found(ndc, profile) == [
        ("profile-cardinality", "Medication"),
        ("profile-cardinality", "Medication.identifier[0]"),
    ]


def test_a_slice_of_a_slice_is_counted_in_it() -> None:
    system = {"discriminator": [{"type": "value", "path": "system"}]}
    use = {"discriminator": [{"type": "value", "path": "use"}]}
    profile = definition(
        "x",
        {"id": "Medication.identifier", "path": "Medication.identifier", "slicing": system},
        {"id": "Medication.identifier:own", "path": "Medication.identifier", "sliceName": "own", "slicing": use},
        {"id": "Medication.identifier:own.system", "path": "Medication.identifier.system", "fixedUri": "urn:own"},
        {"id": "Medication.identifier:own/old", "path": "Medication.identifier", "sliceName": "own/old", "max": "1"},
        {"id": "Medication.identifier:own/old.use", "path": "Medication.identifier.use", "fixedCode": "old"},
    )
    own, others = {"system": "urn:own", "use": "old", "value": "1"}, {"system": "urn:other", "use": "old", "value": "1"}
    assert found({"resourceType": "Medication", "identifier": [own, others]}, profile) == []
    assert found({"resourceType": "Medication", "identifier": [own, others, own]}, profile) == [
        ("profile-slice-cardinality", "Medication.identifier[2]")
    ]


def test_of_several_profiles_of_a_type_one_must_be_met() -> None:
    coded = definition("coded", {"path": "CodeableConcept.coding", "min": 1}, type="CodeableConcept")
    told = definition("told", {"path": "CodeableConcept.text", "min": 1}, type="CodeableConcept")
    either = {"code": "CodeableConcept", "profile": [coded["url"], told["url"]]}
    profile = definition("x", {"path": "Medication.code", "type": [either]})
    one = {"code": "CodeableConcept", "profile": [coded["url"]]}
    narrow = definition("y", {"path": "Medication.code", "type": [one]})
    resource = {"resourceType": "Medication", "code": {"text": "x"}}
    assert found(resource, profile, coded, told) == []
    assert found({"resourceType": "Medication", "code": {"id": "x"}}, profile, coded, told) == [
        ("profile-type", "Medication.code")
    ]
    assert found(resource, narrow, coded) == [("profile-cardinality", "Medication.code")]


def test_what_cannot_be_evaluated_is_told_once_and_is_no_error() -> None:
    rule = {"key": "x-1", "severity": "error", "human": "x", "expression": "conformsTo('http://example.org/x')"}
    profile = definition("x", {"path": "Medication.ingredient", "constraint": [rule]})
    ingredient = {"item": {"concept": {"text": "x"}}}
    assert found({"resourceType": "Medication", "ingredient": [ingredient, ingredient]}, profile) == [
        ("profile-not-checked", "Medication.ingredient[0]")
    ]


def test_slices_that_cannot_be_told_apart_are_not_guessed() -> None:
    profile = definition(
        "x",
        {"path": "Medication.identifier", "slicing": {"rules": "closed"}},
        {"path": "Medication.identifier", "sliceName": "own", "min": 1},
    )
    resource = {"resourceType": "Medication", "identifier": [{"value": "1"}]}
    assert found(resource, profile) == [("profile-not-checked", "Medication.identifier[0]")]


@pytest.mark.parametrize(("kind", "rules"), [("Basic", []), ("Medication", ["profile-unknown"])])
def test_the_profile_that_lets_basic_stand_for_another_type_is_known(kind: str, rules: list[str]) -> None:
    claim = "http://hl7.org/fhir/5.0/StructureDefinition/profile-ClinicalUseDefinition"
    resource = {"resourceType": kind, "code": {"text": "x"}, "meta": {"profile": [claim]}}
    issues = validate(resource, FhirVersion.R4, options=Options(profiles=Profiles([])))
    assert [issue.rule for issue in issues if issue.rule == "profile-unknown"] == rules


def test_a_profile_of_another_release_is_not_applied() -> None:
    profile = definition("x", {"path": "Medication.code", "min": 1}, fhirVersion="4.0.1")
    assert found({"resourceType": "Medication", "status": "active"}, profile) == [("profile-unusable", "Medication")]
    claimed = {"resourceType": "Medication", "status": "active", "meta": {"profile": [profile["url"]]}}
    assert found(claimed, profile) == [
        ("profile-unusable", "Medication"),
        ("profile-unknown", "Medication.meta.profile[0]"),
    ]
    assert Profiles([profile], [URL + "x"]).version_of({"resourceType": "Medication"}) is FhirVersion.R4
    claiming = {"resourceType": "Medication", "meta": {"profile": [URL + "x"]}}
    assert Profiles([profile]).version_of(claiming) is FhirVersion.R4
    assert Profiles([profile]).version_of({"resourceType": "Medication"}) is None


@pytest.mark.parametrize(
    ("named", "release"), [("4.0.0", FhirVersion.R4), ("4.3.0-cibuild", FhirVersion.R4B), ("4.6.0", None)]
)
def test_what_stands_behind_the_second_number_is_the_same_release(named: str, release: FhirVersion | None) -> None:
    profile = definition("x", {"path": "Medication.code", "min": 1}, fhirVersion=named)
    assert Profiles([profile], [URL + "x"]).version_of({"resourceType": "Medication"}) is release


def test_a_published_profile_of_another_release_that_was_asked_for_is_an_error() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    for asked, rules in ((f"{url}|4.0.1", {"profile-unusable"}), (f"{url}|5.0.0", {"profile-cardinality"})):
        issues = validate(observation, FhirVersion.R5, options=Options(profiles=Profiles([], [asked])))
        assert rules <= {each.rule for each in issues}
        assert ("profile-unusable" in rules) == ("profile-unusable" in {each.rule for each in issues})


def test_what_is_imposed_is_among_what_was_checked_or_what_was_not() -> None:
    imposing = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"
    second = definition("second", {"path": "Medication.code", "min": 1})
    other = definition("other", {"path": "Patient.name", "min": 1}, type="Patient")
    named = [second["url"], other["url"], URL + "nowhere"]
    first = definition(
        "first",
        {"path": "Medication.status", "min": 1},
        extension=[{"url": imposing, "valueCanonical": url} for url in named],
    )
    coverage = Coverage()
    profiles = Profiles([first, second, other], [first["url"]])
    resource = {"resourceType": "Medication", "status": "active", "code": {"text": "x"}}
    issues = validate(resource, FhirVersion.R5, options=Options(profiles=profiles, coverage=coverage))
    assert [*coverage.profiles] == [first["url"], second["url"]]
    assert [said.partition(": ")[2] for said in coverage.unchecked] == [
        f"the profile {other['url']}, which it imposes, is on Patient",
        f"the profile {named[2]}, which it imposes, is not at hand or cannot be used",
    ]
    assert [each.rule for each in issues if each.rule != "dom-6"] == ["profile-not-checked"] * 2


@pytest.mark.parametrize(
    ("more", "url", "at", "found"),
    [
        ({}, "part", "extension", []),
        ({}, "http://example.org/other", "extension", []),
        ({}, "prt", "extension", ["extension-value"]),
        ({}, "part", "modifierExtension", ["extension-modifier"]),
        ({"isModifier": True}, "part", "extension", ["extension-modifier"]),
        ({"isModifier": True}, "part", "modifierExtension", []),
    ],
)
def test_the_parts_and_the_place_of_an_extension_are_those_of_its_definition(
    more: dict[str, Any], url: str, at: str, found: list[str]
) -> None:
    profile = definition(
        "parts",
        {"path": "Extension", **more},
        {"id": "Extension.extension:part", "path": "Extension.extension", "sliceName": "part"},
        {"id": "Extension.extension:part.url", "path": "Extension.extension.url", "fixedUri": "part"},
        {"path": "Extension.url", "fixedUri": URL + "parts"},
        type="Extension",
    )
    extension = {"url": URL + "parts", "extension": [{"url": url, "valueString": "x"}]}
    patient = {"resourceType": "Patient", at: [extension]}
    issues = validate(patient, FhirVersion.R5, options=Options(profiles=Profiles([profile])))
    assert [each.rule for each in issues if each.rule != "dom-6"] == found


def test_an_extension_whose_definition_cannot_be_used_is_told() -> None:
    profile = definition("lost", {"path": "Extension.url"}, type="Extension", base=URL + "nowhere")
    patient = {"resourceType": "Patient", "extension": [{"url": URL + "lost", "valueString": "x"}]}
    coverage = Coverage()
    options = Options(profiles=Profiles([profile]), coverage=coverage)
    issues = validate(patient, FhirVersion.R5, options=options)
    assert [each.rule for each in issues if each.rule != "dom-6"] == ["profile-not-checked"]
    assert len(coverage.unchecked) == 1


def test_must_support_is_listed_with_what_a_base_marks() -> None:
    base = definition("base", {"path": "Medication.code", "mustSupport": True})
    profile = definition("x", {"path": "Medication.status", "mustSupport": True}, base=URL + "base")
    listed = {each.profile: each.must_support for each in listings(Profiles([profile, base]))}
    assert listed == {
        URL + "base": ("Medication.code",),
        URL + "x": ("Medication.code", "Medication.status"),
    }


def test_what_a_profile_asks_of_systems_is_listed() -> None:
    core = "http://hl7.org/fhir/StructureDefinition/"
    oblige = {
        "url": f"{core}obligation",
        "extension": [
            {"url": "code", "valueCode": "SHALL:populate"},
            {"url": "code", "valueCode": "SHOULD:display"},
            {"url": "actor", "valueCanonical": "http://example.org/actor"},
        ],
    }
    whole = {"url": f"{core}obligation", "extension": [{"url": "code", "valueCode": "SHALL:persist"}]}
    named = {**whole, "extension": [*whole["extension"], {"url": "elementId", "valueString": "Medication.status"}]}
    related = [
        {"url": f"{core}structuredefinition-imposeProfile", "valueCanonical": URL + "imposed"},
        {"url": f"{core}structuredefinition-compliesWithProfile", "valueCanonical": URL + "met"},
    ]
    profile = definition("x", {"path": "Medication.code", "extension": [oblige]}, extension=[whole, named, *related])
    (listed,) = listings(Profiles([profile, definition("silent", {"path": "Medication.code", "min": 1})]))
    assert listed.must_support == ()
    assert [tuple(each) for each in listed.obligations] == [
        ("SHALL:persist", (), ()),
        ("SHALL:persist", (), ("Medication.status",)),
        ("SHALL:populate", ("http://example.org/actor",), ("Medication.code",)),
        ("SHOULD:display", ("http://example.org/actor",), ("Medication.code",)),
    ]
    assert listed.imposes == (URL + "imposed",)
    assert listed.complies_with == (URL + "met",)


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("x|1.0.0", "first"),
        ("x|1.0", "first"),
        ("x|1", "latest"),
        ("x|1.10.0-ballot", "draft"),
        ("x|1.1", None),
        ("x|2", None),
        ("x", "latest"),
    ],
)
def test_the_version_that_is_named_is_the_one_that_counts(named: str, name: str | None) -> None:
    versions = {"first": "1.0.0", "latest": "1.10.0", "draft": "1.10.0-ballot", "older": "1.9.2"}
    made = [
        {**definition("x", {"path": "Medication.code", "min": 1}, version=versions[each]), "name": each}
        for each in versions
    ]
    found = Profiles(made).usable(URL + named, FhirVersion.R5)
    assert (found.name if found is not None else None) == name


def test_a_version_that_is_not_held_is_told_with_those_that_are() -> None:
    held = definition("x", {"path": "Medication.code", "min": 1}, version="1.0.0")
    with pytest.raises(StartError, match=r"not at hand .only 1\.0\.0"):
        Profiles([held], [URL + "x|2.0.0"])
    with pytest.raises(StartError, match=r"Medication.4\.0\.1, the base of .*x, is not at hand"):
        Profiles(
            [definition("x", {"path": "Medication.code", "min": 1}, base=f"{MEDICATION}|4.0.1", fhirVersion="5.0.0")],
            [URL + "x"],
        )


def test_profiles_survive_the_way_to_another_process() -> None:
    profiles = Profiles(DEFINITIONS, [URL + "formulary-drug"])
    resource = {"resourceType": "MedicationKnowledge", "code": {"text": "x"}}
    before = validate(resource, FhirVersion.R4, options=Options(profiles=profiles))
    copied = pickle.loads(pickle.dumps(profiles))  # noqa: S301 - what was pickled the line before
    assert validate(resource, FhirVersion.R4, options=Options(profiles=copied)) == before
    assert {issue.rule for issue in before} >= {"profile-cardinality"}


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "MedicationKnowledge", "meta": {"profile": [5, None, {}]}, "code": {"coding": {}}},
        {"resourceType": "MedicationKnowledge", "code": [], "drugCharacteristic": [None, 5, {"type": 5}], "status": []},
        {"resourceType": "MedicationKnowledge", "code": {"coding": [{"system": 5, "code": {}}, 7]}, "extension": [{}]},
        {"resourceType": "MedicationKnowledge", "_status": {"extension": 5}, "ingredient": [{"itemReference": "x"}]},
        {"resourceType": "MedicationKnowledge", "meta": 5, "monograph": [{"source": {"reference": 5}}]},
    ],
)
@pytest.mark.parametrize(("name", "version"), [("formulary-drug", "R4"), ("drug-knowledge", "R5")])
def test_no_shape_of_a_resource_makes_the_check_fail(resource: Any, name: str, version: str) -> None:
    profiles = Profiles(DEFINITIONS, [URL + name])
    assert validate(resource, FhirVersion(version), options=Options(profiles=profiles))


@pytest.mark.parametrize(
    "element",
    [
        {"path": "Medication.code", "min": "1", "type": 5, "binding": 5, "constraint": [5, {"key": "x"}]},
        {"path": "Medication.code", "slicing": 5, "binding": {"strength": "required"}, "maxLength": "x"},
        {"path": 5},
        5,
    ],
)
def test_no_shape_of_a_definition_makes_the_check_fail(element: Any) -> None:
    found({"resourceType": "Medication", "code": {"text": "x"}}, definition("x", element))


def test_profiles_are_asked_for_one_by_one_and_compiled_once() -> None:
    held = Profiles(
        [definition("x", {"path": "Medication.code", "min": 1}), definition("y", {"path": "Medication.batch"})]
    )
    asking = held.asking([f"{URL}x"])
    assert (held.asked, asking.asked) == ((), (f"{URL}x",))
    assert asking.profile(f"{URL}x", FhirVersion.R5) is held.profile(f"{URL}x", FhirVersion.R5)
    with pytest.raises(StartError, match="not at hand"):
        held.asking([f"{URL}z"])
