"""What a client may not see is not there: no request tells two servers apart that differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from tests.access import asking
from tests.access.asking import Request, ask
from tests.access.worlds import ALL, MARKER, Said, World, two_worlds
from tests.databases import fresh_database

BASES = ("/fhir/r5", "/fhir/r4", "/fhir/r4b")
# Of so many requests one is made with every run; all of them take minutes.
STEP = 97
# So many pages of an answer are followed.
PAGES = 20
Worlds = tuple[World, World]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    with two_worlds((f"sqlite:///{folder}/with.db", f"sqlite:///{folder}/without.db")) as both:
        yield both


def told_apart(worlds: Worlds, requests: Iterable[Request]) -> list[str]:
    """The requests that two worlds answer differently, those whose answers have what is hidden, and those that fail."""
    found = []
    for asked in requests:
        request: Request | None = asked
        for _ in range(PAGES):
            if request is None:
                break
            with_it, without = (ask(one, request) for one in worlds)
            hidden = MARKER.encode() in with_it.body and MARKER not in str(asked)
            if with_it != without or hidden or with_it.status >= 500:
                found.append(f"{request}\n  {shown(with_it)}\n  {shown(without)}")
                break
            request = following(with_it)
    return found


def shown(said: Said) -> str:
    return f"{said.status} {said.headers} {said.body[:1500]!r}"


def following(said: Said) -> Request | None:
    """What asks for the next page."""
    if not said.body.startswith(b"{") or b'"next"' not in said.body:
        return None
    links = json.loads(said.body).get("link", ())
    return next((Request("GET", one["url"]) for one in links if one["relation"] == "next"), None)


def every(world: World, base: str) -> Iterator[Request]:
    return chain(asking.searches(world, base), asking.instances(base), asking.operations(base))


@pytest.mark.parametrize("base", BASES)
def test_no_answer_tells_what_is_hidden(worlds: Worlds, base: str) -> None:
    some = islice(every(worlds[0], base), BASES.index(base), None, STEP)
    assert told_apart(worlds, chain(some, asking.beside())) == []


@pytest.mark.heavy
@pytest.mark.parametrize("base", BASES)
def test_no_answer_to_any_request_tells_what_is_hidden(worlds: Worlds, base: str) -> None:
    assert told_apart(worlds, every(worlds[0], base)) == []


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES[:2])
def test_no_answer_tells_what_is_hidden_on_postgresql(postgresql_url: str, base: str) -> None:
    with (
        fresh_database(postgresql_url) as one,
        fresh_database(postgresql_url) as other,
        two_worlds((one, other)) as worlds,
    ):
        some = islice(every(worlds[0], base), BASES.index(base), None, STEP)
        assert told_apart(worlds, some) == []


@pytest.mark.heavy
def test_no_answer_to_any_request_tells_what_is_hidden_on_postgresql(postgresql_url: str) -> None:
    with (
        fresh_database(postgresql_url) as one,
        fresh_database(postgresql_url) as other,
        two_worlds((one, other)) as worlds,
    ):
        for base in BASES:
            assert told_apart(worlds, every(worlds[0], base)) == []


@pytest.mark.parametrize("then", [{}, {"references": "enforced"}, {"delete_referenced": "allowed"}])
def test_no_write_tells_what_is_hidden(tmp_path: Path, then: dict[str, str]) -> None:
    with two_worlds((f"sqlite:///{tmp_path}/with.db", f"sqlite:///{tmp_path}/without.db"), then=then) as worlds:
        assert told_apart(worlds, asking.writes("/fhir/r5")) == []


def test_who_may_see_all_can_tell_the_two_servers_apart(worlds: Worlds) -> None:
    for request in (
        Request("GET", "/fhir/r5/Medication"),
        Request("GET", "/fhir/r5/Medication?_summary=count"),
        Request("GET", "/fhir/r5/_history?_summary=count"),
        Request("GET", "/fhir/r4/Medication/gone"),
        Request("GET", "/fhir/r5/ValueSet/$expand?url=http://ex.org/both"),
    ):
        with_it, without = (ask(one, request, scopes=ALL) for one in worlds)
        assert with_it != without, request
