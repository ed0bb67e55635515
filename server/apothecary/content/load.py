"""Loads documents into a store: many, in any order, again and again without harm.

A document is a resource, or a Bundle that carries resources (https://hl7.org/fhir/R5/bundle.html): of those every entry
is loaded by itself. A resource that the store has already, just as it is, keeps its version; so a load that was
interrupted is taken up by running it again. References are not followed: what they point to may come later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from apothecary.content import index_rules
from apothecary.content.definitions import Serving, changed, defines
from apothecary.content.documents import Document, Pointer
from apothecary.content.live import Live
from apothecary.content.version_hints import hinted_version
from apothecary.errors import Issue, TooLarge
from apothecary.fhir.json import JSON
from apothecary.fhir.links import rewrite
from apothecary.fhir.meta import stamp
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.search.bounds import OPERATOR, bounded_rows
from apothecary.search.rows import Indexed
from apothecary.settings import Settings
from apothecary.store.contract import LOADED, Store, Stored, Transaction
from apothecary.store.limited import in_pieces
from apothecary.validation import validate

# A transaction holds so many resources, or so many characters of text: large enough that committing costs little,
# small enough that other writers need not wait long.
RESOURCES, CHARACTERS = 1000, 8_000_000

# Bundles of these types carry resources; any other type is a record of its own.
CARRIERS = ("batch", "collection", "searchset", "transaction")

URN = "urn:uuid:"


class Failure(NamedTuple):
    """A resource that was not loaded: where it stands, and why."""

    file: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


@dataclass(slots=True)
class Loaded:
    """What a load did, in numbers of resources."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.created} created, {self.updated} updated, {self.unchanged} unchanged, {self.failed} failed"


class _Item(NamedTuple):
    """One resource on its way: `pointer` leads to it in its document."""

    document: Document
    pointer: Pointer
    resource: JSON
    id: str
    version: FhirVersion

    @property
    def key(self) -> tuple[str, str]:
        return self.resource["resourceType"], self.id

    def is_in(self, current: Stored) -> bool:
        """Whether `current` holds just this text: then it would be written again byte for byte."""
        if current.fhir_version != self.version:
            return False
        return stamp(self.resource, self.id, current.version, current.updated) == current.body


class _Ready(NamedTuple):
    """A resource that can be written."""

    resource: JSON
    id: str
    version: FhirVersion
    rows: list[Indexed]


class Loader:
    """One load. `failed` is told each resource that cannot be loaded, as soon as that is known.

    A resource is kept in the FHIR version that it claims, or else in `version`.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        failed: Callable[[Failure], None],
        *,
        version: FhirVersion = FhirVersion.R5,
        validation: bool = True,
    ) -> None:
        self.loaded = Loaded()
        self._store = store
        self._settings = settings
        self._live = Live(settings, store, quiet=True)
        self._version = version
        self._tell = failed
        self._validation = validation
        self._batch: dict[tuple[str, str], _Item] = {}
        self._characters = 0

    def add(self, document: Document) -> None:
        """Take in a document; it is written with others, when there are enough."""
        for issue in document.issues:
            if issue.issue.severity in ("fatal", "error"):
                self._fail(Failure(document.file, issue.line, issue.column, issue.issue.diagnostics))
                return
        self._characters += len(document.text)
        for item in self._items(document):
            if item.key in self._batch:
                # Twice the same resource: the second one is the next version.
                self.flush()
            self._batch[item.key] = item
            if len(self._batch) >= RESOURCES:
                self.flush()
        if self._characters >= CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in, in one transaction; the end of a load."""
        items, self._batch, self._characters = list(self._batch.values()), {}, 0
        self._live.look(self._store)
        by_key = {item.key: item for item in items}
        same = {(one.type, one.id) for one in in_pieces(self._store, by_key) if by_key[one.type, one.id].is_in(one)}
        ready = []
        for item in items:
            if item.key in same:
                self.loaded.unchanged += 1
            elif (rows := self._rows(item)) is not None:
                ready.append(_Ready(item.resource, item.id, item.version, rows))
        if ready:
            created, updated = self._store.write(partial(self._write, ready))
            self.loaded.created += created
            self.loaded.updated += updated

    @property
    def definitions(self) -> Serving:
        """What can be searched for after what was loaded, and what of it cannot be served."""
        return self._live.look(self._store)

    def _write(self, ready: list[_Ready], transaction: Transaction) -> tuple[int, int]:
        """How many were created and updated."""
        made = self._live.now.generation
        if self._live.look(transaction).generation != made:
            # Somebody defined another parameter since the rows were made.
            registry = self._live.now.registries[FhirVersion.R5]
            ready = [one._replace(rows=registry.rows(one.resource, one.version)) for one in ready]
        done = _write(ready, transaction)
        if self._live.now.behind:
            index_rules.note(transaction, transaction.touched)
        if defines(transaction):
            changed(self._settings, transaction)
        return done

    # -- what a document holds

    def _items(self, document: Document) -> Iterator[_Item]:
        value = document.value
        if not isinstance(value, dict):
            self._fail(_failure(document, (), "a resource is an object"))
        elif value.get("resourceType") == "Bundle" and value.get("type") in CARRIERS:
            yield from self._entries(document, value)
        else:
            yield from self._item(document, (), value, None)

    def _entries(self, document: Document, bundle: JSON) -> Iterator[_Item]:
        entries = bundle.get("entry", [])
        if not isinstance(entries, list):
            self._fail(_failure(document, ("entry",), "Bundle.entry is a list"))
            return
        links = _links(entries)
        for number, entry in enumerate(entries):
            pointer: Pointer = ("entry", number)
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                self._fail(_failure(document, pointer, "the entry carries no resource that could be loaded"))
                continue
            url = entry.get("fullUrl")
            for item in self._item(document, (*pointer, "resource"), resource, url if isinstance(url, str) else None):
                yield item._replace(resource=rewrite(resource, item.version, links.get)) if links else item

    def _item(self, document: Document, pointer: Pointer, resource: JSON, full_url: str | None) -> Iterator[_Item]:
        kind = resource.get("resourceType")
        version = hinted_version(resource) or self._version
        if not isinstance(kind, str) or not self._live.now.registries[version].serves(kind):
            not_served = f"is a {kind}, which is not served in FHIR {version} (see APOTHECARY_RESOURCE_TYPES)"
            said = "has no resourceType" if kind is None else not_served
            self._fail(_failure(document, pointer, f"the resource {said}"))
            return
        identity = _identity(resource, full_url)
        if identity is None:
            said = "has no id, and without one loading it twice would store it twice"
            self._fail(_failure(document, pointer, f"the {kind} {said}"))
        elif not is_id(identity):
            self._fail(_failure(document, (*pointer, "id"), f"{identity!r} is not an id"))
        else:
            yield _Item(document, pointer, resource, identity, version)

    # -- whether it can be stored

    def _rows(self, item: _Item) -> list[Indexed] | None:
        """The index rows of a resource that is valid; None, and the failure told, for another."""
        issues: list[Issue] = []
        if self._validation:
            issues = [one for one in validate(item.resource, item.version) if one.severity in ("error", "fatal")]
        if not issues:
            registry, length = self._live.now.registries[FhirVersion.R5], len(item.document.text)
            try:
                return bounded_rows(self._settings, registry, item.resource, item.version, length, times=OPERATOR)
            except TooLarge as error:
                issues = list(error.issues)
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                # Without validation a value may be of any shape.
                issues = [Issue("error", "value", f"a value cannot be indexed: {error}")]
        first, more = issues[0], f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        pointer = (*item.pointer, *(first.pointer or ()))
        self._fail(_failure(item.document, pointer, f"{'/'.join(item.key)}: {first.diagnostics}{more}"))
        return None

    def _fail(self, failure: Failure) -> None:
        self.loaded.failed += 1
        self._tell(failure)


def load(loader: Loader, documents: Iterable[Document]) -> Loaded:
    """Load all of `documents`, and tell what was done."""
    for document in documents:
        loader.add(document)
    loader.flush()
    return loader.loaded


def _identity(resource: JSON, full_url: str | None) -> str | None:
    """The id that a resource is stored under: its own, or else the one that its bundle gives it."""
    if "id" in resource:
        return str(resource["id"])
    return full_url.removeprefix(URN) if full_url is not None and full_url.startswith(URN) else None


def _links(entries: list[object]) -> dict[str, str]:
    """What stands in a bundle for a resource of the same bundle, as the address that the resource is stored under."""
    found = {}
    for entry in entries:
        url, resource = (entry.get("fullUrl"), entry.get("resource")) if isinstance(entry, dict) else (None, None)
        if isinstance(url, str) and url.startswith("urn:") and isinstance(resource, dict):
            found[url] = f"{resource.get('resourceType')}/{_identity(resource, url)}"
    return found


def _failure(document: Document, pointer: Pointer, reason: str) -> Failure:
    return Failure(document.file, *document.positions.find(pointer), reason)


def _write(ready: list[_Ready], transaction: Transaction) -> tuple[int, int]:
    """How many were created and updated."""
    created = updated = 0
    for resource, identity, fhir_version, rows in ready:
        kind = resource["resourceType"]
        current = transaction.read(kind, identity)
        version, moment = current.version + 1 if current is not None else 1, transaction.moment(current)
        body = stamp(resource, identity, version, moment)
        transaction.write(Stored(kind, identity, version, moment, fhir_version, body), LOADED, rows)
        if current is None or current.deleted:
            created += 1
        else:
            updated += 1
    return created, updated
