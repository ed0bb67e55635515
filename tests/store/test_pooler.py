"""Behind PgBouncer, which may give each transaction to another session: everything works, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from apothecary.errors import Busy, StartError
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.backup import backup
from apothecary.store.contract import Stored
from apothecary.store.migrate import migrate
from apothecary.store.open import open_store
from apothecary.store.postgresql import PostgresqlStore
from apothecary.store.statements import Statement
from apothecary.store.url import conninfo
from apothecary.testing import ServerProcess
from tests.databases import ENDLESS, fresh_database, running_cluster
from tests.durability.processes import Client, medication
from tests.poolers import running_pooler
from tests.waiting import until

REGISTRY = Registry(FhirVersion.R5, ("Medication",))
MODES = ("transaction", "session")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(mode: str, postgresql_database_url: str) -> Iterator[str]:
    """A database behind a pooler."""
    with running_pooler(postgresql_database_url, mode) as behind:
        yield behind


def opened(url: str, **settings: object) -> PostgresqlStore:
    # No more connections than the pooler has sessions, or in its session mode some would wait for the others' end.
    made = open_store(Settings.from_environment({}, database=url, threads=1, **settings))
    assert isinstance(made, PostgresqlStore)
    return made


def write(store: PostgresqlStore, identity: str, version: int, status: str) -> None:
    resource = {"resourceType": "Medication", "id": identity, "status": status, "code": {"text": f"word{identity}"}}
    stored = Stored("Medication", identity, version, version * 1000, "R5", dumps(resource))
    store.write(lambda transaction: transaction.write(stored, "PUT", REGISTRY.rows(resource)))


def found(store: PostgresqlStore, text: str, most: int | None = None) -> list[str]:
    query = parse(Context(REGISTRY, ("Medication",)), [(text.partition("=")[0], text.partition("=")[2])]).query
    return [hit.id for hit in store.search(query, most).hits]


def test_many_clients_write_read_and_search_in_a_few_sessions(url: str, mode: str) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(opened(url))) for _ in range(3 if mode == "transaction" else 1)]

        def work(number: int) -> None:
            store = stores[number % len(stores)]
            for turn in range(5):
                identity = f"m{number}-{turn}"
                write(store, identity, 1, "active")
                write(store, identity, 2, "inactive")
                current = store.read("Medication", identity)
                assert current is not None
                assert current.version == 2
                assert found(store, f"_content=word{identity}") == [identity]
                assert found(store, "_id=" + identity, 10_000) == [identity]
                assert len(store.history("Medication", identity, count=9)) == 2

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(8)))
        assert stores[0].count(parse(Context(REGISTRY, ("Medication",)), [("status", "inactive")]).query) == 40


@pytest.mark.parametrize("most", [None, 1000])
def test_the_limit_of_time_holds_for_reads_and_transactions(url: str, most: int | None) -> None:
    with closing(opened(url)) as made:
        made.read("Medication", "none")
    endless = Statement(ENDLESS, (), {})
    with closing(opened(url, request_seconds=0.5)) as hurried:
        with pytest.raises(Busy, match="longer than the limit"):
            hurried.rows(endless, (), most)
        with pytest.raises(Busy, match="longer than the limit"), hurried.transaction() as transaction:
            transaction.rows(endless, (), most)
        assert until(lambda: hurried.read("Medication", "none") is None)


def test_nothing_stays_in_a_session(url: str) -> None:
    with closing(opened(url, request_seconds=7)) as store:
        for version in (1, 2, 3):
            write(store, "m", version, "active")
            assert found(store, "status=active") == ["m"]
    asked = "SELECT current_setting('statement_timeout'), current_setting('jit'), current_setting('enable_seqscan')"
    kept = "SELECT name FROM pg_prepared_statements"
    with psycopg.connect(conninfo(make_url(url)), autocommit=True, prepare_threshold=None) as connection:
        assert connection.execute(asked).fetchone() == ("0", "on", "on")
        assert connection.execute(kept).fetchall() == []


def test_no_answer_is_kept_where_nobody_knows_which_server_gave_it(url: str) -> None:
    with closing(opened(url)) as store:
        assert store.changes() is None


def test_a_database_without_a_pooler_is_taken_for_that(postgresql_database_url: str) -> None:
    with closing(opened(postgresql_database_url)) as store:
        assert store.changes() is not None
        with store.connection() as connection:
            assert connection.prepare_threshold == 1
            assert connection.execute("SHOW jit").fetchone() == ("off",)


def test_what_leaves_something_in_a_session_is_refused(url: str, tmp_path: Path) -> None:
    opened(url).close()
    with pytest.raises(StartError, match="pooler"):
        backup(Settings(database=url), tmp_path / "copy", force=False, progress=lambda *_: None)
    with psycopg.connect(conninfo(make_url(url)), autocommit=True, prepare_threshold=None) as connection:
        connection.execute(f"UPDATE {schema.STAMP} SET version_num = '0001'")
    with pytest.raises(StartError, match="pooler"):
        migrate(Settings(database=url))


@pytest.mark.slow
def test_a_server_behind_a_pooler_tells_that_the_database_is_gone_and_finds_it_again(tmp_path: Path) -> None:
    with (
        running_cluster() as cluster,
        fresh_database(cluster.url) as direct,
        running_pooler(direct, "transaction") as behind,
        ServerProcess(tmp_path, {"database": behind, "database_seconds": 3}) as server,
        closing(Client(server.port)) as client,
    ):
        assert client.send("POST", "/Medication", medication("m")).status == 201
        cluster.stop()
        assert client.send("GET", "/Medication?status=active").status == 503
        cluster.start()
        assert until(lambda: client.send("POST", "/Medication", medication("m")).status == 201)
