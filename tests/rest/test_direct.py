"""A request that goes to its view directly is answered as it would be by way of Flask, whatever it asks."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.app import Apothecary, create_app
from apothecary.rest.cache import Cached
from apothecary.rest.direct import Direct
from apothecary.rest.observe import Observed
from apothecary.settings import Settings

MEDICATION = {"resourceType": "Medication", "id": "a", "status": "active", "code": {"coding": [{"code": "c"}]}}
BINARY = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "eA=="}

PATHS = (
    *("/fhir/Medication", "/fhir/Medication?code=c", "/fhir/Medication?code:in=x", "/fhir/Medication?nothing=1"),
    *(
        "/fhir/r4/Medication/a",
        "/fhir/Medication/a",
        "/fhir/Medication/gone",
        "/fhir/Medication/none",
        "/fhir/Medication/a_",
    ),
    *("/fhir/Medication/a/", "/fhir//Medication/a", "/fhir/medication/a", "/fhir/Nothing/a", "/fhir/Patient/a"),
    *("/fhir/Medication/a/_history/1", "/fhir/Medication/a/_history/9", "/fhir/Medication/a/_history/x"),
    *("/fhir/Medication/a/_history/\xb2", "/fhir/Medication/gone/_history/2", "/fhir/r4b/Medication/a/_history/1"),
    *("/fhir/Binary/b", "/fhir/Binary/b?_format=json", "/fhir/Binary/b/_history/1", "/fhir/Binary"),
    *("/fhir/Medication/a?_summary=x", "/fhir/Medication/a?_elements=status,x", "/fhir/Medication/a?_format=xml"),
    *("/fhir/Medication/a?_format=html", "/fhir/Medication?_format=html", "/fhir/Medication?_format=ndjson"),
    *(
        "/fhir/Medication/a?_pretty=true",
        "/fhir/Medication?_count=x",
        "/fhir/Medication?_page=x",
        "/fhir/Medication?%ff=1",
    ),
    *(
        "/fhir/Medication/\xff",
        "/fhir/Medication/a?\0",
        "/fhir/Medication/" + "a" * 3000,
        "/fhir/Medication?_total=accurate",
    ),
)
HEADERS: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (
        "HTTP_ACCEPT",
        (None, "*/*", "text/html", "application/fhir+xml", "application/fhir+json; fhirVersion=4.0", "image/png", "\0"),
    ),
    ("HTTP_ACCEPT_ENCODING", (None, "gzip", "zstd, gzip;q=0.5")),
    ("HTTP_HOST", ("localhost", None, "evil.example", "a b", "127.0.0.1:8080")),
    ("HTTP_IF_NONE_MATCH", (None, 'W/"1"', "*", "\xff")),
    ("HTTP_IF_MODIFIED_SINCE", (None, "Thu, 01 Jan 2026 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "yesterday")),
    ("HTTP_PREFER", (None, "handling=strict", "handling=lenient")),
    ("HTTP_ORIGIN", (None, "https://app.example", "null")),
    ("HTTP_USER_AGENT", (None, "curl/8", "Mozilla/5.0")),
    ("HTTP_X_REQUEST_ID", (None, "7")),
)


def ask(app: Any, given: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body. What differs from one request to the next, be it asked the same way, is left out."""
    told: list[Any] = []
    answer = app(dict(given), lambda line, headers, *_: told.extend((line, list(headers))))
    body = re.sub(rb'"(id|value|lastUpdated|Date)":"[^"]*"', b"", b"".join(answer))
    if hasattr(answer, "close"):
        answer.close()
    return told[0], sorted(told[1]), body


def environ(path: str, method: str, headers: Mapping[str, str | None]) -> dict[str, Any]:
    address, _, query = path.partition("?")
    return {
        **{"REQUEST_METHOD": method, "PATH_INFO": address, "QUERY_STRING": query, "SCRIPT_NAME": ""},
        **{
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
        },
        **{"wsgi.url_scheme": "http", "wsgi.input": BytesIO()},
        **{name: value for name, value in headers.items() if value is not None},
    }


def direct_of(app: Apothecary) -> Direct:
    """The step that this is about, behind those that look at requests and keep answers."""
    observed: Any = app.wsgi_app
    assert isinstance(observed, Observed)
    cached: Any = observed._app
    assert isinstance(cached, Cached)
    assert isinstance(cached._app, Direct)
    return cached._app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Apothecary:
    url = f"sqlite:///{tmp_path_factory.mktemp('direct') / 'a.db'}"
    made = create_app(Settings(database=url, content=""))
    client = made.test_client()
    for one in (MEDICATION, {**MEDICATION, "id": "gone"}, BINARY):
        answer = client.put(
            f"/fhir/{one['resourceType']}/{one['id']}", data=json.dumps(one), content_type="application/fhir+json"
        )
        assert answer.status_code == 201
    assert client.delete("/fhir/Medication/gone").status_code in (200, 204)
    return made


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE"]),
    headers=st.fixed_dictionaries({name: st.one_of(st.just(some[0]), st.sampled_from(some)) for name, some in HEADERS}),
)
def test_both_ways_answer_alike(app: Apothecary, path: str, method: str, headers: dict[str, str | None]) -> None:
    given = environ(path, "GET" if method == "DELETE" and "gone" not in path else method, headers)
    direct = direct_of(app)
    assert ask(direct, given) == ask(by_flask(direct), given)


@pytest.mark.parametrize("path", PATHS)
def test_each_address_is_answered_alike(app: Apothecary, path: str) -> None:
    given = environ(path, "GET", {"HTTP_HOST": "localhost"})
    direct = direct_of(app)
    assert ask(direct, given) == ask(by_flask(direct), given)


def by_flask(direct: Direct) -> Any:
    """All of it but the short way."""

    def answer(given: dict[str, Any], start: Any) -> Any:
        views, direct._views = direct._views, {}
        try:
            return direct(given, start)
        finally:
            direct._views = views

    return answer


def test_a_failure_of_ours_is_answered_and_logged_alike(
    app: Apothecary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr(app.service.store, "read", fail)
    direct, given = direct_of(app), environ("/fhir/Medication/a", "GET", {"HTTP_X_REQUEST_ID": "7"})
    found = ask(direct, given)
    assert found == ask(by_flask(direct), given)
    assert found[0].startswith("500")
    assert [record.getMessage().count("request 7 failed: GET '/fhir/Medication/a'") for record in caplog.records] == [
        1,
        1,
    ]


def test_reads_searches_of_a_type_creates_and_updates_do_go_the_short_way(app: Apothecary) -> None:
    direct = direct_of(app)
    asked: list[str] = []

    def flask(given: dict[str, Any], start: Any) -> Any:
        asked.append(given["PATH_INFO"])
        start("200 OK", [])
        return [b""]

    whole, direct._app = direct._app, flask
    try:
        paths = (
            "/fhir/Medication/a",
            "/fhir/r4/Medication/a/_history/1",
            "/fhir/r4b/Medication?code=c",
            "/fhir/metadata",
        )
        for path in paths:
            ask(direct, environ(path, "GET", {"HTTP_HOST": "localhost"}))
        for method, path in (("POST", "/fhir/Medication"), ("PUT", "/fhir/r4/Medication/a"), ("POST", "/fhir")):
            ask(direct, environ(path, method, {"HTTP_HOST": "localhost", "CONTENT_LENGTH": "1"}))
    finally:
        direct._app = whole
    assert asked == ["/fhir/metadata", "/fhir"]


JSON_BODY = json.dumps(MEDICATION).encode()
FHIR = {"CONTENT_TYPE": "application/fhir+json"}
WRITES: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "create": ("POST", "/fhir/Medication", FHIR, JSON_BODY),
    "create in R4": ("POST", "/fhir/r4/Medication", {}, JSON_BODY),
    "create with an outcome": ("POST", "/fhir/Medication", {"HTTP_PREFER": "return=OperationOutcome"}, JSON_BODY),
    "create with nothing": ("POST", "/fhir/Medication", {"HTTP_PREFER": "return=minimal"}, JSON_BODY),
    "conditional create": ("POST", "/fhir/Medication", {"HTTP_IF_NONE_EXIST": "code=c&_id=a"}, JSON_BODY),
    "of another type": ("POST", "/fhir/Substance", FHIR, JSON_BODY),
    "of a type that is not there": ("POST", "/fhir/Nothing", FHIR, JSON_BODY),
    "of an instance": ("POST", "/fhir/Medication/a", FHIR, JSON_BODY),
    "update": ("PUT", "/fhir/Medication/a", FHIR, JSON_BODY),
    "update of another": ("PUT", "/fhir/Medication/b", FHIR, JSON_BODY),
    "update of a version": ("PUT", "/fhir/Medication/a", {"HTTP_IF_MATCH": 'W/"1"'}, JSON_BODY),
    "update of an old version": ("PUT", "/fhir/Medication/a", {"HTTP_IF_MATCH": 'W/"9"'}, JSON_BODY),
    "update of what must not be": ("PUT", "/fhir/Medication/a", {"HTTP_IF_NONE_MATCH": "*"}, JSON_BODY),
    "conditional update": ("PUT", "/fhir/Medication?_id=a", FHIR, JSON_BODY),
    "update without criteria": ("PUT", "/fhir/Medication", FHIR, JSON_BODY),
    "no JSON": ("POST", "/fhir/Medication", FHIR, b"{"),
    "no UTF-8": ("POST", "/fhir/Medication", FHIR, b'{"\xff'),
    "invalid": ("POST", "/fhir/Medication", FHIR, b'{"resourceType": "Medication", "status": "none"}'),
    "XML": (
        *("POST", "/fhir/Medication", {"CONTENT_TYPE": "application/fhir+xml"}),
        b'<Medication xmlns="http://hl7.org/fhir"><status value="active"/></Medication>',
    ),
    "XML that is none": ("POST", "/fhir/Medication", {"CONTENT_TYPE": "application/fhir+xml"}, JSON_BODY),
    "of no type that is known": ("POST", "/fhir/Medication", {"CONTENT_TYPE": "image/png"}, JSON_BODY),
    "a form": ("POST", "/fhir/Medication", {"CONTENT_TYPE": "application/x-www-form-urlencoded"}, b"code=c"),
    "in gzip": ("POST", "/fhir/Medication", {**FHIR, "HTTP_CONTENT_ENCODING": "gzip"}, gzip.compress(JSON_BODY)),
    "not in gzip": ("POST", "/fhir/Medication", {**FHIR, "HTTP_CONTENT_ENCODING": "gzip"}, JSON_BODY),
    "much in gzip": ("POST", "/fhir/Medication", {"HTTP_CONTENT_ENCODING": "gzip"}, gzip.compress(b" " * 5000)),
    "too much": ("POST", "/fhir/Medication", FHIR, b" " * 5000),
    "content": (
        "PUT",
        "/fhir/Binary/b",
        {"CONTENT_TYPE": "text/plain", "HTTP_X_SECURITY_CONTEXT": "Medication/a"},
        b"x",
    ),
    "nothing": ("POST", "/fhir/Medication", FHIR, b""),
    "no length": ("POST", "/fhir/Medication", {**FHIR, "CONTENT_LENGTH": ""}, JSON_BODY),
    "a length that is none": ("PUT", "/fhir/Medication/a", {**FHIR, "CONTENT_LENGTH": "x"}, JSON_BODY),
    "a length of many digits": ("PUT", "/fhir/Medication/a", {**FHIR, "CONTENT_LENGTH": "9" * 4000}, JSON_BODY),
    "less than was said": ("PUT", "/fhir/Medication/a", {**FHIR, "CONTENT_LENGTH": "999"}, JSON_BODY),
    "more than was said": ("PUT", "/fhir/Medication/a", {**FHIR, "CONTENT_LENGTH": "9"}, JSON_BODY),
    "in pieces": (
        *("PUT", "/fhir/Medication/a", {**FHIR, "CONTENT_LENGTH": "", "wsgi.input_terminated": "yes"}),
        JSON_BODY,
    ),
    "a page of another origin": ("POST", "/fhir/Medication", {"HTTP_ORIGIN": "https://app.example"}, JSON_BODY),
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Apothecary:
    url = f"sqlite:///{tmp_path_factory.mktemp('direct') / 'b.db'}"
    made = create_app(Settings(database=url, content="", body_limit=4000))
    client = made.test_client()
    for one in (MEDICATION, BINARY):
        client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one)
    return made


@pytest.mark.parametrize("name", WRITES)
def test_each_write_is_answered_alike(limited: Apothecary, name: str) -> None:
    method, path, headers, body = WRITES[name]
    direct = direct_of(limited)

    def sent() -> dict[str, Any]:
        said = {"HTTP_HOST": "localhost", "CONTENT_LENGTH": str(len(body)), **headers}
        return environ(path, method, said) | {"wsgi.input": BytesIO(body)}

    by_itself, other = ask(direct, sent()), ask(by_flask(direct), sent())
    assert without_ids(by_itself) == without_ids(other)
    assert not by_itself[0].startswith("5")


def without_ids(answer: tuple[str, list[tuple[str, str]], bytes]) -> Any:
    status, headers, body = answer
    named = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
    return status, [(name, named.sub("", value)) for name, value in headers if name != "Last-Modified"], body
