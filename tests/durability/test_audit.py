"""What was acknowledged is in the record, however the server ended."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from apothecary.access.trail_check import verify
from apothecary.testing import ServerProcess
from tests.access.test_trail import written
from tests.durability.processes import Client
from tests.waiting import until

CLIENTS = 4
ENOUGH = 60


def ask(port: int, number: int, over: threading.Event, acknowledged: list[str]) -> None:
    """Write and read without end, each request with a number of its own; note those that were answered."""
    client, count = Client(port), 0
    with suppress(OSError, HTTPException):
        while not over.is_set():
            count += 1
            name = f"c{number}-{count}"
            body = {"resourceType": "Medication", "id": name}
            for method, sent in (("PUT", body), ("GET", None)):
                answer = client.send(method, f"/Medication/{name}", sent, {"X-Request-Id": f"{method} {name}"})
                assert answer.status in (200, 201), answer.body
                acknowledged.append(f"{method} {name}")


@pytest.mark.slow
def test_a_server_that_is_killed_has_recorded_all_that_it_answered(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    settings = {"workers": 2, "audit": "file", "audit_folder": folder, "audit_bytes": 100_000}
    server = ServerProcess(tmp_path, settings)
    acknowledged: list[str] = []
    server.start()
    over = threading.Event()
    threads = [threading.Thread(target=ask, args=(server.port, one, over, acknowledged)) for one in range(CLIENTS)]
    for one in threads:
        one.start()
    assert until(lambda: len(acknowledged) >= ENOUGH)
    server.kill()
    over.set()
    for one in threads:
        one.join()
    # The next process of a server mends what this one left.
    written(folder, 0)
    assert verify(folder).fault is None
    files = sorted(folder.glob("audit-*"))
    assert len(files) > 1
    events = [
        json.loads(line) for file in files for line in file.read_bytes().splitlines() if line.startswith(b'{"res')
    ]
    numbers = [
        one["what"]["identifier"]["value"]
        for event in events
        for one in event.get("entity", ())
        if one.get("type", {}).get("code") == "XrequestId"
    ]
    assert set(acknowledged) <= set(numbers)
    assert len(numbers) == len(set(numbers))
