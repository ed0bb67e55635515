"""A write that was acknowledged by one process is seen by the next read of any other, however often that was asked."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.servers import HOST, apothecary, free_port, running
from tests.mass import much

pytestmark = [pytest.mark.slow, pytest.mark.mass]

CONTENT = {"Content-Type": "application/fhir+json"}
IDS, STATUSES = ("a", "b", "c"), ("active", "inactive")


class Server:
    """One server process, over a connection that stays."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status, and the JSON of the answer."""
        self._connection.request(method, path, None if body is None else json.dumps(body), CONTENT)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()

    def hits(self) -> int:
        self._connection.request("GET", "/metrics")
        text = self._connection.getresponse().read().decode()
        return int(text.partition('apothecary_cache_requests_total{result="hit"} ')[2].partition("\n")[0])


@pytest.fixture
def ports(database_url: str, tmp_path: Path) -> Iterator[list[int]]:
    """The ports of two server processes on one database."""
    with ExitStack() as stack:
        found = [free_port(), free_port()]
        for port in found:
            stack.enter_context(running(apothecary(port, tmp_path / "none", database_url, 1), port, "/readyz"))
        yield found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()


def medication(identity: str, status: str) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, "status": status}


which = st.integers(0, 1)
steps = st.lists(
    st.tuples(which, st.just("put"), st.sampled_from(IDS), st.sampled_from(STATUSES))
    | st.tuples(which, st.just("delete"), st.sampled_from(IDS), st.none())
    | st.tuples(which, st.just("transaction"), st.sampled_from(IDS), st.sampled_from(STATUSES))
    | st.tuples(which, st.just("read"), st.sampled_from(IDS), st.none())
    | st.tuples(which, st.just("search"), st.none(), st.sampled_from(STATUSES)),
    max_size=30,
)


def test_what_one_process_wrote_every_process_reads(ports: list[int]) -> None:
    with closing(Server(ports[0])) as first, closing(Server(ports[1])) as second:
        told_apart((first, second))
        assert min(first.hits(), second.hits()) > 0
    seen_at_once(ports)


def told_apart(servers: tuple[Server, Server]) -> None:
    """Whatever is written through either process, both know it at once."""

    @settings(max_examples=much(8, 30), deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps)
    def holds(given: list[Any]) -> None:
        held: dict[str, str] = {}
        for identity in IDS:
            servers[0].ask("DELETE", f"/fhir/Medication/{identity}")
        for number, what, identity, status in given:
            server, path = servers[number], f"/fhir/Medication/{identity}"
            if what == "put":
                assert server.ask("PUT", path, medication(identity, status))[0] in (200, 201)
                held[identity] = status
            elif what == "delete":
                assert server.ask("DELETE", path)[0] == 204
                held.pop(identity, None)
            elif what == "transaction":
                entries = [
                    {"resource": medication(one, status), "request": {"method": "PUT", "url": f"Medication/{one}"}}
                    for one in IDS
                ]
                bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
                assert server.ask("POST", "/fhir", bundle)[0] == 200
                held = dict.fromkeys(IDS, status)
            for asked in (server, servers[1 - number]):
                for _ in range(3):
                    check(asked, what, identity, status, held)

    holds()


def check(server: Server, what: str, identity: str | None, status: str | None, held: dict[str, str]) -> None:
    """What a process answers now is what was written last."""
    if what == "search":
        found = server.ask("GET", f"/fhir/Medication?status={status}")[1]
        assert {entry["resource"]["id"] for entry in found.get("entry", ())} == {
            one for one, value in held.items() if value == status
        }
        return
    code, found = server.ask("GET", f"/fhir/Medication/{identity}")
    assert (found["status"] if code == 200 else None) == held.get(identity or "")


def seen_at_once(ports: list[int]) -> None:
    """While one process writes, no other gives an answer that is older than the last write acknowledged before it was
    asked.
    """
    acknowledged, over = 0, threading.Event()
    late: list[tuple[int, int]] = []
    asked = [0, 0]

    def read(number: int) -> None:
        with closing(Server(ports[number])) as server:
            while not over.is_set():
                before = acknowledged
                code, found = server.ask("GET", "/fhir/Medication/raced")
                version = int(found["meta"]["versionId"]) if code == 200 else 0
                if version < before:
                    late.append((before, version))
                asked[number] += 1

    readers = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for one in readers:
        one.start()
    try:
        with closing(Server(ports[0])) as writer:
            for version in range(1, 101):
                assert writer.ask("PUT", "/fhir/Medication/raced", medication("raced", STATUSES[version % 2]))[0] < 300
                acknowledged = version
    finally:
        over.set()
        for one in readers:
            one.join()
    assert min(asked) > 0
    assert not late
