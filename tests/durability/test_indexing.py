"""A definition that one server takes works in others too, and a server that is killed leaves its indexing to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.durability.processes import Client, server_on, unsound
from tests.waiting import until

COUNT = 4000

COLOUR: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "id": "colour",
    "url": "http://ex.org/colour",
    "name": "colour",
    "status": "active",
    "description": "Colour",
    "code": "colour",
    "base": ["Medication"],
    "type": "token",
    "processingMode": "normal",
    "expression": "Medication.doseForm",
}
RED_FORM = {"coding": [{"code": "red"}]}
STRICT = {"Prefer": "handling=strict"}
RED = "/Medication?colour=red&_summary=count"


def _fill(client: Client) -> None:
    for start in range(0, COUNT, 500):
        entries = [
            {
                "resource": {
                    "resourceType": "Medication",
                    "id": f"m{one:05}",
                    "doseForm": {"coding": [{"code": "red"}]},
                },
                "request": {"method": "PUT", "url": f"Medication/m{one:05}"},
            }
            for one in range(start, start + 500)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert client.send("POST", "", bundle).status == 200


def _states(database: str) -> tuple[int, bool]:
    """How many resources are indexed of those that are looked at, and whether all are."""
    store = open_store(Settings(database=database, content=""))
    try:
        done = json.loads(store.state("indexing") or "{}").get("done", 0)
        return int(done), "colour" in (store.state("index of definitions") or "")
    finally:
        store.close()


def test_what_a_killed_server_began_to_index_another_ends(database_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (server_on(database_url, folder) for folder in folders)
    try:
        _run(one, other, database_url)
    finally:
        one.close()
        other.close()
    assert unsound(database_url) == []


def _run(one: ServerProcess, other: ServerProcess, database: str) -> None:
    one.start()
    first = Client(one.port)
    _fill(first)
    assert first.send("PUT", "/SearchParameter/colour", COLOUR).status == 201
    assert until(lambda: any(_states(database)))
    one.kill()
    first.close()
    _, complete = _states(database)
    other.start()
    second = Client(other.port)
    meanwhile = second.send("GET", RED, headers=STRICT)
    # A lease holds for seconds; only where all was done before the kill there is nothing to wait for.
    assert meanwhile.status in (200, 503)
    assert meanwhile.status == 503 or complete or _states(database)[1]
    assert until(lambda: second.send("GET", RED, headers=STRICT).status == 200)
    assert second.send("GET", RED).json["total"] == COUNT
    # One that starts later sees what another took away.
    one.start()
    first = Client(one.port)
    assert second.send("DELETE", "/SearchParameter/colour").status == 204
    assert first.send("GET", RED, headers=STRICT).status == 400
    assert until(lambda: "incomplete" not in first.send("GET", "/metadata").body.decode())
    first.close()
    second.close()
