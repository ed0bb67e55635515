"""Who works on exports: any process that serves the database, one step at a time.

A step makes a piece of a file, and commits it together with the place up to which the job is done. A job is a process's
own for some seconds, which each step renews; when the process ends, another goes on from the last step. A process looks
at the jobs while there are some that are not done, and not otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial

from apothecary.bulk import selecting
from apothecary.bulk.job import File, Job, Kind, Note, read
from apothecary.bulk.portions import Cut, Portion, Portions, edge, identifiers
from apothecary.errors import Busy, FhirError, InsufficientStorage, whence
from apothecary.fhir.json import dumps
from apothecary.fhir.temporal import END, now
from apothecary.interactions.service import Service
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.store.bulk import Bulk, BulkChange, Row

log = logging.getLogger("apothecary")

EXPORT, PUBLISH = "export", "publish"

# A job that is not worked on so long, in seconds, is somebody else's to take.
LEASE_SECONDS = 10.0
# How long to wait, in seconds, before a look whether somebody else is done.
PAUSE = 1.0
# Jobs take turns of so many seconds.
TURN = 2.0

# A piece of a file has so many bytes, before it is compressed.
PIECE = 1024 * 1024
# A step makes no other piece after so many seconds.
STEP = 0.25
# An edition whose place was taken is kept so long, in microseconds: who read its manifest gets its files.
GRACE = 3_600_000_000
# Who comes back for what is to be forgotten does so in a day at the latest, in seconds.
DAY = 86_400.0
# What there is in files that are of no one type of what is exported.
TYPES: dict[Kind, str] = {"deleted": "Bundle", "error": "OperationOutcome"}


class _Lost(Exception):
    """The job is cancelled, or another process has it."""


Piece = tuple[str, int, bytes]


class Worker:
    """The work of one process. `seconds` are those for which a job is its own."""

    def __init__(self, service: Service, bulk: Bulk, seconds: float = LEASE_SECONDS) -> None:
        self._service = service
        self._settings = service.settings
        self._bulk = bulk
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._running = False
        self._over = threading.Event()
        self._timer: threading.Timer | None = None
        self.pause: Callable[[float], object] = self._over.wait
        """Waits between two pages, and two steps, so that those who are served have the time that the first took."""
        self._rested = 0.0

    def look(self) -> None:
        """Begin where an earlier process left something: one look, and no thread where there is nothing."""
        if self._bulk.jobs():
            self.wake()

    def wake(self) -> None:
        """Do what there is to do, in a thread of its own; nothing where it is at it."""
        with self._lock:
            if self._running or self._over.is_set():
                return
            self._running = True
        threading.Thread(target=self._until_done, name="bulk", daemon=True).start()

    def stop(self) -> None:
        """Begin no other step."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()

    def run(self) -> bool:
        """Do what there is to do in this thread, as far as no other process is at it; whether nothing is left."""
        while True:
            rows = self.forget()
            if all(row.ended for row in rows):
                return True
            if not self._some(rows):
                return False

    def _until_done(self) -> None:
        try:
            while not self._over.is_set():
                with self._lock:
                    # Who wakes it after this look starts another thread.
                    rows = self.forget()
                    if all(row.ended for row in rows):
                        self._running = False
                        self._look_again(rows)
                        return
                if not self._some(rows):
                    self._over.wait(PAUSE)
        except FhirError as error:
            log.warning("exports wait until somebody asks for them: %s", error)
        except Exception as error:
            if not self._over.is_set():
                log.error("exports wait until somebody asks for them: %s", whence(error))
        with self._lock:
            self._running = False

    def _look_again(self, rows: list[Row]) -> None:
        """Come back when the first is to be forgotten."""
        if self._timer is not None:
            self._timer.cancel()
        if rows:
            seconds = min(DAY, max(1.0, (min(row.expires for row in rows) - now()) / 1_000_000))
            self._timer = threading.Timer(seconds, self.wake)
            self._timer.daemon = True
            self._timer.start()

    def forget(self) -> list[Row]:
        """Drop what has expired; the rest, the oldest first."""
        rows = self._bulk.jobs()
        gone = [row for row in rows if row.ended and (row.expires <= now() or not self._offered(row))]
        for row in gone:
            self.drop(row.id)
        return sorted((row for row in rows if row not in gone), key=lambda row: read(row.data).created)

    def _offered(self, row: Row) -> bool:
        return row.kind != PUBLISH or self._settings.publish_seconds > 0

    def drop(self, identity: str) -> bool:
        """Forget a job, and its files unless others have them, too; whether it was there."""
        found = self._bulk.job(identity)
        if found is None:
            return False

        # What it had when it was dropped: afterwards nobody adds to it.
        def work(change: BulkChange) -> Row | None:
            row = change.job(identity)
            change.drop(identity)
            return row

        row = self._bulk.change(work)
        if row is None:
            return False
        job = read(row.data)
        for file in {one.key for one in job.files}:
            self._bulk.change(partial(_drop_file, file))
        for kind in job.wanted.types if job.wanted.filters or job.wanted.narrowed else ():
            self._bulk.change(partial(_drop_whole, identifiers(identity, kind)))
        return True

    def _some(self, rows: list[Row]) -> bool:
        """Give each job that is to be had a turn; whether there was one."""
        done = False
        for row in rows:
            if not row.ended and not self._over.is_set():
                done = self._turn(row.id) or done
        return done

    def _turn(self, identity: str) -> bool:
        try:
            row = self._bulk.change(lambda change: self._claim(change, identity))
            if row is None:
                return False
            end = time.monotonic() + TURN
            while not row.ended and time.monotonic() < end and not self._over.is_set():
                begun, self._rested = time.monotonic(), 0.0
                row = self._step(row)
                self.pause(max(0.0, time.monotonic() - begun - 2 * self._rested))
        except _Lost:
            return False
        except Busy as error:
            log.warning("an export waits: %s", error)
            return False
        return True

    def _rest(self, seconds: float) -> None:
        self._rested += seconds
        self.pause(seconds)

    def _claim(self, change: BulkChange, identity: str) -> Row | None:
        row = change.job(identity)
        if row is None or row.ended or (row.owner != self._owner and row.until > now()):
            return None
        mine = row._replace(owner=self._owner, until=now() + int(self._seconds * 1_000_000))
        change.put(mine)
        return mine

    def _step(self, row: Row) -> Row:
        """One step; the row as it is then. Raises _Lost."""
        job = read(row.data)
        try:
            job, pieces = self._advance(row, job)
        except (Busy, _Lost):
            raise
        except FhirError as error:
            job.failed, job.full, pieces = str(error), isinstance(error, InsufficientStorage), []
        except Exception as error:
            log.error("an export failed\n%s", whence(error))
            job.failed, pieces = "the export failed; the error is in the log of the server", []
        ended = job.done or bool(job.failed)
        after = row._replace(
            ended=ended,
            owner="" if ended else self._owner,
            until=now() + int(self._seconds * 1_000_000),
            expires=self._expires(row, job),
            data=job.say(),
        )

        def work(change: BulkChange) -> None:
            held = change.job(row.id)
            if held is None or held.owner != self._owner:
                raise _Lost
            for key, number, body in pieces:
                # A file that is called by what it holds may be there.
                if number or row.kind == EXPORT or not change.has(key):
                    change.add(key, number, body)
            change.put(after)
            if row.kind == PUBLISH and job.done:
                _replace(change, row.id, job.wanted.version)

        self._bulk.change(work)
        if ended:
            for kind in job.selected:
                self._bulk.change(partial(_drop_whole, identifiers(row.id, kind)))
        return after

    def _expires(self, row: Row, job: Job) -> int:
        """When a job is forgotten that ends now. An edition stays until another takes its place."""
        if row.kind == PUBLISH:
            return END if job.done else now() + GRACE
        return now() + self._settings.export_seconds * 1_000_000

    def _advance(self, row: Row, job: Job) -> tuple[Job, list[Piece]]:
        """What the job is after one more step, and the pieces that were made."""
        if job.selecting:
            guards, scopes = self._service.guards, job.scopes
            service = self._service if guards is None or scopes is None else guards.of(tuple(scopes))
            return selecting.advance(service, self._bulk, row.id, job)
        if job.at == len(job.wanted.types):
            job.done = True
            return job, self._close(row, job)
        self._check_room(row, job)
        portions = Portions(self._service, self._bulk, row.id, self._rest)
        pieces: list[Piece] = []
        size, end = 0, time.monotonic() + STEP
        # What a published file ends with hangs on nothing but what it holds. Any other ends with a portion.
        most, publishing = min(PIECE, self._settings.export_file_bytes), row.kind == PUBLISH
        cut: Cut = edge if publishing else lambda _, held: held >= most
        # Of small types several are done at once.
        while job.at < len(job.wanted.types) and size < PIECE and time.monotonic() < end:
            found = portions.next(job, cut, math.inf if publishing else end)
            size += found.size
            pieces += self._take(row, job, found)
        return job, pieces

    def _take(self, row: Row, job: Job, found: Portion) -> list[Piece]:
        """Let the job have a portion; the pieces that it makes."""
        pieces: list[Piece] = []
        kinds: tuple[tuple[Kind, list[bytes]], ...] = (("output", found.output), ("deleted", found.bundles()))
        for kind, lines in kinds:
            if lines and row.kind == PUBLISH:
                pieces += self._publish(job, kind, found.type, lines)
            elif lines:
                pieces += self._add(row, job, kind, found.type, lines)
        job.resources += len(found.output)
        job.newest = max(job.newest, found.newest)
        job.note(*found.notes)
        job.after, job.piece = found.after, found.piece
        if found.ended:
            job.at, job.after, job.piece = job.at + 1, "", 0
            for one in job.files:
                if one.kind == "output":
                    _fill(job, one)
        return pieces

    def _check_room(self, row: Row, job: Job) -> None:
        others = sum(read(one.data).packed for one in self._bulk.jobs() if one.id != row.id)
        if others + job.packed > self._settings.export_bytes:
            raise InsufficientStorage(
                f"the files of all exports have more than {self._settings.export_bytes} bytes (APOTHECARY_EXPORT_BYTES)"
            )

    def _add(self, row: Row, job: Job, kind: Kind, shown: str, lines: list[bytes]) -> list[Piece]:
        """Write lines to the open file of the type, or to a new one."""
        shown = TYPES.get(kind, shown)
        file = next((one for one in job.files if one.place < 0 and (one.kind, one.type) == (kind, shown)), None)
        if file is None:
            file = File(kind, shown, f"{row.id}/{len(job.files)}")
            job.files.append(file)
        piece = file.add(b"".join(line + b"\n" for line in lines), len(lines))
        if file.size >= self._settings.export_file_bytes:
            _fill(job, file)
        return [(file.key, file.pieces - 1, piece)]

    def _publish(self, job: Job, kind: Kind, shown: str, lines: list[bytes]) -> list[Piece]:
        """Make a file of lines, which is called by what it holds."""
        raw = b"".join(line + b"\n" for line in lines)
        file = File(kind, TYPES.get(kind, shown), hashlib.sha256(raw).hexdigest())
        piece = file.add(raw, len(lines))
        _fill(job, file)
        job.files.append(file)
        return [(file.key, 0, piece)]

    def _close(self, row: Row, job: Job) -> list[Piece]:
        """Write what there is to say, and call every file full."""
        if job.more_notes:
            job.notes.append(Note("warning", "incomplete", f"{job.more_notes} further problems are left out"))
        lines = [dumps(operation_outcome([note.issue])) for note in job.notes]
        pieces: list[Piece] = []
        if lines:
            pieces = (
                self._publish(job, "error", "", lines)
                if row.kind == PUBLISH
                else self._add(row, job, "error", "", lines)
            )
        for one in job.files:
            _fill(job, one)
        return pieces


def _fill(job: Job, file: File) -> None:
    if file.place < 0:
        file.place = sum(one.place >= 0 for one in job.files)


def _replace(change: BulkChange, identity: str, version: str) -> None:
    """Let the editions of a release end before which there is a newer one now."""
    for row in change.jobs():
        if row.kind == PUBLISH and row.id != identity and row.ended and read(row.data).wanted.version == version:
            change.put(row._replace(expires=min(row.expires, now() + GRACE)))


def _drop_whole(file: str, change: BulkChange) -> None:
    change.drop_file(file)


def _drop_file(file: str, change: BulkChange) -> None:
    """Drop a file that no job has."""
    if not any(one.key == file for row in change.jobs() for one in read(row.data).files):
        change.drop_file(file)
