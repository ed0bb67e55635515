"""Who sends no token that counts gets nothing but what is for everybody; a token counts no longer than it should."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flask.testing import FlaskClient

from apothecary import validate
from apothecary.access import bearer as bearers
from apothecary.access.authorization import Authorization
from apothecary.app import Apothecary, create_app
from apothecary.errors import InvalidToken, StartError
from apothecary.rest.authentication import Authenticated
from apothecary.rest.cache import Cached
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.access.clients import BASE, Sender, bearer, ec_key, settings_for

SENDER = Sender()
HOST = {"Host": "drugs.example"}
BASES = ("/fhir", "/fhir/r4", "/fhir/r4b", "/fhir/r5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's clients are."""
    return tmp_path_factory.mktemp("authentication") / "clients"


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Apothecary]:
    """A server that one client may ask."""
    SENDER.file(folder)
    app = create_app(settings_for(folder.parent, f"sqlite:///{folder.parent / 'a.db'}"))
    yield app
    app.service.store.close()


@pytest.fixture
def http(app: Apothecary) -> FlaskClient:
    return app.test_client()


def test_what_is_for_everybody_is_open_and_nothing_else(app: Apothecary, http: FlaskClient) -> None:
    open_ = {"/healthz", "/readyz"} | {f"{base}/{name}" for base in BASES for name in ("metadata", WELL_KNOWN)}
    for path in sorted(open_):
        for spelled in (path, f"{path}/"):
            assert http.get(spelled, headers=HOST).status_code == 200, spelled
    values = {"resource_type": "Medication", "resource_id": "a", "version_id": "1", "operation": "validate"}
    asked = 0
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            value = values.get(argument, "x")
            path = path.replace(f"<path:{argument}>", value).replace(f"<{argument}>", value)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            if (path in open_ and method in ("GET", "HEAD")) or path == "/fhir/token":
                continue
            asked += 1
            answer = http.open(path, method=method, headers=HOST)
            assert (method, path, answer.status_code) == (method, path, 401)
            assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{BASE}"'
    assert asked > 100


WELL_KNOWN = ".well-known/smart-configuration"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/fhir/", "/fhir/metadata/x", "/fhir//metadata", "/healthz/x", "/fhir/r4/token"]
)
def test_what_is_not_there_is_not_told_without_a_token(http: FlaskClient, path: str) -> None:
    assert http.get(path, headers=HOST).status_code == 401


@pytest.mark.parametrize("base", BASES)
def test_every_base_says_where_to_get_a_token_in_json_whatever_is_asked_for(http: FlaskClient, base: str) -> None:
    for accept in ("application/json", "application/fhir+xml", "text/html", "application/fhir+json; fhirVersion=4.0"):
        answer = http.get(f"{base}/{WELL_KNOWN}", headers=HOST | {"Accept": accept, "Origin": "https://app.example"})
        assert (answer.status_code, answer.content_type) == (200, "application/json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    told = answer.json
    assert told["token_endpoint"] == f"{BASE}/token"
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(told["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert told["grant_types_supported"] == ["client_credentials"]
    assert {"client-confidential-asymmetric", "permission-v2", "permission-v1"} == set(told["capabilities"])
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert "system/*.rs" in told["scopes_supported"]
    assert "issuer" not in told


def test_the_capability_statement_says_how_to_ask(http: FlaskClient) -> None:
    for base in BASES:
        statement = http.get(f"{base}/metadata", headers=HOST).json
        security = statement["rest"][0]["security"]
        assert [one for one in validate(statement) if one.severity in ("fatal", "error")] == []
        assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
        assert security["cors"] is True


def test_the_openapi_document_says_that_a_token_is_needed(http: FlaskClient) -> None:
    told = http.get("/fhir/r4/openapi.json?type=Medication", headers=bearer(SENDER.token(http))).json
    assert told["security"] == [{"token": []}]
    assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_without_authorization_nothing_of_it_is_there(tmp_path: Path) -> None:
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'a.db'}", content=""))
    http = app.test_client()
    assert http.get("/fhir/Medication", headers={"Authorization": "Bearer x"}).status_code == 200
    assert http.get(f"/fhir/{WELL_KNOWN}").status_code == 404
    assert http.post("/fhir/token", data=SENDER.form()).status_code == 404
    assert http.get("/fhir/metadata").json["rest"][0]["security"] == {"cors": True}
    app.service.store.close()


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "bearer nonsense",
        "Bearer a.b.c",
        "Bearer " + "x" * 20_000,
        "",
        "Bearer é",
        "a\0b",
    ],
    ids=lambda one: one[:20],
)
def test_a_header_without_a_token_that_counts_is_unauthorized(http: FlaskClient, given: str) -> None:
    answer = http.get("/fhir/Medication", headers=HOST | {"Authorization": given} if "\0" not in given else HOST)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.json["issue"][0]["code"] == "login"
    assert "nonsense" not in answer.text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/html", "text/html"), ("application/fhir+xml", "application/fhir+xml"), ("", "application/fhir+json")],
)
def test_who_is_refused_is_told_in_the_form_that_he_asks_for(http: FlaskClient, accept: str, kind: str) -> None:
    answer = http.get("/fhir/r4/Medication", headers=HOST | {"Accept": accept})
    assert (answer.status_code, answer.content_type.partition(";")[0]) == (401, kind)


def test_a_token_in_the_address_is_none(http: FlaskClient) -> None:
    answer = http.get(f"/fhir/Medication?access_token={SENDER.token(http)}", headers=HOST)
    assert answer.status_code == 401


def test_a_page_may_ask_beforehand_without_a_token(http: FlaskClient) -> None:
    headers = HOST | {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    answer = http.options("/fhir/Medication", headers=headers | {"Access-Control-Request-Headers": "authorization"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Headers"]) == (204, "authorization")


def test_what_is_kept_of_an_answer_goes_to_those_only_who_may_have_it(app: Apothecary, http: FlaskClient) -> None:
    token, another, less = (
        SENDER.token(http, scope) for scope in ("system/*.rs", "system/*.rs", "system/Medication.rs")
    )
    address = "/fhir/Medication?_count=7"
    cache = inside(app, Cached)
    assert [http.get(address, headers=bearer(token)).status_code for _ in range(4)] == [200] * 4
    hits = cache.counts()["hits"]
    assert hits > 0
    assert http.get(address, headers=HOST).status_code == 401
    assert http.get(address, headers=bearer(token[:-4] + "AAAA")).status_code == 401
    # Another token with the same scopes is given the same, one with others is not.
    assert http.get(address, headers=bearer(another)).status_code == 200
    assert cache.counts()["hits"] == hits + 1
    assert http.get(address, headers=bearer(less)).status_code == 200
    assert cache.counts()["hits"] == hits + 1


T = TypeVar("T")


def inside(app: Apothecary, kind: type[T]) -> T:
    """The WSGI application of a kind among those that stand around the app."""
    found: Any = app.wsgi_app
    while not isinstance(found, kind):
        found = found._app
    return found


def test_a_client_that_is_removed_is_out_at_once(folder: Path, http: FlaskClient) -> None:
    sender = Sender("going")
    path = sender.file(folder)
    token = sender.token(http)
    assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 200
    path.unlink()
    answer = http.get("/fhir/Medication", headers=bearer(token))
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)
    assert sender.ask(http).status_code == 401
    sender.file(folder)
    assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 200


def test_a_client_that_may_less_than_before_may_less_with_the_tokens_that_it_has(
    folder: Path, app: Apothecary, http: FlaskClient
) -> None:
    sender = Sender("lesser")
    sender.file(folder)
    token = sender.token(http, "system/*.cruds")
    replaced(sender, folder, ["system/Medication.r"])
    assert granted(app, token) == ("system/Medication.r",)


def test_a_file_that_is_broken_meanwhile_stands_for_nobody_and_the_log_says_where(
    folder: Path, http: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender("broken")
    sender.file(folder)
    token = sender.token(http)
    replaced(sender, folder, ["nonsense"])
    assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 401
    assert "broken.yaml:" in caplog.text
    assert http.get("/fhir/Medication", headers=bearer(SENDER.token(http))).status_code == 200


def replaced(sender: Sender, folder: Path, scopes: list[str]) -> None:
    """Write a client's file anew, as editors do: another file takes the place."""
    os.replace(sender.file(folder.parent / "drafts", scopes), folder / f"{sender.id}.yaml")


def granted(app: Apothecary, token: str) -> tuple[str, ...]:
    """The scopes that a request with a token has."""
    return inside(app, Authenticated)._bearers.grant(token).scopes


def test_a_token_ends(tmp_path: Path) -> None:
    SENDER.file(tmp_path / "clients")
    settings = settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}")
    store = open_store(settings)
    now = time.time()
    parts = Authorization.of(settings, store, clock=lambda: now)
    assert parts.tokens is not None
    token = parts.tokens.answer(SENDER.form().items())["access_token"]
    assert parts.bearers.grant(token).client == "pharmacy"
    now += 299
    assert parts.bearers.grant(token).scopes == ("system/*.rs",)
    now += 2
    with pytest.raises(InvalidToken, match="expired"):
        parts.bearers.grant(token)
    store.close()


def test_no_more_tokens_are_remembered_than_there_is_room_for(
    app: Apothecary, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearers, "MOST", 3)
    tokens = [SENDER.token(http) for _ in range(6)]
    for token in tokens * 2:
        assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 200
    assert len(inside(app, Authenticated)._bearers._known) == 3


def test_writes_are_open_wherever_the_server_listens(tmp_path: Path) -> None:
    SENDER.file(tmp_path / "clients")
    app = create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}", host="0.0.0.0"))  # noqa: S104 (nothing listens)
    http = app.test_client()
    token = SENDER.token(http, "system/*.cruds")
    answer = http.post("/fhir/Medication", json={"resourceType": "Medication"}, headers=bearer(token))
    assert answer.status_code == 201
    assert http.get("/fhir/metadata", headers=HOST).json["rest"][0]["documentation"].startswith("Reads, searches and")
    app.service.store.close()


def test_a_server_that_nobody_could_ask_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="APOTHECARY_CLIENTS"):
        create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}"))


def test_a_wrong_file_stops_the_start_with_its_place(tmp_path: Path) -> None:
    path = SENDER.file(tmp_path / "clients", jwks={"keys": [ec_key().as_dict(private=True)]})
    with pytest.raises(StartError, match=rf"{path}:\d+:\d+: this is a private key"):
        create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}"))
