"""Brings the store into step with the content folder: one transaction, and nothing written that did not change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from apothecary import __version__
from apothecary.content import case
from apothecary.content.checks import dangling, refuse_invalid
from apothecary.content.files import ContentFile, content_paths, read_folder
from apothecary.errors import ContentError, FhirError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, compact, dumps, parse
from apothecary.fhir.meta import stamp
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.search.normalisation import Systems
from apothecary.search.parameters import EXTRACTION, Registry
from apothecary.search.registries import make_registries
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Store, Stored, Transaction
from apothecary.versions import convert

# Under these names the store remembers what the last sync left.
FILES, INDEX, SYNCED = "content files", "index", "content synced"
AT_REST = "content at rest"


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

    def __str__(self) -> str:
        counts = (
            ("unchanged", self.unchanged),
            ("created", self.created),
            ("updated", self.updated),
            ("deleted", self.deleted),
            ("indexed anew", self.reindexed),
        )
        return ", ".join(f"{count} {name}" for name, count in counts if count) or "no content"


def sync(settings: Settings, store: Store) -> Report:
    """Make the store hold what the folder holds. Raises ContentError for a file that cannot be served, StartError for a
    bad setting.

    A file whose resource is what the store has keeps its version; a changed one gets a new version; a resource whose
    file is gone is deleted. Resources that came by other ways than the content are left alone.
    """
    folder = Path(settings.content) if settings.content else None
    if folder is not None and not folder.is_dir():
        raise ContentError(
            str(folder), 0, 0, "there is no such folder; name one with --content, or serve none with --content ''"
        )
    types = settings.served_types(definitions(FhirVersion.R5).resource_types())
    if folder is not None and store.state(AT_REST) == _at_rest(folder, types, store):
        # Byte for byte what the last sync read: nothing needs to be parsed.
        return Report(unchanged=len(_known(store)))
    files = (
        {f"{one.resource_type}/{one.id}": one for one in read_folder(folder, known_types=_all_types())}
        if folder
        else {}
    )
    unserved = sorted({one.resource_type for one in files.values()} - set(types))
    if unserved:
        first = next(one for one in files.values() if one.resource_type in unserved)
        raise ContentError(
            str(first.path), 0, 0, f"{', '.join(unserved)} is not served; add it to APOTHECARY_RESOURCE_TYPES"
        )
    hashes = {key: _hash(one) for key, one in files.items()}
    if _in_step(store, types, files, hashes):
        _remember_rest(store, folder, types)
        return Report(unchanged=len(files))
    known = _known(store)
    for key, file in files.items():
        if hashes[key] != known.get(key):
            refuse_invalid(file)
    report = store.write(lambda transaction: _sync(settings, transaction, types, files, hashes))
    _remember_rest(store, folder, types)
    return replace(report, dangling=tuple(dangling(files, types)))


def _at_rest(folder: Path, types: tuple[str, ...], reader: Reader) -> str:
    """Stands for everything that a sync looks at: the code, the files' bytes, and the stored resources that decide what
    the index holds.
    """
    digest = hashlib.sha256(f"{__version__} {EXTRACTION} {' '.join(types)}".encode())
    for path in content_paths(folder):
        digest.update(f"\0{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    for kind in ("SearchParameter", "CodeSystem"):
        digest.update(repr([(one.id, one.version) for one in reader.all_of_type(kind)]).encode())
    return digest.hexdigest()


def _remember_rest(store: Store, folder: Path | None, types: tuple[str, ...]) -> None:
    if folder is not None:
        rest = _at_rest(folder, types, store)
        store.write(lambda transaction: transaction.set_state(AT_REST, rest))


def _in_step(reader: Reader, types: tuple[str, ...], files: Mapping[str, ContentFile], hashes: dict[str, str]) -> bool:
    """Whether there is nothing to do: the same files, and the index rows of the same rules."""
    known = _known(reader)
    if hashes != known:
        return False
    key = _index_key(types, _own_parameters(reader, files, known), case.after(reader, files, known))
    return reader.state(INDEX) == key


def _known(reader: Reader) -> dict[str, str]:
    """The files that the last sync left, with their hashes."""
    return msgspec.json.decode(reader.state(FILES) or "{}", type=dict[str, str])


def _own_parameters(reader: Reader, files: Mapping[str, ContentFile], known: Mapping[str, str]) -> dict[str, JSON]:
    """The SearchParameter resources after the sync: those of the folder, and those that clients posted."""
    posted = {
        f"SearchParameter/{one.id}": parse(one.body)
        for one in reader.all_of_type("SearchParameter")
        if one.body is not None
    }
    for key in known.keys() - files.keys():
        posted.pop(key, None)
    return posted | {key: one.value for key, one in files.items() if one.resource_type == "SearchParameter"}


def _sync(
    settings: Settings,
    transaction: Transaction,
    types: tuple[str, ...],
    files: Mapping[str, ContentFile],
    hashes: dict[str, str],
) -> Report:
    """The whole sync, in one transaction. What was there before is read inside it: where several servers start at once,
    the first one's sync is what the others find.
    """
    known = _known(transaction)
    own = _own_parameters(transaction, files, known)
    systems = case.after(transaction, files, known)
    index = _index_key(types, own, systems)
    registry = make_registries(settings, own.values(), systems=systems)[FhirVersion.R5]
    report = _write(transaction, registry, files, hashes, known)
    if index != transaction.state(INDEX):
        changed = {key for key, value in hashes.items() if known.get(key) != value}
        report = _reindex(transaction, registry, report, changed)
    transaction.set_state(FILES, msgspec.json.encode(hashes).decode())
    transaction.set_state(INDEX, index)
    case.remember(transaction, systems)
    transaction.set_state(SYNCED, str(now()))
    return report


def _all_types() -> frozenset[str]:
    return frozenset(definitions(FhirVersion.R5).resource_types())


def _hash(file: ContentFile) -> str:
    """The same for files that differ in white space only."""
    text = compact(file.text) if file.path.suffix == ".json" else dumps(file.value)
    return hashlib.sha256(text).hexdigest()


def _index_key(types: tuple[str, ...], own: Mapping[str, JSON], systems: Systems) -> str:
    """Changes when the index rows of some resource would: the code, the served types, the definitions, the content's
    parameters or what its code systems say of case.
    """
    digest = hashlib.sha256(f"{__version__} {EXTRACTION} {' '.join(types)}".encode())
    digest.update(dumps(dict(systems.case_sensitive)))
    for key in sorted(own):
        # Versions and dates of the parameter resources say nothing about what they index.
        digest.update(dumps({name: value for name, value in own[key].items() if name not in ("meta", "text")}))
    return digest.hexdigest()


def _write(
    transaction: Transaction,
    registry: Registry,
    files: Mapping[str, ContentFile],
    hashes: Mapping[str, str],
    known: Mapping[str, str],
) -> Report:
    unchanged = created = updated = deleted = 0
    moment = transaction.moment()
    for key, file in files.items():
        current = transaction.read(file.resource_type, file.id)
        if known.get(key) == hashes[key] and current is not None and not current.deleted:
            unchanged += 1
            continue
        version, made = _next(current, moment)
        body = stamp(file.value, file.id, version, made)
        try:
            rows = registry.rows(file.value)
        except ValueError as error:
            raise ContentError(str(file.path), 0, 0, f"a value cannot be indexed: {error}") from None
        transaction.write(Stored(file.resource_type, file.id, version, made, FhirVersion.R5, body), "PUT", rows)
        created, updated = (created, updated + 1) if current and not current.deleted else (created + 1, updated)
    for key in known.keys() - files.keys():
        resource_type, _, resource_id = key.partition("/")
        current = transaction.read(resource_type, resource_id)
        if current is not None and not current.deleted:
            gone = Stored(resource_type, resource_id, *_next(current, moment), current.fhir_version, None)
            transaction.write(gone, "DELETE", ())
            deleted += 1
    return Report(unchanged, created, updated, deleted)


def _next(current: Stored | None, moment: int) -> tuple[int, int]:
    """The version after `current`, and its time: that of the sync, but after `current`."""
    return (1, moment) if current is None else (current.version + 1, max(moment, current.updated + 1000))


def _r5_form(stored: Stored) -> JSON:
    resource: JSON = parse(stored.body or b"")
    return convert(resource, FhirVersion(stored.fhir_version), FhirVersion.R5).resource


def _reindex(transaction: Transaction, registry: Registry, report: Report, fresh: set[str]) -> Report:
    """Index rows made anew for every resource but those that this sync wrote."""
    count = 0
    for resource_type in registry.types:
        for stored in transaction.all_of_type(resource_type):
            if stored.body is None or f"{stored.type}/{stored.id}" in fresh:
                continue
            try:
                rows = registry.rows(_r5_form(stored))
            except (ValueError, FhirError) as error:
                raise ContentError(f"{stored.type}/{stored.id}", 0, 0, f"a value cannot be indexed: {error}") from None
            transaction.index(stored, rows, fresh=False)
            count += 1
    return Report(report.unchanged, report.created, report.updated, report.deleted, count)
