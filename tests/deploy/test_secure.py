"""The compose profile `secure`: a server starts with exactly its environment, and believes the tokens of its realm.

Keycloak itself cannot run here: an OpenID provider speaks for it, in the words that the realm's mappers write.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from apothecary.access.trail_check import verify
from apothecary.testing import ServerProcess
from tests.access.test_issuers import Provider, provider
from tests.conformance.harness import OverHttp

__all__ = ["provider"]

ROOT = Path(__file__).parent.parent.parent
REALM = json.loads((ROOT / "deploy" / "keycloak" / "apothecary-realm.json").read_text())
# What belongs to the containers, and is another thing on this machine.
OTHERS = {"database", "issuers", "audit_folder"}

pytestmark = [
    pytest.mark.filterwarnings("ignore:authlib.jose module is deprecated"),
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning"),
]


def services() -> dict[str, Any]:
    """The services of the compose file, with the defaults of its variables:
    https://docs.docker.com/reference/compose-file/interpolation/
    """
    text = re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def given() -> dict[str, str]:
    """The settings of the secured server, by name."""
    environment = services()["server-secure"]["environment"]
    return {
        name.removeprefix("APOTHECARY_").lower(): str(value or "")
        for name, value in environment.items()
        if name.startswith("APOTHECARY_")
    }


def claims(*roles: str) -> dict[str, Any]:
    """What the realm's mappers write into an access token of its client."""
    (client,) = REALM["clients"]
    mappers = {one["protocolMapper"]: one["config"] for one in client["protocolMappers"]}
    assert mappers["oidc-usermodel-realm-role-mapper"]["claim.name"] == "realm_access.roles"
    return {
        "aud": mappers["oidc-audience-mapper"]["included.custom.audience"],
        "azp": client["clientId"],
        "typ": "Bearer",
        "realm_access": {"roles": list(roles)},
    }


def test_the_issuer_has_one_address_for_the_server_and_its_clients() -> None:
    server, keycloak, told = services()["server-secure"], services()["keycloak"], given()
    assert keycloak["network_mode"] == "service:server-secure"
    address = keycloak["environment"]["KC_HOSTNAME"]
    assert told["issuers"] == f"{address}/realms/{REALM['realm']}"
    port = keycloak["environment"]["KC_HTTP_PORT"]
    assert address == f"http://127.0.0.1:{port}"
    assert f"127.0.0.1:{port}:{port}" in server["ports"]
    assert keycloak["volumes"] == ["./deploy/keycloak:/opt/keycloak/data/import:ro"]
    roles = {one["name"] for one in REALM["roles"]["realm"]}
    assert set(yaml.safe_load(told["scope_map"])) == roles
    assert {role for user in REALM["users"] for role in user["realmRoles"]} <= roles


def test_the_server_of_the_profile_asks_for_tokens_of_the_realm_and_records_what_is_asked(
    tmp_path: Path, postgresql_database_url: str, provider: Provider
) -> None:
    settings = {name: value for name, value in given().items() if name not in OTHERS}
    assert given().keys() >= OTHERS
    (user,) = REALM["users"]
    body = {"resourceType": "Medication", "status": "active"}
    own = {"database": postgresql_database_url, "issuers": provider.url, "audit_folder": tmp_path / "audit"}
    with ServerProcess(tmp_path, settings | own) as process:
        server = OverHttp(process.port)

        def ask(method: str, path: str, *roles: str, sent: Any = None) -> int:
            headers = {"Content-Type": "application/fhir+json"}
            if roles:
                headers["Authorization"] = f"Bearer {provider.token(**claims(*roles))}"
            return server.ask(method, path, headers, sent and json.dumps(sent)).status

        assert ask("GET", "/fhir/metadata") == 200
        assert ask("GET", "/fhir/Medication") == 401
        assert ask("GET", "/fhir/Medication", *user["realmRoles"]) == 200
        assert ask("POST", "/fhir/Medication", *user["realmRoles"], sent=body) == 403
        assert ask("POST", "/fhir/Medication", "editor", sent=body) == 201
        assert ask("GET", "/fhir/Medication", "nobody") in (401, 403)
    assert verify(tmp_path / "audit").fault is None
    events = [json.loads(line) for line in (tmp_path / "audit" / "audit-00000001.ndjson").read_bytes().splitlines()]
    told = [(event.get("outcomeDesc"), "ward" in json.dumps(event["agent"])) for event in events]
    assert told[1:-1] == [("401", False), ("200", True), ("403", True), ("201", True)]
