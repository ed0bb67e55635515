"""`apothecary serve` as a process of its own, and what it wrote so far."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

# For what must happen, however slow the machine is.
PATIENCE = 120.0

SERVING = re.compile(r"^serving http://(.*):(\d+)/fhir$", re.MULTILINE)
SPAWNED = re.compile(r"Spawning worker-(\d+) with PID: (\d+)")


class Served:
    """A server and the group of its workers."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote to standard output and standard error."""
        return self._log.read_text()

    def says(self, text: str) -> None:
        """Wait until it has written `text`."""
        self.until(lambda: text in self.log, f"says {text!r}")

    def until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end or (self.process.poll() is not None and not true()):
                raise AssertionError(f"status {self.process.poll()}, and not: {what}\n{self.log}")
            time.sleep(0.01)

    @property
    def port(self) -> int:
        """Its port, once it says that it serves."""
        self.until(lambda: SERVING.search(self.log) is not None, "serves")
        return int(SERVING.findall(self.log)[0][1])

    @property
    def worker_ids(self) -> list[int]:
        """The processes that it started by now, oldest first; it tells them at the log level debug."""
        return [int(found) for _, found in SPAWNED.findall(self.log)]

    def signal(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal, to all its processes as a terminal does, or to the first one."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def ends(self) -> int:
        """Its exit status, after every process of it is gone."""
        status = self.process.wait(PATIENCE)
        self.leaves_nobody()
        return status

    def leaves_nobody(self) -> None:
        """Wait until no process of its group is left."""
        end = time.monotonic() + PATIENCE
        with suppress(ProcessLookupError):
            while True:
                os.killpg(self.process.pid, 0)
                assert time.monotonic() < end, f"a process is left\n{self.log}"
                time.sleep(0.01)

    def get(self, path: str = "/healthz") -> int:
        """The status of a GET over a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a server: no setting but those that are given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APOTHECARY_")}
    return kept | {f"APOTHECARY_{name.upper()}": str(value) for name, value in settings.items()}


def attended() -> None:
    """What ignores hangups, such as `nohup make test`, does so for all that it starts: not for a server."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def started(*command: object, prepare: Callable[[], None] = attended, **settings: Any) -> Iterator[Served]:
    """A server that is starting, in a group of its own. It is gone after the block, whatever happened.

    `command` is what Python runs instead of the command itself, `prepare` what the new process does before.
    """
    given = {"port": 0, "content": "", "log_level": "debug", **settings}
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, *map(str, command or ("-m", "apothecary", "serve"))],
            env=environment(given),
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,
        )
        try:
            yield Served(process, Path(log.name))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
