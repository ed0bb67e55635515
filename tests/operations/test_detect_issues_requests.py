"""`MedicationKnowledge/$detect-issues` asked by lists as EHRs keep them, and what is told of what they leave open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.safety import rules
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess
from tests.operations.test_detect_issues import URL, concept, group, medication, post, stated, told, use, years

JSON = dict[str, Any]
RESOURCES = Path(__file__).parents[2] / "resources"
A, B, C, ING = "urn:t|a", "urn:t|b", "urn:t|c", "urn:t|ingredient"
ADHERENCE = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"
WITH = "http://hl7.org/fhir/therapy-relationship-type|contraindicated-only-with"
INTO_VEIN = {"url": f"{URL}statement-route", "valueCodeableConcept": concept("urn:r|iv", text="into a vein")}
NOT_HELD = {"url": f"{URL}member-of", "valueCanonical": "https://sets.invalid/none"}


OWN = "https://drugs.invalid/fhir"


def pair(name: str, subject: str, *interactants: JSON, **more: Any) -> JSON:
    return use(name, "interaction", subject, {"interactant": list(interactants)}, **more)


def category(code: str) -> list[JSON]:
    return [{"coding": [{"code": code}]}]


CONTENT: list[JSON] = [
    medication("a", A, text="alpha"),
    medication("b", B, text="beta"),
    {"resourceType": "Medication", "id": "nameless", "status": "active"},
    medication("one", "urn:t|one", ING, text="one", ingredient=[{"item": {"concept": concept(ING)}}]),
    medication("two", "urn:t|two", text="two", ingredient=[{"item": {"concept": concept(ING)}}]),
    {
        **medication("holding", "urn:t|holding", ingredient=[{"item": {"reference": {"reference": "#s"}}}]),
        "contained": [{"resourceType": "Substance", "id": "s", "instance": False, "code": {"concept": concept(A)}}],
    },
    group("teens", code=concept("http://loinc.org|30525-0"), valueRange={"low": years(12), "high": years(17)}),
    pair("ab", "Medication/a", {"itemCodeableConcept": concept(B)}),
    pair("of-one", "Medication/one", {"itemCodeableConcept": concept(B)}),
    pair("vein", "Medication/a", {"itemCodeableConcept": concept(C)}, extension=[INTO_VEIN]),
    pair("half", "Medication/b", {"itemCodeableConcept": concept(C)}, {"itemCodeableConcept": {"text": "grapefruit"}}),
    pair("set", "Medication/b", {"itemCodeableConcept": {"text": "some", "extension": [NOT_HELD]}}),
    {
        **pair("inner", "Medication/b", {"itemReference": {"reference": "#1"}}),
        "contained": [{"resourceType": "Medication", "id": "1", "status": "active", "code": {"text": "omega"}}],
    },
    pair("of-own", f"{OWN}/Medication/a", {"itemReference": {"reference": f"{OWN}/r5/Medication/two"}}),
    pair("of-another", "https://other.invalid/fhir/Medication/a", {"itemCodeableConcept": concept("urn:t|two")}),
    use("ill", "contraindication", "Medication/a", {"diseaseSymptomProcedure": {"concept": concept("urn:c|ill")}}),
    use(
        "with",
        "contraindication",
        "Medication/a",
        {"otherTherapy": [{"relationshipType": concept(WITH), "treatment": {"concept": {"text": "an MAOI"}}}]},
    ),
    use("teen", "contraindication", "Medication/b", {}, population=[{"reference": "Group/teens"}]),
    use("milk", "warning", "Medication/b", {"description": "Passes into milk."}, category=category("Lactation")),
    use("bump", "warning", "Medication/b", {"description": "Harms the child."}, category=category("Pregnancy")),
]
CONTENT += [
    use(f"section-{code}", "warning", "Medication/b", {"description": "See there."}, category=category(code))
    for code in ("42228-7", "77290-5")
]
CONTENT.append(
    {
        "resourceType": "CodeSystem",
        "id": "routes",
        "url": "urn:r",
        "status": "active",
        "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [
            {"code": "mouth"},
            {"code": "injected", "concept": [{"code": "iv", "concept": [{"code": "arm"}]}, {"code": "im"}]},
        ],
    }
)
for one in CONTENT:
    if one.get("contraindication") == {}:
        del one["contraindication"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    place = tmp_path_factory.mktemp("requests")
    options = Settings(database=f"sqlite:///{place}/a.db", content=str(place), base_url=OWN)
    store = open_store(options)
    loader = Loader(store, options, lambda failure: pytest.fail(str(failure)))
    found = [*CONTENT, *(json.loads(one.read_bytes()) for one in (RESOURCES / "SearchParameter").glob("*.json"))]
    load(loader, (read_bytes("content", json.dumps(one).encode(), "ndjson") for one in found))
    yield InProcess(options, store)
    store.close()


def order(code: str | None = None, kind: str = "MedicationRequest", **more: Any) -> JSON:
    named = {"medicationCodeableConcept": concept(code)} if code else {}
    return {"resourceType": kind, "status": "active", "subject": {"reference": "Patient/p"}, **named, **more}


def by_reference(to: str, **more: Any) -> JSON:
    return order(medicationReference={"reference": to}, **more)


def listed(*resources: JSON) -> JSON:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}


SUBSTANCE = {"resourceType": "Substance", "id": "s", "code": concept(A, text="alpha")}


def mixture(to: str, name: str = "m") -> JSON:
    return {"resourceType": "Medication", "id": name, "ingredient": [{"itemReference": {"reference": to}}]}


@pytest.mark.parametrize(
    "resources",
    [
        [by_reference("#m", contained=[mixture("#s"), SUBSTANCE])],
        [by_reference("Medication/m"), mixture("Substance/s"), SUBSTANCE],
        [by_reference("Medication/m/_history/3"), mixture("Substance/s"), SUBSTANCE],
        [mixture("Substance/s"), SUBSTANCE],
        [by_reference("Medication/m"), mixture("Medication/n"), {**mixture("Medication/m", "n"), "code": concept(A)}],
        [order("urn:t|holding")],
        [order(A, "MedicationDispense", status="completed")],
        [order(A, "MedicationAdministration", status="completed")],
        [order(None, medication={"concept": concept(A), "reference": {"reference": "#m"}}, contained=[mixture("#m")])],
    ],
    ids=[
        "contained in each other",
        "beside each other",
        "of a version",
        "without an order",
        "in a circle",
        "contained in a record",
        "handed out",
        "given",
        "named twice",
    ],
)
def test_a_drug_is_known_by_what_came_along_with_it(server: InProcess, resources: list[JSON]) -> None:
    answer = post(server, listed(*resources, order(B)), "r5" if "medication" in resources[0] else "r4")
    assert stated(answer) == [("DRG", "ab")]
    assert "Substance is not looked at" not in told(answer)


def test_a_chain_of_ingredients_ends(server: InProcess) -> None:
    chain = [mixture(f"Medication/m{number + 1}", f"m{number}") for number in range(3000)]
    assert stated(post(server, listed(by_reference("Medication/m0"), *chain), "r4")) == []


@pytest.mark.parametrize("reference", ["#none", "https://other.invalid/Substance/1", "Substance/none"])
def test_an_ingredient_that_is_nowhere_is_told(server: InProcess, reference: str) -> None:
    said = told(post(server, by_reference("#m", contained=[mixture(reference)]), "r4"))
    assert f"{reference} is not held here" in said or f"contains {reference}, which is neither in the request" in said


def test_a_record_that_does_not_say_which_drug_it_is_is_not_understood(server: InProcess) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "medication", "valueString": "Medication/nameless"}]}
    said = told(post(server, body))
    assert "not understood: Medication/nameless: nothing here says which drug this is" in said
    assert "no interaction is stated" not in said


@pytest.mark.parametrize("adherence", ["not-taking", "stopped-as-directed"])
def test_what_is_not_taken_is_left_out_and_told(server: InProcess, adherence: str) -> None:
    left = {
        "resourceType": "MedicationStatement",
        "status": "recorded",
        "medication": {"concept": concept(A)},
        "adherence": {"code": concept(f"{ADHERENCE}|{adherence}")},
    }
    answer = post(server, listed(left, order(B)))
    assert stated(answer) == []
    assert f"is {adherence}: it was not looked at" in told(answer)


@pytest.mark.parametrize(
    ("route", "expected", "said"),
    [
        (concept("urn:r|iv"), [("DRG", "vein")], ""),
        (concept("urn:r|arm"), [("DRG", "vein")], ""),
        (concept("urn:r|injected"), [("DRG", "vein")], "is not known"),
        (concept("urn:r|im"), [], "alpha is given by another"),
        (concept("urn:r|mouth"), [], "alpha is given by another"),
        (concept("urn:others|mouth"), [("DRG", "vein")], "is not known"),
        ({"text": "per os"}, [("DRG", "vein")], "is not known"),
        (None, [("DRG", "vein")], "is not known"),
    ],
)
def test_the_route_of_an_order_sets_a_statement_aside_where_both_can_be_compared(
    server: InProcess, route: JSON | None, expected: list[tuple[str, str]], said: str
) -> None:
    dosage = [{"route": route}] if route else []
    answer = post(server, listed(order(A, dosageInstruction=dosage), order(C)), "r4")
    assert stated(answer) == expected
    assert said in json.dumps(answer.json)
    assert said or "is not known" not in json.dumps(answer.json["entry"][1:])


def test_what_is_stated_of_one_product_is_not_said_of_another_of_the_same_ingredient(server: InProcess) -> None:
    assert stated(post(server, listed(order("urn:t|one"), order(B)), "r4")) == [("DRG", "of-one")]
    assert stated(post(server, listed(order("urn:t|two"), order(B)), "r4")) == []


def test_a_statement_that_refers_to_this_server_by_its_address_is_one_about_what_is_here(server: InProcess) -> None:
    assert stated(post(server, listed(order(A), order("urn:t|two")), "r4")) == [("DRG", "of-own")]


def test_a_list_of_several_patients_is_told(server: InProcess) -> None:
    own = listed(order(A), order(B, subject={"reference": "https://ehr.invalid/Patient/p/_history/2"}))
    assert "several patients" not in told(post(server, own, "r4"))
    mixed = listed(order(A), order(B, subject={"reference": "Patient/q"}))
    assert "the request names several patients (p and q)" in told(post(server, mixed, "r4"))


@pytest.mark.parametrize(
    ("drug", "said"),
    [
        (A, "no condition is given: what hangs on it was not compared, in ClinicalUseDefinition/ill"),
        (A, "ClinicalUseDefinition/with names in words only with what alpha must not be: an MAOI"),
        (B, "pregnancy is not given: what hangs on it was not compared, in ClinicalUseDefinition/bump, "),
        (B, "breast-feeding is not given: what hangs on it was not compared, in ClinicalUseDefinition/milk, "),
        (B, "ClinicalUseDefinition/half says of beta in words only what it interacts with: grapefruit"),
        (B, "the value set https://sets.invalid/none cannot be listed here"),
    ],
)
def test_what_hangs_on_something_that_nobody_said_is_told(server: InProcess, drug: str, said: str) -> None:
    assert said in told(post(server, order(drug), "r4"))


def test_a_drug_of_the_request_is_not_taken_for_what_a_statement_contains(server: InProcess) -> None:
    brought = {"resourceType": "Medication", "code": concept("urn:t|other")}
    assert stated(post(server, listed(order(B), brought), "r4")) == []


@pytest.mark.parametrize(
    ("age", "expected", "said"),
    [
        ("17", [("AGE", "teen")], ""),
        ("17.5", [], "it ends at 17 years, and the age is 17.5"),
        ("18", [], ""),
    ],
)
def test_whether_somebody_of_seventeen_and_a_half_is_meant_by_up_to_seventeen_is_left_open(
    server: InProcess, age: str, expected: list[tuple[str, str]], said: str
) -> None:
    named = [{"name": "medication", "valueString": B}, {"name": "age", "valueString": age}]
    answer = post(server, {"resourceType": "Parameters", "parameter": named})
    assert stated(answer) == expected
    assert said in told(answer)
    assert ("it ends" in told(answer)) == bool(said)


def test_a_warning_on_breast_feeding_is_told_as_one_on_pregnancy_is(server: InProcess) -> None:
    given = [{"name": "medication", "valueString": B}]
    given += [{"name": name, "valueBoolean": True} for name in ("pregnant", "lactating")]  # type: ignore[dict-item] # values of any kind
    answer = post(server, {"resourceType": "Parameters", "parameter": given})
    assert stated(answer) == [("LACT", "milk"), ("PREG", "bump")]
    for name, code in (("pregnancy", "42228-7"), ("breast-feeding", "77290-5")):
        assert f"section-{code} says in words only what holds of beta in {name}" in told(answer)


def test_a_code_that_names_nothing_here_is_shown_as_it_was_asked(server: InProcess) -> None:
    asked = ["http://hl7.org/fhir/sid/ndc|0004-0058-01", "http://www.whocc.no/atc|b01aa03"]
    named = [{"name": "medication", "valueString": one} for one in asked]
    said = told(post(server, {"resourceType": "Parameters", "parameter": named}))
    for one in asked:
        assert f"not understood: {one}: nothing here says which drug this is" in said


@pytest.mark.parametrize(
    ("most", "said"),
    [("MOST", "more than 3 findings"), ("MOST_REMARKS", "more than 3 remarks on what was not looked at")],
)
def test_a_list_that_finds_more_than_anybody_reads_is_refused(
    server: InProcess, monkeypatch: pytest.MonkeyPatch, most: str, said: str
) -> None:
    monkeypatch.setattr(rules, most, 3)
    answer = post(server, listed(*[order(A), order(B)] * 4), "r4")
    assert answer.status == 400
    assert said in told(answer)


ILL = {"resourceType": "Condition", "id": "ill", "code": concept("urn:c|ill", text="illness")}


@pytest.mark.parametrize(
    ("why", "base"),
    [
        ({"reasonCode": [concept("urn:c|ill")]}, "r4"),
        ({"reasonReference": [{"reference": "#ill"}], "contained": [ILL]}, "r4"),
        ({"reason": [{"concept": concept("urn:c|ill")}]}, "r5"),
        ({"reason": [{"reference": {"reference": "#ill"}}], "contained": [ILL]}, "r5"),
    ],
)
def test_what_an_order_is_given_for_counts_as_a_condition(server: InProcess, why: JSON, base: str) -> None:
    assert stated(post(server, order(A, **why), base)) == [("COND", "ill")]


def test_a_reason_that_is_elsewhere_is_told(server: InProcess) -> None:
    said = told(post(server, order(A, reasonReference=[{"reference": "Condition/elsewhere"}]), "r4"))
    assert "Condition/elsewhere, for which it is given, is no Condition in the request" in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("MedicationDispense", {"authorizingPrescription": [{"reference": "MedicationRequest/r"}]}),
        ("MedicationAdministration", {"request": {"reference": "MedicationRequest/r"}}),
        ("MedicationStatement", {"basedOn": [{"reference": "MedicationRequest/r"}]}),
    ],
)
def test_an_order_and_what_carries_it_out_are_one_therapy_and_another_order_is_not(
    server: InProcess, kind: str, said: JSON
) -> None:
    carried, own = order(A, kind, **said), order(A, id="r")
    answer = post(server, listed(own, carried, order(B)), "r4")
    assert stated(answer) == [("DRG", "ab"), ("DRG", "ab")]
    assert "carries out MedicationRequest/r: the two are not told as the same drug twice" in told(answer)
    assert ("DUPTHPGEN", "") in stated(post(server, listed(own, carried, order(A, id="q")), "r4"))
    assert ("DUPTHPGEN", "") in stated(post(server, listed(order(A, id="q"), carried), "r4"))


@pytest.mark.parametrize("kind", [[None], {}, {"x": 1}, 5, "", None])
def test_a_resource_whose_type_is_no_word_is_told(server: InProcess, kind: Any) -> None:
    answer = post(server, listed({"resourceType": kind, "id": "m"}, order(A), order(B)), "r4")
    assert stated(answer) == [("DRG", "ab")]
    assert "a resource without a type is not looked at" in told(answer)
