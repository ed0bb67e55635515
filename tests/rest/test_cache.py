"""The cache gives again what would be computed, byte for byte, and never what was true before a write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import product
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.app import Apothecary, create_app
from apothecary.rest import cache
from apothecary.settings import Settings
from tests.mass import much
from tests.waiting import until

JSON = "application/fhir+json"
MEDICATION = {"resourceType": "Medication", "id": "a", "status": "active", "code": {"coding": [{"code": "c"}]}}


class Seen(dict[str, Any]):
    """A WSGI environment that knows which of its names were looked at."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def environ(path: str, headers: Mapping[str, str], method: str = "GET") -> dict[str, Any]:
    """What granian hands over for a request by loopback."""
    address, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "HTTP_HOST": "localhost:8080",
        **headers,
    }


Answer = tuple[str, list[tuple[str, str]], bytes]


def ask(app: Apothecary, given: dict[str, Any]) -> Answer:
    """Status, headers in the order of their names, and body."""
    told: list[Any] = []
    body = b"".join(app.wsgi_app(given, lambda line, headers, *_: told.extend((line, sorted(headers)))))  # type: ignore[arg-type,func-returns-value] # a WSGI server's
    return told[0], told[1], body


def ask_again(app: Apothecary, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """The third answer to a request: the first that may come from the cache."""
    return [ask(app, environ(path, headers or {})) for _ in range(3)][-1]


def counts(app: Apothecary) -> dict[str, int]:
    """What `/metrics` tells of the cache."""
    lines = app.test_client().get("/metrics").text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("apothecary_cache"))
    return {
        "hits": int(found['apothecary_cache_requests_total{result="hit"}']),
        "misses": int(found['apothecary_cache_requests_total{result="miss"}']),
        "bytes": int(found["apothecary_cache_bytes"]),
    }


def app_of(url: str, **changes: Any) -> Apothecary:
    return create_app(Settings(database=url, content="", **changes))


@pytest.fixture
def app(sqlite_database_url: str) -> Iterator[Apothecary]:
    made = app_of(sqlite_database_url)
    assert made.test_client().put("/fhir/Medication/a", json=MEDICATION).status_code == 201
    yield made
    made.service.store.close()


# -- what an answer hangs on

VARIANTS: dict[str, tuple[str, ...]] = {
    "HTTP_ACCEPT": ("application/fhir+json; fhirVersion=4.0", "text/turtle"),
    "HTTP_ACCEPT_ENCODING": ("gzip", "gzip;q=0"),
    "HTTP_ACCEPT_LANGUAGE": ("de",),
    "HTTP_USER_AGENT": ("curl/8", "Java/17"),
    "HTTP_PREFER": ("handling=strict",),
    "HTTP_IF_NONE_MATCH": ('W/"1"', '"x"', "*"),
    "HTTP_IF_MODIFIED_SINCE": ("Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"),
    "HTTP_ORIGIN": ("https://app.example", "https://other.example"),
    "HTTP_X_REQUEST_ID": ("one", "two"),
    "HTTP_HOST": ("127.0.0.1:8080", "[::1]:8080", "evil.example"),
    "HTTP_X_FORWARDED_PROTO": ("https",),
    "HTTP_X_FORWARDED_HOST": ("drugs.example",),
    "HTTP_X_FORWARDED_PREFIX": ("/here",),
    "HTTP_X_FORWARDED_PORT": ("8443",),
    "HTTP_FORWARDED": ("proto=https;host=far.example",),
    "HTTP_AUTHORIZATION": ("Bearer x",),
    "HTTP_CONTENT_ENCODING": ("caf\xe9",),
    "CONTENT_TYPE": ("application/fhir+json; fhirVersion=4.0",),
    "SCRIPT_NAME": ("/below",),
    "SERVER_NAME": ("192.0.2.1",),
    "REMOTE_ADDR": ("192.0.2.7",),
    "wsgi.url_scheme": ("https",),
}
PATHS = (
    "/fhir/Medication/a",
    "/fhir/r4/Medication/a",
    "/fhir/Medication/a?_elements=status&unknown=1",
    "/fhir/Medication/none",
    "/fhir/Medication/a/_history/1",
    "/fhir/Medication/a/_history",
    "/fhir/Medication?status=active",
    "/fhir/Medication?status=active&_pretty=true",
    "/fhir/Medication?status=active&_total=accurate&_count=1",
    "/fhir/Medication?unknown=1",
    "/fhir/Medication?code:in=https://example.org/vs",
    "/fhir/Medication?own=own",
    "/fhir?_type=Medication",
    "/fhir/r4b/metadata",
    "/fhir/openapi.json?type=Medication",
    "/fhir/Medication/a/$validate",
)
# What a request is told by, but no answer hangs on: names of the protocol, the number that is only repeated, and what
# werkzeug looks at without using it here.
WITHOUT_EFFECT = {
    *("REQUEST_METHOD", "SERVER_PORT", "SERVER_PROTOCOL", "CONTENT_LENGTH", "HTTP_X_REQUEST_ID", "HTTP_EXPECT"),
    *("HTTP_CONNECTION", "HTTP_UPGRADE", "wsgi.input", "wsgi.input_terminated", "HTTP_TRANSFER_ENCODING"),
}
# Those that `Cached._key` looks at itself.
DERIVED = {"HTTP_USER_AGENT", "HTTP_ACCEPT_ENCODING", "HTTP_ORIGIN", "REMOTE_ADDR", cache.TAGS, cache.SINCE}


def test_whatever_of_a_request_is_looked_at_is_in_the_key(sqlite_database_url: str) -> None:
    app = app_of(sqlite_database_url, cache_bytes=0, trust_forwarded=True)
    every = {name: values[0] for name, values in VARIANTS.items() if name != "SERVER_NAME"}
    for path, headers in product([*PATHS, "/fhir/Binary/none", "/fhir/Medication?_page=x"], (every, {})):
        asked = Seen(environ(path, headers))
        ask(app, asked)
        own = {name for name in asked.names if not name.startswith(("apothecary.", "werkzeug.", "flask."))}
        assert own - WITHOUT_EFFECT - DERIVED <= {*cache.KEYED, *cache.FORWARDED}, path
        assert "PATH_INFO" in own


asked = st.tuples(
    st.just("ask"),
    st.sampled_from(PATHS),
    st.dictionaries(st.sampled_from(sorted(VARIANTS)), st.integers(0, 2), max_size=2),
    st.sampled_from(["GET", "GET", "GET", "HEAD"]),
)
VALUE_SETS = [
    {
        "resourceType": "ValueSet",
        "id": "vs",
        "url": "https://example.org/vs",
        "status": "active",
        "compose": {"include": [{"system": "https://example.org/cs", "concept": [{"code": code}]}]},
    }
    for code in "cd"
]
PARAMETERS = [
    {
        "resourceType": "SearchParameter",
        "id": "own",
        "url": "https://example.org/own",
        "name": "Own",
        "description": "One's own.",
        "status": "active",
        "code": "own",
        "processingMode": "normal",
        "base": ["Medication"],
        "type": "string",
        "expression": f"Medication.{element}",
    }
    for element in ("identifier.value", "batch.lotNumber")
]
BODIES = [
    *(MEDICATION | {"status": status} for status in ("active", "inactive")),
    MEDICATION
    | {"identifier": [{"value": "own"}], "code": {"coding": [{"system": "https://example.org/cs", "code": "c"}]}},
    MEDICATION
    | {"batch": {"lotNumber": "own"}, "code": {"coding": [{"system": "https://example.org/cs", "code": "d"}]}},
    *VALUE_SETS,
    *PARAMETERS,
]
written = st.tuples(st.just("put"), st.sampled_from(BODIES)) | st.tuples(st.just("delete"), st.sampled_from(BODIES))


@pytest.mark.mass
def test_every_answer_is_what_it_would_be_without_the_cache(database_url: str) -> None:
    """Writes go to another application on the same database, or to the one that is asked."""
    changes = {"cors_origins": "https://app.example", "trust_forwarded": True}
    plain, cached = app_of(database_url, cache_bytes=0, **changes), app_of(database_url, cache_bytes=200_000, **changes)
    writers = [plain.test_client(), cached.test_client()]
    examples = much(5, 25 if database_url.startswith("sqlite") else 8)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.lists(asked, min_size=1, max_size=6), st.integers(0, 1), written), max_size=4))
    def holds(rounds: list[Any]) -> None:
        for requests, number, change in rounds:
            write(writers[number], *change)
            # An index that is made in the background is told of, and so is its progress.
            assert until(lambda: not any(incomplete(one) for one in (plain, cached)))
            for _, path, headers, method in requests:
                given = {name: VARIANTS[name][at % len(VARIANTS[name])] for name, at in headers.items()}
                wanted = ask(plain, environ(path, given, method))
                for _ in range(3):
                    assert ask(cached, environ(path, given, method)) == wanted, (path, given)

    holds()
    # Whatever was drawn, something is given again.
    before = counts(cached)["hits"]
    for _ in range(3):
        ask(cached, environ("/fhir/Medication", {}, "GET"))
    assert counts(cached)["hits"] > before


def incomplete(app: Apothecary) -> bool:
    known = app.service.live.look(app.service.store)
    return bool(known.incomplete or known.due)


def write(client: FlaskClient, how: str, body: dict[str, Any]) -> None:
    path = f"/fhir/{body['resourceType']}/{body['id']}"
    answer = client.put(path, json=body) if how == "put" else client.delete(path)
    assert answer.status_code < 300, answer.text


# -- what is asked of the database


def test_a_first_request_asks_the_database_nothing_more(app: Apothecary, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    kind = type(app.service.store)
    found = kind.changes
    monkeypatch.setattr(kind, "changes", lambda self: looks.append("look") or found(self))
    for number, expected in enumerate((0, 1, 2)):
        ask(app, environ("/fhir/Medication/a", {}))
        assert len(looks) == expected, number


def test_with_no_bytes_nothing_is_kept_and_nothing_asked(
    sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(sqlite_database_url, cache_bytes=0)
    monkeypatch.setattr(type(app.service.store), "changes", None)
    assert ask_again(app, "/fhir/metadata")[0] == "200 OK"
    assert counts(app) == {"hits": 0, "misses": 0, "bytes": 0}


def test_a_database_that_cannot_tell_is_no_hindrance(app: Apothecary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(app.service.store), "changes", lambda _: None)
    assert ask_again(app, "/fhir/Medication/a")[0] == "200 OK"
    assert counts(app)["hits"] == 0


def test_what_is_committed_while_an_answer_is_computed_is_in_the_next_one(app: Apothecary) -> None:
    layer: Any = app.wsgi_app
    computing, other = layer._app, app_of(app.service.settings.database).test_client()
    inner = computing._app

    def overtaken(given: dict[str, Any], start: Any) -> Any:
        answer = inner(given, start)
        other.put("/fhir/Medication/a", json=MEDICATION | {"status": "inactive"})
        return answer

    ask(app, environ("/fhir/Medication/a", {}))
    computing._app = overtaken
    assert b'"active"' in ask(app, environ("/fhir/Medication/a", {}))[2]
    computing._app = inner
    assert b'"inactive"' in ask(app, environ("/fhir/Medication/a", {}))[2]


# -- what is kept


def test_what_hangs_on_the_time_is_computed_each_time(app: Apothecary) -> None:
    for query in (
        "expiration-date=ap2020",
        "expiration-date=2019,ap2020",
        "_lastUpdated=ap2020-01-01",
        "_filter=expiration-date%20ap%202020-01-01",
        "_has:List:item:date=ap2020",
        "_explain=true",
    ):
        assert ask_again(app, f"/fhir/Medication?{query}")[0] == "200 OK"
        assert counts(app) == {"hits": 0, "misses": 0, "bytes": 0}, query


def test_what_only_looks_like_that_is_kept(app: Apothecary) -> None:
    queries = ("expiration-date=ge2020", "_lastUpdated=gt2020-01-01", "code=ap", "code:text=ap%202020")
    for number, query in enumerate(queries, 1):
        ask_again(app, f"/fhir/Medication?{query}")
        assert counts(app)["hits"] == number, query


def test_what_a_search_meant_is_not_remembered_where_it_hangs_on_the_time(app: Apothecary) -> None:
    for query in ("expiration-date=ap2020", "_filter=expiration-date%20ap%202020-01-01"):
        ask(app, environ(f"/fhir/Medication?{query}", {}))
    assert not app.service.searches._known
    ask(app, environ("/fhir/Medication?expiration-date=ge2020", {}))
    assert len(app.service.searches._known) == 1


def test_only_answers_that_hang_on_the_database_alone_are_kept(app: Apothecary) -> None:
    others = ("Medication/none", "Medication?status:nonsense=x", "Medication/a/$meta", "Medication/_search")
    for path in (*(f"/fhir/{one}" for one in others), "/healthz", "/readyz", "/metrics", "/"):
        ask_again(app, path)
        assert counts(app)["bytes"] == 0, path
    ask_again(app, "/fhir/Medication/a")
    assert counts(app)["bytes"] > 0


def test_a_write_is_never_answered_from_the_cache(app: Apothecary) -> None:
    client = app.test_client()
    versions = [
        client.put("/fhir/Medication/a", json=MEDICATION | {"status": one}).json for one in ("active", "inactive")
    ]
    assert [one["meta"]["versionId"] for one in versions if one] == ["1", "2"]
    posted = [client.post("/fhir/Medication/_search", data={"status": "inactive"}).json for _ in range(3)]
    assert [one["total"] for one in posted if one] == [1, 1, 1]


def test_the_cache_stays_within_its_bytes_and_keeps_what_was_used_last(sqlite_database_url: str) -> None:
    app = app_of(sqlite_database_url, cache_bytes=60_000)
    for number in range(40):
        ask_again(app, f"/fhir/Medication?code={number}")
        assert counts(app)["bytes"] <= 60_000
    before = counts(app)["hits"]
    ask(app, environ("/fhir/Medication?code=39", {}))
    ask(app, environ("/fhir/Medication?code=0", {}))
    assert counts(app)["hits"] == before + 1
    # Larger than the share that one may have.
    ask_again(app, "/fhir/metadata")
    assert counts(app)["hits"] == before + 1
    assert counts(app)["bytes"] <= 60_000


def test_what_is_given_again_counts_as_a_request_and_is_logged(
    sqlite_database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    app = app_of(sqlite_database_url, request_log="json")
    ask_again(app, "/fhir/Medication?status=active")
    assert counts(app) | {"bytes": 0} == {"hits": 1, "misses": 2, "bytes": 0}
    logged = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    searches = [(one["interaction"], one["type"], one["status"], one["parameters"]) for one in logged[:3]]
    assert searches == [("search-type", "Medication", 200, ["status"])] * 3
    requests = 'apothecary_requests_total{interaction="search-type",type="Medication",status="2xx"} 3'
    assert requests in app.test_client().get("/metrics").text


# -- ETags: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2


@pytest.mark.parametrize("size", [0, 1_000_000])
def test_a_search_that_finds_the_same_is_answered_by_304(sqlite_database_url: str, size: int) -> None:
    client = app_of(sqlite_database_url, cache_bytes=size).test_client()
    for number, path in enumerate(
        ("/Medication?status=active", "?_type=Medication", "/Medication/b/_history", "/_history")
    ):
        for status in ("inactive", "active"):
            client.put("/fhir/Medication/b", json=MEDICATION | {"id": "b", "status": status})
        found = client.get(f"/fhir{path}")
        assert found.headers["Cache-Control"] == "no-cache"
        tag = found.headers["ETag"]
        for _ in range(3):
            same = client.get(f"/fhir{path}", headers={"If-None-Match": f'"other", {tag}'})
            assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
            assert same.headers["Vary"] == found.headers["Vary"]
        client.put("/fhir/Medication/b", json=MEDICATION | {"id": "b", "batch": {"lotNumber": str(number)}})
        changed = client.get(f"/fhir{path}", headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag


def test_servers_of_one_database_give_the_same_tag(app: Apothecary) -> None:
    other = app_of(app.service.settings.database)
    tags = {one.test_client().get("/fhir/Medication?status=active").headers["ETag"] for one in (app, other)}
    assert len(tags) == 1


def test_the_capability_statement_says_so(app: Apothecary) -> None:
    statement = app.test_client().get("/fhir/metadata").json
    assert statement is not None
    assert "If-None-Match" in statement["rest"][0]["documentation"]


def test_a_date_counts_only_where_no_tag_is_given(app: Apothecary) -> None:
    late = "Fri, 01 Jan 2100 00:00:00 GMT"
    for tags, _ in product(('"other"', None, '"other"'), range(3)):
        headers = {cache.SINCE: late} | ({cache.TAGS: tags} if tags else {})
        status, _, _ = ask(app, environ("/fhir/Medication/a", headers))
        assert status == ("200 OK" if tags else "304 NOT MODIFIED")


@pytest.mark.parametrize("name", [cache.TAGS, cache.SINCE])
@pytest.mark.parametrize("value", ['"' + "x" * 100_000 + '"', '"caf\xe9"'])
def test_a_header_that_is_refused_is_refused_whatever_is_kept(app: Apothecary, name: str, value: str) -> None:
    for _ in range(4):
        assert ask(app, environ("/fhir/Medication/a", {cache.TAGS: '"other"'}))[0] == "200 OK"
    told = [ask(app, environ("/fhir/Medication/a", {cache.TAGS: '"other"', name: value}))[0] for _ in range(4)]
    assert set(told) <= {"400 BAD REQUEST", "431 REQUEST HEADER FIELDS TOO LARGE"}
