"""A server whose exports go on only when a test says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

from apothecary.bulk.job import File, read
from apothecary.bulk.worker import Worker
from apothecary.fhir.json import dumps
from apothecary.fhir.temporal import END, now
from apothecary.settings import Settings
from apothecary.store import tables
from apothecary.store.bulk import Bulk
from apothecary.store.open import open_store
from apothecary.store.reads import BARRIER
from apothecary.store.statements import Statement
from tests.conformance.harness import Answer, InProcess

FHIR = {"Content-Type": "application/fhir+json"}


def medication(identity: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, "code": {"text": identity}, "status": "active", **elements}


def organization(identity: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": identity, "name": identity, **elements}


class Exporting:
    """One server, and a worker of its own that the server does not wake."""

    def __init__(self, app: InProcess, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.store = app.store
        self.bulk = Bulk(app.store)
        app.application.worker.stop()
        self.worker = Worker(app.service, self.bulk)
        self.worker.pause = lambda _: None

    @classmethod
    @contextmanager
    def over(cls, url: str, **settings: Any) -> Iterator[Self]:
        given = Settings(database=url, content="", **settings)
        store = open_store(given)
        yield cls(InProcess(given, store), given)
        store.close()

    def empty(self) -> None:
        """Let the database hold no resources, no jobs and no barrier; the worker and the clock are new ones."""
        gone = [*tables.INDEXES, "resource", "superseded", "bulk_job", "bulk_piece"]
        names = [f"index_{name}" if name in tables.INDEXES else name for name in gone]
        statements = [f"DELETE FROM {name}" for name in names]
        statements.append(f"DELETE FROM state WHERE name = '{BARRIER}'")
        self.store.write(lambda transaction: transaction.run_all(statements))
        self.store.clock = now
        self.settings_of_worker()

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
        return self.app.ask(method, path, headers, body)

    def put(self, *resources: dict[str, Any], base: str = "/fhir/r5") -> None:
        for one in resources:
            path = f"{base}/{one['resourceType']}/{one['id']}"
            answer = self.ask("PUT", path, FHIR, dumps(one).decode())
            assert answer.status in (200, 201), answer.body
        time.sleep(0.002)  # times are of milliseconds

    def delete(self, key: str) -> None:
        assert self.ask("DELETE", f"/fhir/r5/{key}").status in (200, 204)

    def kick_off(
        self,
        base: str,
        query: str = "",
        *,
        prefer: str = "respond-async",
        parameters: list[dict[str, Any]] | None = None,
    ) -> str:
        """Begin one; the address of its status."""
        path, headers = f"{base}/$export{f'?{query}' if query else ''}", {"Prefer": prefer, **FHIR}
        body = None if parameters is None else dumps({"resourceType": "Parameters", "parameter": parameters}).decode()
        answer = self.ask("GET" if body is None else "POST", path, headers, body)
        assert answer.status == 202, answer.body
        return answer.headers["content-location"]

    def export(self, base: str, query: str = "", **more: Any) -> dict[str, Any]:
        """The manifest of an export that is done."""
        where = self.kick_off(base, query, **more)
        assert self.worker.run()
        answer = self.ask("GET", where)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def lines(self, manifest: Mapping[str, Any], kind: str = "output") -> list[dict[str, Any]]:
        """What the files of a manifest hold."""
        found = []
        for one in manifest[kind]:
            lines = [json.loads(line) for line in self.ask("GET", one["url"]).body.splitlines()]
            assert len(lines) == one["count"]
            found += lines
        return found

    def pieces(self) -> int:
        """How many pieces of files there are."""
        return len(self._rows("SELECT 1 FROM bulk_piece"))

    def pieces_of_files(self) -> int:
        """How many the jobs know."""
        files = {one.key: one.pieces for row in self.bulk.jobs() for one in read(row.data).files}
        return sum(files.values())

    def age(self, microseconds: int) -> None:
        """Let every job be so much older, but editions that do not end."""

        def work(change: Any) -> None:
            for row in change.jobs():
                if row.expires < END:
                    change.put(row._replace(until=row.until - microseconds, expires=row.expires - microseconds))

        self.bulk.change(work)

    def make_older(self, microseconds: int) -> None:
        """Let every job have begun so much earlier."""

        def work(change: Any) -> None:
            for row in change.jobs():
                job = read(row.data)
                job.created -= microseconds
                change.put(row._replace(data=job.say()))

        self.bulk.change(work)

    def stuff(self, size: int) -> None:
        """Let another export have files of so many bytes."""
        (row,) = self.bulk.jobs()
        job = read(row.data)
        job.done, job.files = True, [File("output", "Medication", "other/0", packed=size, place=0)]
        more = row._replace(id="other", ended=True, expires=2**60, data=job.say())
        self.bulk.change(lambda change: change.put(more))

    def settings_of_worker(self, **changed: Any) -> None:
        service = replace(self.app.service, settings=replace(self.settings, **changed))
        self.worker = Worker(service, self.bulk)
        self.worker.pause = lambda _: None

    def _rows(self, text: str) -> list[Any]:
        return self.store.rows(Statement(text, (), {}), ())
