"""No request by chance makes a server fail, and what it accepts it can serve. `make fuzz` is the long run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apothecary.testing import ServerProcess
from tests.conformance.harness import Answer
from tests.durability.health import always_healthy
from tests.fuzz import generate
from tests.fuzz.judge import fault
from tests.fuzz.material import committed
from tests.fuzz.run import Run
from tests.fuzz.servers import PARTS, process_of
from tests.fuzz.stored import walk
from tests.fuzz.wire import Request

SEED = 20261126
REQUESTS = 700
OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","details":{"text":"no"}}]}'
FHIR = "application/fhir+json; charset=utf-8; fhirVersion=5.0"


@pytest.mark.slow
@pytest.mark.parametrize(("database", "part"), [("sqlite_database_url", 0), ("postgresql_database_url", 1)])
def test_no_request_makes_the_server_fail(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, part: int
) -> None:
    url = request.getfixturevalue(database)
    settings: dict[str, Any] = {"database": url, "resource_types": "*", **PARTS[part]}
    with ServerProcess(tmp_path, settings) as server, always_healthy(server.port):
        run = Run(committed(), SEED, part * REQUESTS, REQUESTS, server.port, process_of(server))
        result = run()
    assert result.sent == REQUESTS
    assert result.faults == [], result.text()


@pytest.mark.slow
def test_what_was_accepted_is_served_after_a_restart_too(database_url: str, tmp_path: Path) -> None:
    settings = {"database": database_url, "references": "allowed"}
    with ServerProcess(tmp_path, settings) as server:
        assert walk(server, committed(), SEED, 35) > 5


def test_a_request_is_the_same_whenever_it_is_made() -> None:
    made = [generate.request(committed(), SEED, number) for number in range(100)]
    assert made == [generate.request(committed(), SEED, number) for number in range(100)]
    assert made != [generate.request(committed(), SEED + 1, number) for number in range(100)]
    assert len({one.about for one in made}) > 10


GET, RUN = Request("GET", "/fhir/r5/Medication/a"), Request("POST", "/fhir/r5")


@pytest.mark.parametrize(
    ("asked", "status", "kind", "body", "wrong"),
    [
        (GET, 200, FHIR, b'{"resourceType":"Medication"}', False),
        (GET, 200, FHIR, b'{"resourceType":"Medication"', True),
        (GET, 200, FHIR, b"[]", True),
        (GET, 200, "text/html", b"<html>", False),
        (GET, 304, FHIR, b"", False),
        (GET, 304, FHIR, b"x", True),
        (GET, 302, FHIR, b"", True),
        (GET, 404, FHIR, OUTCOME, False),
        (GET, 404, "text/html", OUTCOME, True),
        (GET, 404, "application/json", OUTCOME, True),
        (GET, 404, FHIR, b'{"resourceType":"OperationOutcome"}', True),
        (GET, 404, FHIR, b"", True),
        (GET, 400, None, b"", False),
        (GET, 500, FHIR, OUTCOME, True),
        (GET, 502, FHIR, OUTCOME, True),
        (GET, 503, FHIR, OUTCOME, False),
        (GET, 503, "text/plain", b"busy", True),
        (GET, 507, FHIR, OUTCOME, False),
        (RUN, 200, FHIR, b'{"resourceType":"Bundle","entry":[{"response":{"status":"500 Error"}}]}', True),
        (RUN, 200, FHIR, b'{"resourceType":"Bundle","entry":[{"response":{"status":"404 Not Found"}}]}', True),
        (RUN, 200, FHIR, b'{"resourceType":"Bundle","entry":[{"response":{"status":"201 Created"}}]}', False),
        (GET, 200, FHIR, b'{"resourceType":"Bundle","entry":[{"response":{"status":"DELETE"}}]}', False),
    ],
)
def test_the_judge_sees_what_is_wrong(asked: Request, status: int, kind: str | None, body: bytes, wrong: bool) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert (fault(asked, Answer(status, headers, body)) is not None) is wrong


def test_a_request_can_be_repeated_from_a_shell() -> None:
    asked = Request("PUT", "/fhir/r5/Medication/a?b='", (("Prefer", "x'y"), ("X-A", "\xe9")), b"{\n'\xff\\}", True)
    assert asked.curl("http://localhost:1") == (
        "printf %b '{\\0012'\"'\"'\\0377\\0134}' | curl -sS -g --path-as-is -i -X PUT -H 'Prefer: x'\"'\"'y' "
        "-H $'X-A: \\xe9' -H 'Transfer-Encoding: chunked' --data-binary @- "
        "'http://localhost:1/fhir/r5/Medication/a?b='\"'\"''"
    )
    assert asked.wire().endswith(b"Transfer-Encoding: chunked\r\n\r\n6\r\n{\n'\xff\\}\r\n0\r\n\r\n")
