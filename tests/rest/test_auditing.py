"""Every request that reads or changes a resource leaves a record, and the record names what came and what was done.

https://profiles.ihe.net/ITI/BALP/content.html
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from apothecary.access.grant import GRANT, Grant
from apothecary.access.trail_check import verify
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.rest.auditing import OPEN
from apothecary.rest.observe import interaction_of
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.validation import validate
from tests.conformance.harness import FIXTURES, TYPES, Answer, InProcess, fill, settings_for, write_content
from tests.databases import session_database
from tests.waiting import until

JSON = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATCH = {"Content-Type": "application/json-patch+json"}
BALP = yaml.safe_load((Path(__file__).parent / "balp.yaml").read_text())


class Recorded:
    """A server that keeps a record in files, and what each request leaves in it."""

    def __init__(self, server: InProcess, folder: Path) -> None:
        self.server, self.folder = server, folder

    def lines(self) -> list[dict[str, Any]]:
        files = sorted(self.folder.glob("audit-*.ndjson"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> tuple[Answer, list[dict[str, Any]]]:
        """The answer, and the events that are new."""
        file = max(self.folder.glob("audit-*.ndjson"))
        before = file.stat().st_size
        text = body if body is None or isinstance(body, str) else dumps(body).decode()
        answer = self.server.ask(method, path, headers, text)
        with file.open("rb") as opened:
            opened.seek(before)
            return answer, [json.loads(line) for line in opened]


def recorded(url: str, folder: Path, **more: Any) -> Iterator[Recorded]:
    content = folder / "content"
    store = fill(url, content)
    settings = settings_for(url, content, audit_durability="normal", audit_folder=str(folder / "audit"), **more)
    server = InProcess(settings, store)
    yield Recorded(server, folder / "audit")
    store.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    with session_database(request, tmp_path_factory) as url:
        yield from recorded(url, folder, audit="file", cds_hooks=True)


def whats(event: Mapping[str, Any]) -> list[str]:
    return [one["what"]["reference"] for one in event.get("entity", ()) if "reference" in one.get("what", {})]


def queries(event: Mapping[str, Any]) -> list[str]:
    return [b64decode(one["query"]).decode() for one in event.get("entity", ()) if "query" in one]


def code(event: Mapping[str, Any]) -> str:
    return str(event["subtype"][0]["code"])


def came(document: Any) -> set[str]:
    """The versions of resources that a document holds, found by walking all of it."""
    found: set[str] = set()
    if isinstance(document, list):
        for one in document:
            found |= came(one)
    elif isinstance(document, dict):
        version = (document.get("meta") or {}).get("versionId") if isinstance(document.get("meta"), dict) else None
        if "resourceType" in document and "id" in document and version:
            return {f"{document['resourceType']}/{document['id']}/_history/{version}"}
        for one in document.values():
            found |= came(one)
    return found


def faults(event: Any, version: FhirVersion = FhirVersion.R4) -> list[Any]:
    """What is wrong with an event. It has no narrative, and codes of systems that are not held stay unchecked."""
    return [one for one in validate(event, version) if one.severity in ("error", "fatal")]


Asked = tuple[str, str, Mapping[str, str], Any]


def of_type(base: str, one: Mapping[str, Any], held: Mapping[str, Any] | None) -> Iterator[Asked]:
    """Requests for each interaction that is claimed for a type, of one resource that is held, or of none."""
    kind = one["type"]
    identity = held["id"] if held else "none"
    resource = dict(held or {"resourceType": kind})
    known = {interaction["code"] for interaction in one["interaction"]}
    place = f"{base}/{kind}"
    by_code: dict[str, list[Asked]] = {
        "read": [("GET", f"{place}/{identity}", {}, None), ("GET", f"{place}/{identity}?_elements=id", {}, None)],
        "vread": [("GET", f"{place}/{identity}/_history/1", {}, None)],
        "history-instance": [("GET", f"{place}/{identity}/_history", {}, None)],
        "history-type": [("GET", f"{place}/_history", {}, None)],
        "search-type": [
            ("GET", f"{place}?_count=50", {}, None),
            ("GET", f"{place}?_count=50&_include=*&_revinclude=*", {"Accept": "application/fhir+xml"}, None),
            ("GET", place, {"Accept": "text/html"}, None),
            ("GET", place, {"Accept": "application/fhir+ndjson"}, None),
            ("POST", f"{place}/_search", FORM, f"_id={identity}"),
        ],
        "create": [
            ("POST", place, JSON | {"If-None-Exist": f"_id={identity}"}, resource),
            ("POST", place, JSON | {"Prefer": "return=minimal"}, {k: v for k, v in resource.items() if k != "id"}),
        ],
        "update": [
            ("PUT", f"{place}/{identity}", JSON, resource | {"language": "en"}),
            ("PUT", f"{place}?_id={identity}", JSON, resource | {"language": "de"}),
        ],
        "patch": [
            ("PATCH", f"{place}/{identity}", PATCH, [{"op": "add", "path": "/language", "value": "fr"}]),
            ("PATCH", f"{place}?_id={identity}", PATCH, [{"op": "add", "path": "/language", "value": "it"}]),
        ],
        "delete": [
            ("DELETE", f"{place}/gone", {}, None),
            ("DELETE", f"{place}?_id=gone", {}, None),
        ],
    }
    assert known <= set(by_code)
    for each in sorted(known):
        yield from by_code[each]


def of_system(base: str, rest: Mapping[str, Any]) -> Iterator[Asked]:
    by_code: dict[str, list[Asked]] = {
        "search-system": [
            ("GET", f"{base}?_type=Medication&_count=3", {}, None),
            ("POST", f"{base}/_search", FORM, "_type=Medication&_count=3"),
        ],
        "history-system": [("GET", f"{base}/_history?_count=5", {}, None)],
        "batch": [("POST", base, JSON, bundle("batch"))],
        "transaction": [("POST", base, JSON, bundle("transaction"))],
    }
    for one in rest["interaction"]:
        yield from by_code[one["code"]]
    yield "GET", f"{base}/Device/x/Medication", {}, None
    for one in rest["operation"]:
        for place in ("", "/Medication", "/Medication/m1"):
            yield "GET", f"{base}{place}/${one['name']}", {"Prefer": "respond-async"}, None
            yield "POST", f"{base}{place}/${one['name']}", JSON, {"resourceType": "Parameters"}


def bundle(kind: str) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": "GET", "url": "Medication?_count=2"}},
            {"request": {"method": "GET", "url": "ValueSet"}},
            {
                "request": {"method": "POST", "url": "Medication", "ifNoneExist": "identifier=sys|secret"},
                "resource": {"resourceType": "Medication", "status": "active"},
            },
            {"request": {"method": "DELETE", "url": "Medication/gone"}},
        ],
    }


def everything(server: InProcess) -> Iterator[Asked]:
    """Requests for each interaction and operation that the CapabilityStatements claim."""
    held: dict[str, Any] = {}
    for one in FIXTURES["first"]:
        held.setdefault(one["resourceType"], one)
    # No type is special in code; some that have no resource are enough.
    empty = {"Basic", "Binary", "Bundle", "CodeSystem", "Composition", "ConceptMap"}
    for base in ("/fhir/r5", "/fhir/r4b", "/fhir/r4"):
        (rest,) = server.ask("GET", f"{base}/metadata").json["rest"]
        for one in rest["resource"]:
            if one["type"] in ({"Medication", "ActivityDefinition"} if base != "/fhir/r5" else {*held, *empty}):
                yield from of_type(base, one, held.get(one["type"]))
            for operation in one.get("operation", ()):
                place = f"{base}/{one['type']}"
                yield "GET", f"{place}/${operation['name']}", {}, None
                yield "GET", f"{place}/none/${operation['name']}", {}, None
        yield from of_system(base, rest)


@pytest.mark.slow
def test_each_request_leaves_one_record_that_names_what_came(server: Recorded) -> None:
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    asked = 0
    for method, path, headers, body in everything(server.server):
        answer, found = server.ask(method, path, headers, body)
        asked += 1
        told = f"{method} {path} {answer.status} {answer.body[:300]!r}"
        assert len(found) == 1, told
        (event,) = found
        assert event["outcomeDesc"] == str(answer.status), told
        assert event["outcome"] == ("0" if answer.status < 400 else "8" if answer.status >= 500 else "4"), told
        named = set(whats(event))
        if "json" in answer.headers.get("content-type", "") and answer.status < 400 and answer.body:
            lines = answer.body.splitlines() if "ndjson" in answer.headers["content-type"] else [answer.body]
            for line in lines:
                assert came(json.loads(line)) <= named, told
        if (place := answer.headers.get("location")) is not None:
            assert "/".join(place.split("/")[-4:]) in named, told
        seen.setdefault((code(event), answer.status), event)
    assert asked > 300
    for event in seen.values():
        assert faults(event) == [], event
    assert {one for one, _ in seen} >= {
        *("read", "vread", "create", "update", "patch", "delete", "search-type", "search-system", "search", "batch"),
        *("transaction", "history-instance", "history-type", "history-system", "operation"),
    }
    assert verify(server.folder).fault is None


@pytest.mark.parametrize("interaction", sorted(BALP))
def test_a_success_is_as_ihe_wants_it(server: Recorded, interaction: str) -> None:
    """`balp.yaml` has the rules of the guide's profiles, as its FHIR Shorthand states them."""
    rules = BALP[interaction]
    method, path, body = rules["request"]
    held = {"resourceType": "Medication", "id": "balp", "status": "active"}
    server.ask("PUT", "/fhir/r4/Medication/balp", JSON, held)
    grant = Grant("app", "user-1", "https://issuer.example", ("system/*.cruds",), 0, "Jane Doe")
    with granted(server, grant):
        answer, (event,) = server.ask(method, f"/fhir/r4{path}", JSON if body else {}, body)
    assert answer.status < 300, answer.body
    profile = f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{rules['profile']}"
    assert event["meta"]["profile"] == [profile]
    assert event["type"]["code"] == "rest"
    assert code(event) in rules["subtype"]
    assert (event["action"], event["outcome"]) == (rules["action"], "0")
    agents = [(one["type"]["coding"][0]["code"], one) for one in event["agent"]]
    for name in ("client", "server"):
        (agent,) = (one for kind, one in agents if kind == rules[name])
        assert agent["who"]
        assert agent["network"]
    (user,) = (one for kind, one in agents if kind in rules["user"])
    assert user["requestor"]
    assert user["who"]["identifier"] == {"system": "https://issuer.example", "value": "user-1"}
    assert "network" not in user
    (application,) = (one for kind, one in agents if kind == "110150")
    assert application["who"]["identifier"]["value"] == "app"
    typed = [one for one in event["entity"] if one.get("type", {}).get("code") == "2"]
    assert [one["role"]["code"] for one in typed] == [rules["role"]]
    assert [("what" in one, "query" in one) for one in typed] == [(rules["role"] == "4", rules["role"] == "24")]
    assert faults(event) == []


class granted:
    """Requests in the block are those of somebody who was asked for a token."""

    def __init__(self, server: Recorded, grant: Grant) -> None:
        self._client, self._grant = server.server._client, grant

    def __enter__(self) -> None:
        self._client.environ_base = {**self._client.environ_base, GRANT: self._grant}

    def __exit__(self, *_: object) -> None:
        self._client.environ_base = {k: v for k, v in self._client.environ_base.items() if k != GRANT}


def test_an_answer_that_is_given_again_is_recorded_again(server: Recorded) -> None:
    first, *others = (server.ask("GET", "/fhir/r5/Medication?_sort=_id") for _ in range(4))
    assert server.server.application.wsgi_app._app._app.hits  # type: ignore[attr-defined] # the cache, two steps in
    for answer, found in others:
        assert answer.body == first[0].body
        assert whats(found[0]) == whats(first[1][0])
        assert len(found) == 1
    tag = first[0].headers["etag"]
    answer, (event,) = server.ask("GET", "/fhir/r5/Medication?_sort=_id", {"If-None-Match": tag})
    assert (answer.status, event["outcomeDesc"], whats(event)) == (304, "304", whats(first[1][0]))


def test_what_tells_nothing_of_resources_leaves_no_record(server: Recorded) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/fhir/metadata", "/fhir/r4/metadata", "/openapi.json"):
        assert server.ask("GET", path)[1] == [], path
    assert server.ask("OPTIONS", "/fhir/Medication")[1] == []
    assert server.ask("GET", "/fhir/nowhere/at/all/here")[1] != []


def test_every_route_is_recorded_unless_it_is_listed(server: Recorded) -> None:
    """So that a new route is not forgotten; what is listed is listed for a reason."""
    known = {interaction_of(rule.endpoint) for rule in server.server.application.url_map.iter_rules()}
    assert known & OPEN == {
        *("capabilities", "openapi", "index", "claims", "interface", "asset", "healthz", "metrics", "readyz"),
        "cds-services",
    }


def test_a_search_is_told_to_the_letter_and_a_form_with_it(server: Recorded) -> None:
    _, (event,) = server.ask("GET", "/fhir/r5/Medication?code=http://x|%3Cb%3E&_count=1")
    assert queries(event) == ["GET /fhir/r5/Medication?code=http://x|%3Cb%3E&_count=1"]
    _, (event,) = server.ask("POST", "/fhir/r5/Medication/_search?_count=1", FORM, "code=secret")
    assert queries(event) == ["POST /fhir/r5/Medication/_search?_count=1\n\ncode=secret"]
    _, (event,) = server.ask("POST", "/fhir/r5", JSON, bundle("batch"))
    assert queries(event)[2] == "POST Medication if-none-exist identifier=sys|secret"
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueCode": "x"}]}
    _, (event,) = server.ask("POST", "/fhir/r5/CodeSystem/$lookup", JSON, parameters)
    assert queries(event) == ["POST /fhir/r5/CodeSystem/$lookup\n\ncode=x"]


def test_a_record_is_bounded_whatever_was_asked(server: Recorded) -> None:
    long = urlencode({"code": "x" * 100_000})
    answer, (event,) = server.ask("POST", "/fhir/r5/Medication/_search", FORM, long)
    assert answer.status == 200
    assert len(queries(event)[0]) == 32 * 1024
    assert "SHA-256" in event["entity"][0]["description"]
    _, (event,) = server.ask("GET", "/fhir/r5/Medication/m1", {"X-Request-Id": "y" * 500})
    assert event["entity"][0]["what"]["identifier"]["value"] == "y" * 200
    entries = [{"request": {"method": "GET", "url": "Medication/none"}}] * 2500
    answer, found = server.ask("POST", "/fhir/r5", JSON, {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status == 200
    assert [len(one["entity"]) for one in found] == [1000, 1000, 500]
    assert [one["outcomeDesc"] for one in found] == ["200", "200, continued (1)", "200, continued (2)"]


def test_each_page_of_a_stream_is_recorded_before_it_is_sent(server: Recorded) -> None:
    answer, found = server.ask("GET", "/fhir/r5/Medication", {"Accept": "application/fhir+ndjson"})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert came(lines) == {one for event in found for one in whats(event)}


def test_a_page_names_what_it_shows_besides_its_answer(server: Recorded) -> None:
    held = {one["id"] for one in FIXTURES["first"] if one["resourceType"] == "MedicationKnowledge"}
    for identity in held:
        recorded = []
        # The third and the fourth are given again.
        for _ in range(4):
            answer, (event,) = server.ask("GET", f"/fhir/r5/MedicationKnowledge/{identity}", {"Accept": "text/html"})
            assert answer.status == 200
            assert f"MedicationKnowledge/{identity}/_history/" in whats(event)[0]
            recorded.append(set(whats(event)))
        assert all(one == recorded[0] for one in recorded)


def test_an_operation_and_a_hook_name_what_they_looked_at(server: Recorded) -> None:
    """A statement about two drugs speaks for a resource that is in no answer."""
    drugs = [{"system": "http://drugs.example", "code": code} for code in ("one", "other")]
    statement = {
        "resourceType": "ClinicalUseDefinition",
        "id": "looked-at",
        "type": "interaction",
        "subject": [{"reference": "Medication/m-one"}],
        "interaction": {"interactant": [{"itemCodeableConcept": {"coding": [drugs[1]]}}]},
    }
    medication = {"resourceType": "Medication", "id": "m-one", "code": {"coding": [drugs[0]]}}
    for one in (medication, statement):
        answer, _ = server.ask("PUT", f"/fhir/r5/{one['resourceType']}/{one['id']}", JSON, one)
        assert answer.status in (200, 201), answer.body
    orders = [
        {
            "resourceType": "MedicationRequest",
            "id": f"order-{number}",
            "status": "draft",
            "intent": "order",
            "subject": {"reference": "Patient/p"},
            "medicationCodeableConcept": {"coding": [drug]},
        }
        for number, drug in enumerate(drugs)
    ]
    entries = [{"resource": one} for one in orders]
    hook = {
        "hook": "order-sign",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {
            "userId": "Practitioner/x",
            "patientId": "p",
            "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries},
        },
    }
    answer, (event,) = server.ask("POST", "/cds-services/order-sign", {"Content-Type": "application/json"}, hook)
    assert answer.status == 200, answer.body
    assert code(event) == "cds-service"
    assert "ClinicalUseDefinition/looked-at/_history/1" in whats(event)
    told = {
        "card": "9368d37b-283f-84a0-93ea-547cebab93ed",
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-27T08:00Z",
    }
    path = "/cds-services/order-sign/feedback"
    answer, (event,) = server.ask("POST", path, {"Content-Type": "application/json"}, {"feedback": [told]})
    assert (answer.status, code(event)) == (200, "cds-feedback")
    assert code(server.ask("GET", path)[1][0]) == "cds-counts"


def test_who_asks_from_behind_a_proxy_is_the_last_that_it_tells(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    (trusting,) = (one for one in recorded_once(url, tmp_path / "one", trust_forwarded=True))
    headers = {"X-Forwarded-For": "6.6.6.6, 10.0.0.7", "X-Request-Id": "abc"}
    _, (event,) = trusting.ask("GET", "/fhir/r5/Medication", headers)
    assert event["agent"][0]["network"]["address"] == "10.0.0.7"
    for header in ('for="[2001:db8::1]:80"', 'for=1.2.3.4, for="[2001:db8::1]";proto=https'):
        _, (event,) = trusting.ask("GET", "/fhir/r5/Medication", {"Forwarded": header})
        assert event["agent"][0]["network"]["address"] == "2001:db8::1"
    _, (event,) = trusting.ask("GET", "/fhir/r5/Medication", {"X-Forwarded-For": "<script>"})
    assert event["agent"][0]["network"]["address"] == "127.0.0.1"
    trusting.server.store.close()


def recorded_once(url: str, folder: Path, **more: Any) -> Iterator[Recorded]:
    folder.mkdir()
    settings = Settings(
        **{"database": url, "content": "", "resource_types": TYPES, "audit": "file"}
        | {"audit_durability": "normal", "audit_folder": str(folder / "audit")}
        | more
    )
    yield Recorded(InProcess(settings, open_store(settings)), folder / "audit")


def test_values_are_hashed_with_a_key_where_the_setting_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    (server,) = recorded_once(url, tmp_path / "one", audit_values=False)
    _, (event,) = server.ask("GET", "/fhir/r5/Medication?code=secret&ingredient:Substance.code=secret&_count=7")
    (query,) = queries(event)
    values = [one.partition("=") for one in query.partition("?")[2].split("&")]
    assert [name for name, _, _ in values] == ["code", "ingredient:Substance.code", "_count"]
    assert values[0][2] == values[1][2] != values[2][2]
    assert len(values[0][2]) == 32
    server.ask("POST", "/fhir/r5/Medication/_search", FORM, "code=secret")
    server.ask("POST", "/fhir/r5", JSON, bundle("batch"))
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueCode": "secret"}]}
    server.ask("POST", "/fhir/r5/CodeSystem/$lookup", JSON, parameters)
    assert not [one for event in server.lines() for one in queries(event) if "secret" in one]
    server.server.store.close()


def test_nothing_is_answered_that_cannot_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (server,) = recorded_once(f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "one")

    def full(handle: int, text: bytes) -> int:
        raise OSError(28, "No space left on device")

    body = {"resourceType": "Medication", "id": "a", "status": "active"}
    with monkeypatch.context() as patched:
        patched.setattr("apothecary.access.trail.os.write", full)
        for method, path, sent in (
            ("PUT", "/fhir/r5/Medication/a", body),
            ("GET", "/fhir/r5/Medication/a", None),
            ("GET", "/fhir/r5/Medication?_format=ndjson", None),
        ):
            answer, found = server.ask(method, path, JSON, sent)
            assert (answer.status, found) == (503, [])
            assert answer.json["issue"][0]["code"] == "transient"
        assert server.ask("GET", "/fhir/metadata")[0].status == 200
    assert server.ask("GET", "/fhir/r5/Medication/a")[0].status == 200
    server.server.store.close()


# -- in the store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    folder = tmp_path_factory.mktemp("stored")
    with session_database(request, tmp_path_factory) as url:
        write_content(folder, FIXTURES["first"])
        store = fill(url, folder)
        yield InProcess(settings_for(url, folder, audit="store"), store)
        store.close()


def kept(server: InProcess) -> list[dict[str, Any]]:
    """The records in the store, oldest first; looking at them leaves none."""
    found = [json.loads(one.body or b"") for one in server.store.all_of_type("AuditEvent")]
    return sorted(found, key=lambda one: one["id"])


def after(server: InProcess, *asked: Any) -> tuple[Answer, list[dict[str, Any]]]:
    before = len(kept(server))
    answer = server.ask(*asked)
    return answer, kept(server)[before:]


def test_the_store_keeps_one_record_of_each_request_and_serves_it_in_each_release(stored: InProcess) -> None:
    body = json.dumps({"resourceType": "Medication", "id": "a", "status": "active"})
    answer, (event,) = after(stored, "PUT", "/fhir/r5/Medication/a", JSON, body)
    assert answer.status == 201
    assert (code(event), whats(event)) == ("update", ["Medication/a/_history/1"])
    answer, (event,) = after(stored, "GET", "/fhir/r5/Medication/a")
    assert (code(event), whats(event)) == ("read", ["Medication/a/_history/1"])
    assert faults(event) == []
    answer, (event,) = after(stored, "GET", "/fhir/r5/AuditEvent?_summary=count")
    assert code(event) == "search-type"
    for version in FhirVersion:
        answer, _ = after(stored, "GET", f"/fhir/{version.segment}/AuditEvent/{event['id']}")
        assert answer.status == 200
        assert faults(answer.json, version) == [], version


def test_what_is_recorded_can_be_deleted(stored: InProcess) -> None:
    body = json.dumps({"resourceType": "Medication", "id": "b", "status": "active"})
    stored.ask("PUT", "/fhir/r5/Medication/b", JSON, body)
    stored.ask("GET", "/fhir/r5/Medication/b")
    answer, (event,) = after(stored, "DELETE", "/fhir/r5/Medication/b")
    assert answer.status == 204
    assert event["entity"][0]["lifecycle"]["code"] == "14"


def test_each_change_of_a_bundle_has_a_record_in_its_transaction_and_the_whole_one_besides(stored: InProcess) -> None:
    answer, events = after(stored, "POST", "/fhir/r5", JSON, json.dumps(bundle("batch")))
    assert answer.status == 200
    assert [code(one) for one in events] == ["batch", "batch"]
    assert [one["lifecycle"]["code"] for one in events[0]["entity"] if "lifecycle" in one] == ["1"]


def test_nobody_writes_a_record_but_the_server(stored: InProcess) -> None:
    stored.ask("GET", "/fhir/r5/Medication")
    written = kept(stored)[-1]
    event = written | {"action": "C"}
    place = f"/fhir/r4/AuditEvent/{event['id']}"
    asked = [
        ("PUT", place, JSON, json.dumps(event)),
        ("POST", "/fhir/r4/AuditEvent", JSON, json.dumps(event)),
        ("DELETE", place),
        ("PATCH", place, PATCH, json.dumps([{"op": "add", "path": "/action", "value": "C"}])),
        ("POST", f"{place}/$meta-add", JSON, json.dumps(meta())),
    ]
    for one in asked:
        answer, events = after(stored, *one)
        assert (answer.status, len(events)) == (403, 1), (one, answer.body)
    entry = {"request": {"method": "DELETE", "url": f"AuditEvent/{event['id']}"}}
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = stored.ask("POST", "/fhir/r4", JSON, json.dumps(sent))
    assert answer.json["entry"][0]["response"]["status"].startswith("403")
    assert written in kept(stored)


def meta() -> dict[str, Any]:
    tag = {"system": "http://x.example", "code": "y"}
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}


def test_a_change_that_fails_leaves_nothing_but_the_record_of_its_failure(stored: InProcess) -> None:
    body = json.dumps({"resourceType": "Medication", "id": "c", "status": "nonsense"})
    answer, (event,) = after(stored, "PUT", "/fhir/r5/Medication/c", JSON, body)
    assert answer.status == 400
    assert event["outcome"] == "4"
    entries = [
        {"request": {"method": "PUT", "url": "Medication/c"}, "resource": {"resourceType": "Medication", "id": "c"}},
        {"request": {"method": "DELETE", "url": "Medication?code=a&status=nonsense:"}},
        {"request": {"method": "GET", "url": "Medication/never"}},
    ]
    sent = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    answer, (event,) = after(stored, "POST", "/fhir/r5", JSON, sent)
    assert answer.status == 404
    assert (event["outcomeDesc"], whats(event)) == ("404", [])


def test_the_server_needs_no_more_than_its_record_says(server: Recorded) -> None:
    """The record in files grows by what is asked alone: there is nothing else in it."""
    assert until(lambda: verify(server.folder).fault is None)
    assert {code(one) for one in server.lines() if one["type"]["code"] == "110100"} == {"110120"}
    assert os.stat(server.folder).st_mode & 0o077 == 0
