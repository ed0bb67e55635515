"""Documents -> resources that are ready to be stored: read, checked, and with the rows that the index gets of them.

Nothing here asks a database, so that several processes can do it beside the one that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from apothecary.content.definitions import Serving
from apothecary.content.documents import Document, Pointer
from apothecary.content.version_hints import hinted_version
from apothecary.errors import Issue, TooLarge
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.links import rewrite
from apothecary.fhir.meta import Unstamped, stamp, unstamped
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.search.bounds import OPERATOR, bounded_rows
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.shaping import Shaped, shape
from apothecary.validation import validate

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


class Item(NamedTuple):
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


class Prepared(NamedTuple):
    """A valid resource, in the release `version`, with what it leaves in the index."""

    type: str
    id: str
    version: str
    text: Unstamped
    rows: Shaped

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.id

    def is_in(self, current: Stored) -> bool:
        """Whether `current` holds just this text: then it would be written again byte for byte."""
        if current.fhir_version != self.version:
            return False
        return self.text.stamped(current.version, current.updated) == current.body


@dataclass(frozen=True, slots=True)
class Preparing:
    """How documents become resources that are ready. A resource is kept in the release that it claims, or else in
    `version`; without `validation` an invalid one is taken as it is; `sqlite` says which tables the rows are for.
    """

    settings: Settings
    version: FhirVersion
    validation: bool
    sqlite: bool

    def items(self, document: Document, known: Serving, fail: Callable[[Failure], None]) -> Iterator[Item]:
        """The resources of a document that have a place in the store; `fail` is told the others."""
        for issue in document.issues:
            if issue.issue.severity in ("fatal", "error"):
                fail(Failure(document.file, issue.line, issue.column, issue.issue.diagnostics))
                return
        value = document.value
        if not isinstance(value, dict):
            fail(_failure(document, (), "a resource is an object"))
        elif value.get("resourceType") == "Bundle" and value.get("type") in CARRIERS:
            yield from self._entries(document, value, known, fail)
        else:
            yield from self._item(document, (), value, None, known, fail)

    def _entries(
        self, document: Document, bundle: JSON, known: Serving, fail: Callable[[Failure], None]
    ) -> Iterator[Item]:
        entries = bundle.get("entry", [])
        if not isinstance(entries, list):
            fail(_failure(document, ("entry",), "Bundle.entry is a list"))
            return
        links = _links(entries)
        for number, entry in enumerate(entries):
            pointer: Pointer = ("entry", number)
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                fail(_failure(document, pointer, "the entry carries no resource that could be loaded"))
                continue
            url = entry.get("fullUrl")
            named = url if isinstance(url, str) else None
            for item in self._item(document, (*pointer, "resource"), resource, named, known, fail):
                yield item._replace(resource=rewrite(resource, item.version, links.get)) if links else item

    def _item(
        self,
        document: Document,
        pointer: Pointer,
        resource: JSON,
        full_url: str | None,
        known: Serving,
        fail: Callable[[Failure], None],
    ) -> Iterator[Item]:
        kind = resource.get("resourceType")
        version = hinted_version(resource) or self.version
        if not isinstance(kind, str) or not known.registries[version].serves(kind):
            not_served = f"is a {kind}, which is not served in FHIR {version} (see APOTHECARY_RESOURCE_TYPES)"
            said = "has no resourceType" if kind is None else not_served
            fail(_failure(document, pointer, f"the resource {said}"))
            return
        identity = _identity(resource, full_url)
        if identity is None:
            said = "has no id, and without one loading it twice would store it twice"
            fail(_failure(document, pointer, f"the {kind} {said}"))
        elif not is_id(identity):
            fail(_failure(document, (*pointer, "id"), f"{identity!r} is not an id"))
        else:
            yield Item(document, pointer, resource, identity, version)

    def prepared(self, item: Item, known: Serving, fail: Callable[[Failure], None]) -> Prepared | None:
        """A resource that is valid; None, and the failure told, for another."""
        issues: list[Issue] = []
        if self.validation:
            issues = [one for one in validate(item.resource, item.version) if one.severity in ("error", "fatal")]
        if not issues:
            registry = known.registries[FhirVersion.R5]
            try:
                text = unstamped(item.resource, item.id)
                length = len(text.before) + len(text.after)
                rows = bounded_rows(self.settings, registry, item.resource, item.version, length, times=OPERATOR)
                return Prepared(*item.key, str(item.version), text, shape(*item.key, rows, sqlite=self.sqlite))
            except TooLarge as error:
                issues = list(error.issues)
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                # Without validation a value may be of any shape.
                issues = [Issue("error", "value", f"a value cannot be indexed: {error}")]
        first, more = issues[0], f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        pointer = (*item.pointer, *(first.pointer or ()))
        fail(_failure(item.document, pointer, f"{'/'.join(item.key)}: {first.diagnostics}{more}"))
        return None

    def remade(self, one: Prepared, registry: Registry) -> Prepared:
        """The same resource with the rows that other definitions want."""
        rows = registry.rows(parse(one.text.stamped(1, 0)), FhirVersion(one.version))
        return one._replace(rows=shape(*one.key, rows, sqlite=self.sqlite))


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
