"""Who may ask and who may write: https://hl7.org/fhir/R5/security.html#cors"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import told

SUBSTANCE = {"resourceType": "Substance", "id": "s", "instance": False, "code": {"concept": {"text": "x"}}}
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
PATCH = [{"op": "replace", "path": "/instance", "value": True}]
EVIL = {"Origin": "http://evil.example"}


@contextmanager
def client_of(url: str, **changes: Any) -> Iterator[FlaskClient]:
    """A client of a server with one Substance, as a program of this machine."""
    settings = Settings(database=url, content="", **changes)
    store = open_store(settings)
    try:
        writer = create_app(Settings(database=url, content=""), store).test_client()
        assert writer.put("/fhir/Substance/s", json=SUBSTANCE).status_code in (200, 201)
        yield create_app(settings, store).test_client()
    finally:
        store.close()


def entries(*requests: tuple[str, str]) -> dict[str, Any]:
    listed = [
        {"request": {"method": method, "url": url}, **({"resource": SUBSTANCE} if method == "PUT" else {})}
        for method, url in requests
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": listed}


WRITES: dict[str, tuple[str, str, Any, str]] = {
    "create": ("POST", "/fhir/Substance", SUBSTANCE, "application/fhir+json"),
    "create in R4": ("POST", "/fhir/r4/Substance", SUBSTANCE, "application/fhir+json"),
    "create, as a form sends it": ("POST", "/fhir/Substance", SUBSTANCE, "text/plain"),
    "create, as another form does": ("POST", "/fhir/Substance", SUBSTANCE, "application/x-www-form-urlencoded"),
    "create, as XML": ("POST", "/fhir/Substance", SUBSTANCE, "application/fhir+xml"),
    "a Binary of any type": ("POST", "/fhir/Binary", "x", "text/plain"),
    "update": ("PUT", "/fhir/Substance/s", SUBSTANCE, "application/fhir+json"),
    "conditional update": ("PUT", "/fhir/Substance?_id=s", SUBSTANCE, "application/fhir+json"),
    "patch": ("PATCH", "/fhir/Substance/s", PATCH, "application/json-patch+json"),
    "conditional patch": ("PATCH", "/fhir/Substance?_id=s", PATCH, "application/json-patch+json"),
    "delete": ("DELETE", "/fhir/Substance/s", None, ""),
    "conditional delete": ("DELETE", "/fhir/Substance?_id=s", None, ""),
    "meta-add": ("POST", "/fhir/Substance/s/$meta-add", META, "application/fhir+json"),
    "meta-delete": ("POST", "/fhir/Substance/s/$meta-delete", META, "application/fhir+json"),
    "transaction": ("POST", "/fhir", {**entries(("DELETE", "Substance/s")), "type": "transaction"}, "application/json"),
}
READS: dict[str, tuple[str, str, Any, str]] = {
    "read": ("GET", "/fhir/Substance/s", None, ""),
    "head": ("HEAD", "/fhir/Substance/s", None, ""),
    "search": ("GET", "/fhir/Substance?_id=s", None, ""),
    "search by POST": ("POST", "/fhir/Substance/_search", "_id=s", "application/x-www-form-urlencoded"),
    "search of all types by POST": ("POST", "/fhir/_search", "_id=s", "application/x-www-form-urlencoded"),
    "an operation": ("POST", "/fhir/Substance/$validate", SUBSTANCE, "application/fhir+json"),
    "a batch of reads": ("POST", "/fhir", entries(("GET", "Substance/s")), "application/json"),
    "capabilities": ("GET", "/fhir/metadata", None, ""),
}


def send(client: FlaskClient, case: tuple[str, str, Any, str], headers: dict[str, str], **environ: str) -> TestResponse:
    method, path, body, kind = case
    data = body if isinstance(body, str | None) else json.dumps(body)
    kinds = {"Content-Type": kind} if kind else {}
    return client.open(path, method=method, data=data, headers=kinds | headers, environ_overrides=environ)


def refused(answer: TestResponse, status: int, setting: str = "") -> None:
    assert answer.status_code == status, answer.text
    issue = answer.json["issue"][0]
    assert issue["severity"] == "error"
    assert setting in told(issue)


@pytest.mark.parametrize(
    "headers",
    [
        *(EVIL, {"Origin": "null"}, {"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "same-site"}),
        *({"Origin": one} for one in ("http://[", "http://[::1", "://", "http://localhost/a")),
    ],
    ids=["another host", "null", "another port", "same site", "open bracket", "open address", "nothing", "a path"],
)
def test_a_page_of_another_origin_writes_nothing(sqlite_database_url: str, headers: dict[str, str]) -> None:
    with client_of(sqlite_database_url) as client:
        for case in WRITES.values():
            refused(send(client, case, headers), 403, "APOTHECARY_CORS_ORIGINS")
        assert client.get("/fhir/Substance/s/_history").json["total"] == 1
        assert client.get("/fhir/Substance").json["total"] == 1


def test_the_entries_of_a_batch_that_write_are_refused_to_such_a_page_and_the_others_answered(
    database_url: str,
) -> None:
    bundle = entries(("GET", "Substance/s"), ("DELETE", "Substance/s"), ("PUT", "Substance/s"))
    with client_of(database_url) as client:
        found = send(client, ("POST", "/fhir", bundle, "application/json"), EVIL).json["entry"]
        assert [one["response"]["status"][:3] for one in found] == ["200", "403", "403"]


def test_a_page_of_every_origin_reads(sqlite_database_url: str) -> None:
    with client_of(sqlite_database_url) as client:
        for name, case in READS.items():
            answer = send(client, case, {**EVIL, "Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 200, name
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {}),
        ({}, {"Origin": "http://localhost"}),
        ({}, {"Origin": "http://localhost:8080", "Host": "localhost:8080"}),
        ({}, {"Origin": "https://127.0.0.1", "Host": "127.0.0.1"}),
        ({}, {"Sec-Fetch-Site": "same-origin"}),
        ({}, {"Sec-Fetch-Site": "none"}),
        ({"cors_origins": "http://evil.example"}, EVIL),
        ({"cors_origins": "*, http://evil.example/"}, {**EVIL, "Sec-Fetch-Site": "cross-site"}),
        ({"base_url": "https://drugs.example/fhir"}, {"Origin": "https://drugs.example"}),
        ({"trust_forwarded": True}, {"Origin": "https://drugs.example", "X-Forwarded-Host": "drugs.example"}),
    ],
)
def test_programs_and_pages_of_the_own_or_a_named_origin_write(
    sqlite_database_url: str, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    with client_of(sqlite_database_url, **settings) as client:
        for name in ("update", "patch", "meta-add", "delete"):
            assert send(client, WRITES[name], headers).status_code in (200, 204), name


def test_a_header_that_a_page_can_send_makes_it_no_page_of_ours(sqlite_database_url: str) -> None:
    with client_of(sqlite_database_url) as client:
        refused(send(client, WRITES["delete"], {**EVIL, "X-Forwarded-Host": "evil.example"}), 403)


@pytest.mark.parametrize(
    ("path", "wanted", "settings", "allowed"),
    [
        ("Substance", "GET", {}, "GET, HEAD, OPTIONS"),
        ("Substance/s", "GET", {}, "GET, HEAD, OPTIONS"),
        ("Substance", "POST", {}, None),
        ("Substance/s", "PUT", {}, None),
        ("Substance/s", "PATCH", {}, None),
        ("Substance/s", "DELETE", {}, None),
        ("Substance/_search", "POST", {}, "GET, HEAD, OPTIONS, POST"),
        ("Substance/$validate", "POST", {}, "GET, HEAD, OPTIONS, POST"),
        ("Substance/s/$meta-add", "POST", {}, None),
        ("Substance/$nothing", "POST", {}, None),
        ("", "POST", {}, "GET, HEAD, OPTIONS, POST"),
        ("metadata", "POST", {}, None),
        ("Substance/s", "GET", {"cors_origins": ""}, None),
        ("Substance/s", "GET", {"cors_origins": "https://other.example"}, None),
        ("Substance/s", "PUT", {"cors_origins": "http://evil.example"}, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        (
            "Substance",
            "POST",
            {"cors_origins": "*,http://evil.example"},
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        ),
    ],
)
def test_a_preflight_is_told_what_the_page_may_do(
    sqlite_database_url: str, path: str, wanted: str, settings: dict[str, Any], allowed: str | None
) -> None:
    asks = {**EVIL, "Access-Control-Request-Method": wanted, "Access-Control-Request-Headers": "content-type"}
    with client_of(sqlite_database_url, **settings) as client:
        answer = client.options(f"/fhir/{path}".rstrip("/"), headers=asks)
        assert answer.status_code == 204
        assert answer.headers.get("Access-Control-Allow-Methods") == allowed


@pytest.mark.parametrize(
    ("listens", "comes_from"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 (nothing listens)
        ("::", "::ffff:127.0.0.1"),
        ("192.0.2.1", "127.0.0.1"),
        ("waitress.invalid", "127.0.0.1"),
        ("", ""),
        # A name that the client chose, as servers give it that take it from the Host.
        ("localhost", "192.0.2.7"),
        ("127.0.0.1", ""),
        ("/run/apothecary.sock", ""),
    ],
)
def test_nobody_writes_where_the_socket_is_not_known_to_be_loopback(
    sqlite_database_url: str, listens: str, comes_from: str
) -> None:
    where = {"SERVER_NAME": listens, "REMOTE_ADDR": comes_from}
    with client_of(sqlite_database_url) as client:
        for case in WRITES.values():
            refused(send(client, case, {}, **where), 403, "APOTHECARY_OPEN_WRITES")
        for base in ("/fhir", "/fhir/r4"):
            here = client.get(f"{base}/metadata", environ_overrides=where).json["rest"][0]
            assert "Read-only" in here["documentation"]
            assert '"create"' not in json.dumps(here["resource"])
            # The same app on another socket: one statement is not taken for the other.
            assert '"create"' in json.dumps(client.get(f"{base}/metadata").json["rest"][0]["resource"])
    with client_of(sqlite_database_url, open_writes=True) as client:
        assert send(client, WRITES["update"], {}, **where).status_code == 200


@pytest.mark.parametrize(
    ("listens", "host", "settings", "status"),
    [
        ("127.0.0.1", "localhost", {}, 200),
        ("127.0.0.1", "LOCALHOST.:8080", {}, 200),
        ("127.0.0.1", "127.0.0.1:1", {}, 200),
        ("::1", "[::1]:8080", {}, 200),
        ("127.0.0.1", "127.8.8.8", {}, 200),
        ("127.0.0.1", "evil.example", {}, 421),
        ("127.0.0.1", "evil.example:8080", {}, 421),
        ("127.0.0.1", "localhost.evil.example", {}, 421),
        ("127.0.0.1", "127.0.0.1.evil.example", {}, 421),
        ("127.0.0.1", "192.0.2.1", {}, 421),
        ("127.0.0.1", "2130706433", {}, 421),
        ("127.0.0.1", "", {}, 400),
        ("127.0.0.1", "localhost@evil.example", {}, 400),
        ("127.0.0.1", "localhost, evil.example", {}, 400),
        ("0.0.0.0", "192.0.2.1:8080", {"host": "0.0.0.0"}, 200),  # noqa: S104 (nothing listens)
        ("0.0.0.0", "[2001:db8::1]", {"host": "0.0.0.0"}, 200),  # noqa: S104 (nothing listens)
        ("0.0.0.0", "evil.example", {"host": "0.0.0.0", "open_writes": True}, 421),  # noqa: S104 (nothing listens)
        ("192.0.2.1", "drugs.example", {"host": "drugs.example"}, 200),
        ("127.0.0.1", "drugs.example", {"base_url": "https://drugs.example:8443/fhir"}, 200),
        ("127.0.0.1", "drugs.example", {"hosts": "a.example, Drugs.Example"}, 200),
        ("127.0.0.1", "evil.example", {"hosts": "a.example, drugs.example"}, 421),
        ("127.0.0.1", "evil.example", {"hosts": "*"}, 200),
        ("127.0.0.1", "evil.example", {"trust_forwarded": True}, 421),
    ],
)
def test_only_a_host_that_the_server_knows_itself_by_is_answered(
    sqlite_database_url: str, listens: str, host: str, settings: dict[str, Any], status: int
) -> None:
    where = {"SERVER_NAME": listens, "HTTP_HOST": host}
    with client_of(sqlite_database_url, **settings) as client:
        for path in ("/", "/fhir/Substance/s", "/fhir/r4/metadata", "/nothing", "/fhir/Substance/_history"):
            answer = client.get(path, headers={"X-Forwarded-Host": "localhost"}, environ_overrides=where)
            if status in (400, 421):
                refused(answer, status, "APOTHECARY_HOSTS" if status == 421 else "Host")
            else:
                assert answer.status_code == (404 if path == "/nothing" else 200)
        for probed in ("/healthz", "/readyz", "/metrics"):
            assert client.get(probed, environ_overrides=where).status_code == 200
