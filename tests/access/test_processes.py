"""Servers as they are started, each a process of its own, and a client that others wrote (PyPI: Authlib)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from click.testing import CliRunner
from joserfc.jwk import JWKRegistry

from apothecary.cli import main
from tests.access.clients import Sender
from tests.conformance.harness import served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_servers_of_a_database_know_the_same_and_a_client_of_others_gets_what_it_asks(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    folder, sender = tmp_path / "clients", Sender()
    sender.file(folder)
    keys = {}
    for algorithm in ("ES384", "RS384"):
        place = tmp_path / f"{algorithm}.jwks"
        made = ["clients", "new", algorithm, "--clients", str(folder), "--key", str(place), "--algorithm", algorithm]
        assert CliRunner().invoke(main, made).exit_code == 0
        keys[algorithm] = JWKRegistry.import_key(json.loads(place.read_text())["keys"][0])
    given = {
        "database": request.getfixturevalue(f"{database}_database_url"),
        "content": "",
        "authorization": "smart",
        "clients": str(folder),
        # One address for both, as behind a proxy.
        "base_url": "https://drugs.example/fhir",
        "hosts": "127.0.0.1",
    }
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "true")
    with served(given) as one, served(given) as other:
        form = urlencode(sender.form())
        answers = [server.ask("POST", "/fhir/token", FORM, form) for server in (one, other, one, other)]
        assert [answer.status for answer in answers] == [200, 401, 401, 401]
        token = answers[0].json["access_token"]
        for server in (one, other):
            assert server.ask("GET", "/fhir/r4/Medication", {"Authorization": f"Bearer {token}"}).status == 200
            assert server.ask("GET", "/fhir/r4/Medication").status == 401
        second = other.ask("POST", "/fhir/token", FORM, urlencode(sender.form())).json["access_token"]
        assert one.ask("GET", "/fhir/r4/Medication", {"Authorization": f"Bearer {second}"}).status == 200

        address = one.ask("GET", "/fhir/r5/.well-known/smart-configuration").json["token_endpoint"]
        for algorithm, key in keys.items():
            # It would let an assertion live for an hour.
            claims = {"exp": int(time.time()) + 240}
            method = PrivateKeyJWT(address, claims, headers={"kid": key.kid, "typ": "JWT"}, alg=algorithm)
            with OAuth2Session(algorithm.lower(), key, method, scope="system/*.rs") as session:
                session.fetch_token(f"{one.address}/fhir/token", grant_type="client_credentials")
                answer = session.get(f"{one.address}/fhir/r5/Medication")
                assert (answer.status_code, answer.json()["total"]) == (200, 0)


def test_a_wrong_file_ends_the_start_with_its_place(tmp_path: Path) -> None:
    path = Sender().file(tmp_path / "clients", ["system/Nothing.rs"])
    environment = {
        "APOTHECARY_AUTHORIZATION": "smart",
        "APOTHECARY_CLIENTS": str(tmp_path / "clients"),
        "APOTHECARY_CONTENT": "",
        "APOTHECARY_DATABASE": f"sqlite:///{tmp_path / 'a.db'}",
        "APOTHECARY_PORT": "0",
    }
    ended = CliRunner(env=environment).invoke(main, ["serve"])
    assert ended.exit_code == 2
    assert f"{path}:" in ended.stderr
    assert "'Nothing' is no resource type" in ended.stderr
    # Nothing was begun.
    assert not (tmp_path / "a.db").exists()
