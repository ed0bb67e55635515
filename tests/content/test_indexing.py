"""What the work on the index writes into the log; that it does its work is in `tests/conformance`."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from apothecary.content import indexing
from apothecary.content.indexing import Indexing
from apothecary.settings import Settings
from apothecary.store.open import open_store

QUOTED = "Jane Doe, born 1970"


def test_a_fault_is_logged_with_its_place_and_without_the_values_that_it_quotes(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> Any:
        raise LookupError(QUOTED)

    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    work = Indexing(settings, store)
    monkeypatch.setattr(indexing, "serving", fails)
    with caplog.at_level(logging.WARNING, "apothecary"):
        work.wake()
        while work._running:
            work._over.wait(0.01)
    store.close()
    assert "the index could not be brought in step" in caplog.text
    assert "LookupError" in caplog.text
    assert "in fails" in caplog.text
    assert QUOTED not in caplog.text
