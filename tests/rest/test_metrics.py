"""Metrics add up over threads and processes, in labels of a bounded number; the request log tells no values."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.rest.metrics import BUCKETS, Metrics
from apothecary.settings import Settings
from benchmarks.servers import apothecary, fetch, free_port, running
from tests.waiting import until

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*\})? [0-9.e+-]+')


def client_of(url: str, **changes: Any) -> FlaskClient:
    return create_app(Settings(database=url, content="", **changes)).test_client()


def samples(text: str) -> dict[str, float]:
    """Each sample of an exposition; every line must be a comment or a sample."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) apothecary_\w+ \S", line)
            continue
        assert LINE.fullmatch(line), line
        name, _, value = line.rpartition(" ")
        assert name not in found
        found[name] = float(value)
    return found


def requests(text: str) -> dict[str, float]:
    start = "apothecary_requests_total"
    return {name.removeprefix(start): value for name, value in samples(text).items() if name.startswith(start)}


def test_requests_are_counted_by_interaction_type_and_status(sqlite_database_url: str) -> None:
    client = client_of(sqlite_database_url)
    for path in ("Substance", "Substance?code=x", "Substance/none", "Substance?code:bad=x", "Wrong", "metadata"):
        client.get(f"/fhir/{path}")
    client.post("/fhir/r5/Substance/_search", data={"code": "x"})
    client.post("/fhir/r4/Substance", json={})
    client.get("/fhir/Substance/$nothing")
    client.get("/nothing")
    client.get("/healthz")
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert requests(answer.text) == {
        '{interaction="capabilities",type="",status="2xx"}': 1,
        '{interaction="create",type="Substance",status="4xx"}': 1,
        '{interaction="healthz",type="",status="2xx"}': 1,
        '{interaction="none",type="",status="4xx"}': 1,
        '{interaction="operation",type="Substance",status="4xx"}': 1,
        '{interaction="read",type="Substance",status="4xx"}': 1,
        '{interaction="search-type",type="",status="4xx"}': 1,
        '{interaction="search-type",type="Substance",status="2xx"}': 3,
        '{interaction="search-type",type="Substance",status="4xx"}': 1,
    }


def test_a_failure_is_counted_as_one(sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(sqlite_database_url)
    monkeypatch.setattr(client.application.service.store, "read", None)  # type: ignore[attr-defined] # Flask does not know ours
    client.get("/fhir/Substance/1")
    assert requests(client.get("/metrics").text) == {'{interaction="read",type="Substance",status="5xx"}': 1}


def test_durations_are_a_cumulative_histogram() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.0006, 0.3, 99.0):
        metrics.count(("read", "Medication", 200), seconds)
    found = samples(metrics.text())
    buckets = [value for name, value in found.items() if "_bucket" in name]
    assert len(buckets) == len(BUCKETS) + 1
    assert buckets == sorted(buckets)
    name = "apothecary_request_duration_seconds"
    assert found[f'{name}_bucket{{interaction="read",le="0.0005"}}'] == 1
    assert found[f'{name}_bucket{{interaction="read",le="0.5"}}'] == 3
    assert found[f'{name}_bucket{{interaction="read",le="30.0"}}'] == 3
    assert found[f'{name}_bucket{{interaction="read",le="+Inf"}}'] == 4 == found[f'{name}_count{{interaction="read"}}']
    assert found[f'{name}_sum{{interaction="read"}}'] == pytest.approx(99.3011)


def test_no_request_of_any_thread_is_lost() -> None:
    metrics = Metrics()

    def work() -> None:
        for number in range(5000):
            metrics.count(("read", f"T{number % 50}", 200), 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.text()
    for thread in threads:
        thread.join()
    assert sum(requests(metrics.text()).values()) == 20_000


def test_processes_add_up_and_what_an_ended_one_counted_stays(tmp_path: Path) -> None:
    first, second = Metrics(tmp_path), Metrics(tmp_path)
    first.count(("read", "Medication", 200), 0.001)
    second.count(("read", "Medication", 404), 0.001)
    second.count(("read", "Medication", 200), 0.001)
    first.publish()
    second.publish()
    for one in (first, second):
        assert sorted(requests(one.text()).values()) == [1, 2]
    del second
    (tmp_path / "half.json").write_bytes(b'[[["re')
    assert sorted(requests(first.text()).values()) == [1, 2]


@pytest.mark.slow
def test_all_workers_of_a_server_are_counted_whichever_answers(sqlite_database_url: str, tmp_path: Path) -> None:
    port = free_port()
    with running(apothecary(port, tmp_path, sqlite_database_url, workers=2), port, "/readyz"):
        for _ in range(40):
            assert fetch(port, "/fhir/Substance")[0] == 200
        wanted = '{interaction="search-type",type="Substance",status="2xx"}'
        assert until(lambda: requests(fetch(port, "/metrics")[1].decode()).get(wanted, 0) == 40)


def test_the_request_log_says_what_was_asked_and_no_values(
    sqlite_database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    client = client_of(sqlite_database_url, request_log="json")
    client.get("/fhir/Substance?code=a-secret&_count=5", headers={"X-Request-Id": "r\x7f1"})
    client.post("/fhir/Substance/_search", data={"code": "a-secret"})
    client.get("/fhir/Substance?a-secret")
    written = capfd.readouterr().out
    lines = [json.loads(line) for line in written.splitlines()]
    first = lines[0]
    assert first.pop("milliseconds") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first.pop("time"))
    assert first == {
        "method": "GET",
        "path": "/fhir/Substance",
        "parameters": ["code", "_count"],
        "interaction": "search-type",
        "type": "Substance",
        "status": 200,
        "request_id": "r1",
    }
    assert len(lines) == 3
    assert written.count("a-secret") == 1, "a name without a value is still a name"


def test_the_request_log_has_addresses_only_where_they_are_asked_for(
    sqlite_database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    client_of(sqlite_database_url).get("/healthz")
    assert capfd.readouterr().out == ""
    client_of(sqlite_database_url, request_log="json", request_log_address=True).get("/healthz")
    assert json.loads(capfd.readouterr().out)["address"] == "127.0.0.1"
