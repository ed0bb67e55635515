"""One server on each database for all tests of bulk data in a file, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bulk.exporting import Exporting
from tests.databases import session_database


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    with session_database(request, tmp_path_factory) as url, Exporting.over(url, export_jobs=1000) as one:
        yield one


@pytest.fixture
def server(kept_server: Exporting) -> Exporting:
    """The server, with nothing in its database."""
    kept_server.empty()
    return kept_server
