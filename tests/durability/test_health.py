"""The watch over `/healthz` that other tests rely on finds what it is there for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from apothecary.testing import ServerProcess
from tests.durability.health import WITHIN, always_healthy


@contextmanager
def answering(status: Callable[[int], int]) -> Iterator[tuple[int, threading.Event]]:
    """A server whose answer to each question, counted from 0, has a status; its port, and what is set after three."""
    three = threading.Event()

    class Answering(BaseHTTPRequestHandler):
        count = 0

        def do_GET(self) -> None:
            number, Answering.count = Answering.count, Answering.count + 1
            self.send_response(status(number))
            self.send_header("Content-Length", "0")
            self.end_headers()
            if number >= 2:
                three.set()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, three
        server.shutdown()


def test_a_server_that_answers_is_healthy(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, always_healthy(server.port) as health:
        time.sleep(0.5)
    assert health.asked >= 2
    assert health.slowest <= WITHIN


def _late(number: int) -> int:
    if number == 1:
        time.sleep(3 * WITHIN)
    return 200


@pytest.mark.parametrize(
    ("status", "said"), [(_late, "answered after"), (lambda number: 200 if number != 1 else 503, "status 503")]
)
def test_one_answer_that_is_late_or_wrong_is_found(status: Callable[[int], int], said: str) -> None:
    with answering(status) as (port, three), pytest.raises(AssertionError, match=said), always_healthy(port):
        assert three.wait(30)


@pytest.mark.parametrize("gaps", [False, True])
def test_a_server_that_is_gone_is_a_fault_unless_gaps_are_expected(gaps: bool, tmp_path: Path) -> None:
    expected = nullcontext() if gaps else pytest.raises(AssertionError, match=r"refused|reset|closed")
    with closing(ServerProcess(tmp_path)) as server:
        server.start()
        with expected, always_healthy(server.port, gaps=gaps):
            server.kill()
            time.sleep(0.5)


def test_a_fault_of_the_block_itself_is_not_hidden(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path) as server,
        pytest.raises(KeyError, match="of the block"),
        always_healthy(server.port),
    ):
        raise KeyError("of the block")
