"""Brings the store into step with the content folder: one transaction, and nothing written that did not change.

What was written over REST since stays as it is while its file does not change. Where both changed the file wins,
because it was reviewed; that is said by name, and the other version stays in the history
(https://hl7.org/fhir/R5/http.html#history).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from apothecary.content import case, index_rules
from apothecary.content.checks import dangling, refuse_invalid
from apothecary.content.contents import Contents, content_paths, contents
from apothecary.content.definitions import (
    DEFINING,
    INDEXED,
    held,
    in_order,
    indexed,
    remember_indexed,
    served_types,
)
from apothecary.content.files import ContentFile
from apothecary.content.index_rules import INDEX, remember_generation
from apothecary.content.indexing import Indexing
from apothecary.content.synced import LEFT, Left, Synced, changed, file_hash, remember, says_the_same, synced
from apothecary.errors import BrokenContent, ContentError, FhirError
from apothecary.fhir.meta import stamp
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant, now
from apothecary.search.bounds import OPERATOR, bounded_rows
from apothecary.search.defined import Defining
from apothecary.search.own import bases
from apothecary.search.parameters import EXTRACTION, Registry
from apothecary.search.registries import make_registries
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Store, Stored, Transaction

# Under this name the store remembers all that the last sync looked at.
AT_REST = "content at rest"
# And what of it was left out; beyond so many sentences their number.
LEFT_OUT, MOST_TOLD = "content left out", 1000


_SENTENCES = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did, in numbers of resources."""

    unchanged: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    reindexed: int = 0
    dangling: tuple[str, ...] = ()
    """References of the content to resources that it does not hold, as sentences."""
    overruled: tuple[str, ...] = ()
    """Resources that had been changed in the store as well, and now are what the content says, as sentences."""
    left_out: tuple[str, ...] = field(default=(), compare=False)
    """What of the content is not served, as sentences; the same as long as the content is."""

    def __str__(self) -> str:
        counts = (
            ("unchanged", self.unchanged),
            ("created", self.created),
            ("updated", self.updated),
            ("deleted", self.deleted),
            ("reindexed", self.reindexed),
        )
        return ", ".join(f"{count} {name}" for name, count in counts if count) or "no content"


def sync(settings: Settings, store: Store) -> Report:
    """Make the store hold what the folder holds. Raises ContentError for a file that cannot be served, StartError for a
    bad setting.

    A file whose resource is what the store has keeps its version; a changed one gets a new version; a resource whose
    file is gone is deleted. Resources that came by other ways than the content are left alone, and so are those that
    were changed or deleted by other ways while their file did not change.
    """
    folder = Path(settings.content) if settings.content else None
    if folder is not None and not folder.exists():
        said = "there is no such folder or file; name one with --content, or serve none with --content ''"
        raise ContentError(str(folder), 0, 0, said)
    types, address = served_types(settings), settings.base_url
    rest = _at_rest(folder, types, address, store) if folder is not None else None
    if rest is not None and store.state(AT_REST) == rest and store.state(LEFT) is not None:
        # Byte for byte what the last sync read: nothing needs to be parsed.
        return Report(unchanged=len(synced(store).files), left_out=_left_out(store))
    found = content_files(folder, types)
    hashes = {key: file_hash(one) for key, one in found.files.items()}
    if _in_step(store, types, address, found.files, hashes):
        _remember_rest(store, folder, types, address, found.left_out)
        return Report(unchanged=len(found.files), left_out=tuple(found.left_out))
    ours = sorted(changed(hashes, synced(store).files))
    refuse_invalid(found.files[key] for key in ours if not found.files[key].published)
    report, indexed_already = store.write(lambda transaction: _sync(settings, transaction, types, found, hashes))
    if indexed_already is not None and (others := index_rules.few_others(store, indexed_already)) is not None:
        # Of many, a server that answers meanwhile makes the index anew.
        Indexing(settings, store).run()
        report = replace(report, reindexed=others)
    left_out = (*found.left_out, *report.left_out)
    _remember_rest(store, folder, types, address, left_out)
    told = tuple(dangling(found.files, types, bases(settings)))
    return replace(report, dangling=told, left_out=left_out)


def _at_rest(folder: Path, types: tuple[str, ...], address: str, reader: Reader) -> str:
    """Stands for everything that a sync looks at: the code, the files' bytes, and the stored resources that decide what
    the index holds.
    """
    digest = hashlib.sha256(f"{index_rules.VERSION} {EXTRACTION} {' '.join(types)} {address}".encode())
    for path in content_paths(folder):
        digest.update(f"\0{os.path.relpath(path, folder)}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    for deciding in (reader.all_of_type("SearchParameter"), reader.code_system_heads()):
        digest.update(repr([(one.id, one.version) for one in deciding]).encode())
    return digest.hexdigest()


def _remember_rest(
    store: Store, folder: Path | None, types: tuple[str, ...], address: str, left_out: Sequence[str]
) -> None:
    if folder is None:
        return
    rest = _at_rest(folder, types, address, store)
    told = [*left_out[:MOST_TOLD]]
    if len(left_out) > MOST_TOLD:
        told.append(f"{folder}: and {len(left_out) - MOST_TOLD} more are left out")

    def work(transaction: Transaction) -> None:
        transaction.set_state(AT_REST, rest)
        transaction.set_state(LEFT_OUT, msgspec.json.encode(told).decode())

    store.write(work)


def _left_out(reader: Reader) -> tuple[str, ...]:
    return tuple(_SENTENCES.decode(reader.state(LEFT_OUT) or "[]"))


def index_is_due(settings: Settings, reader: Reader) -> bool:
    """Whether the index is of other rules than these, so that the next sync has it made anew: of other code systems,
    types, another address or another way of extraction.
    """
    systems = case.after(reader, {}, {})
    wanted = index_rules.rules(served_types(settings), settings.base_url, systems)
    return reader.state(INDEX) is not None and index_rules.are_others(reader, wanted, systems)


def content_files(
    folder: Path | None, types: Collection[str] | None = None, known: Mapping[str, str] | None = None
) -> Contents:
    """What the content holds (see `contents`); nothing without any. Raises ContentError."""
    return Contents() if folder is None else contents(folder, types, known)


def _in_step(
    reader: Reader,
    types: tuple[str, ...],
    address: str,
    files: Mapping[str, ContentFile],
    hashes: dict[str, str],
) -> bool:
    """Whether there is nothing to do: the same files, and the index rows of the same rules."""
    last = synced(reader)
    if hashes != last.files or last.left is None or reader.state(INDEXED) is None:
        return False
    return reader.state(INDEX) == index_rules.rules(types, address, case.after(reader, {}, {}))


def _defining(
    reader: Reader, kind: str, files: Mapping[str, ContentFile], fresh: Mapping[str, ContentFile], gone: Set[str]
) -> list[Defining]:
    """The definitions of one kind as they will be after the sync: the folder's word counts for its new and changed
    files, the store's for all others that stay.
    """
    kept = [one for one in held(reader, kind) if one.name not in gone and one.name not in fresh]
    new = [Defining(one.value, one.version, key) for key, one in fresh.items() if one.resource_type == kind]
    return in_order([*kept, *new], files)


def _sync(
    settings: Settings,
    transaction: Transaction,
    types: tuple[str, ...],
    found: Contents,
    given: Mapping[str, str],
) -> tuple[Report, set[str] | None]:
    """The whole sync in one transaction, but for the index of what was there before: what it did, and where that index
    is due, the keys of those that it is not due for. What was there before is read inside: where several servers start
    at once, the first one's sync is what the others find.
    """
    files, hashes = found.files, dict(given)
    there_before = bool(transaction.types())
    last = synced(transaction)
    fresh = {key: files[key] for key in changed(hashes, last.files)}
    gone = last.files.keys() - files.keys()
    systems = case.after(transaction, fresh, gone)
    parameters, queries = (_defining(transaction, kind, files, fresh, gone) for kind in sorted(DEFINING, reverse=True))
    registry = make_registries(settings, parameters, queries, systems)[FhirVersion.R5]
    refused = registry.own.refused
    # What was reviewed is mended where it lies; what came otherwise keeps no server from starting.
    faults = [
        ContentError(str(files[key].path), 0, 0, refused[key])
        for key in sorted(refused.keys() & files.keys())
        if not files[key].published
    ]
    if faults:
        raise BrokenContent.of(faults)
    index = index_rules.rules(types, settings.base_url, systems)
    wanted, there = registry.own.wanted, indexed(transaction)
    writing = _Writing(settings, transaction, registry, last)
    for key, file in files.items():
        if not writing.file(key, file, hashes[key]):
            del hashes[key]
    for key in sorted(gone):
        writing.gone(key)
    behind = index_rules.behind(transaction)
    if behind:
        index_rules.note(transaction, transaction.touched)
    anew = there_before and index_rules.are_others(transaction, index, systems) and not behind
    if index != transaction.state(INDEX) and not behind:
        index_rules.begin(transaction, index, all_due=anew)
    if transaction.state(INDEXED) is None:
        remember_indexed(transaction, {} if there_before else wanted)
    if any(kind in DEFINING for kind, _ in transaction.touched):
        remember_generation(transaction)
    remember(transaction, hashes, writing.left, now())
    case.remember(transaction, systems)
    # Parameters that came otherwise are left to the server that follows: it answers meanwhile.
    ours = any(key.startswith("SearchParameter/") for key in (*fresh, *gone))
    due = there_before and not behind and (anew or (ours and wanted != there))
    return writing.report, writing.written if due else None


class _Writing:
    """What a sync writes, file by file."""

    def __init__(self, settings: Settings, transaction: Transaction, registry: Registry, last: Synced) -> None:
        self._settings = settings
        self._transaction = transaction
        self._registry = registry
        self._last = last
        self._moment = transaction.moment()
        self.report = Report()
        self.left: dict[str, Left] = {}
        self.written: set[str] = set()
        """The keys of the resources that have new index rows."""

    def file(self, key: str, file: ContentFile, digest: str) -> bool:
        """Bring the resource of one file up to date; whether it can be served. Raises ContentError for one that cannot,
        unless it was published elsewhere.
        """
        current = self._transaction.read(file.resource_type, file.id)
        moved = self._last.moved(key, current)
        if self._last.files.get(key) == digest and current is not None:
            # Whatever somebody made of it since, it stays.
            if not moved or says_the_same(file.value, current, file.version):
                self.left[key] = Left.of(current)
            elif self._last.left is not None and key in self._last.left:
                self.left[key] = self._last.left[key]
            self._count("unchanged")
            return True
        if moved and current is not None and says_the_same(file.value, current, file.version):
            # The file has caught up with the store: that is no new version.
            self.left[key] = Left.of(current)
            self._count("unchanged")
            return True
        there = current is not None and not current.deleted
        version, moment = self._next(current)
        body = stamp(file.value, file.id, version, moment)
        try:
            rows = bounded_rows(self._settings, self._registry, file.value, file.version, body, times=OPERATOR)
        except (FhirError, ValueError) as error:
            # Too large, not to be said in R5, or with a value that cannot be indexed.
            reason = str(error) if isinstance(error, FhirError) else f"a value cannot be indexed: {error}"
            fault = file.error((), reason)
            if not file.published:
                raise fault from None
            self.report = replace(self.report, left_out=(*self.report.left_out, str(fault)))
            return False
        written = Stored(file.resource_type, file.id, version, moment, file.version, body)
        self._transaction.write(written, "PUT", rows)
        self.left[key] = Left.of(written)
        self.written.add(key)
        self._count("updated" if there else "created")
        if moved and current is not None:
            self._overruled(key, current, f"{file.path} is version {version} now")
        return True

    def gone(self, key: str) -> None:
        """Delete the resource of a file that is there no more."""
        resource_type, _, resource_id = key.partition("/")
        current = self._transaction.read(resource_type, resource_id)
        if current is None or current.deleted:
            return
        version, moment = self._next(current)
        deletion = Stored(resource_type, resource_id, version, moment, current.fhir_version, None)
        self._transaction.write(deletion, "DELETE", ())
        self._count("deleted")
        if self._last.moved(key, current):
            self._overruled(key, current, "its file is gone, so it was deleted")

    def _next(self, current: Stored | None) -> tuple[int, int]:
        """The number and the moment of the version after `current`: in the order of time, even when clocks are not."""
        return (
            (1, self._moment) if current is None else (current.version + 1, max(self._moment, current.updated + 1000))
        )

    def _count(self, what: str) -> None:
        self.report = replace(self.report, **{what: getattr(self.report, what) + 1})

    def _overruled(self, key: str, current: Stored, now_: str) -> None:
        done = "deleted" if current.deleted else "written"
        said = f"{key} was {done} past the content on {instant(current.updated)} (version {current.version}); {now_}"
        self.report = replace(self.report, overruled=(*self.report.overruled, f"{said}, the other is in its history"))
