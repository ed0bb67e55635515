"""Every search parameter of the specification can be compiled, and read by its type."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.fhir.definitions import Component, SearchParameterDefinition, definitions
from apothecary.fhir.paths import compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining, Own
from apothecary.search.parameter import COLUMNS, standard_parameters
from apothecary.search.parameters import Registry
from apothecary.search.rows import TokenRow

ANY_VALUE = "selects the value of an extension, which may be of any type; what the parameter's type can read is read"
NOT_A_DATE = "selects every type of a choice; an age, a range or a text is no point in time"

# Official parameters that select elements which their type cannot read, with the reason.
UNREAD = {
    ("CarePlan", "activity-date"): NOT_A_DATE,
    ("CareTeam", "name"): ANY_VALUE,
    ("Consent", "source-reference"): "selects every type of a choice; an attachment refers to no resource",
    ("DiagnosticReport", "assessed-condition"): ANY_VALUE,
    ("Immunization", "date"): NOT_A_DATE,
    (
        "MedicinalProductDefinition",
        "characteristic",
    ): "selects every type of a choice; a quantity, a date and an attachment are no codes",
    ("Observation", "gene-identifier"): ANY_VALUE,
    ("Patient", "mothersMaidenName"): ANY_VALUE,
    ("Procedure", "date"): NOT_A_DATE,
}


def all_parameters(version: FhirVersion) -> list[tuple[str, Any]]:
    known = definitions(version)
    return [
        (kind, one)
        for kind in known.resource_types()
        for one in known.search_parameters(kind).values()
        if one.expression and one.code not in COLUMNS
    ]


@pytest.mark.parametrize("version", list(FhirVersion))
def test_every_official_expression_compiles(version: FhirVersion) -> None:
    parameters = all_parameters(version)
    assert len(parameters) > 1500
    for kind, one in parameters:
        assert compile_path(version, kind, one.expression).tracks, (kind, one.code)


def test_every_element_that_an_official_parameter_selects_is_read_or_listed() -> None:
    unread = {}
    for version in FhirVersion:
        registry = Registry(version, definitions(version).resource_types())
        for kind in registry.types:
            for code, one in registry.parameters(kind).items():
                if code in COLUMNS or one.components:
                    continue
                if missed := [e for e in one.path.types if not one.reads(e)]:
                    unread[kind, code] = missed
                    assert len(missed) < len(one.path.types), "what reads nothing can find nothing"
    assert unread.keys() == UNREAD.keys(), unread


def parameter(**changes: Any) -> dict[str, Any]:
    """A SearchParameter resource that works, with changes; None takes an element out."""
    resource = {
        "resourceType": "SearchParameter",
        "id": "p",
        "url": "http://ex.org/p",
        "status": "active",
        "code": "colour",
        "base": ["Medication"],
        "type": "token",
        "expression": "Medication.doseForm",
    } | changes
    return {name: value for name, value in resource.items() if value is not None}


def registry(*own: dict[str, Any]) -> Registry:
    types = ("Medication", "Organization")
    return Registry(FhirVersion.R5, types, Own(map(Defining, own), {FhirVersion.R5: frozenset(types)}))


def _part(url: str, code: Any) -> dict[str, Any]:
    return {"url": url, "valueCode": code}


@pytest.mark.parametrize(
    ("parts", "contradicts"),
    [
        ([_part("without", "status"), _part("parameter", "code")], ("code", "status")),
        ([_part("parameter", "code")], ("code",)),
        ([_part("without", "status")], ()),
        ([_part("parameter", 7), {"url": "parameter"}], ()),
        (None, ()),
    ],
)
def test_a_parameter_may_say_which_one_it_denies(parts: Any, contradicts: tuple[str, ...]) -> None:
    said = {"url": "https://example.org/fhir/StructureDefinition/contradicts"}
    extension = [said if parts is None else {**said, "extension": parts}]
    found = registry(parameter(extension=extension)).get("Medication", "colour")
    assert found is not None
    assert found.contradicts == contradicts


def test_content_adds_a_parameter() -> None:
    found = registry(parameter()).get("Medication", "colour")
    assert found is not None
    resource = {"resourceType": "Medication", "doseForm": {"coding": [{"code": "red"}]}}
    assert [row.parameter for row in found.rows(resource)] == ["colour"]


@pytest.mark.parametrize(
    "changes",
    [{"status": "retired"}, {"base": ["Patient"]}],
    ids=["retired", "of a type that is not served"],
)
def test_a_parameter_that_does_not_apply_is_left_out(changes: dict[str, Any]) -> None:
    assert registry(parameter(**changes)).get("Medication", "colour") is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "resource"}, "type 'resource'"),
        ({"type": "special"}, "a special parameter cannot read CodeableConcept"),
        ({"expression": None}, "needs an expression"),
        ({"expression": "Medication.bogus"}, "bogus"),
        ({"type": "date"}, "CodeableConcept"),
        ({"code": "status"}, "has 'status' already"),
    ],
)
def test_a_parameter_that_cannot_work_is_left_out_and_its_reason_is_known(changes: dict[str, Any], reason: str) -> None:
    made = registry(parameter(**changes))
    assert [reason in why for why in made.own.refused.values()] == [True]
    assert changes.get("code", "colour") == "status" or made.get("Medication", "colour") is None


@pytest.mark.slow
@pytest.mark.parametrize("version", FhirVersion)
def test_every_parameter_of_the_specification_can_be_evaluated(
    version: FhirVersion, caplog: pytest.LogCaptureFixture
) -> None:
    for resource_type in definitions(version).resource_types():
        for parameter in standard_parameters(resource_type, version):
            parameter.check()
    assert not caplog.records


def test_a_parameter_that_cannot_be_evaluated_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def one(code: str, expression: str, *components: Component) -> SearchParameterDefinition:
        kind = "composite" if components else "token"
        return SearchParameterDefinition(
            code, f"http://ex.org/{code}", kind, expression, "Medication", components=components
        )

    listed = {
        "good": one("good", "Medication.status"),
        "nowhere": one("nowhere", "Medication.nothing"),
        "parts": one(
            "parts", "Medication.ingredient", Component("", "isActive", "token"), Component("", "x()", "token")
        ),
        "root": one(
            "root",
            "Medication.ingredient",
            Component("", "isActive", "token"),
            Component("", "%resource.status", "token"),
        ),
    }
    monkeypatch.setattr(type(definitions(FhirVersion.R5)), "search_parameters", lambda self, name: listed)
    found = list(standard_parameters("Medication", FhirVersion.R5))
    assert [parameter.code for parameter in found] == ["good", "root"]
    assert ["nowhere" in text or "parts" in text for text in caplog.messages] == [True, True]
    resource = {
        "resourceType": "Medication",
        "status": "active",
        "ingredient": [{"isActive": True}, {"isActive": False}],
    }
    rows = {(row.parameter, row.code, row.element) for row in found[1].rows(resource) if isinstance(row, TokenRow)}
    assert {("root$1", "active", 1), ("root$1", "active", 2)} <= rows


def test_parameters_that_take_the_same_have_their_rows_in_common() -> None:
    known = registry()
    resource = {"resourceType": "Medication", "identifier": [{"value": "1"}]}
    assert [row for row in known.rows(resource) if isinstance(row, TokenRow)] == [TokenRow("=identifier", "", "~1")]
    older = Registry(FhirVersion.R4, ("Medication",), canonical=known)
    asked = (
        known.get("Medication", "identifier"),
        known.get("Medication", "serial-number"),
        older.get("Medication", "identifier"),
    )
    assert {one.index for one in asked if one} == {"=identifier"}
    assert [one.code for one in asked if one] == ["identifier", "serial-number", "identifier"]
    status = known.get("Medication", "status")
    assert status is not None
    assert status.index == "status"


def test_what_had_its_rows_in_common_keeps_them_where_content_defines_one_of_both_anew() -> None:
    url = definitions(FhirVersion.R5).search_parameters("Medication")["identifier"].url
    known = registry(parameter(code="identifier", url=url, expression="Medication.identifier.type"))
    resource = {
        "resourceType": "Medication",
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "1"}],
    }
    found = {(row.parameter, row.code) for row in known.rows(resource) if isinstance(row, TokenRow)}
    assert found == {("identifier", "~mr"), ("=identifier", "~1"), ("=identifier:of-type", "~1")}
