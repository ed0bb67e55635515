"""What EHRs send by CDS Hooks, as the list that they ask about."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from apothecary.errors import BadRequest, PreconditionFailed
from apothecary.safety.hooks import PREFETCH, SERVICES, HookCall, read

PUBLISHED = Path(__file__).parent / "hooks"
OWN = "https://drugs.example/fhir/"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NOTHING: dict[str, Any] = dict.fromkeys(PREFETCH)


def published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def asked(request: Any, service: str = "", most: int = 400) -> HookCall:
    def local(literal: str) -> str:
        return literal.removeprefix(OWN) if literal.startswith(OWN) else ""

    return read(SERVICES[service or request["hook"]], request, local, date(2026, 11, 27), most)


def order(code: str, id_: str, **more: Any) -> dict[str, Any]:
    concept = {"coding": [{"system": RXNORM, "code": code}]}
    first = {"resourceType": "MedicationRequest", "id": id_, "status": "draft"}
    return first | ({"medicationCodeableConcept": concept} if "medication" not in more else {}) | more


def sign(*orders: Any, hook: str = "order-sign", prefetch: Any = NOTHING, **context: Any) -> dict[str, Any]:
    entries = [{"resource": one} for one in orders]
    drafts = {"resourceType": "Bundle", "entry": entries}
    return {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "1", "draftOrders": drafts, **context},
        **({"prefetch": prefetch} if prefetch is not None else {}),
    }


def codes(call: HookCall) -> list[str]:
    return [one.codes[0].code for one in call.asked.drugs]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("order-select", ["617993"]),
        ("order-sign", ["617993"]),
        ("medication-prescribe", ["617993", "211307"]),
        ("patient-view", ["617993"]),
    ],
)
def test_the_published_examples_are_understood(name: str, found: list[str]) -> None:
    call = asked(published(name))
    assert codes(call) == found
    assert call.focus == set(range(len(found)))
    assert call.asked.not_understood == []
    looked = [one.text for one in call.asked.not_looked_at]
    assert any("NutritionOrder" in one for one in looked) is (name in ("order-select", "order-sign"))
    assert any("prefetch.allergies" in one for one in looked)


SEVEN = {"coding": [{"system": RXNORM, "code": "7"}]}


@pytest.mark.parametrize(
    "drug",
    [
        {"medication": {"concept": SEVEN}},
        {
            "medication": {"reference": {"reference": "#m"}},
            "contained": [{"resourceType": "Medication", "id": "m", "code": SEVEN}],
        },
    ],
    ids=["R5's concept", "contained"],
)
def test_orders_of_r5_and_contained_medications_are_understood(drug: dict[str, Any]) -> None:
    (found,) = asked(sign(order("", "a", **drug))).asked.drugs
    assert [one.code for one in found.codes] == ["7"] or found.resource is not None


def test_a_medication_beside_the_order_is_that_orders() -> None:
    medication = {"resourceType": "Medication", "id": "m", "code": SEVEN}
    call = asked(sign(order("", "a", medication={"reference": {"reference": "Medication/m"}}), medication))
    (found,) = call.asked.drugs
    assert found.resource == medication
    assert call.focus == {0}


def test_what_an_ehr_refers_to_is_not_looked_for_on_this_server_unless_it_says_so() -> None:
    its, ours = ({"reference": {"reference": f"{base}Medication/clonazepam"}} for base in ("", OWN))
    call = asked(sign(order("", "a", medication=its), order("", "b", medication=ours)))
    assert [one.reference for one in call.asked.drugs] == ["Medication/clonazepam"]
    assert "Medication/clonazepam is neither in the request nor on this server" in call.asked.not_understood[0].text


def test_only_selected_orders_are_asked_about_and_an_unknown_one_is_told() -> None:
    request = sign(order("1", "a"), order("2", "b"), hook="order-select", selections=["MedicationRequest/b", "X/c"])
    call = asked(request)
    assert (codes(call), call.focus) == (["1", "2"], {1})
    assert [one.text for one in call.asked.not_understood] == ["X/c is selected, but not among the orders"]


def test_an_order_that_is_taken_already_is_the_draft_alone_and_its_own_duplicate_never() -> None:
    taken = {"resourceType": "Bundle", "entry": [{"resource": order(one, one, status="active")} for one in ("1", "2")]}
    call = asked(sign(order("9", "1"), prefetch={**NOTHING, "medications": taken}))
    assert codes(call) == ["2", "9"]
    assert call.focus == {1}


def test_orders_without_an_id_are_none_of_those_that_are_drafted() -> None:
    draft, taken = ({k: v for k, v in order(code, "x").items() if k != "id"} for code in ("9", "1"))
    found = {**NOTHING, "medications": {"resourceType": "Bundle", "entry": [{"resource": taken}]}}
    assert codes(asked(sign(draft, prefetch=found))) == ["1", "9"]


def test_what_did_not_come_is_told_and_what_is_null_is_not() -> None:
    call = asked(sign(order("1", "a"), prefetch={"conditions": None, "user": "123", "allergies": "none"}))
    assert sorted(one.where for one in call.asked.not_looked_at) == [
        "prefetch.medications", "prefetch.patient", "prefetch.statements", "prefetch.user",
    ]  # fmt: skip
    assert [one.where for one in call.asked.not_understood] == ["prefetch.allergies"]
    paged = {"resourceType": "Bundle", "link": [{"relation": "next", "url": "x"}]}
    (said,) = asked(sign(order("1", "a"), prefetch={**NOTHING, "conditions": paged})).asked.not_looked_at
    assert "the first page of several" in said.text
    refused = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
    (said,) = asked(sign(order("1", "a"), prefetch={**NOTHING, "allergies": refused})).asked.not_looked_at
    assert "allergies did not come with the request" in said.text


def test_what_is_said_of_another_patient_is_told() -> None:
    call = asked(sign(order("1", "a", subject={"reference": "Patient/somebody-else"})))
    assert "the request names several patients" in call.asked.not_looked_at[-1].text


def test_without_what_the_patient_takes_a_view_of_the_patient_cannot_be_answered() -> None:
    request = published("patient-view")
    del request["prefetch"]["medications"]
    with pytest.raises(PreconditionFailed, match=r"prefetch\.medications or prefetch\.statements"):
        asked(request)
    request["prefetch"]["statements"] = {"resourceType": "OperationOutcome", "issue": []}
    with pytest.raises(PreconditionFailed, match=r"prefetch\.medications or prefetch\.statements"):
        asked(request)
    request["prefetch"]["statements"] = None
    assert asked(request).asked.drugs == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: [], "no JSON object"),
        (lambda one: one.pop("hook"), "hook is order-select"),
        (lambda one: one.update(hook="order-sign"), "hook is order-select"),
        (lambda one: one.update(hookInstance=7), "hookInstance"),
        (lambda one: one.update(hookInstance="x" * 201), "hookInstance"),
        (lambda one: one.update(context=[]), "context is a JSON object"),
        (lambda one: one["context"].pop("patientId"), r"context\.patientId"),
        (lambda one: one["context"].pop("draftOrders"), "draftOrders is a Bundle"),
        (lambda one: one["context"].update(draftOrders={"resourceType": "Patient"}), "draftOrders is a Bundle"),
        (lambda one: one["context"]["draftOrders"].update(entry={}), "entry is an array"),
        (lambda one: one["context"].pop("selections"), "selections is an array"),
        (lambda one: one["context"].update(selections=[1]), "selections is an array"),
        (lambda one: one.update(prefetch=[]), "prefetch is a JSON object"),
        (lambda one: one.update(prefetch={"patient": {"resourceType": "Patient", "id": "x"}}), "another patient"),
    ],
)
def test_what_is_no_request_of_a_hook_is_refused_with_the_reason(change: Any, reason: str) -> None:
    request = copy.deepcopy(published("order-select"))
    wrong = change(request)
    with pytest.raises(BadRequest, match=reason):
        asked([] if wrong == [] else request, "order-select")


@pytest.mark.parametrize("entry", [None, 7, [], {}, {"resource": None}, {"resource": []}, {"resource": {"id": []}}])
def test_an_entry_that_is_none_ends_nothing(entry: Any) -> None:
    request = sign(order("1", "a"), hook="order-select", selections=["MedicationRequest/a"])
    request["context"]["draftOrders"]["entry"].insert(0, entry)
    request["prefetch"] = {**NOTHING, "medications": {"resourceType": "Bundle", "entry": [entry]}}
    call = asked(request)
    assert (codes(call), call.focus) == (["1"], {0})


def test_of_a_long_list_no_more_is_read_than_shows_that_it_is_too_long() -> None:
    assert len(asked(sign(*[order("1", f"o{n}") for n in range(50)]), most=10).asked.drugs) == 11
