"""What a client may not see is not there: no request tells two servers apart that differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

import pytest

from tests.access import asking
from tests.access.asking import Request, ask
from tests.access.worlds import Said, World, two_worlds

BASES = ("/fhir/r5", "/fhir/r4", "/fhir/r4b")
Worlds = tuple[World, World]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    with two_worlds((f"sqlite:///{folder}/with.db", f"sqlite:///{folder}/without.db")) as both:
        yield both


def told_apart(worlds: Worlds, requests: Iterator[Request]) -> list[str]:
    """The requests that two worlds answer differently, and those whose answers have what is hidden."""
    found = []
    for request in requests:
        for _ in range(20):
            with_it, without = (ask(one, request) for one in worlds)
            if with_it != without:
                found.append(f"{request}\n  {shown(with_it)}\n  {shown(without)}")
            elif with_it.status >= 500:
                found.append(f"{request}\n  {shown(with_it)}")
            onwards = following(with_it)
            if with_it != without or onwards is None:
                break
            request = Request("GET", onwards)
    return found


def shown(said: Said) -> str:
    return f"{said.status} {said.headers} {said.body[:1500]!r}"


def following(said: Said) -> str | None:
    """The address of the next page."""
    if b'"next"' not in said.body:
        return None
    try:
        links = json.loads(said.body).get("link", ())
    except ValueError:
        return None
    return next((one["url"] for one in links if one["relation"] == "next"), None)


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_no_search_tells_what_is_hidden(worlds: Worlds, base: str) -> None:
    assert told_apart(worlds, asking.searches(worlds[0], base)) == []


@pytest.mark.parametrize("base", BASES)
def test_no_address_and_no_operation_tells_what_is_hidden(worlds: Worlds, base: str) -> None:
    requests = chain(asking.instances(base), asking.operations(base), asking.beside())
    assert told_apart(worlds, requests) == []
