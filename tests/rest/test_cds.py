"""CDS Hooks as an EHR sees it: https://cds-hooks.hl7.org/2.0/"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.app import create_app
from apothecary.content.load import Loader, load
from apothecary.content.stream import Text
from apothecary.content.sync import sync
from apothecary.importers.formats import Given
from apothecary.importers.report import Report
from apothecary.importers.table import resources
from apothecary.safety.cards import SILENCE, statement_mark
from apothecary.safety.hooks import PREFETCH, SERVICES
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.databases import session_database
from tests.safety.test_hooks import order, published, sign

RESOURCES = Path(__file__).parents[2] / "resources"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CLONAZEPAM, TABLET = "2598", "206157"
MAPPING = f"""
prefix: list
columns:
  A: subject
  A code: {{element: subject code, system: {RXNORM}}}
  B: interactant
  B code: {{element: interactant code, system: {RXNORM}}}
  What: effect
  How bad: {{element: severity, values: {{contraindicated: {{code: high}}, minor: {{code: low}}}}}}
  Do: management
  Says: source
  Where: source address
"""
ROWS = f"""A,A code,B,B code,What,How bad,Do,Says,Where
clonazepam,{CLONAZEPAM},alphamab,9001,deeper sleep <b>,contraindicated,[do not](javascript:x),List A,https://list.example/1
betatin,9002,clonazepam,{CLONAZEPAM},less effect,minor,watch,List B,javascript:alert(1)
betatin,9002,alphamab,9001,more,,,List B,
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that holds the shipped content, and a list of interactions that was imported."""
    folder = tmp_path_factory.mktemp("cds")
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    (folder / "list.csv").write_text(ROWS, encoding="utf-8")
    made = resources(Given([folder / "list.csv"], Report(lambda _: None), {"mapping": str(folder / "mapping.yaml")}))
    with session_database(request, tmp_path_factory) as url:
        chosen = Settings(database=url, content=str(RESOURCES), cds_hooks=True)
        store = open_store(chosen)
        sync(chosen, store)
        texts = (Text("list", json.dumps(one.resource).encode(), "ndjson") for one in made)
        assert load(Loader(store, chosen, lambda failure: pytest.fail(str(failure))), texts).created == 5
        yield create_app(chosen, store).test_client()
        store.close()


def asked(client: Any, request: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(f"/cds-services/{request['hook']}", json=request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    found: list[dict[str, Any]] = answer.json["cards"]
    return found


def taking(*codes: str) -> dict[str, Any]:
    entries = [{"resource": order(code, f"taken-{code}", status="active")} for code in codes]
    return {**dict.fromkeys(PREFETCH), "medications": {"resourceType": "Bundle", "entry": entries}}


def test_every_service_is_discovered_with_what_it_wants_to_be_sent(client: Any) -> None:
    found = client.get("/cds-services").json["services"]
    assert {one["hook"] for one in found} == {"order-select", "order-sign", "medication-prescribe", "patient-view"}
    for one in found:
        assert one["prefetch"]["medications"] == "MedicationRequest?patient={{context.patientId}}&status=active"
        assert {type(value) for key, value in one.items() if key != "prefetch"} == {str}
        assert client.post(f"/cds-services/{one['id']}", json=published(one["hook"])).status_code == 200


def test_an_imported_interaction_becomes_a_card_for_a_brand_of_the_drug(client: Any) -> None:
    card, silence = asked(client, sign(order(TABLET, "a"), prefetch=taking("9001")))
    assert (card["indicator"], silence["indicator"]) == ("critical", "info")
    assert card["source"] == {"label": "List A", "url": "https://list.example/1"}
    assert card["links"][0]["url"].endswith("/fhir/ClinicalUseDefinition/list-interaction-2598-9001")
    assert client.get(card["links"][0]["url"]).status_code == 200
    assert "contraindicated" in card["detail"]
    assert "\\[do not\\](javascript:x)" in card["detail"]
    assert "<b>" not in json.dumps(card)


def test_cards_are_about_what_is_selected_and_never_about_what_is_taken_already(client: Any) -> None:
    request = sign(order("9002", "a"), order(TABLET, "b"), prefetch=taking("9001"))
    every = asked(client, request)[:-1]
    assert [one["indicator"] for one in every] == ["critical", "warning", "info"]
    assert "url" not in every[1]["source"] or every[1]["source"]["url"].startswith("http")
    request |= {"hook": "order-select", "context": {**request["context"], "selections": ["MedicationRequest/a"]}}
    *chosen, silence = asked(client, request)
    assert [one["indicator"] for one in chosen] == ["warning", "info"]
    assert "1 findings are only about" in silence["detail"]
    view = {**request, "hook": "patient-view", "prefetch": taking("9001", "9002")}
    assert len(asked(client, view)) == 2


def test_what_is_not_known_here_stands_in_a_card(client: Any) -> None:
    (silence,) = asked(client, published("order-sign"))
    assert silence["summary"].startswith("Nothing stated here, which proves nothing.")
    for part in ("617993", "NutritionOrder", "prefetch.allergies"):
        assert part in silence["detail"].replace("\\", "")


def test_orders_of_another_kind_alone_need_no_card(client: Any) -> None:
    request = sign({"resourceType": "NutritionOrder", "id": "n", "status": "draft"})
    assert asked(client, request) == []


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/cds-services/none", {"json": {}}, 404),
        ("POST", "/cds-services", {"json": {}}, 405),
        ("GET", "/cds-services/order-sign", {}, 405),
        ("POST", "/cds-services/order-sign", {"data": "{}", "content_type": "text/plain"}, 415),
        ("POST", "/cds-services/order-sign", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/cds-services/order-sign", {"data": "", "content_type": "application/json"}, 400),
        ("POST", "/cds-services/order-sign", {"json": []}, 400),
        ("POST", "/cds-services/patient-view", {"json": sign(hook="patient-view", prefetch=None)}, 412),
        ("POST", "/cds-services/order-sign", {"json": sign(*[order("1", f"o{n}") for n in range(500)])}, 400),
    ],
)
def test_what_is_wrong_is_said_with_its_status(
    client: Any, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    answer = client.open(path, method=method, **sent)
    assert answer.status_code == status, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"


def test_a_browser_of_another_origin_may_ask(client: Any) -> None:
    asking = {"Origin": "https://sandbox.example", "Access-Control-Request-Method": "POST"}
    allowed = client.options("/cds-services/order-sign", headers=asking).headers
    assert "POST" in allowed["Access-Control-Allow-Methods"]
    answer = client.post("/cds-services/order-sign", json=published("order-sign"), headers={"Origin": asking["Origin"]})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_PLACES = (
    *(("context",), ("prefetch",), ("context", "draftOrders"), ("context", "draftOrders", "entry")),
    *(("context", "draftOrders", "entry", 0), ("context", "draftOrders", "entry", 0, "resource")),
    *(
        ("context", "draftOrders", "entry", 0, "resource", name)
        for name in ("id", "status", "medicationCodeableConcept")
    ),
    *(("prefetch", key) for key in PREFETCH),
    *(("prefetch", "medications", "entry"), ("prefetch", "medications", "entry", 0, "resource", "dosageInstruction")),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(_PLACES), value=_ANY, hook=st.sampled_from(sorted(SERVICES)))
def test_whatever_stands_in_a_request_the_answer_is_clear(
    client: Any, place: tuple[str | int, ...], value: Any, hook: str
) -> None:
    prefetch = {**{key: {"resourceType": "Bundle"} for key in PREFETCH}, **taking("9001")}
    request = sign(order(TABLET, "a"), hook=hook, prefetch=prefetch, selections=["MedicationRequest/a"])
    request["context"]["medications"] = request["context"]["draftOrders"]
    node: Any = request
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    answer = client.post(f"/cds-services/{hook}", json=request)
    assert answer.status_code in (200, 400, 412), answer.text
    assert ("cards" in answer.json) is (answer.status_code == 200)


def test_there_is_nothing_of_it_unless_a_setting_says_so(sqlite_database_url: str) -> None:
    plain = create_app(Settings(database=sqlite_database_url, content="")).test_client()
    assert plain.get("/cds-services").status_code == 404
    assert plain.post("/cds-services/order-sign", json={}).status_code == 404


def test_what_became_of_cards_is_counted_by_statement_and_reason(client: Any) -> None:
    cards = asked(client, sign(order(TABLET, "a"), prefetch=taking("9001")))
    reason = cards[0]["overrideReasons"][0]
    moment = "2026-11-27T08:00:00Z"
    first, last = ({"card": one["uuid"], "outcome": "overridden", "outcomeTimestamp": moment} for one in cards)
    because = {**first, "overrideReason": {"reason": reason, "userComment": "Mr Miller knows"}}
    address = "/cds-services/order-sign/feedback"
    before = client.get(address).json
    assert before == {"told": 0, "left": 0, "feedback": []}
    for entries in ([because, last], [because], [first], [{**first, "card": str(uuid.uuid4())}]):
        answer = client.post(address, json={"feedback": entries})
        assert (answer.status_code, answer.json) == (200, {})
    # A second answer to the same question has other cards, which count with the first.
    again = asked(client, sign(order(TABLET, "a"), prefetch=taking("9001")))[0]["uuid"]
    assert client.post(address, json={"feedback": [{**because, "card": again}]}).status_code == 200
    # Where anything is wrong, nothing counts.
    assert client.post(address, json={"feedback": [first, {**first, "outcome": "ignored"}]}).status_code == 400
    answer = client.get(address)
    assert "Miller" not in answer.text
    told = [{**one, "latest": one["latest"][:4], "mark": one.get("mark", "")[:2]} for one in answer.json["feedback"]]
    statement = {"about": "ClinicalUseDefinition/list-interaction-2598-9001", "outcome": "overridden", "latest": "2026"}
    mark, silence = statement_mark(statement["about"])[:2], statement_mark(SILENCE)[:2]
    given = {"system": reason["system"], "code": reason["code"]}
    assert told[0] == statement | {"mark": mark, "reason": given, "count": 3, "commented": 3}
    plain = {"outcome": "overridden", "count": 1, "commented": 0, "latest": "2026"}
    rest = [statement | plain | {"mark": mark}, plain | {"mark": silence, "about": SILENCE}, plain | {"mark": ""}]
    assert sorted(told[1:], key=lambda one: one["mark"]) == sorted(rest, key=lambda one: one["mark"])
    assert answer.json["told"] == 6
    assert client.get("/cds-services/patient-view/feedback").json["told"] == 0


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/cds-services/none/feedback", {"json": {"feedback": []}}, 404),
        ("/cds-services/order-sign/feedback", {"json": []}, 400),
        ("/cds-services/order-sign/feedback", {"data": "{", "content_type": "application/json"}, 400),
        ("/cds-services/order-sign/feedback", {"data": "{}", "content_type": "text/plain"}, 415),
        # A page of somebody else may read, and change nothing.
        ("/cds-services/order-sign/feedback", {"json": {}, "headers": {"Origin": "https://evil.example"}}, 403),
    ],
)
def test_feedback_that_is_wrong_is_refused(client: Any, path: str, sent: dict[str, Any], status: int) -> None:
    answer = client.post(path, **sent)
    assert answer.status_code == status, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"
    assert client.get("/cds-services/none/feedback").status_code == 404


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "é'\\\\%", "x" * 200])
def test_a_reason_is_any_text_that_there_can_be(client: Any, text: str) -> None:
    address, moment = "/cds-services/order-select/feedback", "2026-11-27T08:00:00Z"
    reason = f'{{"reason": {{"system": "urn:reasons", "code": "{text}"}}}}'
    card = f'{{"card": "{uuid.uuid4()}", "outcome": "overridden", "outcomeTimestamp": "{moment}"'
    sent = f'{{"feedback": [{card}, "overrideReason": {reason}}}]}}'
    answer = client.post(address, data=sent.encode(), content_type="application/json")
    possible = text not in ("\\u0000", "\\ud800")
    assert answer.status_code == (200 if possible else 400), answer.text
    told = [one["reason"]["code"] for one in client.get(address).json["feedback"]]
    assert (json.loads(f'"{text}"') in told) is possible


def test_a_server_that_takes_no_writes_counts_nothing(sqlite_database_url: str) -> None:
    app = create_app(Settings(database=sqlite_database_url, content="", cds_hooks=True, read_only=True))
    assert app.test_client().post("/cds-services/order-sign/feedback", json={"feedback": []}).status_code == 403
    app.service.store.close()
