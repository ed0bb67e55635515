"""Each release finds what it can ask for, whichever release it was written in: https://hl7.org/fhir/R5/versioning.html"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, table
from tests.conformance.test_writes import tell
from tests.databases import session_database

STORIES = {
    f"{section}: {name}": steps
    for section, stories in table("releases.yaml").items()
    for name, steps in stories.items()
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over an empty database, which serves every type. The stories share it, in the order of the file."""
    with session_database(request, tmp_path_factory) as url:
        settings = Settings(database=url, content="", resource_types="*", references="allowed")
        store = open_store(settings)
        yield InProcess(settings, store)
        store.close()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_comes_true(any_release: InProcess, name: str) -> None:
    tell(any_release, STORIES[name])
