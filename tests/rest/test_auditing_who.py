"""With authorization the record tells who asked, who was refused, and who got a token."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from tests.access.clients import BASE, Sender, bearer, settings_for

HOST = {"Host": "drugs.example"}


class Asked:
    """A server with one client, and what each request leaves in the record."""

    def __init__(self, client: FlaskClient, sender: Sender, folder: Path) -> None:
        self.client, self.sender, self.folder = client, sender, folder

    def __call__(self, method: str, path: str, headers: dict[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
        (file,) = self.folder.glob("audit-*")
        before = file.stat().st_size
        answer = self.client.open(path, method=method, headers=HOST | headers, **more)
        (event,) = map(json.loads, file.read_bytes()[before:].splitlines())
        return answer.status_code, event


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("who")
    sender = Sender()
    sender.file(folder / "clients")
    more = {"audit": "file", "audit_folder": str(folder / "audit"), "audit_durability": "normal"}
    app = create_app(settings_for(folder, f"sqlite:///{folder / 'a.db'}", **more))
    yield Asked(app.test_client(), sender, folder / "audit")
    app.service.store.close()


def clients(event: dict[str, Any]) -> set[str]:
    return {one["who"]["identifier"]["value"] for one in event["agent"] if "identifier" in one["who"]}


def test_who_gets_a_token_and_who_uses_it_is_told(ask: Asked) -> None:
    form = ask.sender.form()
    status, event = ask("POST", "/fhir/token", {}, data=form)
    assert (status, event["subtype"][0]["display"], clients(event)) == (200, "Login", {ask.sender.id})
    assert form["client_assertion"] not in json.dumps(event)
    status, event = ask("POST", "/fhir/token", {}, data=form)  # it counts once
    assert (status, event["outcomeDesc"], clients(event)) == (401, "401", set())
    headers = bearer(ask.sender.token(ask.client))
    status, event = ask("GET", "/fhir/r5/Medication", headers)
    assert (status, event["subtype"][0]["code"], clients(event)) == (200, "search-type", {ask.sender.id})
    assert {one["who"]["identifier"]["system"] for one in event["agent"] if "identifier" in one["who"]} == {BASE}
    assert headers["Authorization"].partition(" ")[2] not in json.dumps(event)


def test_a_client_without_any_right_to_records_leaves_them_all_the_same(
    tmp_path: Path, sqlite_database_url: str
) -> None:
    sender = Sender()
    sender.file(tmp_path / "clients", ["system/Medication.crus"])
    app = create_app(settings_for(tmp_path, sqlite_database_url, audit="store"))
    http = app.test_client()
    headers = bearer(sender.token(http, "system/Medication.crus"))
    made = http.post("/fhir/r5/Medication", json={"resourceType": "Medication"}, headers=headers)
    assert made.status_code == 201, made.text
    assert http.get("/fhir/r5/AuditEvent", headers=headers).status_code == 403
    assert http.delete(f"/fhir/r5/Medication/{made.json['id']}", headers=headers).status_code == 403
    events = [json.loads(one.body or b"") for one in app.service.store.all_of_type("AuditEvent")]
    told = [
        (one["subtype"][0]["code"], one["outcome"], clients(one)) for one in sorted(events, key=lambda one: one["id"])
    ]
    assert told == [
        ("110122", "0", {sender.id}),
        ("create", "0", {sender.id}),
        ("search-type", "4", {sender.id}),
        ("delete", "4", {sender.id}),
    ]
    assert f"Medication/{made.json['id']}/_history/1" in json.dumps(events)
    app.service.store.close()


@pytest.mark.parametrize("path", ["/fhir/r5/Medication/a", "/fhir/Medication?code=x", "/metrics", "/", "/nowhere"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no.such.token"}])
def test_whoever_is_refused_is_told_of_as_well(ask: Asked, path: str, headers: dict[str, str]) -> None:
    status, event = ask("GET", path, headers)
    assert (status, event["outcome"], event["outcomeDesc"]) == (401, "4", "401")
    assert event["agent"][0]["who"] == {"display": "anonymous"}
    assert event["agent"][0]["network"]["address"] == "127.0.0.1"


@pytest.mark.parametrize(("method", "path"), [("GET", "/fhir/r5/Medication"), ("POST", "/fhir/token")])
def test_who_is_not_let_in_fills_no_record(ask: Asked, method: str, path: str) -> None:
    _, event = ask(method, f"{path}?code={'x' * 9000}", {})
    (query,) = (one for one in event["entity"] if "query" in one)
    assert len(b64decode(query["query"])) == 1024
    assert query["description"].startswith("the first 1024 of ")
