"""The store follows the content folder: https://hl7.org/fhir/R5/http.html#versions for what becomes a new version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.sync import Report, sync
from apothecary.errors import ContentError
from apothecary.search.context import Context
from apothecary.search.parser import parse
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from tests.defined import COLOUR


class Content:
    """A folder, a store, and what brings one into the other."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.settings = Settings(database=database_url, content=str(folder))
        self.store: SqlStore = open_store(self.settings)

    def write(self, resource: dict[str, Any], indent: int | None = None) -> Path:
        path = self.folder / resource["resourceType"] / f"{resource['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(resource, indent=indent))
        return path

    def sync(self) -> Report:
        return sync(self.settings, self.store)

    def version(self, key: str) -> int:
        found = self.store.read(*key.split("/"))
        return found.version if found else 0

    def find(self, name: str, value: str) -> list[str]:
        from apothecary.app import make_service

        registry = make_service(self.settings, self.store).registry(self.settings.fhir_version)
        query = parse(Context(registry, ("Medication",)), [(name, value)]).query
        return [hit.id for hit in self.store.search(query).hits]


@pytest.fixture
def content(tmp_path: Path, emptied_url: str) -> Iterator[Content]:
    folder = tmp_path / "content"
    folder.mkdir()
    made = Content(folder, emptied_url)
    yield made
    made.store.close()


def medication(identity: str = "m", **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, **elements}


def test_only_what_changed_becomes_a_new_version(content: Content) -> None:
    for identity in "abc":
        content.write(medication(identity, status="active"))
    assert content.sync() == Report(created=3)
    assert content.sync() == Report(unchanged=3)
    content.write(medication("a", status="active"), indent=4)
    assert content.sync() == Report(unchanged=3), "white space is no change"
    content.write(medication("a", status="inactive"))
    (content.folder / "Medication" / "b.json").unlink()
    assert content.sync() == Report(unchanged=1, updated=1, deleted=1)
    assert [content.version(f"Medication/{identity}") for identity in "abc"] == [2, 2, 1]
    assert content.find("status", "active") == ["c"]
    content.write(medication("b"))
    assert content.sync() == Report(unchanged=2, created=1)
    assert content.version("Medication/b") == 3


def test_resources_that_came_another_way_are_left_alone(content: Content) -> None:
    from apothecary.store.contract import Stored

    with content.store.transaction() as transaction:
        transaction.write(
            Stored("Medication", "posted", 1, 1, "R5", b'{"resourceType":"Medication","id":"posted"}'), "POST", ()
        )
    content.write(medication())
    content.sync()
    (content.folder / "Medication" / "m.json").unlink()
    assert content.sync().deleted == 1
    assert content.version("Medication/posted") == 1


BROKEN = (
    ("Medication/x.json", '{\n  "resourceType": "Medication",\n  "id": x\n}', 3, "x"),
    ("Medication/x.json", '{"resourceType": "Medication",\n "id": "x", "id": "x"}', 2, "id"),
    ("Medication/x.json", '{"resourceType": "Medication", "id": "other"}', 1, "other"),
    ("Medication/x.json", '{"resourceType": "Organization", "id": "x"}', 1, "Organization"),
    ("Medication/x.json", '{"id": "x"}', 1, "resourceType"),
    ("Medication/x.json", '["Medication"]', 1, "object"),
    ("Patient/x.json", '{"resourceType": "Patient", "id": "x"}', 0, "APOTHECARY_RESOURCE_TYPES"),
    (
        "Medication/x.json",
        '{"resourceType": "Medication", "id": "x", "batch": {"expirationDate": "2026-13"}}',
        1,
        "2026-13",
    ),
)


@pytest.mark.parametrize(("name", "text", "line", "reason"), BROKEN, ids=[case[3] for case in BROKEN])
def test_a_broken_file_stops_with_its_name_line_and_reason_and_changes_nothing(
    content: Content, name: str, text: str, line: int, reason: str
) -> None:
    content.write(medication())
    content.sync()
    path = content.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (content.folder / "Medication" / "m.json").write_text(json.dumps(medication(status="active")))
    with pytest.raises(ContentError) as caught:
        content.sync()
    assert name in caught.value.file
    assert caught.value.line == line
    assert reason in str(caught.value)
    assert content.version("Medication/m") == 1


def test_a_folder_that_is_not_there_stops_the_start(content: Content) -> None:
    from dataclasses import replace

    with pytest.raises(ContentError, match="no such folder"):
        sync(replace(content.settings, content=str(content.folder / "none")), content.store)
    assert sync(replace(content.settings, content=""), content.store) == Report()


def test_a_search_parameter_in_the_folder_indexes_what_was_there_before(content: Content) -> None:
    content.write(medication(doseForm={"coding": [{"code": "red"}]}))
    content.write(medication("other", code={"coding": [{"code": "red"}]}))
    content.sync()
    content.write(COLOUR)
    assert content.sync() == Report(unchanged=2, created=1, reindexed=2)
    assert content.find("colour", "red") == ["m"]
    content.write(COLOUR | {"expression": "Medication.code"})
    assert content.sync() == Report(unchanged=2, updated=1, reindexed=2)
    assert content.find("colour", "red") == ["other"]
    content.write(COLOUR | {"expression": "Medication.code", "meta": {"tag": [{"code": "new"}]}})
    assert content.sync().reindexed == 0, "a change that indexes nothing else is none"
