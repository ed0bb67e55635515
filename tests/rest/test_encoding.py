"""Bodies in gzip, both ways: https://www.rfc-editor.org/rfc/rfc9110#section-8.4"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from apothecary.rest.encoding import accepts_gzip, coding_for, zstd
from tests.conformance.harness import Answer, served, told
from tests.rest.test_limits import outcome, serving

FHIR = {"Content-Type": "application/fhir+json"}
ZIPPED = {**FHIR, "Content-Encoding": "gzip"}
LIMIT = 20_000
BASES = ["/fhir/r4", "/fhir/r4b", "/fhir/r5"]


def organization(identity: str, length: int = 3000) -> bytes:
    return json.dumps({"resourceType": "Organization", "id": identity, "name": "a" * length}).encode()


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    with serving(emptied_url, body_limit=LIMIT) as made:
        for identity, length in (("long", 3000), ("short", 3)):
            assert made.put(f"/fhir/Organization/{identity}", data=organization(identity, length), headers=FHIR)
        yield made


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("br;q=1.0, gzip;q=0.2, *;q=0", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("identity;q=0, *", True),
        ("identity", False),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=often", False),
        ("gzipped", False),
    ],
)
def test_a_client_gets_gzip_when_it_prefers_that(header: str, wanted: bool) -> None:
    assert accepts_gzip(header) is wanted


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd", "zstd"),
        ("ZSTD;q=0.5, gzip;q=0.5", "zstd"),
        ("zstd;q=0.4, gzip;q=0.5", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("zstd;q=0.5, identity", None),
        ("*", "gzip"),
        ("", None),
    ],
)
def test_zstd_goes_to_those_who_name_it_and_like_nothing_better(header: str, coding: str | None) -> None:
    assert coding_for(header) == coding


def test_an_answer_in_zstd_is_the_same(client: FlaskClient) -> None:
    plain = client.get("/fhir/Organization/long")
    for _ in range(3):  # computed, and given again
        packed = client.get("/fhir/Organization/long", headers={"Accept-Encoding": "gzip, zstd"})
        assert packed.headers["Content-Encoding"] == "zstd"
        assert zstd.decompress(packed.data) == plain.data
        assert (
            gzip.decompress(client.get("/fhir/Organization/long", headers={"Accept-Encoding": "gzip"}).data)
            == plain.data
        )


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", ["/Organization/long", "/Organization", "/metadata", "/_history"])
def test_the_same_comes_out_of_a_compressed_answer(client: FlaskClient, base: str, path: str) -> None:
    plain = client.get(base + path)
    zipped = client.get(base + path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) < len(plain.data) / 2
    assert int(zipped.headers["Content-Length"]) == len(zipped.data)
    # What may be kept for the one must not be taken for the other; the weak tag is of both.
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert plain.headers["Vary"] == zipped.headers["Vary"]
    assert plain.headers.get("ETag") == zipped.headers.get("ETag")
    head = client.head(base + path, headers={"Accept-Encoding": "gzip"})
    assert head.data == b""
    assert dict(head.headers) == dict(zipped.headers)


def test_what_is_short_or_has_no_body_is_not_compressed(client: FlaskClient) -> None:
    asked = {"Accept-Encoding": "gzip"}
    short = client.get("/fhir/Organization/short", headers=asked)
    assert "Content-Encoding" not in short.headers
    assert short.json["name"] == "aaa"
    tag = client.get("/fhir/Organization/long").headers["ETag"]
    assert tag.startswith("W/")
    same = client.get("/fhir/Organization/long", headers={**asked, "If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    assert "Content-Encoding" not in same.headers
    assert "Accept-Encoding" in same.headers["Vary"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip"])
def test_a_compressed_request_is_read(client: FlaskClient, base: str, coding: str) -> None:
    headers = {**FHIR, "Content-Encoding": coding}
    body = gzip.compress(organization("zipped", 5000))
    assert client.put(f"{base}/Organization/zipped", data=body, headers=headers).status_code in (200, 201)
    assert client.get(f"{base}/Organization/zipped").json["name"] == "a" * 5000
    patch = gzip.compress(b'[{"op": "replace", "path": "/name", "value": "b"}]')
    headers["Content-Type"] = "application/json-patch+json"
    assert client.patch(f"{base}/Organization/zipped", data=patch, headers=headers).json["name"] == "b"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": coding}
    found = client.post(f"{base}/Organization/_search", data=gzip.compress(b"name=b"), headers=form)
    assert found.json["total"] == 1
    validate = {**FHIR, "Content-Encoding": coding}
    body = gzip.compress(organization("x"))
    assert client.post(f"{base}/Organization/$validate", data=body, headers=validate).status_code == 200


def test_a_body_of_several_gzip_members_is_one_body(client: FlaskClient) -> None:
    text = organization("members")
    body = gzip.compress(text[:100]) + gzip.compress(text[100:])
    assert client.put("/fhir/Organization/members", data=body, headers=ZIPPED).status_code == 201


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "nonsense"])
def test_another_coding_is_415_and_names_the_one_that_is_read(client: FlaskClient, coding: str) -> None:
    headers = {**FHIR, "Content-Encoding": coding}
    answer = client.put("/fhir/Organization/a", data=organization("a"), headers=headers)
    issue = outcome(answer, 415)
    assert issue["expression"] == ["Content-Encoding"]
    assert "gzip" in told(issue)
    assert answer.headers["Accept-Encoding"] == "gzip"


WHOLE = gzip.compress(organization("a"), mtime=0)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", organization("a"), WHOLE[:-9], WHOLE + b"more"],
    ids=["nothing", "short", "as it is", "cut off", "more behind it"],
)
def test_what_is_no_gzip_is_400(client: FlaskClient, body: bytes) -> None:
    assert outcome(client.put("/fhir/Organization/a", data=body, headers=ZIPPED), 400)["code"] == "structure"
    assert client.get("/fhir/Organization/a").status_code == 404


@pytest.mark.parametrize("members", [1, 3])
def test_a_body_that_grows_past_the_limit_is_413(client: FlaskClient, members: int) -> None:
    bomb = gzip.compress(b" " * (3 * LIMIT // 2 // members)) * members
    assert len(bomb) < LIMIT / 10
    issue = outcome(client.put("/fhir/Organization/a", data=bomb, headers=ZIPPED), 413)
    assert str(LIMIT) in told(issue)


def test_a_large_bomb_is_not_unpacked(client: FlaskClient) -> None:
    import tracemalloc

    bomb = gzip.compress(b"\0" * 15_000_000)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    outcome(client.put("/fhir/Organization/a", data=bomb, headers=ZIPPED), 413)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.slow
def test_gzip_goes_over_real_http(sqlite_database_url: str) -> None:
    with served({"database": sqlite_database_url, "content": ""}) as live:
        asked = {**FHIR, "Accept-Encoding": "gzip"}
        answer: Answer = live.ask("GET", "/fhir/metadata", asked)
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.body))["resourceType"] == "CapabilityStatement"
