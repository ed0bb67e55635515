"""What a client may not see is not there: no request tells two servers apart that differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.access import asking
from tests.access.asking import Request, ask
from tests.access.worlds import ALL, MARKER, Said, World, two_worlds
from tests.databases import fresh_database
from tests.waiting import until

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


def test_no_export_tells_what_is_hidden(worlds: Worlds) -> None:
    def exported(world: World, query: str) -> list[Said]:
        begun = ask(world, Request("GET", f"/fhir/r4/$export?{query}"))
        assert begun.status == 202, begun
        where = world.jobs()[-1]
        assert until(lambda: ask(world, Request("GET", where)).status == 200)
        told = ask(world, Request("GET", where))
        manifest = json.loads(told.body)
        files = sum(len(manifest[one]) for one in ("output", "deleted", "error"))
        return [told, *(ask(world, Request("GET", f"{where}/{number}.ndjson")) for number in range(files))]

    for query in ("", "_since=2020-01-01T00:00:00Z", "_typeFilter=Medication?code=shared", "_elements=id"):
        with_it, without = (exported(one, query) for one in worlds)
        assert with_it == without
        assert len(with_it) > 1
        assert MARKER.encode() not in b"".join(one.body for one in with_it)


# -- any scopes, any searches

LINK = st.sampled_from(
    [
        *("organization", "ingredient", "marketing-authorization-holder", "medication", "subject", "item", "patient"),
        *("_has:List:item", "_has:MedicationKnowledge:medication", "_has:Basic:subject", "_has:Provenance:target"),
    ]
)
END = st.sampled_from(["_id", "_id:missing", "_lastUpdated", "status", "code", "name", "status:not", "_tag:missing"])
NAME = st.builds(
    lambda links, end: "".join(one + (":" if one.startswith("_has") else ".") for one in links) + end,
    st.lists(LINK, max_size=3),
    END,
)
VALUE = st.sampled_from(["true", "false", "ge2020", "inactive", "active", MARKER, "near,far,a-active", "shared"])
FILTER = st.recursive(
    st.sampled_from(["status eq inactive", "_lastUpdated ge 2020", f'code eq "http://ex.org/drugs|{MARKER}"']),
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=4,
)
PAIR = st.one_of(st.tuples(NAME, VALUE), st.tuples(st.just("_filter"), FILTER))
SHAPE = st.sampled_from(
    [
        *([], [("_count", "1")], [("_total", "accurate"), ("_count", "1")], [("_sort", "-_lastUpdated")]),
        *([("_include", "*"), ("_include:iterate", "*")], [("_revinclude", "*")], [("_contained", "both")]),
    ]
)
# By none of these anything is found that is in one world only.
GRANTED = st.sets(
    st.builds(
        "system/{}.{}{}".format,
        st.sampled_from(["Medication", "MedicationKnowledge", "List", "Substance", "ValueSet"]),
        st.sampled_from(["r", "s", "rs"]),
        st.sampled_from(["?status=active", "?status=current", "?_id=a-active,k,open"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GRANTED, st.sampled_from(["", "/Medication", "/List"]), st.lists(PAIR, min_size=1, max_size=3), SHAPE)
def test_no_search_by_any_scopes_tells_what_is_hidden(
    worlds: Worlds, scopes: set[str], kind: str, pairs: list[tuple[str, str]], shape: list[tuple[str, str]]
) -> None:
    for base in BASES[:2]:
        request = asking.get(f"{base}{kind}", *pairs, *shape)
        with_it, without = (ask(one, request, scopes=tuple(sorted(scopes))) for one in worlds)
        assert with_it == without
        assert with_it.status < 500


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
