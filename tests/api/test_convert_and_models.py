"""`apothecary.convert` and `apothecary.models`: what they give, and that they say what they cannot."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apothecary import convert, dumps, models, parse
from apothecary.errors import BadRequest, InvalidContent, NotSupported

ROOT = Path(__file__).parent.parent.parent
R4 = {"resourceType": "Medication", "status": "active", "manufacturer": {"display": "Acme"}}
R5 = {"resourceType": "Medication", "status": "active", "marketingAuthorizationHolder": {"display": "Acme"}}


def test_a_resource_goes_to_another_release_and_back() -> None:
    assert convert(R4, to="R5", from_="R4").resource == R5
    assert convert(dumps(R5), to="4.0").resource == R4
    assert convert(R5, to="R5").resource == R5


def test_what_is_only_approximate_is_told() -> None:
    resource = parse((ROOT / "resources" / "MedicationKnowledge" / "clonazepam.json").read_bytes())
    there = convert(resource, to="R4")
    assert convert(there.resource, to="R5", from_="R4").resource == resource
    exact = {"resourceType": "Medication", "status": "active"}
    assert convert(exact, to="R4").issues == ()
    priced = {"resourceType": "MedicationKnowledge", "cost": [{"costCodeableConcept": {"text": "cheap"}}]}
    (issue,) = convert(priced, to="R4").issues
    assert issue.expression == ("MedicationKnowledge.cost.cost",)


def test_digits_survive_conversion() -> None:
    text = '{"resourceType":"Medication","totalVolume":{"value":0.500}}'
    assert b"0.500" in dumps(convert(text, to="R4").resource)


@pytest.mark.parametrize(
    ("given", "to", "from_", "error", "text"),
    [
        (R5, "R6", None, BadRequest, "to='R6'"),
        (R5, None, None, BadRequest, "to: write"),
        (R5, "R4", "5.1", BadRequest, "from_='5.1'"),
        ({"resourceType": "Medicine"}, "R4", None, NotSupported, "Medicine"),
        ({"resourceType": "Medication", "ingredient": ["x"]}, "R4", None, InvalidContent, "not built as"),
        ("{", "R4", None, InvalidContent, "Line 1, column 2"),
        ("[]", "R4", None, InvalidContent, "object with a resourceType"),
        ({}, "R4", None, InvalidContent, "object with a resourceType"),
        (None, "R4", None, TypeError, "NoneType"),
    ],
)
def test_what_cannot_be_converted_is_an_error(
    given: Any, to: Any, from_: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        convert(given, to=to, from_=from_)


@pytest.mark.parametrize(
    ("release", "room"), [("R5", "fhir.resources.medication"), ("R4B", "fhir.resources.R4B.medication")]
)
def test_the_object_is_of_its_release(release: str, room: str) -> None:
    resource = R5 if release == "R5" else R4
    found = models(resource, release)
    assert type(found).__module__ == room
    assert found.status == "active"  # type: ignore[attr-defined] # the class is found by name


def test_decimals_of_the_object_have_their_digits() -> None:
    found: Any = models('{"resourceType": "Medication", "totalVolume": {"value": 0.5000000000000000000012}}')
    assert found.totalVolume.value == Decimal("0.5000000000000000000012")


def test_there_are_no_models_of_r4() -> None:
    with pytest.raises(NotSupported, match="no models for R4") as refused:
        models(R4, "R4")
    assert "convert" in str(refused.value.issues[0].remedy)
    # What the remedy says works.
    assert models(convert(R4, to="R4B", from_="R4").resource, "R4B").id is None


def test_what_the_library_refuses_is_told_place_by_place() -> None:
    wrong = {"resourceType": "Medication", "ingredient": [{"item": {}, "isActive": "yes!"}], "nonsense": 1}
    with pytest.raises(InvalidContent) as refused:
        models(wrong)
    places = {issue.expression[0] for issue in refused.value.issues}
    assert {"Medication.ingredient[0].isActive", "Medication.nonsense"} <= places


@pytest.mark.parametrize("name", ["Quantity", "Medicine", "SubscriptionTopics", "Resource"])
def test_what_is_no_resource_type_has_no_model(name: str) -> None:
    with pytest.raises(NotSupported, match="not a resource type of R5"):
        models({"resourceType": name})


def test_every_resource_of_the_repository_has_an_object() -> None:
    for path in sorted((ROOT / "resources").glob("[A-Z]*/*.json")):
        assert models(path.read_bytes()).id == path.stem
