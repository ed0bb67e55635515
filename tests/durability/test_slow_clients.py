"""Whoever sends or reads slowly waits for himself alone: https://hl7.org/fhir/R5/http.html#Status-Codes"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from apothecary.testing import ServerProcess
from tests.durability.health import always_healthy
from tests.durability.processes import Answer, Client, medication
from tests.mass import much
from tests.waiting import PATIENCE, until

HEAD = b"POST /fhir/Medication HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
# Asks for a megabyte or so, again and again, and reads nothing of it.
GREEDY = b"GET /fhir/metadata?_pretty=true HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50

# What a client sends before it goes slow.
SLOW = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n0123456789",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n0123456789",
    "nothing of its answers read": GREEDY,
}


@contextmanager
def slow(port: int, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections on which `sent` was sent, and then nothing."""
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(sent)
            connections.append(one)
        yield connections


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("count", much([50], [2, 50, 500]))
def test_others_are_answered_beside_slow_clients(count: int, tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, always_healthy(server.port):
        client = Client(server.port)
        for kind, sent in SLOW.items():
            with slow(server.port, count, sent):
                for number in range(3):
                    made = _sent_until_taken(client, medication(f"{kind} {number}"))
                    assert made.status == 201
                    assert client.send("GET", f"/Medication/{made.json['id']}").status == 200
        client.close()


def _sent_until_taken(client: Client, resource: dict[str, Any]) -> Answer:
    """Created, as soon as there is room in the line of the writers: where many connections break off at once, what came
    on them stands there for a moment, and the answer is to come again.
    """
    answers = []

    def taken() -> bool:
        answers.append(client.send("POST", "/Medication", resource))
        assert answers[-1].status != 503 or answers[-1].headers["retry-after"]
        return answers[-1].status != 503

    assert until(taken)
    return answers[-1]


def _stalled(connection: socket.socket) -> None:
    """Sends nothing more."""


def _trickling(connection: socket.socket) -> None:
    """Sends a byte now and then."""
    connection.sendall(b"1")


@pytest.mark.mass
@pytest.mark.parametrize("kind", much(["half a chunk"], ["half a body", "half a chunk"]))
@pytest.mark.parametrize("going_on", [_stalled, _trickling])
def test_a_body_that_does_not_arrive_in_time_is_answered_with_408(
    kind: str, going_on: Callable[[socket.socket], None], tmp_path: Path
) -> None:
    with (
        ServerProcess(tmp_path, {"body_seconds": 1}) as server,
        always_healthy(server.port),
        slow(server.port, 3, SLOW[kind]) as connections,
    ):
        for one in connections:
            one.settimeout(0.5)
        answers = [b""] * len(connections)

        def all_ended() -> bool:
            for number, one in enumerate(connections):
                if one.fileno() == -1:
                    continue
                try:
                    going_on(one)
                    part = one.recv(65536)
                    answers[number] += part
                except TimeoutError:
                    continue
                except OSError:
                    part = b""
                if not part:
                    one.close()
            return all(one.fileno() == -1 for one in connections)

        assert until(all_ended)
        for said in answers:
            assert said.startswith(b"HTTP/1.1 408 "), said
            assert b"APOTHECARY_BODY_SECONDS" in said


def test_a_body_that_takes_its_time_is_taken_while_there_is_time(tmp_path: Path) -> None:
    body = b'{"resourceType": "Medication"}'
    with ServerProcess(tmp_path) as server:
        sent = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9]
        with slow(server.port, 1, sent) as (one,):
            time.sleep(1.5)
            one.sendall(body[9:])
            assert answer(one).startswith(b"HTTP/1.1 201 ")


def test_a_body_that_ends_too_early_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    body = b'{"resourceType": "Medication"}'
    with ServerProcess(tmp_path) as server:
        with slow(server.port, 1, HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body) as (one,):
            one.shutdown(socket.SHUT_WR)
            assert not answer(one).startswith(b"HTTP/1.1 201 ")
        client = Client(server.port)
        assert client.send("GET", "/Medication?_summary=count").json["total"] == 0
        client.close()


@pytest.mark.long
@pytest.mark.slow
def test_a_connection_on_which_no_request_comes_is_closed_after_thirty_seconds(tmp_path: Path) -> None:
    answered = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ServerProcess(tmp_path) as server, always_healthy(server.port), ExitStack() as stack:
        began = time.monotonic()
        kinds = (SLOW["nothing"], SLOW["half a head"], answered)
        connections = [stack.enter_context(slow(server.port, 1, sent))[0] for sent in kinds]
        assert [answer(one)[:15] for one in connections] == [b"", b"", b"HTTP/1.1 200 OK"]
        # Not sooner: clients may rely on it, as `tests.durability.processes.IDLE_SECONDS` and docs/deployment.md do.
        assert time.monotonic() - began > 25


def test_health_is_told_beside_more_writers_than_there_are_turns(database_url: str, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"database": database_url, "threads": 2}) as server, always_healthy(server.port):

        def write(number: int) -> list[int]:
            client = Client(server.port)
            statuses = [client.send("POST", "/Medication", medication(f"{number}-{turn}")).status for turn in range(5)]
            client.close()
            return statuses

        with ThreadPoolExecutor(32) as pool:
            assert {status for statuses in pool.map(write, range(32)) for status in statuses} == {201}
        client = Client(server.port)
        assert client.send("GET", "/Medication?_summary=count").json["total"] == 160
        client.close()
