"""Servers as processes that can be killed, and what the tests ask of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from apothecary.app import make_service
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.rows import IndexRow
from apothecary.settings import Settings
from apothecary.store.check import disagreements
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.conformance.harness import Answer
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}
# The server closes a connection on which nothing was asked for 30 seconds. A client that waited so long for others, on
# a busy machine, must not take that for a lost answer.
IDLE_SECONDS = 10.0


def server_on(database: str, folder: Path) -> ServerProcess:
    """A server of two workers on `database`, to be started, killed and started again; its log is in `folder`."""
    return ServerProcess(folder, {"database": database, "workers": 2})


class Client:
    """One connection that is kept open, and opened again after it broke or was not used for long."""

    def __init__(self, port: int, base: str = "/fhir/r5") -> None:
        self._base = base
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._used = time.monotonic()

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises OSError or HTTPException where no answer came."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.close()
        try:
            text = None if body is None else json.dumps(body)
            self._connection.request(method, f"{self._base}{path}", text, JSON | dict(headers or {}))
            response = self._connection.getresponse()
            self._used = time.monotonic()
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
