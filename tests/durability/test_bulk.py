"""A server that is killed leaves its exports to others, which go on from where it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from apothecary.bulk.job import Job, read
from apothecary.cli import main
from apothecary.settings import Settings
from apothecary.store.bulk import Bulk
from apothecary.store.open import open_store
from tests.durability.processes import Client, server_on
from tests.mass import on
from tests.waiting import until

COUNT = 3000
ASYNC = {"Prefer": "respond-async"}


def _fill(database: str, folder: Path) -> None:
    file = folder / "medications.ndjson"
    ingredients = [{"item": {"concept": {"text": f"substance {one}"}}, "isActive": True} for one in range(40)]
    more = {"status": "active", "ingredient": ingredients}
    some = ({"resourceType": "Medication", "id": f"m{one:05}", **more} for one in range(COUNT))
    file.write_text("".join(f"{json.dumps(one)}\n" for one in some))
    done = CliRunner().invoke(main, ["load", "--database", database, "--no-validate", str(file)])
    assert done.exit_code == 0, done.output


def _job(database: str) -> Job:
    store = open_store(Settings(database=database, content=""))
    try:
        (row,) = Bulk(store).jobs()
        return read(row.data)
    finally:
        store.close()


@pytest.mark.mass
@pytest.mark.slow
@on("postgresql")
def test_what_a_killed_server_began_to_export_another_ends(database_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (server_on(database_url, folder) for folder in folders)
    _fill(database_url, tmp_path)
    try:
        one.start()
        client = Client(one.port, "")
        # Each resource is converted, so that it takes a while.
        begun = client.send("GET", "/fhir/r4/$export?_type=Medication", headers=ASYNC)
        assert begun.status == 202
        assert until(lambda: _job(database_url).resources > 0)
        one.kill()
        client.close()
        left = _job(database_url)
        assert not left.done, "it was killed while it worked"
        other.start()
        client = Client(other.port, "")
        path = begun.headers["content-location"].replace(one.address, "")
        # What is written now is not in it.
        for number in (0, COUNT - 1):
            written = {"resourceType": "Medication", "id": f"m{number:05}", "status": "inactive"}
            assert client.send("PUT", f"/fhir/r4/Medication/m{number:05}", written).status == 200
        assert until(lambda: client.send("GET", path).status != 202)
        manifest = client.send("GET", path).json
        found = []
        for file in manifest["output"]:
            answer = client.send("GET", file["url"].replace(other.address, ""), headers={"Accept-Encoding": "gzip"})
            lines = gzip.decompress(answer.body).splitlines()
            assert len(lines) == file["count"]
            found += [json.loads(line) for line in lines]
        client.close()
        assert [one["id"] for one in found] == [f"m{number:05}" for number in range(COUNT)]
        assert {one["status"] for one in found} == {"active"}
        assert manifest["error"] == []
    finally:
        one.close()
        other.close()
