"""A client of a server with authorization, for benchmarks: its file, and a token that lives long enough."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.servers import HOST

KEY = "key.jwk"


def clients(folder: Path) -> list[str]:
    """Make a client in `folder`; the variables that a server is started with."""
    folder.mkdir()
    key = ECKey.generate_key("P-384", {"alg": "ES384"}, auto_kid=True)
    (folder / KEY).write_text(json.dumps(key.as_dict(private=True)))
    known = {"id": "benchmark", "name": "Benchmark", "scopes": ["system/*.cruds"], "jwks": {"keys": [key.as_dict()]}}
    (folder / "benchmark.yaml").write_text(json.dumps(known))
    given = {"AUTHORIZATION": "smart", "CLIENTS": folder, "TOKEN_SECONDS": 3600}
    return [f"APOTHECARY_{name}={value}" for name, value in given.items()]


def token(port: int, folder: Path, scope: str = "system/*.rs") -> str:
    """An access token of the server at a port."""
    key = ECKey.import_key(json.loads((folder / KEY).read_text()))
    address = f"http://{HOST}:{port}/fhir/token"
    claims = {
        "iss": "benchmark",
        "sub": "benchmark",
        "aud": address,
        "exp": int(time.time()) + 200,
        "jti": str(uuid4()),
    }
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES384", "kid": key.kid}, claims, key, algorithms=["ES384"]),
    }
    with urllib.request.urlopen(address, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        return str(json.load(answer)["access_token"])
