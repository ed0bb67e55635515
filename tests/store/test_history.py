"""What was and what is lie apart, and are read as one: in order, page by page, at a moment, after a migration."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from apothecary.fhir.json import dumps
from apothecary.settings import Settings
from apothecary.store.bulk import Bulk
from apothecary.store.check import disagreements
from apothecary.store.contract import LOADED, Past, Stored
from apothecary.store.migrate import migrate
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from tests.store.reading import Reading
from tests.store.test_migrate import lower, rows
from tests.store.test_store import REGISTRY

# What is written, in this order: key, method. Each a second after the one before.
WRITTEN = [
    ("Medication/a", "POST"),
    ("Organization/b", "PUT"),
    ("Medication/c", LOADED),
    ("Medication/a", "PATCH"),
    ("Medication/c", "DELETE"),
    ("Medication/a", "PUT"),
    ("Medication/d", LOADED),
    ("Medication/c", "PUT"),
]
SECOND = 1_000_000


def write_all(store: SqlStore) -> list[Past]:
    """Write them, each with something that it contains; every version, newest first."""
    versions: dict[str, int] = {}
    made = []
    for number, (key, method) in enumerate(WRITTEN, 1):
        kind, _, identity = key.partition("/")
        version = versions[key] = versions.get(key, 0) + 1
        # The type of what is contained sorts between the others; it is in no history.
        inner = {"resourceType": "Medication", "id": "inner", "status": "active"}
        resource = {"resourceType": kind, "id": identity, "meta": {"versionId": str(version)}, "contained": [inner]}
        body = None if method == "DELETE" else dumps(resource)
        stored = Stored(kind, identity, version, number * SECOND, "R4" if number % 2 else "R5", body)
        found = [] if body is None else list(REGISTRY.rows(resource))
        store.write(lambda transaction: transaction.write(stored, method, found))  # noqa: B023 (called at once)
        made.append(Past(*stored, method))
    return made[::-1]


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=database_url))
    yield opened
    opened.close()


def is_as_written(store: SqlStore, versions: list[Past]) -> None:
    """Every way to read what was gives these versions, and the database agrees with itself."""
    assert store.history_of(None, count=99) == versions
    assert store.history_of_total(None) == store.written("Medication") + 1 == len(versions)
    for kind in ("Medication", "Organization", "Substance"):
        assert store.history_of(kind, count=99) == [one for one in versions if one.type == kind]
    for one in versions:
        assert store.read_version(*one[:3]) == one
        same = [other for other in versions if other[:2] == one[:2]]
        assert store.history(*one[:2], count=99) == same
        assert store.history_total(*one[:2]) == len(same)
        assert store.read(*one[:2]) == same[0][:6]
    for page in (1, 3):
        read: list[Past] = []
        while found := store.history_of(None, count=page, before=(read and _place(read[-1])) or None):
            read += found
        assert read == versions
    for moment in range(len(WRITTEN) + 2):
        then = _then(versions, moment * SECOND)
        keys = sorted(one[:6] for one in then if one.type == "Medication")
        assert sorted(Bulk(store).as_of("Medication", list("abcd"), moment * SECOND)) == keys
        # What the span begins with, and what came in it.
        during = {*then, *(one for one in versions if moment * SECOND <= one.updated < (moment + 3) * SECOND)}
        span = moment * SECOND, (moment + 3) * SECOND
        found = store.history_of(None, count=99, at=span)
        assert found == [one for one in versions if one in during]
        assert store.history_of_total(None, at=span) == len(found)
        since = [one for one in versions if one.updated >= moment * SECOND]
        assert store.history_of(None, count=99, since=moment * SECOND) == since
        later = [one[:2] for one in store.history_of(None, count=99) if one.updated > moment * SECOND]
        last = dict.fromkeys(later)
        assert Bulk(store).changed_since(moment * SECOND, 99) == [*last][::-1]
    assert [one.id for one in store.sent("Medication")] == ["a", "c"]
    assert store.write(lambda transaction: transaction.moment()) >= versions[0].updated
    assert list(disagreements(store, lambda _: None)) == []


def _place(one: Past) -> tuple[int, str, str, int]:
    return one.updated, one.type, one.id, one.version


def _then(versions: list[Past], moment: int) -> list[Past]:
    """What was current at a moment, of versions that come newest first."""
    found: dict[tuple[str, str], Past] = {}
    for one in versions:
        if one.updated <= moment:
            found.setdefault((one.type, one.id), one)
    return list(found.values())


def test_whatever_is_asked_of_the_past_both_tables_answer_as_one(store: SqlStore) -> None:
    is_as_written(store, write_all(store))


def test_each_text_is_in_the_database_once(store: SqlStore, database_url: str) -> None:
    written = write_all(store)
    tables = "SELECT count(body) FROM {}".format
    ((current,),), ((before,),) = rows(database_url, tables("resource"), tables("superseded"))
    assert current + before == sum(one.body is not None for one in written)


def test_versions_of_an_older_database_are_there_after_the_migration(store: SqlStore, database_url: str) -> None:
    versions = write_all(store)
    lower(database_url, "0007")
    ((count,),) = rows(database_url, "SELECT count(*) FROM version")
    assert count == (len(versions),)
    assert migrate(Settings(database=database_url))[0] == "0007"
    is_as_written(store, versions)
    # And it goes on from there.
    following = Stored("Medication", "a", 4, 99 * SECOND, "R5", dumps({"resourceType": "Medication", "id": "a"}))
    store.write(lambda transaction: transaction.write(following, "PUT", ()))
    assert [one.version for one in store.history("Medication", "a", count=9)] == [4, 3, 2, 1]


MANY = 20_000
FILL = """INSERT INTO {table} (type, id, version, updated, fhir_version, method, {more})
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many})
    SELECT CASE n % 2 WHEN 0 THEN 'Medication' ELSE 'Substance' END, 'r' || n, {version}, {updated}, 'R5', 'PUT',
        {value} FROM numbers"""


def test_a_page_of_a_history_reads_no_more_than_a_page(store: SqlStore, database_url: str) -> None:
    sqlite, late = database_url.startswith("sqlite"), f"n + {MANY}"
    no = "0" if sqlite else "false"
    rows(
        database_url,
        FILL.format(table="superseded", version=1, updated="n", more="replaced", value=late, many=MANY),
        FILL.format(table="resource", version=2, updated=late, more="deleted", value=no, many=MANY),
    )
    reading = Reading(store, database_url)
    if not sqlite:
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ANALYZE")
    for ask, most in (
        (lambda: store.history_of(None, count=20), 60),
        (lambda: store.history_of("Medication", count=20), 60),
        (lambda: store.history_of(None, types=["Medication"], count=20), 100),
        (lambda: store.history_of(None, count=20, before=(MANY + 100, "Medication", "r100", 2)), 60),
        (lambda: store.history_of(None, count=20, before=(100, "Medication", "r100", 1)), 60),
        (lambda: store.history_of("Medication", count=20, since=10), 60),
        (lambda: store.history("Medication", "r100", count=20), 4),
        (lambda: Bulk(store).changed_since(10, 20), 60),
    ):
        found, read = reading.of(ask)
        assert len(found) == (2 if most == 4 else 20)
        assert read <= (10 if sqlite else most)
    assert store.history_of(None, count=20)[0].updated == 2 * MANY
    one, read = reading.of(lambda: store.read_version("Medication", "r100", 2))
    assert one is not None
    assert read <= 1
