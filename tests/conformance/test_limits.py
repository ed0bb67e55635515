"""Past a limit the answer says which one: https://hl7.org/fhir/R5/http.html#Status-Codes"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, InProcess, problems, served, told
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}
LIMIT = 2000


def medication(length: int) -> str:
    return json.dumps({"resourceType": "Medication", "code": {"text": "a" * length}})


@pytest.fixture
def small_server(sqlite_database_url: str) -> Iterator[InProcess]:
    settings = Settings(
        database=sqlite_database_url, content="", body_limit=LIMIT, bundle_limit=2, conditional_delete="multiple"
    )
    store = open_store(settings)
    yield InProcess(settings, store)
    store.close()


def test_a_body_over_the_limit_is_413(small_server: InProcess) -> None:
    assert small_server.ask("POST", f"{BASE}/Medication", JSON, medication(LIMIT // 2)).status == 201
    for method, path in (("POST", "/Medication"), ("PUT", "/Medication/a"), ("PATCH", "/Medication/a"), ("POST", "")):
        answer = small_server.ask(method, f"{BASE}{path}", JSON, medication(LIMIT))
        assert answer.status == 413
        assert problems(answer)[0]["code"] == "too-long"
        assert str(LIMIT) in told(problems(answer)[0])


def test_a_bundle_over_the_limit_is_413(small_server: InProcess) -> None:
    entry: dict[str, Any] = {"request": {"method": "GET", "url": "Medication"}}
    for kind in ("batch", "transaction"):
        for entries, status in ((2, 200), (3, 413)):
            bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry] * entries}
            answer = small_server.ask("POST", BASE, JSON, json.dumps(bundle))
            assert answer.status == status
    assert problems(answer)[0]["expression"] == ["Bundle.entry"]


def test_criteria_with_too_many_clauses_are_refused(small_server: InProcess) -> None:
    criteria = "code=" + ",".join(str(number) for number in range(200))
    answer = small_server.ask("POST", f"{BASE}/Medication", JSON | {"If-None-Exist": criteria}, medication(1))
    assert answer.status == 400


def test_several_are_deleted_at_once_where_the_setting_allows(small_server: InProcess) -> None:
    for _ in range(3):
        assert small_server.ask("POST", f"{BASE}/Medication", JSON, medication(1)).status == 201
    answer = small_server.ask("DELETE", f"{BASE}/Medication?_lastUpdated=ge2000", JSON)
    assert answer.status == 200
    assert "3 resources" in told(problems(answer)[0])
    assert small_server.ask("GET", f"{BASE}/Medication?_summary=count").json["total"] == 0
    statement = small_server.ask("GET", f"{BASE}/metadata").json
    assert {one["conditionalDelete"] for one in statement["rest"][0]["resource"]} == {"multiple"}


@pytest.mark.slow
def test_a_body_in_chunks_is_read_whole_or_refused(tmp_path: Path) -> None:
    settings = {"database": f"sqlite:///{tmp_path / 'chunks.db'}", "content": "", "body_limit": str(LIMIT)}
    with served(settings) as live, closing(HTTPConnection("127.0.0.1", live.port, timeout=PATIENCE)) as connection:
        for path in ("/Medication", "/Medication/$validate"):
            for length, status in ((10, (200, 201)), (LIMIT, (413,)), (10 * LIMIT, (413,))):
                text = medication(length).encode()
                chunks = (text[at : at + 700] for at in range(0, len(text), 700))
                try:
                    connection.request("POST", BASE + path, chunks, JSON, encode_chunked=True)
                    answer = connection.getresponse()
                except ConnectionError:
                    # Of a body far too long the server reads only so much before it closes.
                    assert length > LIMIT
                    connection.close()
                    continue
                outcome = json.loads(answer.read())
                assert answer.status in status, outcome
                if answer.status == 413:
                    assert outcome["issue"][0]["code"] == "too-long"
                    # What was not read of the body cannot be told from another request.
                    connection.close()
