"""Servers for the terminology tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over a store in which there is nothing."""
    settings = Settings(
        database=f"sqlite:///{tmp_path_factory.mktemp('empty') / 'a.db'}", content="", resource_types="*"
    )
    store = open_store(settings)
    sync(settings, store)
    yield InProcess(settings, store)
    store.close()
