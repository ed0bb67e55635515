"""The stories of `cases/` come true: writes, one after the other, on both databases. https://hl7.org/fhir/R5/http.html"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess, Server, table
from tests.conformance.test_cases import at, check

STORIES = {
    f"{section}: {name}": steps
    for file in ("writes.yaml", "bundles.yaml", "versions.yaml")
    for section, stories in table(file).items()
    for name, steps in stories.items()
}


class Recorder:
    """Passes requests on and remembers the last answer."""

    def __init__(self, server: Server) -> None:
        self.server, self.address = server, server.address
        self.last = Answer(0, {}, b"")

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
        self.last = self.server.ask(method, path, headers, body)
        return self.last


# These look at whole types, so nobody else may write there.
ALONE = [name for name in STORIES if name.startswith("history: ")]


@pytest.mark.parametrize("name", [name for name in STORIES if name not in ALONE])
def test_a_story_comes_true(empty_server: InProcess, name: str) -> None:
    tell(empty_server, STORIES[name])


@pytest.mark.parametrize("name", ALONE)
def test_a_story_of_all_that_is_there_comes_true(database_url: str, name: str) -> None:
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    tell(InProcess(settings, store), STORIES[name])
    store.close()


def tell(server: Server, steps: list[dict[str, Any]]) -> None:
    """Run the steps of a story in order."""
    recorder = Recorder(server)
    kept = {"base": server.address + "/fhir/r5"}
    for step in steps:
        case: dict[str, Any] = filled(step, kept)
        body = case.get("body")
        if body is not None:
            case["body"] = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
            case["headers"] = {"Content-Type": "application/fhir+json", **case.get("headers", {})}
        check(recorder, case)
        for key, place in step.get("keep", {}).items():
            kept[key] = at(recorder.last.json, place)


def filled(value: Any, kept: Mapping[str, str]) -> Any:
    """`value` with every `{name}` replaced by what was kept under it."""
    if isinstance(value, str):
        for key, text in kept.items():
            value = value.replace("{" + key + "}", text)
        return value
    if isinstance(value, dict):
        return {key: filled(one, kept) for key, one in value.items()}
    return [filled(one, kept) for one in value] if isinstance(value, list) else value
