"""What `apothecary.store.contract` promises, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from apothecary.errors import Busy, Conflict, StartError
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.search.predicates import Compare, Row
from apothecary.search.query import Query
from apothecary.search.rows import TokenRow
from apothecary.settings import Settings
from apothecary.store import history
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.postgresql import GENUINE, PostgresqlStore
from apothecary.store.sql import SqlStore, Statements
from apothecary.store.sqlite import SqliteStore
from apothecary.store.statements import Statement
from apothecary.store.write import TOGETHER
from tests.databases import ENDLESS
from tests.store.test_migrate import rows
from tests.waiting import until

REGISTRY = Registry(FhirVersion.R5, ("AuditEvent", "Bundle", "Medication", "Organization", "Substance"))


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=emptied_url, threads=4))
    yield opened
    opened.close()


def put(store: SqlStore, key: str, version: int = 1, *, at: int = 0, **elements: Any) -> None:
    """One version in a transaction of its own."""
    kind, _, identity = key.partition("/")
    resource = {"resourceType": kind, "id": identity, **elements}
    stored = Stored(kind, identity, version, at or version * 1000, "R5", dumps(resource))
    store.write(lambda transaction: transaction.write(stored, "PUT", REGISTRY.rows(resource)))


def delete(store: SqlStore, key: str, version: int) -> None:
    kind, _, identity = key.partition("/")
    with store.transaction() as transaction:
        transaction.write(Stored(kind, identity, version, version * 1000, "R5", None), "DELETE", ())


def find(store: SqlStore, kind: str, text: str) -> list[str]:
    """The ids that a search finds, by the index."""
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in text.split("&") if one]
    return [hit.id for hit in store.search(parse(Context(REGISTRY, (kind,)), pairs).query).hits]


def test_what_was_written_is_read_to_the_byte(store: SqlStore) -> None:
    body = '{"resourceType":"Medication","id":"m","x":0.50,"y":"ñ\U0001f48a"}'.encode()
    with store.transaction() as transaction:
        transaction.write(Stored("Medication", "m", 1, 5, "R4", body), "POST", ())
    found = store.read("Medication", "m")
    assert found == Stored("Medication", "m", 1, 5, "R4", body)
    assert found is not None
    assert not found.deleted
    assert store.read("Medication", "M") is None
    assert store.read("Organization", "m") is None


def test_versions_are_kept_and_listed_newest_first(store: SqlStore) -> None:
    put(store, "Medication/m")
    put(store, "Medication/m", 2, status="active")
    delete(store, "Medication/m", 3)
    put(store, "Medication/m", 4, status="inactive")
    past = store.history("Medication", "m", count=10)
    assert [(one.version, one.method, one.body is None) for one in past] == [
        (4, "PUT", False),
        (3, "DELETE", True),
        (2, "PUT", False),
        (1, "PUT", False),
    ]
    assert [one.version for one in store.history("Medication", "m", count=2, before=4)] == [3, 2]
    assert [one.version for one in store.history("Medication", "m", count=9, since=3000)] == [4, 3]
    assert store.history_total("Medication", "m") == 4
    assert store.history_total("Medication", "m", since=3000) == 2
    second = store.read_version("Medication", "m", 2)
    assert second is not None
    assert second.body is not None
    assert b"active" in second.body
    assert store.read_version("Medication", "m", 5) is None


def test_a_history_over_types_has_those_types_only(store: SqlStore) -> None:
    for number, kind in enumerate(("Medication", "Organization", "Substance", "Medication"), 1):
        put(store, f"{kind}/x{number}", at=number * 1000)
    types = ("Medication", "Substance")
    assert [one.id for one in store.history_of(None, types=types, count=9)] == ["x4", "x3", "x1"]
    assert [one.id for one in store.history_of(None, types=types, count=9, since=3000)] == ["x4", "x3"]
    assert [one.id for one in store.history_of(None, types=types, count=1, before=(3000, "Substance", "x3", 1))] == [
        "x1"
    ]
    assert [one.id for one in store.history_of(None, types=types, count=9, at=(1000, 3500))] == ["x3", "x1"]
    assert store.history_of_total(None, types=types) == 3
    assert store.history_of_total(None, types=types, since=3000) == 2
    assert store.history_of(None, types=(), count=9) == []


def test_a_history_over_types_goes_by_time_and_sorts_nothing(sqlite_database_url: str) -> None:
    opened = open_store(Settings(database=sqlite_database_url))
    dialect = opened.statements.dialect
    statement = Statements(dialect).get("plan", lambda: history.history_of(dialect, False, True, False, False, False))
    explained = statement._replace(text=f"EXPLAIN QUERY PLAN {statement.text}")
    plan = " ".join(str(row[-1]) for row in opened.rows(explained, statement.bind({"types": "[]", "limit": 1})))
    assert "resource_written" in plan
    assert "ORDER BY" not in plan
    opened.close()


def test_a_stale_version_is_a_conflict_and_changes_nothing(store: SqlStore) -> None:
    put(store, "Medication/m", status="active")
    put(store, "Medication/m", 2, status="inactive")
    for version in (1, 2, 4):
        with pytest.raises(Conflict):
            put(store, "Medication/m", version, status="entered-in-error")
    assert store.history_total("Medication", "m") == 2
    assert find(store, "Medication", "status=inactive") == ["m"]


def test_a_transaction_that_fails_leaves_nothing_behind(store: SqlStore) -> None:
    put(store, "Medication/old", status="active")

    def fail() -> None:
        with store.transaction() as transaction:
            for key in ("new", "old"):
                transaction.write(Stored("Medication", key, 1, 1, "R5", b"{}"), "PUT", ())

    with pytest.raises(Conflict):
        fail()
    assert store.read("Medication", "new") is None
    assert store.state("x") is None


def test_a_transaction_reads_its_own_writes_and_others_do_not(store: SqlStore) -> None:
    resource = {"resourceType": "Medication", "id": "m", "status": "active"}
    with store.transaction() as transaction:
        stored = Stored("Medication", "m", 1, 1, "R5", dumps(resource))
        transaction.write(stored, "PUT", REGISTRY.rows(resource))
        assert transaction.read("Medication", "m") == stored
        query = parse(Context(REGISTRY, ("Medication",)), [("status", "active")]).query
        assert [hit.id for hit in transaction.search(query).hits] == ["m"]
        with ThreadPoolExecutor(1) as outside:
            assert outside.submit(store.read, "Medication", "m").result() is None
    assert store.read("Medication", "m") == stored


def test_the_index_shows_the_current_version_only(store: SqlStore) -> None:
    put(store, "Medication/m", status="active", code={"coding": [{"code": "a"}, {"code": "b"}]})
    assert find(store, "Medication", "code=a") == find(store, "Medication", "code=b") == ["m"]
    put(store, "Medication/m", 2, status="inactive")
    assert find(store, "Medication", "status=inactive") == ["m"]
    for gone in ("status=active", "code=a", "code:missing=false"):
        assert find(store, "Medication", gone) == []
    delete(store, "Medication/m", 3)
    for nothing in ("", "status=inactive", "status:not=active", "_id=m", "status:missing=true"):
        assert find(store, "Medication", nothing) == []
    assert store.count(Query({"Medication": None})) == 0


def test_many_are_read_at_once_without_what_is_deleted_or_missing(store: SqlStore) -> None:
    for key in ("Medication/a", "Medication/b", "Organization/a"):
        put(store, key)
    delete(store, "Medication/b", 2)
    wanted = [("Medication", "a"), ("Medication", "b"), ("Organization", "a"), ("Substance", "none")]
    assert {(one.type, one.id) for one in store.read_many(wanted)} == {("Medication", "a"), ("Organization", "a")}
    assert store.existing(wanted) == {("Medication", "a"), ("Organization", "a")}
    assert store.read_many([]) == []
    assert [one.id for one in store.all_of_type("Medication") if not one.deleted] == ["a"]


def test_references_are_followed_in_both_directions(store: SqlStore) -> None:
    put(store, "Organization/o")
    put(store, "Medication/a", marketingAuthorizationHolder={"reference": "Organization/o"})
    put(
        store,
        "Medication/b",
        marketingAuthorizationHolder={"reference": "Organization/o"},
        ingredient=[{"item": {"reference": {"reference": "Medication/a"}}}],
    )
    holder = "marketingauthorizationholder"
    assert store.referenced("Medication", holder, None, ["a", "b"], 9) == [("Organization", "o")]
    assert set(store.referenced("Medication", None, None, ["b"], 9)) == {("Organization", "o"), ("Medication", "a")}
    assert store.referenced("Medication", None, "Medication", ["a", "b"], 9) == [("Medication", "a")]
    assert set(store.referring("Medication", holder, [("Organization", "o")], 9)) == {
        ("Medication", "a"),
        ("Medication", "b"),
    }
    assert len(store.referring("Medication", holder, [("Organization", "o")], 1)) == 1
    assert store.referring("Medication", "ingredient", [("Organization", "o")], 9) == []
    assert set(store.referrers("Organization", "o", 9)) == {("Medication", "a"), ("Medication", "b")}


def test_what_points_to_a_resource_is_known_whether_a_parameter_reads_it_or_not(
    store: SqlStore, emptied_url: str
) -> None:
    to = {"reference": "Organization/o"}
    inside = {"resourceType": "Medication", "id": "i", "marketingAuthorizationHolder": to}
    put(store, "Medication/read", marketingAuthorizationHolder=to)
    put(store, "Medication/unread", extension=[{"url": "http://ex.org/x", "valueReference": to}])
    put(store, "Medication/both", marketingAuthorizationHolder=to, definition=to)
    put(store, "Medication/inside", contained=[inside])
    # What a parameter of a Bundle reads is the Bundle's own, and called the same by chance.
    held = {"resourceType": "Composition", "id": "c"}
    put(store, "Bundle/b", type="document", entry=[{"resource": held}])
    put(store, "Bundle/signed", type="document", signature={"who": to})
    put(store, "AuditEvent/a", agent=[{"who": to}])
    pointing = ["Bundle/signed", *(f"Medication/{one}" for one in ("both", "inside", "read", "unread"))]
    assert ["/".join(key) for key in store.referrers("Organization", "o", 9)] == pointing
    assert store.referrers("Composition", "c", 9) == []
    own = "FROM index_reference WHERE type = 'Medication' AND target_id = 'o'"
    (counts,) = rows(emptied_url, f"SELECT id, count(*) {own} GROUP BY id ORDER BY id")
    assert counts == [("both", 1), ("inside", 1), ("read", 1), ("unread", 1)]


def test_what_is_remembered_of_a_database_is_what_anybody_wrote_last(store: SqlStore, emptied_url: str) -> None:
    other = open_store(Settings(database=emptied_url))
    for number in range(4):
        writer = (store, other)[number % 2]
        for _ in range(2):
            assert [one.state("name") for one in (store, other)] == [None if number == 0 else str(number)] * 2
        writer.write(lambda transaction, value=number + 1: transaction.set_state("name", str(value)))
    store.write(lambda transaction: transaction.forget_state("name"))
    assert [one.state("name") for one in (other, store)] == [None, None]
    other.close()


def test_a_statement_past_its_time_is_given_up_as_busy(emptied_url: str) -> None:
    open_store(Settings(database=emptied_url)).close()
    hurried = open_store(Settings(database=emptied_url, request_seconds=0.5))
    with pytest.raises(Busy, match="longer than the limit"):
        hurried.rows(Statement(ENDLESS, (), {}), ())

    def answers() -> bool:
        with suppress(Busy):
            return find(hurried, "Organization", "name=x") == []
        return False

    assert until(answers), "the next statement has its own time"
    hurried.close()


@pytest.mark.parametrize("version", [1, 2])
def test_of_two_writers_of_one_version_one_wins_and_one_is_told(store: SqlStore, version: int) -> None:
    for before in range(1, version):
        put(store, "Medication/m", before)
    start = threading.Barrier(2)

    def write(status: str) -> str:
        start.wait()
        try:
            put(store, "Medication/m", version, status=status)
        except (Conflict, Busy):
            return "told"
        return status

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(write, ("active", "inactive")))
    (winner,) = (one for one in results if one != "told")
    assert find(store, "Medication", f"status={winner}") == ["m"]
    assert store.history_total("Medication", "m") == version


def test_many_threads_write_and_read_without_disturbing_one_another(store: SqlStore) -> None:
    def work(name: int) -> int:
        for version in range(1, 6):
            put(store, f"Medication/m{name}", version, status="active")
        return len(find(store, "Medication", f"_id=m{name}"))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [1] * 6
    assert store.count(Query({"Medication": None})) == 6


def test_state_is_remembered_and_replaced(store: SqlStore) -> None:
    for value in ("one", "two"):
        with store.transaction() as transaction:
            transaction.set_state("name", value)
        assert store.state("name") == value


def test_what_was_written_is_there_when_the_database_is_opened_again(emptied_url: str) -> None:
    settings = Settings(database=emptied_url)
    first = open_store(settings)
    put(first, "Medication/m")
    first.close()
    second = open_store(settings)
    assert second.read("Medication", "m") is not None
    second.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/name"])
def test_a_database_that_cannot_be_used_stops_the_start(url: str) -> None:
    with pytest.raises(StartError):
        open_store(Settings(database=url))


# -- whether anything changed


def test_whatever_is_committed_through_any_store_changes_the_state(store: SqlStore, emptied_url: str) -> None:
    other = open_store(Settings(database=emptied_url))
    seen = [store.changes()]
    for number, writer in enumerate((store, other, store, other), 1):
        put(writer, "Medication/a", number)
        seen.append(store.changes())
    other.write(lambda transaction: transaction.set_state("any", "thing"))
    seen.append(store.changes())
    assert None not in seen
    assert len(set(seen)) == len(seen)
    other.close()


def test_what_only_reads_leaves_the_state_as_it_was(store: SqlStore, emptied_url: str) -> None:
    other = open_store(Settings(database=emptied_url))
    put(store, "Medication/a")

    # A server's own housekeeping may come between, but not for ever.
    def unchanged() -> bool:
        before = store.changes()
        for one in (store, other):
            one.read("Medication", "a")
            one.types()
        return before == store.changes()

    assert until(unchanged)
    other.close()


def test_what_another_has_begun_and_not_committed_is_no_change_until_it_is(store: SqlStore, emptied_url: str) -> None:
    other = open_store(Settings(database=emptied_url))
    with other.transaction() as transaction:
        transaction.set_state("any", "thing")
        began = store.changes()
        assert store.state("any") is None
    assert store.changes() != began
    assert store.state("any") == "thing"
    other.close()


def test_a_new_connection_counts_anew_and_is_not_mistaken_for_the_old_one(
    store: SqlStore,
) -> None:
    if isinstance(store, SqliteStore):
        before = store.changes()
        store._watch.close()  # type: ignore[union-attr] # it was opened just now
        with pytest.raises(sqlite3.ProgrammingError):
            store.changes()
        assert store.changes() != before
    elif isinstance(store, PostgresqlStore):
        assert until(lambda: store.changes() == store.changes())
        before = store.changes()
        store._connections.opened += 1
        assert store.changes() != before


@pytest.mark.parametrize(
    ("version", "trusted"),
    [
        ("PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc", True),
        ("PostgreSQL 17beta2 on aarch64-unknown-linux-gnu, compiled by gcc", True),
        ("PostgreSQL 16.1 (Homebrew) on aarch64-apple-darwin", True),
        ("PostgreSQL 11.2-YB-2.17.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang", False),
        ("PostgreSQL 12.12 (Greenplum Database 7.0.0 build) on x86_64-pc-linux-gnu", False),
        ("CockroachDB CCL v23.1.0 (x86_64-pc-linux-gnu)", False),
    ],
)
def test_an_engine_that_only_speaks_the_language_is_not_believed(version: str, trusted: bool) -> None:
    assert (GENUINE.match(version) is not None) is trusted


def test_however_many_rows_there_are_each_is_written_once(emptied_url: str) -> None:
    store = open_store(Settings(database=emptied_url))
    try:
        for count in (1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER + 5):
            stored = Stored("Medication", f"m{count}", 1, 1_700_000_000_000_000 + count, "R5", b"{}")
            rows = [TokenRow("code", "urn:s", f"{count} {number}") for number in range(count)]
            with store.transaction() as transaction:
                transaction.write(stored, "PUT", rows)
            for number in range(count):
                found = Row("token", "code", Compare("code", "=", f"{count} {number}"))
                assert [hit.id for hit in store.search(Query({"Medication": found})).hits] == [f"m{count}"]
    finally:
        store.close()


def test_each_of_the_parameters_that_have_rows_in_common_finds_them(store: SqlStore) -> None:
    put(store, "Medication/a", identifier=[{"system": "s", "value": "1"}])
    put(store, "Medication/b", at=2000, identifier=[{"value": "2"}], status="active")
    put(store, "Medication/c", at=3000)
    for code in ("identifier", "serial-number"):
        assert find(store, "Medication", f"{code}=1") == ["a"]
        assert find(store, "Medication", f"{code}=s|") == ["a"]
        assert find(store, "Medication", f"{code}:missing=true") == ["c"]
        assert find(store, "Medication", f"{code}:not=1&_sort=-{code}") == ["b", "c"]
        assert find(store, "Medication", f"{code}=1,2&serial-number=2&identifier=2") == ["b"]
