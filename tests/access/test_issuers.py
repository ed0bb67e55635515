"""Tokens of other issuers count as they say, where their keys show that they are theirs, and for nothing else.

The issuer is an OpenID provider in a server of its own (PyPI: oidc-provider-mock); what its tokens say is written here
in the words of Keycloak, Entra and RFC 9068.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask
import pytest
from authlib.integrations.requests_client import OAuth2Session
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from apothecary.access.issuers import SKEW, Issuers
from apothecary.access.signed import Signed
from apothecary.app import Apothecary, create_app
from apothecary.errors import InvalidToken, StartError, Unreachable
from tests.access.clients import BASE, Sender, bearer, ec_key, rsa_key, settings_for

# The provider uses what its library has declared outdated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:authlib.jose module is deprecated"),
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning"),
]

MAP = "{pharmacist: system/*.rs, editor of drugs: [system/Medication.cruds, system/Organization.r]}"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody wants to read it."""


class Provider:
    """The provider that runs, and its key."""

    def __init__(self, url: str, key: RSAKey) -> None:
        self.url = url
        self.key = key

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """An access token that it gave to an app; a claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": BASE, "exp": now + 300, "iat": now, "sub": "u-1", "azp": "app"} | claims
        told = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid} | (header or {})
        body = {name: value for name, value in said.items() if value is not None}
        whole = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(whole, body, key or self.key, algorithms=[whole["alg"]], default_type=None)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import oidc_provider_mock

        app = oidc_provider_mock.app()
        with app.test_request_context():
            app.preprocess_request()
            storage = flask.g.oidc_provider_mock_storage
        key = RSAKey.import_key(storage.jwk.as_dict(is_private=True))
    with make_server("localhost", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Provider(f"http://localhost:{server.server_port}", key)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def app(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apothecary]:
    folder = tmp_path_factory.mktemp("issuers")
    given = {"issuers": f"{provider.url}, https://idp.example/other", "clients": "", "scope_map": MAP}
    app = create_app(settings_for(folder, f"sqlite:///{folder / 'a.db'}", **given))
    yield app
    app.service.store.close()


@pytest.fixture
def http(app: Apothecary) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "openid system/Medication.rs"},
        {"scp": "system/Medication.rs"},
        {"scp": ["system/Medication.rs", "email"]},
        {"roles": ["pharmacist"]},
        {"realm_access": {"roles": ["offline_access", "pharmacist"]}},
        {"roles": ["editor of drugs"]},
        {"aud": ["account", BASE], "scope": "system/*.rs", "typ": "Bearer"},
        {"azp": None, "client_id": "app", "scope": "system/*.rs"},
        {"azp": None, "appid": "app", "roles": ["system/*.rs"], "name": "Ann", "ver": "1.0"},
    ],
    ids=json.dumps,
)
def test_a_token_of_an_issuer_that_is_named_counts(
    http: FlaskClient, provider: Provider, claims: dict[str, Any]
) -> None:
    answer = http.get("/fhir/Medication", headers=bearer(provider.token(**claims)))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", "AT+JWT", None])
def test_an_access_token_is_of_these_kinds(http: FlaskClient, provider: Provider, typ: str | None) -> None:
    answer = http.get("/fhir/Medication", headers=bearer(provider.token({"typ": typ}, roles=["pharmacist"])))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {"iss": "https://elsewhere.example"}),
        ({}, {"iss": None}),
        ({}, {"iss": BASE}),
        ({}, {"aud": "https://other.example/fhir"}),
        ({}, {"aud": f"{BASE}/"}),
        ({}, {"aud": None}),
        ({}, {"aud": [[BASE]]}),
        ({}, {"exp": -100}),
        ({}, {"exp": None}),
        ({}, {"nbf": 900}),
        ({}, {"iat": 900}),
        ({}, {"typ": "ID"}),
        ({}, {"typ": "Refresh"}),
        ({}, {"at_hash": "x"}),
        ({}, {"sub": None, "azp": None}),
        ({}, {"roles": [f"system/a{n}.rs" for n in range(1001)]}),
        ({"typ": "logout+jwt"}, {}),
        ({"typ": "dpop+jwt"}, {}),
        ({"kid": "other"}, {}),
        ({"kid": None}, {}),
        ({"alg": "PS512", "kid": "x"}, {}),
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_server_or_not_good_now_is_none(
    http: FlaskClient, provider: Provider, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    # Times stand in the table as seconds from now.
    now = {name: int(time.time()) + claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    token = provider.token(header, **{"roles": ["pharmacist"]} | claims | now)
    answer = http.get("/fhir/Medication", headers=bearer(token))
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)


def test_a_token_that_another_key_signed_is_none(http: FlaskClient, provider: Provider) -> None:
    forged = provider.token(key=rsa_key("forged"), roles=["pharmacist"])
    assert http.get("/fhir/Medication", headers=bearer(forged)).status_code == 401
    forged = provider.token({"alg": "ES384"}, key=ec_key(), roles=["pharmacist"])
    assert http.get("/fhir/Medication", headers=bearer(forged)).status_code == 401


def test_an_issuer_that_cannot_be_reached_is_answered_with_503(http: FlaskClient, provider: Provider) -> None:
    lost = provider.token(iss="https://idp.example/other")
    app_without = http.application.wsgi_app._app._bearers._issuers  # type: ignore[attr-defined] # what the layers wrap
    issuer = app_without._by_url["https://idp.example/other"]
    issuer._metadata._fetch = unreachable
    answer = http.get("/fhir/Medication", headers=bearer(lost))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json["issue"][0]["code"] == "transient"
    # The others are as they were.
    assert http.get("/fhir/Medication", headers=bearer(provider.token(roles=["pharmacist"]))).status_code == 200


def unreachable(url: str) -> tuple[bytes, float]:
    raise OSError("no route to host")


def test_who_asks_stands_in_the_grant(provider: Provider, app: Apothecary) -> None:
    issuers = Issuers(app.service.settings)
    now = int(time.time())
    token = provider.token(roles=["editor of drugs", "nobody"], name="Ann Example", exp=now + 60)
    grant = issuers.grant(Signed.read(token))
    assert (grant.client, grant.subject, grant.name, grant.issuer) == ("app", "u-1", "Ann Example", provider.url)
    assert grant.scopes == ("system/Medication.cruds", "system/Organization.r")
    assert grant.expires == now + 60


def test_a_token_with_more_scopes_than_there_may_be_is_none(http: FlaskClient, provider: Provider) -> None:
    scopes = " ".join(f"system/List.s?_id={one}" for one in range(501))
    token = provider.token(scope=scopes)
    assert len(token) < 16 * 1024
    answer = http.get("/fhir/Medication", headers=bearer(token))
    assert (answer.status_code, "more than 500 scopes" in answer.text) == (401, True)


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": -SKEW}, False),
        ({"exp": -SKEW + 1}, True),
        ({"nbf": SKEW}, True),
        ({"nbf": SKEW + 1}, False),
        ({"iat": SKEW}, True),
        ({"iat": SKEW + 1}, False),
    ],
    ids=str,
)
def test_clocks_may_differ_by_so_much_and_no_more(
    provider: Provider, app: Apothecary, claims: dict[str, int], good: bool
) -> None:
    now = 1_800_000_000
    said = {"exp": now + 60, "iat": now} | {name: now + value for name, value in claims.items()}
    issuers, token = Issuers(app.service.settings, clock=lambda: now), Signed.read(provider.token(**said))
    if good:
        assert issuers.grant(token).subject == "u-1"
    else:
        with pytest.raises(InvalidToken, match=r"expired|not good yet"):
            issuers.grant(token)


def test_an_issuer_changes_its_keys(tmp_path: Path) -> None:
    keys, asked = [rsa_key("first")], []

    def fetch(url: str) -> tuple[bytes, float]:
        asked.append(url)
        if url.endswith("openid-configuration"):
            return json.dumps({"issuer": "https://idp.example", "jwks_uri": "https://idp.example/keys"}).encode(), 300
        return json.dumps(KeySet(list(keys)).as_dict()).encode(), 300

    issuers = Issuers(settings_for(tmp_path, "sqlite://", issuers="https://idp.example"), fetch=fetch)
    assert asked == []
    first, second = (Provider("https://idp.example", rsa_key(name)) for name in ("first", "second"))
    assert issuers.grant(Signed.read(first.token())).client == "app"
    assert asked == ["https://idp.example/.well-known/openid-configuration", "https://idp.example/keys"]
    generation = issuers.generation
    keys[:] = [second.key]
    remote = issuers.first._keys  # type: ignore[union-attr] # what it asks by
    remote._clock = lambda: time.monotonic() + 60
    assert issuers.grant(Signed.read(second.token())).client == "app"
    assert issuers.generation == generation + 1
    with pytest.raises(InvalidToken):
        issuers.grant(Signed.read(first.token()))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example", "jwks_uri": "https://idp.example/keys"},
        {"issuer": "https://idp.example"},
        {"issuer": "https://idp.example", "jwks_uri": "http://idp.example/keys"},
        {"issuer": "https://idp.example", "jwks_uri": "file:///etc/passwd"},
        [],
        "x",
    ],
    ids=str,
)
def test_metadata_of_another_are_not_believed(tmp_path: Path, metadata: Any) -> None:
    settings = settings_for(tmp_path, "sqlite://", issuers="https://idp.example")
    issuers = Issuers(settings, fetch=lambda _: (json.dumps(metadata).encode(), 300))
    with pytest.raises(Unreachable):
        issuers.grant(Signed.read(Provider("https://idp.example", rsa_key()).token()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"issuers": "http://idp.example"}, "https://"),
        ({"issuers": "idp"}, "no address"),
        ({"issuers": BASE}, "this server itself"),
        ({"scope_map": "x"}, "SCOPE_MAP"),
        ({"scope_map": "{a: system/Nothing.rs}"}, "Nothing"),
        ({"scope_map": "{a: []}"}, "SCOPE_MAP"),
        ({"scope_map": "{a: {b: c}}"}, "SCOPE_MAP"),
        ({"scope_map": "{a: b"}, "SCOPE_MAP"),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start(tmp_path: Path, given: dict[str, str], said: str) -> None:
    with pytest.raises(StartError, match=said):
        Issuers(settings_for(tmp_path, "sqlite://", **{"issuers": "https://idp.example"} | given))


def test_a_server_without_clients_sends_them_to_its_issuer(http: FlaskClient, provider: Provider) -> None:
    headers = {"Host": "drugs.example"}
    told = http.get("/fhir/.well-known/smart-configuration", headers=headers).json
    assert (told["issuer"], told["token_endpoint"]) == (provider.url, f"{provider.url}/oauth2/token")
    assert "client-confidential-asymmetric" not in told["capabilities"]
    assert http.post("/fhir/token", data=Sender().form(), headers=headers).status_code in (401, 404)


def test_what_a_provider_gives_to_an_app_about_its_user_is_no_access_token(
    http: FlaskClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "true")
    with OAuth2Session("app", "secret", scope="openid", redirect_uri="https://app.example/back") as session:
        address, _ = session.create_authorization_url(f"{provider.url}/oauth2/authorize")
        sent = session.post(address, data={"sub": "ann"}, allow_redirects=False, withhold_token=True)
        given = session.fetch_token(f"{provider.url}/oauth2/token", authorization_response=sent.headers["Location"])
    for token in (given["id_token"], given["access_token"]):
        assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 401
