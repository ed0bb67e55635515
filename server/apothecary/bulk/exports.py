"""What clients do with exports: begin one, ask how far it is, get its files, end it; and the newest publication.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from apothecary.bulk import request
from apothecary.bulk.job import File, Job, Note, Wanted, read
from apothecary.bulk.packing import AROUND, HEAD, tail, unpack
from apothecary.bulk.worker import EXPORT, PUBLISH, Worker
from apothecary.errors import FhirError, InsufficientStorage, NotFound, NotSupported, TooManyRequests
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.store.bulk import Bulk, BulkChange, Row


class Status(NamedTuple):
    """A job, and when it is forgotten in microseconds since 1970."""

    job: Job
    expires: int


class Asking(NamedTuple):
    """Who asks for an export: the service that he sees, his name, and his scopes; no name, and None, where nobody is
    asked who he is. `sees` says whether he finds all that some scopes let find.
    """

    service: Service
    owner: str = ""
    scopes: tuple[str, ...] | None = None
    sees: Callable[[Sequence[str]], bool] = lambda _: True


class Content(NamedTuple):
    """The bytes of a file, and how many there are."""

    parts: Iterator[bytes]
    size: int


class Exports:
    """The exports of one database, as one process offers them."""

    def __init__(self, service: Service, bulk: Bulk, worker: Worker) -> None:
        self._service = service
        self._settings = service.settings
        self._bulk = bulk
        self.worker = worker

    def kick_off(
        self,
        asking: Asking,
        version: FhirVersion,
        base: str,
        address: str,
        given: Iterable[tuple[str, str]],
        *,
        lenient: bool,
    ) -> str:
        """Begin an export of what there is at this moment, and whoever asks may find; its id. `address` is that of the
        request.

        Raises BadRequest and its children for what cannot be done, TooManyRequests where there is no room for another.
        """
        if not self._settings.export_jobs:
            raise NotSupported("$export is switched off (APOTHECARY_EXPORT_JOBS)")
        service = asking.service
        service.permit((), "s")
        wanted, notes = request.wanted(service, version, base, given, lenient=lenient)
        every = request.every_type(service, version)
        if wanted.types == every:
            notes += [
                Note(
                    "information", "not-supported", f"{one} is not served in FHIR {version} here, and left out", (one,)
                )
                for one in service.reader.types()
                if one not in every
            ]
        identity = secrets.token_urlsafe(16)

        def work(change: BulkChange) -> None:
            kept = [row for row in change.jobs() if row.kind == EXPORT and not (row.ended and row.expires <= now())]
            if len(kept) >= self._settings.export_jobs:
                raise _full(kept, "are kept already")
            # Or one client could keep all others from it.
            own = [row for row in kept if asking.owner and read(row.data).owner == asking.owner]
            if len(own) >= (self._settings.export_jobs + 1) // 2:
                raise _full(own, "of this client are kept already, and others need room, too")
            job = Job(address, base, wanted, change.moment(), now(), notes=list(notes), owner=asking.owner)
            job.selecting = bool(wanted.filters or wanted.narrowed)
            job.scopes = None if asking.scopes is None else list(asking.scopes)
            change.put(Row(identity, EXPORT, False, "", 0, 0, job.say()))

        self._bulk.change(work)
        self.worker.wake()
        return identity

    def status(self, identity: str, asking: Asking) -> Status:
        """How far an export is. Raises NotFound for one that is not there, or not any more, or somebody else's; and for
        one that holds what its own client may not find any more.
        """
        found = self._own(identity, asking.owner)
        if found.job.scopes is not None and not asking.sees(found.job.scopes):
            raise _none(identity)
        return found

    def _own(self, identity: str, owner: str) -> Status:
        row = self._bulk.job(identity)
        gone = row is None or row.kind != EXPORT or (row.ended and row.expires <= now())
        if row is None or gone or read(row.data).owner != owner:
            raise _none(identity)
        if not row.ended:
            # Whoever works on it may be gone.
            self.worker.wake()
        return Status(read(row.data), row.expires)

    def cancel(self, identity: str, owner: str) -> None:
        """End an export, done or not, and forget its files. Raises NotFound where there is none."""
        self._own(identity, owner)
        if not self.worker.drop(identity):
            raise _none(identity)

    def file(self, identity: str, number: int, asking: Asking) -> File:
        """A file of an export that can be had. Raises NotFound."""
        job = self.status(identity, asking).job
        # One that is open is not told of.
        if number >= len(job.files) or job.files[number].place < 0:
            raise NotFound(f"export {identity} has no file {number}")
        return job.files[number]

    # -- publications

    def aside(self) -> AbstractContextManager[None]:
        """Around a wait for others: what this thread would keep from them is theirs meanwhile."""
        return self._bulk.store.aside()

    def publication(self, version: FhirVersion) -> tuple[str, Job] | None:
        """The newest edition of all that there is in a release, with its id; None where there is none yet. Another is
        begun where anything was written since, and its time has come.
        """
        if not self._settings.publish_seconds:
            raise NotSupported("$bulk-publish is switched off (APOTHECARY_PUBLISH_SECONDS)")
        editions = self._editions(version, self._bulk.jobs())
        done = [one for one in editions if one[1].done]
        newest = done[-1] if done else None
        if editions and editions[-1][1].failed and not self._is_due(editions[-1][1]):
            # To try it at each request would be work for nothing.
            if newest is None:
                raise failure(editions[-1][1])
        elif all(row.ended for row, _ in editions):
            if newest is None or self._is_old(newest[1]):
                self._bulk.change(lambda change: self._publish(change, version))
                self.worker.wake()
        else:
            self.worker.wake()
        return None if newest is None else (newest[0].id, newest[1])

    def _editions(self, version: FhirVersion, rows: Iterable[Row]) -> list[tuple[Row, Job]]:
        """Those of a release, the oldest first."""
        read_ = ((row, read(row.data)) for row in rows if row.kind == PUBLISH)
        return sorted((one for one in read_ if one[1].wanted.version == version.value), key=lambda one: one[1].created)

    def _is_due(self, job: Job) -> bool:
        return now() - job.created >= self._settings.publish_seconds * 1_000_000

    def _is_old(self, job: Job) -> bool:
        return self._is_due(job) and bool(self._bulk.changed_since(job.moment, 1))

    def _publish(self, change: BulkChange, version: FhirVersion) -> None:
        if any(not row.ended for row, _ in self._editions(version, change.jobs())):
            return  # somebody else began one
        every = request.every_type(self._service, version)
        job = Job("", "", Wanted(version.value, every, deletions=True), change.moment(), now())
        change.put(Row(secrets.token_urlsafe(16), PUBLISH, False, "", 0, 0, job.say()))

    def published(self, version: FhirVersion, digest: str) -> File:
        """A file of any edition that is kept, by what it holds. Raises NotFound."""
        for _, job in self._editions(version, self._bulk.jobs()):
            for file in job.files:
                if file.key == digest and job.done:
                    return file
        raise NotFound(
            f"no edition that is kept has the file {digest}",
            remedy="GET [base]/$bulk-publish names those of the newest.",
        )

    # -- files

    def content(self, file: File, *, gzip: bool) -> Content:
        """What a file holds, piece by piece. Its iterator raises NotFound where it is dropped meanwhile."""
        if gzip:
            return Content(self._compressed(file), file.packed + AROUND)
        return Content((unpack(one) for one in self._pieces(file)), file.size)

    def _compressed(self, file: File) -> Iterator[bytes]:
        yield HEAD
        yield from self._pieces(file)
        yield tail(file.checksum, file.size)

    def _pieces(self, file: File) -> Iterator[bytes]:
        for number in range(file.pieces):
            piece = self._bulk.piece(file.key, number)
            if piece is None:
                raise NotFound("the file was dropped while it was read")
            yield piece


def failure(job: Job) -> FhirError:
    """What a job that failed is answered with."""
    return InsufficientStorage(job.failed) if job.full else FhirError(job.failed)


def _none(identity: str) -> NotFound:
    return NotFound(
        f"there is no export {identity}",
        remedy="It may have ended, been cancelled, or its time be over: begin another one at [base]/$export.",
    )


def _full(kept: list[Row], why: str) -> TooManyRequests:
    ends = [row.expires for row in kept if row.ended]
    seconds = max(1, min(600, (min(ends) - now()) // 1_000_000)) if ends else 60
    return TooManyRequests(
        f"{len(kept)} exports {why} (APOTHECARY_EXPORT_JOBS)",
        remedy="DELETE the address of one that is not needed any more, or wait.",
        headers={"Retry-After": str(seconds)},
    )
