"""A real Redis for the tests: https://redis.io/docs/latest/operate/oss_and_stack/management/config/"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.databases import free_port
from tests.missing import missing
from tests.waiting import until


@contextmanager
def running_redis() -> Iterator[str]:
    """Its address; it keeps nothing, and is gone afterwards."""
    command = shutil.which("redis-server") or missing("Redis is not installed (Debian: apt-get install redis-server)")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([command, *options], stdout=subprocess.DEVNULL, cwd="/") as process:
        try:
            assert until(lambda: process.poll() is not None or _answers(port))
            assert process.poll() is None
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as opened:
        opened.sendall(b"PING\r\n")
        return opened.recv(10).startswith(b"+PONG")
    return False
