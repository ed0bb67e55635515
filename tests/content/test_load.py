"""Loading is complete, idempotent and resumable, and what cannot be loaded is told with its place."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import main
from apothecary.content.load import Failure, Loader, load
from apothecary.content.read import read_bytes
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.contract import Stored, Transaction
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

ROOT = Path(__file__).parent.parent.parent
URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def medication(identity: str, text: str = "aspirin", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, "code": {"text": text}, **more}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def ndjson(resources: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in resources)


def run(url: str, *words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(words[0]), "--database", url, *map(str, words[1:])])


def stored(url: str, kind: str = "Medication") -> dict[str, tuple[int, Any]]:
    """The version and content of each resource of a type."""
    store = open_store(Settings(database=url))
    try:
        return {one.id: (one.version, json.loads(one.body or b"null")) for one in store.all_of_type(kind)}
    finally:
        store.close()


def test_a_second_load_changes_nothing_and_a_changed_resource_gets_a_version(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "all.ndjson"
    path.write_bytes(ndjson(medication(f"m{number}") for number in range(2500)))
    first = run(database_url, "load", path)
    assert (first.exit_code, first.output) == (0, "2500 created, 0 updated, 0 unchanged, 0 failed\n")
    assert run(database_url, "load", path).output == "0 created, 0 updated, 2500 unchanged, 0 failed\n"
    path.write_bytes(ndjson(medication(f"m{number}", "0.50 g" if number == 7 else "aspirin") for number in range(2501)))
    assert run(database_url, "load", path).output == "1 created, 1 updated, 2499 unchanged, 0 failed\n"
    found = stored(database_url)
    assert len(found) == 2501
    assert {identity: version for identity, (version, _) in found.items() if version > 1} == {"m7": 2}


def test_a_load_that_was_interrupted_is_taken_up_by_the_next(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "all.ndjson"
    path.write_bytes(ndjson(medication(f"m{number}") for number in range(300)))
    monkeypatch.setattr("apothecary.content.load.RESOURCES", 100)
    writes = 0
    write = SqlStore.write

    def failing(self: SqlStore, work: Any) -> Any:
        nonlocal writes
        writes += 1
        # The first notes how the index of an empty database is made.
        if writes == 4:
            raise KeyboardInterrupt
        return write(self, work)

    monkeypatch.setattr(SqlStore, "write", failing)
    assert run(database_url, "load", path).exit_code != 0
    assert len(stored(database_url)) == 200
    assert run(database_url, "load", path).output == "100 created, 0 updated, 200 unchanged, 0 failed\n"


@pytest.mark.parametrize("kind", ["batch", "collection", "searchset", "transaction"])
def test_of_a_bundle_every_resource_is_loaded_and_its_links_are_followed(
    sqlite_database_url: str, tmp_path: Path, kind: str
) -> None:
    substance = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}
    pointing = medication("m", ingredient=[{"item": {"reference": {"reference": URN}}}])
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle(kind, {"resource": pointing}, {"fullUrl": URN, "resource": substance})))
    assert run(sqlite_database_url, "load", path).output == "2 created, 0 updated, 0 unchanged, 0 failed\n"
    identity = URN.rpartition(":")[2]
    assert set(stored(sqlite_database_url, "Substance")) == {identity}
    assert stored(sqlite_database_url)["m"][1]["ingredient"][0]["item"]["reference"] == {
        "reference": f"Substance/{identity}"
    }
    assert run(sqlite_database_url, "load", path).output == "0 created, 0 updated, 2 unchanged, 0 failed\n"


@pytest.mark.parametrize("name", ["m.ndjson.gz", "m.json.gz", "m.json", "m.jsonl", "m.yaml", "m.xml"])
def test_every_format_is_loaded_compressed_or_not(sqlite_database_url: str, tmp_path: Path, name: str) -> None:
    texts = {
        "yaml": b"resourceType: Medication\nid: m\ncode: {text: aspirin}\n",
        "xml": b'<Medication xmlns="http://hl7.org/fhir"><id value="m"/>'
        b'<code><text value="aspirin"/></code></Medication>',
    }
    data = texts.get(name.rpartition(".")[2], ndjson([medication("m")]))
    folder = tmp_path / "Medication"
    folder.mkdir()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert run(sqlite_database_url, "load", tmp_path).output == "1 created, 0 updated, 0 unchanged, 0 failed\n"
    assert stored(sqlite_database_url)["m"][1]["code"] == {"text": "aspirin"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"resourceType": "Medication", "id": "a", "colour": 1}', r":2:\d+: Medication/a: .*colour"),
        ('{"resourceType": "Medication", "id": "a", "status": "gone"}', r":2:\d+: Medication/a: .*status"),
        ('{"resourceType": "Patient", "id": "a"}', r":2:1: the resource is a Patient, which is not served"),
        ('{"id": "a"}', r":2:1: the resource has no resourceType"),
        ('{"resourceType": "Medication"}', r":2:1: the Medication has no id"),
        ('{"resourceType": "Medication", "id": "a b"}', r":2:38: 'a b' is not an id"),
        ("[1]", r":2:1: a resource is an object"),
        ('{"resourceType": "Medication",', r":2:\d+: "),
        ('{"resourceType": "Bundle", "type": "batch", "entry": 1}', r":2:54: Bundle.entry is a list"),
        (
            json.dumps(bundle("transaction", {"request": {"method": "DELETE", "url": "Medication/1"}})),
            r":2:\d+: the entry carries no resource",
        ),
    ],
)
def test_what_cannot_be_loaded_is_told_with_its_place_and_the_rest_is_loaded(
    sqlite_database_url: str, tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "all.ndjson"
    path.write_bytes(ndjson([medication("before")]) + line.encode() + b"\n" + ndjson([medication("after")]))
    result = run(sqlite_database_url, "load", path)
    assert result.exit_code == 1
    assert re.match(re.escape(str(path)) + said, result.output), result.output
    assert result.output.endswith("2 created, 0 updated, 0 unchanged, 1 failed\n")
    assert set(stored(sqlite_database_url)) == {"before", "after"}


def test_without_validation_an_invalid_resource_is_loaded(sqlite_database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(medication("m", colour="red")))
    assert run(sqlite_database_url, "load", path).exit_code == 1
    assert run(sqlite_database_url, "load", "--no-validate", path).exit_code == 0
    assert stored(sqlite_database_url)["m"][1]["colour"] == "red"


def test_what_cannot_run_ends_with_status_2(sqlite_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "broken.ndjson.gz").write_bytes(gzip.compress(ndjson([medication("m")]))[:-12])
    (tmp_path / "plain.ndjson.gz").write_bytes(ndjson([medication("m")]))
    for name in ("missing.json", "broken.ndjson.gz", "plain.ndjson.gz"):
        result = run(sqlite_database_url, "load", tmp_path / name)
        assert (result.exit_code, name in result.output) == (2, True)


def loader(store: SqlStore, failed: list[Failure] | None = None) -> Loader:
    return Loader(store, Settings(), [].append if failed is None else failed.append)


def test_one_resource_twice_in_a_load_gets_two_versions_and_a_deleted_one_returns(database_url: str) -> None:
    store = open_store(Settings(database=database_url))
    texts = ndjson([medication("m", "first"), medication("m", "second")])
    documents = [read_bytes("m", line, "ndjson") for line in texts.splitlines()]
    assert str(load(loader(store), documents)) == "1 created, 1 updated, 0 unchanged, 0 failed"

    def remove(transaction: Transaction) -> None:
        transaction.write(Stored("Medication", "m", 3, 10**16, FhirVersion.R5, None), "DELETE", ())

    store.write(remove)
    assert str(load(loader(store), documents[1:])) == "1 created, 0 updated, 0 unchanged, 0 failed"
    found = store.read("Medication", "m")
    assert found is not None
    assert (found.version, found.deleted, found.updated > 10**16) == (4, False, True)
    store.close()


def test_what_is_exported_can_be_loaded_and_served_as_content(database_url: str, tmp_path: Path) -> None:
    from apothecary.content.sync import sync

    assert run(database_url, "load", ROOT / "resources").exit_code == 0
    assert run(database_url, "export", "--output", tmp_path / "lines").exit_code == 0
    assert run(database_url, "export", "--output", tmp_path / "files", "--files").exit_code == 0
    whole = run(database_url, "export").stdout.splitlines()
    one = run(database_url, "export", "--type", "Medication").stdout.splitlines()
    count = len(list((ROOT / "resources").glob("[A-Z]*/*.json")))
    assert len(whole) == count
    assert one == [line for line in whole if line.startswith('{"resourceType":"Medication",')]
    assert sorted(whole) == sorted(
        line for path in (tmp_path / "lines").iterdir() for line in path.read_text().splitlines()
    )
    for path in (ROOT / "resources").glob("[A-Z]*/*.json"):
        exported = tmp_path / "files" / path.parent.name / path.name
        assert json.loads(exported.read_bytes()) == json.loads(path.read_bytes())
    unchanged = f"0 created, 0 updated, {count} unchanged, 0 failed\n"
    assert run(database_url, "load", tmp_path / "lines", tmp_path / "files").output == unchanged.replace(
        str(count), str(2 * count)
    )
    fresh = Settings(database=f"sqlite:///{tmp_path / 'fresh.db'}", content=str(tmp_path / "files"))
    store = open_store(fresh)
    assert sync(fresh, store).created == count
    store.close()


def test_a_resource_is_kept_in_its_version_and_found_in_any(database_url: str, tmp_path: Path) -> None:
    from apothecary.app import create_app

    path = tmp_path / "r4.json"
    path.write_text(json.dumps(medication("m", ingredient=[{"itemCodeableConcept": {"text": "x"}}])))
    assert run(database_url, "load", path).exit_code == 1
    assert run(database_url, "load", "--fhir-version", "R4", path).exit_code == 0
    assert run(database_url, "load", "--fhir-version", "R4", path).output.startswith("0 created, 0 updated, 1 unch")
    assert run(database_url, "load", "--fhir-version", "R9", path).exit_code == 2
    app = create_app(Settings(database=database_url, content=""))
    client = app.test_client()
    assert client.get("/fhir/r4/Medication/m").json["ingredient"] == [{"itemCodeableConcept": {"text": "x"}}]
    assert client.get("/fhir/r5/Medication/m").json["ingredient"] == [{"item": {"concept": {"text": "x"}}}]
    app.service.store.close()


def test_files_need_a_folder_to_be_written_to(sqlite_database_url: str) -> None:
    assert run(sqlite_database_url, "export", "--files").exit_code == 2


def test_where_nobody_watches_a_line_tells_how_far_a_load_is(
    sqlite_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.cli.load.EVERY", 4)
    path = tmp_path / "all.ndjson"
    path.write_bytes(ndjson(medication(f"m{number}") for number in range(10)))
    lines = run(sqlite_database_url, "load", path).output.splitlines()
    said = r"loading: (4|8) documents, \d+ a second, (39|40|79|80) %, \d+ minutes left"
    assert len(lines) == 3
    assert all(re.fullmatch(said, one) for one in lines[:2]), lines


def test_what_other_servers_export_is_loaded_in_any_order_whatever_its_files_are_called(
    sqlite_database_url: str, tmp_path: Path
) -> None:
    """Their versions and times are not kept: https://hl7.org/fhir/uv/bulkdata/export.html"""
    theirs = {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z", "source": "#abc"}
    maker = {"resourceType": "Organization", "id": "o", "meta": theirs, "name": "x"}
    made = medication("m", meta=theirs, manufacturer={"reference": "Organization/o"})
    (tmp_path / "1.Medication.ndjson").write_bytes(ndjson([made]))
    (tmp_path / "Medication.000.ndjson.gz").write_bytes(gzip.compress(ndjson([medication("n")])))
    (tmp_path / "2.Organization.ndjson").write_bytes(ndjson([maker]))
    result = run(sqlite_database_url, "load", "--fhir-version", "R4", tmp_path)
    assert result.output == "3 created, 0 updated, 0 unchanged, 0 failed\n"
    found = stored(sqlite_database_url)
    assert found["m"][0] == 1
    assert found["m"][1]["meta"]["source"] == "#abc"
    assert found["m"][1]["manufacturer"] == {"reference": "Organization/o"}
