"""A narrative says all that a resource says: whichever elements are filled, each value stands in its text."""

from __future__ import annotations

import re
from html import unescape
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.authoring.narrative import with_narrative
from apothecary.authoring.rows import Library
from apothecary.fhir.definitions import Property, definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.authoring.filled import SKIPPED, filled, leaves
from tests.content.monograph import CONTENT

TYPES = ["MedicationKnowledge", "Medication", "ClinicalUseDefinition", "PackagedProductDefinition"]


def shown(resource: dict[str, Any], *others: dict[str, Any]) -> str:
    """The words of the narrative of a resource."""
    narrative = with_narrative(resource, Library([resource, *others]))["text"]["div"]
    return unescape(re.sub(r"<[^>]+>", " ", narrative))


def missing(resource: dict[str, Any]) -> list[str]:
    """What of a resource its narrative does not say."""
    text = shown(resource)
    said = {path: "yes" if value is True else str(value) for path, value in leaves(resource)}
    return [path for path, value in said.items() if path not in ("resourceType", "id") and value not in text]


def forms(resource_type: str) -> int:
    """The most types that an element of a resource may have."""
    known = definitions(FhirVersion.R5)
    most = 1
    names = [resource_type]
    seen = set(names)
    while names:
        by_element: dict[str, int] = {}
        for one in known.structure(names.pop()).properties.values():
            by_element[one.element.path] = by_element.get(one.element.path, 0) + (one.name not in SKIPPED)
            if one.structure not in seen:
                seen.add(one.structure)
                names.append(one.structure)
        most = max([most, *by_element.values()])
    return most


@pytest.mark.parametrize("resource_type", TYPES)
def test_every_element_that_a_resource_can_have_is_in_its_narrative(resource_type: str) -> None:
    seen: set[str] = set()
    # One resource for each form of what is a choice.
    for number in range(forms(resource_type)):
        resource = filled(resource_type, lambda found, number=number: [found[number % len(found)]])  # type: ignore[misc] # the number as it is now
        assert missing(resource) == []
        seen |= {re.sub(r"\[\d+\]", "", path).partition(".")[0] for path, _ in leaves(resource)}
    properties = definitions(FhirVersion.R5).structure(resource_type).properties
    assert seen == {"resourceType", "id", *(name for name in properties if name not in SKIPPED)}


@settings(max_examples=40)
@given(resource_type=st.sampled_from(TYPES), seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.5, 0.8]))
def test_whichever_elements_are_left_out_the_others_are_said(resource_type: str, seed: int, share: float) -> None:
    random = Random(seed)

    def some(found: list[Property]) -> list[Property]:
        return [random.choice(found)] if random.random() < share else []

    assert missing(filled(resource_type, some)) == []


@pytest.mark.parametrize(
    ("high", "said"),
    [
        ({"value": 10, "system": "http://unitsofmeasure.org", "code": "ug"}, "5 to 10 ug"),
        ({"value": 10, "system": "http://unitsofmeasure.org", "code": "mg"}, "5 ug to 10 mg"),
        ({"value": 10, "unit": "mg"}, "5 ug to 10 mg"),
        ({"comparator": "<", "value": 10, "system": "http://unitsofmeasure.org", "code": "ug"}, "5 ug to <10 ug"),
    ],
)
def test_the_ends_of_a_range_share_a_unit_only_where_it_is_the_same(high: dict[str, Any], said: str) -> None:
    low = {"value": 5, "system": "http://unitsofmeasure.org", "code": "ug"}
    setting = {"type": {"text": "dose"}, "valueRange": {"low": low, "high": high}}
    guideline = {"environmentalSetting": [setting]}
    resource = {"resourceType": "MedicationKnowledge", "id": "x", "storageGuideline": [guideline]}
    assert said in shown(resource)


def test_a_value_that_the_narrative_lacks_is_noticed() -> None:
    resource = {"resourceType": "Medication", "id": "x", "code": {"text": "seen"}}
    text = with_narrative(resource, Library([]))
    assert missing(resource) == []
    assert "unseen" not in text["text"]["div"]


def use(**parts: Any) -> dict[str, Any]:
    return {"resourceType": "ClinicalUseDefinition", "id": "x", **parts}


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (use(type="contraindication"), ["Contraindication: x"]),
        (
            use(type="contraindication", contraindication={"diseaseSymptomProcedure": {"concept": {"text": "ulcer"}}}),
            ["Contraindication: ulcer", "Condition ulcer"],
        ),
        (
            use(
                type="interaction",
                interaction={
                    "interactant": [
                        {"itemCodeableConcept": {"text": "warfarin"}},
                        {"itemReference": {"display": "milk"}},
                    ],
                    "management": [{"text": "watch"}],
                },
            ),
            ["Interaction: warfarin", "Together with warfarin milk", "Management watch"],
        ),
        (
            use(type="undesirable-effect", undesirableEffect={"symptomConditionEffect": {"concept": {"text": "rash"}}}),
            ["Undesirable effect: rash", "Effect rash"],
        ),
        (use(type="warning", warning={"description": "no kites"}), ["Warning: no kites", "Description no kites"]),
        (
            use(type="indication", indication={"durationRange": {"low": {"value": 2, "unit": "wk"}}}),
            ["Use: x", "Duration from 2 wk"],
        ),
        (
            use(type="indication", indication={"durationRange": {"high": {"value": 2, "unit": "wk", "code": "wk"}}}),
            ["Duration up to 2 wk"],
        ),
    ],
)  # fmt: skip
def test_a_statement_of_any_type_and_with_any_part_missing_is_said(resource: dict[str, Any], said: list[str]) -> None:
    text = " ".join(shown(resource).split())
    assert [one for one in said if one not in text] == []


def test_a_dose_without_words_and_an_open_range_are_said() -> None:
    dosage = {"doseAndRate": [{"doseRange": {"low": {"value": 1, "unit": "mg"}}}], "maxDosePerLifetime": {"value": 9}}
    dosing = [{"dosage": [{"type": {"text": "starting dose"}, "dosage": [dosage]}]}]
    knowledge = {
        "resourceType": "MedicationKnowledge",
        "id": "x",
        "indicationGuideline": [{"indication": [{"concept": {"text": "ache"}}], "dosingGuideline": dosing}],
    }
    text = shown(knowledge)
    assert "ache; dose: starting dose: dose and rate: dose range: from 1 mg; max dose per lifetime: 9" in text


def test_a_colour_that_is_stated_is_said_and_only_what_is_unknown_is_called_so() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    characteristics: list[dict[str, Any]] = [
        {"type": {"text": "Colour"}, "valueCodeableConcept": {"text": "green"}},
        {"type": {"text": "Size"}, "valueQuantity": {"value": 7, "unit": "mm"}},
        {"type": {"text": "Score"}, "_valueString": absent},
    ]
    text = shown(
        {"resourceType": "MedicationKnowledge", "id": "x", "definitional": {"drugCharacteristic": characteristics}}
    )
    assert "Colour: green" in text
    assert "Size: 7 mm" in text
    assert text.count("unknown: the source does not say") == 1
    assert "Score: unknown: the source does not say" in text


def test_a_use_says_what_the_editors_questioned_about_it() -> None:
    text = CONTENT["ClinicalUseDefinition/restless-legs-syndrome"]["text"]["div"]
    assert "D3: restless legs syndrome: cured or treated" in text
    assert "Questioned by the editors" not in CONTENT["ClinicalUseDefinition/bruxism"]["text"]["div"]


@pytest.mark.parametrize("resource_type", TYPES)
def test_the_narrative_of_a_filled_resource_is_sound_xhtml(resource_type: str) -> None:
    resource = with_narrative(filled(resource_type, lambda found: found[:1]), Library([]))
    rules = {issue.rule for issue in validate(resource, FhirVersion.R5) if "text" in "".join(issue.expression)}
    assert not {rule for rule in rules if rule and rule.startswith(("narrative", "txt"))}
