"""Other WSGI servers than granian: what they tell of their socket decides whether writes are open."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from apothecary.testing import free_port
from tests.cli.serving import environment
from tests.durability.health import always_healthy
from tests.waiting import PATIENCE, until

APP = "apothecary.app:create_app"
ANY, LOCAL = "0.0.0.0", "127.0.0.1"  # noqa: S104 (what is asked for is that such a server is read-only)

SERVERS = {
    "granian": lambda host, port: [
        *("granian", "--interface", "wsgi", "--factory", "--no-ws", "--host", host, "--port", str(port), APP)
    ],
    "gunicorn": lambda host, port: ["gunicorn", "--bind", f"{host}:{port}", f"{APP}()"],
    "waitress": lambda host, port: ["waitress", f"--listen={host}:{port}", "--call", APP],
}


@contextmanager
def serving(name: str, host: str, folder: Path, settings: dict[str, Any]) -> Iterator[int]:
    """A server of another program, by its port."""
    port, mark = free_port()
    given = {"database": f"sqlite:///{folder / 'apothecary.db'}", "content": "", **settings}
    with closing(mark), (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *SERVERS[name](host, port)], env=environment(given), stdout=log, stderr=log
        )
        try:
            ready = until(lambda: process.poll() is not None or ask(port, "GET", "/readyz")[0] == 200)
            assert ready, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            yield port
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer; 0 where nobody answers yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/fhir+json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    except (OSError, HTTPException):
        return 0, None
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "host", "settings", "writable"),
    [
        ("granian", ANY, {}, False),
        ("granian", LOCAL, {}, True),
        ("gunicorn", ANY, {}, False),
        ("gunicorn", LOCAL, {}, True),
        ("waitress", ANY, {}, False),
        # It does not tell where it listens.
        ("waitress", LOCAL, {}, False),
        ("waitress", LOCAL, {"open_writes": True}, True),
        # What the setting claims does not count against what the socket is.
        ("gunicorn", ANY, {"host": LOCAL}, False),
        ("gunicorn", LOCAL, {"host": ANY}, False),
    ],
)
def test_writes_are_open_where_the_socket_is_loopback_or_they_were_opened(
    tmp_path: Path, name: str, host: str, settings: dict[str, Any], writable: bool
) -> None:
    with serving(name, host, tmp_path, settings) as port, always_healthy(port):
        status, _ = ask(port, "PUT", "/fhir/Organization/a", {"resourceType": "Organization", "id": "a", "name": "A"})
        assert status == (201 if writable else 403)
        _, statement = ask(port, "GET", "/fhir/metadata")
        assert ("Read-only" in statement["rest"][0]["documentation"]) is not writable
        # As a page does it whose name was made to mean this machine, and one at another port.
        assert ask(port, "GET", "/fhir/Organization", Host="evil.example")[0] == 421
        assert ask(port, "DELETE", "/fhir/Organization/a", Origin="http://localhost:1")[0] == 403


@pytest.mark.slow
def test_behind_a_unix_socket_nobody_knows_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    given = {"database": f"sqlite:///{tmp_path / 'apothecary.db'}", "content": ""}
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", f"{APP}()"]
    with subprocess.Popen(command, env=environment(given), stderr=subprocess.DEVNULL) as process:
        try:
            with closing(socket.socket(socket.AF_UNIX)) as connection:
                connection.settimeout(PATIENCE)
                # It is there a moment before anybody listens.
                assert until(lambda: connection.connect_ex(os.fspath(path)) == 0)
                # gunicorn takes SERVER_NAME from the Host here, so that anybody can choose it.
                connection.sendall(b"DELETE /fhir/Organization/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
        finally:
            process.kill()
