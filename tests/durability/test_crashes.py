"""What was acknowledged is there after a crash, a transaction wholly or not at all, and the index agrees."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apothecary.app import make_service
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.create import create
from apothecary.settings import Settings
from apothecary.store.check import disagreements
from apothecary.store.open import open_store
from apothecary.store.url import conninfo, database_url
from apothecary.testing import ServerProcess
from tests.databases import fresh_database, running_cluster
from tests.durability.health import always_healthy
from tests.durability.processes import Client, medication, server_on, unsound
from tests.mass import much, on
from tests.waiting import PATIENCE, until

KILLS = much(3, 20)
# So many write at a time, where many do.
MANY = 16


class Writer(threading.Thread):
    """Posts creates and transactions in turn until it is told to stop, and remembers what was acknowledged."""

    def __init__(self, port: int, name: str = "") -> None:
        """`name` tells what it writes from what others of its kind write."""
        super().__init__(daemon=True)
        self.port = port
        self.prefix = f"t{name}"
        self.ended = threading.Event()
        self.created: list[str] = []
        """Ids of creates that were acknowledged."""
        self.sent: dict[str, int] = {}
        """The number of entries of each transaction that was sent, by its name."""
        self.done: set[str] = set()
        """Names of the transactions that were acknowledged."""
        self.refused: list[tuple[int, bytes]] = []

    def run(self) -> None:
        number = 0
        client = Client(self.port)
        while not self.ended.is_set():
            number += 1
            try:
                self._create(client, f"c{number}")
                self._transact(client, f"{self.prefix}{number}")
            except (OSError, HTTPException):
                # Whether that write was done, nobody knows. It must be whole or absent.
                time.sleep(0.02)
        client.close()

    def _create(self, client: Client, name: str) -> None:
        answer = client.send("POST", "/Medication", medication(name))
        if answer.status == 201:
            self.created.append(answer.json["id"])
        else:
            self.refused.append((answer.status, answer.body))

    def _transact(self, client: Client, name: str) -> None:
        size = self.sent[name] = random.randint(2, 40)
        post = {"method": "POST", "url": "Medication"}
        entries = [
            {"resource": medication(f"{name}-{place}", status="active"), "request": post} for place in range(size)
        ]
        answer = client.send("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        if answer.status == 200:
            self.done.add(name)
        else:
            self.refused.append((answer.status, answer.body))

    def get_on(self) -> None:
        """Wait until one more of each was acknowledged: a slow machine is tested by as much work as a fast one."""
        created, done = len(self.created), len(self.done)
        assert until(lambda: len(self.created) > created and len(self.done) > done), self.refused[:3]

    def stop(self) -> None:
        self.ended.set()
        self.join(timeout=PATIENCE)
        assert not self.is_alive()


def check_what_was_written(writer: Writer, database: str) -> None:
    """Compare the resources of the database, which no server uses any more, with what the writer was told."""
    store = open_store(Settings(database=database, content=""))
    found: dict[str, int] = {}
    held = set()
    for stored in store.all_of_type("Medication"):
        held.add(stored.id)
        value = parse(stored.body or b"")["identifier"][0]["value"]
        name = value.partition("-")[0]
        if name in writer.sent:
            found[name] = found.get(name, 0) + 1
    store.close()
    assert set(writer.created) <= held
    assert writer.done <= found.keys()
    assert {name: writer.sent[name] for name in found} == found


def check_all_is_there(writer: Writer, database: str) -> None:
    """The same after many crashes, and that the index agrees."""
    assert len(writer.created) > KILLS, writer.refused[:3]
    assert len(writer.done) > KILLS // 2, writer.refused[:3]
    check_what_was_written(writer, database)
    assert unsound(database) == []


def crash_repeatedly(server: ServerProcess, crash: Callable[[], None], kills: int, *, gaps: bool = False) -> Writer:
    """Let a writer write while `crash` is called, `kills` times; the writer is stopped at the end. With `gaps` it is
    the server itself that crashes; otherwise it is healthy all the time.
    """
    server.start()
    writer = Writer(server.port)
    writer.start()
    try:
        with always_healthy(server.port, gaps=gaps):
            for _ in range(kills):
                writer.get_on()
                time.sleep(random.uniform(0.0, 0.2))
                crash()
            writer.get_on()
        return writer
    finally:
        writer.stop()
        server.kill()


@pytest.mark.mass
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(database_url: str, tmp_path: Path) -> None:
    server = server_on(database_url, tmp_path)

    def crash() -> None:
        server.kill()
        server.start()

    check_all_is_there(crash_repeatedly(server, crash, KILLS, gaps=True), database_url)


@pytest.mark.mass
@pytest.mark.slow
@on("sqlite")
def test_nothing_acknowledged_is_lost_when_the_server_is_killed_while_many_write(
    database_url: str, tmp_path: Path
) -> None:
    """What many write is committed together."""
    server = server_on(database_url, tmp_path)
    server.start()
    writers = [Writer(server.port, f"w{number}x") for number in range(MANY)]
    for one in writers:
        one.start()
    try:
        for _ in range(much(2, 5)):
            for one in writers[::4]:
                one.get_on()
            time.sleep(random.uniform(0.0, 0.2))
            server.kill()
            server.start()
        for one in writers:
            one.get_on()
    finally:
        for one in writers:
            one.stop()
        server.kill()
    for one in writers:
        check_what_was_written(one, database_url)
    assert unsound(database_url) == []


@pytest.mark.mass
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(postgresql_url: str, tmp_path: Path) -> None:
    with running_cluster(durable=True) as cluster, fresh_database(cluster.url) as url:
        server = server_on(url, tmp_path)

        def crash() -> None:
            cluster.crash()
            cluster.start()

        writer = crash_repeatedly(server, crash, KILLS)
        assert all(status == 503 for status, _ in writer.refused), writer.refused[:3]
        check_all_is_there(writer, url)


@pytest.mark.mass
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_connections_are_ended(postgresql_database_url: str, tmp_path: Path) -> None:
    """As an administrator does, or a pooler, or a standby that is promoted."""
    given = conninfo(database_url(postgresql_database_url))
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'apothecary'"

    def crash() -> None:
        with psycopg.connect(given, autocommit=True) as connection:
            # Those too that the pools open at once instead.
            for _ in range(3):
                connection.execute(f"{ended} AND datname = current_database()")
                time.sleep(0.02)

    writer = crash_repeatedly(server_on(postgresql_database_url, tmp_path), crash, KILLS)
    assert all(status == 503 for status, _ in writer.refused), writer.refused[:3]
    check_all_is_there(writer, postgresql_database_url)


def test_the_check_finds_what_a_crash_could_leave(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database=database_url, content="")
    store = open_store(settings)
    service = make_service(settings, store)
    registry = service.registry(FhirVersion.R5)

    def rows_of(stored: Any) -> Any:
        return registry.rows(parse(stored.body or b""))

    def write(work: Callable[[Any], Any]) -> Any:
        return store.write(work)

    version = registry.version
    made = write(lambda t: create(service, t, version, "http://localhost/fhir", medication("a"))).stored
    assert list(disagreements(store, rows_of)) == []
    # The index of the resource is gone, then its history, then the index has what it should not.
    write(lambda t: t.index(made, (), fresh=False))
    assert any("lacks an index row" in one for one in disagreements(store, rows_of))
    write(lambda t: t.index(made, rows_of(made), fresh=False))
    assert list(disagreements(store, rows_of)) == []
    write(lambda t: t.index(made._replace(id="ghost"), rows_of(made), fresh=True))
    assert any("Medication/ghost, which is not there" in one for one in disagreements(store, rows_of))
    store.close()
