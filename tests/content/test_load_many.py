"""A large load into an empty database goes another way than REST, and leaves the same."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from apothecary.app import create_app
from apothecary.content import index_rules, load, workers
from apothecary.content.definitions import serving
from apothecary.content.indexing import Indexing
from apothecary.content.items import Failure
from apothecary.content.load import Loader
from apothecary.content.stream import Text
from apothecary.content.sync import sync
from apothecary.errors import Busy, StartError
from apothecary.settings import Settings
from apothecary.store import filling, tables
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite import SqliteStore
from tests.databases import fresh_database
from tests.defined import COLOUR
from tests.durability.processes import unsound
from tests.mass import on
from tests.waiting import PATIENCE, until

CONTENT = Path(__file__).parent.parent.parent / "resources"

CODES: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "id": "codes",
    "url": "http://ex.org/codes",
    "status": "active",
    "content": "not-present",
    "caseSensitive": True,
}


def medication(number: int, **more: Any) -> dict[str, Any]:
    """A Medication that says something in each table of the index."""
    return {
        "resourceType": "Medication",
        "id": f"m{number:05}",
        "code": {"coding": [{"system": "http://ex.org/codes", "code": f"C{number % 7}"}], "text": f"Ácid {number}"},
        "doseForm": {"coding": [{"code": "red" if number % 2 else "blue"}]},
        "marketingAuthorizationHolder": {"reference": f"Organization/o{number % 3}"},
        "batch": {"lotNumber": f"L{number}", "expirationDate": f"2030-01-{1 + number % 28:02}"},
        "ingredient": [{"item": {"concept": {"text": "x"}}, "strengthQuantity": {"value": number, "unit": "mg"}}],
        **more,
    }


CONTAINING = medication(
    99999, contained=[{"resourceType": "Organization", "id": "in", "name": "Inside"}],
    marketingAuthorizationHolder={"reference": "#in"},
)  # fmt: skip


def every_kind() -> list[dict[str, Any]]:
    """Definitions, some resources of each type of the content, one with another inside, and many small ones."""
    found = [CODES, COLOUR]
    for folder in sorted(CONTENT.iterdir(), key=lambda one: (one.name != "SearchParameter", one.name)):
        # What is named as types are.
        files = sorted(folder.glob("*.json")) if folder.name[0].isupper() and folder.is_dir() else []
        found += [json.loads(one.read_text()) for one in (files if folder.name == "SearchParameter" else files[:2])]
    return [*found, CONTAINING, *map(medication, range(30))]


def texts(some: Iterable[dict[str, Any]]) -> list[Text]:
    return [
        Text("some.ndjson", json.dumps(one, default=float).encode(), "ndjson", first_line=number)
        for number, one in enumerate(some, start=1)
    ]


@pytest.fixture
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else would be a small load is a large one, and one process is enough for it."""
    monkeypatch.setattr(load, "FEW", 5)
    monkeypatch.setattr(load, "CHUNK", 7)
    monkeypatch.setattr(load, "RESOURCES", 4)
    monkeypatch.setattr(workers, "how_many", lambda: 1)


def fill(store: SqlStore, some: Iterable[dict[str, Any]], *, validation: bool = False) -> tuple[str, list[Failure]]:
    """What a load tells."""
    failed: list[Failure] = []
    loader = Loader(store, Settings(content=""), failed.append, validation=validation)
    loader.load(texts(some))
    return str(loader.loaded), failed


def index_of(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the index, but for the numbers that SQLite gives to passages."""
    engine = create_engine(make_url(database), poolclass=NullPool)
    found = {}
    with engine.connect() as connection:
        for name, table in {**tables.INDEXES, "vocabulary": tables.vocabulary}.items():
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            rows = connection.execute(text(f"SELECT {columns} FROM {table.name}"))
            found[name] = sorted(tuple(row) for row in rows)
    return found


def built(database: str) -> set[str]:
    """The indexes of the database that are there and can be used."""
    if make_url(database).get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(make_url(database).database))) as connection:
            # It fails where the words of a passage and their index do not agree.
            connection.execute("INSERT INTO index_text_words (index_text_words) VALUES ('integrity-check')")
            return {one for (one,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        names = "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indisvalid"
        usable = f"SELECT name FROM ({names}) AS every WHERE name !~ '^pg_'"
        return {one for (one,) in connection.execute(usable)}


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """A second empty database of the same kind."""
    if make_url(database_url).get_backend_name() == "sqlite":
        yield f"sqlite:///{tmp_path / 'other.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_url")) as url:
            yield url


def analysed(database: str) -> bool:
    """Whether PostgreSQL's planner knows what the tables hold; SQLite's needs not."""
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        return True
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        known = "SELECT count(*) FROM pg_stats WHERE tablename IN ('resource', 'index_token', 'index_text')"
        return connection.execute(known).fetchone() != (0,)


@pytest.mark.slow
@pytest.mark.usefixtures("_many")
def test_after_a_load_in_bulk_the_keys_of_postgresql_have_full_pages(postgresql_database_url: str) -> None:
    store = open_store(Settings(database=postgresql_database_url))
    # In no order of their ids: row by row, each page would be cut in two where it is full.
    some = [medication(number * 7919 % 10_000) for number in range(1000)]
    assert fill(store, some)[0] == "1000 created, 0 updated, 0 unchanged, 0 failed"
    store.close()
    url = make_url(postgresql_database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("resource_pkey", "superseded_pkey", *(f"{one.name}_resource" for one in tables.INDEXES.values())):
            size = "SELECT pg_relation_size(%s)"
            before = connection.execute(size, [name]).fetchone()
            connection.execute(f"REINDEX INDEX {name}")
            assert connection.execute(size, [name]).fetchone() == before, name


@pytest.mark.slow
@pytest.mark.usefixtures("_many")
def test_what_is_loaded_in_bulk_is_what_rest_would_have_written(database_url: str, other_url: str) -> None:
    store = open_store(Settings(database=database_url))
    indexes = built(database_url)
    some = every_kind()
    said, failed = fill(store, some, validation=True)
    assert (said, failed) == (f"{len(some)} created, 0 updated, 0 unchanged, 0 failed", [])
    assert store.state(filling.LEFT_OUT) is None
    store.close()
    assert analysed(database_url)
    assert built(database_url) == indexes
    settings = Settings(database=other_url, content="", references="allowed")
    over_rest = open_store(settings)
    client = create_app(settings, over_rest).test_client()
    for one in some:
        found = client.put(
            f"/fhir/r5/{one['resourceType']}/{one['id']}", data=json.dumps(one), content_type="application/fhir+json"
        )
        assert found.status_code == 201, found.text
    # A definition that came later is indexed beside; a store is not closed under who works with it.
    assert until(lambda: not any(one.name == "indexing" for one in threading.enumerate()))
    over_rest.close()
    expected, there = index_of(other_url), index_of(database_url)
    assert all(there.values())
    for name, rows in expected.items():
        assert there[name] == rows, name


@pytest.mark.usefixtures("_many")
def test_a_large_load_leaves_nothing_for_the_next_start_to_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    fill(store, [CODES, COLOUR, *map(medication, range(20))])
    assert not serving(settings, store).incomplete
    # Not even for another version, as long as it extracts the same.
    monkeypatch.setattr(index_rules, "VERSION", "99.0")
    assert sync(settings, store).reindexed == 0
    known = serving(settings, store)
    assert (known.incomplete, known.due, known.behind) == ({}, False, False)
    store.close()
    assert unsound(database_url) == []


@pytest.mark.usefixtures("_many")
def test_where_many_will_come_other_processes_begin_before_the_first_is_there(
    sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    begin = workers.Workers.begin

    def noted(self: workers.Workers, given: workers.Given) -> str:
        begun.append(given.generation)
        return begin(self, given)

    def some() -> Iterator[Text]:
        assert begun
        yield from texts(map(medication, range(3)))

    monkeypatch.setattr(workers.Workers, "begin", noted)
    store = open_store(Settings(database=sqlite_database_url))
    try:
        loader = Loader(store, Settings(content=""), lambda _: None)
        loader.load(some(), many=True)
        assert (loader.loaded.created, len(begun)) == (3, 1)
    finally:
        store.close()


@pytest.mark.usefixtures("_many")
def test_what_is_defined_in_a_load_counts_for_what_follows_and_is_due_for_what_came_before(database_url: str) -> None:
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    fill(store, [*map(medication, range(20)), COLOUR, CODES, *map(medication, range(20, 40))])
    rows = [row for row in index_of(database_url)["token"] if row[2] == "colour"]
    assert {row[1] for row in rows} == {f"m{number:05}" for number in range(20, 40)}
    assert serving(settings, store).incomplete
    assert Indexing(settings, store).run()
    assert not serving(settings, store).incomplete
    store.close()
    assert unsound(database_url) == []


@pytest.mark.usefixtures("_many")
def test_a_resource_that_comes_twice_gets_a_version_and_an_equal_one_none(database_url: str) -> None:
    store = open_store(Settings(database=database_url, content=""))
    some = [*map(medication, range(12)), medication(3), medication(4, status="active"), medication(4, status="active")]
    assert fill(store, some)[0] == "12 created, 1 updated, 2 unchanged, 0 failed"
    assert fill(store, some)[0] == "0 created, 2 updated, 13 unchanged, 0 failed"
    store.close()
    assert unsound(database_url) == []


@pytest.mark.usefixtures("_many")
def test_what_cannot_be_loaded_is_told_in_its_place_and_the_rest_is_loaded(database_url: str) -> None:
    store = open_store(Settings(database=database_url, content=""))
    some = [*map(medication, range(8)), medication(8, colour="red"), {"resourceType": "Patient", "id": "p"}]
    said, failed = fill(store, [*some, *map(medication, range(9, 20))], validation=True)
    assert said == "19 created, 0 updated, 0 unchanged, 2 failed"
    assert [(one.line, one.reason.partition(":")[0]) for one in failed] == [
        (9, "Medication/m00008"),
        (10, "the resource is a Patient, which is not served in FHIR R5 (see APOTHECARY_RESOURCE_TYPES)"),
    ]
    store.close()


@pytest.mark.usefixtures("_many")
def test_of_a_next_edition_other_processes_prepare_what_is_new_in_it(
    database_url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [COLOUR, *map(medication, range(40))]
    after = [
        *map(medication, range(15)),
        *(medication(number, status="inactive") for number in range(15, 30)),
        *map(medication, range(30, 45)),
        *(medication(number, colour="red") for number in (41, 46)),
        # Once more as it was, while the change of it is on its way.
        medication(29),
        {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [
            {"resource": medication(number)} for number in (1, 50)]},
        {"resourceType": "Patient", "id": "p"},
    ]  # fmt: skip
    handed: list[int] = []
    prepare = workers.Workers.prepared

    def counted(self: workers.Workers, chunks: Any, *given: Any) -> Any:
        return prepare(self, (handed.append(len(one)) or one for one in chunks), *given)  # type: ignore[func-returns-value] # append gives nothing, so the chunk follows

    monkeypatch.setattr(workers.Workers, "prepared", counted)
    done = []
    for url, few in ((database_url, load.FEW), (other_url, 1000)):
        store = open_store(Settings(database=url, content=""))
        monkeypatch.setattr(load, "FEW", 1000)
        assert fill(store, before)[0].startswith("41 created")
        monkeypatch.setattr(load, "FEW", few)
        done.append((*fill(store, after, validation=True), index_of(url)))
        found = {one.id: one.version for one in store.all_of_type("Medication")}
        done.append(found)
        assert (found["m00029"], found["m00002"], found["m00050"]) == (3, 1, 1)
        # What is there as it is, is prepared by nobody.
        assert sum(handed) == (0 if few == 1000 else 15 + 5 + 2 + 3)
        handed.clear()
        store.close()
        assert unsound(url) == []
    said, failed = done[0][:2]
    assert said == "6 created, 16 updated, 26 unchanged, 3 failed"
    assert len(failed) == 3, "each is told once"
    assert done[:2] == done[2:], "the same as by one process"


@pytest.mark.usefixtures("_many")
def test_what_was_left_out_when_a_load_ended_is_made_by_whoever_opens_the_database_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(Settings(database=database_url, content=""))
    indexes = built(database_url)

    def interrupted(_: SqlStore) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "make_up", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(store, map(medication, range(20)))
    store.close()
    store = open_store(Settings(database=database_url, content=""))
    assert built(database_url) == indexes
    assert fill(store, map(medication, range(25)))[0] == "5 created, 0 updated, 20 unchanged, 0 failed"
    store.close()
    assert unsound(database_url) == []


@pytest.mark.usefixtures("_many")
def test_beside_a_server_a_load_leaves_the_indexes_as_they_are(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, server = (open_store(Settings(database=database_url, content="")) for _ in range(2))
    indexes = built(database_url)
    seen: list[set[str]] = []
    put = Loader._put

    def looking(self: Loader, *given: Any) -> None:
        put(self, *given)
        # Readers are answered meanwhile.
        assert server.types() == ["Medication"]
        seen.append(built(database_url))

    monkeypatch.setattr(Loader, "_put", looking)
    assert fill(store, map(medication, range(20)))[0].startswith("20 created")
    assert len(seen) > 1
    assert all(one == indexes for one in seen)
    server.close()
    store.close()


def test_who_comes_while_a_load_has_the_database_to_itself_is_told_to_wait(database_url: str) -> None:
    store = open_store(Settings(database=database_url, content=""))
    with store.filling() as alone:
        assert alone
        if isinstance(store, SqliteStore):
            with pytest.raises(Busy, match="busy"):
                SqliteStore(store.path, lock_seconds=0.1).prepare()
        else:
            with pytest.raises(StartError, match="`apothecary load` fills this database"):
                open_store(Settings(database=database_url, content=""))
    open_store(Settings(database=database_url, content="")).close()
    store.close()


@pytest.mark.mass
@pytest.mark.slow
@on("sqlite")
def test_a_load_that_is_killed_leaves_whole_resources_and_is_taken_up(database_url: str, tmp_path: Path) -> None:
    count = 9000
    path = tmp_path / "all.ndjson"
    path.write_bytes(b"".join(json.dumps(medication(number)).encode() + b"\n" for number in range(count)))
    words = [sys.executable, "-P", "-m", "apothecary", "load", "--database", database_url, str(path)]
    process = subprocess.Popen(words, cwd="/", stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: _begun(database_url) or process.poll() is not None)
    finally:
        process.kill()
        process.wait(PATIENCE)
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    store = open_store(Settings(database=database_url, content=""))
    assert [one.version for one in store.all_of_type("Medication")] == [1] * count
    store.close()
    assert unsound(database_url) == []


def _begun(database: str) -> bool:
    """Whether a load has committed something, as far as that can be seen from outside."""
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        log = Path(f"{url.database}-wal")
        return log.exists() and log.stat().st_size > 2_000_000
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        there = connection.execute("SELECT to_regclass('resource') IS NOT NULL").fetchone()
        if there != (True,):
            return False
        return connection.execute("SELECT EXISTS (SELECT 1 FROM resource)").fetchone() == (True,)
