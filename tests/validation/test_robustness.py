"""No input makes the validator raise, hang or disagree with itself."""

import copy
import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import MAX_DEPTH
from apothecary.validation.run import Run
from apothecary.validation.structure import walk_document
from tests.mass import much
from tests.validation.corpus import vendored

pytestmark = [pytest.mark.slow, pytest.mark.mass]

R5 = FhirVersion.R5
EXAMPLES = vendored()

text = st.text(st.characters(), max_size=8)
odd = st.sampled_from(
    [Decimal("sNaN"), 10**400, "\ud800", " ", "#", "#a", "http://unitsofmeasure.org", [[]], [None], [{}], {"id": "x"}]
)
scalars = odd | st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | text
NAMES = [
    "resourceType",
    "id",
    "meta",
    "text",
    "div",
    "contained",
    "extension",
    "url",
    "valueString",
    "code",
    "coding",
    "system",
    "status",
    "ingredient",
    "strengthRatio",
    "numerator",
    "value",
    "reference",
    "type",
    "entry",
    "resource",
    "fullUrl",
    "request",
    "method",
    "start",
    "end",
    "_status",
    "_name",
    "name",
    "subject",
    "indication",
]
VALUES = [
    "Medication",
    "Bundle",
    "ClinicalUseDefinition",
    "transaction",
    "#a",
    "urn:uuid:1",
    "http://unitsofmeasure.org",
    "PUT",
    "2026",
]
json_values = st.recursive(
    scalars | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | text, inner, max_size=6),
    max_leaves=25,
)
types = st.sampled_from(
    [
        "Medication",
        "MedicationKnowledge",
        "Bundle",
        "ClinicalUseDefinition",
        "Parameters",
        "StructureDefinition",
        "Nope",
    ]
)


@given(json_values, st.sampled_from(list(FhirVersion)))
@settings(max_examples=much(80, 400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_value_is_judged_without_raising(value: Any, version: FhirVersion) -> None:
    validate(value, version)


@given(types, st.dictionaries(st.sampled_from(NAMES), json_values, max_size=6), st.sampled_from(list(FhirVersion)))
@settings(max_examples=much(80, 400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_object_that_claims_to_be_a_resource_is_judged(
    name: str, value: dict[str, Any], version: FhirVersion
) -> None:
    for issue in validate({**value, "resourceType": name}, version):
        dumps({"diagnostics": issue.diagnostics, "expression": list(issue.expression), "remedy": issue.remedy})


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key in a document."""
    found = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else list(range(len(item))) if isinstance(item, list) else []
        for key in keys:
            found.append((item, key))
            waiting.append(item[key])
    return found


@given(st.sampled_from(EXAMPLES), st.data())
@settings(max_examples=much(60, 300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_example_with_any_value_anywhere_is_judged(
    example: tuple[FhirVersion, str, Any], data: st.DataObject
) -> None:
    version, _, resource = example
    broken = copy.deepcopy(resource)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(broken)))
        # A copy: what is drawn from a list is one object for all draws, and a later place may lie within it.
        container[key] = copy.deepcopy(data.draw(json_values))
    before = copy.deepcopy(broken)
    issues = validate(broken, version)
    assert repr(broken) == repr(before), "validation changes nothing"
    assert [repr(issue) for issue in validate(broken, version)] == [repr(issue) for issue in issues]


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_every_invariant_is_judged_on_a_sound_resource(case: tuple[FhirVersion, str, Any]) -> None:
    run = Run(case[2], definitions(case[0]), Options())
    walk_document(case[2], run)
    assert run.unjudged == []


def nested(depth: int) -> Any:
    value: Any = {"url": "http://example.org/x", "valueString": "x"}
    for _ in range(depth):
        value = {"url": "http://example.org/x", "extension": [value]}
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": [value]}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5000])
def test_deep_nesting_is_one_issue(depth: int) -> None:
    assert [issue.rule for issue in validate(nested(depth), R5) if issue.severity == "error"] == ["too-deep"]
    assert [issue.rule for issue in validate(nested(50), R5) if issue.severity == "error"] == []


def test_deep_nesting_of_other_json_is_an_issue_too() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    assert validate({"resourceType": "Medication", "status": value, "code": value, "other": value}, R5)


@pytest.mark.parametrize(
    "number", [10**5000, -(10**5000), Decimal("1e999999"), float("nan"), float("inf"), 1e308], ids="abcdef"
)
def test_a_huge_number_is_an_issue_and_no_work(number: Any) -> None:
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "valueQuantity": {"value": number},
    }
    issues = [issue for issue in validate(resource, R5) if issue.severity == "error"]
    assert [issue.rule for issue in issues] in ([], ["bad-number"])
    assert all(len(issue.diagnostics) < 500 for issue in issues)


def test_a_document_of_many_defects_stops_at_the_limit_and_says_so() -> None:
    resource = {"resourceType": "Medication", "ingredient": [{} for _ in range(100_000)]}
    issues = validate(resource, R5, options=Options(max_issues=50))
    assert len(issues) == 51
    assert (issues[-1].rule, issues[-1].severity) == ("too-many-issues", "information")


def test_a_string_past_the_limit_is_too_long() -> None:
    resource = {"resourceType": "Medication", "code": {"text": "x" * 1_048_577}}
    assert [issue.rule for issue in validate(resource, R5) if issue.severity == "error"] == ["too-long"]
    resource["code"] = {"text": "x" * 1_048_576}
    assert [issue.rule for issue in validate(resource, R5) if issue.severity == "error"] == []


def test_issues_stand_in_the_order_of_the_document() -> None:
    document = parse(b'{"resourceType":"Medication","zzz":1,"ingredient":[{"aaa":1},{"item":{}}],"status":"x","bbb":1}')
    places = [issue.expression[0] for issue in validate(document, R5) if issue.severity == "error"]
    assert places == [
        "Medication.zzz",
        "Medication.ingredient[0]",
        "Medication.ingredient[0].aaa",
        "Medication.ingredient[1].item",
        "Medication.status",
        "Medication.bbb",
    ]


def test_a_decimal_keeps_its_digits_in_a_message() -> None:
    document = parse(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":0.50}')
    assert "0.50" in next(issue for issue in validate(document, R5) if issue.rule == "bad-number").diagnostics


def test_the_validator_loads_no_server_and_no_database() -> None:
    import subprocess

    absent = ("flask", "sqlalchemy", "psycopg", "pydantic", "fhir", "fhirpathpy", "jsonschema", "jsonschema_rs")
    program = (
        "import sys; from apothecary.validation import validate; from apothecary.fhir.releases import FhirVersion;"
        "validate({'resourceType': 'Medication'}, FhirVersion.R5);"
        f"print([name for name in {absent} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.replace("'", '"')) == []


def test_a_resource_without_invariants_for_fhirpath_loads_no_engine() -> None:
    import subprocess

    program = (
        "import sys; from apothecary.validation import validate; from apothecary.fhir.releases import FhirVersion;"
        "dose = {'asNeeded': True, 'asNeededFor': [{'text': 'pain'}], 'text': 'one'};"
        "knowledge = {'resourceType': 'MedicationKnowledge', 'code': {'text': 'x'}, 'indicationGuideline': ["
        " {'dosingGuideline': [{'dosage': [{'type': {'text': 'x'}, 'dosage': [dose]}]}]}]};"
        "assert [one.rule for one in validate(knowledge, FhirVersion.R5)] == ['dom-6'];"
        "print([name for name in sys.modules if name.startswith('apothecary.validation.fhirpath.') or 'ucum' in name])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.replace("'", '"')) == ["apothecary.validation.fhirpath.nodes"]


def test_each_of_many_contained_resources_is_found_without_a_look_at_the_others() -> None:
    looked = 0

    class Counted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            nonlocal looked
            looked += key == "id"
            return super().get(key, default)

    many = 300
    inside = [
        Counted(
            {"resourceType": "Organization", "id": f"o{n}", "name": "x", "partOf": {"reference": f"#o{(n + 1) % many}"}}
        )
        for n in range(many)
    ]
    broken = [{"reference": f"#x{n}"} for n in range(many)]
    resource = {"resourceType": "Medication", "contained": inside, "marketingAuthorizationHolder": {"reference": "#o0"}}
    assert not [one for one in validate(resource, FhirVersion.R5) if one.severity == "error"]
    assert looked < 20 * many
    resource["ingredient"] = [{"item": {"reference": one}} for one in broken]
    assert any("#x0" in one.diagnostics for one in validate(resource, FhirVersion.R5))


def test_names_that_were_meant_are_looked_for_no_more_than_a_reader_needs() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/patient-religon"
    patient = {"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"} for _ in range(300)]}
    found = [one for one in validate(patient, FhirVersion.R5) if one.rule == "extension-unknown"]
    assert len(found) == 300
    meant = [one for one in found if "patient-religion" in (one.remedy or "")]
    assert 0 < len(meant) <= 100
