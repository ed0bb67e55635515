"""What a client may, from its token to the answer: scopes decide what is read, found, changed and kept for it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apothecary.access.clients import read_client
from apothecary.access.criteria import check
from apothecary.access.guard import GuardedStore
from apothecary.access.reader import GuardedReader
from apothecary.access.scopes import Scopes
from apothecary.access.transaction import GuardedTransaction
from apothecary.app import create_app
from apothecary.errors import InvalidFile
from apothecary.store.contract import ConceptReader, Reader, Store, Transaction
from tests.access.clients import Sender, bearer, ec_key, settings_for
from tests.waiting import until

SCOPES = {
    "all": ["system/*.cruds"],
    "active": ["system/Medication.cruds?status=active", "system/List.rs"],
    "same": ["system/Medication.cruds?status=active", "system/List.rs"],
    "reads": ["system/Medication.r"],
    "writes": ["system/Medication.write"],
    "creates": ["system/Medication.c"],
}
SENDERS = {name: Sender(name, ec_key(name)) for name in SCOPES}


class Clients:
    """A server and those who ask it."""

    def __init__(self, http: FlaskClient) -> None:
        self.http = http
        self._tokens = {one: SENDERS[one].token(http, " ".join(SCOPES[one])) for one in SCOPES}

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = bearer(self._tokens[who]) | {"Content-Type": "application/fhir+json"} | headers
        return self.http.open(path, method=method, json=body, headers=given)

    def get(self, who: str, path: str, **headers: str) -> TestResponse:
        return self.ask(who, "GET", path, **headers)


def medication(identity: str, status: str = "active", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, "status": status, **more}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    folder = tmp_path_factory.mktemp("guard")
    for name, sender in SENDERS.items():
        sender.file(folder / "clients", SCOPES[name])
    app = create_app(settings_for(folder, f"sqlite:///{folder / 'a.db'}", references="allowed", token_seconds=3600))
    found = Clients(app.test_client())
    for number in range(4):
        for status in ("active", "inactive"):
            key = f"Medication/{status}-{number}"
            assert (
                found.ask("all", "PUT", f"/fhir/r5/{key}", medication(key.partition("/")[2], status)).status_code == 201
            )
    listed = [{"item": {"reference": f"Medication/{status}-0"}} for status in ("active", "inactive")]
    made = {"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": listed}
    assert found.ask("all", "PUT", "/fhir/r5/List/l", made).status_code == 201
    yield found
    app.worker.stop()
    app.service.store.close()


def ids(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["resource"]["id"] for one in answer.json.get("entry", ()) if one["search"]["mode"] != "outcome"]


def issues(answer: TestResponse) -> list[tuple[str, str]]:
    """Codes and texts of the outcome that an answer is, or has."""
    entries = [answer.json, *(one["resource"] for one in answer.json.get("entry", ()))]
    return [
        (issue["code"], issue["details"]["text"])
        for one in entries
        if one["resourceType"] == "OperationOutcome"
        for issue in one["issue"]
    ]


def test_answers_that_are_kept_are_given_to_those_only_who_may_see_as_much(clients: Clients) -> None:
    for _ in range(4):
        assert len(ids(clients.get("all", "/fhir/r5/Medication"))) == 8
        assert ids(clients.get("active", "/fhir/r5/Medication")) == [f"active-{number}" for number in range(4)]
        assert clients.get("reads", "/fhir/r5/Medication").status_code == 403
        assert clients.get("reads", "/fhir/r5/Medication/inactive-1").status_code == 200
        assert clients.get("active", "/fhir/r5/Medication/inactive-1").status_code == 404
        assert clients.get("writes", "/fhir/r5/Medication/inactive-1").status_code == 403


def test_an_answer_that_was_narrowed_says_so_and_one_that_was_not_does_not(clients: Clients) -> None:
    told = [("suppressed", "the scopes of this client leave out resources of Medication, which may or may not be here")]
    assert issues(clients.get("active", "/fhir/r5/Medication?_id=nothing")) == told
    assert issues(clients.get("active", "/fhir/r5/List?item:Medication.status=inactive")) == told
    assert issues(clients.get("active", "/fhir/r5/List?_include=List:item:Medication")) == told
    assert issues(clients.get("active", "/fhir/r5/List")) == []
    assert issues(clients.get("all", "/fhir/r5/Medication")) == []
    assert ids(clients.get("active", "/fhir/r5/List?_include=List:item")) == ["l", "active-0"]
    tags = clients.get("active", "/fhir/r5/_history").json["meta"]["tag"]
    assert [one["code"] for one in tags] == ["suppressed"]
    assert "meta" not in clients.get("all", "/fhir/r5/_history").json


def test_what_is_refused_says_which_scope_would_do(clients: Clients) -> None:
    answer = clients.get("reads", "/fhir/r5/Medication?_count=1")
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="system/Medication.s"'
    assert issues(answer)[0][0] == "forbidden"
    assert clients.get("reads", "/fhir/r5/Organization/any").status_code == 403
    assert clients.get("reads", "/fhir/r5/Nothing/any").status_code == 404
    assert clients.get("reads", "/fhir/r5/_history").status_code == 403
    assert clients.get("active", "/fhir/r5/Medication/_history").status_code == 403


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status"),
    [
        ("reads", "PUT", "Medication/active-1", medication("active-1"), 403),
        ("reads", "DELETE", "Medication/active-1", None, 403),
        ("reads", "POST", "Medication", medication("x"), 403),
        ("creates", "POST", "Medication", medication("x", "inactive"), 201),
        ("creates", "PUT", "Medication/chosen", medication("chosen"), 403),
        ("creates", "PUT", "Medication/active-1", medication("active-1"), 403),
        ("creates", "DELETE", "Medication/active-1", None, 403),
        ("writes", "PUT", "Medication/inactive-2", medication("inactive-2", "inactive", code={"text": "new"}), 200),
        ("writes", "PUT", "Medication/made", medication("made"), 201),
        ("writes", "PATCH", "Medication/inactive-2", [{"op": "test", "path": "/status", "value": "inactive"}], 403),
        ("writes", "POST", "Medication/inactive-2/$meta-add", {"resourceType": "Parameters"}, 400),
        ("active", "PUT", "Medication/active-2", medication("active-2", code={"text": "new"}), 200),
        ("active", "PUT", "Medication/active-2", medication("active-2", "inactive"), 403),
        ("active", "PUT", "Medication/inactive-3", medication("inactive-3"), 403),
        ("active", "POST", "Medication", medication("x", "inactive"), 403),
        ("active", "POST", "Medication", medication("x"), 201),
        ("active", "POST", "List", {"resourceType": "List", "status": "current", "mode": "working"}, 403),
    ],
)
def test_only_what_the_scopes_allow_is_written(
    clients: Clients, who: str, method: str, path: str, body: Any, status: int
) -> None:
    before = clients.get("all", f"/fhir/r5/{path}").text if "/" in path and "$" not in path else ""
    kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    answer = clients.ask(who, method, f"/fhir/r5/{path}", body, **{"Content-Type": kind})
    assert answer.status_code == status, answer.text
    if status == 403 and before:
        assert clients.get("all", f"/fhir/r5/{path}").text == before


def test_a_transaction_that_does_one_thing_too_many_does_nothing(clients: Clients) -> None:
    allowed = {
        "resource": medication("active-3", code={"text": "both"}),
        "request": {"method": "PUT", "url": "Medication/active-3"},
    }
    refused = {"resource": medication("x", "inactive"), "request": {"method": "POST", "url": "Medication"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [allowed, refused]}
    answer = clients.ask("active", "POST", "/fhir/r5", bundle)
    assert answer.status_code == 403
    assert "Bundle.entry[1]" in answer.text
    assert "code" not in clients.get("all", "/fhir/r5/Medication/active-3").json
    batch = clients.ask("active", "POST", "/fhir/r5", bundle | {"type": "batch"}).json
    assert [one["response"]["status"][:3] for one in batch["entry"]] == ["200", "403"]


def test_links_to_pages_are_for_those_only_who_may_see_as_much(clients: Clients) -> None:
    def following(who: str, query: str = "_count=1") -> str:
        links = clients.get(who, f"/fhir/r5/Medication?{query}").json["link"]
        parts = urlsplit(next(one["url"] for one in links if one["relation"] == "next"))
        return f"{parts.path}?{parts.query}"

    assert clients.get("same", following("active")).status_code == 200
    assert clients.get("active", following("all")).status_code == 400
    assert clients.get("all", following("active")).status_code == 400


def test_an_export_has_what_its_client_may_find_and_is_told_of_to_nobody_else(clients: Clients) -> None:
    begun = clients.get("active", "/fhir/r5/$export", Prefer="respond-async")
    assert begun.status_code == 202, begun.text
    where = urlsplit(begun.headers["Content-Location"]).path
    assert until(lambda: clients.get("active", where).status_code == 200)
    manifest = clients.get("active", where).json
    assert manifest["requiresAccessToken"]
    files = {one["type"]: clients.get("active", urlsplit(one["url"]).path) for one in manifest["output"]}
    assert sorted(files) == ["List", "Medication"]
    assert {json.loads(line)["status"] for line in files["Medication"].text.splitlines()} == {"active"}
    (told,) = manifest["error"]
    assert "leave out resources of Medication" in clients.get("active", urlsplit(told["url"]).path).text
    for other in ("all", "same", "reads"):
        assert clients.get(other, where).status_code == 404
        assert clients.get(other, f"{where}/0.ndjson").status_code == 404
        assert clients.ask(other, "DELETE", where).status_code == 404
    assert clients.get("active", "/fhir/r5/$export?_type=Organization", Prefer="respond-async").status_code == 403
    assert clients.get("reads", "/fhir/r5/$export", Prefer="respond-async").status_code == 403
    assert clients.ask("active", "DELETE", where).status_code == 202


def test_an_export_is_given_to_its_client_for_as_long_as_it_may_find_all_of_it(clients: Clients) -> None:
    begun = clients.get("active", "/fhir/r5/$export", Prefer="respond-async")
    where = urlsplit(begun.headers["Content-Location"]).path
    assert until(lambda: clients.get("active", where).status_code == 200)
    sender = SENDERS["active"]
    for scopes, status in (
        ("system/List.rs", 404),
        ("system/Medication.cruds?status=active", 404),
        ("system/Medication.crud?status=active system/List.rs", 404),
        ("system/Medication.rs?status=active system/List.s", 200),
    ):
        given = bearer(sender.token(clients.http, scopes))
        assert clients.http.get(where, headers=given).status_code == status
        assert clients.http.get(f"{where}/0.ndjson", headers=given).status_code == status
    # It may be ended all the same.
    fewer = bearer(sender.token(clients.http, "system/List.rs"))
    assert clients.http.delete(where, headers=fewer).status_code == 202


def test_no_client_keeps_others_from_their_exports(clients: Clients) -> None:
    def begin(who: str) -> TestResponse:
        return clients.get(who, "/fhir/r5/$export", Prefer="respond-async")

    begun = []
    while (answer := begin("same")).status_code == 202:
        begun.append(urlsplit(answer.headers["Content-Location"]).path)
    assert (len(begun), answer.status_code) == (5, 429)
    assert "5 exports of this client" in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    other = begin("all")
    assert other.status_code == 202
    for who, where in [("all", urlsplit(other.headers["Content-Location"]).path), *(("same", one) for one in begun)]:
        assert clients.ask(who, "DELETE", where).status_code == 202


@pytest.mark.parametrize("path", ["/metrics", "/claims", "/fhir/r5/$bulk-publish"])
def test_what_tells_of_everything_is_for_those_only_who_may_see_everything(clients: Clients, path: str) -> None:
    assert clients.get("active", path).status_code == 403
    assert clients.get("all", path).status_code in (200, 503)


def test_the_first_page_counts_what_may_be_found(clients: Clients) -> None:
    assert clients.get("reads", "/").json["start"] == {"metadata": "/fhir/metadata"}
    assert set(clients.get("active", "/").json["start"]) == {"metadata", "List", "Medication"}


def test_without_a_token_the_capabilities_tell_of_nothing_that_is_held(clients: Clients) -> None:
    profile = {"resourceType": "StructureDefinition", "id": "held", "url": "http://ex.org/held", "name": "Held"}
    profile |= {"status": "active", "kind": "resource", "abstract": False, "type": "Medication", "fhirVersion": "5.0.0"}
    profile |= {"baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication", "derivation": "constraint"}
    profile["differential"] = {"element": [{"id": "Medication.code", "path": "Medication.code", "min": 1}]}
    assert clients.ask("all", "PUT", "/fhir/r5/StructureDefinition/held", profile).status_code == 201
    assert "http://ex.org/held" in clients.get("all", "/fhir/r5/metadata").text
    assert "http://ex.org/held" not in clients.get("active", "/fhir/r5/metadata").text
    assert "http://ex.org/held" not in clients.http.get("/fhir/r5/metadata", headers={"Host": "drugs.example"}).text


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("system/Medication.rs?nosuch=a", "no search parameter"),
        ("system/List.rs?item:Medication.status=active", "says of itself"),
        ("system/Medication.rs?_has:List:item:_id=a", "says of itself"),
        ("system/Medication.rs?_text=a", "says of itself"),
        ("system/Medication.rs?_lastUpdated=ap2020", "says of itself"),
        ("system/Medication.rs?code:in=http://a", "no value sets"),
        ("system/Medication.rs?_sort=status", "selects nothing"),
        ("system/Medication.rs?status:nonsense=a", "nonsense"),
    ],
)
def test_criteria_that_no_resource_could_answer_by_itself_are_refused(
    clients: Clients, tmp_path: Path, scope: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        check(Scopes.parse([scope]))
    with pytest.raises(InvalidFile, match=told):
        read_client(SENDERS["all"].file(tmp_path / "clients", [scope]))
    answer = SENDERS["all"].ask(clients.http, scope=scope)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("guarded", "contracts"),
    [
        (GuardedReader, (Reader, ConceptReader)),
        (GuardedTransaction, (Reader, ConceptReader, Transaction)),
        (GuardedStore, (Reader, ConceptReader, Store)),
    ],
)
def test_what_may_be_asked_of_a_store_is_guarded_one_by_one(guarded: type, contracts: tuple[type, ...]) -> None:
    """What a contract says itself would be asked of nobody."""
    own = {name for one in guarded.__mro__ if one.__module__.startswith("apothecary.access") for name in vars(one)}
    wanted = {name for one in contracts for name, _ in inspect.getmembers(one) if not name.startswith("_")}
    assert wanted <= own


def test_a_token_that_ends_is_no_longer_good_for_what_was_kept(clients: Clients) -> None:
    path = "/fhir/r5/Medication/active-0"
    for _ in range(3):
        assert clients.get("reads", path).status_code == 200
    assert clients.http.get(path, headers={"Host": "drugs.example"}).status_code == 401
