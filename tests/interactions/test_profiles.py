"""A server holds as many profiles as one likes, and keeps in memory no more of them than it may."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.fhir.caches import Weighed
from apothecary.interactions import profiles
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.durability.health import always_healthy, listening
from tests.validation.many_profiles import URL, profile
from tests.waiting import PATIENCE

COUNT, MOST = 30, 60_000
FHIR = "application/fhir+json"


@pytest.fixture
def client(database_url: str) -> Iterator[FlaskClient]:
    store = open_store(Settings(database=database_url))
    yield create_app(Settings(database=database_url, content=""), store).test_client()
    store.close()


def breaks(answer: str, number: int) -> bool:
    return f"breaks x-{number}" in answer


def test_profiles_are_checked_though_few_fit_into_memory(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    shelves: list[Weighed[object, object]] = []

    def remembered(most: int) -> Weighed[object, object]:
        shelves.append(Weighed(most))
        return shelves[-1]

    monkeypatch.setattr(profiles, "READ", MOST)
    monkeypatch.setattr(profiles, "Weighed", remembered)
    entries = [
        {"resource": profile(number, 40), "request": {"method": "PUT", "url": f"StructureDefinition/many-{number}"}}
        for number in range(COUNT)
    ]
    answer = client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    for number in [*range(COUNT), *range(COUNT)]:
        for identity, broken in (("a", False), ("b", True)):
            body = {"resourceType": "Medication", "id": identity, "meta": {"profile": [f"{URL}{number}"]}}
            for address in ("/fhir/Medication/$validate", f"/fhir/Medication/$validate?profile={URL}{number}"):
                found = client.post(address, json=body)
                assert found.status_code == 200
                assert breaks(found.text, number) is broken, (number, found.text)
            written = client.put(f"/fhir/Medication/{identity}", json=body)
            assert (written.status_code == 400) is broken, written.text
    assert COUNT * len(json.dumps(profile(0, 40))) > 0.5 * MOST
    assert shelves
    assert max(one.weight for one in shelves) <= MOST


def test_a_profile_counts_as_it_is_now(client: FlaskClient) -> None:
    body = {"resourceType": "Medication", "id": "b", "meta": {"profile": [f"{URL}1"]}}
    for number, broken in ((1, True), (2, False), (1, True)):
        definition = {**profile(1, 3)}
        if number == 2:
            definition["differential"] = {"element": [{"id": "Medication", "path": "Medication", "short": "x"}]}
        assert client.put("/fhir/StructureDefinition/many-1", json=definition).status_code < 300
        assert breaks(client.post("/fhir/Medication/$validate", json=body).text, 1) is broken


@pytest.mark.heavy
def test_twelve_thousand_profiles_of_a_server_are_checked_within_the_same_memory(
    database_url: str, tmp_path: Path
) -> None:
    count = 12_000
    folder = tmp_path / "profiles.ndjson"
    folder.write_text("".join(json.dumps(profile(number, 40)) + "\n" for number in range(count)))
    command = [sys.executable, "-m", "apothecary", "load", str(folder), "--database", database_url]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    sizes = []
    with ServerProcess(tmp_path, {"database": database_url}) as server, always_healthy(server.port):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        for number in range(count):
            address = f"/fhir/Medication/$validate?profile={URL}{number}"
            connection.request("POST", address, b'{"resourceType":"Medication","id":"b"}', {"Content-Type": FHIR})
            assert breaks(connection.getresponse().read().decode(), number)
            if number + 1 in (count // 4, count):
                told = "".join((one / "status").read_text() for one in listening(server.port))
                sizes.append(sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmRSS:")))
        connection.close()
    assert sizes[1] - sizes[0] < 100_000, sizes
