"""The stories of definitions come true in each release that writes them: https://hl7.org/fhir/R5/searchparameter.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.content.indexing import Indexing
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, table
from tests.conformance.test_writes import filled, tell
from tests.databases import session_database

STORIES = {name: steps for stories in table("definitions.yaml").values() for name, steps in stories.items()}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_type(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over an empty database; it serves every type and indexes when a story says so. The stories share it."""
    with session_database(request, tmp_path_factory) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Indexing, "wake", lambda self: None)
        settings = Settings(database=url, content="", resource_types="*", references="allowed")
        store = open_store(settings)
        yield InProcess(settings, store)
        store.close()


def _of_r5(value: Any) -> Any:
    """R5 asks of a SearchParameter what no older release has: how its expression is to be processed."""
    if isinstance(value, list):
        return [_of_r5(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _of_r5(one) for key, one in value.items()}
    return found | {"processingMode": "normal"} if found.get("resourceType") == "SearchParameter" else found


@pytest.mark.parametrize("release", [version.segment for version in FhirVersion])
@pytest.mark.parametrize("name", STORIES)
def test_a_story_comes_true_in_each_release(any_type: InProcess, name: str, release: str) -> None:
    steps = filled(STORIES[name], {"release": release})
    for step in _of_r5(steps) if release == FhirVersion.R5.segment else steps:
        if step.pop("indexed", False):
            assert Indexing(any_type.settings, any_type.store).run()
        tell(any_type, [step])
