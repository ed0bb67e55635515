"""Clients of a server with authorization, as tests play them: a key, a file, assertions and tokens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import TestResponse

from apothecary.settings import Settings

BASE = "https://drugs.example/fhir"
ENDPOINT = f"{BASE}/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NUMBERS = count()


@cache
def ec_key(kid: str = "ec", curve: str = "P-384") -> ECKey:
    """A key pair, the same for the same name."""
    return ECKey.generate_key(curve, {"kid": kid})


@cache
def rsa_key(kid: str = "rsa", bits: int = 2048) -> RSAKey:
    """The same, of RSA."""
    return RSAKey.generate_key(bits, {"kid": kid})


@dataclass(frozen=True)
class Sender:
    """A client that has a key pair."""

    id: str = "pharmacy"
    key: ECKey | RSAKey = field(default_factory=ec_key)
    algorithm: str = "ES384"

    def claims(self, **others: Any) -> dict[str, Any]:
        """What an assertion says; a claim that is None is left out."""
        now = int(time.time())
        made = {"iss": self.id, "sub": self.id, "aud": ENDPOINT, "exp": now + 240, "jti": f"{now}-{next(_NUMBERS)}"}
        return {name: value for name, value in (made | others).items() if value is not None}

    def assertion(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed assertion, with other members of the header, and other claims."""
        made = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT"} | (header or {})
        told = {name: value for name, value in made.items() if value is not None}
        return jwt.encode(told, self.claims(**claims), self.key, algorithms=[self.algorithm], default_type=None)

    def form(self, assertion: str | None = None, **others: str | None) -> dict[str, str]:
        """What is sent to the token endpoint; a parameter that is None is left out."""
        made = {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
        }
        return {name: value for name, value in (made | others).items() if value is not None}

    def ask(self, http: FlaskClient, assertion: str | None = None, **others: str | None) -> TestResponse:
        """The answer of the token endpoint."""
        return http.post("/fhir/token", data=self.form(assertion, **others))

    def token(self, http: FlaskClient, scope: str = "system/*.rs") -> str:
        """An access token."""
        answer = self.ask(http, scope=scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def file(self, folder: Path, scopes: list[str] | None = None, **others: Any) -> Path:
        """Write what the server knows of the client."""
        folder.mkdir(exist_ok=True)
        made = {
            "id": self.id,
            "name": f"The {self.id}",
            "scopes": scopes or ["system/*.cruds"],
            "jwks": {"keys": [self.key.as_dict(private=False)]},
        } | others
        path = folder / f"{quote(self.id, safe='')}.yaml"
        path.write_text(yaml.safe_dump({name: value for name, value in made.items() if value is not None}))
        return path


def settings_for(folder: Path, database: str, **others: Any) -> Settings:
    """Settings of a server with authorization and the clients of `folder`/clients."""
    given = {"authorization": "smart", "base_url": BASE, "clients": str(folder / "clients"), "content": ""} | others
    return Settings(database=database, **given)


def bearer(token: str) -> dict[str, str]:
    """The header that a token is sent in."""
    return {"Authorization": f"Bearer {token}", "Host": "drugs.example"}


def told(answer: TestResponse) -> str:
    """The error that the token endpoint tells."""
    found: dict[str, str] = json.loads(answer.text)
    return found["error"]
