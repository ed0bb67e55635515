"""A PostgreSQL server that is gone, stands still or is out of room: 503 or 507 at once, and everything by itself again.

https://hl7.org/fhir/R5/http.html#Status-Codes
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from apothecary.testing import ServerProcess
from tests.databases import Cluster, fresh_database, running_cluster
from tests.durability.disks import filled, small_disk
from tests.durability.health import always_healthy
from tests.durability.processes import Client, medication, unsound
from tests.mass import much
from tests.waiting import until

# What the server under test waits for its database, in seconds.
SECONDS = 3
CREATE = ("POST", "/Medication", medication("m"))
READ = ("GET", "/Medication/none")
SEARCH = ("GET", "/Medication?status=active")


@pytest.fixture(scope="module")
def cluster(postgresql_url: str) -> Iterator[Cluster]:
    """A PostgreSQL server of this file's own."""
    with running_cluster() as made:
        yield made


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    with fresh_database(cluster.url) as url:
        yield url


def postgres(cluster: Cluster) -> list[int]:
    """The processes of a cluster: the first one, and its children."""
    first = int(cluster.pid_file.read_text().split()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


class Network:
    """What lies between the server and its database, and can be cut: then nothing is refused, and nothing comes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._sockets = [self._listening]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        # The first one ends before the list does, since it makes it longer.
        for made in self._sockets:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            if made is self._listening:
                self._threads[0].join()
        for thread in self._threads:
            thread.join()
        for made in self._sockets:
            made.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._sockets.append(near)
                with suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self._target))
                    self._sockets.append(far)
                    for one, other in ((near, far), (far, near)):
                        carrying = threading.Thread(target=self._carry, args=(one, other), daemon=True)
                        self._threads.append(carrying)
                        carrying.start()
                    continue
                # As the database does that is not there.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                near.close()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self._open.wait()
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)


Fault = Callable[[Cluster, Network], tuple[Callable[[], None], Callable[[], None]]]


def _down(cluster: Cluster, _: Network) -> tuple[Callable[[], None], Callable[[], None]]:
    def start() -> None:
        if not cluster.pid_file.exists():
            cluster.start()

    return cluster.stop, start


def _stopped(cluster: Cluster, _: Network) -> tuple[Callable[[], None], Callable[[], None]]:
    held: list[int] = []

    def stop() -> None:
        held.extend(postgres(cluster))
        for one in held:
            os.kill(one, signal.SIGSTOP)

    def go_on() -> None:
        for one in held:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)

    return stop, go_on


def _cut(_: Cluster, network: Network) -> tuple[Callable[[], None], Callable[[], None]]:
    return network.cut, network.mend


FAULTS: dict[str, tuple[Fault, str]] = {
    "down": (_down, "it refuses connections"),
    "stopped": (_stopped, "it does not answer"),
    "cut off": (_cut, "it does not answer"),
}


@contextmanager
def served(database: str, port: int, folder: Path, **settings: Any) -> Iterator[ServerProcess]:
    url = make_url(database).set(port=port).render_as_string(hide_password=False)
    given = {"database": url, "database_seconds": SECONDS, "log_level": "warning", **settings}
    with ServerProcess(folder, given) as server:
        yield server


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    made = Network(cluster.port)
    yield made
    made.close()


def ready(server: ServerProcess) -> tuple[int, str]:
    """The status of `/readyz`, and what it says."""
    client = Client(server.port, base="")
    try:
        answer = client.send("GET", "/readyz")
        return answer.status, answer.body.decode()
    finally:
        client.close()


@pytest.mark.mass
@pytest.mark.parametrize("name", much(["down", "cut off"], [*FAULTS]))
def test_a_database_that_does_not_answer_is_told_at_once_and_found_again(
    name: str, cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    fault, reason = FAULTS[name]
    begin, end = fault(cluster, network)
    port = cluster.port if name == "down" else network.port
    with served(database, port, tmp_path) as server, always_healthy(server.port), ExitStack() as stack:
        client = Client(server.port)
        stack.callback(client.close)
        kept = client.send(*CREATE)
        assert kept.status == 201
        stack.callback(end)
        begin()
        # The first one finds out, however long that takes; the others are told what it found.
        assert client.send(*SEARCH).status == 503
        for request in (CREATE, READ, SEARCH):
            answer = client.send(*request)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert reason in answer.body.decode()
            assert answer.json["issue"][0]["code"] == "transient"
        assert (found := ready(server))[0] == 503
        assert reason in found[1]
        end()
        assert until(lambda: ready(server)[0] == 200)
        assert client.send("GET", f"/Medication/{kept.json['id']}").status == 200
        assert client.send(*CREATE).status == 201
        assert server.log.count("the database cannot be reached:") == 1
        assert server.log.count("the database can be reached again") == 1
        assert "Traceback" not in server.log


def lock(database: str) -> psycopg.Connection[Any]:
    """A connection that keeps everybody else from the tables."""
    holder = psycopg.connect(make_url(database).set(drivername="postgresql").render_as_string(hide_password=False))
    holder.execute("LOCK TABLE resource, state IN ACCESS EXCLUSIVE MODE")
    return holder


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("request_", much([CREATE], [CREATE, SEARCH]), ids=lambda one: one[0])
def test_a_statement_that_stands_still_with_its_server_is_given_up(
    request_: tuple[Any, ...], cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    begin, end = _stopped(cluster, network)
    with (
        served(database, network.port, tmp_path, request_seconds=3600) as server,
        always_healthy(server.port),
        ExitStack() as stack,
    ):
        client = Client(server.port)
        stack.callback(client.close)
        assert client.send(*CREATE).status == 201
        stack.callback(end)
        with lock(database) as holder:
            statuses: list[int] = []
            asking = threading.Thread(target=lambda: statuses.append(client.send(*request_).status))
            asking.start()
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
            assert until(lambda: holder.execute(waits).fetchall())
            begin()
            assert until(lambda: statuses == [503])
            asking.join()
            end()
        assert until(lambda: ready(server)[0] == 200)
        assert client.send(*CREATE).status == 201
    assert unsound(database) == []


@pytest.mark.long
@pytest.mark.slow
def test_one_statement_that_stands_still_alone_is_given_up_after_its_time(
    cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    with (
        served(database, network.port, tmp_path, request_seconds=2) as server,
        always_healthy(server.port),
        ExitStack() as stack,
    ):
        client = Client(server.port)
        stack.callback(client.close)
        assert client.send(*CREATE).status == 201
        with lock(database) as holder:
            statuses: list[int] = []
            asking = threading.Thread(target=lambda: statuses.append(client.send(*SEARCH).status))
            asking.start()
            blocked = "SELECT pid FROM pg_locks WHERE NOT granted"
            assert until(lambda: holder.execute(blocked).fetchall())
            ((pid,), *_) = holder.execute(blocked).fetchall()
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
            assert until(lambda: statuses == [503])
            asking.join()
        assert client.send(*CREATE).status == 201, "the server itself answers, so nobody else is sent away"


def test_a_database_that_takes_no_writes_is_told_and_read_all_the_same(
    cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    name = make_url(database).database
    with served(database, network.port, tmp_path) as server, always_healthy(server.port):
        client = Client(server.port)
        kept = client.send(*CREATE).json["id"]

        def only_read(value: str) -> None:
            with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
                admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

        only_read("on")
        assert until(lambda: client.send("GET", f"/Medication/{kept}").status == 200)
        answer = client.send(*CREATE)
        assert answer.status == 503
        assert "takes no writes" in answer.body.decode()
        assert ready(server)[0] == 503
        assert client.send("GET", f"/Medication/{kept}").status == 200
        only_read("off")
        assert until(lambda: ready(server)[0] == 200)
        assert client.send(*CREATE).status == 201
        client.close()
        assert "Traceback" not in server.log


def test_a_server_that_takes_no_more_connections_answers_with_those_that_it_has(
    cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    plain = cluster.url.replace("+psycopg", "")
    with served(database, network.port, tmp_path) as server, always_healthy(server.port), ExitStack() as stack:
        client = Client(server.port)
        assert client.send(*CREATE).status == 201
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(plain))
        assert client.send(*CREATE).status == 201
        assert ready(server)[0] == 200
        client.close()


@pytest.mark.slow
def test_a_full_disk_under_the_database_is_507_until_there_is_room(
    cluster: Cluster, database: str, network: Network, tmp_path: Path
) -> None:
    name = make_url(database).database
    owner = cluster.directory.stat().st_uid
    # Where the account of the database can look.
    with small_disk(cluster.directory / "small", 24, owner) as disk, ExitStack() as stack:
        with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            admin.execute(f'ALTER DATABASE "{name}" SET TABLESPACE small')
            stack.callback(_drop_space, cluster, name)
        with served(database, network.port, tmp_path) as server, always_healthy(server.port):
            client = Client(server.port)
            stack.callback(client.close)
            kept = client.send(*CREATE).json["id"]
            room = filled(disk)
            answer = client.send(*CREATE)
            for number in range(2000):
                if answer.status != 201:
                    break
                large = medication(f"m{number}", doseForm={"text": f"{number} ".join(map(str, range(2000)))})
                answer = client.send("POST", "/Medication", large)
            assert answer.status == 507
            assert answer.json["issue"][0]["code"] == "no-store"
            assert ready(server)[0] == 507
            assert client.send("GET", f"/Medication/{kept}").status == 200
            room.unlink()
            assert until(lambda: ready(server)[0] == 200)
            assert client.send(*CREATE).status == 201
            assert "Traceback" not in server.log


def _drop_space(cluster: Cluster, name: str | None) -> None:
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        admin.execute(f'ALTER DATABASE "{name}" SET TABLESPACE pg_default')
        admin.execute("DROP TABLESPACE small")
