"""The token endpoint gives tokens to whom it should, and to nobody else.

The negative list is that of Inferno's tests of backend services (https://inferno.healthit.gov), and what is known of
attacks on signed tokens: https://www.rfc-editor.org/rfc/rfc8725
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.util import urlsafe_b64encode

from apothecary.access.assertion import LIFE, SKEW
from apothecary.app import Apothecary, create_app
from apothecary.errors import InvalidToken
from tests.access.clients import BASE, ENDPOINT, Sender, bearer, ec_key, rsa_key, settings_for, told

SENDER = Sender()
OTHER = Sender("other", ec_key("other"))
OLD = Sender("old", rsa_key("old"), "RS384")
STRANGER = Sender("nobody", ec_key())
HOST = {"Host": "drugs.example"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apothecary]:
    """A server that three clients may ask."""
    folder = tmp_path_factory.mktemp("token")
    SENDER.file(folder / "clients")
    OTHER.file(folder / "clients", ["system/Medication.rs", "system/Organization.cruds"])
    OLD.file(folder / "clients")
    app = create_app(settings_for(folder, f"sqlite:///{folder / 'a.db'}"))
    yield app
    app.service.store.close()


@pytest.fixture
def http(app: Apothecary) -> FlaskClient:
    return app.test_client()


def part(value: Any) -> str:
    """A part of a token, as it is encoded."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def forged(header: Any, claims: Any, signature: str = "") -> str:
    return f"{part(header)}.{part(claims)}.{signature}"


@pytest.mark.parametrize("sender", [SENDER, OLD], ids=["ES384", "RS384"])
def test_a_client_that_is_known_gets_a_short_token_for_what_it_asks(http: FlaskClient, sender: Sender) -> None:
    answer = sender.ask(http, scope="system/Medication.rs system/Organization.r")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    given = answer.json
    assert {**given, "access_token": ""} == {
        "access_token": "",
        "token_type": "bearer",
        "expires_in": 300,
        "scope": "system/Medication.rs system/Organization.r",
    }
    assert http.get("/fhir/Medication", headers=bearer(given["access_token"])).status_code == 200


def test_nobody_gets_more_than_was_registered(http: FlaskClient) -> None:
    answer = OTHER.ask(http, scope="system/*.cruds")
    assert answer.json["scope"] == "system/Medication.rs system/Organization.cruds"


@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param(
            [f"system/MedicationKnowledge.rs?code={one}" for one in range(450)], id="a token that nobody takes"
        ),
        pytest.param([f"system/Medication.rs?code={one}&status=active" for one in range(251)], id="criteria"),
    ],
)
def test_what_would_be_too_much_is_not_granted(http: FlaskClient, scopes: list[str]) -> None:
    answer = SENDER.ask(http, scope=" ".join(scopes))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


def test_scopes_of_the_first_version_are_understood(http: FlaskClient) -> None:
    assert OTHER.ask(http, scope="system/Medication.read").json["scope"] == "system/Medication.rs"


def with_kid(kid: str) -> dict[str, Any]:
    return SENDER.form(SENDER.assertion({"kid": kid}))


HEADER = {"alg": "ES384", "kid": "ec", "typ": "JWT"}
RSA = Sender(key=rsa_key(), algorithm="RS384")

REFUSED: list[tuple[str, Callable[[], dict[str, Any]], str]] = [
    # Inferno's list.
    ("no grant type", lambda: SENDER.form(grant_type=None), "invalid_request"),
    ("another grant type", lambda: SENDER.form(grant_type="authorization_code"), "unsupported_grant_type"),
    ("no assertion type", lambda: SENDER.form(client_assertion_type=None), "invalid_client"),
    ("another assertion type", lambda: SENDER.form(client_assertion_type="urn:saml2-bearer"), "invalid_client"),
    ("no assertion", lambda: SENDER.form(""), "invalid_client"),
    ("no token", lambda: SENDER.form("not.a.token"), "invalid_client"),
    ("a wrong signature", lambda: SENDER.form(SENDER.assertion()[:-8] + "AAAAAAAA"), "invalid_client"),
    ("another's key", lambda: SENDER.form(Sender(key=ec_key("x")).assertion({"kid": "ec"})), "invalid_client"),
    ("an unknown client", lambda: STRANGER.form(), "invalid_client"),
    ("another aud", lambda: SENDER.form(SENDER.assertion(aud="https://other.example/token")), "invalid_client"),
    ("the base as aud", lambda: SENDER.form(SENDER.assertion(aud=BASE)), "invalid_client"),
    ("no aud", lambda: SENDER.form(SENDER.assertion(aud=None)), "invalid_client"),
    ("several aud", lambda: SENDER.form(SENDER.assertion(aud=[ENDPOINT, "https://other.example"])), "invalid_client"),
    ("expired", lambda: SENDER.form(SENDER.assertion(exp=int(time.time()) - 100)), "invalid_client"),
    ("no exp", lambda: SENDER.form(SENDER.assertion(exp=None)), "invalid_client"),
    ("too long a life", lambda: SENDER.form(SENDER.assertion(exp=int(time.time()) + 900)), "invalid_client"),
    ("no jti", lambda: SENDER.form(SENDER.assertion(jti=None)), "invalid_client"),
    ("no iss", lambda: SENDER.form(SENDER.assertion(iss=None)), "invalid_client"),
    ("another iss", lambda: SENDER.form(SENDER.assertion(iss="other")), "invalid_client"),
    ("another sub", lambda: SENDER.form(SENDER.assertion(sub="other")), "invalid_client"),
    ("no scope", lambda: SENDER.form(scope=None), "invalid_scope"),
    ("a wrong scope", lambda: SENDER.form(scope="system/Nothing.rs"), "invalid_scope"),
    ("a scope of others", lambda: OTHER.form(scope="system/Substance.rs"), "invalid_scope"),
    ("another client_id", lambda: SENDER.form(client_id="other"), "invalid_client"),
    # What is known of attacks.
    ("alg none", lambda: SENDER.form(forged({"alg": "none", "kid": "ec"}, SENDER.claims())), "invalid_client"),
    ("no alg", lambda: SENDER.form(forged({"kid": "ec", "typ": "JWT"}, SENDER.claims())), "invalid_client"),
    ("alg is a list", lambda: SENDER.form(forged({"alg": ["ES384"], "kid": "ec"}, SENDER.claims())), "invalid_client"),
    ("HS256 with the public key", lambda: SENDER.form(with_public_key("HS256")), "invalid_client"),
    ("HS384 with the public key", lambda: SENDER.form(with_public_key("HS384")), "invalid_client"),
    ("ES256", lambda: SENDER.form(Sender(key=ec_key("p", "P-256"), algorithm="ES256").assertion()), "invalid_client"),
    ("the other kind of key", lambda: SENDER.form(RSA.assertion({"kid": "ec"})), "invalid_client"),
    ("its own key in jwk", lambda: SENDER.form(with_own_key()), "invalid_client"),
    ("jku", lambda: SENDER.form(SENDER.assertion({"jku": "https://evil.example/jwks"})), "invalid_client"),
    ("crit", lambda: SENDER.form(by_hand(HEADER | {"crit": ["exp"], "exp": 1}, SENDER.claims())), "invalid_client"),
    ("crit b64", lambda: SENDER.form(by_hand(HEADER | {"crit": ["b64"], "b64": 0}, SENDER.claims())), "invalid_client"),
    ("no typ", lambda: SENDER.form(SENDER.assertion({"typ": None})), "invalid_client"),
    ("an access token's typ", lambda: SENDER.form(SENDER.assertion({"typ": "at+jwt"})), "invalid_client"),
    ("typ is a number", lambda: SENDER.form(by_hand(HEADER | {"typ": 1}, SENDER.claims())), "invalid_client"),
    ("oversized", lambda: SENDER.form(SENDER.assertion(padding="x" * 20_000)), "invalid_client"),
    ("nested deeply", lambda: SENDER.form(forged("[" * 6000, SENDER.claims())), "invalid_client"),
    ("a name twice in the header", lambda: SENDER.form(twice(header=True)), "invalid_client"),
    ("a name twice in the claims", lambda: SENDER.form(twice(header=False)), "invalid_client"),
    ("an exp of thousands of digits", lambda: SENDER.form(signed('{"exp":' + "9" * 5000 + "}")), "invalid_client"),
    ("exp is not a number", lambda: SENDER.form(signed_claims(exp="soon")), "invalid_client"),
    ("exp is true", lambda: SENDER.form(signed_claims(exp=True)), "invalid_client"),
    ("exp is NaN", lambda: SENDER.form(signed('{"exp":NaN}')), "invalid_client"),
    ("iss is a list", lambda: SENDER.form(signed_claims(iss=["pharmacy"])), "invalid_client"),
    ("jti is empty", lambda: SENDER.form(SENDER.assertion(jti="")), "invalid_client"),
    ("claims are a list", lambda: SENDER.form(signed("[]")), "invalid_client"),
    ("nbf ahead", lambda: SENDER.form(SENDER.assertion(nbf=int(time.time()) + 200)), "invalid_client"),
    ("iat ahead", lambda: SENDER.form(SENDER.assertion(iat=int(time.time()) + 200)), "invalid_client"),
    *(
        (f"kid {kid!r:.30}", partial(with_kid, kid), "invalid_client")
        for kid in (
            *("", "../../../../etc/passwd", "/dev/null", "ec' OR '1'='1", "ec\0", "https://evil.example/k", "EC"),
            *("x" * 4000, "ec;DROP TABLE resource", "..%2f", "`id`", "*"),
        )
    ),
    ("kid is no text", lambda: SENDER.form(by_hand(HEADER | {"kid": {"a": 1}}, SENDER.claims())), "invalid_client"),
    ("no kid", lambda: SENDER.form(SENDER.assertion({"kid": None})), "invalid_client"),
]  # fmt: skip


def with_public_key(algorithm: str) -> str:
    """An assertion that takes the client's public key for a shared secret."""
    secret = SENDER.key.as_pem(private=False)
    text = f"{part({'alg': algorithm, 'kid': 'ec', 'typ': 'JWT'})}.{part(SENDER.claims())}"
    signature = hmac.digest(secret, text.encode(), algorithm.replace("HS", "sha"))
    return f"{text}.{urlsafe_b64encode(signature).decode()}"


def with_own_key() -> str:
    """An assertion that brings the key along that it is signed with."""
    mallory = Sender(key=ec_key("mallory"))
    return mallory.assertion({"kid": "ec", "jwk": mallory.key.as_dict(private=False)})


def signed(payload: str) -> str:
    """A right signature of any text."""
    header = {"alg": "ES384", "kid": "ec", "typ": "JWT"}
    whole = jws.serialize_compact(header, payload, SENDER.key, algorithms=["ES384"])
    assert jws.deserialize_compact(whole, SENDER.key, algorithms=["ES384"]).payload == payload.encode()
    return whole


def signed_claims(**claims: Any) -> str:
    return signed(json.dumps(SENDER.claims(**claims)))


def by_hand(header: Any, claims: Any) -> str:
    """Whatever header and claims, rightly signed."""
    text = f"{part(header)}.{part(claims)}"
    algorithm = jws.JWSRegistry.algorithms["ES384"]
    return f"{text}.{urlsafe_b64encode(algorithm.sign(text.encode(), SENDER.key)).decode()}"


def twice(*, header: bool) -> str:
    """A signed assertion in which a name stands twice."""
    head, body = json.dumps(HEADER), json.dumps(SENDER.claims())
    if header:
        return by_hand(head.replace("{", '{"kid": "other", ', 1), body)
    return by_hand(head, body.replace("{", '{"iss": "other", ', 1))


def test_what_is_signed_by_hand_is_right(http: FlaskClient) -> None:
    assert SENDER.ask(http, by_hand(HEADER, SENDER.claims())).status_code == 200


@pytest.mark.parametrize(("form", "error"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_whoever_may_not_have_a_token_gets_an_error_of_oauth(
    http: FlaskClient, form: Callable[[], dict[str, Any]], error: str
) -> None:
    answer = http.post("/fhir/token", data=form())
    assert (answer.status_code, told(answer)) == (401 if error == "invalid_client" else 400, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "application/json"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"a=b&" * 100, "application/x-www-form-urlencoded"),
        (b"a=" + b"b" * 100_000, "application/x-www-form-urlencoded"),
        (b"", ""),
    ],
)
def test_what_is_no_form_is_an_invalid_request(http: FlaskClient, data: bytes, kind: str) -> None:
    answer = http.post("/fhir/token", data=data, content_type=kind)
    assert (answer.status_code, told(answer)) == (400, "invalid_request")


def test_an_assertion_counts_once(http: FlaskClient) -> None:
    assertion = SENDER.assertion()
    answers = [SENDER.ask(http, assertion) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 401, 401]
    assert told(answers[1]) == "invalid_client"


def test_a_jti_counts_once_whatever_else_the_assertion_says_and_for_each_client(http: FlaskClient) -> None:
    assert SENDER.ask(http, SENDER.assertion(jti="the same")).status_code == 200
    assert SENDER.ask(http, SENDER.assertion(jti="the same", exp=int(time.time()) + 60)).status_code == 401
    assert OLD.ask(http, OLD.assertion(jti="the same")).status_code == 200


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": -SKEW}, False),
        ({"exp": -SKEW + 1}, True),
        ({"exp": LIFE + SKEW}, True),
        ({"exp": LIFE + SKEW + 1}, False),
        ({"nbf": SKEW}, True),
        ({"nbf": SKEW + 1}, False),
        ({"iat": SKEW}, True),
        ({"iat": SKEW + 1}, False),
        ({"exp": 60.5}, True),
    ],
    ids=str,
)
def test_clocks_may_differ_by_so_much_and_no_more(tmp_path: Path, claims: dict[str, float], good: bool) -> None:
    from apothecary.access.assertion import Authenticator, Signatures
    from apothecary.access.clients import Clients

    class Never:
        """Assertions of which none was used."""

        def use(self, *_: Any) -> bool:
            return True

    now = 1_800_000_000
    SENDER.file(tmp_path / "clients")
    known = Authenticator(Signatures(Clients(tmp_path / "clients"), Never(), clock=lambda: now), [ENDPOINT])  # type: ignore[arg-type] # as far as it is asked
    assertion = SENDER.assertion(**{"exp": now + 100} | {name: now + value for name, value in claims.items()})
    if good:
        assert known.client_of(assertion).id == "pharmacy"
    else:
        with pytest.raises(InvalidToken, match=r"expired|longer|not good yet"):
            known.client_of(assertion)


def test_the_address_of_the_endpoint_is_the_configured_one_whatever_host_is_asked(http: FlaskClient) -> None:
    elsewhere = SENDER.form(SENDER.assertion(aud="https://localhost/fhir/token"))
    answer = http.post("/fhir/token", data=elsewhere, base_url="https://localhost/")
    assert told(answer) == "invalid_client"
    assert http.post("/fhir/token", data=SENDER.form(), base_url="https://localhost/").status_code == 200


def test_the_endpoint_is_posted_to(http: FlaskClient) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = http.open("/fhir/token", method=method, headers=HOST)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_a_web_page_may_ask_for_a_token(http: FlaskClient) -> None:
    headers = HOST | {"Origin": "https://app.example"}
    asked = headers | {"Access-Control-Request-Method": "POST"}
    before = http.options("/fhir/token", headers=asked)
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    answer = http.post("/fhir/token", data=SENDER.form(), headers=headers)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[str], str]:
    """A change of some characters of a text, or of its length."""
    place, size = draw(st.integers(0, 2000)), draw(st.integers(0, 3))
    put = draw(st.text('ABCDEFabcdef0123456789-_.=+/ {}"\0é', max_size=4))
    return lambda text: text[: place % len(text)] + put + text[place % len(text) + size :]


@given(mutation=mutations(), of=st.sampled_from([SENDER, OLD]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_assertion_is_never_taken(http: FlaskClient, mutation: Callable[[str], str], of: Sender) -> None:
    right = of.assertion()
    wrong = mutation(right)
    if wrong != right:
        answer = of.ask(http, wrong)
        assert (answer.status_code, told(answer)) == (401, "invalid_client"), wrong


@given(mutation=mutations())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_access_token_is_never_taken(
    app: Apothecary, http: FlaskClient, mutation: Callable[[str], str]
) -> None:
    right = _TOKENS.setdefault(app, SENDER.token(http)) if app not in _TOKENS else _TOKENS[app]
    wrong = mutation(right)
    # Around the token, a header may have spaces.
    if wrong.strip() != right and wrong.isascii() and "\0" not in wrong:
        answer = http.get("/fhir/Medication", headers=bearer(wrong))
        assert answer.status_code == 401, wrong
        assert answer.headers["WWW-Authenticate"].startswith(f'Bearer realm="{BASE}"')


_TOKENS: dict[Apothecary, str] = {}
