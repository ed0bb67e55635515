"""An EHR that asks by CDS Hooks is who it says by a token of its own, once, for one address; nobody else is.

https://cds-hooks.hl7.org/2.0/#trusting-cds-clients
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.access.assertion import Signatures
from apothecary.access.clients import Clients
from apothecary.access.ehr import Ehrs
from apothecary.access.signed import Signed
from apothecary.app import create_app
from apothecary.errors import InvalidToken
from apothecary.settings import Settings
from apothecary.store.assertions import Assertions
from apothecary.store.open import opened
from tests.access.clients import ENDPOINT, Sender, bearer, ec_key, rsa_key, settings_for
from tests.access.test_token import HEADER, by_hand, forged, part
from tests.databases import session_database
from tests.safety.test_hooks import order, sign

SERVICES = "https://drugs.example/cds-services"
SIGN = f"{SERVICES}/order-sign"
EHR = Sender("https://ehr.example/fhir")
OLD = Sender("https://old.example", rsa_key("old"), "RS384")
BLIND = Sender("blind", ec_key("blind"))
# Also somebody whose access tokens are taken.
BOTH = Sender("https://idp.example", ec_key("both"))
AFAR = Sender("https://afar.example", ec_key("afar"))
KEYS = "http://127.0.0.1:9/jwks.json"


def claims(**others: Any) -> dict[str, Any]:
    """As the page's example has them; it has a `sub`, which says nothing."""
    return {"aud": SIGN, "iat": int(time.time()), "sub": "client_id", "tenant": "2ddd6c3a"} | others


def own(sender: Sender = EHR, header: dict[str, Any] | None = None, **others: Any) -> str:
    """A token that an EHR signs."""
    return sender.assertion(header, **claims(**others))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def http(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A server that some EHRs may ask."""
    folder = tmp_path_factory.mktemp("ehr")
    for sender in (EHR, OLD, BOTH):
        sender.file(folder / "clients", ["system/*.rs"])
    AFAR.file(folder / "clients", ["system/*.rs"], jwks=None, jwks_url=KEYS)
    BLIND.file(folder / "clients", ["system/Organization.rs"])
    with session_database(request, tmp_path_factory) as url:
        app = create_app(settings_for(folder, url, cds_hooks=True, issuers=BOTH.id))
        yield app.test_client()
        app.service.store.close()


def ask(http: FlaskClient, token: str, path: str = "/cds-services/order-sign") -> Any:
    return http.post(path, json=sign(order("1", "a")), headers=bearer(token))


@pytest.mark.parametrize("sender", [EHR, OLD, BOTH], ids=["ES384", "RS384", "an issuer, too"])
def test_an_ehr_is_known_by_the_token_that_it_signs(http: FlaskClient, sender: Sender) -> None:
    for aud in (SIGN, [SIGN]):
        answer = ask(http, own(sender, aud=aud))
        assert (answer.status_code, "cards" in answer.json) == (200, True), answer.text
    found = http.get("/cds-services", headers=bearer(own(sender, aud=SERVICES)))
    assert (found.status_code, len(found.json["services"])) == (200, 4)


def test_an_access_token_is_taken_as_well(http: FlaskClient) -> None:
    token = EHR.token(http)
    for _ in range(2):
        assert ask(http, token).status_code == 200


def test_an_ehr_sees_what_its_scopes_let_it_see(http: FlaskClient) -> None:
    assert ask(http, own(BLIND)).status_code == 403


def test_a_token_counts_once_and_for_each_ehr(http: FlaskClient) -> None:
    token = own(jti="the same")
    assert [ask(http, token).status_code for _ in range(3)] == [200, 401, 401]
    assert ask(http, own(jti="the same", aud=[SIGN])).status_code == 401
    assert ask(http, own(OLD, jti="the same")).status_code == 200
    # What is refused uses nothing up.
    assert ask(http, own(jti="another", iat=None)).status_code == 401
    assert ask(http, own(jti="another")).status_code == 200


def test_a_token_is_for_the_address_that_it_names(http: FlaskClient) -> None:
    assert ask(http, own(), "/cds-services/order-select").status_code == 401
    assert http.get("/cds-services", headers=bearer(own())).status_code == 401
    assert http.get("/fhir/Medication", headers=bearer(own())).status_code == 401
    assert http.get("/fhir/Medication", headers=bearer(own(aud="https://drugs.example/fhir"))).status_code == 401
    assert ask(http, own(aud=f"{SERVICES}/none"), "/cds-services/none").status_code == 404
    # Whatever a request says of its host.
    headers = bearer(own(aud="http://localhost/cds-services/order-sign")) | {"Host": "localhost"}
    assert http.post("/cds-services/order-sign", json={}, headers=headers).status_code == 401


def test_what_is_signed_for_cds_hooks_gets_no_access_token(http: FlaskClient) -> None:
    assert EHR.ask(http, own(sub=EHR.id)).status_code == 401
    assert ask(http, EHR.assertion()).status_code == 401


def test_feedback_comes_with_a_token_and_is_read_by_who_may_see_everything(http: FlaskClient) -> None:
    path, outcome = (
        "/cds-services/order-sign/feedback",
        {"outcome": "overridden", "outcomeTimestamp": "2026-11-27T08:00:00Z"},
    )
    sent = {"feedback": [outcome | {"card": "9368d37b-283f-84a0-93ea-547cebab93ed"}]}
    for aud in (SIGN, f"{SIGN}/feedback"):
        assert http.post(path, json=sent, headers=bearer(own(aud=aud))).status_code == 200
    for token, status in ((own(aud=SERVICES), 401), (own(BLIND), 403)):
        assert http.post(path, json=sent, headers=bearer(token)).status_code == status
    assert http.post(path, json=sent, headers={"Host": "drugs.example"}).status_code == 401
    assert http.get(path, headers=bearer(EHR.token(http))).json["told"] == 2
    assert http.get(path, headers=bearer(BLIND.token(http, "system/Organization.rs"))).status_code == 403
    assert ask(http, own(aud=f"{SIGN}/feedback")).status_code == 401


def now() -> int:
    return int(time.time())


def with_public_key(algorithm: str) -> str:
    """A token that takes the EHR's public key for a shared secret."""
    text = f"{part({'alg': algorithm, 'kid': 'ec', 'typ': 'JWT'})}.{part(EHR.claims(**claims()))}"
    signature = hmac.digest(EHR.key.as_pem(private=False), text.encode(), algorithm.replace("HS", "sha"))
    return f"{text}.{urlsafe_b64encode(signature).decode()}"


REFUSED: list[tuple[str, Callable[[], str]]] = [
    ("alg none", lambda: forged({"alg": "none", "kid": "ec", "typ": "JWT"}, EHR.claims(**claims()))),
    ("HS256 with the public key", lambda: with_public_key("HS256")),
    ("HS384 with the public key", lambda: with_public_key("HS384")),
    ("ES256", lambda: own(Sender(EHR.id, ec_key("p", "P-256"), "ES256"))),
    ("another's key", lambda: own(Sender(EHR.id, ec_key("x")), {"kid": "ec"})),
    ("no kid", lambda: own(header={"kid": None})),
    ("no typ", lambda: own(header={"typ": None})),
    ("an access token's typ", lambda: own(header={"typ": "at+jwt"})),
    ("crit", lambda: by_hand(HEADER | {"crit": ["exp"], "exp": 1}, EHR.claims(**claims()))),
    ("an unknown iss", lambda: own(Sender("https://other.example"))),
    ("no iss", lambda: own(iss=None)),
    ("another's iss", lambda: own(iss=OLD.id)),
    ("this server's iss", lambda: own(iss="https://drugs.example/fhir")),
    ("iss is a list", lambda: by_hand(HEADER, EHR.claims(**claims(iss=[EHR.id])))),
    ("jku that was not registered", lambda: own(header={"jku": "https://ehr.example/jwks.json"})),
    ("another jku than was registered", lambda: own(AFAR, {"jku": "https://afar.example/jwks.json"})),
    ("no aud", lambda: own(aud=None)),
    ("another server's aud", lambda: own(aud="https://other.example/cds-services/order-sign")),
    ("several aud", lambda: own(aud=[SIGN, f"{SERVICES}/order-select"])),
    ("the list as aud", lambda: own(aud=SERVICES)),
    ("the token endpoint as aud", lambda: own(aud=ENDPOINT)),
    ("aud in other letters", lambda: own(aud=SIGN.upper())),
    ("expired", lambda: own(exp=now() - 100)),
    ("no exp", lambda: own(exp=None)),
    ("too long a life", lambda: own(exp=now() + 900)),
    ("no iat", lambda: own(iat=None)),
    ("iat ahead", lambda: own(iat=now() + 200)),
    ("no jti", lambda: own(jti=None)),
    ("no token", lambda: "a.b.c"),
]


@pytest.mark.parametrize("made", [made for _, made in REFUSED], ids=[name for name, _ in REFUSED])
def test_whoever_is_not_known_gets_no_card(http: FlaskClient, made: Callable[[], str]) -> None:
    answer = ask(http, made())
    assert answer.status_code == 401, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_who_is_not_known_learns_nothing_of_who_is(http: FlaskClient) -> None:
    told = {
        ask(http, made()).json["issue"][0]["diagnostics"]
        for made in (
            lambda: own(Sender("https://other.example")),
            lambda: own(Sender(EHR.id, ec_key("x")), {"kid": "ec"}),
            lambda: own(Sender(EHR.id, ec_key("x")), {"kid": "ec"}, aud="https://other.example"),
            lambda: own(Sender(EHR.id, ec_key("x")), {"kid": "ec"}, exp=1),
            lambda: own(header={"jku": "https://ehr.example/jwks.json"}),
        )
    }
    assert len(told) == 1


def test_keys_are_fetched_from_the_address_that_was_registered(tmp_path: Path) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> tuple[bytes, float]:
        fetched.append(url)
        return json.dumps({"keys": [AFAR.key.as_dict(private=False)]}).encode(), 300.0

    AFAR.file(tmp_path / "clients", ["system/*.rs"], jwks=None, jwks_url=KEYS)
    settings = settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}", cds_hooks=True)
    with opened(settings) as store:
        ehrs = Ehrs(Signatures(Clients(tmp_path / "clients", fetch=fetch), Assertions(store)), settings)
        for header in ({"jku": KEYS}, {}):
            grant = ehrs.grant(Signed.read(own(AFAR, header)), "/cds-services/order-sign")
            assert (grant.client, grant.name, grant.scopes) == (AFAR.id, f"The {AFAR.id}", ("system/*.rs",))
        with pytest.raises(InvalidToken):
            ehrs.grant(Signed.read(own(AFAR, {"jku": f"{KEYS}?"})), "/cds-services/order-sign")
    assert set(fetched) == {KEYS}


@pytest.mark.parametrize(
    ("base", "names"),
    [
        ("https://drugs.example/fhir", {"https://drugs.example/cds-services"}),
        ("https://fhir.example", {"https://fhir.example/cds-services"}),
        ("https://hospital.example/drugs/fhir/", {"https://hospital.example/drugs/cds-services"}),
        ("", {f"http://{name}:8080/cds-services" for name in ("127.0.0.1", "localhost", "[::1]")}),
    ],
)
def test_the_services_stand_beside_the_base_wherever_that_is(base: str, names: set[str]) -> None:
    ehrs = Ehrs(Never(), Settings(base_url=base))  # type: ignore[arg-type] # nobody is asked for
    assert ehrs.audiences("/cds-services") == names
    assert ehrs.audiences("/cds-services/order-sign/") == {f"{name}/order-sign" for name in names}
    services = {f"{name}/order-sign" for name in names}
    assert ehrs.audiences("/cds-services/order-sign/feedback") == services | {f"{one}/feedback" for one in services}
    for path in ("/cds-services/a/b", "/cds-services/a/feedback/b", "/cds-servicesx", "/fhir/cds-services", ""):
        assert ehrs.audiences(path) == frozenset()


class Never:
    """Signatures that nobody looks at."""
