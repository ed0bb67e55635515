"""`MedicationKnowledge/$detect-issues`: how it is asked, what it answers, and what it says that it cannot answer."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from apothecary.cli.build import build
from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.content.sync import sync
from apothecary.fhir.releases import FhirVersion
from apothecary.operations import detect_issues_lookup
from apothecary.operations.detect_issues_lookup import Lookup
from apothecary.search.normalisation import Systems
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.validation import validate
from tests.authoring.sheets import content_folder
from tests.conformance.harness import Answer, InProcess
from tests.databases import fresh_database

JSON = dict[str, Any]
RESOURCES = Path(__file__).parents[2] / "resources"
RX, ICD, NDC = (
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://hl7.org/fhir/sid/ndc",
)
SNOMED, ATC = "http://snomed.info/sct", "http://www.whocc.no/atc"
MADE_UP = "https://terminology.invalid/made-up"
URL = "https://example.org/fhir/StructureDefinition/"
KLONOPIN, CLONAZEPAM, GENERIC = f"{RX}|206157", f"{RX}|2598", f"{RX}|197527"


def concept(*codes: str, text: str | None = None) -> JSON:
    made: JSON = (
        {"coding": [dict(zip(("system", "code"), one.split("|"), strict=True)) for one in codes]} if codes else {}
    )
    return {**made, **({"text": text} if text else {})}


def use(name: str, kind: str, subject: str, part: JSON, **more: Any) -> JSON:
    element = {"undesirable-effect": "undesirableEffect"}.get(kind, kind)
    status = {"coding": [{"system": "http://hl7.org/fhir/publication-status", "code": more.pop("status", "active")}]}
    made = {"resourceType": "ClinicalUseDefinition", "id": name, **more, "type": kind, "status": status, element: part}
    return {**made, **({"subject": [{"reference": subject}]} if subject else {})}


def severity(code: str | None, text: str) -> JSON:
    coding = [{"system": "http://hl7.org/fhir/detectedissue-severity", "code": code}] if code else []
    return {"url": f"{URL}severity", "valueCodeableConcept": {**({"coding": coding} if coding else {}), "text": text}}


def medication(name: str, *codes: str, text: str | None = None, **more: Any) -> JSON:
    return {"resourceType": "Medication", "id": name, "status": "active", "code": concept(*codes, text=text), **more}


def group(name: str, **characteristic: Any) -> JSON:
    return {
        "resourceType": "Group",
        "id": name,
        "type": "person",
        "membership": "definitional",
        "name": name,
        "characteristic": [{**characteristic, "exclude": False}] if characteristic else [],
    }


def years(value: int) -> JSON:
    return {"value": value, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}


BY_MOUTH = {"url": f"{URL}statement-route", "valueCodeableConcept": concept("urn:t|by-mouth", text="by mouth")}
CITED = {"type": "citation", "citation": "A made-up list, row 7", "document": {"url": "https://list.invalid/7"}}
WARFARIN, ASPIRIN, IBUPROFEN, ALCOHOL = "urn:t|warfarin", "urn:t|aspirin", "urn:t|ibuprofen", "urn:t|alcohol"
MORE: list[JSON] = [
    medication("warfarin", WARFARIN, text="warfarin"),
    medication("aspirin", ASPIRIN, text="aspirin"),
    medication(
        "aspirin-tablet",
        f"{NDC}|0004-0091-01",
        text="aspirin tablet",
        ingredient=[
            {"item": {"concept": concept(ASPIRIN)}, "isActive": True},
            {"item": {"concept": concept("urn:t|lactose")}, "isActive": False},
        ],
    ),
    medication("anticoagulants", f"{ATC}|B01A", text="antithrombotic agents"),
    {
        "resourceType": "MedicationKnowledge",
        "id": "warfarin",
        "status": "active",
        "code": concept(WARFARIN),
        "medicineClassification": [{"type": {"text": "ATC"}, "classification": [concept(f"{ATC}|B01AA03")]}],
    },
    {
        "resourceType": "MedicationKnowledge",
        "id": "heparin",
        "status": "active",
        "code": concept("urn:t|heparin", text="heparin"),
        "medicineClassification": [{"type": {"text": "ATC"}, "classification": [concept(f"{ATC}|B01AA07")]}],
        "definitional": {"intendedRoute": [concept("urn:t|by-vein", text="by vein")]},
    },
    group("children", code=concept("http://loinc.org|30525-0"), valueRange={"low": years(0), "high": years(11)}),
    group("pregnant", code=concept(text="pregnancy"), valueBoolean=True),
    group(
        "women",
        code=concept(text="sex"),
        valueCodeableConcept=concept("http://hl7.org/fhir/administrative-gender|female"),
    ),
    group("nobody-knows"),
    use(
        "pair",
        "interaction",
        "Medication/warfarin",
        {
            "interactant": [{"itemCodeableConcept": concept(ASPIRIN, text="aspirin")}],
            "effect": {"concept": {"text": "more bleeding"}},
            "management": [{"text": "look at the clotting"}],
        },
        extension=[severity("high", "severe"), {"url": f"{URL}statement-source", "valueRelatedArtifact": CITED}],
    ),
    use(
        "no-pair",
        "interaction",
        "Medication/warfarin",
        {
            "interactant": [{"itemCodeableConcept": concept(ASPIRIN)}],
            "effect": {"concept": {"text": "nothing happens"}},
        },
    ),
    use(
        "of-class",
        "interaction",
        "Medication/anticoagulants",
        {
            "interactant": [{"itemCodeableConcept": concept(IBUPROFEN)}],
            "effect": {"concept": {"text": "of the class"}},
        },
    ),
    use(
        "words",
        "interaction",
        "Medication/warfarin",
        {"interactant": [{"itemCodeableConcept": {"text": "cranberries"}}]},
    ),
    use(
        "old",
        "interaction",
        "Medication/warfarin",
        {"interactant": [{"itemCodeableConcept": concept(IBUPROFEN)}]},
        status="retired",
    ),
    use(
        "no-subject",
        "interaction",
        "",
        {
            "interactant": [
                {"itemCodeableConcept": concept(ASPIRIN)},
                {"itemCodeableConcept": concept(ALCOHOL)},
            ]
        },
    ),
    use(
        "by-mouth",
        "interaction",
        "Medication/warfarin",
        {
            "interactant": [
                {"itemCodeableConcept": concept("urn:t|heparin", "urn:t|oral-heparin"), "extension": [BY_MOUTH]}
            ]
        },
        extension=[BY_MOUTH],
    ),
    use(
        "ulcer",
        "contraindication",
        "Medication/aspirin",
        {"diseaseSymptomProcedure": {"concept": concept(f"{ICD}|K25")}},
    ),
    use("child", "contraindication", "Medication/aspirin", {}, population=[{"reference": "Group/children"}]),
    use(
        "with",
        "contraindication",
        "Medication/aspirin",
        {
            "otherTherapy": [
                {
                    "relationshipType": concept(
                        "http://hl7.org/fhir/therapy-relationship-type|contraindicated-only-with"
                    ),
                    "treatment": {"concept": concept(IBUPROFEN)},
                }
            ]
        },
    ),
    use(
        "bump",
        "warning",
        "Medication/warfarin",
        {"description": "Harms the child."},
        population=[{"reference": "Group/pregnant"}],
    ),
    use(
        "her",
        "undesirable-effect",
        "Medication/warfarin",
        {
            "symptomConditionEffect": {"concept": {"text": "hair loss"}},
        },
        population=[{"reference": "Group/women"}],
    ),
    use(
        "some", "warning", "Medication/warfarin", {"description": "x"}, population=[{"reference": "Group/nobody-knows"}]
    ),
]
for one in MORE:
    if (
        one["resourceType"] == "ClinicalUseDefinition"
        and not one[{"undesirable-effect": "undesirableEffect"}.get(one["type"], one["type"])]
    ):
        del one[one["type"]]
    if one.get("characteristic") == []:
        del one["characteristic"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped content, and beside it a second drug, built from its sheet."""
    place, second = tmp_path_factory.mktemp("issues") / "content", tmp_path_factory.mktemp("second")
    shutil.copytree(RESOURCES, place, ignore=shutil.ignore_patterns("sheets", "claims.csv"))
    built = content_folder(second)
    assert CliRunner().invoke(build, ["--content", str(built)]).exit_code == 0
    for file in built.glob("*/*.json"):
        target = place / file.relative_to(built)
        if not target.exists() and file.parent.name != "sheets":
            target.parent.mkdir(exist_ok=True)
            shutil.copy(file, target)
    return place


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InProcess]:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path_factory.mktemp('database')}/a.db"
        if request.param == "postgresql":
            url = stack.enter_context(fresh_database(request.getfixturevalue("postgresql_url")))
        options = Settings(database=url, content=str(folder), detect_issues_limit=250)
        store = open_store(options)
        stack.callback(store.close)
        sync(options, store)
        loader = Loader(store, options, lambda failure: pytest.fail(str(failure)))
        load(loader, (read_bytes("more", json.dumps(one).encode(), "ndjson") for one in MORE))
        yield InProcess(options, store)


# -- asking


def get(server: InProcess, *pairs: tuple[str, str], base: str = "r5") -> Answer:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    return server.ask("GET", f"/fhir/{base}/MedicationKnowledge/$detect-issues?{query}")


def post(server: InProcess, body: Any, base: str = "r5") -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    head = {"Content-Type": "application/fhir+json"}
    return server.ask("POST", f"/fhir/{base}/MedicationKnowledge/$detect-issues", head, text)


def parameters(*items: JSON) -> JSON:
    return {"resourceType": "Parameters", "parameter": list(items)}


def issues(answer: Answer) -> list[JSON]:
    assert answer.status == 200, answer.body
    return [one["resource"] for one in answer.json["entry"] if one["resource"]["resourceType"] == "DetectedIssue"]


def stated(answer: Answer) -> list[tuple[str, str]]:
    """The code of each issue, and the id of its statement."""
    return sorted(
        (
            one["code"]["coding"][0]["code"],
            next((each["detail"][0]["reference"].partition("/")[2] for each in one.get("evidence", ())), ""),
        )
        for one in issues(answer)
    )


def told(answer: Answer) -> str:
    """What the OperationOutcome of an answer says, or that of an error."""
    found = answer.json["entry"][0]["resource"] if answer.json["resourceType"] == "Bundle" else answer.json
    assert found["resourceType"] == "OperationOutcome"
    return "\n".join(one["details"]["text"] for one in found["issue"])


def drugs(*codes: str) -> list[tuple[str, str]]:
    return [("medication", one) for one in codes]


# -- the shipped content


@pytest.mark.parametrize(
    ("drug", "condition", "statement"),
    [
        (KLONOPIN, f"{ICD}|G43", "not-effective-migraine-prevention"),
        (KLONOPIN, f"{ICD}|G43.909", "not-effective-migraine-prevention"),
        (CLONAZEPAM, f"{SNOMED}|37796009", "not-effective-migraine-prevention"),
        (GENERIC, f"{SNOMED}|91175000", "limitation-long-term-seizure-treatment"),
        (
            "MedicationKnowledge/klonopin-2-mg-tablet",
            "http://human-phenotype-ontology.org|HP:0012469",
            "not-effective-infantile-spasms",
        ),
        ("http://localhost/fhir/r5/Medication/clonazepam", f"{ICD}|G43", "not-effective-migraine-prevention"),
    ],
)
def test_what_the_source_calls_ineffective_is_told_of_brand_generic_and_ingredient(
    server: InProcess, drug: str, condition: str, statement: str
) -> None:
    answer = get(server, *drugs(drug), ("condition", condition))
    assert ("COND", statement) in stated(answer)
    assert not any("severity" in one for one in issues(answer)), "the source grades nothing"


def test_a_combination_that_the_source_names_is_information_and_no_issue(server: InProcess) -> None:
    answer = get(server, *drugs(KLONOPIN, f"{RX}|5093"))
    assert stated(answer) == []
    assert "May be combined with" in told(answer)
    assert "Nothing is stated here against this list. That is no evidence" in told(answer)


def test_silence_is_named_for_each_drug(server: InProcess) -> None:
    said = told(get(server, *drugs(KLONOPIN, WARFARIN)))
    assert "clonazepam 0.5 MG Oral Tablet [Klonopin]: no interaction is stated here of it" in said
    assert "warfarin: no interaction" not in said
    assert "no advice" in said
    assert "Answered from: " in said


def test_the_drug_of_a_second_sheet_is_read_alike(server: InProcess) -> None:
    capsule = "MedicationKnowledge/examplamine-12-5-mg-capsule"
    answer = get(
        server, *drugs(capsule, f"{MADE_UP}|OTHER"), ("condition", f"{MADE_UP}|ITCH"), ("condition", f"{MADE_UP}|ACHE")
    )
    # An ache is a pain, and a pain stands below the state.
    assert stated(answer) == [
        ("COND", "examplamine-itch"),
        ("COND", "examplamine-state"),
        ("COND", "examplamine-state"),
        ("DRG", "examplamine-contrarine"),
    ]
    (pair,) = [one for one in issues(answer) if one["code"]["coding"][0]["code"] == "DRG"]
    assert pair["mitigation"] == [{"action": {"text": "half the dose"}}]
    assert "Undesirable" not in told(answer)


def test_the_steps_lead_from_the_product_to_the_statement(server: InProcess) -> None:
    (one,) = issues(get(server, *drugs(KLONOPIN), ("condition", f"{ICD}|G43.909")))
    steps = one["detail"].split("\n")[1:]
    told_of = ["has the code", "contains clonazepam", "has the code", "is below Migraine", "broader than the text"]
    for step, part in zip(steps, told_of, strict=False):
        assert part in step
    assert steps[-1].endswith("states it (source claim clonazepam:S80)")


# -- kinds of statements


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (drugs(WARFARIN, ASPIRIN), [("DRG", "no-pair"), ("DRG", "pair")]),
        (drugs(ASPIRIN, WARFARIN), [("DRG", "no-pair"), ("DRG", "pair")]),
        (drugs(f"{NDC}|00004-0091-01", WARFARIN), [("DRG", "no-pair"), ("DRG", "pair")]),
        (drugs(f"{NDC}|00004009101", "Medication/warfarin"), [("DRG", "no-pair"), ("DRG", "pair")]),
        (drugs(WARFARIN, IBUPROFEN), [("DRG", "of-class")]),
        (drugs(f"{ATC}|B01AA03", IBUPROFEN), [("DRG", "of-class")]),
        (drugs(ASPIRIN, ALCOHOL), [("DRG", "no-subject")]),
        (drugs(ASPIRIN, IBUPROFEN), [("DRG", "with")]),
        (drugs(WARFARIN, "urn:t|heparin"), [("DUPTHPCLS", "")]),
        (drugs(WARFARIN, "urn:t|oral-heparin"), [("DRG", "by-mouth")]),
        (drugs(ASPIRIN, f"{NDC}|0004-0091-01"), [("DUPTHPGEN", "")]),
        ([*drugs(ASPIRIN), ("condition", f"{ICD}|K25.4")], [("COND", "ulcer")]),
        ([*drugs(ASPIRIN), ("condition", f"{ICD}|K26")], []),
        ([*drugs(ASPIRIN), ("age", "8 mo")], [("AGE", "child")]),
        ([*drugs(ASPIRIN), ("age", "11")], [("AGE", "child")]),
        ([*drugs(ASPIRIN), ("age", "11.5")], []),
        ([*drugs(WARFARIN), ("pregnant", "true")], [("PREG", "bump")]),
        ([*drugs(WARFARIN), ("pregnant", "false")], []),
        ([*drugs(WARFARIN), ("sex", "female")], [("GEND", "her")]),
        ([*drugs(WARFARIN), ("sex", "male")], []),
        ([*drugs(f"{NDC}|0004-0091-01"), ("allergy", ASPIRIN)], [("ALGY", "")]),
        ([*drugs(f"{NDC}|0004-0091-01"), ("allergy", "urn:t|lactose")], [("ALGY", "")]),
        ([*drugs(WARFARIN), ("allergy", f"{ATC}|B01")], [("ALGY", "")]),
        ([*drugs(WARFARIN), ("allergy", "urn:t|heparin")], []),
        (drugs(WARFARIN), []),
    ],
)
def test_each_kind_of_statement_is_found(
    server: InProcess, asked: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> None:
    assert stated(get(server, *asked)) == expected


def test_a_finding_has_what_the_source_says(server: InProcess) -> None:
    (one,) = [
        each
        for each in issues(get(server, *drugs(WARFARIN, ASPIRIN)))
        if "/pair" in each["evidence"][0]["detail"][0]["reference"]
    ]
    assert one["severity"] == "high"
    assert "severe" in one["detail"]
    assert one["reference"] == "https://list.invalid/7"
    assert "A made-up list, row 7" in one["detail"]
    assert one["mitigation"] == [{"action": {"text": "look at the clotting"}}]
    assert {"reference": "Medication/warfarin"} in one["implicated"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (drugs("urn:t|no-such-drug"), "not understood: urn:t|no-such-drug: nothing here says which drug this is"),
        (drugs("Medication/no-such-drug"), "Medication/no-such-drug is not held here"),
        (
            drugs(WARFARIN),
            "ClinicalUseDefinition/words says of warfarin in words only what it interacts with: cranberries",
        ),
        (
            drugs(WARFARIN),
            "ClinicalUseDefinition/some is for a population: Group/nobody-knows (nobody-knows) does not say",
        ),
        (
            drugs(WARFARIN),
            "ClinicalUseDefinition/bump is for a population: Group/pregnant (pregnant): pregnancy is not given",
        ),
        (drugs(ASPIRIN), "the age is not given"),
        (drugs(WARFARIN, IBUPROFEN), "ClinicalUseDefinition/old is retired, and does not speak"),
        (drugs(f"{NDC}|0004009101"), "may be one of 3 codes: all were looked at"),
        ([*drugs(ASPIRIN), ("condition", "urn:t|k")], "what stands above urn:t|k is not known here"),
        ([*drugs(ASPIRIN), ("condition", "urn:t|k")], "names conditions by codes of other systems"),
        ([*drugs(ASPIRIN), ("sex", "other")], "what holds for one sex was not looked at: other"),
        (
            drugs("MedicationKnowledge/heparin", WARFARIN),
            "by-mouth is stated for the route by mouth; heparin is given by another",
        ),
        ([*drugs(ASPIRIN), ("allergy", "urn:t|dust")], "the allergy to urn:t|dust: nothing here says"),
    ],
)
def test_what_could_not_be_said_is_told(server: InProcess, asked: list[tuple[str, str]], said: str) -> None:
    assert said in told(get(server, *asked))


# -- shapes


ORDER_R4 = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": concept(WARFARIN),
}
ORDER_R5 = {
    "resourceType": "MedicationRequest",
    "status": "draft",
    "intent": "order",
    "medication": {"concept": concept(ASPIRIN)},
}
TAKEN = {
    "resourceType": "MedicationStatement",
    "status": "recorded",
    "medication": {"reference": {"reference": "Medication/aspirin"}},
}
CONTAINED = {
    **ORDER_R4,
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "#m"},
    "contained": [
        {"resourceType": "Medication", "id": "m", "ingredient": [{"itemCodeableConcept": concept(WARFARIN)}]}
    ],
}
ALLERGY = {"resourceType": "AllergyIntolerance", "code": concept(ASPIRIN), "clinicalStatus": concept("urn:s|active")}
BESIDE = [
    {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Medication", "code": concept(ASPIRIN)}},
    {"resource": {**ORDER_R4, "medicationCodeableConcept": None, "medicationReference": {"reference": "urn:uuid:1"}}},
    {"resource": ORDER_R4},
]


def bundled(*resources: JSON) -> JSON:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def coded(name: str, code: str) -> JSON:
    return {"name": name, "valueCoding": concept(code)["coding"][0]}


PAIR = [("DRG", "no-pair"), ("DRG", "pair")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (bundled(ORDER_R4, ORDER_R5), PAIR),
        (bundled(ORDER_R4, TAKEN), PAIR),
        (bundled(CONTAINED, ORDER_R5), PAIR),
        ({**bundled(), "entry": BESIDE}, PAIR),
        (bundled(bundled(ORDER_R4), ORDER_R5), PAIR),
        (parameters({"name": "resource", "resource": ORDER_R4}, {"name": "medication", "resource": ORDER_R5}), PAIR),
        (
            parameters(
                coded("medication", WARFARIN),
                {"name": "medication", "valueReference": {"reference": "Medication/aspirin"}},
            ),
            PAIR,
        ),
        (
            parameters(
                {"name": "medicationConcept", "valueCodeableConcept": concept(WARFARIN)}, coded("medication", ASPIRIN)
            ),
            PAIR,
        ),
        (bundled(ORDER_R5, ALLERGY), [("ALGY", "")]),
        (bundled(ORDER_R5, {**ALLERGY, "verificationStatus": concept("urn:s|refuted")}), []),
        (bundled(ORDER_R4, {**ORDER_R5, "status": "stopped"}), []),
        (bundled(ORDER_R4, {**ORDER_R5, "doNotPerform": True}), []),
        ({**ORDER_R5, "reason": [{"concept": concept(f"{ICD}|K25.1")}]}, [("COND", "ulcer")]),
        (bundled(ORDER_R5, {"resourceType": "Condition", "code": concept(f"{ICD}|K25")}), [("COND", "ulcer")]),
        (
            bundled(ORDER_R4, {"resourceType": "Patient", "gender": "female", "birthDate": "1980-02-29"}),
            [("GEND", "her")],
        ),
        (
            parameters(coded("medication", ASPIRIN), {"name": "age", "valueQuantity": {"value": 8, "unit": "months"}}),
            [("AGE", "child")],
        ),
        (parameters(coded("medication", ASPIRIN), {"name": "age", "valueInteger": 8}), [("AGE", "child")]),
        (medication("x", ASPIRIN), []),
    ],
)
@pytest.mark.parametrize("base", ["r4", "r5"])
def test_lists_come_in_the_shapes_of_every_release(
    server: InProcess, body: JSON, expected: list[tuple[str, str]], base: str
) -> None:
    assert stated(post(server, json.loads(json.dumps(body)), base)) == expected


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({**ORDER_R5, "status": "stopped"}, "is stopped: it was not looked at"),
        ({"resourceType": "Observation"}, "a Observation is not looked at"),
        ({"resourceType": "Patient", "birthDate": "1980"}, "gives no age in years"),
        ({"resourceType": "MedicationRequest"}, "names no medication"),
        (
            {**ORDER_R5, "medication": {"reference": {"reference": "https://elsewhere.invalid/Medication/1"}}},
            "neither in the request",
        ),
        ({**ALLERGY, "verificationStatus": concept("urn:s|refuted")}, "is refuted: it was not looked at"),
        ({"resourceType": "Condition", "code": {"text": "a cold"}}, "a cold has no code with a system"),
    ],
)
def test_what_of_a_list_does_not_count_is_told(server: InProcess, resource: JSON, said: str) -> None:
    assert said in told(post(server, bundled(ORDER_R4, resource)))


@pytest.mark.parametrize("version", list(FhirVersion))
def test_every_answer_is_valid_in_each_release(server: InProcess, version: FhirVersion) -> None:
    body = bundled(ORDER_R4, ORDER_R5, ALLERGY, {"resourceType": "Condition", "code": concept(f"{ICD}|K25")})
    full = parameters(
        {"name": "resource", "resource": body},
        {"name": "pregnant", "valueBoolean": True},
        {"name": "age", "valueString": "3"},
        *(coded("medication", one) for one in (KLONOPIN, GENERIC, f"{RX}|5093", IBUPROFEN, "urn:t|none")),
        coded("condition", f"{ICD}|G43"),
    )
    answer = post(server, full, version.segment)
    assert len(issues(answer)) > 8
    assert [one for one in validate(answer.json, version) if one.severity in ("fatal", "error")] == []
    module = {FhirVersion.R5: "", FhirVersion.R4B: "R4B.", FhirVersion.R4: "R4B."}[version]
    model = importlib.import_module(f"fhir.resources.{module}detectedissue").DetectedIssue
    for one in issues(answer):
        model.model_validate_json(json.dumps(one))


# -- what is wrong, or too much


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "there is no drug to look for"),
        (drugs("2598"), "a code is written with its system"),
        (drugs("|2598"), "a code is written with its system"),
        (drugs(""), "a code is written with its system"),
        ([*drugs(ASPIRIN), ("condition", "K25")], "a code is written with its system"),
        ([*drugs(ASPIRIN), ("age", "old")], "write years, or a number with a unit of time"),
        ([*drugs(ASPIRIN), ("age", "3 mg")], "write years, or a number with a unit of time"),
        ([*drugs(ASPIRIN), ("sex", "F")], "write male, female, other or unknown"),
        ([*drugs(ASPIRIN), ("pregnant", "maybe")], "write true or false"),
        ([*drugs(ASPIRIN), ("drug", "x")], "this parameter is not known here"),
    ],
)
def test_a_wrong_request_is_refused_in_words(server: InProcess, pairs: list[tuple[str, str]], said: str) -> None:
    answer = get(server, *pairs)
    assert (answer.status, said in told(answer)) == (400, True), answer.body


DEEP: Any = ORDER_R4
for _ in range(30):
    DEEP = bundled(DEEP)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        '"x"',
        {"resourceType": "Parameters", "parameter": [1]},
        parameters({"name": "medication"}),
        parameters({"name": "medication", "valueCoding": {"code": 5, "system": []}}),
        parameters({"name": "resource", "resource": 5}),
        parameters({"name": "medicationConcept", "valueCodeableConcept": {"coding": "x"}}),
        DEEP,
        bundled(
            *[
                {"resourceType": "MedicationRequest", "medication": one}
                for one in (5, [], {"concept": 5}, {"reference": 7})
            ]
        ),
        {"resourceType": "Bundle", "entry": {"a": 1}},
        {"resourceType": "Bundle", "entry": [{"resource": 5}, None, 7]},
        {**ORDER_R4, "contained": "x", "dosageInstruction": 7, "reasonCode": {"coding": 1}},
        {"resourceType": "Medication", "code": {"coding": [{"system": "a", "code": "b" * 100_000}]}},
        {"resourceType": "Medication", "ingredient": [{"item": 5}, {"itemCodeableConcept": {"coding": [[]]}}]},
        parameters(*[coded("condition", f"urn:t|{n}") for n in range(1001)], coded("medication", ASPIRIN)),
        parameters({"name": "age", "valueQuantity": {"value": {}, "unit": []}}, coded("medication", ASPIRIN)),
    ],
)
def test_a_body_of_no_sense_is_never_a_fault_of_the_server(server: InProcess, body: Any) -> None:
    for base in ("r4", "r5"):
        answer = post(server, body, base)
        assert answer.status < 500, answer.body
        assert answer.json["resourceType"] in ("Bundle", "OperationOutcome")


def test_two_hundred_drugs_are_answered_and_more_than_the_limit_are_not(server: InProcess) -> None:
    many = [f"urn:t|{n}" for n in range(198)]
    assert stated(post(server, parameters(*(coded("medication", one) for one in (WARFARIN, *many, ASPIRIN))))) == PAIR
    answer = post(server, parameters(*(coded("medication", f"urn:t|{n}") for n in range(251))))
    assert (answer.status, "at most 250" in told(answer)) == (400, True)


def test_names_of_the_content_stand_in_the_answer_as_text(server: InProcess) -> None:
    named = {"name": "medicationConcept", "valueCodeableConcept": {**concept(WARFARIN), "text": "<b>w</b>"}}
    one = issues(post(server, parameters(named, coded("medication", ASPIRIN))))[0]
    assert "&lt;b&gt;w&lt;/b&gt;" in one["text"]["div"]


def test_one_list_has_one_answer(server: InProcess) -> None:
    assert get(server, *drugs(WARFARIN, ASPIRIN)).body == get(server, *drugs(WARFARIN, ASPIRIN)).body


def test_what_another_process_changes_is_told_at_once(server: InProcess) -> None:
    listed = drugs(WARFARIN, ASPIRIN)
    before = get(server, *listed)
    pair = next(one for one in MORE if one["id"] == "pair")
    aspirin = next(one for one in MORE if one["id"] == "aspirin")
    changed = {**pair, "extension": [severity("low", "slight")]}
    other = open_store(server.settings)
    try:
        loader = Loader(other, server.settings, lambda failure: pytest.fail(str(failure)))

        def put(*resources: JSON) -> None:
            load(loader, (read_bytes("more", json.dumps(one).encode(), "ndjson") for one in resources))

        try:
            put(changed)
            assert [one.get("severity") for one in issues(get(server, *listed)) if "severity" in one] == ["low"]
            put(pair, {**aspirin, "code": concept("urn:t|another", text="another")})
            assert "Medication/aspirin" not in get(server, *listed).body.decode()
        finally:
            put(pair, aspirin)
    finally:
        other.close()
    after = get(server, *listed)
    assert [(one["id"], one["detail"]) for one in issues(after)] == [
        (one["id"], one["detail"]) for one in issues(before)
    ]


def test_what_was_read_once_is_not_read_again(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = drugs(WARFARIN, ASPIRIN, KLONOPIN)
    before = get(server, *listed)
    monkeypatch.setattr(detect_issues_lookup, "memory_of", lambda read: pytest.fail(f"{read['id']} was read again"))
    assert (get(server, *listed).body, server.application.service.readings.weight > 0) == (before.body, True)


def test_what_was_read_is_read_anew_where_code_systems_say_something_else_of_case(server: InProcess) -> None:
    held = Stored("Medication", "a", 1, 0, "R5", json.dumps(medication("a", "urn:t|Big")).encode())
    lookup = Lookup(server.application.service, FhirVersion.R5, "http://localhost/fhir")
    keys = [lookup.holding(held).codes[0].keys]
    for sensitive in (True, False):
        lookup = Lookup(server.application.service, FhirVersion.R5, "http://localhost/fhir")
        lookup.registry = copy(lookup.registry)
        lookup.registry.systems = Systems({"urn:t": sensitive})
        keys.append(lookup.holding(held).codes[0].keys)
    assert keys == [(("urn:t", "~big"),), (("urn:t", "Big"),), (("urn:t", "~big"),)]


def test_what_was_read_for_one_address_of_the_server_is_not_told_at_another(server: InProcess) -> None:
    pair = use("here", "interaction", "http://drugs.example/fhir/Medication/a", {"interactant": []})
    held = Stored("ClinicalUseDefinition", "here", 1, 0, "R5", json.dumps(pair).encode())
    bases = ("http://drugs.example/fhir", "http://localhost/fhir") * 2
    found = [Lookup(server.application.service, FhirVersion.R5, base).statement(held).subjects for base in bases]
    assert [one.reference for (one,) in found] == ["Medication/a", pair["subject"][0]["reference"]] * 2
