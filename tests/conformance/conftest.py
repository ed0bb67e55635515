"""Servers for the conformance tests, made once for each database: the tests only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.harness import InProcess, fill, settings_for
from tests.databases import fresh_database


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def filled_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database of the session for tests that only read, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'apothecary.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_url")) as url:
            yield url


@pytest.fixture(scope="session")
def server(filled_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over the fixtures' resources."""
    content = tmp_path_factory.mktemp("content")
    store = fill(filled_database_url, content)
    yield InProcess(settings_for(filled_database_url, content), store)
    store.close()
