"""Brings the index of resources that were stored before a definition in step with it, while servers answer.

https://hl7.org/fhir/R5/searchparameter.html says what a parameter selects, not since when. One process at a time does
it, by a lease in the database that runs out when the process is killed. It goes type by type in the order of ids, in
small transactions; each notes how far it came, so that whoever has the lease next goes on from there.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from itertools import islice

import msgspec

from apothecary.content import index_rules
from apothecary.content.definitions import Serving, remember_indexed, served_types, serving
from apothecary.content.index_rules import GENERATION
from apothecary.errors import ApothecaryError, Busy, FhirError, whence
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Store, Stored, Transaction
from apothecary.store.limited import PIECE, limited

log = logging.getLogger("apothecary")

# Under these names the store remembers who makes the index anew, and how far that is.
LEASE, PROGRESS = "indexing lease", "indexing"

# A lease that is not renewed so long, in seconds, is somebody else's to take.
LEASE_SECONDS = 15.0

# So many resources are indexed in one transaction, so that other writers wait for moments only.
BATCH = 100
# Where a resource has its bytes.
_HEAVY = (Stored._fields.index("body"),)

# A line of the log names so many parameters.
MOST_TOLD = 20

# How long to wait, in seconds, before a look whether another process is done.
PAUSE = 0.5


class Progress(msgspec.Struct, frozen=True):
    """How far it is, for the definitions of `generation`: done with all types before `type`, and with the resources of
    it up to the id `after`.
    """

    generation: str
    done: int = 0
    total: int = 0
    type: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.done} of {self.total} resources are indexed"


class _Lease(msgspec.Struct, frozen=True):
    """Who has it, and until when, in microseconds since 1970."""

    owner: str
    until: int


_PROGRESS = msgspec.json.Decoder(Progress)
_LEASE = msgspec.json.Decoder(_Lease)


class _Lost(Exception):
    """Another process has the lease, or the definitions are others by now."""


def progress(reader: Reader, generation: str) -> Progress:
    """How far the index of these definitions is."""
    text = reader.state(PROGRESS)
    found = _PROGRESS.decode(text) if text else None
    return found if found is not None and found.generation == generation else Progress(generation)


class Indexing:
    """The work of one process. `seconds` are those of its lease."""

    def __init__(self, settings: Settings, store: Store, seconds: float = LEASE_SECONDS) -> None:
        self._settings = settings
        self._store = store
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._running = False
        self._over = threading.Event()

    def wake(self) -> None:
        """Do what there is to do, in a thread of its own; nothing where it is at it."""
        with self._lock:
            if self._running or self._over.is_set():
                return
            self._running = True
        threading.Thread(target=self._until_done, name="indexing", daemon=True).start()

    def stop(self) -> None:
        """Begin no other transaction."""
        self._over.set()

    def run(self) -> bool:
        """Do what there is to do, as far as this process may and other writers let it; whether nothing is left."""
        known = serving(self._settings, self._store)
        if not _is_due(known):
            return True
        try:
            self._store.write(lambda transaction: self._hold(transaction, known))
            if known.incomplete:
                self._walk(known)
            self._settle(known)
        except (_Lost, Busy):
            return False
        return True

    def _until_done(self) -> None:
        try:
            while not self._over.is_set():
                with self._lock:
                    # Who wakes it after this look starts another thread.
                    if not _is_due(serving(self._settings, self._store)):
                        self._running = False
                        return
                self.run()
                self._over.wait(PAUSE)
        except FhirError as error:
            log.warning("the index is not in step with the definitions yet, the next request tries it again: %s", error)
        except Exception as error:
            if not self._over.is_set():
                log.error(
                    "the index could not be brought in step with the definitions; the next request tries it\n%s",
                    whence(error),
                )
        with self._lock:
            self._running = False

    def _hold(self, transaction: Transaction, known: Serving) -> None:
        """Take the lease, or keep it. Raises _Lost."""
        text = transaction.state(LEASE)
        lease = _LEASE.decode(text) if text else None
        if lease is not None and lease.owner != self._owner and lease.until > now():
            raise _Lost
        if (transaction.state(GENERATION) or "") != known.generation:
            raise _Lost
        mine = _Lease(self._owner, now() + int(self._seconds * 1_000_000))
        transaction.set_state(LEASE, msgspec.json.encode(mine).decode())

    def _walk(self, known: Serving) -> None:
        registry = known.registries[FhirVersion.R5]
        every = [f"{kind}?{name}" for kind, some in sorted(known.incomplete.items()) for name in sorted(some)]
        names = ", ".join(every) if len(every) <= MOST_TOLD else f"all {len(every)} parameters"
        at = progress(self._store, known.generation)
        kinds = [kind for kind in self._store.types() if kind in set(served_types(self._settings))]
        if not at.total:
            at = msgspec.structs.replace(at, total=sum(1 for kind in kinds for _ in self._store.all_of_type(kind)))
        log.info("indexing for %s: %s", names, at)
        for kind in sorted(kinds):
            if kind < at.type:
                continue
            at = at if at.type == kind else msgspec.structs.replace(at, type=kind, after="")
            begun = time.monotonic()
            while (after := self._batch(known, registry, at)) is not None:
                at = after
                # Others write in between, and as long: a write that collides with one batch after the other is refused.
                time.sleep(time.monotonic() - begun)
                begun = time.monotonic()
        self._store.write(lambda transaction: self._finish(transaction, known))
        log.info("indexed for %s: %s", names, at)

    def _batch(self, known: Serving, registry: Registry, at: Progress) -> Progress | None:
        """One transaction; None where the type has no more. Raises _Lost."""
        if self._over.is_set():
            raise _Lost

        def work(transaction: Transaction) -> Progress | None:
            self._hold(transaction, known)
            # Some hundred small ones, or the few large ones that make a piece: their rows are held until the end.
            some = limited(islice(transaction.all_of_type(at.type, at.after, BATCH), BATCH), PIECE, _HEAVY)
            if not some:
                return None
            for stored in some:
                if at.type in known.incomplete or b'"contained"' in (stored.body or b""):
                    _index(transaction, registry, stored)
            done = msgspec.structs.replace(at, done=at.done + len(some), after=some[-1].id)
            transaction.set_state(PROGRESS, msgspec.json.encode(done).decode())
            return done

        return self._store.write(work)

    def _finish(self, transaction: Transaction, known: Serving) -> None:
        self._hold(transaction, known)
        remember_indexed(transaction, known.registries[FhirVersion.R5].own.wanted)
        index_rules.done(transaction)
        transaction.set_state(PROGRESS, "")
        transaction.set_state(LEASE, "")

    def _settle(self, known: Serving) -> None:
        """Index what a version that is behind has written, until a look finds nothing of it. Raises _Lost."""
        registry = known.registries[FhirVersion.R5]

        def work(transaction: Transaction) -> int:
            self._hold(transaction, known)
            some = index_rules.noted(transaction, BATCH)
            for name, kind, identity in some:
                stored = transaction.read(kind, identity)
                if stored is not None and stored.body is not None and registry.serves(kind):
                    _index(transaction, registry, stored)
                transaction.forget_state(name)
            if not some:
                transaction.forget_state(index_rules.DUE)
                transaction.set_state(LEASE, "")
            return len(some)

        while count := self._store.write(work):
            log.info("indexed anew what an older version wrote: %s resources", count)
            if count < BATCH and self._over.wait(PAUSE):
                raise _Lost


def _is_due(known: Serving) -> bool:
    """Whether there is something to do that is this version's to do."""
    return bool(known.incomplete or known.due) and not known.behind


def _index(transaction: Transaction, registry: Registry, stored: Stored) -> None:
    try:
        rows = registry.rows(parse(stored.body or b""), FhirVersion(stored.fhir_version))
    except (ValueError, TypeError, AttributeError, LookupError, ApothecaryError) as error:
        # `apothecary load --no-validate` takes in values of any shape. What the error says may quote them.
        log.warning("%s/%s cannot be indexed anew: %s", stored.type, stored.id, type(error).__name__)
        return
    transaction.index(stored, rows, fresh=False)
