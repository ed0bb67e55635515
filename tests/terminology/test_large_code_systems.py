"""A large code system answers from the store as it does from memory, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from apothecary.errors import Busy, FhirError
from apothecary.fhir.json import dumps, parse
from apothecary.interactions.large_code_systems import LargeCodeSystem
from apothecary.settings import Settings
from apothecary.store.concept_tables import TABLES
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statement
from apothecary.terminology import stored
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Question, Steps
from apothecary.terminology.expansion import Wanted, expand
from apothecary.terminology.languages import Languages
from apothecary.terminology.reading import code_system
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.selection import ALL
from apothecary.terminology.sources import Candidate, Given

Item = dict[str, Any]

URL = "http://example.org/large"
CODES = ["a", "A", "b1", "B1", "c-2", "d.3", "e f", "é", "x" * 250]
TEXTS = [
    "Paracetamol 0.5mg/ml (oral)", "paracétamol", "acute asthma", "N05BA01", "'quoted' \\ \"text\" & | ! : *", "日本語",
    "İstanbul ﷺ", "_under_score_", "", "a b c", "\ue001further",
]  # fmt: skip
FILTERS = ["", " ", "para", "PARACÉT", "asth acu", "5mg", "0.5", "ml", "n05", "本", "語", "'quoted'", "*", "a", "zzz",
           "ist", "score", "b c a", "further", "x" * 40, "\\", "d.3", "c-", "2"]  # fmt: skip


@st.composite
def resources(draw: st.DrawFn) -> Item:
    """A code system of any shape: hierarchies by nesting and by properties, with circles and codes that are none."""
    codes = draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))

    def one(code: str) -> Item:
        found: Item = {"code": code}
        if text := draw(st.sampled_from(TEXTS)):
            found["display"] = text
        properties: list[Item] = [
            {"code": name, "valueCode": draw(st.sampled_from([*CODES, "stray"]))}
            for name in draw(st.lists(st.sampled_from(["parent", "child"]), max_size=2))
        ]
        if colour := draw(st.sampled_from(["red", "blue", None])):
            properties.append({"code": "colour", "valueCode": colour})
        properties += [
            {"code": name, "valueBoolean": draw(st.booleans())}
            for name in ("inactive", "notSelectable")
            if draw(st.booleans())
        ]
        if properties:
            found["property"] = properties
        if draw(st.booleans()):
            found["designation"] = [{"language": "de", "value": draw(st.sampled_from(TEXTS[:-1])) or "-"}]
        return found

    top: list[Item] = []
    for item in map(one, codes):
        under = draw(st.sampled_from([None, *top]))
        (top if under is None else under.setdefault("concept", [])).append(item)
    found: Item = {
        "resourceType": "CodeSystem", "url": URL, "version": "1",
        "status": draw(st.sampled_from(["active", "draft", "retired"])), "experimental": draw(st.booleans()),
        "content": draw(st.sampled_from(["complete", "fragment"])), "language": "en",
        "property": [{"code": "colour", "type": "code"}], "concept": top,
    }  # fmt: skip
    if (sensitive := draw(st.sampled_from([True, False, None]))) is not None:
        found["caseSensitive"] = sensitive
    return found


CHOSEN = st.one_of(
    st.tuples(
        st.just("concept"),
        st.sampled_from(["is-a", "descendent-of", "is-not-a", "generalizes", "child-of", "descendent-leaf"]),
        st.sampled_from(CODES),
    ),
    st.tuples(st.just("colour"), st.sampled_from(["=", "in", "not-in"]), st.sampled_from(["red", "red,blue"])),
    st.tuples(st.sampled_from(["colour", "parent", "child"]), st.just("exists"), st.sampled_from(["true", "false"])),
    st.tuples(st.just("inactive"), st.just("="), st.sampled_from(["true", "false"])),
    st.tuples(st.sampled_from(["parent", "child"]), st.just("="), st.sampled_from(CODES)),
    st.tuples(st.just("code"), st.sampled_from(["in", "not-in", "regex"]), st.sampled_from(["a,b1", "[a-b].*"])),
)


class One:
    """A source of one code system."""

    def __init__(self, system: CodeSystem) -> None:
        self._system = system

    def code_systems(self, url: str) -> list[Candidate[CodeSystem]]:
        return [Candidate("1", lambda: self._system)] if url == URL else []

    def value_sets(self, _url: str) -> list[Any]:
        return []


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=database_url))
    yield opened
    opened.close()


def put(store: SqlStore, resource: Item, resource_id: str = "a") -> LargeCodeSystem:
    """Let the store hold `resource` as a large one."""
    with store.transaction() as transaction:
        current = transaction.read("CodeSystem", resource_id)
        version = current.version + 1 if current else 1
        written = Stored("CodeSystem", resource_id, version, transaction.moment(current), "R5", dumps(resource))
        transaction.write(written, "PUT", [stored.LargeCodeSystem(resource)])
    held = store.code_system(resource_id)
    assert held is not None
    return LargeCodeSystem(store, held)


def answers(system: CodeSystem) -> Iterator[Any]:
    """What a code system says of itself."""
    yield (
        system.canonical,
        system.publication,
        system.held,
        system.size,
        system.content,
        system.used,
        dict(system.properties),
    )
    yield [*system.codes()]
    for code in (*CODES, "stray", "none", "É", "C-2"):
        yield code, system.find(code), system.parents_of(code), system.children_of(code)
        yield system.ancestors(code), system.descendants(code)
        yield [one for one in CODES if one in system.all_below(code)]
    yield [*system.find_many(CODES)]
    yield [system.subsumes(one, other) for one, other in product(CODES, CODES)]


def told(system: CodeSystem, include: Item, wanted: Wanted) -> Any:
    """What a value set with one include answers, or the error."""
    try:
        return expansions(system, include, wanted)
    except FhirError as error:
        return type(error), str(error)


def expansions(system: CodeSystem, include: Item, wanted: Wanted) -> Item:
    compiler = Compiler(Resolver([One(system), Given([])]))
    value_set = {"resourceType": "ValueSet", "url": "http://example.org/v", "compose": {"include": [include]}}
    members = compiler.resource(value_set)
    found = expand(members, value_set, wanted)["expansion"]
    inside = [members.find(Question(URL, code), Steps("v")) is not None for code in CODES]
    return {**found, "identifier": "", "timestamp": "", "inside": inside}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_the_store_answers_as_memory_does(store: SqlStore, data: st.DataObject) -> None:
    resource = data.draw(resources())
    memory, large = code_system(parse(dumps(resource))), put(store, resource)
    assert [*answers(large)] == [*answers(memory)]
    for _ in range(4):
        chosen = data.draw(st.lists(CHOSEN, max_size=2))
        include: Item = {"system": URL}
        if chosen:
            include["filter"] = [{"property": name, "op": op, "value": value} for name, op, value in chosen]
        wanted = Wanted(
            filter=data.draw(st.sampled_from(FILTERS)),
            offset=data.draw(st.sampled_from([None, 0, 1, 3, 99])),
            count=data.draw(st.sampled_from([None, 0, 1, 2, 99])),
            active_only=data.draw(st.booleans()),
            exclude_not_for_ui=data.draw(st.booleans()),
            include_designations=data.draw(st.booleans()),
            exclude_nested=data.draw(st.booleans()),
            languages=data.draw(st.sampled_from([None, Languages("de", ("de",)), Languages("en", ("en",))])),
            properties=("parent", "child", "colour"),
        )
        assert told(large, include, wanted) == told(memory, include, wanted)


def small(**more: Any) -> Item:
    return {
        "resourceType": "CodeSystem", "id": "a", "url": URL, "version": "1", "status": "active", "content": "complete",
        "caseSensitive": True, "concept": [{"code": "a", "display": "Alpha"}, {"code": "b", "display": "Beta"}], **more,
    }  # fmt: skip


def test_what_was_read_of_an_earlier_state_is_never_mixed_with_a_later_one(store: SqlStore) -> None:
    before = put(store, small())
    again = put(store, small(title="The same concepts"))
    assert [one.code for one in before.codes()] == [one.code for one in again.codes()] == ["a", "b"]
    put(store, small(concept=[{"code": "c"}]))
    for ask in (lambda: before.find("b"), lambda: before.page(ALL, 0, 5), lambda: before.descendants("a")):
        with pytest.raises(Busy, match="changed while it was read"):
            ask()


def rows_left(store: SqlStore) -> list[int]:
    """How many rows there are in the tables of concepts."""
    counts = [select(func.count()).select_from(table) for table in TABLES]
    return [store.rows(Statement(str(one.compile()), (), {}), ())[0][0] for one in counts]


@pytest.mark.parametrize("how", ["deleted", "small"])
def test_the_concepts_go_with_the_resource(store: SqlStore, how: Literal["deleted", "small"]) -> None:
    put(store, small(concept=[{"code": "a", "property": [{"code": "inactive", "valueBoolean": True}]}]))
    assert rows_left(store) == [1, 1, 1]
    with store.transaction() as transaction:
        body = None if how == "deleted" else dumps(small())
        moment = transaction.moment(transaction.read("CodeSystem", "a"))
        transaction.write(Stored("CodeSystem", "a", 2, moment, "R5", body), "PUT", [])
    assert rows_left(store) == [0, 0, 0]
    assert store.code_system("a") is None
    assert store.code_systems(URL) == []
