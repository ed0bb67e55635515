"""Servers as processes that can be killed, and what the tests ask of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

from apothecary.app import make_service
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.rows import IndexRow
from apothecary.settings import Settings
from apothecary.store.check import disagreements
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from tests.conformance.harness import ROOT, Answer, OverHttp, wait_until_ready

JSON = {"Content-Type": "application/fhir+json"}


class ServerProcess:
    """`apothecary serve` with two workers on a port of its own; can be started again after it was killed."""

    def __init__(self, database: str, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("APOTHECARY_")}
        given = {"database": database, "content": "", "workers": "2", "port": str(self.port), **settings}
        self._environment |= {f"APOTHECARY_{name.upper()}": value for name, value in given.items()}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and wait until requests are answered."""
        command = [sys.executable, "-c", "from apothecary.cli import main; main()", "serve"]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        wait_until_ready(OverHttp(self.port), self._process)

    def kill(self) -> None:
        """SIGKILL to the server and its workers, with whatever they were doing."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Client:
    """One connection that is kept open, and opened again after it broke."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises OSError or HTTPException where no answer came."""
        try:
            text = None if body is None else json.dumps(body)
            self._connection.request(method, f"/fhir/r5{path}", text, JSON | dict(headers or {}))
            response = self._connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()


@contextmanager
def clients(servers: Sequence[ServerProcess], count: int) -> Iterator[list[Client]]:
    """`count` clients, dealt out to the servers."""
    with ExitStack() as stack:
        made = [Client(servers[number % len(servers)].port) for number in range(count)]
        for one in made:
            stack.callback(one.close)
        yield made


def medication(value: str, **more: Any) -> dict[str, Any]:
    """A Medication with an identifier to find it by."""
    return {"resourceType": "Medication", "identifier": [{"system": "http://ex.org/sku", "value": value}], **more}


def unsound(database: str) -> list[str]:
    """What in the database does not agree."""
    settings = Settings(database=database, content="")
    store = open_store(settings)
    try:
        registry = make_service(settings, store).registry(FhirVersion.R5)

        def rows_of(stored: Stored) -> list[IndexRow]:
            return registry.rows(parse(stored.body or b""), FhirVersion(stored.fhir_version))

        return list(disagreements(store, rows_of))
    finally:
        store.close()
