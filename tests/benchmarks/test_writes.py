"""The benchmark of writes writes what it says it does."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import Client

from apothecary.app import create_app
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.validation import validate
from benchmarks.writes import measure, medication, run, transaction


def test_what_is_written_is_valid_and_new_each_time() -> None:
    assert not [issue for issue in validate(medication(1), FhirVersion.R5) if issue.severity == "error"]
    entries = json.loads(transaction(range(5, 8)))["entry"]
    assert [entry["resource"] for entry in entries] == [medication(5), medication(6), medication(7)]


def test_every_way_of_writing_is_measured(database_url: str) -> None:
    results = run(database_url, 0.05, 20)
    assert [result.name for result in results] == ["create", "transaction of 20"]
    assert all(result.rate > 0 and result.requests > 0 for result in results)
    store = open_store(Settings(database=database_url, content=""))
    # The first request of each warms up and is not counted, but its resources are there.
    assert len(list(store.all_of_type("Medication"))) == results[0].requests + 1 + 20 * (results[1].requests + 1)
    store.close()


def test_a_refusal_is_no_rate(sqlite_database_url: str) -> None:
    settings = Settings(database=sqlite_database_url, content="")
    store = open_store(settings)
    client = Client(create_app(settings, store))
    with pytest.raises(RuntimeError, match="400"):
        measure("create", client, "/fhir/Medication", 1, lambda number: "{}", 1.0)
    store.close()
