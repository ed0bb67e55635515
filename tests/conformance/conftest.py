"""Servers for the conformance tests, made once for each database: the tests only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance import terminology
from tests.conformance.harness import EVERYTHING, ROOT, TYPES, InProcess, fill, serving, settings_for, write_content
from tests.databases import session_database


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over the fixtures' resources."""
    with session_database(request, tmp_path_factory) as url:
        content = tmp_path_factory.mktemp("content")
        store = fill(url, content)
        yield InProcess(settings_for(url, content), store)
        store.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def everything_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app with every resource type, over the resources of everything.json."""
    with session_database(request, tmp_path_factory) as url:
        content = tmp_path_factory.mktemp("everything")
        write_content(content, EVERYTHING)
        with serving(Settings(database=url, content=str(content), resource_types="*")) as server:
            yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def content_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over the content that the repository ships."""
    with (
        session_database(request, tmp_path_factory) as url,
        serving(Settings(database=url, content=str(ROOT / "resources"))) as server,
    ):
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def empty_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over an empty database. Tests share it, each with ids of its own."""
    with session_database(request, tmp_path_factory) as url:
        settings = Settings(database=url, content="", resource_types=TYPES)
        store = open_store(settings)
        yield InProcess(settings, store)
        store.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def terms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over terminology.json."""
    with session_database(request, tmp_path_factory) as url:
        server = terminology.start(url, tmp_path_factory.mktemp("content"), terminology.CONTENT)
        yield server
        server.store.close()
